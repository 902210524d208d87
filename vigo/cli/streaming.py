"""`task status --watch -o jsonl`: a task's events on standard output as they are written, until it is over.

It reads the journal and nothing else, and writes to standard output and nothing else but its last word: the lines are
those of `task run -o jsonl` and of `task status -o jsonl`.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Iterable
from typing import Final, TextIO

from vigo.adapters.store_read import Reading
from vigo.cli.console import Console
from vigo.cli.reading import find_task
from vigo.cli.wiring import journal_folder
from vigo.core.errors import Exit
from vigo.core.events import Record, TaskDispatched, TaskStatus
from vigo.core.rollout import Run
from vigo.render.jsonl import event_json
from vigo.render.machine import dump

_POLL_MS: Final = 250


def stream_task(prefix: str | None, console: Console) -> Exit:
    """Print the events there are, then each that comes. Ctrl-C ends the printing with 130 and changes nothing."""
    with Reading(journal_folder()) as journal:
        task = find_task(prefix, journal)
        try:
            Streaming(journal, task, console.out).follow(_reader_waits(console.out))
            status = journal.observe(task)[1]
        except KeyboardInterrupt:
            status = journal.observe(task)[1]
            stands = "goes on" if status is TaskStatus.RUNNING else f"is {status}"
            console.say(f"watching ended; task {task} {stands}: vigo task status {task}")
            return Exit.INTERRUPTED
    if status is TaskStatus.INTERRUPTED:
        console.say(f"task {task} is interrupted: its control process is gone; vigo task resume {task}")
    return Exit.OK


class Streaming:
    """One task, printed record by record."""

    def __init__(self, journal: Reading, task: str, out: TextIO) -> None:
        self._journal = journal
        self._task = task
        self._out = out
        self._seq = 0
        self._run: Run | None = None

    def follow(self, wait: Callable[[int], bool]) -> None:
        """Print until the task is over, its control process is gone, or `wait` says that nobody reads any more.

        `wait` is given milliseconds. The lock is looked at before the records: the end is written before it is let go.
        """
        while True:
            alive = self._journal.is_running(self._task)
            if not self._print(self._journal.records_after(self._seq, self._task)) and not alive:
                return
            if self._run is None or self._run.is_over or not wait(_POLL_MS):
                return

    def _print(self, records: Iterable[Record]) -> int:
        printed = 0
        for record in records:
            if isinstance(record.event, TaskDispatched):
                self._run = Run(record.event)
            elif self._run is not None:
                self._run.apply(record.event)
            self._out.write(dump(event_json(record, self._journal.kept)))
            self._seq = record.seq
            printed += 1
        self._out.flush()
        return printed


def _reader_waits(out: TextIO) -> Callable[[int], bool]:
    """Return what waits and tells whether somebody still reads: a pipe says so without being written to."""
    watched = select.poll()
    watched.register(out.fileno(), 0)

    def wait(duration_ms: int) -> bool:
        return not watched.poll(duration_ms)

    return wait
