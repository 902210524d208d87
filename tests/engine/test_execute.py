from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.rollout_cases import Case, cases
from tests.core.rollout_drive import dispatch
from tests.core.rollout_model import play
from tests.engine.fakes import MemoryJournal, MemoryTransport, ScriptedProbe, settled, until
from tests.engine.rig import FAILED, PATTERN, TASK, URL, Clock, Rig
from vigo.core.events import (
    Event,
    GateChecked,
    GateOpened,
    GateProbed,
    HostFinished,
    HostStarted,
    PauseEnded,
    Record,
    TaskFinished,
    TaskPaused,
    TaskResumed,
    TaskStatus,
)
from vigo.core.gate import GatePolicy
from vigo.core.guard import Order
from vigo.core.model import Ended, HostResult, Limits, Outcome, Output, Stream
from vigo.core.plan import OnStop, Policy
from vigo.core.quantity import Quantity
from vigo.core.rollout import Run, fold

DONE = HostResult(Outcome.COMPLETE, 42, exit_code=0)


# --- the way of one task


def test_a_task_is_carried_out_batch_by_batch_and_ends_with_its_verdict() -> None:
    """Starts, ends, gate, next batch, gate, verdict: the journal tells the whole story."""
    rig = Rig((("a", "b"), ("c",)), Policy(gate=GatePolicy((URL,))))

    async def script() -> None:
        await rig.transport.until_running("a", "b")
        rig.transport.end("b")
        await settled()
        assert rig.transport.seen == ("a", "b"), "batches are barriers"
        rig.transport.end("a", FAILED)
        await rig.transport.until_running("c")
        rig.transport.end("c")

    rig.play(script)
    told = [replace(event, duration_ms=0) if isinstance(event, GateChecked) else event for event in rig.journal.events]
    assert told == [
        HostStarted("a", 0, "m1"),
        HostStarted("b", 0, "m2"),
        HostFinished("b", DONE),
        HostFinished("a", FAILED.result),
        GateOpened(0),
        GateProbed(0, URL, passed=True, detail="HTTP 200", duration_ms=3),
        GateChecked(0, passed=True, detail="HTTP 200", duration_ms=0),
        HostStarted("c", 1, "m3"),
        HostFinished("c", DONE),
        GateOpened(1),
        GateProbed(1, URL, passed=True, detail="HTTP 200", duration_ms=3),
        GateChecked(1, passed=True, detail="HTTP 200", duration_ms=0),
        TaskFinished(TaskStatus.COMPLETE, ""),
    ]
    assert rig.probe.asked == [URL, URL]
    assert {record.task for record in rig.journal.records} == {TASK}


@settings(max_examples=100, deadline=None)
@given(cases(undisturbed=True))
def test_the_engine_adds_nothing_to_what_the_rollout_decides(case: Case) -> None:
    """Any plan, shape, budget, gate and order of ends: all that happens is what the independent model tells."""
    obeys_the_model(case)


@pytest.mark.faults
@pytest.mark.timeout(600)
@settings(max_examples=5_000, deadline=None)
@given(cases(undisturbed=True))
def test_c1_five_thousand_tasks_are_carried_out_as_the_model_tells(case: Case) -> None:
    """The catalogue's count, through the real loop."""
    obeys_the_model(case)


