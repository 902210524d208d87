"""Puts frames of the board on a terminal, and other text above it.

Rule 1: the cursor is never hidden and stands below the board, at the beginning of a line: whatever ends or stops the
        program, the terminal is left as a shell wants it.
Rule 2: what is drawn is taken away before anything else is written, and drawn again after it.
Rule 3: a frame that says nothing new is not written, and none by a job that was sent to the background.
"""

from __future__ import annotations

import io
import os
import stat
import time
from collections.abc import Callable
from typing import TextIO, cast

from rich.color import ColorSystem
from rich.console import Console
from rich.style import Style

from vigo.core.values import dataclass
from vigo.render.board import Look, frame
from vigo.render.board_state import BoardState
from vigo.render.foreground import is_in_front
from vigo.render.line import Line

FRAME_MS = 125
_PATIENCE = 20
"""A frame that took a while is followed by a rest so many times as long: drawing has a twentieth of the time."""
_COLORS = {"standard": ColorSystem.STANDARD, "256": ColorSystem.EIGHT_BIT, "truecolor": ColorSystem.TRUECOLOR}
_COLUMNS, _LINES = 80, 24
_PIPE_S = 0.2
"""How long text takes through a pipe to the terminal, with much to spare."""
_CUTTING_SIGNS = frozenset({"XTERM_VERSION", "STY"})
"""What xterm and screen put into the environment: a terminal of theirs that becomes narrower cuts its lines, others fold them."""
_CUTTING_TERMS = ("linux", "rxvt")
_COLUMNS_MIN, _LINES_MIN = 10, 2


@dataclass(slots=True)
class _Drawn:
    """What stands on the screen: the frame's text, and the width of each of its lines."""

    text: str
    widths: tuple[int, ...]


