from __future__ import annotations

import ast
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.core import rollout_model
from tests.core.rollout_cases import Case, case_of, cases, names
from tests.core.rollout_drive import Drive, dispatch
from tests.core.rollout_model import play
from vigo.core.events import (
    CancelRequested,
    HostFinished,
    HostStarted,
    TaskDispatched,
    TaskFinished,
    TaskStatus,
)
from vigo.core.model import HostResult, Outcome
from vigo.core.plan import Policy
from vigo.core.rollout import Finish, Run, Start, Wait, fold


def outcomes(run: Run) -> dict[str, str]:
    """Return each host's outcome as the run tells it."""
    return {host: str(run.outcome(host)) for host in run.hosts}


# --- properties


ON, AGAIN = (False, None), (True, None)


def obeys_the_rules(case: Case) -> None:
    """Check one case against the rules, the model and its own replay."""
    drive = Drive(case).carry_out()
    run = drive.run
    done, told = play(case)
    assert drive.told == told
    begun, is_paused = {word.removeprefix("start ") for word in told}, told[-1] == "paused"
    endless = {host: "None" if is_paused else "lost" if host in begun else "skipped" for host in run.hosts}
    expected = endless | done
    is_dead = told[-1] == "interrupted"
    assert {host: str(run.outcome(host, interrupted=is_dead)) for host in run.hosts} == expected
    assert Counter(map(str, run.counts(interrupted=is_dead).elements())) == Counter(
        outcome for outcome in expected.values() if outcome != "None"
    )

    replayed = fold(iter(drive.events))
    for name in ("results", "halted", "in_flight", "gates", "finished", "paused", "cancelled", "status", "reason"):
        assert getattr(replayed, name) == getattr(run, name), name
    assert replayed.counts() == run.counts()
    assert replayed.next_step() == run.next_step()


@settings(max_examples=500)
@given(cases())
@example(case_of(names(3), fanout=1, ends={"h0": "failed"}, failures="1"))
@example(case_of(names(4), fanout=1, ends={"h0": "failed", "h1": "failed"}, failures="33%"))
@example(case_of(names(2), fanout=1, ends={"h0": "rejected"}, failures="0"))
@example(case_of(names(2), names(2, 2), gated=True, answers=(True, False)))
@example(case_of(names(2), names(2, 2), gated=True, answers=(False,), baseline=True))
@example(case_of(names(2), names(2, 2), names(2, 4), pause=True, stop_after=2, resumes=((False, None),)))
@example(case_of(names(3), fanout=1, ends={"h0": "failed"}, failures="0", when_stopped="paused", resumes=(ON,)))
@example(
    case_of(
        names(3), fanout=1, ends=dict.fromkeys(names(3), "failed"), failures="1", when_stopped="paused", resumes=(ON,)
    )
)
@example(case_of(names(3), fanout=2, ends={"h0": "failed"}, failures="0", acts={3: "interrupted"}, resumes=(ON,)))
@example(case_of(names(3), fanout=2, acts={2: "interrupted"}, resumes=(ON,)))
@example(case_of(names(3), fanout=2, acts={1: "interrupted", 2: "cancelled"}, resumes=(AGAIN,)))
def test_any_run_obeys_the_rules_and_agrees_with_the_model(case: Case) -> None:
    """Whatever hosts do, in whatever order, and whoever interferes: rules 1 to 7 hold and a replay is the same run."""
    obeys_the_rules(case)


@pytest.mark.faults
@pytest.mark.timeout(900)
@settings(max_examples=5_000, suppress_health_check=[HealthCheck.too_slow])
@given(cases())
def test_five_thousand_runs_obey_the_rules(case: Case) -> None:
    """The same property, with the fault catalogue's count (C1)."""
    obeys_the_rules(case)


