"""Tasks that touch the same hosts at the same time: seen, told and waited for, with real processes."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter

import pytest

from vigo.adapters import overlap
from vigo.adapters.locks import RunLock
from vigo.adapters.overlap import Holder, dispatching, holders, running, wait_until_free
from vigo.adapters.store import Store
from vigo.adapters.store_audit import audit
from vigo.adapters.store_read import Reading
from vigo.core.errors import Exit, RefusedError
from vigo.core.events import (
    CancelRequested,
    Event,
    HostFinished,
    HostStarted,
    TaskDispatched,
    TaskFinished,
    TaskPaused,
    TaskStatus,
)
from vigo.core.model import HostResult, Outcome

DONE = HostResult(Outcome.COMPLETE, 42, 0)
HOLDER = """
    import sys
    from pathlib import Path
    from vigo.adapters.store import Store
    from vigo.core.events import HostStarted, TaskDispatched
    with Store(Path(sys.argv[1])) as store:
        record, lock = store.dispatch(TaskDispatched("ops", "uptime", "all", (tuple(sys.argv[2:]),)))
        store.append(record.task, [HostStarted(sys.argv[2], 0)])
        print(record.task, flush=True)
        sys.stdin.read()
"""
RACER = """
    import os, sys
    from pathlib import Path
    from vigo.adapters import overlap
    from vigo.adapters.store import Store
    from vigo.adapters.store_read import Reading
    from vigo.core.events import *
    from vigo.core.model import HostResult, Outcome
    overlap._POLL_S = 0.002
    folder, rounds = Path(sys.argv[1]), int(sys.argv[2])
    store, reading = Store(folder, busy_timeout_ms=60_000), Reading(folder, busy_timeout_ms=60_000)
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(rounds):
        with overlap.wait_until_free(reading, ["web-01"], is_patient=True, tell=lambda found: None):
            record, lock = store.dispatch(TaskDispatched("ops", "uptime", "all", (("web-01",),)))
        os.close(os.open(folder / "alone", os.O_CREAT | os.O_EXCL))
        store.append(record.task, [HostStarted("web-01", 0)])
        store.append(record.task, [HostFinished("web-01", HostResult(Outcome.COMPLETE))])
        os.unlink(folder / "alone")
        store.append(record.task, [TaskFinished(TaskStatus.COMPLETE)])
        lock.release()
"""
WAITER = """
    import sys
    from pathlib import Path
    from vigo.adapters.overlap import wait_until_free
    from vigo.adapters.store_read import Reading
    tell = lambda found: print("waiting", *found, flush=True)
    with wait_until_free(Reading(Path(sys.argv[1])), ["web-01"], is_patient=True, tell=tell):
        print("free", flush=True)
"""


def script(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Run Python code in a process of its own, with pipes."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def line(process: subprocess.Popen[str]) -> str:
    """Read the next line that the process prints."""
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


def nobody(found: Sequence[Holder]) -> None:
    """Be told of holders where there must be none."""
    raise AssertionError(found)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a journal in which one task ended and one was left by a dead process."""
    folder = tmp_path / "vigo"
    with Store(folder) as store:
        ends: tuple[list[Event], ...] = ([HostFinished("web-01", DONE), TaskFinished(TaskStatus.COMPLETE)], [])
        for end in ends:
            record, lock = store.dispatch(TaskDispatched("ops", "true", "all", (("web-01",),)))
            store.append(record.task, [HostStarted("web-01", 0), *end])
            lock.release()
    return folder


def test_only_tasks_whose_process_lives_are_running(folder: Path) -> None:
    """Ended and interrupted ones are not, nor is what else lies among the locks."""
    (folder / "locks" / "tzzzzzzz.lock").touch()
    (folder / "locks" / "notes.txt").touch()
    with Store(folder) as store, dispatching(folder):
        record, lock = store.dispatch(TaskDispatched("ops", "uptime", "all", (("web-02",),)))
        with lock:
            assert running(folder) == (record.task,)
        assert running(folder) == ()
    assert running(folder / "nowhere") == ()


