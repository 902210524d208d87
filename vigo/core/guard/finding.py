"""What the analyser found: the value both guards decide on."""

from __future__ import annotations

from enum import StrEnum

from vigo.core.values import dataclass


class Layer(StrEnum):
    """Which guard a finding belongs to."""

    DISPATCH = "dispatch"
    """The dispatch guard alone: `--force` or a `y` at the prompt passes it."""
    HARD = "hard"
    """Both guards: nothing passes it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Why a command was stopped."""

    layer: Layer
    rule: str
    """The rule's stable name, e.g. `unit-stop`."""
    pattern: str
    """The rule's canonical form with the resolved words: `systemctl stop vigo`."""
    reason: str = "command matches dangerous pattern"
    span: tuple[int, int] = (0, 0)
    """Where the matched words stand in the judged text, as character offsets (start, end)."""
