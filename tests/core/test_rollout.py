from __future__ import annotations

import gc
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from time import process_time

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.core.rollout_cases import cases
from tests.core.rollout_model import Case, play
from vigo.core.events import (
    CancelRequested,
    Event,
    GateChecked,
    HostFinished,
    HostStarted,
    TaskBlocked,
    TaskDispatched,
    TaskFinished,
    TaskStatus,
)
from vigo.core.model import HostResult, Outcome
from vigo.core.plan import Policy
from vigo.core.quantity import Quantity, parse_quantity
from vigo.core.rollout import Check, Finish, Run, Start, Wait, fold

URL = "http://lb.example.com/health"
NEVER_RUN = frozenset({"rejected"})


# --- a driver that does what the engine does, in memory, and watches the rules on the way


class Drive:
    """Carries a case out on a `Run` and checks after each step that no rule was broken."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.events: list[Event] = [dispatch(case)]
        self.run = fold(iter(self.events))
        self.turn = 0
        self.started: list[str] = []
        self.halted_at: int | None = None

    def carry_out(self) -> Drive:
        """Go on until the verdict is written down."""
        steps_max = 10 + 5 * len(self.case.ends) + 3 * len(self.case.batches)
        for _ in range(steps_max):
            if self.run.finished is not None:
                return self
            self._step()
        raise AssertionError(f"no verdict after {steps_max} steps")

    def _step(self) -> None:
        step = self.run.next_step()
        assert step == self.run.next_step(), "asked again, it says the same"
        match step:
            case Start():
                self._start(step)
            case Wait() | Check() if self.turn == self.case.cancel_at:
                self._apply(CancelRequested("operator"))
                self.turn += 1
            case Wait():
                running = list(self.run.in_flight)
                host = running[self.case.picks[self.turn % len(self.case.picks)] % len(running)]
                self.turn += 1
                self._apply(HostFinished(host, HostResult(Outcome(self.case.ends[host]))))
            case Check():
                assert self.case.gates is not None
                assert step.url == URL
                assert not self.run.in_flight, "a gate is asked when its batch has ended on every host"
                self.turn += 1
                self._apply(GateChecked(step.batch, self.case.gates[step.batch], "HTTP 503", 7))
            case Finish():
                assert not self.run.in_flight, "what runs is awaited"
                self._apply(TaskFinished(step.status, step.reason))

    def _start(self, step: Start) -> None:
        assert step.hosts, "a start of nobody would never end"
        assert self.run.halted is None, "nothing starts after a halt"
        assert set(step.hosts) <= set(self.case.batches[step.batch]), "never outside the current batch"
        earlier = [host for batch in self.case.batches[: step.batch] for host in batch]
        assert all(host in self.run.results for host in earlier), "batches are barriers"
        if self.case.gates is not None:
            assert self.run.gates == [gate for gate in self.run.gates if gate.passed]
            assert len(self.run.gates) == step.batch, "each earlier batch's gate has passed"
        self.started += step.hosts
        assert len(self.started) == len(set(self.started)), "no host twice"
        for host in step.hosts:
            if self.case.ends[host] in NEVER_RUN:
                self._apply(HostFinished(host, HostResult(Outcome.REJECTED)))
            else:
                self._apply(HostStarted(host, step.batch))

    def _apply(self, event: Event) -> None:
        self.events.append(event)
        self.run.apply(event)
        assert len(self.run.in_flight) <= self.case.fanout
        assert set(self.run.in_flight).isdisjoint(self.run.results)


def dispatch(case: Case) -> TaskDispatched:
    """Make the event that begins the case's run."""

    def quantity(text: str | None) -> Quantity | None:
        return None if text is None else parse_quantity(text, flag="--max-failures")

    policy = Policy(
        fanout=case.fanout,
        failures_max=quantity(case.failures),
        unreachable_max=quantity(case.unreachable),
        health_check_url=None if case.gates is None else URL,
    )
    return TaskDispatched("ops", "uptime", "all", case.batches, policy)


def outcomes(run: Run) -> dict[str, str]:
    """Return each host's outcome as the run tells it."""
    return {host: str(run.outcome(host)) for host in run.hosts}


def names(count: int, first: int = 0) -> tuple[str, ...]:
    """Return host names in plan order."""
    return tuple(f"h{number}" for number in range(first, first + count))


