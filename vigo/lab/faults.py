"""What can be made wrong with a lab host on request. Pure values: the server acts on them."""

from __future__ import annotations

import re
from enum import StrEnum

from vigo.core.errors import UsageError
from vigo.core.values import dataclass

SLOW_MS = 2_000
"""How long a slow host sits on each command before it starts it."""

_WRAPPED = re.compile(r"'i=(?P<run>[0-9A-Za-z._-]{1,64}) d=[01] t=[0-9]+ ")
"""How `core/command.py` begins its wrapper: the mark of the run, before anything that could be the command's own."""


class FaultKind(StrEnum):
    """The four faults."""

    REFUSE = "refuse"
    """Nothing listens on the host's port."""
    HANG = "hang"
    """TCP is accepted and then nothing is said."""
    SLOW = "slow"
    """Each command starts `SLOW_MS` late."""
    EXIT = "exit"
    """Each command ends with one exit code, without having run."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. It holds for new connections (refuse, hang) and new commands (slow, exit)."""

    kind: FaultKind
    exit_code: int | None = None
    """0-255, for `exit` alone."""

    def __str__(self) -> str:
        return f"exit:{self.exit_code}" if self.kind is FaultKind.EXIT else self.kind.value


def parse_fault(text: str) -> Fault:
    """Read `refuse`, `hang`, `slow` or `exit:N`. Raises UsageError."""
    word, colon, number = text.partition(":")
    if word == FaultKind.EXIT and colon and number.isascii() and number.isdecimal() and int(number[:6]) <= 255:  # noqa: PLR2004 - an exit code is one byte
        return Fault(FaultKind.EXIT, int(number))
    if not colon and word in {FaultKind.REFUSE, FaultKind.HANG, FaultKind.SLOW}:
        return Fault(FaultKind(word))
    raise UsageError(f"'{text}' is not a fault: use refuse, hang, slow or exit:N with N from 0 to 255")


def ends_with(command: str, exit_code: int) -> str:
    """Return a shell text that ends like `command` would if that ended with `exit_code`, and runs nothing of it.

    vigo itself takes a host that does not greet it for one without a shell, so its wrapper's greeting is played too.
    """
    wrapped = _WRAPPED.search(command)
    if wrapped is None:
        return f"exit {exit_code}"
    return f'echo "vigo:{wrapped["run"]}:$$" >&2; read -r go; exit {exit_code}'
