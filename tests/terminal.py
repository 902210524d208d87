"""A real terminal with a program on it, and what an emulator makes of what is written to it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pexpect
import pyte

if TYPE_CHECKING:
    from tests.cli.conftest import Vigo

_ID = re.compile(r"\bt[0-9a-z]{7}\b")
_TIME = re.compile(r"\b\d+(ms|\.\ds|s)\b")
_WAIT_S = 60


class Terminal:
    """A run of the program on a terminal of its own, and what an emulator makes of it."""

    def __init__(
        self,
        vigo: Vigo,
        *args: str,
        columns: int = 80,
        rows: int = 30,
        environ: Mapping[str, str] = MappingProxyType({}),
        command: Sequence[str] = (),
    ) -> None:
        """Run vigo with these arguments, or the `command` in its place."""
        self.screen = pyte.Screen(columns, rows)
        self.raw = b""
        self._stream = pyte.ByteStream(self.screen)
        env = {**vigo.env, "TERM": "xterm-256color", "LANG": "C.UTF-8", **environ}
        program, *rest = command or vigo.command(*args)
        self.child: Any = pexpect.spawn(
            program, rest, env=env, cwd=str(vigo.home), dimensions=(rows, columns), timeout=_WAIT_S, echo=True
        )

    def until(self, seen: Callable[[], bool]) -> Terminal:
        """Take in what is written until this holds, or the program has ended."""
        while not seen():
            try:
                data = self.child.read_nonblocking(65536, timeout=_WAIT_S)
            except pexpect.EOF:
                break
            self.raw += data
            self._stream.feed(data)
        return self

    def to_the_end(self) -> int:
        """Take in all of it and return the exit code."""
        self.until(lambda: False)
        self.child.close()
        return int(self.child.exitstatus or 0)

    def shows(self, text: str) -> bool:
        """Say whether this stands on the screen."""
        return any(text in line for line in self.screen.display)

    @property
    def has_whole_frame(self) -> bool:
        """Whether what was taken in ends where a frame of the board does."""
        return self.raw.endswith(b"\x1b[J")

    def resize(self, columns: int, *, folds: bool) -> None:
        """Give the terminal another width: it folds lines that are too long, or cuts them as xterm does."""
        rows, shown, at = self.screen.lines, self.screen.display, self.screen.cursor.y
        if folds:
            self.screen = pyte.Screen(columns, rows)
            self._stream = pyte.ByteStream(self.screen)
            self._stream.feed("".join(f"{line.rstrip()}\r\n" for line in shown[:at]).encode())
        else:
            self.screen.resize(rows, columns)
        self.child.setwinsize(rows, columns)

    @property
    def lines(self) -> list[str]:
        """The screen without what differs from run to run."""
        lines = [_TIME.sub("0s", _ID.sub("t0000000", line.rstrip())) for line in self.screen.display]
        return lines[: max((at + 1 for at, line in enumerate(lines) if line), default=0)]
