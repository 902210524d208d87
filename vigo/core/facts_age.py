"""How old gathered traits are, and whether a target reads any that are too old to be trusted without a word.

The time now comes from outside; the core has no clock.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from vigo.core.inventory import Inventory
from vigo.core.target_terms import And, Comparison, Not, Or, Term

OLD: Final = timedelta(days=7)
_UNITS: Final = (("d", 86_400), ("h", 3_600), ("m", 60))


def paths_read(term: Term) -> frozenset[str]:
    """Return the traits that a target compares."""
    match term:
        case Comparison():
            return frozenset({term.path})
        case Not():
            return paths_read(term.term)
        case And() | Or():
            return frozenset().union(*map(paths_read, term.terms))
        case _:
            return frozenset()


def age(at: str, now: datetime) -> str:
    """Return how long ago it was, in its largest unit: `3h`, `12d`; `0s` for what a clock puts into the future."""
    seconds = max(0, int((now - datetime.fromisoformat(at)).total_seconds()))
    return next((f"{seconds // size}{unit}" for unit, size in _UNITS if seconds >= size), f"{seconds}s")


def warning(inventory: Inventory, paths: Collection[str], now: datetime) -> str | None:
    """Return the line about hosts of which one of the traits was gathered more than a week ago; None without any."""
    if not inventory.gathered or not paths:
        return None
    read = (known for known in inventory.gathered.values() if not known.values.keys().isdisjoint(paths))
    old = [known.at for known in read if now - datetime.fromisoformat(known.at) > OLD]
    if not old:
        return None
    hosts = "1 host" if len(old) == 1 else f"{len(old):,} hosts"
    return f"traits of {hosts} are older than a week (up to {age(min(old), now)}): vigo traits gather"
