"""Readers of a run's records while it happens: results on stdout, one line per batch and mishap on stderr."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from vigo.core.events import (
    CancelRequested,
    GateChecked,
    GateOpened,
    GateProbed,
    HostFinished,
    HostStarted,
    Record,
    TaskDispatched,
    TaskFinished,
    TaskPaused,
    TaskResumed,
    TaskStatus,
)
from vigo.core.model import Outcome
from vigo.core.quantity import format_duration
from vigo.core.ranges import fold
from vigo.core.rollout import Run
from vigo.render.blocks import Kept, header
from vigo.render.listing import listed
from vigo.render.sanitize import clean
from vigo.render.views import Wish, announce, shown

_WITH_DETAIL = frozenset({Outcome.LOST})
"""Outcomes whose header on stdout has no room for what is known."""


_SUMMARY_LINES = 4
"""Lines of a terminal that the hosts of one outcome have at most."""
_NOT_TO_REPEAT = frozenset({Outcome.COMPLETE, Outcome.LOST})
"""Outcomes of hosts on which the command ran, or may have."""


class BlockPrinter:
    """Prints the page's first line, then each batch's blocks in plan order as soon as the batch has ended.

    Of a run that is resumed it prints what ends from then on.
    """

    def __init__(self, out: TextIO, kept: Kept, run: Run, wish: Wish | None = None) -> None:
        self._out = out
        self._kept = kept
        self._wish = wish or Wish()
        self._shown = set(run.results)
        self._printed = 0
        self._waiting = [sum(host not in self._shown for host in batch) for batch in run.batches]

    def on_record(self, record: Record, run: Run) -> None:
        """Print what this event made complete."""
        match event := record.event:
            case TaskDispatched():
                announce(self._out, record)
            case TaskResumed():
                announce(self._out, record)
                self._shown.difference_update(event.lost)
            case HostFinished():
                self._waiting[self._printed] -= 1  # batches are barriers: it belongs to the first that still waits
            case TaskFinished() | TaskPaused():
                self._print(run, len(run.batches))
            case _:
                pass
        while self._printed < len(self._waiting) and self._waiting[self._printed] == 0:
            self._print(run, self._printed + 1)

    def _print(self, run: Run, until: int) -> None:
        for batch in run.batches[self._printed : until]:
            self._out.writelines(
                shown(run, self._kept, self._wish, (host for host in batch if host not in self._shown))
            )
        self._printed = until
        self._out.flush()


class ProgressLines:
    """Tells the operator, line by line, about batches, gates, pauses and hosts that did not complete."""

    def __init__(self, err: TextIO) -> None:
        self._err = err
        self._batch = -1
        self._resting = -1
        self._unhealthy: dict[str, str] = {}

    def on_record(self, record: Record, run: Run) -> None:
        """Write the line for this event, if it is one that the operator should see."""
        lines = [self._line(record, run), self._rest(run)]
        text = "".join(f"{line}\n" for line in lines if line)
        if text:
            self._err.write(text)
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
            case GateOpened():
                self._unhealthy = {}
                return ""
            case GateProbed():
                return self._probed(event, run)
            case GateChecked():
                verdict = "passed" if event.passed else "FAILED"
                return f"{_gate(event)}: {verdict}, {clean(event.detail)} ({format_duration(event.duration_ms)})"
            case CancelRequested():
                return f"{clean(event.cause)}: {self._consequence(event, run)}"
            case _:
                return ""

    def _probed(self, event: GateProbed, run: Run) -> str:
        """Tell what a gate that has time to wait is waiting for: once, and again when the answer becomes another."""
        gate = run.dispatched.policy.gate
        told, self._unhealthy[event.ask] = self._unhealthy.get(event.ask), "" if event.passed else event.detail
        if gate.deadline_ms == 0 or event.passed or told == event.detail:
            return ""
        return f"{_gate(event)}: waiting, {clean(event.ask)}: {clean(event.detail)}"

    def _rest(self, run: Run) -> str:
        rest = run.rest
        if rest is None or rest.batch == self._resting or run.is_over:
            return ""
        self._resting = rest.batch
        return f"pause of {format_duration(rest.duration_ms)} before batch {rest.batch}"

    def _consequence(self, event: CancelRequested, run: Run) -> str:
        running = _hosts(len(run.in_flight))
        if event.now:
            return f"killing the command on {running}"
        once_more = "once more" if event.cause.startswith("SIG") else "with --now it"
        return f"no further host starts, {running} still running will finish; {once_more} kills them"


def _gate(event: GateProbed | GateChecked) -> str:
    return "health check before the first batch" if event.batch is None else f"health check after batch {event.batch}"


def summary(task: str, run: Run, width: int | None = None) -> str:
    """Return the last lines of a run: the verdict and its reason, hosts by outcome (folded), and what to type next.

    On a terminal so wide each outcome has a few lines; `task status` has the rest.
    """
    hosts: dict[Outcome, list[str]] = {}
    for host in run.hosts:
        outcome = run.outcome(host)
        if outcome is not None:
            hosts.setdefault(outcome, []).append(host)
    verdict = f"task {task} {run.status}"
    if run.reason:
        verdict += f": {clean(run.reason)}"
    digits = len(str(len(run.hosts)))
    lines = [
        listed(f"  {len(names):>{digits}} {outcome:<11} ", clean(fold(names)).split(", "), width, _SUMMARY_LINES)
        for outcome in Outcome
        if (names := hosts.get(outcome))
    ]
    return "\n".join([verdict, *lines, *_next(task, run)]) + "\n"


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


def next_commands(task: str, run: Run, status: TaskStatus) -> list[str]:
    """Return what an operator may want to type next, the likeliest first."""
    interrupted = status is TaskStatus.INTERRUPTED
    outcomes = run.counts(interrupted=interrupted)
    missed = [outcome for outcome in Outcome if outcomes[outcome] and outcome not in _NOT_TO_REPEAT]
    commands = []
    if outcomes[Outcome.LOST]:
        commands.append(f"vigo task status {task} --look")
    if interrupted or status is TaskStatus.PAUSED:
        commands.append(f"vigo task resume {task}")
    elif missed and status is not TaskStatus.RUNNING:
        commands.append(f"vigo task rerun {task} --only {','.join(missed)}")
    if run.dispatched.rollback is not None and status not in (TaskStatus.RUNNING, TaskStatus.COMPLETE):
        commands.append(f"vigo task rollback {task}")
    return [*commands, f"vigo task status {task}"]


def _next(task: str, run: Run) -> list[str]:
    first, *rest = next_commands(task, run, run.status)
    return [f"next: {first}", *(f"      {command}" for command in rest)]


def _hosts(count: int) -> str:
    return f"{count} host" if count == 1 else f"{count} hosts"
