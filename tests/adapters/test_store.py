"""The journal on a real SQLite file: one chain, synced where it matters, read by others while it grows."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from vigo.adapters.locks import RunLock
from vigo.adapters.store import Store, TaskIdTakenError, new_task_id
from vigo.adapters.store_audit import audit
from vigo.adapters.store_head import read_head, write_head
from vigo.adapters.store_open import prepare_folder
from vigo.adapters.store_read import Reading
from vigo.core.chain import Point, verify
from vigo.core.errors import JournalError, NoMatchError, TamperedError
from vigo.core.events import (
    CancelRequested,
    Event,
    GateChecked,
    HostFinished,
    HostStarted,
    TaskBlocked,
    TaskDispatched,
    TaskFinished,
    TaskPaused,
    TaskResumed,
    TaskStatus,
)
from vigo.core.model import HostResult, Outcome, Output

DISPATCHED = TaskDispatched("admin", "uptime", "*.web.*", (("web-01", "web-02"),))
BLOCKED = TaskBlocked("admin", "systemctl stop vigo", "all", "systemctl stop vigo", "a", "stops vigo", ("web-01",))
KEPT = b" 12:30:01 up 45 days\n"
DIGEST = hashlib.sha256(KEPT).hexdigest()
COMPLETE = HostResult(Outcome.COMPLETE, 42, 0, stdout=Output(len(KEPT), DIGEST, len(KEPT), DIGEST, len(KEPT)))
GATE = GateChecked(0, passed=True, detail="HTTP 200", duration_ms=1)
DONE = TaskFinished(TaskStatus.COMPLETE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Name a data folder that does not exist yet."""
    return tmp_path / "data" / "vigo"


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    """Open a journal that does not exist yet."""
    with Store(folder) as store:
        yield store


def run_task(store: Store, event: TaskDispatched = DISPATCHED) -> str:
    """Write a whole task and return its id."""
    record, lock = store.dispatch(event)
    with lock:
        for host in event.batches[0]:
            store.append(record.task, [HostStarted(host, 0)])
            store.append(record.task, [HostFinished(host, COMPLETE)], [KEPT])
        store.append(record.task, [DONE])
    return record.task


def test_a_task_is_written_and_read_back(store: Store, folder: Path) -> None:
    """What another reader folds is what was written, output included."""
    task = run_task(store)
    with Reading(folder) as reading:
        seen, status = reading.observe(task)
        assert status is TaskStatus.COMPLETE
        assert seen.run is not None
        assert seen.run.results == {"web-01": COMPLETE, "web-02": COMPLETE}
        assert reading.kept(DIGEST) == KEPT
        assert reading.kept("0" * 64) is None
        assert reading.last() == task
        assert [record.seq for record in reading.records(task)] == [1, 2, 3, 4, 5, 6]


def test_a_missing_journal_reads_as_an_empty_one_and_stays_missing(folder: Path) -> None:
    """Looking creates nothing."""
    with Reading(folder) as reading:
        assert reading.tasks(20) == []
        assert reading.last() is None
        assert list(reading.records_after(0)) == []
        assert reading.kept(DIGEST) is None
        assert audit(reading).chain.rows == 0
        with pytest.raises(NoMatchError, match="no task yet"):
            reading.find("t1")
    assert not folder.parent.exists()


def test_ids_are_t_and_seven_characters_and_taken_ones_are_tried_again(folder: Path) -> None:
    """The journal's constraint decides, not luck."""
    assert len({new_task_id() for _ in range(100)}) == 100
    assert all(len(i) == 8 and i[0] == "t" and i.isalnum() and i == i.lower() for i in (new_task_id(),) * 50)
    ids = iter(["taaaaaaa", "taaaaaaa", "taaaaaaa", "tbbbbbbb", "tbbbbbbb", "tccccccc"])
    with Store(folder, new_id=lambda: next(ids)) as store:
        first, lock = store.dispatch(DISPATCHED)
        lock.release()
        second, lock = store.dispatch(DISPATCHED)
        lock.release()
        third = store.block(BLOCKED)
        assert [first.task, second.task, third.task] == ["taaaaaaa", "tbbbbbbb", "tccccccc"]
        with pytest.raises(TaskIdTakenError):
            store.append("taaaaaaa", [BLOCKED])
        assert len(list(store.records_after(0))) == 3