def obeys_the_model(case: Case) -> None:
    """Carry a case out and compare everything that was written down with the model's telling."""
    refused = frozenset(host for host, end in case.ends.items() if end == "rejected")
    rig = Rig(case.batches, dispatch(case).policy, refused, probe=ScriptedProbe(*case.answers))
    turns: list[int] = []
    do_next_step = rig.execution._do_next_step

    async def counted(hosts: asyncio.TaskGroup) -> None:
        turns.append(len(turns))
        await do_next_step(hosts)

    rig.execution._do_next_step = counted  # type: ignore[method-assign]  # a turn of the model is a step of the loop

    def end_one(running: tuple[str, ...]) -> None:
        host = running[case.picks[turns[-1] % len(case.picks)] % len(running)]
        rig.transport.end(host, Ended(HostResult(Outcome(case.ends[host]))))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vigo.engine.execute._sleep", Clock().sleep)
        rig.play(lambda: rig.act_until_over(end_one))
    expected, told = play(case)
    assert story(rig.journal.events, str(rig.run.status)) == told
    assert {host: outcome for host, outcome in rig.outcomes().items() if host in expected} == {
        host: Outcome(end) for host, end in expected.items()
    }
    assert refused.isdisjoint(rig.transport.seen)
    again = fold(iter([rig.dispatched, *rig.journal.events]))
    assert (again.results, again.finished, again.gates) == (rig.run.results, rig.run.finished, rig.run.gates)


def story(events: Sequence[Event], verdict: str) -> list[str]:
    """Tell a journal in the words of the model."""
    told = []
    for event in events:
        match event:
            case HostStarted():
                told.append(f"start {event.host}")
            case HostFinished() if event.result.outcome is Outcome.REJECTED:
                told.append(f"start {event.host}")
            case HostFinished():
                told.append(f"end {event.host}")
            case GateChecked():
                told.append(f"gate {-1 if event.batch is None else event.batch} {event.passed}")
            case PauseEnded():
                told.append(f"rest {event.batch}")
            case _:
                pass
    return [*told, verdict]


def test_limits_marks_and_live_output_pass_through() -> None:
    """The engine hands the transport the task's limits, the mark that is on record and the sink, and touches none."""
    limits = Limits(timeout_ms=2_000, nice=3)
    rig = Rig((("a", "b"),), Policy(limits=limits))

    async def script() -> None:
        await rig.transport.until_running("a", "b")
        rig.transport.say("a", Stream.STDERR, b"\xff\x1b[2J")
        rig.transport.end("a")
        rig.transport.end("b")

    rig.play(script)
    assert rig.transport.limits == [limits, limits]
    assert rig.transport.marks == ["m1", "m2"]
    assert rig.events_of(HostStarted) == [HostStarted("a", 0, "m1"), HostStarted("b", 0, "m2")]
    assert rig.sink.written == [("a", Stream.STDERR, b"\xff\x1b[2J")]


def test_kept_output_reaches_the_journal_with_its_result() -> None:
    """In the same append, so that no event names bytes that are not there."""
    rig = Rig((("a", "b"),))
    data = b"up 45 days\n"
    digest = hashlib.sha256(data).hexdigest()
    output = Output(len(data), digest, len(data), digest, len(data))

    async def script() -> None:
        await rig.transport.until_running("a", "b")
        rig.transport.end("a", Ended(HostResult(Outcome.COMPLETE, exit_code=0, stdout=output), (data,)))
        rig.transport.end("b")

    rig.play(script)
    assert rig.journal.kept == {digest: data}
    assert rig.run.results["a"].stdout == output


@pytest.mark.parametrize(("exit_code", "outcome"), [(0, Outcome.FAILED), (3, Outcome.COMPLETE), (5, Outcome.FAILED)])
def test_accepted_exit_codes_complete_a_host_and_no_others_do(exit_code: int, outcome: Outcome) -> None:
    """Zero too only where it is accepted; budgets count what the task means, and so does the journal."""
    rig = Rig((("a",), ("b",)), Policy(accept_exit=(3, 4), failures_max=Quantity(0)))
    transports = HostResult(Outcome.COMPLETE if exit_code == 0 else Outcome.FAILED, 5, exit_code=exit_code)

    async def script() -> None:
        await rig.transport.until_running("a")
        rig.transport.end("a", Ended(transports))
        if outcome is Outcome.COMPLETE:
            await rig.transport.until_running("b")
            rig.transport.end("b", Ended(transports))

    rig.play(script)
    first = rig.events_of(HostFinished)[0]
    assert first == HostFinished("a", replace(transports, outcome=outcome))
    assert rig.run.status is (TaskStatus.COMPLETE if outcome is Outcome.COMPLETE else TaskStatus.ABORTED)


