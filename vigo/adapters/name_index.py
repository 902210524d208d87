"""Names of an inventory for completion, in the cache folder: a key press must not cost reading the inventory.

The index belongs to the files that it was made of, the gathered traits among them, each by path, size, time of change and
inode; of others it says nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import field
from pathlib import Path

from vigo.core.values import dataclass

_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Names:
    """What an inventory has names for."""

    hosts: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    traits: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Path -> some of its values."""


def stored(inventory: Path, gathered: Path | None, cache: Path) -> Names | None:
    """Return the names in the cache; None when there are none, or they are of other files than now."""
    try:
        key, hosts, groups, tasks, traits = json.loads(_place(inventory, cache).read_bytes())
    except (OSError, ValueError):
        return None
    if key != identity(inventory, gathered):
        return None
    return Names(tuple(hosts), tuple(groups), tuple(tasks), {path: tuple(values) for path, values in traits.items()})


def store(inventory: Path, cache: Path, names: Names, files: Sequence[Sequence[object]]) -> None:
    """Keep names of an inventory whose files were these; a cache that cannot be written is none."""
    place = _place(inventory, cache)
    draft = place.with_name(f"{place.name}.{os.getpid()}")
    text = json.dumps([files, names.hosts, names.groups, names.tasks, names.traits])
    with suppress(OSError):
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.write_text(text, encoding="utf-8")
        draft.replace(place)


def _place(inventory: Path, cache: Path) -> Path:
    return (
        cache
        / f"names-{hashlib.sha256(str(inventory.absolute()).encode(errors='surrogateescape')).hexdigest()[:32]}.json"
    )


def identity(inventory: Path, gathered: Path | None) -> list[list[object]]:
    """Return what tells the files of both from others and from earlier ones: path, size, time of change and inode."""
    return [_identity(path) for path in (inventory, *_inside(inventory), *([gathered] if gathered else ()))]


def _inside(inventory: Path) -> Iterable[Path]:
    with suppress(OSError):
        return sorted(path for path in inventory.iterdir() if path.name.endswith(_SUFFIXES))
    return ()


def _identity(path: Path) -> list[object]:
    try:
        status = path.stat()
    except OSError:
        return [str(path)]
    return [str(path), status.st_size, status.st_mtime_ns, status.st_ino]
