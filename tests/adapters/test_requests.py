"""Requests to a running task from another terminal: none is lost, none outlives the process that it was for."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import pytest

from vigo.adapters import requests
from vigo.adapters.locks import RunLock
from vigo.adapters.requests import Request, Requests, leave, watch
from vigo.adapters.store import Store
from vigo.adapters.store_open import prepare_folder
from vigo.core.errors import JournalError, UsageError
from vigo.core.events import CancelRequested, TaskDispatched

TASK = "t1a2b3c4"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make an empty data folder."""
    prepare_folder(tmp_path / "vigo")
    return tmp_path / "vigo"


@pytest.fixture
def running(folder: Path) -> Iterator[Requests]:
    """Hold the task's lock, as its control process does, and look for requests."""
    with RunLock(folder / "locks", TASK):
        yield Requests(folder, TASK)


def left(folder: Path) -> list[str]:
    """Return the names of what lies beside the lock."""
    return sorted(path.name for path in (folder / "locks").iterdir() if path.name != f"{TASK}.lock")


@pytest.mark.parametrize("now", [False, True])
def test_a_request_arrives_once_and_leaves_nothing(folder: Path, running: Requests, now: bool) -> None:  # noqa: FBT001 - a table's column
    """Who asked and how urgently, in a file of the owner's alone."""
    assert running.poll() == []
    before = os.umask(0)
    try:
        leave(folder, TASK, "ops", now=now)
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in (folder / "locks").glob("*.cancel*")] == [0o600]
    assert running.poll() == [Request("ops", now=now)]
    assert Request("ops", now=now).cause == "operator ops"
    assert running.poll() == []
    assert left(folder) == []


def test_no_request_to_kill_is_lost(folder: Path, running: Requests) -> None:
    """It replaces one to drain, and is not replaced by one."""
    leave(folder, TASK, "first", now=False)
    leave(folder, TASK, "second", now=True)
    leave(folder, TASK, "third", now=False)
    assert running.poll() == [Request("second", now=True)]
    leave(folder, TASK, "first", now=False)
    leave(folder, TASK, "second", now=False)
    assert running.poll() == [Request("first", now=False)]
    assert left(folder) == []


def test_many_who_ask_at_once_are_heard(folder: Path, running: Requests) -> None:
    """Whatever comes between a look and the next: a kill that was asked for after the last look is taken by the next."""
    taken: list[Request] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            taken.extend(running.poll())

    def ask(name: str) -> None:
        for number in range(50):
            leave(folder, TASK, name, now=number == 49)

    looker = threading.Thread(target=look)
    looker.start()
    # One process each, as in life: the draft's name holds the process's number.
    code = """
        import sys
        from pathlib import Path
        from vigo.adapters.requests import leave
        for number in range(50):
            leave(Path(sys.argv[1]), sys.argv[2], sys.argv[3], now=number == 49)
    """
    other = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code), folder, TASK, "other"])
    ask("own")
    assert other.wait(60) == 0
    done.set()
    looker.join()
    taken.extend(running.poll())
    assert any(request.now for request in taken)
    assert {request.operator for request in taken} <= {"own", "other"}
    assert left(folder) == []


def test_a_task_that_does_not_run_is_asked_for_nothing(folder: Path) -> None:
    """Whoever asks is told so, and no file waits for a process to come."""
    with pytest.raises(UsageError, match=f"task {TASK} is not running"):
        leave(folder, TASK, "ops", now=True)
    (folder / "locks" / f"{TASK}.lock").touch()
    with pytest.raises(UsageError, match=f"task {TASK} is not running"):
        leave(folder, TASK, "ops", now=True)
    assert left(folder) == []


