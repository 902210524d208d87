"""The journal in its thread: the event loop turns, whatever the disk and other processes do."""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any

import pytest

from vigo.adapters.store import Store
from vigo.adapters.store_audit import audit
from vigo.adapters.store_read import Reading
from vigo.adapters.store_thread import ThreadedJournal
from vigo.core.errors import JournalError
from vigo.core.events import Event, HostFinished, HostStarted, Record, TaskDispatched, TaskFinished, TaskStatus
from vigo.core.model import HostResult, Outcome

HOSTS = tuple(f"web-{number:03}" for number in range(200))
DISPATCHED = TaskDispatched("admin", "uptime", "all", (HOSTS,))
HEARTBEAT_S = 0.01

LOCKER = """
    import sqlite3, sys, time
    connection = sqlite3.connect(sys.argv[1], isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    print("locked", flush=True)
    time.sleep(float(sys.argv[2]))
    connection.execute("ROLLBACK")
"""


@contextmanager
def locked(folder: Path, for_s: float) -> Iterator[None]:
    """Have another process hold the database exclusively for so long."""
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(LOCKER), str(folder / "journal.db"), str(for_s)],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        yield
        process.wait(30)


async def beating(gaps: list[float]) -> None:
    """Note how long each turn of the loop kept the next one waiting."""
    last = monotonic()
    while True:
        await asyncio.sleep(HEARTBEAT_S)
        now = monotonic()
        gaps.append(now - last)
        last = now


def dispatched(folder: Path, **settings: Any) -> tuple[Store, str]:
    """Make a journal with one task; its lock is given back, for nobody asks."""
    store = Store(folder, **settings)
    record, lock = store.dispatch(DISPATCHED)
    lock.release()
    return store, record.task


def run(
    folder: Path, script: Callable[[ThreadedJournal, str], Coroutine[Any, Any, None]], **settings: Any
) -> Sequence[Record]:
    """Play a script on a task's journal; return the task's records, read back after the journal was closed."""

    async def play() -> str:
        store, task = dispatched(folder, **settings)
        async with ThreadedJournal(store) as journal:
            await script(journal, task)
        return task

    task = asyncio.run(play())
    with Reading(folder) as reading:
        assert not audit(reading).is_tampered
        return list(reading.records(task))


def hosts_started(records: Sequence[Record]) -> list[str]:
    """Return the hosts whose start is on record, in order."""
    return [record.event.host for record in records if isinstance(record.event, HostStarted)]


@contextmanager
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Hold the first write back: yields what says that it has begun, and what lets it go on."""
    begun, go_on = threading.Event(), threading.Event()
    write = Store.append

    def held_back(self: Store, task: str, events: Sequence[Event], outputs: Sequence[bytes] = ()) -> Sequence[Record]:
        if events and isinstance(events[0], HostStarted):
            begun.set()
            assert go_on.wait(30)
        return write(self, task, events, outputs)

    monkeypatch.setattr(Store, "append", held_back)
    try:
        yield begun, go_on
    finally:
        go_on.set()


async def until_set(event: threading.Event) -> None:
    """Wait for another thread without holding the loop up."""
    assert await asyncio.to_thread(event.wait, 30)


def loop_while_locked(folder: Path, for_s: float) -> tuple[list[float], Sequence[Record]]:
    """Append while another process holds the journal; return the loop's gaps meanwhile, and what is on record."""
    gaps: list[float] = []

    async def script(journal: ThreadedJournal, task: str) -> None:
        await journal.append(task, [HostStarted("web-000", 0)])
        heart = asyncio.create_task(beating(gaps))
        with locked(folder, for_s):
            await journal.append(task, [HostStarted("web-001", 0)])
        heart.cancel()

    return gaps, run(folder, script, busy_timeout_ms=60_000)


def test_a_journal_that_another_process_locks_does_not_hold_the_loop_up(tmp_path: Path) -> None:
    """D4: the write waits for its turn, and the loop turns all the while."""
    gaps, records = loop_while_locked(tmp_path / "vigo", 0.5)
    assert hosts_started(records) == ["web-000", "web-001"]
    assert len(gaps) >= 0.5 / HEARTBEAT_S / 3, "a loop that was held up would have beaten once"


@pytest.mark.faults
def test_d4_the_heartbeat_goes_on_while_the_journal_is_locked_for_three_seconds(tmp_path: Path) -> None:
    """The catalogue's figure: at most 200 ms between two turns."""
    worst = 0.0
    for number in range(5):
        gaps, records = loop_while_locked(tmp_path / str(number), 3)
        assert hosts_started(records) == ["web-000", "web-001"]
        worst = max(worst, *gaps)
    print(f"D4: longest gap between two turns of the loop {worst * 1000:.0f} ms")
    assert worst <= 0.2


