"""Keeps gathered traits: one file of JSON lines for each inventory, in the user's data folder, 0600.

Rule 1: a file is replaced as a whole, under a lock, so that readers see the old one or the new one.
Rule 2: traits belong to one inventory (by its path) and to a host's name and UUID in it: a host of the same name in
        another inventory is another machine.
Rule 3: a file that is damaged is an error, never "no traits": a target such as `not os.distro=debian` would then mean
        other hosts.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from vigo.adapters.locks import held
from vigo.adapters.places import traits_file
from vigo.adapters.store_open import create_private, prepare_folder, sync_folder
from vigo.core.errors import ConfigError, JournalError
from vigo.core.inventory import Gathered
from vigo.core.model import Host, TraitValue
from vigo.core.values import dataclass

_SCHEMA: Final = 1
_BYTES_MAX: Final = 512 * 1024 * 1024
_LOCK_WAIT_MS: Final = 10_000
_AT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Known:
    """What is kept of one host."""

    name: str
    uuid: str
    gathered: Gathered


class TraitStore:
    """The gathered traits of one inventory. Nothing is made before `keep`."""

    def __init__(self, data: Path, inventory: Path) -> None:
        self._data = data
        self._inventory = str(inventory.resolve())
        self.path = traits_file(data, inventory)

    def load(self, hosts: Iterable[Host]) -> dict[str, Gathered]:
        """Return what is known of these hosts, by name. Raises ConfigError for a file that cannot be used."""
        known = {one.name: one for one in self._read()}
        if not known:
            return {}
        found = ((host, known.get(host.name.lower())) for host in hosts)
        return {host.name: one.gathered for host, one in found if one is not None and one.uuid == host.uuid}

    def keep(self, hosts: Iterable[Host], gathered: Mapping[str, Gathered]) -> None:
        """Keep what was gathered, by host name; forget what is known of others than `hosts`, all of the inventory.

        Raises ConfigError, JournalError.
        """
        here = {host.name.lower(): host for host in hosts}
        prepare_folder(self._data)
        try:
            self.path.parent.mkdir(mode=0o700, exist_ok=True)
            with held(self.path.parent / "lock", _LOCK_WAIT_MS):
                self._forget_lost_inventories()
                kept = {one.name: one for one in self._read() if _is_of(one, here)}
                for name, one in gathered.items():
                    if name.lower() in here:
                        kept[name.lower()] = Known(name.lower(), here[name.lower()].uuid, one)
                self._replace(kept.values())
        except OSError as error:
            raise JournalError(
                f"{self.path}: gathered traits cannot be kept: {error.strerror}; vigo needs a data folder it can write"
            ) from error

    def _read(self) -> Iterator[Known]:
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._unusable(error.strerror or "it cannot be opened") from error
        with os.fdopen(fd, "rb") as file:
            seen = os.fstat(fd)
            if not stat.S_ISREG(seen.st_mode) or seen.st_size > _BYTES_MAX or seen.st_mode & 0o022:
                raise self._unusable("it is no plain file of yours alone, or too long")
            try:
                head, *lines = file.read(_BYTES_MAX).splitlines()
                if json.loads(head) != self._head():
                    raise ValueError("its first line is not as vigo writes it")  # noqa: TRY301 - one place says it
                yield from map(_known, lines)
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
                raise self._unusable(f"{type(error).__name__}: {error}") from error

    def _replace(self, known: Iterable[Known]) -> None:
        draft = self.path.with_suffix(".new")  # one writer at a time: the lock is held
        draft.unlink(missing_ok=True)
        try:
            with os.fdopen(create_private(draft), "wb") as file:
                file.write(_line(self._head()))
                file.writelines(_line(_fields(one)) for one in known)
                file.flush()
                os.fsync(file.fileno())
            draft.rename(self.path)
        except OSError:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise
        sync_folder(self.path.parent)

    def _forget_lost_inventories(self) -> None:
        """Remove the files of inventories that are no longer there; one that cannot be read is left alone."""
        for path in self.path.parent.glob("*.jsonl"):
            with suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
                with path.open("rb") as file:
                    inventory = json.loads(file.readline(64 * 1024))["inventory"]
                if path != self.path and not os.path.lexists(inventory):
                    path.unlink()

    def _head(self) -> dict[str, object]:
        return {"schema": _SCHEMA, "inventory": self._inventory}

    def _unusable(self, reason: str) -> ConfigError:
        return ConfigError(
            f"{self.path}: gathered traits cannot be read ({reason}); remove the file and run `vigo traits gather`"
        )


def _is_of(one: Known, hosts: Mapping[str, Host]) -> bool:
    return one.name in hosts and hosts[one.name].uuid == one.uuid


def _line(fields: object) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode("ascii") + b"\n"


def _fields(one: Known) -> dict[str, object]:
    gathered = one.gathered
    return {
        "name": one.name,
        "uuid": one.uuid,
        "at": gathered.at,
        "task": gathered.task,
        "traits": dict(gathered.values),
    }


def _known(line: bytes) -> Known:
    fields: dict[str, Any] = json.loads(line)
    if _AT.fullmatch(fields["at"]) is None:
        raise ValueError("a time in it is none")
    values = {str(path): _value(value) for path, value in fields["traits"].items()}
    return Known(fields["name"].lower(), fields["uuid"], Gathered(values, fields["at"], str(fields["task"])))


def _value(value: object) -> TraitValue:
    match value:
        case list():
            return tuple(item for item in value if isinstance(item, str | int))
        case str() | int():
            return value
        case _:
            raise TypeError("a value in it is none")
