"""Judges the real maintenance scripts of this Debian machine: which are refused, by which rule, over which words.

They were not written to be refused, nor for a guard to read: each refusal must be explained by the rules, and at most
2 % may be more than the guard can analyse.
"""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from vigo.core.guard import explain

MAINTENANCE = (
    *(f"/var/lib/dpkg/info/*.{kind}" for kind in ("preinst", "postinst", "prerm", "postrm")),
    *(f"/{place}/*" for place in ("etc/init.d", "etc/cron.*")),
)
PROGRAMS = ("/usr/sbin/*", "/usr/bin/*")
"""Shell programs of up to 50 KB are read beside them; no bound is set on how many of those are too much."""
SCRIPTS_MIN = 300
UNREAD_MAX = 0.02
UNREAD = "cannot-analyse"
_SHELL = re.compile(rb"#!\s*(?:/usr)?/bin/(?:env\s+)?(?:sh|bash|dash|ksh)\b")
_SIZE_MAX = 1024 * 1024
_SHOWN_MAX = 80


def scripts(places: Sequence[str] = (*MAINTENANCE, *PROGRAMS)) -> Iterator[tuple[Path, str]]:
    """Yield the shell scripts, each once, with their texts."""
    for place in places:
        for path in sorted(Path("/").glob(place.lstrip("/"))):
            if path.is_symlink() or not path.is_file():
                continue
            with path.open("rb") as file:
                data = file.read(_SIZE_MAX)
            if _SHELL.match(data):
                yield path, data.decode(errors="surrogateescape")


def main() -> int:
    """Print one line for each refusal, then the figures; exit 1 when too few scripts are here or too many unread."""
    count, unread = _judge_all("maintenance scripts", MAINTENANCE)
    _judge_all("programs", PROGRAMS)
    return 0 if count >= SCRIPTS_MIN and unread <= UNREAD_MAX * count else 1


def _judge_all(what: str, places: Sequence[str]) -> tuple[int, int]:
    """Judge all scripts of some places and print what comes of it; how many there are, and how many are too much."""
    verdicts: Counter[str] = Counter()
    rules: Counter[str] = Counter()
    started = time.process_time()
    for path, text in scripts(places):
        judgement = explain(text)
        verdicts[judgement.verdict] += 1
        if judgement.finding is None:
            continue
        finding = judgement.finding
        rules[finding.rule] += 1
        start, end = finding.span
        words = finding.reason if finding.rule == UNREAD else " ".join(text[start:end].split())[:_SHOWN_MAX]
        print(
            f"{finding.layer}\t{finding.rule}\t{path}:{text.count(chr(10), 0, start) + 1}\t{finding.pattern}\t{words}"
        )
    count = verdicts.total()
    print(f"{count} {what} in {time.process_time() - started:.1f} s of CPU time: {_counts(verdicts)}")
    print(f"refused by rule: {_counts(rules)}")
    print(f"cannot analyse: {rules[UNREAD]} of {count}, {rules[UNREAD] / max(1, count):.1%}")
    return count, rules[UNREAD]


def _counts(found: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in found.most_common())


if __name__ == "__main__":
    sys.exit(main())