def test_the_model_is_short_and_knows_nothing_of_the_program() -> None:
    """At most forty lines of code, and not one import from the package that it judges."""
    source = Path(rollout_model.__file__).read_text(encoding="utf-8")
    tree = ast.parse(source)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert [node.module for node in imports if isinstance(node, ast.ImportFrom)] == [
        "__future__",
        "tests.core.rollout_cases",
    ]
    texts = [node.body[0] for node in (tree, *tree.body) if isinstance(node, ast.Module | ast.FunctionDef)]
    silent = {line for node in (*imports, *texts) for line in range(node.lineno, (node.end_lineno or 0) + 1)}
    code = [line for number, line in enumerate(source.splitlines(), 1) if line.strip() and number not in silent]
    assert len(code) <= 40


@settings(max_examples=100)
@given(cases(), st.data())
def test_a_journal_that_stops_anywhere_tells_a_consistent_story(case: Case, data: st.DataObject) -> None:
    """What was in flight is lost, what had not started was skipped; and a resume brings it to an end by the rules."""
    events = Drive(case).carry_out().events
    until = data.draw(st.integers(1, len(events)))
    run = fold(iter(events[:until]))
    for host in run.hosts:
        seen = run.outcome(host, interrupted=True)
        if host in run.results:
            assert seen is run.results[host].outcome is run.outcome(host)
        else:
            begun = any(isinstance(event, HostStarted) and event.host == host for event in events[:until])
            assert seen is (Outcome.LOST if begun else Outcome.SKIPPED)
            assert run.outcome(host) is (None if run.finished is None else seen)
    assert sum(run.counts(interrupted=True).values()) == len(run.hosts)
    if run.finished is None:
        before = dict(run.results)
        drive = Drive.onward(replace(case, acts={}), events[:until], again=data.draw(st.booleans()))
        assert drive.leg() in {"complete", "aborted", "paused", "cancelled"}
        assert before.items() <= drive.run.results.items(), "an outcome is for ever"


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
    run = Drive(case_of(names(2), names(2, 2), names(2, 4), gated=True, answers=(True, False, True))).carry_out().run
    assert run.finished == TaskFinished(TaskStatus.ABORTED, "the health check after batch 1 failed: HTTP 503")
    assert [run.outcome(host) for host in names(2, 4)] == [Outcome.SKIPPED] * 2


def test_the_last_batch_is_gated_too() -> None:
    """Every host ran, and yet the task is aborted and says why."""
    run = Drive(case_of(names(2), gated=True, answers=(False,))).carry_out().run
    assert run.finished == TaskFinished(
        TaskStatus.ABORTED, "every host ran; the check after the last batch failed: HTTP 503"
    )
    assert run.counts() == {Outcome.COMPLETE: 2}


def test_a_batch_of_rejected_hosts_is_still_gated() -> None:
    """A batch that nobody was allowed to run ends like any other."""
    run = Drive(
        case_of(names(2), names(1, 2), ends=dict.fromkeys(names(2), "rejected"), gated=True, answers=(True, True))
    )
    assert [gate.batch for gate in run.carry_out().run.gates] == [0, 1]


def test_no_gate_is_asked_once_the_task_is_halted() -> None:
    """A budget that breaks on a batch's last host stops the task; the service is not asked any more."""
    run = Drive(case_of(names(1), names(1, 1), ends={"h0": "failed"}, failures="0", gated=True, answers=(True, True)))
    assert run.carry_out().run.gates == []


# --- cancel


def test_a_cancel_lets_running_hosts_finish_and_skips_the_rest() -> None:
    """The verdict is `cancelled` and names who asked."""
    run = Drive(case_of(names(5), fanout=2, acts={1: "cancelled"})).carry_out().run
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


def test_where_there_is_room_for_fewer_hosts_fewer_are_started() -> None:
    """The policy's fan-out is the most; less room never more hosts, and no room only waits."""
    run = Run(TaskDispatched("ops", "true", "all", (("a", "b", "c", "d"),), Policy(fanout=3)))
    assert run.next_step(2) == Start(("a", "b"), 0)
    assert run.next_step(9) == run.next_step() == Start(("a", "b", "c"), 0)
    run.apply(HostStarted("a", 0))
    assert run.next_step(1) == Wait()