def test_when_no_id_is_free_the_task_is_not_opened(folder: Path) -> None:
    """Bounded tries, one line, no lock left behind."""
    with Store(folder, new_id=lambda: "taaaaaaa") as store:
        store.dispatch(DISPATCHED)[1].release()
        for again in (lambda: store.dispatch(DISPATCHED), lambda: store.block(BLOCKED)):
            with pytest.raises(JournalError, match="no free task id"):
                again()
        assert not store.is_running("taaaaaaa")


def test_the_store_stamps_utc_in_milliseconds(folder: Path) -> None:
    """Whatever zone the clock is in; a clock that jumps back changes no order."""
    zone = timezone(timedelta(hours=2))
    times = iter([datetime(2026, 3, 13, 14, 30, 1, 42_999, zone), datetime(2020, 1, 1, tzinfo=UTC)])
    with Store(folder, clock=lambda: next(times)) as store:
        store.block(BLOCKED)
        store.block(BLOCKED)
        assert [(r.seq, r.at) for r in store.records_after(0)] == [
            (1, "2026-03-13T12:30:01.042Z"),
            (2, "2020-01-01T00:00:00.000Z"),
        ]


def test_a_batch_is_written_whole_or_not_at_all(store: Store) -> None:
    """An event without a canonical form takes its batch with it, and the chain goes on."""
    record, lock = store.dispatch(DISPATCHED)
    for bad in (HostStarted("web-\udc80", 0), HostStarted("web-01", 2**53)):
        with pytest.raises(JournalError, match=r"host\.started event cannot be written"):
            store.append(record.task, [HostStarted("web-01", 0), bad], [b"never kept"])
    with pytest.raises(JournalError, match="cannot be written"):
        store.append("t\udc80", [HostStarted("web-01", 0)])
    assert store.append(record.task, []) == ()
    assert store.append(record.task, [CancelRequested("operator"), DONE])[0].seq == 2
    assert store.kept(hashlib.sha256(b"never kept").hexdigest()) is None
    lock.release()
    assert audit(store).chain.broken_at is None


@pytest.mark.parametrize("event", [HostStarted("web-01", 0), CancelRequested("SIGINT"), DONE, BLOCKED])
def test_durable_events_are_synced_and_others_are_not(store: Store, event: Event) -> None:
    """FULL for what permits an act or ends one, NORMAL for the rest, also one after the other."""
    record, lock = store.dispatch(DISPATCHED)
    connection = store._writer
    assert connection is not None
    seen = []
    connection.set_trace_callback(lambda text: seen.append(text) if "synchronous" in text else None)
    store.append(record.task, [GATE])
    store.append("t2" if event is BLOCKED else record.task, [GATE, event])
    store.append(record.task, [HostFinished("web-01", COMPLETE)])
    lock.release()
    assert seen == ["PRAGMA synchronous = NORMAL", "PRAGMA synchronous = FULL", "PRAGMA synchronous = NORMAL"]


def test_a_task_is_found_by_a_unique_beginning(folder: Path) -> None:
    """Unknown and ambiguous ones name what is near."""
    ids = iter(["taaaaaaa", "taab0000", "tzzzzzzz"])
    with Store(folder, new_id=lambda: next(ids)) as store:
        for _ in range(3):
            store.block(BLOCKED)
        assert store.find("tz") == store.find("tzzzzzzz") == "tzzzzzzz"
        with pytest.raises(NoMatchError, match=r"more than one task: taaaaaaa, taab0000; write more"):
            store.find("taa")
        with pytest.raises(NoMatchError, match="nearest: taab0000"):
            store.find("taab1")
        with pytest.raises(NoMatchError, match="latest: tzzzzzzz, taab0000, taaaaaaa"):
            store.find("999")
        for hostile in ("\udc80", "é", "' OR 1=1 --", "%", "t\0"):
            with pytest.raises(NoMatchError):
                store.find(hostile)
        with pytest.raises(NoMatchError, match="nearest"):
            store.observe("taaaaaab")


