"""What the terms of a target mean: each one selects a set of hosts, and `and`, `or`, `not` are operations on sets.

Rule 1: a name that was written out, in a range or after `@` too, must be in the inventory, also under `not`.
Rule 2: names, groups and UUIDs match ignoring case; trait values match as they are written.
Rule 3: a host without a trait matches no comparison with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import field
from enum import StrEnum
from functools import cached_property
from typing import Final, Protocol, TypeAlias

from vigo.core.errors import UsageError
from vigo.core.inventory import Inventory, lineage
from vigo.core.model import Outcome
from vigo.core.ranges import Piece, members
from vigo.core.traits import compare, texts
from vigo.core.values import dataclass

MISSING_MAX: Final = 3
"""Unknown names that are collected before the search for more ends."""

Runs: TypeAlias = Callable[[str, frozenset[Outcome]], Collection[str]]
"""Task id and outcomes (none means any) -> names of the hosts that ended so. Raises NoMatchError for an unknown id."""


class Operator(StrEnum):
    """How a trait is compared."""

    EQUAL = "="
    NOT_EQUAL = "!="
    LIKE = "=~"
    NOT_LIKE = "!~"
    LESS = "<"
    LESS_EQUAL = "<="
    MORE = ">"
    MORE_EQUAL = ">="


@dataclass(frozen=True, slots=True)
class Missing:
    """Something written out that the inventory does not have."""

    noun: str
    """`host`, `group`, `UUID`."""
    word: str


class Scope:
    """The hosts that are selected from, and what the terms found missing."""

    def __init__(self, inventory: Inventory, runs: Runs | None = None) -> None:
        self.hosts = inventory.hosts
        self.runs = runs
        self.missing: list[Missing] = []
        self._groups = inventory.groups

    @cached_property
    def everything(self) -> frozenset[int]:
        """The places of all hosts, from 0."""
        return frozenset(range(len(self.hosts)))

    @cached_property
    def by_name(self) -> dict[str, int]:
        """Name in lower case -> place."""
        return {host.name.lower(): place for place, host in enumerate(self.hosts)}

    @cached_property
    def by_group(self) -> dict[str, set[int]]:
        """Dotted path in lower case -> places of the hosts in it or below it."""
        found: dict[str, set[int]] = {path.lower(): set() for path in self._groups}
        lineages: dict[tuple[str, ...], tuple[str, ...]] = {}
        for place, host in enumerate(self.hosts):
            if host.groups not in lineages:
                lineages[host.groups] = tuple(path.lower() for path in lineage(host.groups))
            for path in lineages[host.groups]:
                found.setdefault(path, set()).add(place)
        return found

    def place(self, name: str, found: set[int]) -> None:
        """Add the host of this name to `found`, or note that it is missing."""
        place = self.by_name.get(name.lower())
        if place is None:
            self.missing.append(Missing("host", name))
        else:
            found.add(place)


class Term(Protocol):
    """Anything that selects hosts."""

    def select(self, scope: Scope) -> Collection[int]:
        """Return the places of the hosts that it means."""


@dataclass(frozen=True, slots=True)
class All:
    """`all`."""

    def select(self, scope: Scope) -> Collection[int]:
        """Return every place."""
        return scope.everything


@dataclass(frozen=True, slots=True)
class Name:
    """One host, written out."""

    name: str

    def select(self, scope: Scope) -> Collection[int]:
        """Return its place."""
        found: set[int] = set()
        scope.place(self.name, found)
        return found


@dataclass(frozen=True, slots=True)
class Range:
    """`web-[01-20]`: all of them, and each must be there."""

    pieces: tuple[Piece, ...]

    def select(self, scope: Scope) -> Collection[int]:
        """Return the places of the members; of a range larger than the fleet no more is made than shows it."""
        found: set[int] = set()
        for name in members(self.pieces):
            scope.place(name, found)
            if len(scope.missing) >= MISSING_MAX:
                break
        return found


@dataclass(frozen=True, slots=True)
class Glob:
    """`web-*`, `*.web.*`, `web-[01-20]*`: matched against the name and each `group.path.name`."""

    regex: re.Pattern[str]

    def select(self, scope: Scope) -> Collection[int]:
        """Return the places of the hosts that match."""
        matches = self.regex.fullmatch
        return {
            place
            for place, host in enumerate(scope.hosts)
            if matches(host.name) or any(matches(f"{group}.{host.name}") for group in host.groups)
        }


@dataclass(frozen=True, slots=True)
class Uuid:
    """A host by its UUID, unless a host has it for a name."""

    uuid: str

    def select(self, scope: Scope) -> Collection[int]:
        """Return its place."""
        wanted = self.uuid.lower()
        found = {place for place, host in enumerate(scope.hosts) if host.uuid == wanted or host.name.lower() == wanted}
        if not found:
            scope.missing.append(Missing("UUID", self.uuid))
        return found


@dataclass(frozen=True, slots=True)
class Group:
    """`@prod.web`: the hosts in a group and in those below it."""

    path: str
    regex: re.Pattern[str] | None
    """For a path with a glob or a range."""

    def select(self, scope: Scope) -> Collection[int]:
        """Return the places of its hosts."""
        if self.regex is not None:
            matches = self.regex.fullmatch
            return set().union(*(places for path, places in scope.by_group.items() if matches(path)))
        places = scope.by_group.get(self.path.lower())
        if places is None:
            scope.missing.append(Missing("group", self.path))
            return ()
        return places


@dataclass(frozen=True, slots=True)
class Comparison:
    """`os.version>=22.04`."""

    path: str
    operator: Operator
    value: str
    regex: re.Pattern[str] | None = None
    """Of `=~` and `!~` as given, of `=` and `!=` made from the glob."""
    verdicts: dict[str, bool] = field(default_factory=dict, compare=False, repr=False)
    """Text -> whether it fits: hosts have few distinct values."""

    def select(self, scope: Scope) -> Collection[int]:
        """Return the places of the hosts whose trait compares so."""
        negated = self.operator in {Operator.NOT_EQUAL, Operator.NOT_LIKE}
        path = self.path
        return {
            place
            for place, host in enumerate(scope.hosts)
            if path in host.traits and any(map(self._fits, texts(host.traits[path]))) is not negated
        }

    def _fits(self, text: str) -> bool:
        """Say whether one text fits, negation aside."""
        if text not in self.verdicts:
            self.verdicts[text] = self._decide(text)
        return self.verdicts[text]

    def _decide(self, text: str) -> bool:
        match self.operator:
            case Operator.EQUAL | Operator.NOT_EQUAL:
                return text == self.value if self.regex is None else self.regex.fullmatch(text) is not None
            case Operator.LIKE | Operator.NOT_LIKE:
                return self.regex is not None and self.regex.search(text) is not None
            case Operator.LESS:
                return compare(text, self.value) < 0
            case Operator.LESS_EQUAL:
                return compare(text, self.value) <= 0
            case Operator.MORE:
                return compare(text, self.value) > 0
            case _:
                return compare(text, self.value) >= 0


@dataclass(frozen=True, slots=True)
class Ran:
    """`run:t1a2b3c4:failed+timeout`: the hosts that a task ended so for."""

    task: str
    outcomes: frozenset[Outcome]
    """None of them means any."""

    def select(self, scope: Scope) -> Collection[int]:
        """Return the places of the hosts that the journal names."""
        if scope.runs is None:
            raise UsageError(f"run:{self.task}: the journal cannot be asked here; name the hosts")
        found: set[int] = set()
        for name in scope.runs(self.task, self.outcomes):
            scope.place(name, found)
        return found


@dataclass(frozen=True, slots=True)
class Not:
    """Every host but these."""

    term: Term

    def select(self, scope: Scope) -> Collection[int]:
        """Return the places that the term does not."""
        return scope.everything.difference(self.term.select(scope))


@dataclass(frozen=True, slots=True)
class And:
    """The hosts that every term selects."""

    terms: Sequence[Term]

    def select(self, scope: Scope) -> Collection[int]:
        """Return the places in all of them; each is asked, so that a name that is missing in any is noticed."""
        return scope.everything.intersection(*[term.select(scope) for term in self.terms])


@dataclass(frozen=True, slots=True)
class Or:
    """The hosts that any term selects."""

    terms: Sequence[Term]

    def select(self, scope: Scope) -> Collection[int]:
        """Return the places in any of them."""
        return set().union(*(term.select(scope) for term in self.terms))
