"""Tampering: whatever is changed behind vigo's back is found, with its place, and what a crash leaves is no alarm."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vigo.adapters.store import Store
from vigo.adapters.store_audit import audit, export, walk_chain
from vigo.adapters.store_read import Reading
from vigo.core.audit import Audit, HeadState
from vigo.core.chain import Point
from vigo.core.events import HostFinished, HostStarted, TaskBlocked, TaskDispatched, TaskFinished, TaskStatus
from vigo.core.model import HostResult, Outcome, Output, Stream

HOSTS = ("web-01", "web-02", "web-03")
COLUMNS = ("seq", "at", "task", "kind", "host", "data", "digest")
ROWS = 21


def result(host: str) -> HostResult:
    """Return a result that names one kept output of its own."""
    data = kept(host)
    digest = hashlib.sha256(data).hexdigest()
    return HostResult(Outcome.COMPLETE, 42, 0, stdout=Output(len(data), digest, len(data), digest, len(data)))


def kept(host: str) -> bytes:
    """Return what a host said."""
    return f"{host} up 45 days\n".encode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a journal of three tasks on three hosts and one that was blocked: 25 events."""
    folder = tmp_path / "vigo"
    with Store(folder) as store:
        for _ in range(2):
            record, lock = store.dispatch(TaskDispatched("admin", "uptime", "all", (HOSTS,)))
            for host in HOSTS:
                store.append(record.task, [HostStarted(host, 0)])
            for host in HOSTS:
                store.append(record.task, [HostFinished(host, result(host))], [kept(host)])
            store.append(record.task, [TaskFinished(TaskStatus.COMPLETE)])
            lock.release()
        for _ in range(ROWS - 16):
            store.block(TaskBlocked("admin", "reboot", "all", "reboot", "f", "reboots", HOSTS))
    return folder


def change(folder: Path, *statements: str) -> None:
    """Do as somebody with a SQLite shell does."""
    connection = sqlite3.connect(folder / "journal.db")
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def examine(folder: Path, *anchors: Point) -> Audit:
    """Audit with a fresh connection."""
    with Reading(folder) as reading:
        return audit(reading, anchors)


def rows(folder: Path) -> list[Any]:
    """Return all rows, as stored."""
    connection = sqlite3.connect(folder / "journal.db")
    found = connection.execute("SELECT * FROM events ORDER BY seq").fetchall()
    connection.close()
    return found


def test_an_untouched_journal_is_ok(folder: Path) -> None:
    """Nothing found, nothing left to say but that an anchor is missing."""
    report = examine(folder)
    assert (report.chain.rows, report.chain.broken_at, report.head.state) == (ROWS, None, HeadState.OK)
    assert not report.is_tampered
    assert not any((report.outputs, report.schema, report.storage, report.interrupted, report.running))


EDITS = {
    "seq": "seq + 1000",
    "at": "'2020-01-01T00:00:00.000Z'",
    "task": "'tzzzzzzz' || seq",
    "kind": "'task.cancel'",
    "host": "coalesce(host || 'x', 'web-09')",
    "data": "replace(replace(data, 'admin', 'nobody'), ':', ': ')",
    "digest": "lower(hex(randomblob(32)))",
}


@pytest.mark.parametrize("column", COLUMNS)
def test_each_column_of_each_row_is_covered(folder: Path, column: str) -> None:
    """An edit of any cell is found, and the first bad seq is named."""
    for seq in range(1, ROWS + 1):
        copy = folder.parent / f"{column}-{seq}"
        duplicate(folder, copy)
        change(copy, f"UPDATE events SET {column} = {EDITS[column]} WHERE seq = {seq}")
        report = examine(copy)
        if column == "seq" and seq == ROWS:  # the last event moved away: the chain ends early and goes on wrong
            assert report.head.state is HeadState.MISMATCH
        assert (report.chain.broken_at, report.is_tampered) == (seq, True)


def duplicate(folder: Path, copy: Path) -> None:
    """Copy the journal's two files."""
    copy.mkdir(mode=0o700)
    for name in ("journal.db", "head.json"):
        (copy / name).write_bytes((folder / name).read_bytes())


