"""The journal on disk: appends events to one hash chain in SQLite, synced where an act depends on it.

Rule 1: what permits an act is on disk before `append` returns; so is every end.
Rule 2: seq and predecessor are read and the rows written in one `BEGIN IMMEDIATE`, so writers cannot fork the chain.
Rule 3: what has no canonical form is refused; then nothing of the call is written.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
import string
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from vigo.adapters.locks import RunLock
from vigo.adapters.store_head import read_head, refuse_lost_tail, write_head
from vigo.adapters.store_open import LOCKS, in_words, open_to_write, prepare_folder
from vigo.adapters.store_read import BUSY_TIMEOUT_MS, Reading
from vigo.adapters.syslog import DEV_LOG
from vigo.core.audit import kept_digests
from vigo.core.chain import GENESIS, Point, canonical, link
from vigo.core.errors import JournalError
from vigo.core.events import (
    Event,
    OutputPruned,
    Record,
    TaskBlocked,
    TaskDispatched,
    TaskFinished,
    TaskPaused,
    TaskResumed,
)
from vigo.core.payload import to_payload

_ID_ALPHABET = string.digits + string.ascii_lowercase
_ID_LENGTH = 7
_ID_TRIES = 20
_HEAD_KINDS = (TaskDispatched, TaskBlocked, TaskPaused, TaskResumed, TaskFinished, OutputPruned)


class TaskIdTakenError(JournalError):
    """Another task has this id already; nothing was written."""


def new_task_id() -> str:
    """Return `t` and seven random characters of `[0-9a-z]`; that it is new only the journal can tell."""
    return "t" + "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH))


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Store(Reading):
    """The journal of one data folder, for writing and reading. It opens at the first write or question.

    `clock` gives the time that is stamped on events; a lock that others hold is waited for `busy_timeout_ms`;
    each new head is also told to the socket `log`. One object belongs to one thread; any number of processes may write
    at once.
    """

    def __init__(
        self,
        folder: Path,
        *,
        clock: Callable[[], datetime] = _utc_now,
        new_id: Callable[[], str] = new_task_id,
        busy_timeout_ms: int = BUSY_TIMEOUT_MS,
        log: Path = DEV_LOG,
    ) -> None:
        super().__init__(folder, busy_timeout_ms=busy_timeout_ms)
        self._clock = clock
        self._new_id = new_id
        self._log = log
        self._writer: sqlite3.Connection | None = None
        self._is_synced = False

    def close(self) -> None:
        """Close the database; a later write or question opens it again."""
        if self._connection is self._writer:
            self._connection = None
        super().close()
        writer, self._writer = self._writer, None
        if writer is not None:
            with in_words(self.path):
                writer.close()

    def dispatch(self, event: TaskDispatched) -> tuple[Record, RunLock]:
        """Open a task under a new id and return its record and its lock, which the caller holds until the end.

        Raises JournalError; then no task was opened, or (when the head alone could not be written) one that reads as
        interrupted.
        """
        prepare_folder(self.folder)
        for _ in range(_ID_TRIES):
            lock = RunLock(self.folder / LOCKS, self._new_id())
            try:
                return self.append(lock.task, [event])[0], lock
            except TaskIdTakenError:
                lock.release()
            except BaseException:
                lock.release()
                raise
        raise JournalError(f"{self.path}: no free task id in {_ID_TRIES} tries; try again")

    def block(self, event: TaskBlocked) -> Record:
        """Record a refused task under a new id. Raises JournalError."""
        for _ in range(_ID_TRIES):
            with suppress(TaskIdTakenError):
                return self.append(self._new_id(), [event])[0]
        raise JournalError(f"{self.path}: no free task id in {_ID_TRIES} tries; try again")

    def append(self, task: str, events: Sequence[Event], outputs: Sequence[bytes] = ()) -> Sequence[Record]:
        """Write the events, and the kept bytes that they name by digest, in one transaction; return the records.

        Synced to disk before returning if any event is `durable`. Raises JournalError; then nothing of this call was
        written, save when it is the head file that could not be: the message says so.
        """
        if not events:
            return ()
        with in_words(self.path), self._transaction(synced=any(event.durable for event in events)) as connection:
            records = self._write(connection, task, events)
            kept = ((hashlib.sha256(data).hexdigest(), data) for data in outputs if data)
            connection.executemany("INSERT OR IGNORE INTO output VALUES (?, ?)", kept)
        self._after_commit(records)
        return records

    def prune(self, operator: str, before_at: str) -> OutputPruned | None:
        """Drop the kept output that no event from the time `before_at` (UTC, as in `Record.at`) on names.

        No event is dropped; what was done is itself recorded. Returns None when there was nothing to drop. Raises
        JournalError.
        """
        with in_words(self.path), self._transaction(synced=True) as connection:
            before_seq = self._first_since(connection, before_at)
            dropped = self._stored(connection) - self._named_from(connection, before_seq)
            if not dropped:
                return None
            event = OutputPruned(operator, before_seq, len(dropped))
            records = self._write(connection, "", [event])
            connection.execute("PRAGMA secure_delete = ON")
            connection.executemany("DELETE FROM output WHERE digest = ?", ((digest,) for digest in dropped))
        self._after_commit(records)
        with suppress(sqlite3.Error):  # only gives space back: the output is gone either way
            self._open_to_write().execute("VACUUM")
        return event

    def _write(self, connection: sqlite3.Connection, task: str, events: Sequence[Event]) -> list[Record]:
        """Append the events to the chain, inside a transaction."""
        at, end, records = _stamp(self._clock()), self._end(connection), []
        for event in events:
            data = self._payload(task, event)
            end = self._insert(connection, end, (at, task, event.kind, getattr(event, "host", None), data))
            records.append(Record(end.seq, at, task, event, end.digest))
        return records

    def _after_commit(self, records: Sequence[Record]) -> None:
        if any(isinstance(record.event, _HEAD_KINDS) for record in records):
            write_head(self.folder, Point(records[-1].seq, records[-1].digest), self._busy_timeout_ms, self._log)

    @staticmethod
    def _first_since(connection: sqlite3.Connection, at: str) -> int:
        """Return the first seq at or after a time; the clock may have jumped, so every later event counts as later."""
        (first,) = connection.execute("SELECT min(seq) FROM events WHERE at >= ?", (at,)).fetchone()
        (end,) = connection.execute("SELECT max(seq) FROM events").fetchone()
        return int(first if first is not None else (end or 0) + 1)

    @staticmethod
    def _stored(connection: sqlite3.Connection) -> set[str]:
        return {digest for (digest,) in connection.execute("SELECT digest FROM output")}

    def _named_from(self, connection: sqlite3.Connection, seq: int) -> set[str]:
        rows = connection.execute("SELECT data FROM events WHERE seq >= ? AND kind = 'host.finished'", (seq,))
        try:
            return {kept for (data,) in rows for _, kept in kept_digests(data)}
        except ValueError as error:
            raise JournalError(f"{self.path}: {error}; nothing was dropped: see `vigo audit verify`") from error

    def _payload(self, task: str, event: Event) -> str:
        try:
            canonical(task)
            return canonical(to_payload(event)).decode()
        except ValueError as error:
            raise JournalError(f"{self.path}: a {event.kind} event cannot be written: {error}") from error

    @contextmanager
    def _transaction(self, *, synced: bool) -> Iterator[sqlite3.Connection]:
        connection = self._open_to_write()
        if synced is not self._is_synced:
            connection.execute(f"PRAGMA synchronous = {'FULL' if synced else 'NORMAL'}")
            self._is_synced = synced
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # SQLite may have rolled back by itself; the first error is the one to tell
                connection.execute("ROLLBACK")
            raise

    def _open_to_write(self) -> sqlite3.Connection:
        if self._writer is None:
            head = self._head()
            writer = open_to_write(self.folder, self._busy_timeout_ms)
            try:
                row = head and writer.execute("SELECT digest FROM events WHERE seq = ?", (head.seq,)).fetchone()
                refuse_lost_tail(self.folder, head, row[0] if row else None)
            except BaseException:
                writer.close()
                raise
            writer.execute("PRAGMA synchronous = NORMAL")
            super().close()
            self._writer, self._is_synced = writer, False
            self._connection = writer
        return self._writer

    def _head(self) -> Point | None:
        try:
            return read_head(self.folder)
        except ValueError as error:
            raise JournalError(f"{error}; see `vigo audit verify`") from error

    @staticmethod
    def _end(connection: sqlite3.Connection) -> Point:
        row = connection.execute("SELECT seq, digest FROM events ORDER BY seq DESC LIMIT 1").fetchone()
        return Point(0, GENESIS) if row is None else Point(*row)

    @staticmethod
    def _insert(connection: sqlite3.Connection, end: Point, columns: tuple[str, str, str, str | None, str]) -> Point:
        seq = end.seq + 1
        digest = link(end.digest, (seq, *columns))
        try:
            connection.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", (seq, *columns, digest))
        except sqlite3.IntegrityError as error:
            raise TaskIdTakenError(f"task id {columns[1]} is taken") from error
        return Point(seq, digest)


def _stamp(now: datetime) -> str:
    return now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
