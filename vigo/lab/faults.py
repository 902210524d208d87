"""What can be made wrong with a lab host on request. Pure values: the server acts on them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from vigo.core.errors import UsageError

SLOW_MS = 2_000
"""How long a slow host sits on each command before it starts it."""


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
