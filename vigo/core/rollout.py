"""When a host may be touched, and when not: a run is the fold of its events.

Rule 1: everything that affects what happens next must live here, and changes in `apply` alone.
Rule 2: a host starts at most once, in the order of the plan, and never outside the current batch.
Rule 3: no more than `fanout` hosts are in flight.
Rule 4: a batch begins when the one before it has ended on every host, its gate, where there is one, has passed and the
        pause, where there is one, is over. With a baseline the first batch waits for the gate too.
Rule 5: from the event that halts a run (budget exceeded, gate failed, cancel) not one further host starts; what runs
        is awaited, the rest is skipped, or left for a resume where the policy says so.
Rule 6: the last batch is gated too: every host ran, and yet the task stops when the check after it fails.
Rule 7: a resume lets a paused or interrupted task go on where it stood. What had an outcome keeps it; what was in flight
        is lost unless the operator wants it started again; budgets count anew. A cancelled or aborted run only ends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import TypeAlias, assert_never

from vigo.core.events import (
    CancelRequested,
    Event,
    GateChecked,
    GateOpened,
    GateProbed,
    HostFinished,
    HostStarted,
    OutputPruned,
    PauseEnded,
    TaskBlocked,
    TaskDispatched,
    TaskFinished,
    TaskPaused,
    TaskResumed,
    TaskStatus,
)
from vigo.core.model import HostResult, Outcome
from vigo.core.plan import OnStop
from vigo.core.values import dataclass

_FAILURES = frozenset({Outcome.FAILED, Outcome.TIMEOUT, Outcome.LOST})
_NAMED_HOSTS_MAX = 10
_LOST = HostResult(Outcome.LOST, detail="the control process died while the command ran; outcome unknown")


@dataclass(frozen=True, slots=True)
class Start:
    """Start these hosts now."""

    hosts: tuple[str, ...]
    batch: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do until a running host ends."""


@dataclass(frozen=True, slots=True)
class Rest:
    """Let the pause before this batch pass."""

    batch: int
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Check:
    """Ask the gate after this batch, or with None the one before the first."""

    batch: int | None
    hosts: tuple[str, ...]
    """Those that the gate's questions per host are for: the batch's hosts that completed."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Write down that the task waits for a resume, and stop."""

    reason: str


@dataclass(frozen=True, slots=True)
class Finish:
    """Write the verdict down and stop."""

    status: TaskStatus
    reason: str


Step: TypeAlias = Start | Wait | Rest | Check | Pause | Finish