class BoardScreen:
    """One board on one terminal."""

    def __init__(self, err: TextIO, state: BoardState, hints: tuple[str, str], now_ms: Callable[[], int]) -> None:
        self.state = state
        self._err = err
        self._now_ms = now_ms
        self._look = Look(hints, plain=not _speaks_unicode(err))
        asked = Console(file=io.StringIO(), force_terminal=True, highlight=False, markup=False, emoji=False)
        colors = None if asked.no_color else _COLORS.get(asked.color_system or "")
        self._signs = None if colors is None else _Signs(colors)
        self._folds = not (_CUTTING_SIGNS & os.environ.keys() or os.environ.get("TERM", "").startswith(_CUTTING_TERMS))
        self._quiet_until = 0.0
        self._began_in_front = is_in_front(err)
        self._drawn: _Drawn | None = None
        self._was_drawn = self._is_mid_line = self._was_away = False

    def draw(self) -> float:
        """Draw a frame if it is another one, and return how many seconds the next may wait for."""
        begin = time.perf_counter()
        if self.quiet_s > 0:
            return self.quiet_s
        self._come_back()
        if not self._is_mid_line and (is_in_front(self._err) or not self._began_in_front):
            columns, rows = _size(self._err)
            # The last column stays free: what a terminal does behind it differs. The cursor has the last line.
            lines = frame(self.state, self._now_ms(), columns - 1, rows - 1, self._look)
            self._put(self._ansi(lines), tuple(line.cells for line in lines), columns)
        return max(FRAME_MS / 1000, _PATIENCE * (time.perf_counter() - begin))

    def lift(self) -> None:
        """Take the board away: the cursor stands where it began."""
        self._come_back()
        if self._drawn is not None:
            self._err.write(f"{_up(self._height(_size(self._err)[0]))}\x1b[J")
            self._err.flush()
            self._drawn = None

    def leave(self) -> None:
        """Leave what is drawn where it is: the next frame begins below it. An echoed `^C` is taken away."""
        if self._drawn is not None:
            self._drawn = None
            self._err.write("\r\x1b[K")
            self._err.flush()

    def come_back(self) -> None:
        """Note that a shell had the terminal meanwhile and has written below the board. A signal handler may call it."""
        self._was_away = True

    def finish(self) -> None:
        """Draw the last frame, if there was one before, and leave it."""
        self._quiet_until = 0.0
        if self._was_drawn:
            self.draw()
            self.leave()

    def above(self, target: TextIO) -> TextIO:
        """Return a stream whose text goes to `target`, above the board where both end on terminals.

        What is behind a pipe (`| tee log`) writes to the same terminal, as a rule, and a moment later.
        """
        if target.isatty():
            return cast("TextIO", _Above(self, target))
        return cast("TextIO", _Above(self, target, is_piped=True)) if _is_pipe(target) else target

    @property
    def quiet_s(self) -> float:
        """How long no frame is drawn, because text is on its way through a pipe; 0 or less is no longer."""
        return self._quiet_until - time.perf_counter()

    def expect(self) -> None:
        """Note that text went into a pipe, and will be on the terminal soon."""
        self._quiet_until = time.perf_counter() + _PIPE_S

    def wrote(self, text: str) -> None:
        """Note that text went to the terminal: until its line has ended the board waits."""
        if text:
            self._is_mid_line = not text.endswith("\n")

    def _come_back(self) -> None:
        if self._was_away:
            self._was_away = False
            self.leave()

    def _put(self, text: str, widths: tuple[int, ...], columns: int) -> None:
        if self._drawn is not None and self._drawn.text == text:
            return
        up = "" if self._drawn is None else _up(self._height(columns))
        self._err.write(f"{up}{text}\x1b[J")
        self._err.flush()
        self._drawn = _Drawn(text, widths)
        self._was_drawn = True

    def _height(self, columns: int) -> int:
        """Return how many lines the drawn frame has now: a terminal that became narrower has folded some, or cut them."""
        if self._drawn is None:
            return 0
        return sum(max(1, -(-width // columns)) if self._folds else 1 for width in self._drawn.widths)

    def _ansi(self, lines: list[Line]) -> str:
        return "".join(f"{self._styled(line)}\x1b[K\r\n" for line in lines)

    def _styled(self, line: Line) -> str:
        """Return a line with its colours."""
        signs = self._signs
        if signs is None:
            return line.plain
        return "".join([f"{signs[style]}{text}\x1b[0m" if style else text for text, style in line.pieces])


class _Signs(dict[str, str]):
    """What a terminal is told before a style begins, made once for each style."""

    def __init__(self, colors: ColorSystem) -> None:
        super().__init__()
        self._colors = colors

    def __missing__(self, style: str) -> str:
        """Take it from what rich would write round a piece of text."""
        self[style] = Style.parse(style).render("|", color_system=self._colors).partition("|")[0]
        return self[style]


class _Above(io.TextIOBase):
    """Writes to a terminal that has a board at its bottom."""

    def __init__(self, screen: BoardScreen, target: TextIO, *, is_piped: bool = False) -> None:
        self._screen = screen
        self._target = target
        self._is_piped = is_piped

    def write(self, text: str) -> int:
        """Take the board away and write; the next frame draws it again."""
        self._screen.lift()
        if self._is_piped:
            self._screen.expect()
        else:
            self._screen.wrote(text)
        return self._target.write(text)

    def flush(self) -> None:
        """Pass it on."""
        self._target.flush()

    def isatty(self) -> bool:
        """Say what it is on."""
        return not self._is_piped


def _up(lines: int) -> str:
    return f"\r\x1b[{lines}A" if lines else "\r"


def _is_pipe(target: TextIO) -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(target.fileno()).st_mode)
    except (OSError, ValueError):
        return False


def _size(err: TextIO) -> tuple[int, int]:
    try:
        columns, rows = os.get_terminal_size(err.fileno())
    except (OSError, ValueError):
        columns, rows = 0, 0
    return max(columns or _COLUMNS, _COLUMNS_MIN), max(rows or _LINES, _LINES_MIN)


def _speaks_unicode(err: TextIO) -> bool:
    try:
        "▸✓✗…".encode(err.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