def test_the_list_is_newest_first_and_bounded(folder: Path) -> None:
    """Running, interrupted, complete, paused and blocked tasks, each with its word."""
    with Store(folder) as store:
        paused, lock = store.dispatch(DISPATCHED)
        store.append(paused.task, [TaskPaused("as asked")])
        lock.release()
        resumed, lock = store.dispatch(DISPATCHED)
        store.append(resumed.task, [TaskPaused("as asked"), TaskResumed("ops")])
        lock.release()
        complete = run_task(store)
        blocked = store.block(BLOCKED).task
        interrupted, lock = store.dispatch(DISPATCHED)
        lock.release()
        running, lock = store.dispatch(DISPATCHED)
        with lock, Reading(folder) as reading:
            listed = [(task.id, task.status_word, task.targets) for task in reading.tasks(20)]
            assert listed == [
                (running.task, "running", 2),
                (interrupted.task, "interrupted", 2),
                (blocked, "blocked", 1),
                (complete, "complete", 2),
                (resumed.task, "interrupted", 2),
                (paused.task, "paused", 2),
            ]
            assert [task.id for task in reading.tasks(2)] == [running.task, interrupted.task]
            assert reading.tasks(0) == reading.tasks(-1) == []
            assert len(reading.tasks(10**30)) == 6
            assert reading.observe(paused.task)[1] is TaskStatus.PAUSED
            assert reading.observe(running.task)[1] is TaskStatus.RUNNING
            assert reading.observe(interrupted.task)[1] is TaskStatus.INTERRUPTED


def test_a_run_is_followed_by_asking_for_what_came_after(store: Store, folder: Path) -> None:
    """Of one task or of all, from another connection, while it is written."""
    with Reading(folder) as reading:
        record, lock = store.dispatch(DISPATCHED)
        assert [r.event for r in reading.records_after(0)] == [DISPATCHED]
        store.block(BLOCKED)
        store.append(record.task, [HostStarted("web-01", 0)])
        assert [r.event for r in reading.records_after(1)] == [BLOCKED, HostStarted("web-01", 0)]
        assert [r.seq for r in reading.records_after(1, record.task)] == [3]
        lock.release()


def test_who_stops_reading_halfway_leaves_nothing_to_complain_of(store: Store, folder: Path) -> None:
    """As `audit export | head -1` does: the journal is closed while records are still to come, which are then let go."""
    run_task(store)
    with Reading(folder) as reading:
        records = reading.records_after(0)
        assert next(records).seq == 1
    del records


def test_a_snapshot_stays_as_it_was(store: Store, folder: Path) -> None:
    """Inside it, nothing that others write is seen."""
    store.block(BLOCKED)
    with Reading(folder) as reading:
        with reading.snapshot():
            before = len(list(reading.records_after(0)))
            store.block(BLOCKED)
            assert len(list(reading.records_after(0))) == before
        assert len(list(reading.records_after(0))) == before + 1


def test_kept_output_that_was_changed_is_never_shown(store: Store, folder: Path) -> None:
    """Better an error than forged output."""
    run_task(store)
    store.close()
    with sqlite3.connect(folder / "journal.db") as connection:
        connection.execute("UPDATE output SET data = x'00'")
    connection.close()
    with pytest.raises(TamperedError, match="audit verify"):
        store.kept(DIGEST)


