"""Pauses, the gate before the first batch, and what a resume does with a task that stopped or was cut off."""

from __future__ import annotations

import pytest

from tests.core.rollout_cases import Case, case_of, names
from tests.core.rollout_drive import PAUSE_MS, Drive, dispatch
from vigo.core.events import (
    CancelRequested,
    GateChecked,
    HostFinished,
    HostStarted,
    PauseEnded,
    TaskFinished,
    TaskPaused,
    TaskResumed,
    TaskStatus,
)
from vigo.core.model import HostResult, Outcome
from vigo.core.rollout import Check, Finish, Pause, Rest, Run, Start

COMPLETE, FAILED = HostResult(Outcome.COMPLETE), HostResult(Outcome.FAILED)
RESUMED = TaskResumed("ops")


def ran(run: Run, *ends: tuple[str, HostResult]) -> Run:
    """Let hosts run one after the other in the current batch."""
    for host, result in ends:
        run.apply(HostStarted(host, run.batch))
        run.apply(HostFinished(host, result))
    return run


def paused(run: Run) -> Run:
    """Let the run write down the pause that it asks for."""
    step = run.next_step()
    assert isinstance(step, Pause)
    run.apply(TaskPaused(step.reason))
    return run


# --- between batches


def test_a_pause_stands_between_batches_and_nowhere_else() -> None:
    """Not before the first and not after the last; the next batch starts when it is over."""
    run = ran(Run(dispatch(case_of(names(1), names(1, 1), pause=True))), ("h0", COMPLETE))
    assert run.next_step() == Rest(1, PAUSE_MS)
    run.apply(PauseEnded(1))
    assert run.next_step() == Start(("h1",), 1)
    assert ran(run, ("h1", COMPLETE)).next_step() == Finish(TaskStatus.COMPLETE, "")


def test_the_gate_comes_before_the_pause() -> None:
    """A service that fell over is seen at once, not after a rest."""
    case = case_of(names(1), names(1, 1), gated=True, pause=True)
    run = ran(Run(dispatch(case)), ("h0", COMPLETE))
    assert run.next_step() == Check(0, ("h0",))
    run.apply(GateChecked(0, passed=True, detail="", duration_ms=1))
    assert run.next_step() == Rest(1, PAUSE_MS)


def test_a_cancel_ends_a_pause() -> None:
    """Nothing is waited for any more."""
    run = ran(Run(dispatch(case_of(names(1), names(1, 1), pause=True))), ("h0", COMPLETE))
    run.apply(CancelRequested("SIGINT"))
    assert run.next_step() == Finish(TaskStatus.CANCELLED, "cancelled by SIGINT")


def test_a_task_pauses_after_as_many_batches_as_were_asked_for() -> None:
    """A canary to look at; each resume says anew how far to go, and without a number it goes to the end."""
    case = case_of(names(1), names(1, 1), names(1, 2), names(1, 3), stop_after=1, resumes=((False, 2), (False, None)))
    drive = Drive(case).carry_out()
    assert drive.told == [
        *("start h0", "end h0", "paused"),
        *("start h1", "end h1", "start h2", "end h2", "paused"),
        *("start h3", "end h3", "complete"),
    ]
    pauses = [event.reason for event in drive.events if isinstance(event, TaskPaused)]
    assert pauses == ["1 of 4 batches ran, as asked", "3 of 4 batches ran, as asked"]


def test_a_task_that_ran_all_its_batches_is_complete_and_not_paused() -> None:
    """There is nothing left to look at."""
    assert Drive(case_of(names(1), names(1, 1), stop_after=2)).carry_out().told[-1] == "complete"


# --- before the first batch


def test_with_a_baseline_a_sick_service_is_not_touched() -> None:
    """The gate is asked for the hosts of the first batch before one of them starts."""
    run = Run(dispatch(case_of(names(2), names(2, 2), gated=True, baseline=True)))
    assert run.next_step() == Check(None, ("h0", "h1"))
    with pytest.raises(ValueError, match="out of turn"):
        run.apply(HostStarted("h0", 0))
    run.apply(GateChecked(None, passed=False, detail="HTTP 503", duration_ms=1))
    assert run.next_step() == Finish(TaskStatus.ABORTED, "the health check before the first batch failed: HTTP 503")
    assert run.results == {}


