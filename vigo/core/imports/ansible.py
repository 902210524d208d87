"""From Ansible's groups to vigo's: one place in a tree for each group, and every host with the values it had.

Rule 1: a group stands below the first parent that names it. Where it has more parents, its hosts are also listed in
        those themselves, so that each host is in vigo's groups exactly where it was in Ansible's.
Rule 2: what a host ends up with is computed by Ansible's rules: `all`, then groups by depth, priority and name, first
        those of the inventory file, then those of `group_vars/`; then the host's own, then `host_vars/`.
Rule 3: a value stands on the group that said it where vigo's own precedence then gives each host below it the same
        result; where not, the host says it itself. A value that some host below must not have stands on hosts alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from vigo.core.imports.ansible_source import ALL, UNGROUPED, Fleet, Group, Machine, Variable, order
from vigo.core.imports.ansible_values import other_connection, read_values
from vigo.core.imports.document import Document, Imported, ImportedHost, Notes, Value, Values, weak_keys
from vigo.core.inventory import lineage
from vigo.core.inventory_names import check_group
from vigo.core.nodes import shown, wrong

LEVELS_MAX: Final = 8
"""Of groups in groups; deeper ones would nest an inventory file deeper than it may be."""
_Said: TypeAlias = tuple[tuple[str, ...], tuple[tuple[str, int], ...]]
"""Groups, and each variable of the host's own with its identity."""
_HOST_ALONE: Final = frozenset({"ssh.host_keys", "address"})
"""Said by each host for itself."""


def convert(fleet: Fleet, notes: Notes) -> Imported:
    """Return the document of a fleet. Raises ConfigError for a name or a value that vigo refuses."""
    members = _Memberships(fleet, notes)
    machines = [machine for machine in fleet.hosts.values() if _is_reached(machine, members, notes)]
    layers = {path: read_values(_own(fleet.groups[name]), notes) for name, path in members.paths.items()}
    layers[ALL] = read_values(_own(fleet.groups[ALL]), notes)
    hosts = [
        ImportedHost(machine.name, members.listed(machine), members.values(machine, notes)) for machine in machines
    ]
    document = _Factoring(layers).document(hosts)
    return Imported(document, (*notes.lines(), *weak_keys(document.hosts)))