def test_a_task_that_ends_while_it_is_asked_is_told_apart(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is taken back: nobody is left to take it."""
    answers = iter([True, False])
    monkeypatch.setattr(requests, "is_running", lambda _folder, _task: next(answers))
    with pytest.raises(UsageError, match="not running"):
        leave(folder, TASK, "ops", now=True)
    assert left(folder) == []


def test_a_request_to_a_dead_process_does_not_stop_the_one_that_resumes(folder: Path, running: Requests) -> None:
    """Taking the lock drops it; so does giving it back."""
    del running
    leave(folder, TASK, "ops", now=True)
    (folder / "locks" / f"{TASK}.lock").unlink()  # as if the holder were gone
    with RunLock(folder / "locks", TASK):
        assert Requests(folder, TASK).poll() == []
        leave(folder, TASK, "ops", now=True)
    assert left(folder) == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 10_000,
        b"[" * 4_096,
        b"{}",
        b"[]",
        b'{"operator": "ops"}',
        b'{"operator": 1, "now": true}',
        b'{"operator": "ops", "now": "yes"}',
        b"\xff\xfe",
    ],
)
def test_what_no_vigo_wrote_asks_for_nothing(folder: Path, running: Requests, data: bytes) -> None:
    """And is gone afterwards."""
    (folder / "locks" / f"{TASK}.cancel").write_bytes(data)
    assert running.poll() == []
    assert left(folder) == []


def test_a_planted_link_or_pipe_is_not_followed(folder: Path, running: Requests, tmp_path: Path) -> None:
    """It holds nobody up either."""
    victim = tmp_path / "victim"
    victim.write_text(json.dumps({"operator": "ops", "now": True}))
    place = folder / "locks" / f"{TASK}.cancel"
    place.symlink_to(victim)
    assert running.poll() == []
    os.mkfifo(place)
    assert running.poll() == []
    assert victim.exists()
    assert left(folder) == []


@pytest.mark.parametrize("operator", ["\ud800", "ops\udcff", "x" * 10_000, "a\nb", "Ünï"])
def test_a_request_can_always_be_recorded(folder: Path, operator: str) -> None:
    """A name that the journal refuses would stop the run with an error instead of cancelling it."""
    with Store(folder) as store:
        record, lock = store.dispatch(TaskDispatched("ops", "uptime", "all", (("web-01",),)))
        with lock:
            leave(folder, record.task, operator, now=False)
            (request,) = Requests(folder, record.task).poll()
            store.append(record.task, [CancelRequested(request.cause, now=request.now)])
    assert len(request.operator) <= 200


def test_a_request_that_cannot_be_left_says_so(
    folder: Path, running: Requests, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk leaves the signal."""
    del running

    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device", path, data)

    monkeypatch.setattr(requests, "_write", full)
    with pytest.raises(JournalError, match="No space left on device; send SIGTERM"):
        leave(folder, TASK, "ops", now=True)


def test_a_run_hears_requests_while_it_lasts(folder: Path, running: Requests, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is handed on; one that comes with the end is dropped."""
    del running
    monkeypatch.setattr(requests, "_POLL_S", 0.005)
    heard: list[tuple[str, bool]] = []
    arrived = asyncio.Event()

    def on_request(cause: str, *, now: bool) -> None:
        heard.append((cause, now))
        arrived.set()

    async def run() -> None:
        async with watch(folder, TASK, on_request):
            for now in (False, True):
                leave(folder, TASK, "ops", now=now)
                await asyncio.wait_for(arrived.wait(), 30)
                arrived.clear()
            leave(folder, TASK, "late", now=True)

    asyncio.run(run())
    assert heard == [("operator ops", False), ("operator ops", True)]
    assert left(folder) == []


@pytest.mark.faults
def test_looking_for_requests_costs_next_to_nothing(folder: Path, running: Requests) -> None:
    """Five times a second, for as long as a task runs."""
    del folder
    spent = []
    for _ in range(10_000):
        begin = perf_counter()
        running.poll()
        spent.append(perf_counter() - begin)
    median_us = statistics.median(spent) * 1e6
    print(f"requests: a look costs {median_us:.1f} us (median of 10,000), {median_us * 5 / 1e4:.4f} % of one core")
    assert median_us * 5 < 1e4
