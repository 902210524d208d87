"""Instructions that three programs take, counted by callgrind: the same on a busy machine and on a quiet one.

The budget in `instructions.json` is per Python version: another interpreter takes another number of them. A budget is the
count when it was written and 3 % more; `python -m bench.counts --write` writes it anew, which is a decision.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from bench.contenders import OWN, ROOT
from bench.journals import write_journal
from bench.report import Counted

BUDGET: Final = ROOT / "bench" / "instructions.json"
_HOSTS = 10_000
_ROOM = 1.03
_COLLECTED = re.compile(r"Collected : (\d+)")


def count(tell: Callable[[str], None]) -> list[Counted]:
    """Count the instructions of each program; nothing where valgrind is missing."""
    if not shutil.which("valgrind"):
        tell("valgrind is missing: no instructions are counted")
        return []
    budget = _budget().get(_python(), {})
    with tempfile.TemporaryDirectory(prefix="vigo-bench-") as folder:
        found = []
        for name, argv, env in _programs(Path(folder)):
            instructions = _instructions(argv, env, Path(folder))
            tell(f"{name}: {instructions / 1e6:,.0f} million instructions")
            found.append(Counted(name, instructions, budget.get(name)))
    return found


def main() -> int:
    """Print the counts, and with --write make them the budget; exit 1 when one is over it."""
    found = count(print)
    if "--write" in sys.argv:
        own = {counted.name: round(counted.instructions * _ROOM) for counted in found}
        BUDGET.write_text(json.dumps(_budget() | {_python(): own}, indent=2, sort_keys=True) + "\n")
        return 0
    return int(any(counted.budget is not None and counted.instructions > counted.budget for counted in found))


def _programs(folder: Path) -> Iterator[tuple[str, list[str], dict[str, str]]]:
    """Yield name, arguments and environment of each program."""
    (folder / "inventory.yaml").write_text(
        "groups: {web: {traits: {role: web}}}\nhosts:\n"
        + "".join(
            f"  h{n:02}-[001-250]: {{address: '127.0.{n}.[1-250]', groups: [web]}}\n" for n in range(_HOSTS // 250)
        )
    )
    journal = folder / "journal"
    write_journal(journal, tasks=10, hosts=10)
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "VIGO_DATA_DIR": str(journal), "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}  # fmt: skip
    python = [str(OWN / "python"), "-m", "vigo"]
    yield "`task list`", [*python, "task", "list"], env
    plan = ["task", "run", "uptime", "--target", "role=web", "--batch-size", "10%", "--dry-run", "--no-probe"]
    yield "planning 10,000 hosts", [*python, *plan, "-i", str(folder / "inventory.yaml")], env
    yield "folding 100,000 events", [str(OWN / "python"), str(ROOT / "bench" / "programs" / "fold.py")], env


def _instructions(argv: list[str], env: dict[str, str], folder: Path) -> int:
    subprocess.run(argv, env=env, cwd=folder, check=True, capture_output=True)  # compiled files are there from here on
    valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder / 'callgrind'}"]
    done = subprocess.run([*valgrind, *argv], env=env, cwd=folder, check=True, capture_output=True, text=True)
    collected = _COLLECTED.search(done.stderr)
    assert collected is not None, done.stderr
    return int(collected[1])


def _budget() -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = json.loads(BUDGET.read_text()) if BUDGET.exists() else {}
    return found


def _python() -> str:
    told = subprocess.run([str(OWN / "python"), "-V"], check=True, capture_output=True, text=True).stdout
    return ".".join(told.split()[1].split(".")[:2])


if __name__ == "__main__":
    sys.exit(main())
