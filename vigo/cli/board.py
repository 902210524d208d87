"""Chooses how a run is followed on standard error, as board, as lines or not at all, and keeps the board drawn."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vigo.cli.console import Console
from vigo.cli.flags import Progress
from vigo.cli.progress import wants_board
from vigo.core.events import Record
from vigo.core.model import Stream
from vigo.core.rollout import Run
from vigo.engine.ports import Observer, Sink
from vigo.render.live import ProgressLines

if TYPE_CHECKING:  # rich is loaded where a board is drawn, and nowhere else
    from vigo.render.board_screen import BoardScreen

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
    from vigo.render.board_state import BoardSink, BoardState, epoch_ms

    state = BoardState(opening.task, run, epoch_ms(opening.at))
    screen = BoardScreen(console.err, state, _HINT, now_ms)
    above = replace(console, out=screen.above(console.out), err=screen.above(console.err))
    return Following(above, [state], BoardSink(state), _drawn(screen, console))


def now_ms() -> int:
    """Return the milliseconds since 1970."""
    return time.time_ns() // 1_000_000


@asynccontextmanager
async def _drawn(screen: BoardScreen, console: Console) -> AsyncIterator[None]:
    """Keep the board drawn, and leave its last frame on the screen."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGCONT, screen.leave)  # a shell has written below it meanwhile
    drawing = asyncio.create_task(_keep_drawing(screen, console))
    try:
        yield
    finally:
        drawing.cancel()
        with suppress(asyncio.CancelledError):
            await drawing
        loop.remove_signal_handler(signal.SIGCONT)
        with suppress(OSError, ValueError):
            screen.finish()


async def _keep_drawing(screen: BoardScreen, console: Console) -> None:
    """Draw frame after frame; a board that cannot be drawn any more ends alone, and the run goes on."""
    await asyncio.sleep(_FIRST_FRAME_S)
    try:
        while True:
            rest_s = screen.draw()
            await asyncio.sleep(rest_s)
    except (OSError, ValueError):
        return  # the terminal is gone
    except Exception as error:  # noqa: BLE001 - whatever a board does, the run goes on without it
        console.say(f"the board stopped: {error!r}; the run goes on, see `task status`")