def case_of(*batches: tuple[str, ...], **settings: object) -> Case:
    """Make a case in which every host completes unless `ends` says otherwise."""
    ends = {host: "complete" for batch in batches for host in batch}
    ends.update(settings.pop("ends", {}))  # type: ignore[call-overload]
    return Case(batches, ends, **settings)  # type: ignore[arg-type]


# --- properties


def obeys_the_rules(case: Case) -> None:
    """Check one case against the rules, the model and its own replay."""
    drive = Drive(case).carry_out()
    run = drive.run
    expected, verdict, gates_asked = play(case)
    assert outcomes(run) == expected
    assert str(run.status) == verdict
    assert len(run.gates) == gates_asked
    assert {str(outcome): count for outcome, count in run.counts().items()} == Counter(expected.values())
    assert drive.started == [host for host in run.hosts if host in run.results], "starts follow the plan's order"

    again = fold(iter(drive.events))
    for name in ("results", "halted", "in_flight", "gates", "finished", "cancelled", "status"):
        assert getattr(again, name) == getattr(run, name), name
    assert again.counts() == run.counts()


@settings(max_examples=500, deadline=None)
@given(cases())
@example(case_of(names(3), fanout=1, ends={"h0": "failed"}, failures="0"))
@example(case_of(names(2), names(2, 2), gates=(True, False)))
def test_any_run_obeys_the_rules_and_agrees_with_the_model(case: Case) -> None:
    """Whatever hosts do and in whatever order, rules 1 to 6 hold and a replay gives the same run."""
    obeys_the_rules(case)


@pytest.mark.faults
@pytest.mark.timeout(900)
@settings(max_examples=5_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases())
def test_five_thousand_runs_obey_the_rules(case: Case) -> None:
    """The same property, with the fault catalogue's count (C1)."""
    obeys_the_rules(case)


@settings(max_examples=200, deadline=None)
@given(cases(), st.data())
def test_a_journal_that_stops_anywhere_tells_a_consistent_story(case: Case, data: st.DataObject) -> None:
    """A run that was cut off is lost where it was in flight and skipped where it had not started, and nothing else."""
    events = Drive(case).carry_out().events
    until = data.draw(st.integers(1, len(events) - 1))
    run = fold(iter(events[:until]))
    assert run.status is TaskStatus.RUNNING
    for host in run.hosts:
        seen = run.outcome(host, interrupted=True)
        if host in run.results:
            assert seen is run.results[host].outcome is run.outcome(host)
        else:
            assert seen is (Outcome.LOST if host in run.in_flight else Outcome.SKIPPED)
            assert run.outcome(host) is None
    assert sum(run.counts().values()) == len(run.results)
    assert sum(run.counts(interrupted=True).values()) == len(run.hosts)


# --- budgets


@pytest.mark.parametrize("kind", ["failed", "timeout", "lost", "unreachable"])
@pytest.mark.parametrize("allowed", [0, 1, 3])
def test_n_failures_are_tolerated_and_the_next_one_stops(kind: str, allowed: int) -> None:
    """C1: hosts run one at a time, the first ones fail; exactly one more than the budget ever starts."""
    ends = dict.fromkeys(names(30), kind)
    case = Case((names(30),), ends, fanout=1, failures=str(allowed))
    run = Drive(case).carry_out().run
    assert list(run.results) == list(names(allowed + 1))
    assert run.status is TaskStatus.ABORTED
    assert run.finished is not None
    assert f"{allowed} allowed" in run.finished.reason
    assert "h0" in run.finished.reason


def test_exactly_the_budget_does_not_stop() -> None:
    """With three tolerated and three failing, every host runs and the task is complete."""
    ends = {"h0": "failed", "h1": "timeout", "h2": "lost"}
    run = Drive(case_of(names(10), ends=ends, failures="3", fanout=1)).carry_out().run
    assert run.status is TaskStatus.COMPLETE
    assert run.finished == TaskFinished(TaskStatus.COMPLETE, "")
    assert run.counts()[Outcome.COMPLETE] == 7