# --- order and intent


def test_each_event_is_journalled_then_applied_then_shown() -> None:
    """Rule 1: an observer sees a run that knows the event, and the journal is asked before the run knows."""
    trace: list[tuple[str, str, bool]] = []

    class Watcher:
        def on_record(self, record: Record, run: Run) -> None:
            assert run is rig.run
            assert rig.journal.records[record.seq - 1] == record
            if isinstance(record.event, HostFinished):
                trace.append(("observer", record.event.host, record.event.host in run.results))

    rig = Rig((("a", "b"),), observers=[Watcher(), Watcher()])

    def on_append(events: Sequence[Event]) -> None:
        trace.extend(
            ("journal", event.host, event.host in rig.run.results)
            for event in events
            if isinstance(event, HostFinished)
        )

    rig.journal.on_append = on_append
    rig.play(rig.let_all_complete)
    for host in ("a", "b"):
        assert [(who, knew) for who, about, knew in trace if about == host] == [
            ("journal", False),
            ("observer", True),
            ("observer", True),
        ]


def test_a_start_is_on_record_before_its_order_reaches_the_transport() -> None:
    """Rule 2: whatever may have happened on a host, the journal knew of it first."""
    journal = MemoryJournal()

    def on_order(order: Order) -> None:
        started = [event.host for event in journal.events if isinstance(event, HostStarted)]
        assert order.host.name in started

    rig = Rig((("a", "b", "c"),), Policy(fanout=2), journal=journal, transport=MemoryTransport(on_order))
    rig.play(rig.let_all_complete)
    assert rig.transport.seen == ("a", "b", "c")
    assert rig.run.counts() == {Outcome.COMPLETE: 3}, "an assertion inside the transport would be a lost host"


def test_starts_of_one_turn_share_one_append_and_so_do_ends() -> None:
    """One sync for a hundred starts: refused ones are told in the same append, in plan order."""
    hosts = tuple(f"h{number}" for number in range(100))
    rig = Rig((hosts,), refused=frozenset({"h3"}))

    async def script() -> None:
        await until(lambda: len(rig.transport.running) == 99)
        for host in rig.transport.running:
            rig.transport.end(host)

    rig.play(script)
    starts, ends, verdict = rig.journal.appends
    assert [event.host for event in starts if isinstance(event, HostStarted | HostFinished)] == list(hosts)
    assert starts[3] == HostFinished("h3", HostResult(Outcome.REJECTED, detail=PATTERN))
    assert len(ends) == 99
    assert verdict == (TaskFinished(TaskStatus.COMPLETE, ""),)


# --- the guard


def test_a_refused_order_never_reaches_the_transport() -> None:
    """Rule 3: the host is `rejected` with the pattern, was never started, and the others run."""
    rig = Rig((("a", "b", "c"),), Policy(failures_max=Quantity(0)), refused=frozenset({"b"}))
    rig.play(rig.let_all_complete)
    assert rig.transport.seen == ("a", "c")
    assert rig.run.results["b"] == HostResult(Outcome.REJECTED, detail=PATTERN)
    assert [event.host for event in rig.events_of(HostStarted) if isinstance(event, HostStarted)] == ["a", "c"]
    assert rig.run.status is TaskStatus.COMPLETE


def test_a_task_that_is_refused_everywhere_ends_without_the_transport() -> None:
    """Nothing to wait for is no reason to wait."""
    rig = Rig((("a",), ("b",)), refused=frozenset({"a", "b"}))
    rig.play(rig.let_all_complete)
    assert rig.transport.orders == []
    assert rig.run.counts() == {Outcome.REJECTED: 2}


# --- observers and transports that misbehave