def test_a_journal_that_stays_locked_raises_where_it_is_waited_for(tmp_path: Path) -> None:
    """As the store itself does; what comes later is written again."""

    async def script(journal: ThreadedJournal, task: str) -> None:
        with locked(tmp_path / "vigo", 0.5), pytest.raises(JournalError, match="locked by another process"):
            await journal.append(task, [HostStarted("web-000", 0)])
        await journal.append(task, [HostStarted("web-001", 0)])

    assert hosts_started(run(tmp_path / "vigo", script, busy_timeout_ms=50)) == ["web-001"]


def test_writes_that_were_asked_for_at_once_keep_their_order(tmp_path: Path) -> None:
    """One thread, one queue: the chain is as the run had it."""

    async def script(journal: ThreadedJournal, task: str) -> None:
        answers = await asyncio.gather(*(journal.append(task, [HostStarted(host, 0)]) for host in HOSTS))
        assert [record.seq for (record,) in answers] == list(range(2, len(HOSTS) + 2))

    assert hosts_started(run(tmp_path / "vigo", script)) == list(HOSTS)


def test_the_lists_of_the_caller_are_taken_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done to them afterwards changes nothing that is written."""

    async def script(journal: ThreadedJournal, task: str) -> None:
        events: list[Event] = [HostStarted("web-000", 0)]
        with slow(monkeypatch) as (begun, go_on):
            writing = asyncio.create_task(journal.append(task, events))
            await until_set(begun)
            events.append(HostStarted("web-001", 0))
            go_on.set()
            await writing

    assert hosts_started(run(tmp_path / "vigo", script)) == ["web-000"]


def test_a_cancelled_wait_loses_neither_the_write_nor_its_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The result is handed over first, then the cancellation strikes: no run falls behind its journal."""
    applied: list[Record] = []

    async def appending(journal: ThreadedJournal, task: str) -> None:
        applied.extend(await journal.append(task, [HostStarted("web-000", 0)]))
        await asyncio.sleep(30)
        applied.clear()

    async def script(journal: ThreadedJournal, task: str) -> None:
        with slow(monkeypatch) as (begun, go_on):
            writing = asyncio.create_task(appending(journal, task))
            await until_set(begun)
            writing.cancel()
            await asyncio.sleep(0.01)
            assert not writing.done()
            go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await writing
            assert writing.cancelling() == 1, "one request is one request"

    assert applied == list(run(tmp_path / "vigo", script))[1:]
    assert hosts_started(applied) == ["web-000"]


def test_a_deadline_round_a_write_is_still_a_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Handing a cancellation on must not make a stranger's of it: the timeout knows its own."""

    async def in_time(journal: ThreadedJournal, task: str) -> None:
        async with asyncio.timeout(0.01):
            await journal.append(task, [HostStarted("web-000", 0)])
            await asyncio.sleep(30)

    async def script(journal: ThreadedJournal, task: str) -> None:
        with slow(monkeypatch) as (_, go_on):
            asyncio.get_running_loop().call_later(0.05, go_on.set)
            with pytest.raises(TimeoutError):
                await in_time(journal, task)

    assert hosts_started(run(tmp_path / "vigo", script)) == ["web-000"]


def test_closing_waits_for_what_was_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for writes that nobody awaits any more."""
    tasks: list[asyncio.Task[Sequence[Record]]] = []

    async def script(journal: ThreadedJournal, task: str) -> None:
        with slow(monkeypatch) as (begun, go_on):
            tasks.extend(asyncio.create_task(journal.append(task, [HostStarted(host, 0)])) for host in HOSTS[:5])
            await until_set(begun)
            asyncio.get_running_loop().call_later(0.05, go_on.set)
            await journal.__aexit__(None, None, None)
            assert len(hosts_started(_read(tmp_path / "vigo", task))) == 5
            await asyncio.gather(*tasks)

    async def play() -> None:
        store, task = dispatched(tmp_path / "vigo")
        await script(await ThreadedJournal(store).__aenter__(), task)

    asyncio.run(play())


def _read(folder: Path, task: str) -> list[Record]:
    with Reading(folder) as reading:
        return list(reading.records(task))


def test_the_store_comes_back_to_its_owner(tmp_path: Path) -> None:
    """While the thread has it SQLite refuses everybody else; afterwards it can be used as before, and no thread is left."""

    async def play() -> None:
        store, task = dispatched(tmp_path / "vigo")
        async with ThreadedJournal(store) as journal:
            await journal.append(task, [HostStarted("web-000", 0)])
            with pytest.raises(JournalError, match="thread"):
                store.append(task, [HostStarted("web-001", 0)])
            workers = [thread for thread in threading.enumerate() if thread.name == "vigo-journal"]
            assert [worker.daemon for worker in workers] == [True]
        workers[0].join(30)
        assert not workers[0].is_alive()
        assert store.append(task, [HostStarted("web-002", 0)])[0].seq == 3
        store.close()

    asyncio.run(play())


def test_an_error_of_any_kind_is_raised_where_it_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug in the store ends neither the thread nor in silence."""

    def broken(*arguments: object) -> None:
        raise MemoryError(arguments)

    async def script(journal: ThreadedJournal, task: str) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Store, "_write", broken)
            with pytest.raises(MemoryError):
                await journal.append(task, [HostStarted("web-000", 0)])
        await journal.append(task, [HostStarted("web-001", 0)])

    assert hosts_started(run(tmp_path / "vigo", script)) == ["web-001"]