def test_rejected_hosts_never_count() -> None:
    """The hard guard's refusals are no failures, with a budget of zero and a separate one of zero."""
    ends = dict.fromkeys(names(5), "rejected")
    run = Drive(case_of(names(10), ends=ends, failures="0", unreachable="0", fanout=2)).carry_out().run
    assert run.status is TaskStatus.COMPLETE
    assert run.counts() == {Outcome.REJECTED: 5, Outcome.COMPLETE: 5}


@pytest.mark.parametrize("budget", ["100", "100%"])
def test_a_whole_batch_that_fails_within_the_budget_goes_on(budget: str) -> None:
    """C2 (ansible#82267): a batch that failed on every host is no reason of its own to stop."""
    case = case_of(names(5), names(5, 5), ends=dict.fromkeys(names(5), "failed"), failures=budget)
    run = Drive(case).carry_out().run
    assert run.status is TaskStatus.COMPLETE
    assert [run.outcome(host) for host in names(5, 5)] == [Outcome.COMPLETE] * 5


def test_without_a_budget_nothing_stops_a_run() -> None:
    """No `--max-failures` is no budget, not a budget of none."""
    run = Drive(Case((names(4), names(4, 4)), dict.fromkeys(names(8), "failed"))).carry_out().run
    assert run.counts() == {Outcome.FAILED: 8}
    assert run.status is TaskStatus.COMPLETE


@pytest.mark.parametrize(
    ("percent", "total", "tolerated"), [("25%", 10, 2), ("10%", 9, 0), ("50%", 3, 1), ("0%", 4, 0)]
)
def test_a_percentage_is_of_all_targets_and_rounded_down(percent: str, total: int, tolerated: int) -> None:
    """The budget is a share of the whole task, not of a batch, and never rounded up."""
    hosts = names(total)
    case = Case(tuple((host,) for host in hosts), dict.fromkeys(hosts, "failed"), failures=percent)
    assert len(Drive(case).carry_out().run.results) == tolerated + 1


def test_unreachable_hosts_can_have_a_budget_of_their_own() -> None:
    """With `--max-unreachable` they no longer count as failures, and stop the task by themselves."""
    ends = {"h0": "unreachable", "h1": "unreachable", "h2": "failed"}
    within = Drive(case_of(names(6), ends=ends, failures="1", unreachable="2", fanout=1)).carry_out().run
    assert within.status is TaskStatus.COMPLETE
    over = Drive(case_of(names(6), ends=ends, unreachable="1", fanout=1)).carry_out().run
    assert over.finished == TaskFinished(TaskStatus.ABORTED, "2 unreachable hosts, 1 allowed: h0, h1")
    assert over.outcome("h2") is Outcome.SKIPPED


def test_what_runs_when_the_budget_breaks_is_awaited() -> None:
    """Running hosts finish and keep their own outcome; only what never started is skipped."""
    drive = Drive(case_of(names(6), ends={"h0": "failed"}, failures="0", fanout=3)).carry_out()
    assert outcomes(drive.run) == dict(
        zip(names(6), ["failed", "complete", "complete", "skipped", "skipped", "skipped"], strict=True)
    )


def test_the_reason_is_singular_for_one_and_names_at_most_ten_hosts() -> None:
    """An operator reads the reason in one line, also when a thousand hosts failed."""
    one = Drive(case_of(names(3), ends={"h1": "failed"}, failures="0")).carry_out().run
    assert one.halted == "1 failure, 0 allowed: h1"
    alone = Drive(case_of(names(3), ends={"h1": "unreachable"}, unreachable="0")).carry_out().run
    assert alone.halted == "1 unreachable host, 0 allowed: h1"
    many = Drive(Case((names(30),), dict.fromkeys(names(30), "failed"), failures="14", fanout=1)).carry_out().run
    assert many.halted == f"15 failures, 14 allowed: {', '.join(names(10))}, …"


# --- gates


def test_a_gate_that_fails_stops_before_the_next_batch() -> None:
    """The reason tells the batch and what the service answered."""
    run = Drive(case_of(names(2), names(2, 2), names(2, 4), gates=(True, False, True))).carry_out().run
    assert run.finished == TaskFinished(TaskStatus.ABORTED, "the health check after batch 1 failed: HTTP 503")
    assert [run.outcome(host) for host in names(2, 4)] == [Outcome.SKIPPED] * 2


