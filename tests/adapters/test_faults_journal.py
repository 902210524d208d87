"""The fault catalogue's part D on whole runs: a disk that fills up, a journal that is locked or read-only, a clock that jumps.

The loop, the thread and SQLite are the real ones; the hosts are in memory and write down who was started when.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.engine.fakes import MemorySink, ScriptedProbe
from vigo.adapters.store import Store
from vigo.adapters.store_audit import audit
from vigo.adapters.store_read import Reading
from vigo.adapters.store_thread import ThreadedJournal
from vigo.core.errors import JournalError
from vigo.core.events import Event, GateChecked, HostFinished, HostStarted, TaskDispatched, TaskStatus
from vigo.core.gate import AskUrl, GatePolicy
from vigo.core.guard import Order, Text, clear
from vigo.core.model import Ended, Host, HostResult, Limits, Outcome, Output
from vigo.core.plan import Policy
from vigo.core.rollout import Run
from vigo.engine.execute import Execution, Ports, Work
from vigo.engine.ports import Sink

pytestmark = pytest.mark.faults
ROOT = Path(__file__).parents[2]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a file system that is full")


@dataclass
class Hosts:
    """A transport whose hosts take a moment each and print something that cannot be compressed."""

    after_orders: dict[int, Callable[[], None]] = field(default_factory=dict)
    """Number of the order -> what happens in the world when it arrives."""
    moment_s: float = 0.005
    sent: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)

    async def run(self, order: Any, limits: Limits, sink: Sink, mark: str) -> Ended:
        """Run for a moment."""
        del limits, sink, mark
        self.sent.append(order.host.name)
        self.after_orders.get(len(self.sent), lambda: None)()
        await asyncio.sleep(self.moment_s)
        self.ended.append(order.host.name)
        data = os.urandom(2_000)
        digest = sha256(data).hexdigest()
        output = Output(len(data), digest, len(data), digest, len(data))
        return Ended(HostResult(Outcome.COMPLETE, 5, exit_code=0, stdout=output), (data,))

    def kill(self) -> None:
        """Nothing runs for longer than a moment."""
        raise AssertionError("nobody asked for a kill")


@dataclass
class Told:
    """What came of a run."""

    task: str
    error: JournalError | None
    unrecorded: list[str]
    complaints: list[str]
    took_s: float


def carry_out(folder: Path, dispatched: TaskDispatched, hosts: Hosts, **settings: object) -> Told:
    """Dispatch a task and carry it out as the command line does; a journal that gives way is what came of it."""
    begin = monotonic()
    store = Store(folder, **settings)  # type: ignore[arg-type]
    record, lock = store.dispatch(dispatched)
    complaints: list[str] = []
    marks = itertools.count()
    asks = tuple(map(AskUrl, dispatched.policy.gate.urls))

    def cleared(name: str) -> Order:
        order = clear(Host(name, f"uuid-of-{name}"), Text("true"))
        assert isinstance(order, Order)
        return order

    async def run() -> tuple[JournalError | None, list[str]]:
        async with ThreadedJournal(store) as journal:
            ports = Ports(hosts, ScriptedProbe(), journal, MemorySink(), (), complaints.append)
            work = Work(cleared, cleared, lambda _: asks, lambda: f"{next(marks):032x}")
            execution = Execution(record.task, Run(dispatched), work, ports)
            try:
                await execution.carry_out()
            except JournalError as error:
                return error, [event.host for event in execution.unrecorded]
            return None, []

    with lock:
        error, unrecorded = asyncio.run(run())
    return Told(record.task, error, unrecorded, complaints, monotonic() - begin)


def names(count: int) -> tuple[str, ...]:
    """Return host names."""
    return tuple(f"web-{number:04}" for number in range(count))


def check_stopped(folder: Path, told: Told, hosts: Hosts) -> None:
    """See that a run whose journal gave way stopped as it must, and that nothing is wrong with what it wrote."""
    assert told.error is not None
    assert len(str(told.error).splitlines()) == 1
    assert sorted(hosts.ended) == sorted(hosts.sent), "what ran was awaited"
    with Store(folder) as store:
        report = audit(store)
        assert not report.is_tampered
        assert not report.storage
        records = list(store.records(told.task))
        assert store.observe(told.task)[1] is TaskStatus.INTERRUPTED
    with sqlite3.connect(folder / "journal.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
    started = {record.event.host for record in records if isinstance(record.event, HostStarted)}
    finished = [record.event.host for record in records if isinstance(record.event, HostFinished)]
    assert set(hosts.sent) == started, "no order without its start on record, none after the journal gave way"
    assert sorted([*finished, *told.unrecorded]) == sorted(hosts.sent), "each ending is on record or told, and once"


# --- D1, D2


def full_disk(place: Path, left: int) -> tuple[int, str]:
    """Fill a small file system up to `left` bytes in the middle of a run; return how many hosts ran, and what was said."""
    ballast = place / "ballast"

    def fill() -> None:
        with ballast.open("ab", buffering=0) as file:
            try:
                while os.statvfs(place).f_bavail * os.statvfs(place).f_bsize > left:
                    file.write(bytes(4096))
            except OSError:
                pass

    hosts = Hosts({7: fill}, moment_s=0)
    dispatched = TaskDispatched("ops", "true", "all", (names(1_000),), Policy(fanout=5))
    told = carry_out(place / "vigo", dispatched, hosts)
    ballast.unlink()
    check_stopped(place / "vigo", told, hosts)
    return len(hosts.sent), str(told.error)


FULL = """
    import subprocess, sys
    from pathlib import Path
    from tests.adapters.test_faults_journal import full_disk
    place = Path(sys.argv[1])
    for left in map(int, sys.argv[2:]):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], check=True)
        ran, said = full_disk(place, left)
        subprocess.run(["umount", str(place)], check=True)
        print(f"{left // 1024} KiB left: {ran} hosts ran, then: {said}", flush=True)