class Raising:
    """An observer that dies at its n-th record."""

    def __init__(self, at: int) -> None:
        self.seen = 0
        self._at = at

    def on_record(self, record: Record, run: Run) -> None:
        """Count, then raise."""
        self.seen += 1
        if self.seen == self._at:
            raise BrokenPipeError(32, f"Broken pipe at {record.seq} of {len(run.hosts)}")


class Counting:
    """An observer that keeps what it saw."""

    def __init__(self) -> None:
        self.seen: list[Event] = []

    def on_record(self, record: Record, run: Run) -> None:
        """Keep it."""
        del run
        self.seen.append(record.event)


@pytest.mark.parametrize("at", [1, 2, 5])
def test_an_observer_that_raises_is_dropped_with_one_complaint(at: int) -> None:
    """The run goes on, and the observers beside it miss nothing."""
    before, after, raising = Counting(), Counting(), Raising(at)
    rig = Rig((("a", "b"),), observers=[before, raising, after])
    rig.play(rig.let_all_complete)
    assert raising.seen == at
    assert len(rig.complaints) == 1
    assert "Raising stopped" in rig.complaints[0]
    assert "BrokenPipeError" in rig.complaints[0]
    assert before.seen == after.seen == rig.journal.events
    assert rig.run.status is TaskStatus.COMPLETE


@pytest.mark.parametrize("error", [BrokenPipeError(32, "Broken pipe"), ValueError("I/O operation on closed file")])
def test_a_run_goes_on_when_nobody_can_hear_the_complaint(error: Exception) -> None:
    """B20: `vigo … 2>&1 | head -1` closes both streams; hosts that were started are still awaited and recorded."""

    def complain(line: str) -> None:
        del line
        raise error

    rig = Rig((("a", "b"), ("c",)), observers=[Raising(1), Raising(2)])
    rig.ports = replace(rig.ports, complain=complain)
    rig.take_over(rig.run)
    rig.play(rig.let_all_complete)
    assert rig.run.counts() == {Outcome.COMPLETE: 3}
    assert rig.run.status is TaskStatus.COMPLETE


@pytest.mark.parametrize("error", [RuntimeError("bug"), OSError("bug"), TimeoutError("bug"), asyncio.CancelledError()])
def test_a_transport_that_raises_loses_that_host_alone(error: BaseException) -> None:
    """What happened is unknown and says so; the others are neither stopped nor left unseen."""
    rig = Rig((("a", "b"), ("c",)))

    async def script() -> None:
        await rig.transport.until_running("a", "b")
        rig.transport.break_off("a", error)
        await settled()
        assert rig.transport.running == ("b",)
        await rig.let_all_complete()

    rig.play(script)
    assert rig.outcomes() == {"a": Outcome.LOST, "b": Outcome.COMPLETE, "c": Outcome.COMPLETE}
    assert rig.run.results["a"].detail.startswith("outcome unknown: internal error: ")
    assert type(error).__name__ in rig.run.results["a"].detail


def test_a_cancelled_execution_does_not_mistake_it_for_a_lost_host() -> None:
    """When the program itself is torn down, nothing is written about hosts that nobody heard of again."""
    rig = Rig((("a",),))

    async def torn_down() -> None:
        carrying = asyncio.create_task(rig.execution.carry_out())
        await rig.transport.until_running("a")
        carrying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await carrying

    asyncio.run(torn_down())
    assert rig.journal.events == [HostStarted("a", 0, "m1")]


# --- carried on by another process


def test_a_paused_task_is_carried_on_by_another_execution() -> None:
    """It stops with a pause on record; a second execution, made from the journal alone, runs what is left and no more."""
    rig = Rig((("a",), ("b",), ("c",)), Policy(stop_after=1))
    rig.play(rig.let_all_complete)
    assert rig.journal.events[-1] == TaskPaused("1 of 3 batches ran, as asked")
    seen = [rig.transport.seen]
    for stop_after in (1, None):
        resume(rig, TaskResumed("ops", stop_after=stop_after))
        rig.play(rig.let_all_complete)
        seen.append(rig.transport.seen)
    assert seen == [("a",), ("a", "b"), ("a", "b", "c")]
    assert rig.run.finished == TaskFinished(TaskStatus.COMPLETE, "")
    assert len(set(rig.transport.marks)) == 3