def test_the_last_batch_is_gated_too() -> None:
    """Every host ran, and yet the task is aborted and says why."""
    run = Drive(case_of(names(2), gates=(False,))).carry_out().run
    assert run.finished == TaskFinished(
        TaskStatus.ABORTED, "every host ran; the check after the last batch failed: HTTP 503"
    )
    assert run.counts() == {Outcome.COMPLETE: 2}


def test_a_batch_of_rejected_hosts_is_still_gated() -> None:
    """A batch that nobody was allowed to run ends like any other."""
    run = Drive(case_of(names(2), names(1, 2), ends=dict.fromkeys(names(2), "rejected"), gates=(True, True)))
    assert [gate.batch for gate in run.carry_out().run.gates] == [0, 1]


def test_no_gate_is_asked_once_the_task_is_halted() -> None:
    """A budget that breaks on a batch's last host stops the task; the service is not asked any more."""
    run = Drive(case_of(names(1), names(1, 1), ends={"h0": "failed"}, failures="0", gates=(True, True)))
    assert run.carry_out().run.gates == []


# --- cancel


def test_a_cancel_lets_running_hosts_finish_and_skips_the_rest() -> None:
    """The verdict is `cancelled` and names who asked."""
    run = Drive(case_of(names(5), fanout=2, cancel_at=0)).carry_out().run
    assert run.finished == TaskFinished(TaskStatus.CANCELLED, "cancelled by operator")
    assert run.counts() == {Outcome.COMPLETE: 2, Outcome.SKIPPED: 3}


def test_a_cancel_before_anything_started_touches_no_host() -> None:
    """The step asked next is the verdict."""
    run = Run(dispatch(case_of(names(5))))
    run.apply(CancelRequested("SIGINT"))
    assert run.next_step() == Finish(TaskStatus.CANCELLED, "cancelled by SIGINT")


def test_the_first_reason_to_stop_stands() -> None:
    """A cancel of a task that its budget stopped already does not change the verdict, nor does a second cancel."""
    run = Run(dispatch(case_of(names(2), failures="0")))
    run.apply(HostStarted("h0", 0))
    run.apply(HostStarted("h1", 0))
    run.apply(HostFinished("h0", HostResult(Outcome.FAILED)))
    run.apply(CancelRequested("SIGINT"))
    run.apply(HostFinished("h1", HostResult(Outcome.COMPLETE)))
    assert run.next_step() == Finish(TaskStatus.ABORTED, "1 failure, 0 allowed: h0")

    twice = Run(dispatch(case_of(names(1))))
    twice.apply(CancelRequested("SIGINT"))
    twice.apply(CancelRequested("SIGTERM", now=True))
    assert twice.next_step() == Finish(TaskStatus.CANCELLED, "cancelled by SIGINT")


# --- events that no run can have written


def started(*hosts: str, case: Case) -> Run:
    """Return the case's run with these hosts in flight."""
    run = Run(dispatch(case))
    for host in hosts:
        run.apply(HostStarted(host, 0))
    return run


COMPLETE = HostResult(Outcome.COMPLETE)
TWO_BATCHES = case_of(names(2), names(2, 2), fanout=2)


@pytest.mark.parametrize(
    ("event", "run"),
    [
        pytest.param(HostStarted("h1", 0), started(case=TWO_BATCHES), id="out of order"),
        pytest.param(HostStarted("h0", 0), started("h0", case=TWO_BATCHES), id="twice"),
        pytest.param(HostStarted("h2", 0), started("h0", "h1", case=TWO_BATCHES), id="next batch too early"),
        pytest.param(HostStarted("h0", 1), started(case=TWO_BATCHES), id="wrong batch"),
        pytest.param(HostStarted("nobody", 0), started(case=TWO_BATCHES), id="not in the plan"),
        pytest.param(HostStarted("h1", 0), started("h0", case=replace(TWO_BATCHES, fanout=1)), id="over the fan-out"),
        pytest.param(HostStarted("h0", 0), started(case=Case((), {})), id="empty plan"),
        pytest.param(HostFinished("h3", COMPLETE), started(case=TWO_BATCHES), id="finished, never its turn"),
        pytest.param(GateChecked(0, passed=True, detail="", duration_ms=0), started(case=TWO_BATCHES), id="no gate"),
        pytest.param(dispatch(TWO_BATCHES), started(case=TWO_BATCHES), id="second dispatch"),
        pytest.param(TaskBlocked("ops", "x", "all", "x", "x", "x"), started(case=TWO_BATCHES), id="blocked later"),
    ],
)
def test_an_event_that_breaks_a_rule_is_refused(event: Event, run: Run) -> None:
    """Such a journal was not written by this program, so a reading of it stops."""
    with pytest.raises(ValueError, match=r"."):
        run.apply(event)


