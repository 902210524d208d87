"""Kernel locks (flock) on files: they end with the process that holds them, however it ends.

A run's lock is held by its control process from before the dispatch until after the end is written; a task that has
not ended and whose lock is free was interrupted. A pid would not do: pids are used again.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from vigo.core.errors import JournalError

_POLL_S = 0.01
_LOOK_S = 0.2
"""How long a lock may be taken by those who only look whether a task runs."""


class RunLock:
    """The lock of one task, held from construction until `release` or the end of the process.

    The descriptor is close-on-exec, so a child program never keeps a task alive.
    Raises JournalError when another process holds it or the file cannot be made.
    """

    def __init__(self, folder: Path, task: str) -> None:
        self.task = task
        self._path = _lock_path(folder, task)
        self._request = request_path(folder, task)
        fd = _take_soon(self._path, _LOOK_S)
        if fd is None:
            raise JournalError(f"task {task} is run by another process; wait for it or cancel it there")
        self._fd: int | None = fd
        self._drop_request()  # it was for a process that is no more

    def release(self) -> None:
        """Give the lock back and remove its file; again is harmless."""
        if self._fd is None:
            return
        fd, self._fd = self._fd, None
        self._drop_request()
        try:
            # Still held, so nobody else can hold a lock on this path: whoever waits finds the file gone and takes anew.
            self._path.unlink(missing_ok=True)
        except OSError:
            pass  # a lock file that stays (read-only by now) is free, and a free lock means the same as none
        finally:
            os.close(fd)

    def _drop_request(self) -> None:
        with suppress(OSError):  # as with the lock's file: without a holder it means nothing
            self._request.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()


def is_running(folder: Path, task: str) -> bool:
    """Say whether the control process of a task is alive. Creates nothing.

    Raises JournalError when that cannot be told.
    """
    if not (task.isascii() and task.isalnum()):
        return False  # no id of vigo's: it comes from a damaged journal and names no file
    path = _lock_path(folder, task)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise JournalError(f"{path}: cannot tell whether the task runs: {error.strerror}") from error
    try:
        # Shared, so that two who ask at once do not take each other for the run.
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


@contextmanager
def held(path: Path, wait_ms: int) -> Iterator[None]:
    """Hold a lock file for a short piece of work. The file stays.

    Raises JournalError when another process keeps it longer than `wait_ms`.
    """
    fd = _take_soon(path, wait_ms / 1000)
    if fd is None:
        raise JournalError(f"{path}: held by another process for more than {wait_ms} ms; see `fuser {path}`")
    try:
        yield
    finally:
        os.close(fd)


def _lock_path(folder: Path, task: str) -> Path:
    return folder / f"{task}.lock"


def request_path(folder: Path, task: str) -> Path:
    """Return where a request for a running task lies, beside its lock."""
    return folder / f"{task}.cancel"


def _take_soon(path: Path, patience_s: float) -> int | None:
    """Take the lock as soon as it is free; None when that is not within so many seconds."""
    deadline = time.monotonic() + patience_s
    while (fd := _take(path)) is None and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    return fd


def _take(path: Path) -> int | None:
    """Open and lock the file that has this name now; None when another process holds it."""
    try:
        while True:
            # Reading is enough for flock, and a strict umask may forbid to open the file again for writing.
            fd = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            if not _flock(fd):
                return None
            if _is_at(fd, path):
                return fd
            os.close(fd)  # its holder removed the file between our open and our lock
    except OSError as error:
        raise JournalError(
            f"{path}: cannot be locked: {error.strerror}; vigo needs a data folder it can write"
        ) from error


def _flock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return False
    except OSError:
        os.close(fd)
        raise
    return True


def _is_at(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.lstat(path))
    except FileNotFoundError:
        return False
