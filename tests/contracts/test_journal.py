"""The contract of the Journal port: what the engine may rely on, whoever keeps the journal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tests.engine.fakes import MemoryJournal
from vigo.adapters.store import Store
from vigo.adapters.store_thread import ThreadedJournal
from vigo.core.chain import GENESIS, canonical, link
from vigo.core.errors import JournalError
from vigo.core.events import (
    CancelRequested,
    Event,
    GateChecked,
    HostFinished,
    HostStarted,
    TaskDispatched,
    TaskFinished,
    TaskStatus,
)
from vigo.core.model import HostResult, Outcome
from vigo.core.payload import to_payload
from vigo.core.rollout import fold
from vigo.engine.ports import Journal

Script: TypeAlias = Callable[[Journal], Coroutine[Any, Any, None]]
Play: TypeAlias = Callable[[Script], None]


@asynccontextmanager
async def _in_memory(place: Path) -> AsyncIterator[Journal]:
    del place
    yield MemoryJournal()


JOURNALS: dict[str, Callable[[Path], AbstractAsyncContextManager[Journal]]] = {
    "store": lambda place: ThreadedJournal(Store(place / "vigo")),
    "memory": _in_memory,
}
DISPATCHED = TaskDispatched("admin", "uptime", "all", (("web-01", "web-02"),))
RUN: list[Event] = [
    DISPATCHED,
    HostStarted("web-01", 0),
    HostStarted("web-02", 0),
    HostFinished("web-02", HostResult(Outcome.COMPLETE, 42, 0)),
    HostFinished("web-01", HostResult(Outcome.FAILED, 42, 1)),
    TaskFinished(TaskStatus.COMPLETE),
]


@pytest.fixture(params=JOURNALS)
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    """Play a script on each journal in turn, which begins empty."""

    def played(script: Script) -> None:
        async def run() -> None:
            async with JOURNALS[request.param](tmp_path) as journal:
                await script(journal)

        asyncio.run(run())

    return played


def test_records_come_back_in_order_without_gaps(play: Play) -> None:
    """As given, numbered from 1 over all tasks, stamped in UTC."""

    async def script(journal: Journal) -> None:
        first = await journal.append("t1", RUN[:3])
        second = await journal.append("t2", [DISPATCHED])
        third = await journal.append("t1", RUN[3:])
        records = [*first, *second, *third]
        assert [record.seq for record in records] == list(range(1, 8))
        assert [record.event for record in (*first, *third)] == RUN
        assert [record.task for record in records] == ["t1"] * 3 + ["t2"] + ["t1"] * 3
        assert all(record.at.endswith("Z") and len(record.at) == 24 for record in records)

    play(script)


def test_records_are_one_chain(play: Play) -> None:
    """Each digest covers the one before it, over tasks and calls."""

    async def script(journal: Journal) -> None:
        previous = GENESIS
        for record in (*await journal.append("t1", RUN[:2]), *await journal.append("t1", RUN[2:])):
            host = getattr(record.event, "host", None)
            data = canonical(to_payload(record.event)).decode()
            previous = link(previous, (record.seq, record.at, record.task, record.event.kind, host, data))
            assert record.digest == previous

    play(script)


def test_what_is_written_folds_to_the_same_run(play: Play) -> None:
    """Replaying the records gives what the engine had."""

    async def script(journal: Journal) -> None:
        run = fold(record.event for record in await journal.append("t1", RUN))
        assert run.status is TaskStatus.COMPLETE
        assert run.outcome("web-01") is Outcome.FAILED

    play(script)


@pytest.mark.parametrize(
    "bad",
    [
        HostStarted("\ud800", 0),
        HostStarted("web-01", 2**53),
        GateChecked(0, passed=True, detail="\udcff", duration_ms=1),
        CancelRequested("\udc80"),
    ],
)
def test_a_call_that_cannot_be_written_writes_nothing(play: Play, bad: Event) -> None:
    """It raises JournalError, and the next call goes on from where the journal was."""

    async def script(journal: Journal) -> None:
        await journal.append("t1", RUN[:1])
        with pytest.raises(JournalError):
            await journal.append("t1", [RUN[1], bad], [b"kept"])
        assert [record.seq for record in await journal.append("t1", RUN[1:2])] == [2]

    play(script)


def test_nothing_to_write_is_no_error(play: Play) -> None:
    """And no event."""

    async def script(journal: Journal) -> None:
        nothing: Sequence[object] = await journal.append("t1", [])
        assert list(nothing) == []
        assert (await journal.append("t1", RUN[:1]))[0].seq == 1

    play(script)


def test_the_loop_turns_while_an_append_is_under_way(play: Play) -> None:
    """Nobody is held up: what was asked for first is written first, and others have their turn meanwhile."""

    async def script(journal: Journal) -> None:
        turns = [0]

        async def turning() -> None:
            while True:
                turns[0] += 1
                await asyncio.sleep(0)

        other = asyncio.create_task(turning())
        await journal.append("t1", RUN[:1])
        assert turns[0] > 0
        answers = await asyncio.gather(*(journal.append("t1", [event]) for event in RUN[1:]))
        assert [record.seq for (record,) in answers] == list(range(2, len(RUN) + 1))
        other.cancel()

    play(script)


def test_large_batches_are_one_call(play: Play) -> None:
    """Ten thousand hosts."""
    hosts = tuple(f"web-{number:05}" for number in range(10_000))

    async def script(journal: Journal) -> None:
        await journal.append("t1", [TaskDispatched("admin", "uptime", "all", (hosts,))])
        records = await journal.append("t1", [HostStarted(host, 0) for host in hosts])
        assert records[-1].seq == 10_001

    play(script)