"""


def in_namespace(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run Python code in a mount namespace of its own."""
    return subprocess.run(
        ["unshare", "-m", sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )


@needs_root
def test_d1_a_disk_that_fills_up_stops_the_run(tmp_path: Path) -> None:
    """0, 4 and 64 KiB left in the middle of it: no new host, what runs is awaited, and afterwards all is readable."""
    done = in_namespace(FULL, tmp_path, *(0, 4096, 65536) * 5)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 15
    print(f"D1: 0 hosts after the disk was full, 5 repeats:\n{done.stdout}")


@needs_root
def test_d2_a_hundred_fillings_corrupt_nothing(tmp_path: Path) -> None:
    """The free space stepped by 4 KiB."""
    done = in_namespace(FULL, tmp_path, *(step * 4096 for step in range(100)))
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 100
    print("D2: 100 fillings, 0 corrupt journals, 0 hosts after the disk was full")


# --- D3


READ_ONLY = """
    import subprocess, sys
    from pathlib import Path
    from tests.adapters.test_faults_journal import Hosts, carry_out, names
    from vigo.core.errors import JournalError
    from vigo.core.events import TaskDispatched
    place, when = Path(sys.argv[1]), sys.argv[2]
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)], check=True)
    remount = lambda: subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
    hosts = Hosts()
    if when == "before":
        carry_out(place / "vigo", TaskDispatched("ops", "true", "all", (names(2),)), Hosts())
        remount()
    try:
        carry_out(place / "vigo", TaskDispatched("ops", "true", "all", (names(20),)), hosts)
    except JournalError as error:
        print(len(hosts.sent), error)
"""


@needs_root
def test_d3_a_read_only_file_system_is_refused_before_any_host(tmp_path: Path) -> None:
    """One line, and nothing was sent."""
    done = in_namespace(READ_ONLY, tmp_path, "before")
    assert (done.returncode, done.stderr) == (0, "")
    (said,) = done.stdout.splitlines()
    assert said.startswith("0 ")
    assert "read-only" in said
    print(f"D3: {said}")


@pytest.mark.parametrize("home", [None, "", "relative"])
def test_d3_without_a_home_nothing_runs(tmp_path: Path, home: str | None) -> None:
    """Through the program: exit code 7, one line that names the way out, and the host hears nothing."""
    (tmp_path / "inventory.yaml").write_text("hosts: {web-01: {address: 127.0.0.1, ssh: {port: 9}}}\n")
    environ = {"PATH": os.environ["PATH"]} | ({} if home is None else {"HOME": home})
    command = ["-c", "from vigo.cli.main import main; main()", "task", "run", "true", "--target", "all"]
    done = subprocess.run(
        [sys.executable, *command, "--inventory", str(tmp_path / "inventory.yaml")],
        capture_output=True,
        text=True,
        check=False,
        env=environ | {"PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
    )
    said = done.stderr.splitlines()[-1]
    assert done.returncode == 7
    assert "VIGO_DATA_DIR" in said
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == [tmp_path / "inventory.yaml"]
    print(f"D3 HOME={home!r}: exit 7, {said}")


# --- D4


LOCKER = """
    import sqlite3, sys, time
    connection = sqlite3.connect(sys.argv[1], isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    print("locked", flush=True)
    time.sleep(float(sys.argv[2]))
"""


@contextmanager
def locked(folder: Path, for_s: float) -> Iterator[None]:
    """Have another process hold the journal exclusively for so long, or until the block ends."""
    command = [sys.executable, "-c", textwrap.dedent(LOCKER), str(folder / "journal.db"), str(for_s)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        try:
            yield
        finally:
            process.kill()


def test_d4_a_journal_that_is_locked_for_three_seconds_is_waited_for(tmp_path: Path) -> None:
    """Then the task runs as if nothing had been."""
    folder = tmp_path / "vigo"
    carry_out(folder, TaskDispatched("ops", "true", "all", (names(1),)), Hosts())
    hosts = Hosts()
    with locked(folder, 3):
        told = carry_out(folder, TaskDispatched("ops", "true", "all", (names(3),)), hosts)
    assert told.error is None
    assert sorted(hosts.ended) == list(names(3))
    print(f"D4, 3 s: waited, done after {told.took_s:.1f} s")
    assert told.took_s < 5


def test_d4_a_journal_that_stays_locked_is_refused_before_any_host(tmp_path: Path) -> None:
    """At the busy time-out of 5 s."""
    folder = tmp_path / "vigo"
    carry_out(folder, TaskDispatched("ops", "true", "all", (names(1),)), Hosts())
    hosts, begin = Hosts(), monotonic()
    with locked(folder, 60), pytest.raises(JournalError, match="locked by another process"):
        carry_out(folder, TaskDispatched("ops", "true", "all", (names(3),)), hosts)
    print(f"D4, 60 s, before a run: refused after {monotonic() - begin:.1f} s")
    assert hosts.sent == []
    assert monotonic() - begin < 5 + 1


def test_d4_a_journal_that_is_locked_during_a_run_stops_it(tmp_path: Path) -> None:
    """At the busy time-out too: no new host, what runs is awaited, and what it ended with is told."""
    folder = tmp_path / "vigo"
    lockers: list[subprocess.Popen[str]] = []

    def lock() -> None:
        command = [sys.executable, "-c", textwrap.dedent(LOCKER), str(folder / "journal.db"), "60"]
        lockers.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        stdout = lockers[0].stdout
        assert stdout is not None
        assert stdout.readline() == "locked\n"
        stdout.close()

    hosts = Hosts({6: lock})
    try:
        told = carry_out(folder, TaskDispatched("ops", "true", "all", (names(50),), Policy(fanout=5)), hosts)
    finally:
        for process in lockers:
            process.kill()
            process.wait()
    check_stopped(folder, told, hosts)
    print(f"D4, 60 s, during a run: stopped after {told.took_s:.1f} s, {len(told.unrecorded)} endings told")
    assert told.took_s < 5 + 2


# --- D14


def jumps() -> dict[str, Callable[[int], datetime]]:
    """Return clocks that go wrong in the middle of a run, as functions of how often they were looked at."""
    noon = datetime(2026, 6, 1, 12, tzinfo=UTC)
    year = timedelta(days=365)
    berlin = ZoneInfo("Europe/Berlin")
    return {
        "a year on": lambda n: noon + timedelta(seconds=n) + (year if n > 10 else timedelta()),
        "a year back": lambda n: noon + timedelta(seconds=n) - (year if n > 10 else timedelta()),
        "to and fro": lambda n: noon + timedelta(seconds=n) + (year if n % 2 else -year),
        "the end of summer time": lambda n: datetime(2026, 10, 25, 2, n % 60, fold=int(n > 10), tzinfo=berlin),
        "standing still": lambda _: noon,
        "a leap second": lambda n: datetime(2016, 12, 31, 23, 59, 59, 999_999 if n > 10 else n, tzinfo=UTC),
    }


@pytest.mark.parametrize("name", jumps())
def test_d14_a_clock_that_jumps_changes_no_order_and_no_duration(tmp_path: Path, name: str) -> None:
    """Order is by seq, durations and deadlines are by a clock that nobody sets, the chain fits, and all can be read."""
    ticks = itertools.count()
    clock = jumps()[name]
    gate = GatePolicy(("http://lb.example.com/",), interval_ms=10, deadline_ms=60_000, stable_ms=50)
    batches = tuple(names(30)[start : start + 10] for start in range(0, 30, 10))
    dispatched = TaskDispatched("ops", "true", "all", batches, Policy(fanout=3, pause_ms=20, gate=gate))
    hosts = Hosts()
    told = carry_out(tmp_path / "vigo", dispatched, hosts, clock=lambda: clock(next(ticks)))
    assert told.error is None
    assert len(hosts.ended) == 30
    with Reading(tmp_path / "vigo") as reading:
        assert not audit(reading).is_tampered
        task, status = reading.observe(told.task)
        events: list[Event] = [record.event for record in reading.records(told.task)]
        assert [summary.status for summary in reading.tasks(5)] == [TaskStatus.COMPLETE]
    assert status is TaskStatus.COMPLETE
    assert task.run is not None
    assert {result.duration_ms for result in task.run.results.values()} == {5}
    gates = [event for event in events if isinstance(event, GateChecked)]
    assert [checked.passed for checked in gates] == [True] * 3
    assert all(50 <= checked.duration_ms < 60_000 for checked in gates)
    assert [event.host for event in events if isinstance(event, HostStarted)] == list(names(30))
    print(f"D14 {name}: gates took {[checked.duration_ms for checked in gates]} ms, order and chain ok")
