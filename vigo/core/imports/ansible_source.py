"""An inventory as Ansible sees it: groups that may have several parents, hosts, and variables with their places.

The readers of its file formats fill a `Fleet`; `ansible` makes a document of it. Nothing is interpreted here but host
patterns (`web[01:50]:2222`), which all formats share.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from string import ascii_letters
from typing import Final, TypeAlias

from vigo.core.imports.document import HostNames
from vigo.core.imports.settings import read_port
from vigo.core.nodes import Mark, wrong
from vigo.core.values import dataclass

ALL: Final = "all"
UNGROUPED: Final = "ungrouped"
HOSTS_MAX: Final = 100_000
PRIORITY: Final = "ansible_group_priority"
_RANGE: Final = re.compile(r"\[([^\[\]]*:[^\[\]]*)\]")
_WITH_PORT: Final = re.compile(r"((?:[^:\[\]]|\[[^\[\]]*\])+):([0-9]+)", re.ASCII)
_IPV6: Final = re.compile(
    r"\[([0-9a-f:.]*::[0-9a-f:.]*|(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4})\](?::([0-9]+))?", re.IGNORECASE | re.ASCII
)
_NUMBER: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_PRIORITY: Final = re.compile(r"-?[0-9]{1,9}", re.ASCII)

Value: TypeAlias = "bool | int | str | Sequence[Value] | Mapping[str, Value] | None"
"""A variable's value; numbers that are no plain whole ones are text, as they were written."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable as one place says it."""

    value: Value
    mark: Mark


@dataclass(slots=True)
class Group:
    """One group, of any number of parents."""

    name: str
    mark: Mark
    parents: list[str] = field(default_factory=list)
    inline: dict[str, Variable] = field(default_factory=dict)
    """From the inventory file itself."""
    filed: dict[str, Variable] = field(default_factory=dict)
    """From `group_vars/`."""
    priority: int = 1


@dataclass(slots=True)
class Machine:
    """One host."""

    name: str
    mark: Mark
    groups: list[str] = field(default_factory=list)
    inline: dict[str, Variable] = field(default_factory=dict)
    filed: dict[str, Variable] = field(default_factory=dict)
    """From `host_vars/`."""


class Fleet:
    """What all files of an inventory say together; what comes later wins."""

    def __init__(self) -> None:
        nowhere = Mark("", 0, 0)
        self.groups = {name: Group(name, nowhere) for name in (ALL, UNGROUPED)}
        self.hosts: dict[str, Machine] = {}
        self._names = HostNames()

    def group(self, name: str, mark: Mark) -> Group:
        """Return the group of this name, made at `mark` when it is new."""
        return self.groups.setdefault(name, Group(name, mark))

    def nest(self, parent: str, child: str, mark: Mark) -> None:
        """Put a group below another one. Raises ConfigError where it would be below itself."""
        if child in {ALL, parent} or child in self._above(parent):
            raise wrong(mark, child, f"would be below itself, by way of {parent}", "take it out of one of the two")
        group = self.group(child, mark)
        if parent not in (ALL, *group.parents):
            group.parents.append(parent)

    def host(self, pattern: str, group: str, mark: Mark, variables: Mapping[str, Variable]) -> None:
        """Add the hosts of a pattern to a group. Raises ConfigError for a name that vigo refuses."""
        names, port = expand(pattern, mark, room=HOSTS_MAX)
        for name in names:
            if self._names.add(name, mark):
                self.hosts[name] = Machine(name, mark)
                if len(self.hosts) > HOSTS_MAX:
                    raise _too_many(pattern, mark)
            machine = self.hosts[name]
            if group not in (ALL, UNGROUPED, *machine.groups):
                machine.groups.append(group)
            if port is not None:
                machine.inline["ansible_port"] = Variable(port, mark)
            machine.inline.update(variables)

    def assign(self, group: str, name: str, variable: Variable) -> None:
        """Let the inventory file itself give a group a variable; a priority is kept apart, as Ansible does."""
        if name == PRIORITY:
            self.groups[group].priority = _priority(variable)
        else:
            self.groups[group].inline[name] = variable

    def _above(self, name: str) -> set[str]:
        """Return every group above one."""
        found: set[str] = set()
        left = [name]
        while left:
            group = self.groups.get(left.pop())
            new = [] if group is None else [parent for parent in group.parents if parent not in found]
            found.update(new)
            left.extend(new)
        return found


