"""Kernel locks: held by a process, gone with it, and told apart from a look at them."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from vigo.adapters import locks
from vigo.adapters.locks import RunLock, held, is_running
from vigo.core.errors import JournalError

HOLDER = """
    import sys
    from pathlib import Path
    from vigo.adapters.locks import RunLock
    lock = RunLock(Path(sys.argv[1]), "taaaaaaa")
    print("held", flush=True)
    sys.stdin.read()
"""


def hold_elsewhere(folder: Path) -> subprocess.Popen[str]:
    """Start a process that holds the lock until it is killed or its stdin ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HOLDER), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_run_is_alive_while_its_lock_is_held(tmp_path: Path) -> None:
    """And its file is gone afterwards; releasing twice is harmless."""
    assert not is_running(tmp_path, "taaaaaaa")
    with RunLock(tmp_path, "taaaaaaa") as lock:
        assert is_running(tmp_path, "taaaaaaa")
        with pytest.raises(JournalError, match="another process"):
            RunLock(tmp_path, "taaaaaaa")
        assert is_running(tmp_path, "taaaaaaa")
    lock.release()
    assert not is_running(tmp_path, "taaaaaaa")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("end", ["kill", "terminate"])
def test_the_lock_ends_with_its_process_however_it_ends(tmp_path: Path, end: str) -> None:
    """SIGKILL included: the kernel gives it back; the file that stays does not count."""
    with hold_elsewhere(tmp_path) as process:
        assert is_running(tmp_path, "taaaaaaa")
        getattr(process, end)()
        process.wait(10)
        assert not is_running(tmp_path, "taaaaaaa")
    with RunLock(tmp_path, "taaaaaaa"):
        assert is_running(tmp_path, "taaaaaaa")


def test_a_child_program_does_not_keep_the_lock(tmp_path: Path) -> None:
    """Close-on-exec: a ProxyCommand or a pager that outlives vigo keeps no task running."""
    lock = RunLock(tmp_path, "taaaaaaa")
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False) as child:
        lock.release()
        (tmp_path / "taaaaaaa.lock").touch()
        assert not is_running(tmp_path, "taaaaaaa")
        assert child.poll() is None
        child.communicate()


def test_those_who_look_at_once_do_not_take_each_other_for_the_run(tmp_path: Path) -> None:
    """Looking takes a shared lock."""
    (tmp_path / "taaaaaaa.lock").touch()
    seen: list[bool] = []
    threads = [
        threading.Thread(target=lambda: seen.extend(is_running(tmp_path, "taaaaaaa") for _ in range(200)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [False] * 1600


def test_short_work_waits_for_its_turn_and_not_for_ever(tmp_path: Path) -> None:
    """Until the time given is over; then one line names the file."""
    path = tmp_path / "head.lock"
    counter = 0

    def count() -> None:
        nonlocal counter
        for _ in range(50):
            with held(path, 60_000):
                counter, before = counter + 1, counter
                assert counter == before + 1

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter == 200
    with held(path, 0), pytest.raises(JournalError, match=r"head\.lock: held by another process"), held(path, 50):
        pass


def test_a_lock_that_cannot_be_made_is_refused_in_one_line(tmp_path: Path) -> None:
    """A missing folder, a planted link."""
    (tmp_path / "tlinked0.lock").symlink_to(tmp_path / "victim")
    for folder, task in ((tmp_path / "missing", "taaaaaaa"), (tmp_path, "tlinked0")):
        with pytest.raises(JournalError, match="cannot be locked"):
            RunLock(folder, task)
    with pytest.raises(JournalError, match="cannot tell"):
        is_running(tmp_path, "tlinked0")
    assert not (tmp_path / "victim").exists()


def test_a_file_that_goes_away_before_it_is_locked_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock on a file that has no name any more would keep nobody out."""
    path = tmp_path / "taaaaaaa.lock"
    lock_file = locks._flock
    removed: list[Path] = []

    def slow(fd: int) -> bool:
        if not removed:
            path.unlink()
            removed.append(path)
        return lock_file(fd)

    monkeypatch.setattr(locks, "_flock", slow)
    with RunLock(tmp_path, "taaaaaaa"):
        assert removed
        assert is_running(tmp_path, "taaaaaaa")


@pytest.mark.parametrize("task", ["", "../secret", "t\0", "\udc80", "t/x", "é"])
def test_an_id_that_is_none_names_no_file(tmp_path: Path, task: str) -> None:
    """It can only come from a journal that was damaged or changed."""
    assert not is_running(tmp_path, task)


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    """Taken or refused, looked at or waited for."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        with RunLock(tmp_path, "taaaaaaa"), pytest.raises(JournalError):
            RunLock(tmp_path, "taaaaaaa")
        is_running(tmp_path, "taaaaaaa")
        with held(tmp_path / "head.lock", 0), pytest.raises(JournalError), held(tmp_path / "head.lock", 0):
            pass
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_whoever_only_looks_keeps_no_task_from_its_lock(tmp_path: Path) -> None:
    """A `task status` at the wrong moment must not make a resume fail."""
    with RunLock(tmp_path, "taaaaaaa"):
        pass
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            is_running(tmp_path, "taaaaaaa")

    lookers = [threading.Thread(target=look) for _ in range(4)]
    for looker in lookers:
        looker.start()
    try:
        for _ in range(200):
            RunLock(tmp_path, "taaaaaaa").release()
    finally:
        stop.set()
        for looker in lookers:
            looker.join()
