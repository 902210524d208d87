"""Readers of a run's records while it happens: results on stdout, one line per batch and mishap on stderr."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from vigo.core.events import CancelRequested, GateChecked, HostFinished, HostStarted, Record, TaskFinished, TaskStatus
from vigo.core.model import Outcome
from vigo.core.quantity import format_duration
from vigo.core.ranges import fold
from vigo.core.rollout import Run
from vigo.render.blocks import Kept, header, host_block
from vigo.render.sanitize import clean

_WITH_DETAIL = frozenset({Outcome.LOST})
"""Outcomes whose header on stdout has no room for what is known."""


class BlockPrinter:
    """Prints the page's first line, then each batch's blocks in plan order as soon as the batch has ended."""

    def __init__(self, out: TextIO, kept: Kept) -> None:
        self._out = out
        self._kept = kept
        self._is_announced = False
        self._printed = 0
        self._waiting: list[int] | None = None

    def on_record(self, record: Record, run: Run) -> None:
        """Print what this event made complete."""
        if not self._is_announced:
            self._is_announced = True
            self._out.write(f"Task {record.task} dispatched\n")
            self._out.flush()
        match record.event:
            case HostFinished():
                self._count_down(run)
            case TaskFinished():
                self._print(run, len(run.batches))
            case _:
                pass

    def _count_down(self, run: Run) -> None:
        """Batches are barriers: each result belongs to the first batch that still waits for one."""
        if self._waiting is None:
            self._waiting = [len(batch) for batch in run.batches]
        self._waiting[self._printed] -= 1
        if self._waiting[self._printed] == 0:
            self._print(run, self._printed + 1)

    def _print(self, run: Run, until: int) -> None:
        for batch in run.batches[self._printed : until]:
            for host in batch:
                self._out.write(host_block(run, host, self._kept))
        self._printed = until
        self._out.flush()


class ProgressLines:
    """Tells the operator, line by line, about batches, gates and hosts that did not complete."""

    def __init__(self, err: TextIO) -> None:
        self._err = err
        self._batch = -1

    def on_record(self, record: Record, run: Run) -> None:
        """Write the line for this event, if it is one that the operator should see."""
        line = self._line(record, run)
        if line:
            self._err.write(line + "\n")
            self._err.flush()

    def _line(self, record: Record, run: Run) -> str:
        match event := record.event:
            case HostStarted() if event.batch > self._batch:
                self._batch = event.batch
                size = _hosts(len(run.batches[event.batch]))
                return f"batch {event.batch}: {size} ({event.batch + 1} of {len(run.batches)})"
            case HostFinished() if event.result.outcome is not Outcome.COMPLETE:
                detail = f" ({clean(event.result.detail)})" if event.result.outcome in _WITH_DETAIL else ""
                return f"{clean(event.host)}: {header(event.result)}{detail}"
            case GateChecked():
                verdict = "passed" if event.passed else "FAILED"
                duration = format_duration(event.duration_ms)
                return f"health check after batch {event.batch}: {verdict}, {clean(event.detail)} ({duration})"
            case CancelRequested():
                return f"{event.cause}: {self._consequence(event, run)}"
            case _:
                return ""

    def _consequence(self, event: CancelRequested, run: Run) -> str:
        running = _hosts(len(run.in_flight))
        if event.now:
            return f"killing the command on {running}"
        return f"no further host starts, {running} still running will finish; once more kills them"


def summary(task: str, run: Run, *, interrupted: bool = False) -> str:
    """Return the last lines of a run: the verdict and its reason, hosts by outcome (folded), and what to type next."""
    hosts: dict[Outcome, list[str]] = {}
    for host in run.hosts:
        outcome = run.outcome(host, interrupted=interrupted)
        if outcome is not None:
            hosts.setdefault(outcome, []).append(host)
    verdict = f"task {task} {TaskStatus.INTERRUPTED if interrupted else run.status}"
    if run.finished is not None and run.finished.reason:
        verdict += f": {clean(run.finished.reason)}"
    width = len(str(len(run.hosts)))
    lines = [
        f"  {len(names):>{width}} {outcome:<11} {clean(fold(names))}"
        for outcome in Outcome
        if (names := hosts.get(outcome))
    ]
    return "\n".join([verdict, *lines, *_next(task, hosts)]) + "\n"


def off_the_record(task: str, run: Run, unrecorded: Sequence[HostFinished]) -> str:
    """Return what the operator has to know of a run whose journal gave way: each ending that is written nowhere else."""
    lines = [f"  {clean(event.host)}: {header(event.result)}" for event in unrecorded]
    started = len(run.results) + len(run.in_flight)
    verdict = (
        f"task {task}: the journal gave way; it holds {_hosts(len(run.results))} that ended, {len(lines)} ended after that"
        f"{':' if lines else ''}"
    )
    return "\n".join(
        [verdict, *lines, f"  {_hosts(len(run.hosts) - started)} never started; do not repeat what has run"]
    )


def _next(task: str, hosts: dict[Outcome, list[str]]) -> list[str]:
    missed = [outcome for outcome in Outcome if outcome in hosts and outcome is not Outcome.COMPLETE]
    if not missed:
        return [f"next: vigo task status {task}"]
    return [f"next: vigo task status {task}", f"      vigo task run COMMAND --target run:{task}:{'+'.join(missed)}"]


def _hosts(count: int) -> str:
    return f"{count} host" if count == 1 else f"{count} hosts"
