"""Looks at every row of the journal, at its kept output, its head and its schema, and writes nothing.

One snapshot of the database is examined, the head read before it, so that runs in progress look like what they are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from vigo.adapters.store_head import read_head
from vigo.adapters.store_open import OPENING, SCHEMA
from vigo.adapters.store_read import Reading
from vigo.core.audit import AnchorReport, Audit, DamagedOutput, HeadReport, HeadState, judge_head, kept_digests
from vigo.core.chain import GENESIS, ChainReport, Point, Row, link, verify
from vigo.core.errors import JournalError, TamperedError
from vigo.core.events import OutputPruned

_ROWS = "SELECT seq, at, task, kind, host, data, digest FROM events NOT INDEXED ORDER BY seq"
_UNENDED = (
    f"SELECT task FROM events AS opening WHERE {OPENING} AND kind = 'task.dispatch' AND NOT EXISTS "  # noqa: S608 - constants
    "(SELECT 1 FROM events WHERE task = opening.task AND kind = 'task.finished') AND 'task.pause' <> "
    "(SELECT kind FROM events INDEXED BY events_by_task WHERE task = opening.task ORDER BY seq DESC LIMIT 1) ORDER BY seq"
)
_OF_TASK = (
    "SELECT row.seq, row.at, row.task, row.kind, row.host, row.data, row.digest, before.digest FROM events AS row "
    "INDEXED BY events_by_task LEFT JOIN events AS before ON before.seq = row.seq - 1 WHERE row.task = ? ORDER BY row.seq"
)
_DAMAGED_MAX = 1_000
"""Bound on the damaged outputs that are named; more change nothing in the verdict."""


def audit(reading: Reading, anchors: Sequence[Point] = ()) -> Audit:
    """Examine the whole journal. Raises JournalError when it cannot be read to its end, saying how far it can."""
    head, misread = _head(reading)
    with reading.snapshot():
        outputs = _Outputs(reading)
        chain = verify(_rows(reading, outputs))
        head_report = HeadReport(HeadState.MISMATCH, cause=misread) if misread else _judge(reading, head)
        anchor_reports = tuple(AnchorReport(point, _digest_at(reading, point.seq) == point.digest) for point in anchors)
        schema = tuple(_schema_changes(reading))
        storage = tuple(_storage_damage(reading))
        unended = [str(task) for (task,) in reading.ask(_UNENDED)]
    running = tuple(task for task in unended if reading.is_running(task))
    interrupted = tuple(task for task in unended if task not in running and not _has_ended(reading, task))
    return Audit(chain, head_report, anchor_reports, tuple(outputs.damaged), schema, storage, interrupted, running)


def walk_chain(reading: Reading) -> ChainReport:
    """Verify the chain alone. Raises JournalError when it cannot be read to its end."""
    return verify(_rows(reading, None))


def refuse_changed(reading: Reading, task: str) -> None:
    """Raise TamperedError when an event of this task is not the one that was written after the event before it.

    A resume acts on what the journal says, so it looks first; the whole chain is for `audit verify`.
    """
    for *columns, digest, before in reading.ask(_OF_TASK, (task,)):
        if link(GENESIS if columns[0] == 1 else str(before), columns) != digest:
            raise TamperedError(
                f"{reading.path}: event {columns[0]} of task {task} was changed; nothing is resumed from it: "
                "see `vigo audit verify`"
            )


def export(reading: Reading) -> Iterator[dict[str, Any]]:
    """Yield every column of every row, `data` as the value it is. Raises JournalError."""
    for seq, at, task, kind, host, data, digest in reading.ask(_ROWS):
        try:
            value = json.loads(data)
        except (ValueError, TypeError, RecursionError) as error:
            raise JournalError(
                f"{reading.path}: event {seq} cannot be read: {error}; see `vigo audit verify`"
            ) from error
        yield {"seq": seq, "at": at, "task": task, "kind": kind, "host": host, "data": value, "digest": digest}


class _Outputs:
    """The kept output by digest, compared with what the events name; the digests are held, never the bytes."""

    def __init__(self, reading: Reading) -> None:
        self.damaged: list[DamagedOutput] = []
        self._good: set[str] = set()
        self._changed: set[str] = set()
        for digest, data in reading.ask("SELECT digest, data FROM output NOT INDEXED"):
            fits = isinstance(data, bytes) and hashlib.sha256(data).hexdigest() == digest
            (self._good if fits else self._changed).add(str(digest))
        self._pruned_before = _pruned_before(reading)

    def compare(self, row: Row) -> None:
        """Take in one row; only `host.finished` names output."""
        seq, _, task, kind, host, data, _ = row
        if kind != "host.finished" or not isinstance(seq, int):
            return
        try:
            named = list(kept_digests(data))
        except ValueError:
            return  # such a row does not fit the chain either, and that is said there
        for stream, digest in named:
            if digest in self._changed:
                self._note(DamagedOutput(seq, str(task), str(host), stream, "changed"))
            elif digest not in self._good and seq >= self._pruned_before:
                self._note(DamagedOutput(seq, str(task), str(host), stream, "missing"))

    def _note(self, damage: DamagedOutput) -> None:
        if len(self.damaged) < _DAMAGED_MAX:
            self.damaged.append(damage)


def _rows(reading: Reading, outputs: _Outputs | None) -> Iterator[Row]:
    last = 0
    try:
        for row in reading.ask(_ROWS):
            last = row[0]
            if outputs is not None:
                outputs.compare((*row,))
            yield (*row,)
    except JournalError as error:
        raise JournalError(f"{error} (events can be read up to seq {last})") from error


def _head(reading: Reading) -> tuple[Point | None, str]:
    try:
        return read_head(reading.folder), ""
    except ValueError as error:
        return None, str(error)


def _judge(reading: Reading, head: Point | None) -> HeadReport:
    (end_seq,) = next(reading.ask("SELECT max(seq) FROM events"), (None,))
    more = next(reading.ask(f"SELECT 1 FROM events NOT INDEXED WHERE NOT ({OPENING}) LIMIT 1"), None)  # noqa: S608 - constants
    there = None if head is None else _digest_at(reading, head.seq)
    return judge_head(head, there, end_seq or 0, only_openings=more is None)


def _digest_at(reading: Reading, seq: int) -> str | None:
    return next((str(digest) for (digest,) in reading.ask("SELECT digest FROM events WHERE seq = ?", (seq,))), None)


def _has_ended(reading: Reading, task: str) -> bool:
    """Look again: the task may have ended after the snapshot."""
    return (
        next(reading.ask("SELECT 1 FROM events WHERE task = ? AND kind = 'task.finished'", (task,)), None) is not None
    )


def _pruned_before(reading: Reading) -> int:
    before = 0
    for seq, data in reading.ask("SELECT seq, data FROM events NOT INDEXED WHERE kind = ?", (OutputPruned.kind,)):
        try:
            before = max(before, min(int(json.loads(data)["before_seq"]), seq))
        except (ValueError, TypeError, KeyError, RecursionError):
            continue  # it explains nothing, and the chain says that it was changed
    return before


def _schema_changes(reading: Reading) -> Iterator[str]:
    found = {str(sql): str(name) for name, sql in reading.ask("SELECT name, sql FROM sqlite_schema WHERE sql NOT NULL")}
    if not found:
        return
    yield from (f"missing or changed: {' '.join(sql.split()[:4])}" for sql in SCHEMA if sql not in found)
    hooks = reading.ask("SELECT type, name FROM sqlite_schema WHERE type IN ('trigger', 'view')")
    yield from (f"{kind} {name} is not vigo's" for kind, name in hooks)


def _storage_damage(reading: Reading) -> Iterator[str]:
    lines = (str(line) for (line,) in islice(reading.ask("PRAGMA integrity_check(10)"), 10))
    yield from (line for line in lines if line != "ok")