def test_a_baseline_without_a_gate_asks_nothing() -> None:
    """There is nothing that could be asked."""
    assert Run(dispatch(case_of(names(1), baseline=True))).next_step() == Start(("h0",), 0)


# --- what stops a task may leave it for a resume


def test_a_budget_may_leave_the_task_for_a_resume_and_counts_anew() -> None:
    """Healed hosts are not held against the rest; what ran does not run again."""
    ends = dict.fromkeys(("h0", "h1", "h3", "h4"), "failed")
    case = case_of(names(6), ends=ends, failures="1", fanout=1, when_stopped="paused", resumes=((False, None),) * 2)
    drive = Drive(case).carry_out()
    assert drive.told[3:5] == ["end h1", "paused"]
    assert [told for told in drive.told if told.startswith("start")] == [f"start {host}" for host in names(6)]
    reasons = [event.reason for event in drive.events if isinstance(event, TaskPaused)]
    assert reasons == ["2 failures, 1 allowed: h0, h1", "2 failures, 1 allowed: h3, h4"]
    assert drive.run.status is TaskStatus.COMPLETE


def test_a_paused_task_says_where_it_stands() -> None:
    """Paused with its reason, over until somebody resumes it; hosts that have not started have no outcome yet."""
    run = ran(Run(dispatch(case_of(names(2), failures="0", when_stopped="paused", fanout=1))), ("h0", FAILED))
    assert (run.is_over, run.status, run.reason) == (False, TaskStatus.RUNNING, "")
    paused(run)
    assert (run.is_over, run.status, run.reason) == (True, TaskStatus.PAUSED, "1 failure, 0 allowed: h0")
    assert run.outcome("h1") is None
    run.apply(RESUMED)
    assert (run.is_over, run.status, run.reason) == (False, TaskStatus.RUNNING, "")
    assert run.next_step() == Start(("h1",), 0)


def test_a_gate_that_failed_is_asked_again_after_a_resume() -> None:
    """The next batch has not been earned yet, whatever was done to the service."""
    answers = (True, False, False, True)
    resumes = ((False, None), (False, None))
    case = case_of(names(1), names(1, 1), gated=True, answers=answers, when_stopped="paused", resumes=resumes)
    told = Drive(case).carry_out().told
    assert told[2:] == [
        *("gate 0 True", "start h1", "end h1", "gate 1 False", "paused", "gate 1 False", "paused", "gate 1 True"),
        "complete",
    ]


def test_a_resume_needs_no_rest() -> None:
    """Whoever resumes has waited."""
    case = case_of(names(1), names(1, 1), names(1, 2), stop_after=1, pause=True, resumes=((False, None),))
    assert Drive(case).carry_out().told[3:] == ["start h1", "end h1", "rest 2", "start h2", "end h2", "complete"]


# --- what was cut off


def test_hosts_in_flight_at_a_crash_are_lost_and_do_not_count() -> None:
    """They never run again; the budget begins anew behind them."""
    case = case_of(names(3), fanout=2, failures="0", acts={1: "interrupted"}, resumes=((False, None),))
    drive = Drive(case).carry_out()
    assert drive.told == ["start h0", "start h1", "interrupted", "start h2", "end h2", "complete"]
    assert drive.run.counts() == {Outcome.LOST: 2, Outcome.COMPLETE: 1}
    assert "control process died" in drive.run.results["h0"].detail


def test_hosts_in_flight_at_a_crash_start_again_where_that_was_asked_for() -> None:
    """Exactly once more, before the others."""
    case = case_of(names(3), fanout=2, acts={1: "interrupted"}, resumes=((True, None),))
    drive = Drive(case).carry_out()
    assert drive.told[3:5] == ["start h0", "start h1"]
    assert drive.starts == {"h0": 2, "h1": 2, "h2": 1}
    assert drive.run.counts() == {Outcome.COMPLETE: 3}


