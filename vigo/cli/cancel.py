"""`task cancel`: leaves a request for the process that runs the task, and waits until it is on record there."""

from __future__ import annotations

import time

from vigo.adapters.requests import leave
from vigo.adapters.store_read import Reading
from vigo.cli.console import Console
from vigo.cli.wiring import journal_folder, login_name
from vigo.core.errors import Exit, UsageError
from vigo.core.events import CancelRequested, TaskStatus

_PATIENCE_S = 10.0
_POLL_S = 0.05


def cancel_task(prefix: str, operator: str | None, console: Console, *, now: bool) -> Exit:
    """Have a running task cancelled. Raises UsageError for one that does not run."""
    with Reading(journal_folder()) as journal:
        task, status = journal.observe(journal.find(prefix))
        if status is not TaskStatus.RUNNING:
            raise UsageError(f"task {task.id} does not run: it is {status}; there is nothing to cancel")
        leave(journal.folder, task.id, operator or login_name(), now=now)
        seen = _seen(journal, task.id, task.last_seq)
        _, status = journal.observe(task.id)
    if seen is None:
        console.say(
            f"task {task.id} has not taken the request in {_PATIENCE_S:g}s (it is {status}); "
            "it will when it comes to it; if it hangs, send its process SIGTERM"
        )
        return Exit.HOSTS_FAILED
    consequence = "killing the command where it runs" if seen.now else "no further host starts, what runs will finish"
    console.say(f"task {task.id}: {consequence}; watch it with: vigo task status {task.id}")
    return Exit.OK


def _seen(journal: Reading, task: str, after: int) -> CancelRequested | None:
    """Wait until the request is on record."""
    until = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until:
        for record in journal.records_after(after, task):
            if isinstance(record.event, CancelRequested):
                return record.event
            after = record.seq
        if not journal.is_running(task):
            return None
        time.sleep(_POLL_S)
    return None
