"""Any JSON as an inventory, by a mapping of fields: `name=.hostname`, `trait.site=.dc`, `group=.role`.

A field is a path as in jq: `.a.b`, `.list[0]`, `."odd key"`, `.` for the item itself; `@key` is the name under which an
object of objects holds the item.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from vigo.core.errors import UsageError
from vigo.core.imports.document import Document, HostNames, Imported, ImportedHost, Notes, Value, Values, path_mark
from vigo.core.imports.settings import read_address, read_port, read_user, read_word
from vigo.core.imports.values import NoTraitError, check_path, read_trait
from vigo.core.inventory_names import check_group, did_you_mean
from vigo.core.nodes import Mark, shown, wrong
from vigo.core.values import dataclass

HOSTS_MAX: Final = 100_000
LEVELS_MAX: Final = 8
"""Of groups in groups."""
_STEP: Final = re.compile(r'\.([A-Za-z0-9_-]+)|\."([^"]+)"|\.?\[([0-9]{1,6})\]|\.?\["([^"]+)"\]', re.ASCII)
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_KEY: Final = "@key"
_TARGETS: Final = ("name", "address", "uuid", "group", "ssh.user", "ssh.port", "ssh.identity", "trait.PATH")

Steps: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """Where in an item a value stands."""

    text: str
    """As it was given."""
    steps: Steps
    is_key: bool = False

    def of(self, item: Item) -> object:
        """Return the value, or None where the item has none."""
        return item.key if self.is_key else walk(item.value, self.steps)


@dataclass(frozen=True, slots=True)
class Item:
    """One object (or text) of the JSON, which is to become a host."""

    key: str | None
    value: object
    mark: Mark


@dataclass(frozen=True, slots=True)
class Mapped:
    """All `--map` of a command."""

    fields: tuple[tuple[str, Field], ...]
    """What it is to be -> where it stands; in the order given."""

    @property
    def name(self) -> Field:
        """Where the name stands."""
        return next(field for target, field in self.fields if target == "name")


def read_mapping(texts: Sequence[str]) -> Mapped:
    """Return the mapping that `--map` gives. Raises UsageError for what is none, and when `name` is not in it."""
    fields = tuple(map(_read_map, texts))
    targets = [target for target, _ in fields]
    for target in targets:
        if target != "group" and targets.count(target) > 1:
            raise UsageError(f"--map {target}: is given twice; remove one")
    for target in targets:
        below = next((other for other in targets if other.startswith(f"{target}.")), None)
        if below is not None:
            raise UsageError(f"--map {target}: {below} stands below it, and a trait is a value or a map; rename one")
    if "name" not in targets:
        raise UsageError("--map: nothing says which field is the host's name; add --map name=.FIELD")
    return Mapped(fields)


def read_field(text: str, flag: str) -> Field:
    """Return a field from its text. Raises UsageError, naming the flag."""
    if text == _KEY:
        return Field(text, (), is_key=True)
    steps: list[str | int] = []
    at = 1 if text == "." else 0
    while at < len(text):
        found = _STEP.match(text, at)
        if found is None:
            raise UsageError(f'{flag}: {shown(text)!r} is no field; write .name, .a.b, .list[0], ."odd key", or @key')
        index = found[3]
        steps.append(int(index) if index is not None else found[1] or found[2] or found[4])
        at = found.end()
    if not text:
        raise UsageError(f"{flag}: the field is empty; write .name, or . for the item itself")
    return Field(text, tuple(steps))


def walk(value: object, steps: Steps) -> object:
    """Return what stands under a path, or None where there is nothing."""
    for step in steps:
        if isinstance(step, int):
            value = value[step] if isinstance(value, list) and step < len(value) else None
        else:
            value = value.get(step) if isinstance(value, dict) else None
    return value


def convert(document: object, where: Field, mapped: Mapped, source: str) -> Imported:
    """Return the hosts of a JSON value. Raises ConfigError, naming the item, for what cannot be a host."""
    notes, names, groups = Notes(), HostNames(), _Groups()
    hosts = []
    for item in _items(walk(document, where.steps), where, source):
        name = _text(mapped.name.of(item))
        if name is None:
            raise wrong(
                item.mark, "name", f"there is no text under {mapped.name.text}", "map another field, or mend it"
            )
        names.take(name, item.mark)
        listed: dict[str, None] = {}
        values: dict[str, Value] = {}
        for target, field in mapped.fields:
            value = field.of(item)
            if value is None:
                notes.leave_out(target, f"there is nothing under {field.text}", item.mark)
            elif target == "group":
                listed.update(dict.fromkeys(groups.read(value, item.mark)))
            elif target != "name":
                values.update(_value(target, value, item.mark, notes))
        hosts.append(ImportedHost(name, _innermost(listed), values))
    return Imported(Document(tuple(hosts), groups.paths), tuple(notes.lines()))


class _Groups:
    """The groups that items name, with those above them."""

    def __init__(self) -> None:
        self.paths: dict[str, Values] = {}
        self._spelled: dict[str, str] = {}

    def read(self, value: object, mark: Mark) -> Iterator[str]:
        """Yield the groups that a value names: one, or a list of them."""
        for item in value if isinstance(value, list) else [value]:
            path = _text(item)
            if path is None:
                raise wrong(mark, "group", "is no text and no list of texts", "map another field")
            self._add(path, mark)
            yield path

    def _add(self, path: str, mark: Mark) -> None:
        words = path.split(".")
        if len(words) > LEVELS_MAX:
            raise wrong(mark, path, f"is nested deeper than {LEVELS_MAX} levels", "map another field")
        for depth, word in enumerate(words, start=1):
            check_group(word, mark)
            outer = ".".join(words[:depth])
            known = self._spelled.setdefault(outer.lower(), outer)
            if known != outer:
                raise wrong(mark, outer, f"differs only in case from the group {known}", "rename one")
            self.paths.setdefault(outer, {})


def _innermost(paths: Mapping[str, None]) -> tuple[str, ...]:
    """Return the paths without those that are above another one of them."""
    return tuple(path for path in paths if not any(other.startswith(f"{path}.") for other in paths))


def _read_map(text: str) -> tuple[str, Field]:
    target, equals, field = text.partition("=")
    if not equals:
        raise UsageError(f"--map {shown(text)}: is no mapping; write name=.hostname")
    if target.startswith("trait."):
        try:
            check_path(target.removeprefix("trait."))
        except NoTraitError as error:
            raise UsageError(f"--map {shown(target)}: {error}; write trait.site or trait.os.distro") from error
    elif target not in _TARGETS:
        hint = did_you_mean(target, _TARGETS) or f"known: {', '.join(_TARGETS)}"
        raise UsageError(f"--map {shown(target)}: vigo has no such value of a host; {hint}")
    return target, read_field(field, f"--map {target}")


def _items(found: object, where: Field, source: str) -> list[Item]:
    """Return the items of a list, or of an object of objects."""
    prefix = where.text.rstrip(".")
    if isinstance(found, list):
        items = [Item(None, value, path_mark(source, f"{prefix}[{at}]")) for at, value in enumerate(found)]
    elif isinstance(found, dict) and all(isinstance(value, dict) for value in found.values()):
        items = [Item(key, value, path_mark(source, f"{prefix}.{key}")) for key, value in found.items()]
    else:
        way_out = "say with --items where the list, or the object of objects, stands"
        raise wrong(path_mark(source), where.text, "holds no list and no object of objects", way_out)
    if len(items) > HOSTS_MAX:
        raise wrong(path_mark(source), where.text, f"has more than {HOSTS_MAX:,} items", "take fewer at a time")
    return items


def _value(target: str, value: object, mark: Mark, notes: Notes) -> dict[str, Value]:
    if target.startswith("trait."):
        path = target.removeprefix("trait.")
        try:
            return {f"traits.{path}": read_trait(path, value)}
        except NoTraitError as error:
            notes.leave_out(target, str(error), mark)
            return {}
    text = _text(value)
    if text is None:
        raise wrong(mark, target, "is no text", "map another field")
    match target:
        case "address":
            return {"address": read_address(text, mark)}
        case "ssh.user":
            return {target: read_user(text, target, mark)}
        case "ssh.port":
            return {target: read_port(text, target, mark)}
        case "uuid":
            return {target: _uuid(text, mark)}
        case _:
            return {target: read_word(text, target, mark)}


def _uuid(text: str, mark: Mark) -> str:
    if _UUID.fullmatch(text) is None:
        raise wrong(
            mark, "uuid", f"{shown(text)!r} is no UUID", "map another field, or none: it then follows from the name"
        )
    return text.lower()


def _text(value: object) -> str | None:
    """Return a text, or a whole number as one; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value)
