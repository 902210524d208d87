"""What another terminal asks of a running task: a file beside the task's lock, taken by the process that runs it.

Rule 1: nobody's kill is lost: a request to kill replaces one that is still waiting, one to drain never does.
Rule 2: a file is taken by renaming it, so that one that arrives meanwhile is another file.
Rule 3: a request is for the process that holds the lock now; whoever takes the lock finds none (`locks.RunLock`).
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Protocol

from vigo.adapters.locks import is_running, request_path
from vigo.adapters.store_open import LOCKS, create_private
from vigo.core.errors import JournalError, UsageError
from vigo.core.values import dataclass

_POLL_S = 0.2
_SIZE_MAX = 4096
_OPERATOR_MAX = 200


@dataclass(frozen=True, slots=True)
class Request:
    """Somebody wants a task cancelled."""

    operator: str
    now: bool

    @property
    def cause(self) -> str:
        """Who asked, as it is recorded."""
        return f"operator {self.operator}"


class OnRequest(Protocol):
    """What becomes of a request."""

    def __call__(self, cause: str, *, now: bool) -> None:
        """Take it; called on the event loop, must not block."""


def leave(folder: Path, task: str, operator: str, *, now: bool) -> None:
    """Leave a request for the process that runs a task; `folder` is the data folder.

    Raises UsageError when no process runs it (any more), JournalError when the file cannot be written.
    """
    path = request_path(folder / LOCKS, task)
    _refuse_ended(folder, task)
    data = json.dumps({"operator": operator[:_OPERATOR_MAX], "now": now}).encode() + b"\n"
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        _write(draft, data)
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            if now:
                draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise JournalError(f"{path}: the request cannot be left: {error.strerror}; send SIGTERM instead") from error
    try:
        _refuse_ended(folder, task)  # its process may have looked for the last time before the file was there
    except UsageError:
        path.unlink(missing_ok=True)
        raise


def _refuse_ended(folder: Path, task: str) -> None:
    if not is_running(folder / LOCKS, task):
        raise UsageError(f"task {task} is not running (any more); see `vigo task status {task}`")


def _write(path: Path, data: bytes) -> None:
    with suppress(FileNotFoundError):
        path.unlink()  # of a process that had our number and died
    with os.fdopen(create_private(path), "wb") as file:
        file.write(data)


class Requests:
    """The requests for one task, seen by the process that holds its lock."""

    def __init__(self, folder: Path, task: str) -> None:
        self._path = request_path(folder / LOCKS, task)
        self._taken = self._path.with_name(f"{self._path.name}.taken")

    def poll(self) -> list[Request]:
        """Take what has arrived since; a look that finds nothing costs one system call."""
        try:
            self._path.rename(self._taken)
        except FileNotFoundError:
            return []
        except OSError:
            return []  # the disk or the table of files is in trouble; the next look may find it better
        try:
            fd = os.open(self._taken, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
            with os.fdopen(fd, "rb") as file:
                data = file.read(_SIZE_MAX)
        except OSError:
            data = b""
        finally:
            with suppress(OSError):
                self._taken.unlink()
        return _read(data)


def _read(data: bytes) -> list[Request]:
    """Return the request; what nobody can read was not written by this program and asks for nothing."""
    try:
        fields = json.loads(data)
        operator, now = fields["operator"], fields["now"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return []
    if not isinstance(operator, str) or not isinstance(now, bool):
        return []
    # The journal takes no lone surrogates, and a name must not stop the run that it asks to stop.
    return [Request(operator[:_OPERATOR_MAX].encode("utf-8", "replace").decode(), now)]


@asynccontextmanager
async def watch(folder: Path, task: str, on_request: OnRequest) -> AsyncIterator[None]:
    """Hand requests for a task on while the block runs, each within 0.2 s; `folder` is the data folder."""
    requests = Requests(folder, task)

    async def look() -> None:
        while True:
            for request in requests.poll():
                on_request(request.cause, now=request.now)
            await asyncio.sleep(_POLL_S)

    looking = asyncio.create_task(look())
    try:
        yield
    finally:
        looking.cancel()
        await asyncio.wait({looking})
        requests.poll()
        if not looking.cancelled():
            looking.result()  # it only ends by itself when something is wrong with it
