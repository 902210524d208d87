"""Reads the journal: tasks, records and kept output, read-only, also while another process writes.

A journal that does not exist yet reads as an empty one, and nothing is created by reading.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from vigo.adapters.locks import is_running
from vigo.adapters.store_open import JOURNAL, LOCKS, OPENING, exists, in_words, open_to_read
from vigo.core.errors import JournalError, NoMatchError, TamperedError
from vigo.core.events import Record, TaskPaused, TaskStatus
from vigo.core.history import Task, TaskSummary, read_task, summarise
from vigo.core.payload import from_payload

BUSY_TIMEOUT_MS = 5_000
_COLUMNS, _KIND = "seq, at, task, kind, host, data, digest", 3
_AT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
_NEAREST_OF = 1_000
_NAMED_MAX = 5
_LIMIT_MAX = 2**31
_UNKNOWN_AT = "1970-01-01T00:00:00.000Z"


class Reading:
    """A journal open for reading; it opens at the first question and closes with `close` or its `with` block.

    Each method raises JournalError when the journal is there and cannot be read.
    """

    def __init__(self, folder: Path, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> None:
        self.folder = folder.absolute()
        self.path = self.folder / JOURNAL
        self._busy_timeout_ms = busy_timeout_ms
        self._connection: sqlite3.Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the database; a later question opens it again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with in_words(self.path):
                connection.close()

    def last(self) -> str | None:
        """Return the id of the last task, or None when there is none."""
        rows = self.ask(f"SELECT task FROM events INDEXED BY task_openings WHERE {OPENING} ORDER BY seq DESC LIMIT 1")  # noqa: S608 - constants
        return next((str(task) for (task,) in rows), None)

    def find(self, prefix: str) -> str:
        """Return the id of the one task that begins with `prefix`.

        Raises NoMatchError, with the nearest ids, when there is none or more than one.
        """
        if not prefix.isascii():
            raise NoMatchError(f"no task {prefix!r} in {self.path}; {self._nearest(ascii(prefix))}")
        rows = self.ask(
            f"SELECT task FROM events INDEXED BY task_ids WHERE {OPENING} AND task >= ? AND task < ? LIMIT ?",  # noqa: S608 - constants
            (prefix, prefix + "\U0010ffff", _NAMED_MAX + 1),
        )
        found = [str(task) for (task,) in rows]
        if len(found) == 1 or prefix in found:
            return prefix if prefix in found else found[0]
        if found:
            named = ", ".join(found[:_NAMED_MAX]) + (", …" if len(found) > _NAMED_MAX else "")
            raise NoMatchError(f"{prefix!r} begins more than one task: {named}; write more of the id")
        raise NoMatchError(f"no task {prefix!r} in {self.path}; {self._nearest(prefix)}")

    def task(self, task: str) -> Task:
        """Fold one task by its whole id. Raises NoMatchError when there is none."""
        records = list(self.records(task))
        if not records:
            raise NoMatchError(f"no task {task!r} in {self.path}; {self._nearest(task)}")
        try:
            return read_task(records)
        except ValueError as error:
            raise JournalError(f"{self.path}: task {task} cannot be read: {error}; see `vigo audit verify`") from error

    def observe(self, task: str) -> tuple[Task, TaskStatus]:
        """Fold one task and say where it stands now. Raises NoMatchError when there is none."""
        seen = self.task(task)
        if seen.status(alive=True) is TaskStatus.RUNNING and not self.is_running(task):
            # It may have ended between the reading and the look at its lock; the end is written first.
            seen = self.task(task)
            return seen, seen.status(alive=False)
        return seen, seen.status(alive=True)

    def is_running(self, task: str) -> bool:
        """Say whether the control process of a task is alive."""
        return is_running(self.folder / LOCKS, task)

    def tasks(self, limit: int) -> list[TaskSummary]:
        """Return the last `limit` tasks, newest first, from their first and last events alone."""
        rows = self.ask(
            f"SELECT {_COLUMNS} FROM events INDEXED BY task_openings WHERE {OPENING} ORDER BY seq DESC LIMIT ?",  # noqa: S608 - constants
            (min(max(limit, 0), _LIMIT_MAX),),
        )
        return [self._summary(row) for row in list(rows)]

    def records(self, task: str) -> Iterator[Record]:
        """Yield the records of one task, in order."""
        query = f"SELECT {_COLUMNS} FROM events INDEXED BY events_by_task WHERE task = ? ORDER BY seq"  # noqa: S608 - constants
        yield from (self._record(row) for row in self.ask(query, (task,)))

    def records_after(self, seq: int, task: str | None = None) -> Iterator[Record]:
        """Yield the records behind `seq`, of all tasks or of one, in order: to follow a run, ask again and again."""
        if task is None:
            query, values = f"SELECT {_COLUMNS} FROM events WHERE seq > ? ORDER BY seq", (seq,)  # noqa: S608 - constants
            yield from (self._record(row) for row in self.ask(query, values))
        else:
            query = f"SELECT {_COLUMNS} FROM events INDEXED BY events_by_task WHERE task = ? AND seq > ? ORDER BY seq"  # noqa: S608 - constants
            yield from (self._record(row) for row in self.ask(query, (task, seq)))

    def kept(self, digest: str) -> bytes | None:
        """Return kept output by its SHA-256, or None when it was pruned.

        Raises TamperedError when the bytes are not the ones that were kept.
        """
        for (data,) in self.ask("SELECT data FROM output WHERE digest = ?", (digest,)):
            if not isinstance(data, bytes) or hashlib.sha256(data).hexdigest() != digest:
                raise TamperedError(f"{self.path}: kept output {digest[:12]}… was changed; see `vigo audit verify`")
            return data
        return None

    def _open(self) -> sqlite3.Connection | None:
        """Return the connection, or None while there is no journal."""
        if self._connection is None and exists(self.folder):
            self._connection = open_to_read(self.folder, self._busy_timeout_ms)
        return self._connection

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let all questions inside the block see one state of the journal, whatever others write meanwhile."""
        connection = self._open()
        if connection is None:
            yield
            return
        with in_words(self.path):
            connection.execute("BEGIN")
        try:
            yield
        finally:
            with suppress(sqlite3.Error):  # nothing was written; a damaged file may not even end a transaction
                connection.execute("ROLLBACK")

    def ask(self, query: str, values: tuple[object, ...] = ()) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of one query, none while there is no journal; for the modules of the store."""
        connection = self._open()
        if connection is not None:
            with in_words(self.path):
                # No `yield from`: for a reader who stops it would close the cursor, perhaps of a closed database.
                for row in connection.execute(query, values):  # noqa: UP028 - see above
                    yield row

    def _record(self, row: tuple[Any, ...]) -> Record:
        seq, at, task, kind, _, data, digest = row
        try:
            if not _AT.fullmatch(at):
                raise ValueError(f"{at!r} is no time")  # noqa: TRY301 - one place says which event it is
            return Record(seq, at, task, from_payload(kind, json.loads(data)), digest)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise JournalError(
                f"{self.path}: event {seq} cannot be read ({type(error).__name__}: {error}); see `vigo audit verify`"
            ) from error

    def _summary(self, row: tuple[Any, ...]) -> TaskSummary:
        """Read one line of the list; one that cannot be read must not hide the others."""
        try:
            return self._readable_summary(self._record(row))
        except (JournalError, ValueError):
            at = row[1] if isinstance(row[1], str) and _AT.fullmatch(row[1]) else _UNKNOWN_AT
            return TaskSummary(str(row[2]), f"(event {row[0]} cannot be read)", "-", "-", None, 0, at)

    def _readable_summary(self, opening: Record) -> TaskSummary:
        closing = self._closing(opening.task)
        alive = closing is None and self.is_running(opening.task)
        if closing is None and not alive:
            closing = self._closing(opening.task)  # as in `observe`: it may just have ended
        return summarise(opening, closing, alive=alive)

    def _closing(self, task: str) -> Record | None:
        """Return the task's verdict, or its last event where that is a pause."""
        ended = self.ask(
            f"SELECT {_COLUMNS} FROM events INDEXED BY task_ends WHERE task = ? AND kind = 'task.finished' "  # noqa: S608 - constants
            "ORDER BY seq DESC LIMIT 1",
            (task,),
        )
        last = self.ask(
            f"SELECT {_COLUMNS} FROM events INDEXED BY events_by_task WHERE task = ? ORDER BY seq DESC LIMIT 1",  # noqa: S608 - constants
            (task,),
        )
        paused = (row for row in last if row[_KIND] == TaskPaused.kind)
        return next((self._record(row) for row in chain(ended, paused)), None)

    def _nearest(self, word: str) -> str:
        query = f"SELECT task FROM events INDEXED BY task_openings WHERE {OPENING} ORDER BY seq DESC LIMIT ?"  # noqa: S608 - constants
        recent = [str(task) for (task,) in self.ask(query, (_NEAREST_OF,))]
        near = difflib.get_close_matches(word[:100], recent, n=3, cutoff=0.4)
        if near:
            return f"the nearest: {', '.join(near)}"
        return f"the latest: {', '.join(recent[:3])}" if recent else "it holds no task yet"
