"""Chooses how a run is followed on standard error, as board, as lines or not at all, and keeps the board drawn."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from vigo.cli.console import Console
from vigo.cli.flags import Progress
from vigo.cli.progress import wants_board
from vigo.core.events import Record
from vigo.core.model import Stream
from vigo.core.rollout import Run
from vigo.core.values import dataclass
from vigo.engine.ports import Observer, Sink
from vigo.render.live import ProgressLines

if TYPE_CHECKING:  # rich is loaded where a board is drawn, and nowhere else
    from vigo.render.board_screen import BoardScreen
    from vigo.render.board_state import BoardState

_T = TypeVar("_T")
_FIRST_FRAME_S = 0.2
"""What is over sooner shows its results and no board."""
_HINT = (
    "Ctrl-C: nothing more starts, what runs finishes; once more kills it",
    "Ctrl-C: kills the command on the hosts",
)


class NoSink:
    """Live output that nobody watches: the kept output is shown when a host has ended."""

    def write(self, host: str, stream: Stream, data: bytes) -> None:
        """Drop the bytes."""


@dataclass(frozen=True, slots=True)
class Following:
    """How a run is followed: what it writes through, who is told, and what is drawn meanwhile."""

    console: Console
    observers: list[Observer]
    sink: Sink
    drawn: AbstractAsyncContextManager[None]


def following(wanted: str, opening: Record, run: Run, console: Console) -> Following:
    """Return how the run that begins with this record is followed; `wanted` is the flag's value."""
    if not wants_board(wanted, console):
        observers: list[Observer] = [] if wanted == Progress.NONE else [ProgressLines(console.err)]
        return Following(console, observers, NoSink(), nullcontext())
    from vigo.render.board_screen import BoardScreen
    from vigo.render.board_state import BoardState, epoch_ms

    state = BoardState(opening.task, run, epoch_ms(opening.at))
    screen = BoardScreen(console.err, state, _HINT, now_ms)
    above = replace(console, out=screen.above(console.out), err=screen.above(console.err))
    board = Board(state, screen, console)
    return Following(above, [board], board, board.drawn())


def now_ms() -> int:
    """Return the milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class Board:
    """Keeps a board up to date and drawn. Whatever fails in it ends the board alone: lines follow, and the run goes on."""

    def __init__(self, state: BoardState, screen: BoardScreen, console: Console) -> None:
        self._state = state
        self._screen = screen
        self._console = console
        self._lines: ProgressLines | None = None
        """What follows the run when the board does not any more."""

    def on_record(self, record: Record, run: Run) -> None:
        """Take in a record, or tell of it where there is no board any more."""
        self._attempt(lambda: self._state.on_record(record, run))
        if self._lines is not None:
            self._lines.on_record(record, run)

    def write(self, host: str, stream: Stream, data: bytes) -> None:  # noqa: ARG002 - the port's form: both streams count
        """Take what a host said."""
        self._attempt(lambda: self._state.hear(host, data))

    @asynccontextmanager
    async def drawn(self) -> AsyncIterator[None]:
        """Keep the board drawn, and leave its last frame on the screen."""
        # Not by the loop, which would draw once more before it hears of a signal.
        before = signal.signal(signal.SIGCONT, lambda *_: self._screen.come_back())
        drawing = asyncio.create_task(self._keep_drawing())
        try:
            yield
        finally:
            drawing.cancel()
            with suppress(asyncio.CancelledError):
                await drawing
            signal.signal(signal.SIGCONT, before)
            await asyncio.sleep(self._screen.quiet_s)
            self._attempt(self._screen.finish)

    async def _keep_drawing(self) -> None:
        rest_s: float | None = _FIRST_FRAME_S
        while rest_s is not None:
            await asyncio.sleep(rest_s)
            rest_s = self._attempt(self._screen.draw)

    def _attempt(self, act: Callable[[], _T]) -> _T | None:
        """Do something with the board; None if it failed, and then there is no board any more."""
        if self._lines is not None:
            return None
        try:
            return act()
        except Exception as error:  # noqa: BLE001 - whatever a board does, the run goes on without it
            self._lines = ProgressLines(self._console.err)
            is_gone = isinstance(error, OSError) or self._console.err.closed
            with suppress(OSError, ValueError):
                self._screen.leave()
            if not is_gone:
                self._console.say(f"the board stopped: {error!r}; the run goes on, and lines tell of it")
            return None
