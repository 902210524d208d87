"""Another user's rights for a command: who, by which program, and how that program is called on the host.

The program runs the wrapper, not the command: priority, deadline and kill then have the same rights as what they are for.
"""

from __future__ import annotations

import re
from enum import StrEnum

from vigo.core.errors import UsageError
from vigo.core.nodes import Node, read_text, shown, wrong
from vigo.core.values import dataclass

ROOT = "root"
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", re.ASCII)
"""Names that every login shell takes for one word and no program for a flag."""


class Elevation(StrEnum):
    """The program on the host that gives the rights."""

    SUDO = "sudo"
    DOAS = "doas"


@dataclass(frozen=True, slots=True)
class Privilege:
    """Whose rights a command has on its host, where they are not those of the login."""

    user: str = ROOT
    by: Elevation = Elevation.SUDO

    def __str__(self) -> str:
        """Return `root (sudo)`."""
        return f"{self.user} ({self.by})"

    def call(self, mark: str, *, has_password: bool) -> str:
        """Return what stands before a program and its arguments, a blank at the end; the same words for every login shell.

        It never asks for anything. With a password, which doas takes from terminals alone, it reads that from stdin once
        it has written `prompt(mark)`; what the host remembers of earlier passwords is neither used nor changed.
        """
        if has_password and self.by is Elevation.SUDO:
            return f"sudo -k -S -p {prompt(mark)} -u {_checked(self.user)} -- "
        return f"{self.by} -n -u {_checked(self.user)} -- "


def prompt(mark: str) -> str:
    """Return the words by which sudo asks for the password: nobody else on the host knows the mark before."""
    return f"vigo:{mark}:password"


def parse_user(text: str, *, flag: str) -> str:
    """Read the name of a user whose rights a command gets. Raises UsageError."""
    if not _USER.fullmatch(text):
        raise UsageError(f"{flag}: {shown(text)!r} is no user name; write letters, digits, `.`, _ and -, at most 64")
    return text


def read_user(node: Node, key: str) -> str:
    """Read the same from a file. Raises ConfigError with the place."""
    text = read_text(node, key)
    if not _USER.fullmatch(text):
        raise wrong(node.mark, key, f"{shown(text)!r} is no user name", "write letters, digits, `.`, _ and -")
    return text


def _checked(user: str) -> str:
    if not _USER.fullmatch(user):  # from a record that somebody wrote; it would be a part of the exec string
        raise ValueError(f"{user!r} cannot name a user")
    return user
