"""What an import makes: hosts, groups and their values, and what had to be said on the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import TypeAlias

from vigo.core.inventory_names import check_name
from vigo.core.model import Hop, TraitValue
from vigo.core.nodes import Mark, shown, wrong
from vigo.core.ranges import fold
from vigo.core.values import dataclass

Value: TypeAlias = TraitValue | tuple[Hop, ...]
Values: TypeAlias = Mapping[str, Value]
"""`address`, `uuid`, `ssh.port`, `traits.os.distro` -> value."""


class PathMark(Mark):
    """A place that has no line, such as the path of an item in JSON: `file` says it whole."""

    __slots__ = ()

    def __str__(self) -> str:
        return self.file


def path_mark(source: str, path: str = "") -> PathMark:
    """Return the mark of a path in a source."""
    return PathMark(f"{source}: {path}" if path else source, 0, 0)


@dataclass(frozen=True, slots=True)
class ImportedHost:
    """One host as it will stand in the file."""

    name: str
    groups: tuple[str, ...] = ()
    """Dotted paths, the ones whose values win last."""
    values: Values = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Document:
    """A whole inventory file."""

    hosts: tuple[ImportedHost, ...]
    groups: Mapping[str, Values] = field(default_factory=dict)
    """Dotted path -> values."""
    defaults: Values = field(default_factory=dict)


class Notes:
    """Collects what the operator is told about an import, each thing once, in order."""

    def __init__(self) -> None:
        self._left_out: dict[tuple[str, str], dict[str, None]] = {}
        self._remarks: dict[str, None] = {}

    def leave_out(self, subject: str, reason: str, mark: Mark) -> None:
        """Note that `subject` is not in the document, and why; equal ones from other places are counted."""
        self._left_out.setdefault((subject, reason), {})[str(mark)] = None

    def remark(self, line: str) -> None:
        """Note something else that is worth knowing."""
        self._remarks[line] = None

    def lines(self) -> Iterator[str]:
        """Yield one line for each thing: what was left out first."""
        for (subject, reason), places in self._left_out.items():
            first, more = next(iter(places)), len(places) - 1
            yield f"left out: {shown(subject)}: {reason} ({first}{f' and {more} more' if more else ''})"
        yield from self._remarks


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of one import."""

    document: Document
    notes: tuple[str, ...] = ()
    """Lines for the operator."""


def weak_keys(hosts: Sequence[ImportedHost]) -> Iterator[str]:
    """Yield a warning for the hosts whose keys are checked less than by default, because the source says so."""
    for choice, meaning in (
        ("insecure", "their keys are not checked at all"),
        ("accept-new", "an unknown key is taken"),
    ):
        names = [host.name for host in hosts if host.values.get("ssh.host_keys") == choice]
        if names:
            yield f"warning: {len(names)} host{'s' * (len(names) > 1)} with host_keys: {choice}, {meaning}: {fold(names)}"


class HostNames:
    """The names of a fleet: each one vigo can have, and each once, ignoring case."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, Mark]] = {}

    def take(self, name: str, mark: Mark) -> None:
        """Take a name for one host. Raises ConfigError for one that vigo refuses, or that is taken."""
        if not self.add(name, mark):
            raise wrong(mark, name, f"is listed twice, first at {self._seen[name.lower()][1]}", "remove one")

    def add(self, name: str, mark: Mark) -> bool:
        """Take a name that may come again for the same host; return whether it is new. Raises ConfigError."""
        known = self._seen.get(name.lower())
        if known is None:
            check_name(name, mark)
            self._seen[name.lower()] = name, mark
            return True
        if known[0] != name:
            raise wrong(mark, name, f"differs only in case from {known[0]!r} at {known[1]}", "rename one")
        return False