def test_equal_output_is_kept_once(store: Store) -> None:
    """A thousand hosts that say the same cost one row; empty output costs none."""
    task = run_task(store)
    store.append(task, [GATE], [KEPT, KEPT, b""])
    assert list(store.ask("SELECT count(*), sum(length(data)) FROM output")) == [(1, len(KEPT))]


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o277])
def test_files_are_the_owners_alone_whatever_the_umask(folder: Path, umask: int) -> None:
    """0700 for folders, 0600 for the database, its log and index, the head and the locks."""
    old = os.umask(umask)
    try:
        with Store(folder) as store:
            lock = store.dispatch(DISPATCHED)[1]
            modes = {path.name: stat.S_IMODE(path.lstat().st_mode) for path in [folder, *folder.rglob("*")]}
            lock.release()
    finally:
        os.umask(old)
    assert {"journal.db", "journal.db-wal", "journal.db-shm", "head.json", "head.lock"} <= modes.keys()
    assert {name for name, mode in modes.items() if mode & 0o077} == set()
    assert modes["vigo"] == modes["locks"] == 0o700
    assert modes["journal.db"] == modes["journal.db-wal"] == modes["head.json"] == 0o600


def test_an_empty_open_folder_is_tightened_and_a_shared_one_is_refused(tmp_path: Path) -> None:
    """A folder of vigo's own is made private; one that holds other things is left alone."""
    own, shared = tmp_path / "own", tmp_path / "shared"
    for path in (own, shared):
        path.mkdir()
        path.chmod(0o777)
    (shared / "other").touch()
    with Store(own) as store:
        store.block(BLOCKED)
    assert stat.S_IMODE(own.stat().st_mode) == 0o700
    with pytest.raises(JournalError, match="other users can write"), Store(shared) as store:
        store.block(BLOCKED)
    assert stat.S_IMODE(shared.stat().st_mode) == 0o777
    assert [path.name for path in shared.iterdir()] == ["other"]


@pytest.mark.parametrize("name", ["journal.db", "journal.db-wal", "journal.db-shm", "journal.db-journal", "head.json"])
def test_a_planted_link_is_refused(folder: Path, tmp_path: Path, name: str) -> None:
    """For writing and for reading; what it leads to is not touched."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder.mkdir(parents=True, mode=0o700)
    (folder / name).symlink_to(victim)
    with pytest.raises(JournalError, match="is a link"), Store(folder) as store:
        store.block(BLOCKED)
    (folder / "journal.db").touch()
    with pytest.raises(JournalError, match="is a link"), Reading(folder) as reading:
        reading.last()
    assert victim.read_text() == "precious"


def test_the_head_follows_dispatch_block_and_end(store: Store, folder: Path) -> None:
    """Not each event: what lies between is `behind`."""

    def head_seq() -> str:
        return (folder / "head.json").read_text().rsplit(":", 1)[1].strip("}\n")

    record, lock = store.dispatch(DISPATCHED)
    assert head_seq() == "1"
    store.append(record.task, [HostStarted("web-01", 0)])
    assert head_seq() == "1"
    report = audit(store)
    assert (report.head.state.value, report.head.behind, report.is_tampered) == ("behind", 1, False)
    assert report.running == (record.task,)
    store.append(record.task, [HostFinished("web-01", HostResult(Outcome.COMPLETE)), DONE])
    assert head_seq() == "4"
    store.block(BLOCKED)
    assert head_seq() == "5"
    lock.release()
    assert not audit(store).is_tampered


def test_a_journal_that_lost_its_tail_is_not_written_over(store: Store, folder: Path) -> None:
    """The head is the only trace of what is gone: vigo does not go on as if nothing was."""
    run_task(store)
    store.close()
    with sqlite3.connect(folder / "journal.db") as connection:
        connection.execute("DELETE FROM events WHERE seq > 4")
    connection.close()
    head = (folder / "head.json").read_bytes()
    with pytest.raises(JournalError, match=r"event 6 that head\.json vouches for"):
        store.dispatch(DISPATCHED)
    assert (folder / "head.json").read_bytes() == head
    (folder / "head.json").unlink()
    assert store.block(BLOCKED).seq == 5


WRITER = """
    import sys
    from pathlib import Path
    from vigo.adapters.store import Store
    from vigo.core.events import *
    from vigo.core.model import HostResult, Outcome
    folder, tasks = Path(sys.argv[1]), int(sys.argv[2])
    hosts = tuple(f"web-{n:02}" for n in range(5))
    for _ in range(tasks):
        with Store(folder, busy_timeout_ms=60_000) as store:
            record, lock = store.dispatch(TaskDispatched("admin", "uptime", "all", (hosts,)))
            for host in hosts:
                store.append(record.task, [HostStarted(host, 0)])
                store.append(record.task, [HostFinished(host, HostResult(Outcome.COMPLETE))], [host.encode()])
            store.append(record.task, [TaskFinished(TaskStatus.COMPLETE)])
            lock.release()
