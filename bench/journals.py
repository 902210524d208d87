"""Journals of any size, written by the store itself; and what reading one takes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Final

from bench.bounds import Bound
from bench.contenders import OWN
from bench.measure import measure
from vigo.adapters.store import Store
from vigo.core.events import HostFinished, HostStarted, TaskDispatched, TaskFinished, TaskStatus
from vigo.core.model import HostResult, Outcome
from vigo.core.plan import Policy

TASKS: Final = 1000
HOSTS: Final = 1000
_ROUNDS = 7


def write_journal(folder: Path, *, tasks: int, hosts: int) -> str:
    """Write a journal of so many tasks on so many hosts each; return the last one's id."""
    names = tuple(f"host-{n:04}" for n in range(hosts))
    result = HostResult(Outcome.COMPLETE, 42, exit_code=0)
    task = ""
    with Store(folder, log=folder / "nobody-listens") as store:
        for _ in range(tasks):
            record, lock = store.dispatch(TaskDispatched("ops", "uptime", "all", (names,), Policy(fanout=hosts)))
            task = record.task
            started = [HostStarted(name, 0, "mark") for name in names]
            finished = [HostFinished(name, result) for name in names]
            store.append(task, [*started, *finished, TaskFinished(TaskStatus.COMPLETE, "")])
            lock.release()
    return task


def compare(tell: Callable[[str], None]) -> Iterator[Bound]:
    """Compare a journal of 1,000 tasks on 1,000 hosts with an empty one, and a big task in it with a small one."""
    with tempfile.TemporaryDirectory(prefix="vigo-bench-") as name:
        folder = Path(name)
        tell(f"journal: writing {TASKS:,} tasks on {HOSTS:,} hosts")
        (folder / "empty").mkdir()
        write_journal(folder / "small", tasks=1, hosts=10)
        write_journal(folder / "big", tasks=TASKS, hosts=HOSTS)
        tell("journal: reading it")
        taken = _interleaved(
            {"nothing": (folder / "empty", "list"), "list": (folder / "big", "list"), "small": (folder / "small", "status"), "big": (folder / "big", "status")},
            folder,
        )  # fmt: skip
    yield Bound(
        "1,000 tasks x 1,000 hosts: `task list` against an empty journal", taken["list"] / taken["nothing"], 1.5
    )
    yield Bound("1,000 tasks x 1,000 hosts: `task status` against a task on 10 hosts", taken["big"] / taken["small"], 3)


def _interleaved(asked: dict[str, tuple[Path, str]], folder: Path) -> dict[str, float]:
    """Return the median CPU time of each command on its journal."""
    taken: dict[str, list[float]] = {name: [] for name in asked}
    for _ in range(_ROUNDS):
        for name, (journal, word) in asked.items():
            env = {"PATH": os.environ["PATH"], "HOME": str(folder), "VIGO_DATA_DIR": str(journal)}
            took = measure([str(OWN / "vigo"), "task", word], env, folder)
            assert took.code == 0, took.err
            taken[name].append(took.cpu_s)
    return {name: median(times) for name, times in taken.items()}