class _Memberships:
    """Where groups stand, and what a host has by being in them."""

    def __init__(self, fleet: Fleet, notes: Notes) -> None:
        self._fleet = fleet
        self._depths, self._above = order(fleet)
        self._inherited: dict[tuple[str, ...], Mapping[str, Variable]] = {}
        self._listed: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._read: dict[_Said, Values] = {}
        self.paths = self._tree(notes)
        """Group -> dotted path; `all` and `ungrouped` have none."""

    def variables(self, machine: Machine) -> dict[str, Variable]:
        """Return the variables that Ansible would give a host."""
        key = tuple(machine.groups)
        if key not in self._inherited:
            groups = [self._fleet.groups[name] for name in (ALL, *self._of(machine))]
            inline = {name: variable for group in groups for name, variable in group.inline.items()}
            filed = {name: variable for group in groups for name, variable in group.filed.items()}
            self._inherited[key] = {**inline, **filed}
        return {**self._inherited[key], **machine.inline, **machine.filed}

    def values(self, machine: Machine, notes: Notes) -> Values:
        """Return what the variables of a host stand for; hosts that share all of them are read once."""
        own = (*machine.inline.items(), *machine.filed.items())
        key = tuple(machine.groups), tuple((name, id(variable)) for name, variable in own)
        if key not in self._read:
            self._read[key] = read_values(self.variables(machine), notes)
        return self._read[key]

    def listed(self, machine: Machine) -> tuple[str, ...]:
        """Return the paths that a host lists: all its groups but those that are above another one of them."""
        key = tuple(machine.groups)
        if key not in self._listed:
            paths = [self.paths[name] for name in self._of(machine) if name in self.paths]
            above = {path.rpartition(".")[0] for path in lineage(paths)}
            self._listed[key] = tuple(path for path in paths if path not in above)
        return self._listed[key]

    def _of(self, machine: Machine) -> list[str]:
        """Return all groups of a host but `all`, in the order in which their variables win."""
        own = machine.groups or [UNGROUPED]
        found = {name for group in own for name in (group, *self._above[group])}
        return sorted(found, key=self._rank)

    def _rank(self, name: str) -> tuple[int, int, str]:
        return self._depths[name], self._fleet.groups[name].priority, name

    def _tree(self, notes: Notes) -> dict[str, str]:
        """Give each group its path, parents first."""
        paths: dict[str, str] = {}
        spellings: dict[str, Group] = {}
        groups = [group for name, group in self._fleet.groups.items() if name not in (ALL, UNGROUPED)]
        for group in sorted(groups, key=lambda group: self._depths[group.name]):
            check_group(group.name, group.mark)
            path = self._path(group, paths, notes)
            twin = spellings.setdefault(path.lower(), group)
            if twin is not group:
                raise wrong(group.mark, group.name, f"differs only in case from the group at {twin.mark}", "rename one")
            paths[group.name] = path
        return {name: paths[name] for name in self._fleet.groups if name in paths}

    def _path(self, group: Group, paths: Mapping[str, str], notes: Notes) -> str:
        parents = [paths[parent] for parent in group.parents if parent in paths]
        if not parents:
            return group.name
        first, *others = parents
        if first.count(".") + 1 >= LEVELS_MAX:
            notes.remark(
                f"note: group {shown(group.name)} is nested deeper than {LEVELS_MAX} levels and stands at the top"
            )
            return group.name
        if others:
            notes.remark(
                f"note: group {shown(group.name)} has several parents and stands in {first}; "
                f"its hosts are also listed in {', '.join(others)}"
            )
        return f"{first}.{group.name}"


class _Factoring:
    """Decides for each value whether groups can say it, or each host has to."""

    def __init__(self, layers: Mapping[str, Values]) -> None:
        self._layers = {path: dict(values) for path, values in layers.items()}
        self._inherited: dict[tuple[str, ...], Mapping[str, Value]] = {}

    def document(self, hosts: list[ImportedHost]) -> Document:
        """Return the document in which each host has exactly the values that it comes with."""
        unwanted = set(_HOST_ALONE)
        for host in hosts:
            unwanted.update(key for key in self._inherits(host.groups) if key not in host.values)
        for values in self._layers.values():
            for key in unwanted & values.keys():
                del values[key]
        self._inherited.clear()
        return Document(
            tuple(ImportedHost(host.name, host.groups, self._own(host)) for host in hosts),
            {path: values for path, values in self._layers.items() if path != ALL},
            self._layers[ALL],
        )

    def _inherits(self, groups: tuple[str, ...]) -> Mapping[str, Value]:
        """Return what vigo would give a host by its groups."""
        if groups not in self._inherited:
            layers = [self._layers[path] for path in (ALL, *lineage(groups))]
            self._inherited[groups] = {key: value for values in layers for key, value in values.items()}
        return self._inherited[groups]

    def _own(self, host: ImportedHost) -> Values:
        """Return what a host must say itself."""
        inherited = self._inherits(host.groups)
        return {key: value for key, value in host.values.items() if repr(inherited.get(key)) != repr(value)}


def _own(group: Group) -> Mapping[str, Variable]:
    return {**group.inline, **group.filed}


def _is_reached(machine: Machine, members: _Memberships, notes: Notes) -> bool:
    """Whether vigo can reach a host at all; one that Ansible does not reach by SSH is left out."""
    other = other_connection(members.variables(machine))
    if other is not None:
        reason = f"is reached by ansible_connection={shown(other[0])}, and vigo reaches hosts by SSH alone"
        notes.leave_out(f"host {machine.name}", reason, other[1])
    return other is None
