from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings

from tests.core.rollout_cases import cases
from tests.core.rollout_model import Case, play
from tests.engine.fakes import MemoryJournal, MemorySink, MemoryTransport, ScriptedProbe, settled, until
from vigo.core.errors import JournalError
from vigo.core.events import (
    CancelRequested,
    Event,
    GateChecked,
    HostFinished,
    HostStarted,
    Record,
    TaskDispatched,
    TaskFinished,
    TaskStatus,
)
from vigo.core.guard import Finding, Layer, Order, Refusal, Text, clear
from vigo.core.model import Ended, Host, HostResult, Limits, Outcome, Output, Stream
from vigo.core.plan import Policy
from vigo.core.quantity import Quantity, parse_quantity
from vigo.core.rollout import Run, fold
from vigo.engine.execute import Execution, Ports

TASK = "t1a2b3c4"
URL = "http://lb.example.com/health"
FAILED = Ended(HostResult(Outcome.FAILED, 5, exit_code=3))
PATTERN = "systemctl stop vigo"


@pytest.fixture(autouse=True)
def _guard_that_refuses_danger(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in for the analyser: these tests are about what happens to a finding, not about finding it."""

    def judge(text: str) -> Finding | None:
        return Finding(Layer.HARD, "unit-stop", PATTERN) if "danger" in text else None

    monkeypatch.setattr("vigo.core.guard.order.judge", judge)


@dataclass
class Rig:
    """An execution and the memory that it touches; hosts named in `refused` get a command that the guard refuses."""

    batches: tuple[tuple[str, ...], ...]
    policy: Policy = Policy()
    refused: frozenset[str] = frozenset()
    transport: MemoryTransport = field(default_factory=MemoryTransport)
    probe: ScriptedProbe = field(default_factory=ScriptedProbe)
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    observers: Sequence[Any] = ()
    limits: Limits = Limits(timeout_ms=2_000)

    def __post_init__(self) -> None:
        self.sink = MemorySink()
        self.complaints: list[str] = []
        self.dispatched = TaskDispatched("ops", "uptime", "all", self.batches, self.policy)
        self.run = Run(self.dispatched)
        self.ports = Ports(
            self.transport, self.probe, self.journal, self.sink, tuple(self.observers), self.complaints.append
        )
        self.execution = Execution(TASK, self.run, self.clear, self.limits, self.ports)

    def clear(self, host: str) -> Order | Refusal:
        """Ask the real guard about this host's text."""
        return clear(Host(host, f"uuid-of-{host}"), Text("danger" if host in self.refused else "uptime"))

    def play(self, script: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Carry the task out while the script plays the world; raises what the execution raises."""

        async def both() -> None:
            carrying = asyncio.create_task(self.execution.carry_out())
            try:
                await script()
                async with asyncio.timeout(30):
                    await carrying
            finally:
                carrying.cancel()
                await asyncio.gather(carrying, return_exceptions=True)

        asyncio.run(both())

    async def let_all_complete(self) -> None:
        """End the host that has run longest, again and again, until the loop is done or nothing moves any more."""
        while not self.is_over:
            await settled()
            if self.transport.running:
                self.transport.end(self.transport.running[0])

    @property
    def is_over(self) -> bool:
        """Whether nothing more will be started."""
        return self.run.finished is not None or (self.journal.has_failed and not self.transport.running)

    def outcomes(self) -> dict[str, Outcome | None]:
        """Return each host's outcome."""
        return {host: self.run.outcome(host) for host in self.run.hosts}


def quantity(text: str | None) -> Quantity | None:
    """Read a budget of the model."""
    return None if text is None else parse_quantity(text, flag="--max-failures")


def events_of(rig: Rig, kind: type[Event]) -> list[Event]:
    """Return the journal's events of one kind."""
    return [event for event in rig.journal.events if isinstance(event, kind)]


# --- the way of one task


def test_a_task_is_carried_out_batch_by_batch_and_ends_with_its_verdict() -> None:
    """Starts, ends, gate, next batch, gate, verdict: the journal tells the whole story."""
    rig = Rig((("a", "b"), ("c",)), Policy(health_check_url=URL))

    async def script() -> None:
        await rig.transport.until_running("a", "b")
        rig.transport.end("b")
        await settled()
        assert rig.transport.seen == ("a", "b"), "batches are barriers"
        rig.transport.end("a", FAILED)
        await rig.transport.until_running("c")
        rig.transport.end("c")

    rig.play(script)
    done = HostResult(Outcome.COMPLETE, 42, exit_code=0)
    assert rig.journal.events == [
        HostStarted("a", 0),
        HostStarted("b", 0),
        HostFinished("b", done),
        HostFinished("a", FAILED.result),
        GateChecked(0, passed=True, detail="HTTP 200", duration_ms=3),
        HostStarted("c", 1),
        HostFinished("c", done),
        GateChecked(1, passed=True, detail="HTTP 200", duration_ms=3),
        TaskFinished(TaskStatus.COMPLETE, ""),
    ]
    assert rig.probe.asked == [URL, URL]
    assert {record.task for record in rig.journal.records} == {TASK}


@settings(max_examples=100, deadline=None)
@given(cases())
def test_the_engine_adds_nothing_to_what_the_rollout_decides(case: Case) -> None:
    """Any plan, any outcomes, any order of ends: the same as the independent model; a replay gives the same run."""
    case = replace(case, cancel_at=-1)
    policy = Policy(
        fanout=case.fanout,
        failures_max=quantity(case.failures),
        unreachable_max=quantity(case.unreachable),
        health_check_url=None if case.gates is None else URL,
    )
    refused = frozenset(host for host, end in case.ends.items() if end == "rejected")
    rig = Rig(case.batches, policy, refused, probe=ScriptedProbe(*(case.gates or ())))

    async def script() -> None:
        while rig.run.finished is None:
            await settled()
            running, ended = rig.transport.running, set(rig.run.results) - refused
            if running:
                turn = len(ended) + len(rig.probe.asked)
                host = running[case.picks[turn % len(case.picks)] % len(running)]
                rig.transport.end(host, Ended(HostResult(Outcome(case.ends[host]))))

    rig.play(script)
    expected, verdict, gates_asked = play(case)
    assert rig.outcomes() == {host: Outcome(end) for host, end in expected.items()}
    assert str(rig.run.status) == verdict
    assert rig.probe.asked == [URL] * gates_asked
    assert refused.isdisjoint(rig.transport.seen)
    again = fold(iter([rig.dispatched, *rig.journal.events]))
    assert (again.results, again.finished, again.gates) == (rig.run.results, rig.run.finished, rig.run.gates)


def test_limits_and_live_output_pass_through() -> None:
    """The engine hands the transport the task's limits and the sink, and touches neither."""
    rig = Rig((("a",),))

    async def script() -> None:
        await rig.transport.until_running("a")
        rig.transport.say("a", Stream.STDERR, b"\xff\x1b[2J")
        rig.transport.end("a")

    rig.play(script)
    assert rig.transport.limits == [Limits(timeout_ms=2_000)]
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
        assert HostStarted(order.host.name, 0) in journal.events

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
    assert HostStarted("b", 0) not in rig.journal.events
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
    rig.execution = Execution(TASK, rig.run, rig.clear, rig.limits, replace(rig.ports, complain=complain))
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
    assert rig.journal.events == [HostStarted("a", 0)]


# --- a journal that gives way


def rolling(fail_on: int | None = None) -> Rig:
    """Make a task with batches, a narrow fan-out, gates and a refused host: appends of every kind."""
    policy = Policy(fanout=2, health_check_url=URL)
    batches = (("a", "b", "c"), ("d", "e", "f"))
    return Rig(batches, policy, refused=frozenset({"b"}), journal=MemoryJournal(fail_on))


APPENDS = 12
"""What the task above makes when all goes well."""


def test_the_sweep_below_reaches_every_append() -> None:
    """Should the engine write more often, the sweep has to grow with it."""
    rig = rolling()
    rig.play(rig.let_all_complete)
    assert len(rig.journal.appends) == APPENDS
    kinds = {type(event) for append in rig.journal.appends for event in append}
    assert kinds == {HostStarted, HostFinished, GateChecked, TaskFinished}


@pytest.mark.parametrize("fail_on", range(1, APPENDS + 1))
def test_when_the_journal_fails_nothing_new_starts_and_running_hosts_are_awaited(fail_on: int) -> None:
    """Rule 4, for each append of the run: the error goes up, and the run is as the journal has it."""
    rig = rolling(fail_on)

    async def script() -> None:
        while not rig.journal.has_failed:
            await settled()
            if rig.transport.running and not rig.journal.has_failed:
                rig.transport.end(rig.transport.running[0])
        await settled()
        seen, running = rig.transport.seen, rig.transport.running
        await settled()
        assert rig.transport.running == running, "running hosts are neither killed nor forgotten"
        for host in running:
            rig.transport.end(host)
            await settled()
        assert rig.transport.seen == seen, "nothing new starts"

    with pytest.raises(JournalError, match="no space left"):
        rig.play(script)
    assert len(rig.journal.appends) == fail_on, "a journal that failed is not asked again"
    assert rig.transport.running == ()
    assert rig.transport.kills == 0
    started = {event.host for event in events_of(rig, HostStarted) if isinstance(event, HostStarted)}
    assert set(rig.transport.seen) == started, "no order without its start on disk"
    again = fold(iter([rig.dispatched, *rig.journal.events]))
    assert (again.results, again.in_flight, again.finished) == (rig.run.results, rig.run.in_flight, rig.run.finished)
    told = {event.host for event in rig.execution.unrecorded}
    assert told == set(rig.run.in_flight), "each ending is either on record or told"


def test_after_the_journal_failed_running_hosts_can_still_be_killed() -> None:
    """Ctrl-C twice must not wait for deadlines just because the disk is full."""
    rig = Rig((("a", "b", "c"),), Policy(fanout=2), journal=MemoryJournal(fail_on=2))

    async def script() -> None:
        await rig.transport.until_running("a", "b")
        rig.transport.end("a")
        await until(lambda: rig.journal.has_failed)
        rig.execution.cancel("SIGINT", now=False)
        await settled()
        assert rig.transport.kills == 0
        rig.execution.cancel("SIGINT", now=True)

    with pytest.raises(JournalError):
        rig.play(script)
    assert rig.transport.kills == 1
    assert rig.transport.seen == ("a", "b")


# --- cancel


def test_a_cancel_starts_nothing_more_and_lets_running_hosts_finish() -> None:
    """The verdict is `cancelled` and says who asked; nothing is killed."""
    rig = Rig((("a", "b", "c"), ("d",)), Policy(fanout=2, health_check_url=URL))

    async def script() -> None:
        await rig.transport.until_running("a", "b")
        rig.execution.cancel("SIGTERM", now=False)
        await settled()
        rig.transport.end("b")
        await settled()
        assert rig.transport.seen == ("a", "b")
        rig.transport.end("a", FAILED)

    rig.play(script)
    assert rig.run.finished == TaskFinished(TaskStatus.CANCELLED, "cancelled by SIGTERM")
    assert rig.transport.kills == 0
    assert rig.probe.asked == []
    expected = {"a": Outcome.FAILED, "b": Outcome.COMPLETE, "c": Outcome.SKIPPED, "d": Outcome.SKIPPED}
    assert rig.outcomes() == expected


def test_a_cancel_that_kills_is_recorded_first() -> None:
    """The journal knows why hosts end before they are told to."""
    rig = Rig((("a", "b", "c"),), Policy(fanout=2))
    kills_when_recorded: list[int] = []

    def on_append(events: Sequence[Event]) -> None:
        if CancelRequested("SIGINT", now=True) in events:
            kills_when_recorded.append(rig.transport.kills)

    rig.journal.on_append = on_append

    async def script() -> None:
        await rig.transport.until_running("a", "b")
        rig.execution.cancel("SIGINT", now=True)

    rig.play(script)
    assert kills_when_recorded == [0]
    assert rig.transport.kills == 1
    assert rig.run.counts() == {Outcome.CANCELLED: 2, Outcome.SKIPPED: 1}
    assert rig.run.status is TaskStatus.CANCELLED


def test_a_kill_is_carried_out_even_if_it_cannot_be_recorded() -> None:
    """The operator's stop outranks the journal; the error goes up once the killed hosts ended."""
    rig = Rig((("a", "b"),), journal=MemoryJournal(fail_on=2))

    async def script() -> None:
        await rig.transport.until_running("a", "b")
        rig.execution.cancel("SIGINT", now=True)

    with pytest.raises(JournalError):
        rig.play(script)
    assert rig.transport.kills == 1
    assert rig.transport.running == ()
    assert events_of(rig, HostFinished) == []


def test_a_first_cancel_drains_and_a_second_kills() -> None:
    """Both are on record; the first reason stands."""
    rig = Rig((("a", "b"),))

    async def script() -> None:
        await rig.transport.until_running("a", "b")
        rig.execution.cancel("SIGINT", now=False)
        await settled()
        rig.transport.end("a")
        await settled()
        rig.execution.cancel("SIGINT", now=True)

    rig.play(script)
    assert events_of(rig, CancelRequested) == [CancelRequested("SIGINT"), CancelRequested("SIGINT", now=True)]
    assert rig.outcomes() == {"a": Outcome.COMPLETE, "b": Outcome.CANCELLED}


def test_a_cancel_before_the_first_step_touches_no_host() -> None:
    """Also one that kills: there is nothing to kill, and nothing starts."""
    rig = Rig((("a",),))
    rig.execution.cancel("SIGHUP", now=True)
    rig.play(rig.let_all_complete)
    assert rig.transport.orders == []
    assert rig.outcomes() == {"a": Outcome.SKIPPED}
    assert [type(event) for event in rig.journal.events] == [CancelRequested, TaskFinished]


def test_a_cancel_during_a_gate_starts_no_further_batch() -> None:
    """The answer of the probe is recorded, and then the cancel counts."""
    rig = Rig((("a",), ("b",)), Policy(health_check_url=URL))
    rig.probe.on_check = lambda: rig.execution.cancel("SIGINT", now=False)
    rig.play(rig.let_all_complete)
    assert rig.transport.seen == ("a",)
    assert rig.run.finished == TaskFinished(TaskStatus.CANCELLED, "cancelled by SIGINT")


# --- gates and budgets


def test_a_gate_that_fails_stops_the_task() -> None:
    """The next batch is never started (C3); what was checked and what it said is on record."""
    rig = Rig((("a",), ("b",), ("c",)), Policy(health_check_url=URL), probe=ScriptedProbe(True, False))  # noqa: FBT003
    rig.play(rig.let_all_complete)
    assert rig.transport.seen == ("a", "b")
    assert rig.journal.events[-2:] == [
        GateChecked(1, passed=False, detail="HTTP 503", duration_ms=3),
        TaskFinished(TaskStatus.ABORTED, "the health check after batch 1 failed: HTTP 503"),
    ]
    assert rig.run.outcome("c") is Outcome.SKIPPED


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