def test_a_host_that_was_to_start_again_and_did_not_is_lost_and_not_skipped() -> None:
    """Skipped would say that nothing ever happened on it."""
    run = Run(dispatch(case_of(names(2), fanout=1)))
    run.apply(HostStarted("h0", 0))
    run.apply(TaskResumed("ops", again=("h0",)))
    assert (run.outcome("h0"), run.outcome("h0", interrupted=True)) == (None, Outcome.LOST)
    run.apply(CancelRequested("SIGINT"))
    run.apply(TaskFinished(TaskStatus.CANCELLED, "cancelled by SIGINT"))
    assert (run.outcome("h0"), run.outcome("h1")) == (Outcome.LOST, Outcome.SKIPPED)


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize(
    ("settings", "verdict"),
    [({"failures": "0"}, TaskStatus.ABORTED), ({"when_stopped": "paused"}, TaskStatus.CANCELLED)],
)
def test_a_task_that_was_to_end_only_ends(settings: dict[str, str], verdict: TaskStatus, *, again: bool) -> None:
    """A crash between the halt and the verdict: the resume writes the verdict, and starts nobody."""
    run = Run(dispatch(case_of(names(3), fanout=2, **settings)))
    run.apply(HostStarted("h0", 0))
    run.apply(HostStarted("h1", 0))
    if verdict is TaskStatus.CANCELLED:
        run.apply(CancelRequested("SIGINT"))
    run.apply(HostFinished("h0", FAILED))
    run.apply(TaskResumed("ops", again=("h1",)) if again else TaskResumed("ops", lost=("h1",)))
    step = run.next_step()
    assert isinstance(step, Finish)
    assert step.status is verdict
    run.apply(TaskFinished(step.status, step.reason))
    assert [run.outcome(host) for host in names(3)] == [Outcome.FAILED, Outcome.LOST, Outcome.SKIPPED]


def test_a_task_that_was_to_pause_goes_on() -> None:
    """A crash between the halt and the pause: the resume is what the pause was waiting for."""
    run = ran(Run(dispatch(case_of(names(2), fanout=1, failures="0", when_stopped="paused"))), ("h0", FAILED))
    run.apply(RESUMED)
    assert run.next_step() == Start(("h1",), 0)


@pytest.mark.parametrize("gated", [False, True])
def test_a_batch_that_a_crash_lost_whole_is_behind_us(*, gated: bool) -> None:
    """The next batch follows, after the gate where there is one."""
    run = Run(dispatch(case_of(names(1), names(1, 1), gated=gated)))
    run.apply(HostStarted("h0", 0))
    run.apply(TaskResumed("ops", lost=("h0",)))
    assert run.next_step() == (Check(0, ()) if gated else Start(("h1",), 1))


@pytest.mark.parametrize("when_stopped", ["aborted", "paused"])
def test_a_task_whose_hosts_all_ran_can_be_resumed(when_stopped: str) -> None:
    """A budget that the last host broke, or a crash before the verdict, leaves nothing to do."""
    case = Case((names(1),), {"h0": "failed"}, failures="0", when_stopped=when_stopped)
    run = ran(Run(dispatch(case)), ("h0", FAILED))
    run.apply(RESUMED)
    ended = TaskStatus.COMPLETE if when_stopped == "paused" else TaskStatus.ABORTED
    step = run.next_step()
    assert isinstance(step, Finish)
    assert step.status is ended


@pytest.mark.parametrize(
    "resumed", [RESUMED, TaskResumed("ops", lost=("h0", "h1")), TaskResumed("ops", again=("h1",), lost=("h1",))]
)
def test_a_resume_answers_for_each_host_in_flight_and_no_other(resumed: TaskResumed) -> None:
    """Nobody guesses what became of a host."""
    run = Run(dispatch(case_of(names(2), fanout=1)))
    run.apply(HostStarted("h0", 0))
    with pytest.raises(ValueError, match="each host that was in flight"):
        run.apply(resumed)
