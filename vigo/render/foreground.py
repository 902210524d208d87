"""Says whether a program has its terminal for itself. It loads nothing, because it is asked before anything is decided."""

from __future__ import annotations

import os
from typing import TextIO


def is_in_front(err: TextIO) -> bool:
    """Say whether the terminal is ours to draw on: of a shell's jobs only the one in front has it.

    `&` and GNU `timeout` start a program in the background. On what is nobody's controlling terminal everybody draws.
    """
    try:
        return os.tcgetpgrp(err.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return True