def test_a_task_holds_the_hosts_that_it_still_has_to_touch(folder: Path) -> None:
    """From its dispatch on until each host's end; a halted one holds what runs and no more, a paused one nothing."""
    hosts = ("web-01", "web-02", "web-03")
    with Store(folder) as store, Reading(folder) as reading:
        record, lock = store.dispatch(TaskDispatched("ops", "uptime", "all", (hosts,)))

        def held() -> tuple[str, ...]:
            return tuple(host for holder in holders(reading, ["web-03", "web-01", "db-01"]) for host in holder.hosts)

        with lock:
            assert holders(reading, ["web-01"]) == (Holder(record.task, "ops", "uptime", ("web-01",)),)
            assert holders(reading, ["db-01"]) == ()
            assert holders(reading, hosts, besides=record.task) == ()
            assert held() == ("web-01", "web-03")
            store.append(record.task, [HostStarted("web-01", 0), HostStarted("web-02", 0)])
            assert held() == ("web-01", "web-03")
            store.append(record.task, [HostFinished("web-01", DONE)])
            assert held() == ("web-03",)
            store.append(record.task, [HostStarted("web-03", 0)])
            store.append(record.task, [CancelRequested("SIGINT")])
            assert held() == ("web-03",)
            store.append(record.task, [HostFinished("web-02", DONE)])
            assert holders(reading, hosts)[0].hosts == ("web-03",)
            store.append(record.task, [HostFinished("web-03", DONE)])
            assert holders(reading, hosts) == ()


def test_a_halted_task_no_longer_holds_what_it_will_not_start(folder: Path) -> None:
    """Nor does one that has just been paused, though its process has not ended yet."""
    with Store(folder) as store, Reading(folder) as reading:
        record, lock = store.dispatch(TaskDispatched("ops", "uptime", "all", (("web-01",), ("web-02",))))
        with lock:
            store.append(record.task, [HostStarted("web-01", 0), CancelRequested("SIGINT")])
            assert holders(reading, ["web-01", "web-02"])[0].hosts == ("web-01",)
        record, lock = store.dispatch(TaskDispatched("ops", "uptime", "all", (("web-01",), ("web-02",))))
        with lock:
            store.append(record.task, [TaskPaused("0 of 2 batches ran, as asked")])
            assert holders(reading, ["web-01", "web-02"]) == ()


def test_a_task_that_is_not_dispatched_yet_holds_nothing(folder: Path) -> None:
    """It has its lock, and will look for us."""
    with Reading(folder) as reading, RunLock(folder / "locks", "taaaaaaa"):
        assert running(folder) == ("taaaaaaa",)
        assert holders(reading, ["web-01"]) == ()


def test_who_holds_hosts_is_told_in_one_line() -> None:
    """Task, operator, command, and no more than a few hosts by name."""
    few = Holder("t1a2b3c4", "ops", "uptime", ("web-01", "web-02"))
    assert str(few) == "web-01, web-02 by task t1a2b3c4 (ops: uptime)"
    many = Holder("t1a2b3c4", "ops", "uptime", tuple(f"web-{n}" for n in range(9)))
    assert str(many) == "web-0, web-1, web-2 and 6 more by task t1a2b3c4 (ops: uptime)"


def test_without_patience_it_is_refused_and_nothing_recorded(folder: Path) -> None:
    """The line names hosts, task, operator and the way out; exit code 6. Other hosts are no matter."""
    with script(HOLDER, folder, "web-01", "web-02") as holder, Reading(folder) as reading:
        task = line(holder)
        seq = len(list(reading.records_after(0)))
        with (
            pytest.raises(RefusedError, match=rf"^held: web-02 by task {task} \(ops: uptime\);") as caught,
            wait_until_free(reading, ["web-02", "db-01"], is_patient=False, tell=nobody),
        ):
            pass
        assert caught.value.exit_code is Exit.REFUSED
        with wait_until_free(reading, ["db-01"], is_patient=False, tell=nobody):
            pass
        assert len(list(reading.records_after(0))) == seq
        holder.communicate()


def test_a_killed_holder_frees_its_hosts(folder: Path) -> None:
    """By kill -9: the kernel gives the lock back, and whoever waits goes on; it was told once for whom it waited."""
    told: list[Sequence[Holder]] = []
    with script(HOLDER, folder, "web-01") as holder, Reading(folder) as reading:
        task = line(holder)

        def tell(found: Sequence[Holder]) -> None:
            told.append(found)
            holder.kill()

        with wait_until_free(reading, ["web-01"], is_patient=True, tell=tell):
            assert holder.wait(30) == -signal.SIGKILL
        assert [[found.task for found in each] for each in told] == [[task]]
        assert reading.observe(task)[1] is TaskStatus.INTERRUPTED
        holder.communicate()


