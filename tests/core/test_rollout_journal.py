"""A run reads its journal strictly, and at a cost that grows with the events alone."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from time import process_time

import pytest

from tests.core.rollout_cases import Case, case_of, names
from tests.core.rollout_drive import dispatch
from vigo.core.events import (
    CancelRequested,
    Event,
    GateChecked,
    GateOpened,
    HostFinished,
    HostStarted,
    PauseEnded,
    TaskBlocked,
    TaskFinished,
    TaskPaused,
    TaskResumed,
    TaskStatus,
)
from vigo.core.model import HostResult, Outcome
from vigo.core.rollout import Finish, Run, Start, Wait, fold

# --- events that no run can have written


def started(*hosts: str, case: Case) -> Run:
    """Return the case's run with these hosts in flight."""
    run = Run(dispatch(case))
    for host in hosts:
        run.apply(HostStarted(host, 0))
    return run


def ended(*hosts: str, case: Case) -> Run:
    """Return the case's run after these hosts."""
    run = started(*hosts, case=case)
    for host in hosts:
        run.apply(HostFinished(host, COMPLETE))
    return run


COMPLETE = HostResult(Outcome.COMPLETE)
TWO_BATCHES = case_of(names(2), names(2, 2), fanout=2)
RESTING = case_of(names(1), names(1, 1), pause=True, stop_after=1)


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
        pytest.param(GateOpened(0), started(case=TWO_BATCHES), id="no gate to open"),
        pytest.param(PauseEnded(0), started(case=TWO_BATCHES), id="no pause"),
        pytest.param(PauseEnded(1), ended("h0", case=RESTING), id="a stop is due, no pause"),
        pytest.param(TaskPaused("budget"), started("h0", case=TWO_BATCHES), id="paused with a host in flight"),
        pytest.param(TaskFinished(TaskStatus.COMPLETE), started("h0", case=TWO_BATCHES), id="ended with one in flight"),
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


@pytest.mark.parametrize("end", [TaskPaused("budget"), TaskFinished(TaskStatus.COMPLETE)])
def test_nothing_follows_an_end(end: TaskPaused | TaskFinished) -> None:
    """A paused task needs a resume first, and a finished one cannot be resumed."""
    run = started(case=TWO_BATCHES)
    run.apply(end)
    later = CancelRequested("SIGINT") if isinstance(end, TaskPaused) else TaskResumed("ops")
    with pytest.raises(ValueError, match="after the task had stopped"):
        run.apply(later)


def test_a_gate_is_accepted_for_its_own_batch_alone() -> None:
    """A passed gate must not open a batch while the one before it still runs, nor twice."""
    run = started("h0", case=case_of(names(1), names(1, 1), gated=True, answers=(True, True)))
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
    assert Run(dispatch(Case((), {}, gated=True))).next_step() == Finish(TaskStatus.COMPLETE, "")


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

    costs = [(once(large), once(small)) for _ in range(5)]
    return min(cost for cost, _ in costs) / min(cost for _, cost in costs)


def test_folding_is_linear_in_the_events() -> None:
    """Four times the events cost about four times as much, up to 6,000 hosts, and nothing like sixteen times."""
    few, many = (list(journal_of(case_of(*(names(100, n) for n in range(0, total, 100))))) for total in (1_500, 6_000))
    assert len(many) == 4 * (len(few) - 2) + 2
    assert times_dearer(lambda: fold(iter(many)), lambda: fold(iter(few))) <= 9


def journal_of(case: Case) -> Iterator[Event]:
    """Yield the events of a run in which each batch starts at once and every host completes."""
    yield dispatch(case)
    for number, batch in enumerate(case.batches):
        yield from (HostStarted(host, number) for host in batch)
        yield from (HostFinished(host, COMPLETE) for host in batch)
    yield TaskFinished(TaskStatus.COMPLETE, "")


def test_asking_for_steps_is_linear_in_the_hosts() -> None:
    """One batch of up to 6,000 hosts, fanned out over a hundred, asked for a step after each end."""
    small, large = (case_of(names(total), fanout=100) for total in (1_500, 6_000))
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
            case _:
                raise AssertionError(f"this case has nothing but hosts: {step}")