def resume(rig: Rig, event: TaskResumed) -> None:
    """Let another process take over: it knows what the journal tells, and writes the resume down first."""
    asyncio.run(rig.journal.append(TASK, [event]))
    rig.take_over(fold(iter([rig.dispatched, *rig.journal.events])))


def test_a_task_that_a_budget_paused_goes_on_where_it_stood() -> None:
    """What failed stays failed, and counts anew."""
    policy = Policy(failures_max=Quantity(0), on_stop=OnStop.PAUSE, fanout=1)
    rig = Rig((("a", "b"), ("c",)), policy)

    async def fail_first() -> None:
        await rig.transport.until_running("a")
        rig.transport.end("a", FAILED)

    rig.play(fail_first)
    assert rig.run.paused == TaskPaused("1 failure, 0 allowed: a")
    resume(rig, TaskResumed("ops"))
    rig.play(rig.let_all_complete)
    assert rig.transport.seen == ("a", "b", "c")
    assert rig.outcomes() == {"a": Outcome.FAILED, "b": Outcome.COMPLETE, "c": Outcome.COMPLETE}


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=4),
    st.integers(1, 4),
    st.lists(st.tuples(st.integers(0, 25), st.booleans()), max_size=3),
)
def test_whenever_the_process_dies_no_host_runs_twice_unasked(
    sizes: list[int], fanout: int, deaths: list[tuple[int, bool]]
) -> None:
    """Torn down after any number of turns and resumed from the journal alone, as often as you like."""
    names = iter(range(100))
    rig = Rig(tuple(tuple(f"h{next(names)}" for _ in range(size)) for size in sizes), Policy(fanout=fanout))
    again: Counter[str] = Counter()
    for turns, include_lost in deaths:
        asyncio.run(die_after(rig, turns))
        run = fold(iter([rig.dispatched, *rig.journal.events]))
        if run.finished is not None:
            return
        in_flight = tuple(run.in_flight)
        again.update(in_flight if include_lost else ())
        resume(rig, TaskResumed("ops", *(((), in_flight) if include_lost else (in_flight, ()))))
    rig.play(rig.let_all_complete)
    assert rig.run.status is TaskStatus.COMPLETE
    runs = Counter(rig.transport.seen)
    lost = {host for host, outcome in rig.outcomes().items() if outcome is Outcome.LOST}
    for host in rig.run.hosts:
        assert runs[host] <= 1 + again[host]
        assert runs[host] >= (0 if host in lost else 1)
    started = Counter(event.host for event in rig.events_of(HostStarted) if isinstance(event, HostStarted))
    assert all(runs[host] <= started[host] for host in runs), "no order without its start on disk"


async def die_after(rig: Rig, turns: int) -> None:
    """Carry the task out for so many turns of the loop, then end the process without another word."""
    carrying = asyncio.create_task(rig.execution.carry_out())
    for turn in range(turns):
        await asyncio.sleep(0)
        if turn % 5 == 4 and rig.transport.running:
            rig.transport.end(rig.transport.running[0])
    carrying.cancel()
    await asyncio.gather(carrying, return_exceptions=True)


# --- budgets


def test_ends_that_arrive_together_break_the_budget_before_anything_starts() -> None:
    """Everything that has arrived is taken in before the next step is asked for."""
    rig = Rig((tuple("abcdef"),), Policy(fanout=3, failures_max=Quantity(1)))

    async def script() -> None:
        await rig.transport.until_running("a", "b", "c")
        rig.transport.end("a")
        rig.transport.end("b", FAILED)
        rig.transport.end("c", FAILED)

    rig.play(script)
    assert rig.transport.seen == ("a", "b", "c")
    assert rig.run.finished == TaskFinished(TaskStatus.ABORTED, "2 failures, 1 allowed: b, c")
