"""A word about gathered traits that are too old to be trusted in silence."""

from __future__ import annotations

from datetime import UTC, datetime

from vigo.cli.console import Console
from vigo.core.facts_age import paths_read, warning
from vigo.core.inventory import Inventory
from vigo.core.target import Target


def say_age(fleet: Inventory, wanted: Target, console: Console, *paths: str) -> None:
    """Say on stderr if the target, or one of these paths, reads a trait that was gathered long ago on some host."""
    if not fleet.gathered:
        return
    old = warning(fleet, {*paths, *paths_read(wanted.root)}, datetime.now(UTC))
    if old is not None:
        console.say(old)