def test_without_a_thread_nothing_is_recorded_or_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """C7: one line, before the first host; what was dispatched reads as interrupted."""

    def no_more(thread: threading.Thread) -> None:
        del thread
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_more)

    async def script(journal: ThreadedJournal, task: str) -> None:
        raise AssertionError(journal, task)

    with pytest.raises(JournalError, match="can't start new thread"):
        run(tmp_path / "vigo", script)
    with Reading(tmp_path / "vigo") as reading:
        assert reading.observe(reading.last() or "")[1] is TaskStatus.INTERRUPTED


def test_what_permits_an_act_is_synced_in_the_thread_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule 1 of the store holds for a connection that was opened anew: each durable write finds SQLite at FULL."""
    seen: list[tuple[bool, int]] = []
    write = Store._write

    def watched(self: Store, connection: sqlite3.Connection, task: str, events: Sequence[Event]) -> list[Record]:
        (mode,) = connection.execute("PRAGMA synchronous").fetchone()
        seen.append((any(event.durable for event in events), mode))
        return write(self, connection, task, events)

    monkeypatch.setattr(Store, "_write", watched)

    async def script(journal: ThreadedJournal, task: str) -> None:
        await journal.append(task, [HostStarted("web-000", 0)])
        await journal.append(task, [HostFinished("web-000", HostResult(Outcome.COMPLETE))])
        await journal.append(task, [TaskFinished(TaskStatus.COMPLETE)])

    run(tmp_path / "vigo", script)
    normal, full = 1, 2
    assert seen == [(True, full), (True, full), (False, normal), (True, full)]


def test_a_program_whose_journal_hangs_can_still_end(tmp_path: Path) -> None:
    """The thread is a daemon: a disk that never answers keeps no process that has given up alive."""
    code = """
        import asyncio, sys, threading
        from pathlib import Path
        from vigo.adapters.store import Store
        from vigo.adapters.store_thread import ThreadedJournal
        from vigo.core.events import HostStarted, TaskDispatched
        async def main():
            store = Store(Path(sys.argv[1]))
            record, lock = store.dispatch(TaskDispatched("a", "b", "c", (("d",),)))
            store.append = lambda *arguments: threading.Event().wait()
            journal = await ThreadedJournal(store).__aenter__()
            writing = asyncio.create_task(journal.append(record.task, [HostStarted("d", 0)]))
            await asyncio.sleep(0.05)
            print("giving up", flush=True)
            sys.stdout.flush()
            raise SystemExit(7)
        loop = asyncio.new_event_loop()
        loop.run_until_complete(main())
    """
    with suppress(subprocess.TimeoutExpired):
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "vigo")],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (done.returncode, done.stdout) == (7, "giving up\n")
        return
    pytest.fail("the program waited for its journal")


@pytest.mark.faults
def test_an_append_through_the_thread_costs_little_more(tmp_path: Path) -> None:
    """Measured beside the direct call, for writes that are synced and for those that are not."""
    cases: tuple[tuple[str, list[Event]], ...] = (
        ("synced", [HostStarted("web-000", 0)]),
        ("not synced", [HostFinished("web-000", HostResult(Outcome.COMPLETE))]),
    )
    for kind, events in cases:
        store, task = dispatched(tmp_path / kind)
        direct = [_timed(lambda: store.append(task, events)) for _ in range(500)]  # noqa: B023 - called at once
        threaded = asyncio.run(_threaded(store, task, events))
        through, straight = statistics.median(threaded) * 1e6, statistics.median(direct) * 1e6
        print(f"append, {kind}: direct {straight:.0f} us, through the thread {through:.0f} us (medians of 500)")
        assert through < straight + 5_000


def _timed(work: Callable[[], object]) -> float:
    begin = perf_counter()
    work()
    return perf_counter() - begin


async def _threaded(store: Store, task: str, events: list[Event]) -> list[float]:
    spent = []
    async with ThreadedJournal(store) as journal:
        for _ in range(500):
            begin = perf_counter()
            await journal.append(task, events)
            spent.append(perf_counter() - begin)
    return spent
