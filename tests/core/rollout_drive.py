"""Carries a case out on a `Run` as the engine does, in memory, and watches the rules on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.core.rollout_cases import Case
from vigo.core.events import (
    CancelRequested,
    Event,
    GateChecked,
    GateOpened,
    GateProbed,
    HostFinished,
    HostStarted,
    PauseEnded,
    TaskDispatched,
    TaskFinished,
    TaskPaused,
    TaskResumed,
)
from vigo.core.gate import GatePolicy
from vigo.core.model import HostResult, Outcome
from vigo.core.plan import OnStop, Policy
from vigo.core.quantity import Quantity, parse_quantity
from vigo.core.rollout import Check, Finish, Pause, Rest, Run, Start, Step, Wait, fold

URL = "http://lb.example.com/health"
PAUSE_MS = 30_000


def dispatch(case: Case) -> TaskDispatched:
    """Make the event that begins the case's run."""

    def quantity(text: str | None) -> Quantity | None:
        return None if text is None else parse_quantity(text, flag="--max-failures")

    policy = Policy(
        fanout=case.fanout,
        pause_ms=PAUSE_MS if case.pause else 0,
        stop_after=case.stop_after,
        failures_max=quantity(case.failures),
        unreachable_max=quantity(case.unreachable),
        on_stop=OnStop.PAUSE if case.when_stopped == "paused" else OnStop.ABORT,
        gate=GatePolicy((URL,) if case.gated else (), baseline=case.baseline),
    )
    return TaskDispatched("ops", "uptime", "all", case.batches, policy)


@dataclass
class Drive:
    """One case on its way. `told` has what happened in the words of the model."""

    case: Case
    run: Run = field(init=False)
    events: list[Event] = field(init=False)
    told: list[str] = field(default_factory=list)
    starts: Counter[str] = field(default_factory=Counter)
    again: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.events = [dispatch(self.case)]
        self.run = fold(iter(self.events))
        self._turn = -1
        self._answers = iter(self.case.answers)

    @classmethod
    def onward(cls, case: Case, journal: Sequence[Event], *, again: bool) -> Drive:
        """Stand where another drive's journal was cut off, and resume."""
        drive = cls(case)
        drive.events = list(journal)
        drive.run = fold(iter(drive.events))
        drive.starts.update(e.host for e in journal if isinstance(e, HostStarted))
        drive.again.update(host for e in journal if isinstance(e, TaskResumed) for host in e.again)
        drive.resume(again=again, stop_after=None)
        return drive

    def carry_out(self) -> Drive:
        """Go on, from resume to resume, until it ends or nobody resumes it any more."""
        self.told.append(self.leg())
        for again, stop_after in self.case.resumes:
            if self.run.finished is not None:
                break
            self.resume(again=again, stop_after=stop_after)
            self.told.append(self.leg())
        return self

    def leg(self) -> str:
        """Go on until it ends, pauses or dies; return the status."""
        steps_max = 20 + 5 * len(self.case.ends) + 5 * len(self.case.batches)
        for _ in range(steps_max):
            step = self.run.next_step()
            assert step == self.run.next_step(), "asked again, it says the same"
            self._turn += 1
            act = self.case.acts.get(self._turn)
            if isinstance(step, Check):
                self._open(step)
            if act == "interrupted":
                return act
            if act == "cancelled":
                self._apply(CancelRequested("operator"))
            else:
                self._do(step)
            if self.run.is_over:
                return str(self.run.status)
        raise AssertionError(f"no verdict after {steps_max} steps")

    def resume(self, *, again: bool, stop_after: int | None) -> None:
        """Let another process take over: it knows what the journal tells, and nothing else."""
        self.run = fold(iter(self.events))
        in_flight = tuple(self.run.in_flight)
        lost, back = ((), in_flight) if again else (in_flight, ())
        self.again.update(back)
        self._apply(TaskResumed("ops", lost, back, stop_after))

    def _do(self, step: Step) -> None:
        match step:
            case Start():
                self._start(step)
            case Wait():
                self._end_one()
            case Rest():
                assert step.duration_ms == PAUSE_MS
                self.told.append(f"rest {step.batch}")
                self._apply(PauseEnded(step.batch))
            case Check():
                self._check(step)
            case Pause():
                assert not self.run.in_flight, "what runs is awaited"
                self._apply(TaskPaused(step.reason))
            case Finish():
                assert not self.run.in_flight, "what runs is awaited"
                self._apply(TaskFinished(step.status, step.reason))

    def _start(self, step: Start) -> None:
        assert step.hosts, "a start of nobody would never end"
        assert self.run.halted is None, "nothing starts after a halt"
        assert {*step.hosts} <= {*self.case.batches[step.batch]}, "never outside the current batch"
        earlier = [host for batch in self.case.batches[: step.batch] for host in batch]
        assert all(host in self.run.results for host in earlier), "batches are barriers"
        if self.case.gated:
            needed = {*range(step.batch)} | ({None} if self.case.baseline else set())
            assert {gate.batch for gate in self.run.gates if gate.passed} >= needed, "each gate so far has passed"
        for host in step.hosts:
            assert host not in self.run.results, "what has an outcome never starts again"
            self.told.append(f"start {host}")
            if self.case.ends[host] == "rejected":
                self._apply(HostFinished(host, HostResult(Outcome.REJECTED)))
            else:
                self.starts[host] += 1
                assert self.starts[host] <= 1 + self.again[host], "no host twice, unless somebody asked for it"
                self._apply(HostStarted(host, step.batch))

    def _end_one(self) -> None:
        running = list(self.run.in_flight)
        host = running[self.case.picks[self._turn % len(self.case.picks)] % len(running)]
        self.told.append(f"end {host}")
        self._apply(HostFinished(host, HostResult(Outcome(self.case.ends[host]))))

    def _open(self, check: Check) -> None:
        assert self.case.gated
        assert not self.run.in_flight, "a gate is asked when its batch has ended on every host"
        asked = self.case.batches[check.batch or 0]
        ended = [host for host in asked if host in self.run.results]
        assert ended == ([] if check.batch is None else list(asked))
        done = [host for host in asked if check.batch is None or self.run.outcome(host) is Outcome.COMPLETE]
        assert check.hosts == tuple(done), "questions are for hosts that completed, or that are about to start"
        self._apply(GateOpened(check.batch))

    def _check(self, check: Check) -> None:
        passed = next(self._answers, True)
        self.told.append(f"gate {-1 if check.batch is None else check.batch} {passed}")
        self._apply(GateProbed(check.batch, URL, passed, "HTTP 503", 7))
        assert self.run.next_step() == check, "an answer alone decides nothing"
        self._apply(GateChecked(check.batch, passed, "HTTP 503", 7))

    def _apply(self, event: Event) -> None:
        self.events.append(event)
        self.run.apply(event)
        assert len(self.run.in_flight) <= self.case.fanout, "never more than the fan-out"
        assert {*self.run.in_flight}.isdisjoint(self.run.results)
