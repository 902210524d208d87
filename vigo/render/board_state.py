"""What the board knows of a run: kept up to date record by record, so that a frame costs what fits on the screen.

Rule 1: taking in one record costs the same however many hosts there are; only an end and a resume look at all of them.
Rule 2: nothing here draws, reads a clock or cleans: text from outside is kept as it came, bounded.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from vigo.core.events import (
    CancelRequested,
    GateChecked,
    GateOpened,
    GateProbed,
    HostFinished,
    HostStarted,
    Record,
    TaskResumed,
    TaskStatus,
)
from vigo.core.model import HostResult, Outcome
from vigo.core.rollout import Run
from vigo.core.values import dataclass

MISSED_MAX = 100
"""How many hosts that did not complete are remembered for their rows; the grid and the counts know all of them."""
LINE_BYTES_MAX = 512
_FAILURES = frozenset({Outcome.FAILED, Outcome.TIMEOUT, Outcome.LOST})


class State(StrEnum):
    """Where a host stands; the ends are those of `Outcome`."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    REJECTED = "rejected"
    LOST = "lost"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


@dataclass(slots=True)
class Gate:
    """A health check that is being asked."""

    batch: int | None
    opened_at_ms: int
    answer: str = ""
    """The latest answer that was not healthy, with what was asked."""


@dataclass(frozen=True, slots=True)
class Pausing:
    """A pause before a batch."""

    batch: int
    begun_at_ms: int
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Budget:
    """Hosts that may fail, and those that did."""

    noun: str
    spent: int
    allowed: int | None
    """None is without limit."""


