"""The `%` tokens of ssh_config(5), and the place where they are expanded: who asks, from which machine."""

from __future__ import annotations

import getpass
import hashlib
import os
import re
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from vigo.adapters.ssh_config_words import BadLine
from vigo.core.values import dataclass

_TOKEN: Final = re.compile(r"%(.?)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Here:
    """The one who asks, read from the environment once a run."""

    login: str
    """Empty for a uid without a name."""
    uid: int
    home: Path | None
    hostname: str

    @classmethod
    def of_process(cls) -> Here:
        """Read the environment."""
        return cls(login_name(), os.getuid(), home_folder(), socket.gethostname())


@dataclass(frozen=True, slots=True)
class Goal:
    """The host that tokens speak of, as far as it is known."""

    host: str
    """What is connected to."""
    original: str
    """What was asked for."""
    port: int
    user: str
    alias: str = ""
    jump: str = ""


def expand(text: str, here: Here, goal: Goal, allowed: str = "CLdhijklnpru") -> str:
    """Replace `%x` tokens and `%%`. Raises BadLine for a token that has no meaning in this place."""
    if "%" not in text:
        return text

    def value(match: re.Match[str]) -> str:
        letter = match[1]
        if letter == "%":
            return "%"
        if not letter or letter not in allowed:
            raise BadLine(f"has {match[0]}, which means nothing here; write %% for a percent sign")
        return _LETTERS[letter](here, goal)

    return _TOKEN.sub(value, text)


def login_name() -> str:
    """Return the login name, empty for a uid without a line in passwd."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # OSError from Python 3.13 on
        return ""


def home_folder() -> Path | None:
    """Return the user's home, or None: a uid need not have a line in passwd, nor HOME be set."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def _digest(here: Here, goal: Goal) -> str:
    text = here.hostname + goal.host + str(goal.port) + goal.user + goal.jump
    return hashlib.sha1(text.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()


_LETTERS: Final[Mapping[str, Callable[[Here, Goal], str]]] = {
    "C": _digest,
    "L": lambda here, _: here.hostname.partition(".")[0],
    "d": lambda here, _: str(here.home or ""),
    "h": lambda _, goal: goal.host,
    "i": lambda here, _: str(here.uid),
    "j": lambda _, goal: goal.jump,
    "k": lambda _, goal: goal.alias or goal.original,
    "l": lambda here, _: here.hostname,
    "n": lambda _, goal: goal.original,
    "p": lambda _, goal: str(goal.port),
    "r": lambda _, goal: goal.user,
    "u": lambda here, _: here.login,
}
