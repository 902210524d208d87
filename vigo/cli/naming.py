"""Reads an inventory for its names alone; this is the slow way, gone once for each change of the files."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from vigo.adapters.inventory_yaml import load
from vigo.adapters.name_index import Names
from vigo.cli.wiring import with_gathered
from vigo.core.errors import ConfigError

_VALUES_MAX = 50
"""Of a trait that has another value on each host there is little to choose."""


def names_of(path: Path) -> Names:
    """Return the names of an inventory and of what was gathered. Raises ConfigError for one that cannot be read."""
    inventory = load(path)
    with suppress(ConfigError):  # whoever runs something is told that the traits are damaged; hosts can be named still
        inventory = with_gathered(inventory, path)
    traits: dict[str, dict[str, None]] = {}
    for host in inventory.hosts:
        for trait, value in host.traits.items():
            known = traits.setdefault(trait, {})
            for one in value if isinstance(value, tuple) else (value,):
                if len(known) < _VALUES_MAX:
                    known[str(one).lower() if isinstance(one, bool) else str(one)] = None
    return Names(
        tuple(host.name for host in inventory.hosts),
        inventory.groups,
        tuple(inventory.tasks),
        {trait: tuple(values) for trait, values in traits.items()},
    )
