"""Says whether a run is followed on a board; read before anything is decided, so it loads nothing."""

from __future__ import annotations

import os

from vigo.cli.console import Console
from vigo.cli.flags import Progress
from vigo.core.errors import UsageError

_DUMB = frozenset({"", "dumb", "unknown"})


def wants_board(wanted: str, console: Console) -> bool:
    """Say whether a board is drawn. Raises UsageError where one was asked for and cannot be."""
    capable = console.err.isatty() and os.environ.get("TERM", "") not in _DUMB
    if wanted == Progress.BOARD and not capable:
        raise UsageError(
            "--progress board: standard error is no terminal that a board can be drawn on; use --progress lines"
        )
    return capable and wanted in (Progress.AUTO, Progress.BOARD)
