"""The journal behind a thread of its own: a lock that another process holds, or a slow disk, stops no event loop.

Rule 1: what was accepted is written, in the order of its coming, whoever has stopped waiting for it.
Rule 2: the store belongs to the thread from `async with` on; SQLite itself refuses every other one.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeVar

from vigo.adapters.store import Store
from vigo.core.errors import JournalError
from vigo.core.events import Event, Record

_T = TypeVar("_T")


class ThreadedJournal:
    """The Journal port over a `Store` that was opened, and dispatched with, on the caller's thread.

    The thread is a daemon, not one of asyncio's pool: nothing else waits in its queue, and none of it waits at the end of
    the program. Whoever wants to read meanwhile needs a `Reading` of his own.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._jobs: queue.SimpleQueue[Callable[[], bool]] = queue.SimpleQueue()

    async def __aenter__(self) -> Self:
        self._store.close()  # SQLite's connections belong to the thread that opened them; the worker opens its own
        try:
            threading.Thread(target=self._work, name="vigo-journal", daemon=True).start()
        except RuntimeError as error:
            raise JournalError(
                f"{self._store.path}: nobody can write it: {error}; nothing more starts: raise `ulimit -u`"
            ) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Wait until all that was accepted is written, then close the store."""
        await self._done(self._store.close, is_last=True)

    async def append(self, task: str, events: Sequence[Event], outputs: Sequence[bytes] = ()) -> Sequence[Record]:
        """Write as `Store.append` does; raises what it raises.

        A cancellation comes into effect when the result is there, which is handed over first: what is on record is
        never unknown to the run. That wait is bounded by the store's time-out for locks, and by the disk.
        """
        events, outputs = tuple(events), tuple(outputs)  # the caller may go on with its lists
        return await self._done(lambda: self._store.append(task, events, outputs))

    async def _done(self, work: Callable[[], _T], *, is_last: bool = False) -> _T:
        """Have the thread do this after all that was asked before, and return or raise what came of it."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[_T] = loop.create_future()

        def job() -> bool:
            try:
                settle: Callable[[], object] = _bound(answer.set_result, work())
            except BaseException as error:  # noqa: BLE001 - it is raised where the answer is waited for
                settle = _bound(answer.set_exception, error)
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more, and the journal has it
                loop.call_soon_threadsafe(settle)
            return not is_last

        self._jobs.put(job)
        return await _to_the_end(answer)

    def _work(self) -> None:
        while self._jobs.get()():
            pass


def _bound(settle: Callable[[Any], object], value: object) -> Callable[[], object]:
    return lambda: settle(value)


async def _to_the_end(answer: asyncio.Future[_T]) -> _T:
    """Await this also when the waiting task is cancelled, and pass the cancellation on to its next await."""
    is_cancelled = False
    while not answer.done():
        try:
            await asyncio.wait({answer})
        except asyncio.CancelledError:
            is_cancelled = True
    task = asyncio.current_task()
    if is_cancelled and task is not None:
        task.uncancel()  # the request is counted once, however often it is handed on
        task.cancel()
    return answer.result()
