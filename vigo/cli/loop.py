"""The event loop of a run: uvloop's where it is installed (`vigo[fast]`), and a garbage collector that leaves start-up alone."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")
_YOUNG_MAX = 50_000
"""Objects made before the garbage collector looks at them: some of a hundred connections."""


def carry_through(work: Coroutine[Any, Any, _T]) -> _T:
    """Run the work on a loop of its own, like `asyncio.run`.

    What was imported and planned stays for the whole run: the collector need not walk it again and again.
    """
    gc.freeze()
    gc.set_threshold(_YOUNG_MAX)
    heard = signal.getsignal(signal.SIGINT)
    try:
        with asyncio.Runner(loop_factory=_new_loop()) as runner:
            return runner.run(work)
    finally:
        signal.signal(signal.SIGINT, heard)  # uvloop leaves its own behind, and a later Ctrl-C would be nobody's


def _new_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    new: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return new