"""


def write_at_once(folder: Path, processes: int, tasks: int) -> None:
    """Let processes write whole tasks into a journal that none of them finds, while this one lists."""
    code = textwrap.dedent(WRITER)
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(folder), str(tasks)], stderr=subprocess.PIPE)
        for _ in range(processes)
    ]
    while any(process.poll() is None for process in started):
        with Reading(folder) as reading:
            assert all(task.status_word in {"running", "complete"} for task in reading.tasks(20))
    assert [process.communicate()[1] for process in started] == [b""] * processes
    with Reading(folder) as reading:
        report = audit(reading)
        assert report.chain.rows == processes * tasks * 12
        assert (report.is_tampered, report.head.state.value, report.interrupted) == (False, "ok", ())
        assert len(reading.tasks(10_000)) == processes * tasks
        assert {task.status for task in reading.tasks(10_000)} == {TaskStatus.COMPLETE}


def test_eight_processes_that_append_at_once_keep_one_chain(folder: Path) -> None:
    """No row lost, no error, no fork; and who lists meanwhile sees no task as interrupted."""
    write_at_once(folder, 8, 3)


@pytest.mark.faults
def test_eight_processes_with_twenty_tasks_each_keep_one_chain(folder: Path) -> None:
    """The catalogue's full count."""
    write_at_once(folder, 8, 20)


@pytest.mark.parametrize("hosts", [200])
def test_list_and_status_read_only_what_they_show(folder: Path, hosts: int) -> None:
    """Among many tasks on many hosts, the database does as much work for one task as in a journal of that task alone.

    Work is counted in SQLite's own steps, not in time.
    """
    names = tuple(f"web-{n:04}" for n in range(hosts))
    event = TaskDispatched("admin", "uptime", "all", (names,))

    def steps(reading: Reading) -> tuple[int, int]:
        counts = []
        for question in (lambda: reading.tasks(20), lambda: reading.observe(reading.last() or "")):
            reading.last()
            count = 0

            def step() -> None:
                nonlocal count
                count += 1

            assert reading._connection is not None
            reading._connection.set_progress_handler(step, 10)
            question()
            counts.append(count)
        return counts[0], counts[1]

    def add_tasks(count: int) -> None:
        with Store(folder) as store:
            for _ in range(count):
                record, lock = store.dispatch(event)
                store.append(record.task, [e for n in names for e in (HostStarted(n, 0), HostFinished(n, COMPLETE))])
                store.append(record.task, [DONE])
                lock.release()

    add_tasks(20)
    with Reading(folder) as reading:
        few = steps(reading)
    add_tasks(20)
    with Reading(folder) as reading:
        many = steps(reading)
    assert many[0] <= few[0] * 1.1
    assert many[1] <= few[1] * 1.1