def test_the_same_holder_is_told_once_however_long_it_takes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one that comes in between is told too."""
    told: list[Sequence[Holder]] = []
    waits = itertools.count(1)
    with ExitStack() as stack, Store(folder) as store, Reading(folder) as reading:
        first, lock = store.dispatch(TaskDispatched("ops", "uptime", "all", (("web-01",),)))
        locks = [stack.enter_context(lock)]

        def wait(*_: object) -> None:
            match next(waits):
                case 3:
                    locks.append(store.dispatch(TaskDispatched("dev", "true", "all", (("web-01",),)))[1])
                case 5:
                    for each in locks:
                        each.release()

        monkeypatch.setattr(overlap, "_wait_for_one", wait)
        with wait_until_free(reading, ["web-01"], is_patient=True, tell=told.append):
            pass
    assert [len(each) for each in told] == [1, 2]
    assert told[0][0].task == first.task


def test_a_host_that_is_done_is_waited_for_no_longer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The holder runs on, elsewhere."""
    monkeypatch.setattr(overlap, "_LOOK_AGAIN_S", 0.01)
    monkeypatch.setattr(overlap, "_POLL_S", 0.001)
    with Store(folder) as store, Reading(folder) as reading:
        record, lock = store.dispatch(TaskDispatched("ops", "uptime", "all", (("web-01", "web-02"),)))

        def tell(found: Sequence[Holder]) -> None:
            assert [holder.hosts for holder in found] == [("web-01",)]
            store.append(record.task, [HostStarted("web-01", 0)])
            store.append(record.task, [HostFinished("web-01", DONE)])

        with lock, wait_until_free(reading, ["web-01"], is_patient=True, tell=tell):
            assert running(folder) == (record.task,)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_waiting_ends_with_a_signal_and_leaves_no_trace(folder: Path, number: signal.Signals) -> None:
    """Nothing was recorded, and the lock of dispatches was not kept."""
    with script(HOLDER, folder, "web-01") as holder, Reading(folder) as reading:
        line(holder)
        seq = len(list(reading.records_after(0)))
        with script(WAITER, folder) as waiter:
            assert line(waiter).startswith("waiting web-01 by task ")
            waiter.send_signal(number)
            out, _ = waiter.communicate(timeout=30)
        assert "free" not in out
        assert waiter.returncode != 0
        with dispatching(folder):
            assert len(list(reading.records_after(0))) == seq
        holder.communicate()


def race(folder: Path, racers: int, rounds: int) -> None:
    """Let processes dispatch exclusive tasks on one host as fast as they can; a second one at a time would fail."""
    with ExitStack() as stack:
        processes = [stack.enter_context(script(RACER, folder, rounds)) for _ in range(racers)]
        for process in processes:
            stack.callback(process.kill)
        assert [line(process) for process in processes] == ["ready"] * racers
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in processes:
            _, said = process.communicate(timeout=110)
            assert (process.returncode, said) == (0, "")
    with Reading(folder) as reading:
        assert [task.status for task in reading.tasks(racers * rounds)] == [TaskStatus.COMPLETE] * racers * rounds
        assert not audit(reading).is_tampered


def test_exclusive_tasks_that_begin_at_once_run_one_after_the_other(tmp_path: Path) -> None:
    """Never both: looking and dispatching happen under one lock."""
    race(tmp_path / "vigo", 2, 20)


@pytest.mark.faults
def test_eight_exclusive_tasks_race_twenty_times(tmp_path: Path) -> None:
    """160 dispatches, and no two at once."""
    begin = perf_counter()
    race(tmp_path / "vigo", 8, 20)
    print(f"overlap: 8 processes x 20 exclusive tasks in {perf_counter() - begin:.1f} s, never two at once")


@pytest.mark.faults
def test_looking_for_overlap_is_cheap(tmp_path: Path) -> None:
    """Beside a running task of 10,000 hosts that is half way through."""
    hosts = tuple(f"web-{number:05}" for number in range(10_000))
    folder = tmp_path / "vigo"
    with Store(folder) as store, Reading(folder) as reading:
        begin = perf_counter()
        assert holders(reading, hosts) == ()
        empty = perf_counter() - begin
        record, lock = store.dispatch(TaskDispatched("ops", "uptime", "all", (hosts,)))
        with lock:
            for host in hosts[:5_000]:
                store.append(record.task, [HostStarted(host, 0), HostFinished(host, DONE)])
            begin = perf_counter()
            (found,) = holders(reading, hosts)
            spent = perf_counter() - begin
    assert len(found.hosts) == 5_000
    print(f"overlap: no task {empty * 1000:.1f} ms; a task of 10,000 hosts half way through {spent * 1000:.0f} ms")