CELLS = "at, task, kind, host, data, digest"
STRUCTURAL: dict[str, tuple[Callable[[int], list[str]], int]] = {
    "delete": (lambda n: [f"DELETE FROM events WHERE seq = {n}"], 0),
    "delete and close the gap": (
        lambda n: [f"DELETE FROM events WHERE seq = {n}", *renumber(range(n + 1, ROWS + 1), -1)],
        0,
    ),
    "exchange with the next": (
        lambda n: [
            "DROP INDEX task_ids",
            f"UPDATE events SET seq = 999 WHERE seq = {n}",
            f"UPDATE events SET seq = {n} WHERE seq = {n + 1}",
            f"UPDATE events SET seq = {n + 1} WHERE seq = 999",
        ],
        0,
    ),
    "insert a copy": (
        lambda n: [
            "DROP INDEX task_ids",
            *renumber(range(ROWS, n, -1), 1),
            f"INSERT INTO events SELECT {n} + 1, {CELLS} FROM events WHERE seq = {n}",
        ],
        1,
    ),
}


def renumber(seqs: range, by: int) -> list[str]:
    """Return statements that move rows one after another, so that no two meet."""
    return [f"UPDATE events SET seq = {seq} + {by} WHERE seq = {seq}" for seq in seqs]


@pytest.mark.parametrize("how", STRUCTURAL)
def test_rows_deleted_moved_or_inserted_anywhere_are_found(folder: Path, how: str) -> None:
    """At each of twenty places."""
    statements, offset = STRUCTURAL[how]
    for place in range(1, ROWS):
        copy = folder.parent / f"copy-{place}"
        duplicate(folder, copy)
        change(copy, *statements(place))
        report = examine(copy)
        assert (report.chain.broken_at, report.is_tampered) == (place + offset, True)


@pytest.mark.parametrize("lost", [1, 5, ROWS])
def test_a_cut_tail_does_not_reach_the_head(folder: Path, lost: int) -> None:
    """The chain alone is whole; the head tells how many are gone. Without a head, that is said and is no `ok`."""
    change(folder, f"DELETE FROM events WHERE seq > {ROWS - lost}")
    report = examine(folder)
    assert (report.chain.broken_at, report.head.state, report.is_tampered) == (None, HeadState.MISMATCH, True)
    assert f"{lost} events are missing" in report.head.cause
    (folder / "head.json").unlink()
    assert examine(folder).head.state is HeadState.MISSING
    assert examine(folder).is_tampered == (lost < ROWS)