def test_a_foreign_process_that_is_killed_leaves_an_interrupted_task(folder: Path) -> None:
    """The kernel gives the lock back; the log is recovered by a reader; nothing is tampered with."""
    code = """
        import os, signal, sys
        from pathlib import Path
        from vigo.adapters.store import Store
        from vigo.core.events import *
        store = Store(Path(sys.argv[1]))
        record, lock = store.dispatch(TaskDispatched("admin", "uptime", "all", (("web-01",),)))
        store.append(record.task, [HostStarted("web-01", 0)])
        os.kill(os.getpid(), signal.SIGKILL)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code), str(folder)], check=False)
    with Reading(folder) as reading:
        task = reading.last()
        assert task is not None
        seen, status = reading.observe(task)
        assert status is TaskStatus.INTERRUPTED
        assert seen.run is not None
        assert list(seen.run.in_flight) == ["web-01"]
        report = audit(reading)
        assert (report.interrupted, report.is_tampered, report.head.state.value) == ((task,), False, "behind")
    with Store(folder) as store:
        assert store.block(BLOCKED).seq == 3


def test_a_task_that_ends_while_it_is_looked_at_is_not_interrupted(store: Store, folder: Path) -> None:
    """Between the reading of its events and the look at its lock it may end: who finds the lock free reads again."""
    record, lock = store.dispatch(DISPATCHED)

    class Slow(Reading):
        def is_running(self, task: str) -> bool:
            store.append(task, [DONE])
            lock.release()
            return super().is_running(task)

    with Slow(folder) as reading:
        assert reading.observe(record.task)[1] is TaskStatus.COMPLETE
    record, lock = store.dispatch(DISPATCHED)
    with Slow(folder) as reading:
        assert reading.tasks(1)[0].status is TaskStatus.COMPLETE
    record, lock = store.dispatch(DISPATCHED)
    with Slow(folder) as reading:
        report = audit(reading)
        assert (report.interrupted, report.running) == ((), ())


def test_a_head_is_only_replaced_by_a_later_one(folder: Path) -> None:
    """Two processes may write their heads in the other order than their events."""
    prepare_folder(folder)
    for seq in (5, 3):
        write_head(folder, Point(seq, f"{seq}" * 64), 1_000, folder / "no log")
        assert read_head(folder) == Point(5, "5" * 64)


def test_the_digest_can_be_computed_by_anyone(store: Store, folder: Path) -> None:
    """Every stored column goes in, as the reference says."""
    run_task(store)
    store.close()
    connection = sqlite3.connect(folder / "journal.db")
    rows = connection.execute("SELECT * FROM events ORDER BY seq").fetchall()
    connection.close()
    assert verify(iter(rows)).end is not None
    assert verify(iter(rows)).broken_at is None
    assert len(rows[0]) == 7


def test_pruning_drops_old_output_and_says_so(folder: Path) -> None:
    """What a younger event names stays, the event stands in the chain, and verify is content."""
    clock = iter([datetime(2026, 1, 1, tzinfo=UTC)] * 7 + [datetime(2026, 3, 1, tzinfo=UTC)] * 99)
    other = b"only in January"
    digest = hashlib.sha256(other).hexdigest()
    january = HostResult(Outcome.COMPLETE, stderr=Output(len(other), digest, len(other), digest, len(other)))
    with Store(folder, clock=lambda: next(clock)) as store:
        old, lock = store.dispatch(DISPATCHED)
        store.append(old.task, [HostStarted("web-01", 0), HostStarted("web-02", 0)])
        store.append(old.task, [HostFinished("web-01", january), HostFinished("web-02", COMPLETE)], [other, KEPT])
        store.append(old.task, [DONE])
        lock.release()
        for _ in range(3):
            store.block(BLOCKED)
        run_task(store)
        pruned = store.prune("admin", "2026-02-01T00:00:00.000Z")
        assert pruned is not None
        assert (pruned.outputs, pruned.before_seq) == (1, 10)
        assert store.prune("admin", "2026-02-01T00:00:00.000Z") is None
        assert store.kept(digest) is None
        assert store.kept(DIGEST) == KEPT
        assert not audit(store).is_tampered
        assert store.observe(old.task)[1] is TaskStatus.COMPLETE
    assert other not in (folder / "journal.db").read_bytes()


def test_a_lock_that_is_held_elsewhere_stops_the_dispatch(folder: Path) -> None:
    """Only possible when a task is taken up again; then two may not run it."""
    with Store(folder, new_id=lambda: "taaaaaaa") as store:
        store.block(BLOCKED)
        with RunLock(folder / "locks", "taaaaaaa"), pytest.raises(JournalError, match="run by another process"):
            store.dispatch(DISPATCHED)
