"""Which running tasks still have to touch which hosts, and waiting until they have.

Rule 1: who holds a host is told by kernel locks and the journal, so whoever dies holds nothing.
Rule 2: looking who holds what and recording a dispatch happen under one lock, which every dispatch takes: of two
        exclusive tasks that begin at once, one sees the other.
Rule 3: waiting keeps that lock from nobody, and leaves no trace: until the dispatch nothing is recorded.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from vigo.adapters.locks import held, is_running
from vigo.adapters.store_open import LOCKS, prepare_folder
from vigo.adapters.store_read import Reading
from vigo.core.errors import NoMatchError, RefusedError
from vigo.core.rollout import Run
from vigo.core.values import dataclass

_LOCK_NAME = re.compile(r"(t[0-9a-z]{7})\.lock", re.ASCII)
_DISPATCH_WAIT_MS = 30_000
"""How long another dispatch may take; it is two writes to the journal, and what the guard and a terminal want is before."""
_POLL_S = 0.1
_LOOK_AGAIN_S = 2.0
"""A task that goes on may have done with the hosts that are waited for."""
_NAMED_MAX = 3


@dataclass(frozen=True, slots=True)
class Holder:
    """A running task, and which of the hosts in question it still has to touch or touches now."""

    task: str
    operator: str
    command: str
    hosts: tuple[str, ...]
    """In its plan's order; never empty."""

    def __str__(self) -> str:
        """Return `web-01, web-02 by task t… (ops: uptime)`."""
        named = ", ".join(self.hosts[:_NAMED_MAX])
        more = f" and {len(self.hosts) - _NAMED_MAX} more" if len(self.hosts) > _NAMED_MAX else ""
        return f"{named}{more} by task {self.task} ({self.operator}: {self.command})"


def running(folder: Path) -> tuple[str, ...]:
    """Return the ids of the tasks whose control process is alive; `folder` is the data folder.

    Raises JournalError when that cannot be told.
    """
    locks = folder / LOCKS
    names = sorted(path.name for path in locks.iterdir()) if locks.is_dir() else []
    ids = (match[1] for match in map(_LOCK_NAME.fullmatch, names) if match)
    return tuple(task for task in ids if is_running(locks, task))


def holders(reading: Reading, hosts: Collection[str], besides: str | None = None) -> tuple[Holder, ...]:
    """Return the running tasks that hold any of these hosts, `besides` left out.

    Raises JournalError when the journal cannot be read.
    """
    wanted = frozenset(hosts)
    found = (_holder(reading, task, wanted) for task in running(reading.folder) if task != besides)
    return tuple(holder for holder in found if holder is not None)


def _holder(reading: Reading, task: str, wanted: frozenset[str]) -> Holder | None:
    try:
        run = reading.task(task).run
    except NoMatchError:
        return None  # it has its lock and is not dispatched yet: it will look for us
    if run is None:
        return None
    common = tuple(host for host in _still_to_touch(run) if host in wanted)
    return Holder(task, run.dispatched.operator, run.dispatched.command, common) if common else None


def _still_to_touch(run: Run) -> Sequence[str]:
    if run.is_over:
        return ()
    if run.halted is not None:
        return tuple(run.in_flight)
    return tuple(host for host in run.hosts if host not in run.results)


def dispatching(folder: Path) -> AbstractContextManager[None]:
    """Hold the lock round looking who holds what and recording a dispatch; `folder` is the data folder.

    Raises JournalError when another dispatch takes longer than 30 s.
    """
    prepare_folder(folder)
    return held(folder / LOCKS / "dispatch.lock", _DISPATCH_WAIT_MS)


@contextmanager
def wait_until_free(
    reading: Reading,
    hosts: Collection[str],
    *,
    besides: str | None = None,
    is_patient: bool,
    tell: Callable[[Sequence[Holder]], None],
) -> Iterator[None]:
    """Wait until no running task holds any of the hosts, then hold the dispatch lock for the block.

    `tell` is called when there is somebody to wait for, and again when somebody else is. Waiting has no bound but the
    holders' own; a signal ends it, and nothing was recorded. With `is_patient` false it raises RefusedError instead.
    Raises JournalError as `dispatching` and `holders` do.
    """
    told: frozenset[str] = frozenset()
    while True:
        with dispatching(reading.folder):
            found = holders(reading, hosts, besides)
            if not found:
                yield
                return
        if not is_patient:
            raise RefusedError(_refusal(found))
        tasks = frozenset(holder.task for holder in found)
        if not tasks <= told:
            tell(found)
            told |= tasks
        _wait_for_one(reading.folder, tasks)


def _wait_for_one(folder: Path, tasks: Collection[str]) -> None:
    """Return when one of the tasks has ended, or when it is time to look what they still hold."""
    until = time.monotonic() + _LOOK_AGAIN_S
    while time.monotonic() < until and all(is_running(folder / LOCKS, task) for task in tasks):
        time.sleep(_POLL_S)


def _refusal(found: Sequence[Holder]) -> str:
    shown = "; ".join(map(str, found[:_NAMED_MAX])) + ("; …" if len(found) > _NAMED_MAX else "")
    return f"held: {shown}; nothing was started: wait without --no-wait, or see `vigo task status {found[0].task}`"
