"""A journal that gives way, or takes its time: nothing new starts, nothing is forgotten, and the operator is obeyed."""

from __future__ import annotations

import asyncio

import pytest

from tests.engine.fakes import MemoryJournal, settled, until
from tests.engine.rig import URL, Rig
from vigo.core.errors import JournalError
from vigo.core.events import (
    CancelRequested,
    GateChecked,
    GateOpened,
    GateProbed,
    HostFinished,
    HostStarted,
    PauseEnded,
    TaskFinished,
    TaskStatus,
)
from vigo.core.gate import GatePolicy
from vigo.core.model import Outcome
from vigo.core.plan import Policy
from vigo.core.rollout import fold
from vigo.engine import execute


def rolling(fail_on: int | None = None) -> Rig:
    """Make a task with batches, a narrow fan-out, gates, a pause and a refused host: appends of every kind."""
    policy = Policy(fanout=2, pause_ms=1, gate=GatePolicy((URL,), baseline=True))
    batches = (("a", "b", "c"), ("d", "e", "f"))
    return Rig(batches, policy, refused=frozenset({"b"}), journal=MemoryJournal(fail_on))


APPENDS = 17
"""What the task above makes when all goes well."""


def test_the_sweep_below_reaches_every_append() -> None:
    """Should the engine write more often, the sweep has to grow with it."""
    rig = rolling()
    rig.play(rig.let_all_complete)
    assert len(rig.journal.appends) == APPENDS
    kinds = {type(event) for append in rig.journal.appends for event in append}
    assert kinds == {HostStarted, HostFinished, GateOpened, GateProbed, GateChecked, PauseEnded, TaskFinished}


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
    started = {event.host for event in rig.events_of(HostStarted) if isinstance(event, HostStarted)}
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
    assert rig.events_of(HostFinished) == []


# --- a journal that takes its time


def test_endings_that_arrive_during_an_append_share_the_next_one() -> None:
    """Group commit: while the disk syncs, what comes is gathered; a hundred hosts are three appends and not a hundred."""
    hosts = tuple(f"h{number}" for number in range(100))
    rig = Rig((hosts,))

    async def script() -> None:
        await until(lambda: len(rig.transport.running) == 100)
        rig.journal.hold = asyncio.Event()
        rig.transport.end("h0")
        await settled()
        for host in rig.transport.running:
            rig.transport.end(host)
        await settled()
        assert len(rig.journal.appends) == 2, "one at a time"
        rig.journal.hold.set()

    rig.play(script)
    starts, first, rest, verdict = rig.journal.appends
    assert [len(starts), len(first), len(rest)] == [100, 1, 99]
    assert verdict == (TaskFinished(TaskStatus.COMPLETE),)
    assert rig.run.counts() == {Outcome.COMPLETE: 100}


def test_no_order_goes_out_while_its_start_is_being_written() -> None:
    """However long that takes."""
    rig = Rig((("a", "b"),))
    rig.journal.hold = asyncio.Event()

    async def script() -> None:
        assert rig.journal.hold is not None
        await until(lambda: bool(rig.journal.appends))
        await settled()
        assert rig.transport.seen == ()
        rig.journal.hold.set()
        await rig.let_all_complete()

    rig.play(script)
    assert rig.transport.seen == ("a", "b")


@pytest.mark.parametrize("fails", [False, True])
def test_a_kill_does_not_wait_for_a_journal_that_hangs(monkeypatch: pytest.MonkeyPatch, fails: bool) -> None:  # noqa: FBT001 - a table's column
    """A second Ctrl-C while a write hangs: it is carried out all the same, also if the write fails in the end."""
    monkeypatch.setattr(execute, "_KILL_PATIENCE_S", 0.01)
    rig = Rig((("a", "b"),), journal=MemoryJournal(fail_on=2 if fails else None))

    async def script() -> None:
        await rig.transport.until_running("a", "b")
        rig.journal.hold = asyncio.Event()
        rig.transport.end("a")
        await until(lambda: len(rig.journal.appends) == 2)
        rig.execution.cancel("SIGINT", now=True)
        await until(lambda: rig.transport.kills > 0)
        await until(lambda: not rig.transport.running)
        rig.journal.hold.set()

    if fails:
        with pytest.raises(JournalError):
            rig.play(script)
        assert {event.host for event in rig.execution.unrecorded} == {"a", "b"}
    else:
        rig.play(script)
        assert rig.run.counts() == {Outcome.COMPLETE: 1, Outcome.CANCELLED: 1}
        assert rig.events_of(CancelRequested) == [CancelRequested("SIGINT", now=True)]


def test_what_ended_before_the_journal_gave_way_is_told_once() -> None:
    """Whether it was being written, had arrived meanwhile, or came after: in the order of its coming."""
    rig = Rig((("a", "b", "c", "d"),), Policy(accept_exit=(7,)), journal=MemoryJournal(fail_on=2))

    async def script() -> None:
        await rig.transport.until_running("a", "b", "c", "d")
        rig.journal.hold = asyncio.Event()
        rig.transport.end("c")
        await until(lambda: len(rig.journal.appends) == 2)
        rig.transport.end("a")
        await settled()
        rig.journal.hold.set()
        await settled()
        rig.transport.end("d")
        await settled()
        rig.transport.end("b")

    with pytest.raises(JournalError):
        rig.play(script)
    assert [event.host for event in rig.execution.unrecorded] == ["c", "a", "d", "b"]
    assert {event.result.outcome for event in rig.execution.unrecorded} == {Outcome.FAILED}, "as the task means it"
    (complaint,) = rig.complaints
    assert complaint.startswith("journal: no space left on device")
    assert complaint.endswith("; nothing more starts, what runs is awaited")
