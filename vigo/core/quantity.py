"""Counts, percentages and durations as operators write them: `5`, `25%`, `1,10%,50%`, `500ms`, `2m`."""

from __future__ import annotations

import re

from vigo.core.errors import UsageError
from vigo.core.values import dataclass

_UNITS_MS = {"ms": 1, "": 1000, "s": 1000, "m": 60_000, "h": 3_600_000}
_DURATION = re.compile(r"(?P<number>\d{1,12}(?:\.\d{1,3})?)(?P<unit>ms|s|m|h|)", re.ASCII)
_QUANTITY = re.compile(r"(?P<number>\d{1,9})(?P<percent>%?)", re.ASCII)
_PERCENT_MAX = 100
_SECONDS_FROM_MS = 10_000


@dataclass(frozen=True, slots=True)
class Quantity:
    """A count of hosts, or a percentage of all targets.

    `Quantity(25, percent=True).of(10)` is 2: percentages are rounded down.
    """

    number: int
    percent: bool = False

    def of(self, total: int) -> int:
        """Return the number of hosts meant by this quantity when there are `total` targets."""
        return total * self.number // 100 if self.percent else self.number

    def __str__(self) -> str:
        return f"{self.number}%" if self.percent else str(self.number)


def parse_quantity(text: str, *, flag: str, least: int = 0) -> Quantity:
    """Read `5` or `25%`; `flag` names the setting in an error.

    Raises UsageError for anything else, below `least` (1 means that zero is refused) or above 100 %.
    """
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{flag}: {text!r} is not a quantity; write a count (5) or a percentage (25%)")
    number, percent = int(match["number"]), bool(match["percent"])
    if percent and number > _PERCENT_MAX:
        raise UsageError(f"{flag}: {text!r} is more than all targets; write at most 100%")
    if number < least:
        raise UsageError(f"{flag}: {text!r} is too small; the least is {least}{'%' if percent else ''}")
    return Quantity(number, percent)


def parse_quantities(text: str, *, flag: str) -> tuple[Quantity, ...]:
    """Read a list of batch sizes such as `1,10%,50%`; each must be at least 1."""
    return tuple(parse_quantity(part, flag=flag, least=1) for part in text.split(","))


def parse_duration_ms(text: str, *, flag: str, least_ms: int = 1) -> int:
    """Read a duration and return milliseconds; a bare number is seconds, units are `ms s m h`.

    Raises UsageError for another form or for less than `least_ms`.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{flag}: {text!r} is not a duration; write seconds (60) or a unit (500ms, 2m, 1h)")
    duration_ms = round(float(match["number"]) * _UNITS_MS[match["unit"]])
    if duration_ms < least_ms:
        raise UsageError(f"{flag}: {text!r} is too short; the least is {format_duration(least_ms)}")
    return duration_ms


def format_duration(duration_ms: int) -> str:
    """Show a duration as the page does: `42ms` below ten seconds, then `12.3s`."""
    return f"{duration_ms}ms" if duration_ms < _SECONDS_FROM_MS else f"{duration_ms / 1000:.1f}s"
