"""When a host may be touched, and when not: a run is the fold of its events.

Rule 1: everything that affects what happens next must live here, and changes in `apply` alone.
Rule 2: a host starts at most once, in the order of the plan, and never outside the current batch.
Rule 3: no more than `fanout` hosts are in flight.
Rule 4: a batch begins when the one before it has ended on every host and its gate, where there is one, has passed.
Rule 5: from the event that halts a run (budget exceeded, gate failed, cancel) not one further host starts; what runs
        is awaited, the rest is skipped.
Rule 6: the last batch is gated too: every host ran, and yet the task is aborted when the check after it fails.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TypeAlias, assert_never

from vigo.core.events import (
    CancelRequested,
    Event,
    GateChecked,
    HostFinished,
    HostStarted,
    OutputPruned,
    TaskBlocked,
    TaskDispatched,
    TaskFinished,
    TaskStatus,
)
from vigo.core.model import HostResult, Outcome

_FAILURES = frozenset({Outcome.FAILED, Outcome.TIMEOUT, Outcome.LOST})
_NAMED_HOSTS_MAX = 10


@dataclass(frozen=True, slots=True)
class Start:
    """Start these hosts now."""

    hosts: tuple[str, ...]
    batch: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do until a running host ends."""


@dataclass(frozen=True, slots=True)
class Check:
    """Probe the gate after this batch."""

    batch: int
    url: str


@dataclass(frozen=True, slots=True)
class Finish:
    """Write the verdict down and stop."""

    status: TaskStatus
    reason: str


Step: TypeAlias = Start | Wait | Check | Finish


