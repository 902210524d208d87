"""Readings of the journal: a task's times, its run and where it stands."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from vigo.core.events import (
    CancelRequested,
    Event,
    HostFinished,
    HostStarted,
    Record,
    TaskBlocked,
    TaskDispatched,
    TaskFinished,
    TaskPaused,
    TaskResumed,
    TaskStatus,
)
from vigo.core.history import observed, read_task, summarise
from vigo.core.model import HostResult, Outcome

DISPATCHED = TaskDispatched("admin", "uptime", "*.web.*", (("web-01", "web-02"), ("web-03",)))
BLOCKED = TaskBlocked("admin", "systemctl stop vigo", "all", "systemctl stop vigo", "a", "stops vigo", ("web-01",))
COMPLETE = HostResult(Outcome.COMPLETE, 42, 0)


def records(events: Sequence[Event]) -> list[Record]:
    """Stamp events one second after another."""
    return [Record(n, f"2026-03-13T12:30:{n:02}.000Z", "t1a2b3c4", event) for n, event in enumerate(events, 1)]


def test_a_task_knows_when_it_was_created_started_and_finished() -> None:
    """Created by its dispatch, started by its first host, finished by its verdict."""
    task = read_task(
        records(
            [
                DISPATCHED,
                HostStarted("web-01", 0),
                HostFinished("web-01", COMPLETE),
                HostStarted("web-02", 0),
                CancelRequested("SIGINT"),
                HostFinished("web-02", COMPLETE),
                TaskFinished(TaskStatus.CANCELLED, ""),
            ]
        )
    )
    assert (task.id, task.created_at[17:19], task.last_seq) == ("t1a2b3c4", "01", 7)
    assert (task.started_at, task.finished_at) == ("2026-03-13T12:30:02.000Z", "2026-03-13T12:30:07.000Z")
    assert task.run is not None
    assert task.run.results == {"web-01": COMPLETE, "web-02": COMPLETE}
    assert task.blocked is None
    assert task.request == DISPATCHED
    assert task.hosts == ("web-01", "web-02", "web-03")
    assert task.status(alive=False) is task.status(alive=True) is TaskStatus.CANCELLED


def test_a_task_that_has_not_ended_runs_or_was_interrupted() -> None:
    """The journal cannot tell them apart; the lock does."""
    task = read_task(records([DISPATCHED]))
    assert (task.started_at, task.finished_at) == (None, None)
    assert task.status(alive=True) is TaskStatus.RUNNING
    assert task.status(alive=False) is TaskStatus.INTERRUPTED


def test_a_paused_task_is_paused_whether_somebody_lives_or_not() -> None:
    """Until it is resumed: then it runs, or was interrupted, and it started when its first host did."""
    done: list[Event] = [DISPATCHED, HostStarted("web-01", 0), HostFinished("web-01", COMPLETE)]
    later: list[Event] = [HostStarted("web-02", 0), CancelRequested("SIGINT"), HostFinished("web-02", COMPLETE)]
    paused = [*done, TaskPaused("1 of 2 batches ran, as asked")]
    task = read_task(records(paused))
    assert task.status(alive=True) is task.status(alive=False) is TaskStatus.PAUSED
    assert (task.finished_at, task.last_seq) == (None, 4)
    resumed = read_task(records([*paused, TaskResumed("bert"), *later]))
    assert resumed.status(alive=True) is TaskStatus.RUNNING
    assert resumed.status(alive=False) is TaskStatus.INTERRUPTED
    assert resumed.started_at == "2026-03-13T12:30:02.000Z"
    ended = read_task(records([*paused, TaskResumed("bert"), *later, TaskFinished(TaskStatus.CANCELLED)]))
    assert ended.finished_at == "2026-03-13T12:30:09.000Z"


@pytest.mark.parametrize("status", TaskStatus)
def test_only_what_runs_can_be_found_interrupted(status: TaskStatus) -> None:
    """Every other status is in the journal, and stays what it is."""
    assert observed(status, alive=True) is status
    expected = TaskStatus.INTERRUPTED if status is TaskStatus.RUNNING else status
    assert observed(status, alive=False) is expected


def test_a_blocked_task_was_never_alive() -> None:
    """It has a request and targets, but no run."""
    task = read_task(records([BLOCKED]))
    assert (task.run, task.blocked, task.request) == (None, BLOCKED, BLOCKED)
    assert task.hosts == ("web-01",)
    assert task.status(alive=False) is TaskStatus.BLOCKED


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([], "at least one event"),
        ([HostStarted("web-01", 0)], "event 1: a task begins with"),
        ([DISPATCHED, HostStarted("web-02", 0)], "event 2: host 'web-02' was started out of turn"),
        ([DISPATCHED, DISPATCHED], "event 2: task.dispatch cannot follow"),
    ],
)
def test_records_that_no_run_wrote_are_refused_with_their_place(events: list[Event], said: str) -> None:
    """A ValueError that names the event."""
    with pytest.raises(ValueError, match=said):
        read_task(records(events))


def test_a_summary_is_read_from_the_first_and_the_last_event() -> None:
    """Everything that a line of the list shows."""
    opening, closing = records([DISPATCHED, TaskFinished(TaskStatus.ABORTED, "gate")])
    done = summarise(opening, closing, alive=False)
    assert (done.id, done.command, done.target, done.operator) == ("t1a2b3c4", "uptime", "*.web.*", "admin")
    assert (done.status, done.status_word, done.targets) == (TaskStatus.ABORTED, "aborted", 3)
    assert (done.created_at, done.finished_at) == (opening.at, closing.at)
    assert summarise(opening, None, alive=True).status is TaskStatus.RUNNING
    assert summarise(opening, None, alive=False).status is TaskStatus.INTERRUPTED
    pause = records([DISPATCHED, TaskPaused("as asked")])[1]
    for alive in (True, False):
        paused = summarise(opening, pause, alive=alive)
        assert (paused.status, paused.status_word, paused.finished_at) == (TaskStatus.PAUSED, "paused", None)
    blocked = summarise(records([BLOCKED])[0], None, alive=False)
    assert (blocked.status, blocked.targets, blocked.finished_at) == (TaskStatus.BLOCKED, 1, None)


def test_a_summary_needs_an_opening_event() -> None:
    """Another event in its place is named."""
    with pytest.raises(ValueError, match="event 1"):
        summarise(records([HostStarted("web-01", 0)])[0], None, alive=False)


def test_a_summary_of_what_cannot_be_read_says_so() -> None:
    """The word in the list."""
    opening = records([DISPATCHED])[0]
    summary = summarise(opening, None, alive=True)
    unreadable = type(summary)("t1", "", "", "", None, 0, opening.at)
    assert unreadable.status_word == "unreadable"