def test_a_dropped_journal_does_not_reach_the_head(folder: Path) -> None:
    """The file as a whole is a tail, too."""
    (folder / "journal.db").unlink()
    report = examine(folder)
    assert (report.head.state, report.is_tampered) == (HeadState.MISMATCH, True)


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "null", "garbage", '{"digest":"x","schema":1,"seq":1}', "[" * 2000, '{"seq": 1}\n', "\udcff"],
)
def test_a_head_that_is_none_is_a_mismatch(folder: Path, text: str) -> None:
    """Whatever somebody wrote there."""
    (folder / "head.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    report = examine(folder)
    assert (report.head.state, report.is_tampered) == (HeadState.MISMATCH, True)
    assert "head.json" in report.head.cause


def test_an_old_head_that_was_put_back_is_behind_and_a_forged_one_a_mismatch(folder: Path) -> None:
    """A lagging head is what a crash leaves; one with another digest is not."""
    row = rows(folder)[9]
    head = {"digest": row[6], "schema": 1, "seq": 10}
    (folder / "head.json").write_text(json.dumps(head, separators=(",", ":")) + "\n")
    report = examine(folder)
    assert (report.head.state, report.head.behind, report.is_tampered) == (HeadState.BEHIND, ROWS - 10, False)
    head["digest"] = "0" * 64
    (folder / "head.json").write_text(json.dumps(head, separators=(",", ":")) + "\n")
    assert examine(folder).head.state is HeadState.MISMATCH


def rechain(folder: Path) -> None:
    """Compute the chain anew with nothing but hashlib, and write the head to fit: a full rewrite."""
    previous = "0" * 64
    for seq, *cells, _ in rows(folder):
        text = json.dumps([seq, *cells], ensure_ascii=False, separators=(",", ":"))
        previous = hashlib.sha256(f"vigo-journal-v1\n{previous}\n{text}".encode()).hexdigest()
        change(folder, f"UPDATE events SET digest = '{previous}' WHERE seq = {seq}")
    (folder / "head.json").write_text(f'{{"digest":"{previous}","schema":1,"seq":{len(rows(folder))}}}\n')


def test_a_full_rewrite_is_found_with_an_anchor_and_only_so(folder: Path) -> None:
    """Every digest fits again; what was noted elsewhere does not."""
    with Reading(folder) as reading:
        anchor = walk_chain(reading).end
    assert anchor is not None
    assert not examine(folder, anchor).is_tampered
    change(folder, "UPDATE events SET data = replace(data, 'admin', 'nobody') WHERE seq = 1")
    assert examine(folder).chain.broken_at == 1
    rechain(folder)
    assert not examine(folder).is_tampered
    report = examine(folder, anchor)
    assert report.is_tampered
    assert [(a.point, a.fits) for a in report.anchors] == [(anchor, False)]
    beyond = Point(10_000, anchor.digest)
    assert examine(folder, beyond).is_tampered


BLOBS = {
    "changed": "UPDATE output SET data = data || x'00' WHERE digest = '{digest}'",
    "emptied": "UPDATE output SET data = x'' WHERE digest = '{digest}'",
    "deleted": "DELETE FROM output WHERE digest = '{digest}'",
    "renamed": "UPDATE output SET digest = 'x' WHERE digest = '{digest}'",
}


@pytest.mark.parametrize("how", BLOBS)
@pytest.mark.parametrize("host", HOSTS)
def test_kept_output_that_is_changed_or_gone_is_found(folder: Path, how: str, host: str) -> None:
    """With task, host and stream, for each event that names it."""
    change(folder, BLOBS[how].format(digest=hashlib.sha256(kept(host)).hexdigest()))
    report = examine(folder)
    assert report.chain.broken_at is None
    assert report.is_tampered
    what = "changed" if how in {"changed", "emptied"} else "missing"
    assert [(d.host, d.stream, d.what) for d in report.outputs] == [(host, Stream.STDOUT, what)] * 2
    assert {d.task for d in report.outputs} == {rows(folder)[0][2], rows(folder)[8][2]}


def test_pruning_explains_only_what_it_dropped(folder: Path) -> None:
    """Output that goes missing after the pruning is found all the same."""
    with Store(folder) as store:
        store.prune("admin", "2999-01-01T00:00:00.000Z")
        assert not audit(store).is_tampered
        record, lock = store.dispatch(TaskDispatched("admin", "uptime", "all", (("web-01",),)))
        store.append(
            record.task, [HostStarted("web-01", 0), HostFinished("web-01", result("web-01"))], [kept("web-01")]
        )
        store.append(record.task, [TaskFinished(TaskStatus.COMPLETE)])
        lock.release()
        assert not audit(store).is_tampered
    change(folder, "DELETE FROM output")
    assert [(d.task, d.what) for d in examine(folder).outputs] == [(record.task, "missing")]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER hide AFTER INSERT ON events BEGIN DELETE FROM output; END",
        "CREATE VIEW shown AS SELECT * FROM events",
        "DROP INDEX task_openings",
        "ALTER TABLE events ADD COLUMN note TEXT",
    ],
)
def test_a_changed_schema_is_found(folder: Path, statement: str) -> None:
    """Triggers that would act on the next write, missing indexes, further columns."""
    change(folder, statement)
    report = examine(folder)
    assert report.is_tampered
    assert report.schema


def test_only_a_crash_at_the_very_first_event_leaves_no_head(tmp_path: Path) -> None:
    """After one opening event a missing head is explained; after more it is not."""
    folder = tmp_path / "vigo"
    with Store(folder) as store:
        record, lock = store.dispatch(TaskDispatched("admin", "uptime", "all", (HOSTS,)))
        lock.release()
        (folder / "head.json").unlink()
        report = audit(store)
        assert (report.head.state, report.is_tampered, report.interrupted) == (HeadState.MISSING, False, (record.task,))
        store.append(record.task, [HostStarted("web-01", 0)])
        assert audit(store).is_tampered


def test_an_export_holds_every_column_and_can_be_verified(folder: Path) -> None:
    """With a few lines of another program."""
    with Reading(folder) as reading:
        exported = list(export(reading))
    assert [tuple(row) for row in exported] == [COLUMNS] * ROWS
    previous = "0" * 64
    for row in exported:
        data = json.dumps(row["data"], ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        cells = [row["seq"], row["at"], row["task"], row["kind"], row["host"], data]
        text = json.dumps(cells, ensure_ascii=False, separators=(",", ":"))
        previous = hashlib.sha256(f"vigo-journal-v1\n{previous}\n{text}".encode()).hexdigest()
        assert row["digest"] == previous