class BoardState:
    """A task as its board shows it. Times are milliseconds since 1970, as the journal stamps them."""

    def __init__(self, task: str, run: Run, at_ms: int) -> None:
        self.task = task
        self.dispatched = run.dispatched
        self.batches = run.batches
        self.begun_at_ms = at_ms
        self.last_at_ms = at_ms
        self.cells = [State.WAITING] * len(run.hosts)
        """State of each host, in plan order."""
        self.running: dict[str, int] = {}
        """Host -> when it started; the first one has run longest."""
        self.missed: deque[tuple[str, HostResult]] = deque(maxlen=MISSED_MAX)
        self.counts = Counter({State.WAITING: len(run.hosts)})
        self.gates: dict[int | None, bool] = {}
        self.gate: Gate | None = None
        self.pausing: Pausing | None = None
        self.cancel: CancelRequested | None = None
        self.status = run.status
        self.reason = run.reason
        self.halted = run.halted
        self.batch = run.batch
        self._places = {host: place for place, host in enumerate(run.hosts)}
        self._ends: list[int] = []
        for batch in run.batches:
            self._ends.append((self._ends[-1] if self._ends else 0) + len(batch))
        self._ended = [0] * len(run.batches)
        self._missed_in = [0] * len(run.batches)
        self._failures = self._unreachable = 0
        self._tails: dict[str, bytes] = {}
        for host, result in run.results.items():
            self._end(host, result)
        for host in run.in_flight:
            self._start(host, at_ms)
        self._failures = self._unreachable = 0  # who resumes has seen them

    def on_record(self, record: Record, run: Run) -> None:
        """Take in one record that was applied to the run."""
        at_ms = self.last_at_ms = max(self.last_at_ms, epoch_ms(record.at))
        match event := record.event:
            case HostStarted():
                self._start(event.host, at_ms)
            case HostFinished():
                self._end(event.host, event.result)
            case GateOpened():
                self.gate = Gate(event.batch, at_ms)
            case GateProbed() if self.gate is not None and not event.passed:
                self.gate.answer = f"{event.ask}: {event.detail}"
            case GateChecked():
                self.gate, self.gates[event.batch] = None, event.passed
            case CancelRequested():
                self.cancel = event
            case TaskResumed():
                self._resume(event)
            case _:
                pass
        self._stand(run, at_ms)

    def ended(self, batch: int) -> int:
        """Return how many hosts of a batch have an outcome."""
        return self._ended[batch]

    def is_clean(self, batch: int) -> bool:
        """Say whether all hosts of a batch that have an outcome completed."""
        return self._missed_in[batch] == 0

    @property
    def frontier(self) -> int:
        """The position where the current batch begins."""
        return self._ends[self.batch - 1] if 0 < self.batch <= len(self._ends) else 0

    @property
    def budgets(self) -> Sequence[Budget]:
        """The failures, and the unreachable hosts where they have a budget of their own."""
        policy, total = self.dispatched.policy, len(self.cells)
        allowed = None if policy.failures_max is None else policy.failures_max.of(total)
        if policy.unreachable_max is None:
            return (Budget("failures", self._failures + self._unreachable, allowed),)
        return (
            Budget("failures", self._failures, allowed),
            Budget("unreachable", self._unreachable, policy.unreachable_max.of(total)),
        )

    def hear(self, host: str, data: bytes) -> None:
        """Keep the end of what a host that is running said last."""
        if host in self.running:
            kept = self._tails.get(host, b"") if len(data) < LINE_BYTES_MAX else b""
            self._tails[host] = (kept + data[-LINE_BYTES_MAX:])[-LINE_BYTES_MAX:]

    def tail(self, host: str) -> bytes:
        """Return the end of what a host said last, unclean; empty when nothing was heard."""
        return self._tails.get(host, b"")

    def interrupt(self) -> None:
        """Take in that the control process is gone: what was in flight is lost, the rest was skipped."""
        for host in tuple(self.running):
            self._end(host, HostResult(Outcome.LOST, detail="outcome unknown: the control process died"))
        self._skip_rest()
        self.status = TaskStatus.INTERRUPTED
        self.reason = "the control process is gone"

    def _start(self, host: str, at_ms: int) -> None:
        self.running[host] = at_ms
        self._set(host, State.RUNNING)

    def _end(self, host: str, result: HostResult) -> None:
        self.running.pop(host, None)
        self._set(host, State(result.outcome))
        place = self._places[host]
        batch = bisect_right(self._ends, place)
        self._ended[batch] += 1
        self._missed_in[batch] += result.outcome is not Outcome.COMPLETE
        if result.outcome is Outcome.UNREACHABLE:
            self._unreachable += 1
        self._failures += result.outcome in _FAILURES
        if result.outcome is Outcome.COMPLETE:
            self._tails.pop(host, None)
            return
        if len(self.missed) == MISSED_MAX:
            self._tails.pop(self.missed[0][0], None)
        self.missed.append((host, result))

    def _set(self, host: str, state: State) -> None:
        place = self._places[host]
        self.counts[self.cells[place]] -= 1
        self.counts[state] += 1
        self.cells[place] = state

    def _stand(self, run: Run, at_ms: int) -> None:
        self.batch, self.halted, self.status, self.reason = run.batch, run.halted, run.status, run.reason
        if run.is_over:
            self.gate = self.pausing = None
            if run.finished is not None:
                self._skip_rest()
            return
        rest = run.rest
        if rest is None:
            self.pausing = None
        elif self.pausing is None or self.pausing.batch != rest.batch:
            self.pausing = Pausing(rest.batch, at_ms, rest.duration_ms)

    def _resume(self, event: TaskResumed) -> None:
        for host in event.lost:
            if self.cells[self._places[host]] is not State.LOST:
                self._end(host, HostResult(Outcome.LOST, detail="the control process died while the command ran"))
        for host in event.again:
            self.running.pop(host, None)
            self._set(host, State.WAITING)
        self.gate = self.pausing = self.cancel = None
        self._failures = self._unreachable = 0

    def _skip_rest(self) -> None:
        for place, state in enumerate(self.cells):
            if state is State.WAITING:
                self.cells[place] = State.SKIPPED
        self.counts[State.SKIPPED] += self.counts.pop(State.WAITING, 0)


def epoch_ms(at: str) -> int:
    """Return the milliseconds since 1970 of a journal's time."""
    return round(datetime.fromisoformat(at).timestamp() * 1000)