def test_no_start_is_accepted_after_a_halt() -> None:
    """Rule 5 holds for a journal that somebody else wrote, too."""
    run = started(case=TWO_BATCHES)
    run.apply(CancelRequested("SIGINT"))
    with pytest.raises(ValueError, match="out of turn"):
        run.apply(HostStarted("h0", 0))


def test_a_gate_is_accepted_for_its_own_batch_alone() -> None:
    """A passed gate must not open a batch while the one before it still runs, nor twice."""
    run = started("h0", case=case_of(names(1), names(1, 1), gates=(True, True)))
    gate = GateChecked(0, passed=True, detail="HTTP 200", duration_ms=3)
    with pytest.raises(ValueError, match="out of turn"):
        run.apply(gate)
    run.apply(HostFinished("h0", COMPLETE))
    with pytest.raises(ValueError, match="out of turn"):
        run.apply(replace(gate, batch=1))
    run.apply(gate)
    assert run.next_step() == Start(("h1",), 1)
    with pytest.raises(ValueError, match="out of turn"):
        run.apply(gate)


@pytest.mark.parametrize("events", [[], [HostStarted("h0", 0)], [TaskBlocked("ops", "x", "all", "x", "x", "x")]])
def test_a_run_begins_with_its_dispatch(events: list[Event]) -> None:
    """Anything else is not a run."""
    with pytest.raises(ValueError, match="begins with"):
        fold(iter(events))


def test_a_plan_of_nobody_is_complete_at_once() -> None:
    """Also with a gate: there is nothing to check after no batch."""
    assert Run(dispatch(Case((), {}, gates=()))).next_step() == Finish(TaskStatus.COMPLETE, "")


# --- cost


def times_dearer(large: Callable[[], object], small: Callable[[], object]) -> float:
    """Return how many times the CPU time of `small` the call `large` takes: best of several, in turns, no collector."""

    def once(work: Callable[[], object]) -> float:
        gc.collect()
        gc.disable()
        try:
            begin = process_time()
            work()
            return process_time() - begin
        finally:
            gc.enable()

    costs = [(once(large), once(small)) for _ in range(7)]
    return min(cost for cost, _ in costs) / min(cost for _, cost in costs)


def test_folding_is_linear_in_the_events() -> None:
    """Four times the events cost about four times as much, up to 10,000 hosts."""
    few, many = (list(journal_of(case_of(*(names(100, n) for n in range(0, total, 100))))) for total in (2_500, 10_000))
    assert len(many) == 4 * (len(few) - 2) + 2
    assert times_dearer(lambda: fold(iter(many)), lambda: fold(iter(few))) <= 6


def journal_of(case: Case) -> Iterator[Event]:
    """Yield the events of a run in which each batch starts at once and every host completes."""
    yield dispatch(case)
    for number, batch in enumerate(case.batches):
        yield from (HostStarted(host, number) for host in batch)
        yield from (HostFinished(host, COMPLETE) for host in batch)
    yield TaskFinished(TaskStatus.COMPLETE, "")


def test_asking_for_steps_is_linear_in_the_hosts() -> None:
    """One batch of up to 10,000 hosts, fanned out over a hundred, asked for a step after each end."""
    small, large = (case_of(names(total), fanout=100) for total in (2_500, 10_000))
    assert times_dearer(lambda: step_through(large), lambda: step_through(small)) <= 6


def step_through(case: Case) -> None:
    """Ask for a step after each thing that happens, as the engine does; the first to start is the first to end."""
    run = Run(dispatch(case))
    running: deque[str] = deque()
    while run.finished is None:
        match step := run.next_step():
            case Start():
                for host in step.hosts:
                    run.apply(HostStarted(host, step.batch))
                running.extend(step.hosts)
            case Wait():
                run.apply(HostFinished(running.popleft(), COMPLETE))
            case Finish():
                run.apply(TaskFinished(step.status, step.reason))
            case Check():
                raise AssertionError("this case has no gate")