def expand(pattern: str, mark: Mark, *, room: int) -> tuple[list[str], int | None]:
    """Return the names of a host pattern, and the port behind its colon. Raises ConfigError for more than `room`."""
    six = _IPV6.fullmatch(pattern)
    found = six or _WITH_PORT.fullmatch(pattern)
    if found is None and pattern.endswith(":") and not pattern.endswith("::"):
        raise wrong(mark, pattern, "ends with a colon and no port", "write the port, or leave the colon out")
    port = None if found is None or found[2] is None else read_port(found[2], "port", mark)
    if six is not None:
        return [six[1]], port
    pattern = pattern if found is None else found[1]
    names = [pattern]
    while (spans := _RANGE.search(names[0])) is not None:
        members = _members(spans[1], mark, pattern)
        if len(members) * len(names) > room:
            raise _too_many(pattern, mark)
        names = [_RANGE.sub(member, name, count=1) for name in names for member in members]
    return names, port


def order(fleet: Fleet) -> tuple[dict[str, int], dict[str, frozenset[str]]]:
    """Return for each group its depth below `all`, the longest way counting, and the groups above it without `all`."""
    depths: dict[str, int] = {ALL: 0}
    above: dict[str, frozenset[str]] = {ALL: frozenset()}
    for name in _topmost_first(fleet):
        parents = fleet.groups[name].parents
        depths[name] = 1 + max((depths[parent] for parent in parents), default=0)
        above[name] = frozenset(parents).union(*(above[parent] for parent in parents))
    return depths, above


def _topmost_first(fleet: Fleet) -> Iterator[str]:
    """Yield every group but `all`, parents before children."""
    below: dict[str, list[str]] = {}
    waiting = {name: len(group.parents) for name, group in fleet.groups.items() if name != ALL}
    for name in waiting:
        for parent in fleet.groups[name].parents:
            below.setdefault(parent, []).append(name)
    ready = [name for name, parents in waiting.items() if not parents]
    while ready:
        name = ready.pop()
        yield name
        for child in below.get(name, ()):
            waiting[child] -= 1
            if not waiting[child]:
                ready.append(child)


def _members(span: str, mark: Mark, pattern: str) -> list[str]:
    """Return the members of `01:50`, `a:f` or `1:9:2`."""
    first, last, *step = span.split(":")
    first = first or "0"
    if len(step) > 1 or (step and not (_NUMBER.fullmatch(step[0]) and int(step[0]))):
        raise _no_range(mark, pattern)
    by = int(step[0]) if step else 1
    if len(first) == len(last) == 1 and first in ascii_letters and last in ascii_letters:
        letters = ascii_letters[ascii_letters.index(first) : ascii_letters.index(last) + 1 : by]
        members = list(letters)
    else:
        members = list(_numbers(first, last, by, mark, pattern))
    if not members:
        raise wrong(mark, pattern, "has a range that runs backwards", "write the smaller end first")
    return members


def _numbers(first: str, last: str, by: int, mark: Mark, pattern: str) -> Iterator[str]:
    padded = first.startswith("0") and len(first) > 1
    if not (_NUMBER.fullmatch(first) and _NUMBER.fullmatch(last)) or (padded and len(first) != len(last)):
        raise _no_range(mark, pattern)
    if (int(last) - int(first)) // by >= HOSTS_MAX:
        raise _too_many(pattern, mark)
    return (f"{number:0{len(first) if padded else 1}d}" for number in range(int(first), int(last) + 1, by))


def _priority(variable: Variable) -> int:
    text = str(variable.value)
    if _PRIORITY.fullmatch(text) is None:
        raise wrong(variable.mark, PRIORITY, "is no whole number", "write one")
    return int(text)


def _no_range(mark: Mark, pattern: str) -> Exception:
    return wrong(mark, pattern, "has a range that Ansible would not read", "write [01:20], [a:f] or [1:9:2]")


def _too_many(pattern: str, mark: Mark) -> Exception:
    return wrong(mark, pattern, f"makes more than {HOSTS_MAX:,} hosts", "split the inventory")
