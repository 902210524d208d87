"""Standard output behind a thread: a reader that does not read holds up what it would read, and no run.

Rule 1: text is written in the order in which it came, by one thread; the run never waits for it.
Rule 2: what waits is bounded. Text beyond the bound is not shown, and that is said: it is all in the journal.
Rule 3: once writing has failed nothing more is tried, and who asks at the end learns why.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import TextIO, cast

from vigo.cli.console import Console
from vigo.core.errors import Exit

WAITING_MAX = 32 * 1024 * 1024
"""In characters."""
_PILE = 64 * 1024
"""How many characters of several texts are handed over at once."""
_BREATH_S = 0.2
"""How long a wait lasts before a Ctrl-C is heard."""
_HAND_OVER_S = 0.05
"""How long a flush waits for the thread to write."""
_PATIENCE_S = 1.0
"""How long whoever was told to stop waits for a reader."""
_STOPPED = (Exit.INTERRUPTED, Exit.TERMINATED)


class Outlet:
    """A text stream, as far as those who print results use one."""

    def __init__(self, target: TextIO) -> None:
        """Write to `target` from now on; nobody else may."""
        self._target = target
        self._texts: deque[str] = deque()
        self._turn = threading.Condition()
        self._waiting = 0
        self._is_closing = False
        self._is_writing = False
        self._is_late = False
        """Nobody read for a while: until all is written, nobody waits for that."""
        self.dropped = 0
        """Characters that were not shown, because too much waited."""
        self.failure: OSError | None = None
        self._thread = threading.Thread(target=self._serve, name="stdout", daemon=True)
        self._thread.start()

    def write(self, text: str) -> int:
        """Take text; it is written soon."""
        with self._turn:
            if self.failure is not None:
                return len(text)
            if self._waiting and self._waiting + len(text) > WAITING_MAX:  # one text alone is never too much
                self.dropped += len(text)
                return len(text)
            self._texts.append(text)
            self._waiting += len(text)
            self._turn.notify_all()
        return len(text)

    def writelines(self, texts: Iterable[str]) -> None:
        """Take several, some at a time: for each of them alone the thread would have to be woken."""
        some: list[str] = []
        size = 0
        try:
            for text in texts:
                some.append(text)
                size += len(text)
                if size >= _PILE:
                    self.write("".join(some))
                    some, size = [], 0
        finally:  # what came is shown, whatever became of the rest
            if some:
                self.write("".join(some))

    def flush(self) -> None:
        """Wait until all is written, so that it stands before what is written elsewhere next; not for a late reader."""
        with self._turn:
            until = time.monotonic() + _HAND_OVER_S
            while not self._is_late and self.failure is None and (self._texts or self._is_writing):
                self._is_late = time.monotonic() >= until
                self._turn.wait(_HAND_OVER_S)

    def isatty(self) -> bool:
        """Tell whether a terminal is behind it."""
        return self._target.isatty()

    def fileno(self) -> int:
        """Return the descriptor behind it, which is only looked at."""
        return self._target.fileno()

    @property
    def is_behind(self) -> bool:
        """Whether something waits to be written."""
        with self._turn:
            return self.failure is None and (bool(self._texts) or self._is_writing)

    def drain(self, within_s: float | None = None) -> None:
        """Wait until all is written, or writing has failed, or the time is up; None waits as long as it takes."""
        until = None if within_s is None else time.monotonic() + within_s
        with self._turn:
            while (self._texts or self._is_writing) and self.failure is None:
                if until is not None and time.monotonic() >= until:
                    return
                self._turn.wait(_BREATH_S)
            self._is_closing = True
            self._turn.notify_all()

    def _serve(self) -> None:
        while True:
            with self._turn:
                while not self._texts:
                    if self._is_closing:
                        return
                    self._turn.wait()
                text = "".join(self._texts)
                self._texts.clear()
                self._is_writing = True
            self._put(text)

    def _put(self, text: str) -> None:
        failure: OSError | None = None
        try:
            self._target.write(text)
            self._target.flush()
        except OSError as error:
            failure = error
        with self._turn:
            self._is_writing = False
            self._is_late = self._is_late and bool(self._texts)
            self._waiting -= len(text)
            self.failure = failure
            if failure is not None:
                self._texts.clear()
            self._turn.notify_all()


def behind_a_thread(console: Console) -> tuple[Console, Outlet | None]:
    """Return a console whose standard output holds nothing up; a terminal is written to as ever, and None returned."""
    if console.out.isatty():
        return console, None
    outlet = Outlet(console.out)
    return replace(console, out=cast("TextIO", outlet)), outlet


def see_out(outlet: Outlet, task: str, code: Exit, console: Console, *, was_told_to_stop: bool) -> None:
    """See to it that results are written before the program ends; `console` is the one with the real streams.

    Whoever told the run to stop, even as it had just ended, or does so now, waits no longer for a reader: then the program
    ends here, because nothing but `_exit` ends a thread that waits in a write. Raises OSError for a standard output that could not be written, other
    than by a reader who has gone.
    """
    with suppress(KeyboardInterrupt):
        outlet.drain(_PATIENCE_S if was_told_to_stop or code in _STOPPED else None)
    if outlet.is_behind and code is not Exit.TERMINATED:
        code = Exit.INTERRUPTED
    if outlet.is_behind or outlet.dropped:
        console.say(f"nobody read all of the results from standard output; they are here: vigo task status {task}")
    if outlet.is_behind:
        os._exit(code)
    if outlet.failure is not None and not isinstance(outlet.failure, BrokenPipeError):
        raise outlet.failure
