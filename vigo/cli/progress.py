"""Says whether a run is followed on a board; read before anything is decided, so it loads nothing."""

from __future__ import annotations

import os

from vigo.cli.console import Console
from vigo.cli.flags import Progress
from vigo.core.errors import UsageError
from vigo.render.foreground import is_in_front

_DUMB = frozenset({"", "dumb", "unknown"})


def wants_board(wanted: str, console: Console) -> bool:
    """Say whether a board is drawn; a job in the background has lines. Raises UsageError where one cannot be drawn."""
    capable = console.err.isatty() and os.environ.get("TERM", "") not in _DUMB
    if wanted == Progress.BOARD and not capable:
        raise UsageError(
            "--progress board: standard error is no terminal that a board can be drawn on; use --progress lines"
        )
    return capable and (wanted == Progress.BOARD or (wanted == Progress.AUTO and is_in_front(console.err)))
