"""What is compared with what: the rows of the benchmark, and the loop that runs them, everybody in turn."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Final

from bench.contenders import ALL, LIBSSH2, LIBSSH2_WRAPPED, OURS, OWN, SSH, VIGO, WATCHED, WRAPPED, Contender
from bench.fleet import Fleet, Ground
from bench.measure import Measured, measure

BULK_BYTES: Final = 100_000_000
_BULK = f"head -c {BULK_BYTES} /dev/zero"


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison."""

    key: str
    title: str
    fleet: Callable[[Ground], Fleet]
    contenders: Sequence[Contender]
    rounds_max: int = 99
    """What takes long is not repeated as often as it was asked for."""
    budget_s: float = 45
    """Time for one contender, all rounds together."""
    like: tuple[str, int] | None = None
    """The row that this one is so many times as long as: who would take longer than the budget for one round is left out."""


@dataclass(slots=True)
class Series:
    """What one contender took, round by round."""

    measured: list[Measured] = field(default_factory=list)
    trouble: str = ""
    """Why there is nothing, or less than was asked for."""

    def median(self, of: Callable[[Measured], float]) -> float:
        """Return the median of one figure."""
        return median(map(of, self.measured))


@dataclass(frozen=True, slots=True)
class Table:
    """One row, measured."""

    row: Row
    hosts: int
    series: dict[str, Series]


def _bulk_vigo(fleet: Fleet) -> list[str]:
    run = [str(OWN / "vigo"), "task", "run", _BULK, "--target", "all", "-o", "json"]
    return [*run, "-i", str(fleet.file("inventory.yaml"))]


def _bulk_vigo_counted(measured: Measured) -> int:
    return sum(host["stdout"]["bytes"] == BULK_BYTES for host in json.loads(measured.out)["hosts"])


def _bulk_ssh(fleet: Fleet) -> list[str]:
    return ["sh", "-c", f"ssh -F {fleet.file('ssh_config')} {fleet.addresses[0]} '{_BULK}' | wc -c"]


ROWS: Final = (
    Row("one", "1 host, sshd", lambda ground: ground.fleet(ground.sshd, 1), (*ALL, SSH), budget_s=20),
    Row("two-hundred", "200 hosts, sshd", lambda ground: ground.fleet(ground.sshd, 200), ALL),
    Row("thousand", "1,000 hosts, sshd", lambda ground: ground.fleet(ground.sshd, 1000), ALL, rounds_max=2, like=("two-hundred", 5)),
    Row(
        "lab-2000",
        "2,000 hosts, cheap server",
        lambda ground: ground.fleet(ground.cheap, 2000),
        (VIGO, WRAPPED, LIBSSH2_WRAPPED),
    ),
    Row(
        "lab-10000",
        "10,000 hosts, cheap server",
        lambda ground: ground.fleet(ground.cheap, 10_000),
        (VIGO, WRAPPED, WATCHED),
        rounds_max=3,
        budget_s=90,
    ),
    Row("lab-1000", "1,000 hosts, cheap server", lambda ground: ground.fleet(ground.cheap, 1000), (VIGO,), rounds_max=3),
    Row("lab-8000", "8,000 hosts, cheap server", lambda ground: ground.fleet(ground.cheap, 8000), (VIGO,), rounds_max=3),
    Row(
        "bulk",
        "100 MB of output from 1 host, sshd",
        lambda ground: ground.fleet(ground.sshd, 1),
        (
            replace(VIGO, argv=_bulk_vigo, counted=_bulk_vigo_counted),
            replace(SSH, argv=_bulk_ssh, counted=lambda measured: int(measured.out.split() == [str(BULK_BYTES)])),
        ),
    ),
    Row(
        "slow-one",
        "1 host, 100 ms round trip, sshd",
        lambda ground: ground.fleet(ground.slow, 1),
        (*OURS, LIBSSH2, SSH),
        budget_s=20,
    ),
    Row(
        "slow",
        "200 hosts, 100 ms round trip, sshd",
        lambda ground: ground.fleet(ground.slow, 200),
        (*OURS, LIBSSH2),
        budget_s=30,
    ),
)  # fmt: skip


def run(row: Row, ground: Ground, rounds: int, earlier: Mapping[str, Table], tell: Callable[[str], None]) -> Table:
    """Measure a row: in every round everybody once, each round beginning with another one."""
    fleet = row.fleet(ground)
    series = {
        contender.name: Series(trouble=_absence(contender) or _lengthy(contender, row, earlier))
        for contender in row.contenders
    }
    for n in range(min(rounds, row.rounds_max)):
        turn = n % len(row.contenders)
        for contender in (*row.contenders[turn:], *row.contenders[:turn]):
            found = series[contender.name]
            if not found.trouble and _fits(found, row.budget_s):
                tell(f"{row.title}: round {n + 1}, {contender.name}: {_once(contender, fleet, found)}")
    return Table(row, len(fleet.addresses), series)


def _once(contender: Contender, fleet: Fleet, found: Series) -> str:
    """Run it once, look at what came of it, and say it in a few words."""
    home = fleet.folder / "home"
    home.mkdir(exist_ok=True)
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8", "VIGO_DATA_DIR": str(home / "vigo")}
    took = measure(contender.argv(fleet), {**env, **contender.env(fleet)}, fleet.folder)
    try:
        worked = contender.counted(took)
    except (ValueError, KeyError):
        worked = 0
    if took.code or worked != len(fleet.addresses):
        last = took.err.strip().rsplit("\n", 1)[-1][:200]
        found.trouble = f"failed: {worked} of {len(fleet.addresses)} hosts, exit {took.code} {last}".strip()
        return found.trouble
    found.measured.append(replace(took, out="", err=""))
    return f"{took.wall_s:.2f} s"


def _fits(found: Series, budget_s: float) -> bool:
    taken = [measured.wall_s for measured in found.measured]
    return not taken or sum(taken) + median(taken) <= budget_s


def _lengthy(contender: Contender, row: Row, earlier: Mapping[str, Table]) -> str:
    key, times = row.like or ("", 0)
    before = earlier[key].series.get(contender.name) if key in earlier else None
    likely_s = times * before.median(lambda measured: measured.wall_s) if before and before.measured else 0.0
    return f"not run: it would take about {likely_s:.0f} s" if likely_s > row.budget_s else ""


def _absence(contender: Contender) -> str:
    program = contender.program
    there = program.exists() if isinstance(program, Path) else shutil.which(program)
    return "" if there else "missing: could not be installed here"