class Run:
    """A task as far as its events tell. `next_step` asks, `apply` is the only thing that changes it.

    It keeps cursors and one result a host, no copies: folding is linear in the events.
    """

    def __init__(self, dispatched: TaskDispatched) -> None:
        self.dispatched = dispatched
        self.batches = dispatched.batches
        self.hosts = tuple(chain.from_iterable(dispatched.batches))
        self.results: dict[str, HostResult] = {}
        self.in_flight: dict[str, HostStarted] = {}
        self.gates: list[GateChecked] = []
        self.halted: str | None = None
        self.cancelled = False
        self.paused: TaskPaused | None = None
        self.finished: TaskFinished | None = None
        self.batch = 0
        """Index of the current batch; the number of batches when all are through."""
        policy, total = dispatched.policy, len(self.hosts)
        self._policy = policy
        self._failures_max = None if policy.failures_max is None else policy.failures_max.of(total)
        self._unreachable_max = None if policy.unreachable_max is None else policy.unreachable_max.of(total)
        self._failures: list[str] = []
        self._unreachable: list[str] = []
        self._again: set[str] = set()
        self._to_check: tuple[str, ...] | None = None
        self._is_baselined = not (policy.gate.is_set and policy.gate.baseline)
        self._is_rested = True
        self._leg_ends = policy.stop_after
        self._enter(0)

    def next_step(self, at_once: int | None = None) -> Step:
        """Say what is to be done now. Asked again without an event in between, it says the same.

        `at_once` is how many hosts may be in flight where fewer can be than the policy allows.
        """
        if self.halted is not None:
            return Wait() if self.in_flight else self._stop(self.halted)
        before = self._before_start()
        if before is not None:
            return before
        fanout = self._policy.fanout if at_once is None else min(self._policy.fanout, at_once)
        free = fanout - len(self.in_flight)
        hosts = self._queue[self._started : self._started + free] if free > 0 else ()
        return Start(hosts, self.batch) if hosts else Wait()

    @property
    def rest(self) -> Rest | None:
        """The pause that is due now, or None: asked after each event, it makes no step of many hosts."""
        step = self._before_start() if self.halted is None else None
        return step if isinstance(step, Rest) else None

    def apply(self, event: Event) -> None:
        """Take in one event that was written to the journal.

        Raises ValueError for an event that breaks a rule above: such a journal was not written by this program.
        """
        if self.finished is not None or (self.paused is not None and not isinstance(event, TaskResumed)):
            raise ValueError(f"{event.kind} after the task had stopped")
        match event:
            case HostStarted():
                self._host_started(event)
            case HostFinished():
                self._host_finished(event)
            case GateOpened() | GateProbed() | GateChecked():
                self._gate(event)
            case PauseEnded():
                self._pause_ended(event)
            case CancelRequested():
                self._cancel(event)
            case TaskResumed():
                self._resume(event)
            case TaskPaused() | TaskFinished():
                self._stopped(event)
            case TaskDispatched() | TaskBlocked() | OutputPruned():
                raise ValueError(f"{event.kind} cannot follow a dispatch")
            case _:
                assert_never(event)

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens unless somebody resumes it."""
        return self.finished is not None or self.paused is not None

    @property
    def status(self) -> TaskStatus:
        """Where the task stands as far as its own events tell; `interrupted` is for an observer to say."""
        if self.finished is not None:
            return self.finished.status
        return TaskStatus.RUNNING if self.paused is None else TaskStatus.PAUSED

    @property
    def reason(self) -> str:
        """Why it stopped early, with the numbers; empty while it runs and when it did not."""
        end = self.finished or self.paused
        return end.reason if end is not None else ""

    def outcome(self, host: str, *, interrupted: bool = False) -> Outcome | None:
        """Return the host's outcome, or None while it has none.

        What a finished task never started was skipped. `interrupted` says that the control process died: what was in
        flight then is lost, the rest was skipped. What was to start again after a crash, and did not, is lost too.
        """
        result = self.results.get(host)
        if result is not None:
            return result.outcome
        if not interrupted and self.finished is None:
            return None
        return Outcome.LOST if host in self.in_flight or host in self._again else Outcome.SKIPPED

    def counts(self, *, interrupted: bool = False) -> Counter[Outcome]:
        """Return how many hosts have each outcome; hosts without one are not counted."""
        outcomes = (self.outcome(host, interrupted=interrupted) for host in self.hosts)
        return Counter(outcome for outcome in outcomes if outcome is not None)

    def _stop(self, reason: str) -> Step:
        if self.cancelled:
            return Finish(TaskStatus.CANCELLED, reason)
        return Pause(reason) if self._policy.on_stop is OnStop.PAUSE else Finish(TaskStatus.ABORTED, reason)

    def _before_start(self) -> Step | None:
        """Return what has to come before the current batch's next host, or None when it may start."""
        if self.batch == len(self.batches):
            return Finish(TaskStatus.COMPLETE, "")
        if self._left == 0:
            return Check(self.batch, self._completed())
        if not self._is_baselined:
            return Check(None, self.batches[0])
        if self.batch == self._leg_ends:
            return Pause(f"{self.batch} of {len(self.batches)} batches ran, as asked")
        return None if self._is_rested else Rest(self.batch, self._policy.pause_ms)

    def _completed(self) -> tuple[str, ...]:
        """Return the batch's hosts that completed, found once: a gate asks each of them, and takes each answer in."""
        if self._to_check is None:
            results = self.results
            self._to_check = tuple(
                host for host in self.batches[self.batch] if results[host].outcome is Outcome.COMPLETE
            )
        return self._to_check

    def _enter(self, batch: int) -> None:
        """Stand at the beginning of what is left of a batch."""
        self.batch = batch
        hosts = self.batches[batch] if batch < len(self.batches) else ()
        self._queue = tuple(host for host in hosts if host not in self.results)
        self._started = 0
        self._left = len(self._queue)
        self._to_check = None

    def _leave(self) -> None:
        """Go on to the next batch."""
        self._is_rested = self._policy.pause_ms == 0
        self._enter(self.batch + 1)

    def _host_started(self, event: HostStarted) -> None:
        if event.batch != self.batch or len(self.in_flight) >= self._policy.fanout:
            raise ValueError(f"host {event.host!r} may not start in batch {event.batch} now")
        self._move_cursor(event.host)
        self.in_flight[event.host] = event
        self._again.discard(event.host)

    def _host_finished(self, event: HostFinished) -> None:
        if self.in_flight.pop(event.host, None) is None:
            if event.result.outcome is not Outcome.REJECTED:
                raise ValueError(f"host {event.host!r} ended without a start")
            self._move_cursor(event.host)
        self.results[event.host] = event.result
        self._left -= 1
        self._charge(event.host, event.result.outcome)
        self._leave_if_over()

    def _leave_if_over(self) -> None:
        if self._left == 0 and self.batch < len(self.batches) and not self._policy.gate.is_set:
            self._leave()

    def _move_cursor(self, host: str) -> None:
        out_of_turn = self._started >= len(self._queue) or self._queue[self._started] != host
        if out_of_turn or self.halted is not None or self._before_start() is not None:
            raise ValueError(f"host {host!r} was started out of turn in batch {self.batch}")
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

    def _gate(self, event: GateOpened | GateProbed | GateChecked) -> None:
        step = self.next_step()
        if not isinstance(step, Check) or step.batch != event.batch:
            raise ValueError(f"{event.kind} of batch {event.batch} out of turn")
        if not isinstance(event, GateChecked):
            return
        self.gates.append(event)
        if not event.passed:
            self._halt(_gate_failure(event, len(self.batches)))
        elif event.batch is None:
            self._is_baselined = True
        else:
            self._leave()

    def _pause_ended(self, event: PauseEnded) -> None:
        if self.rest is None or self.rest.batch != event.batch:
            raise ValueError(f"no pause before batch {event.batch} was due")
        self._is_rested = True

    def _cancel(self, event: CancelRequested) -> None:
        self.cancelled = self.cancelled or self.halted is None
        self._halt(f"cancelled by {event.cause}")

    def _halt(self, reason: str) -> None:
        """Stop starting; the first reason stands."""
        if self.halted is None:
            self.halted = reason

    def _stopped(self, event: TaskPaused | TaskFinished) -> None:
        if self.in_flight:
            raise ValueError(f"{event.kind} while a host was in flight")
        if isinstance(event, TaskPaused):
            self.paused = event
        else:
            self.finished = event

    def _resume(self, event: TaskResumed) -> None:
        if self.in_flight.keys() != {*event.lost, *event.again}:
            raise ValueError("a resume has to say what becomes of each host that was in flight, and of no other")
        only_ends = self.halted is not None and (self.cancelled or self._policy.on_stop is OnStop.ABORT)
        self.in_flight.clear()
        self.results.update(dict.fromkeys(event.lost, _LOST))
        self._again.update(event.again)
        self.paused = None
        if only_ends:
            return
        self.halted = None
        self._failures.clear()
        self._unreachable.clear()
        self._enter(self.batch)
        self._leave_if_over()
        self._is_rested = True
        self._leg_ends = None if event.stop_after is None else self.batch + event.stop_after


def _gate_failure(event: GateChecked, batches: int) -> str:
    if event.batch is None:
        return f"the health check before the first batch failed: {event.detail}"
    if event.batch == batches - 1:
        return f"every host ran; the check after the last batch failed: {event.detail}"
    return f"the health check after batch {event.batch} failed: {event.detail}"


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