class Run:
    """A task as far as its events tell. `next_step` asks, `apply` is the only thing that changes it.

    It keeps cursors and one result a host, no copies: folding is linear in the events.
    """

    def __init__(self, dispatched: TaskDispatched) -> None:
        self.dispatched = dispatched
        self.batches = dispatched.batches
        self.hosts = tuple(chain.from_iterable(dispatched.batches))
        self.results: dict[str, HostResult] = {}
        self.in_flight: dict[str, int] = {}
        self.gates: list[GateChecked] = []
        self.halted: str | None = None
        self.cancelled = False
        self.finished: TaskFinished | None = None
        self._batch = 0
        self._started = 0
        self._ended = 0
        self._failures: list[str] = []
        self._unreachable: list[str] = []
        policy, total = dispatched.policy, len(self.hosts)
        self._failures_max = None if policy.failures_max is None else policy.failures_max.of(total)
        self._unreachable_max = None if policy.unreachable_max is None else policy.unreachable_max.of(total)

    def next_step(self) -> Step:
        """Say what is to be done now. Asked again without an event in between, it says the same."""
        if self.halted is not None:
            return Wait() if self.in_flight else Finish(self._halted_status(), self.halted)
        batch = self.batches[self._batch] if self._batch < len(self.batches) else ()
        if self._started < len(batch):
            return self._start(batch)
        if self.in_flight:
            return Wait()
        url = self.dispatched.policy.health_check_url
        if url is not None and self._batch < len(self.batches):
            return Check(self._batch, url)
        return Finish(TaskStatus.COMPLETE, "")

    def apply(self, event: Event) -> None:
        """Take in one event that was written to the journal.

        Raises ValueError for an event that breaks a rule above: such a journal was not written by this program.
        """
        match event:
            case HostStarted():
                self._host_started(event)
            case HostFinished():
                self._host_finished(event)
            case GateChecked():
                self._gate_checked(event)
            case CancelRequested():
                self._cancel(event)
            case TaskFinished():
                self.finished = event
            case TaskDispatched() | TaskBlocked() | OutputPruned():
                raise ValueError(f"{event.kind} cannot follow a dispatch")
            case _:
                assert_never(event)

    @property
    def status(self) -> TaskStatus:
        """Where the task stands as far as its own events tell; `interrupted` is for an observer to say."""
        return TaskStatus.RUNNING if self.finished is None else self.finished.status

    def outcome(self, host: str, *, interrupted: bool = False) -> Outcome | None:
        """Return the host's outcome, or None while it has none.

        What a finished task never started was skipped. `interrupted` says that the control process died: what was in
        flight then is lost, the rest was skipped.
        """
        result = self.results.get(host)
        if result is not None:
            return result.outcome
        if interrupted and host in self.in_flight:
            return Outcome.LOST
        return Outcome.SKIPPED if interrupted or self.finished is not None else None

    def counts(self, *, interrupted: bool = False) -> Mapping[Outcome, int]:
        """Return how many hosts have each outcome; hosts without one are not counted."""
        outcomes = (self.outcome(host, interrupted=interrupted) for host in self.hosts)
        return Counter(outcome for outcome in outcomes if outcome is not None)

    def _start(self, batch: tuple[str, ...]) -> Step:
        free = self.dispatched.policy.fanout - len(self.in_flight)
        hosts = batch[self._started : self._started + free]
        return Start(hosts, self._batch) if free > 0 else Wait()

    def _host_started(self, event: HostStarted) -> None:
        if event.batch != self._batch or len(self.in_flight) >= self.dispatched.policy.fanout:
            raise ValueError(f"host {event.host!r} may not start in batch {event.batch} now")
        self._move_cursor(event.host)
        self.in_flight[event.host] = event.batch

    def _host_finished(self, event: HostFinished) -> None:
        if self.in_flight.pop(event.host, None) is None:
            self._move_cursor(event.host)
        self.results[event.host] = event.result
        self._ended += 1
        self._charge(event.host, event.result.outcome)
        gated = self.dispatched.policy.health_check_url is not None
        if self._ended == len(self.batches[self._batch]) and not gated:
            self._next_batch()

    def _move_cursor(self, host: str) -> None:
        batch = self.batches[self._batch] if self._batch < len(self.batches) else ()
        if self.halted is not None or self._started >= len(batch) or batch[self._started] != host:
            raise ValueError(f"host {host!r} was started out of turn in batch {self._batch}")
        self._started += 1

    def _charge(self, host: str, outcome: Outcome) -> None:
        """Count a result against its budget and halt at the first one too many."""
        own_budget = self._unreachable_max is not None
        if outcome is Outcome.UNREACHABLE and own_budget:
            self._unreachable.append(host)
            self._halt_over(self._unreachable, self._unreachable_max, "unreachable hosts")
        elif outcome in _FAILURES or outcome is Outcome.UNREACHABLE:
            self._failures.append(host)
            self._halt_over(self._failures, self._failures_max, "failures")

    def _halt_over(self, hosts: list[str], allowed: int | None, noun: str) -> None:
        if allowed is not None and len(hosts) > allowed:
            named = ", ".join(hosts[:_NAMED_HOSTS_MAX]) + (", …" if len(hosts) > _NAMED_HOSTS_MAX else "")
            self._halt(
                f"{len(hosts)} {noun if len(hosts) != 1 else noun.removesuffix('s')}, {allowed} allowed: {named}"
            )

    def _gate_checked(self, event: GateChecked) -> None:
        step = self.next_step()
        if not isinstance(step, Check) or step.batch != event.batch:
            raise ValueError(f"the gate after batch {event.batch} was checked out of turn")
        self.gates.append(event)
        if event.passed:
            self._next_batch()
        elif event.batch == len(self.batches) - 1:
            self._halt(f"every host ran; the check after the last batch failed: {event.detail}")
        else:
            self._halt(f"the health check after batch {event.batch} failed: {event.detail}")

    def _cancel(self, event: CancelRequested) -> None:
        self.cancelled = self.cancelled or self.halted is None
        self._halt(f"cancelled by {event.cause}")

    def _halt(self, reason: str) -> None:
        """Stop starting; the first reason stands."""
        if self.halted is None:
            self.halted = reason

    def _halted_status(self) -> TaskStatus:
        return TaskStatus.CANCELLED if self.cancelled else TaskStatus.ABORTED

    def _next_batch(self) -> None:
        self._batch += 1
        self._started = self._ended = 0


def fold(events: Iterator[Event]) -> Run:
    """Replay a dispatched task's events; the first must be its dispatch.

    Raises ValueError for a sequence that no run can have written.
    """
    first = next(events, None)
    if not isinstance(first, TaskDispatched):
        raise ValueError("a run begins with task.dispatch")  # noqa: TRY004 - it is the journal that is wrong, not a type
    run = Run(first)
    for event in events:
        run.apply(event)
    return run
