"""`python -m bench`: install the peers, start the servers, run everybody in turn, say who was how fast.

`--quick` is a look at a few rows with three rounds; without it `docs/benchmarks.md` is written. Root is needed: sshd logs
a user of its own in.
"""

from __future__ import annotations

import argparse
import sys
import time

from bench import counts, journals, report
from bench.bounds import judge
from bench.contenders import OWN, ROOT
from bench.fleet import ground
from bench.peers import install, versions
from bench.rows import ROWS, Table, run

_QUICK = ("one", "two-hundred", "lab-2000", "bulk")


def main() -> int:
    """Run the rows that are asked for; exit 1 when a bound is missed."""
    asked = _arguments()
    began = time.monotonic()

    def tell(line: str) -> None:
        print(f"[{time.monotonic() - began:5.0f} s] {line}", file=sys.stderr, flush=True)

    troubles = install()
    rows = [row for row in ROWS if row.key in (asked.only or (_QUICK if asked.quick else [row.key for row in ROWS]))]
    is_full = not asked.quick and not asked.only
    read = list(journals.compare(tell)) if is_full else []
    with ground(str(OWN / "python")) as places:
        tables: dict[str, Table] = {}
        for row in rows:
            tables[row.key] = run(row, places, asked.rounds or (3 if asked.quick else 7), tables, tell)
    bounds = [*judge(tables), *read]
    counted = counts.count(tell) if is_full else []
    text = report.page(tables.values(), bounds, counted, versions(), troubles)
    print(text)
    if is_full or asked.write:
        report.write(ROOT / "docs" / "benchmarks.md", text)
    return int(any(bound.verdict == "MISSED" for bound in bounds))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=0, help="how often everybody runs (default: 7)")
    parser.add_argument("--quick", action="store_true", help="a few rows, three rounds; the page is left as it is")
    parser.add_argument("--write", action="store_true", help="write the page, whatever was measured")
    parser.add_argument("--only", nargs="+", choices=[row.key for row in ROWS], help="these rows alone")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
