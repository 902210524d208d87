"""The contract of the Journal port: what the engine may rely on, whoever keeps the journal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from vigo.adapters.store import Store
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
    to_payload,
)
from vigo.core.model import HostResult, Outcome
from vigo.core.rollout import fold
from vigo.engine.ports import Journal

JOURNALS: dict[str, Callable[[Path], Store]] = {"store": lambda place: Store(place / "vigo")}
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
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Journal]:
    """Give each journal in turn, empty."""
    with JOURNALS[request.param](tmp_path) as store:
        yield store


def test_records_come_back_in_order_without_gaps(journal: Journal) -> None:
    """As given, numbered from 1 over all tasks, stamped in UTC."""
    first = journal.append("t1", RUN[:3])
    second = journal.append("t2", [DISPATCHED])
    third = journal.append("t1", RUN[3:])
    records = [*first, *second, *third]
    assert [record.seq for record in records] == list(range(1, 8))
    assert [record.event for record in (*first, *third)] == RUN
    assert [record.task for record in records] == ["t1"] * 3 + ["t2"] + ["t1"] * 3
    assert all(record.at.endswith("Z") and len(record.at) == 24 for record in records)


def test_records_are_one_chain(journal: Journal) -> None:
    """Each digest covers the one before it, over tasks and calls."""
    previous = GENESIS
    for record in (*journal.append("t1", RUN[:2]), *journal.append("t1", RUN[2:])):
        host = getattr(record.event, "host", None)
        data = canonical(to_payload(record.event)).decode()
        previous = link(previous, (record.seq, record.at, record.task, record.event.kind, host, data))
        assert record.digest == previous


def test_what_is_written_folds_to_the_same_run(journal: Journal) -> None:
    """Replaying the records gives what the engine had."""
    run = fold(record.event for record in journal.append("t1", RUN))
    assert run.status is TaskStatus.COMPLETE
    assert run.outcome("web-01") is Outcome.FAILED


@pytest.mark.parametrize(
    "bad",
    [
        HostStarted("\ud800", 0),
        HostStarted("web-01", 2**53),
        GateChecked(0, passed=True, detail="\udcff", duration_ms=1),
        CancelRequested("\udc80"),
    ],
)
def test_a_call_that_cannot_be_written_writes_nothing(journal: Journal, bad: Event) -> None:
    """It raises JournalError, and the next call goes on from where the journal was."""
    journal.append("t1", RUN[:1])
    with pytest.raises(JournalError):
        journal.append("t1", [RUN[1], bad], [b"kept"])
    assert [record.seq for record in journal.append("t1", RUN[1:2])] == [2]


def test_nothing_to_write_is_no_error(journal: Journal) -> None:
    """And no event."""
    nothing: Sequence[object] = journal.append("t1", [])
    assert list(nothing) == []
    assert journal.append("t1", RUN[:1])[0].seq == 1


def test_large_batches_are_one_call(journal: Journal) -> None:
    """Ten thousand hosts."""
    hosts = tuple(f"web-{number:05}" for number in range(10_000))
    journal.append("t1", [TaskDispatched("admin", "uptime", "all", (hosts,))])
    records = journal.append("t1", [HostStarted(host, 0) for host in hosts])
    assert records[-1].seq == 10_001
