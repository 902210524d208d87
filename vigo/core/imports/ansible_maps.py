"""Ansible's YAML inventories and files of variables, and the JSON of `ansible-inventory --list`.

Both give maps of groups; in YAML they are nested, and each word has a line, in JSON they are flat, and a host's
variables stand merged under `_meta`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeGuard

from vigo.core.imports.ansible_source import ALL, Fleet, Value, Variable
from vigo.core.imports.document import Notes, path_mark
from vigo.core.nodes import Entry, ListNode, MapNode, Mark, Node, ScalarNode, read_map, wrong

_META: Final = "_meta"
_VAULT: Final = "__ansible_vault"
_UNSAFE: Final = "__ansible_unsafe"


def read_groups(document: MapNode, fleet: Fleet, notes: Notes) -> None:
    """Add what a YAML inventory says to the fleet. Raises ConfigError for what is none."""
    if "plugin" in document.entries:
        entry = document.entries["plugin"]
        raise wrong(entry.mark, "plugin", "makes it the configuration of an inventory plugin", _BY_LIST)
    for name, mark, node in document:
        _read_group(name, mark, node, fleet, notes)


def read_variables(document: MapNode) -> dict[str, Variable]:
    """Return the variables of a map, each with the place of its key."""
    return {name: Variable(value(node), mark) for name, mark, node in document}


def value(node: Node) -> Value:
    """Return a node as a plain value."""
    match node:
        case ScalarNode():
            return node.value
        case ListNode():
            return [value(item) for item in node.items]
        case _:
            return {key: value(child) for key, _, child in node}


_BY_LIST: Final = "run `ansible-inventory -i FILE --list` and import what it prints"


def _read_group(name: str, mark: Mark, node: Node, fleet: Fleet, notes: Notes) -> None:
    fleet.group(name, mark)
    group = read_map(node, name, empty=True)
    for key, place, _ in group:  # in the file's order: of two places that speak of one host, the later one wins
        match key:
            case "vars":
                for variable, read in read_variables(_section(group, key)).items():
                    fleet.assign(name, variable, read)
            case "children":
                for child, inside, below in _section(group, key):
                    _read_group(child, inside, below, fleet, notes)
                    fleet.nest(name, child, inside)
            case "hosts":
                for pattern, inside, variables in _section(group, key):
                    fleet.host(pattern, name, inside, read_variables(read_map(variables, pattern, empty=True)))
            case _:
                notes.leave_out(f"{name}.{key}", "is none of hosts, children, vars, and Ansible skips it, too", place)


def _section(group: MapNode, key: str) -> MapNode:
    """Return one part of a group; a single name stands for a map of it alone, as Ansible has it."""
    node = group.entries[key].node
    if isinstance(node, ScalarNode) and isinstance(node.value, str) and key != "vars":
        return MapNode({node.value: Entry(node.mark, ScalarNode(None, node.mark))}, node.mark)
    return read_map(node, key, empty=True)


def is_list_output(document: object) -> TypeGuard[Mapping[str, Any]]:
    """Whether a JSON value is what `ansible-inventory --list`, or an inventory script, prints."""
    if not isinstance(document, dict):
        return False
    return _META in document or any(
        isinstance(group, list) or (isinstance(group, dict) and isinstance(group.get("hosts"), list))
        for group in document.values()
    )


def read_list(document: Mapping[str, Any], source: str, fleet: Fleet) -> None:
    """Add what `ansible-inventory --list` printed to the fleet. Raises ConfigError for what is none."""
    for name, said in document.items():
        if name == _META:
            continue
        mark = path_mark(source, f".{name}")
        group = {"hosts": said} if isinstance(said, list) else _as_map(said, mark)
        fleet.group(name, mark)
        for child in _names(group, "children", mark):
            fleet.nest(name, child, mark)
        for host in _names(group, "hosts", mark):
            fleet.host(host, name, mark, {})
        for variable, read in _plain_variables(group.get("vars"), mark).items():
            fleet.assign(name, variable, read)
    _read_hostvars(document, source, fleet)


def _read_hostvars(document: Mapping[str, Any], source: str, fleet: Fleet) -> None:
    mark = path_mark(source, f".{_META}.hostvars")
    meta = _as_map(document.get(_META), mark)
    for host, said in _as_map(meta.get("hostvars"), mark).items():
        mark = path_mark(source, f".{_META}.hostvars.{host}")
        fleet.host(host, ALL, mark, _plain_variables(said, mark))


def _plain_variables(said: object, mark: Mark) -> dict[str, Variable]:
    return {name: Variable(_unwrapped(child), mark) for name, child in _as_map(said, mark).items()}


def _unwrapped(child: Value) -> Value:
    """Return a value of JSON; an encrypted one as its beginning in a file, a raw one as its text."""
    if isinstance(child, dict) and len(child) == 1:
        if _VAULT in child:
            return "$ANSIBLE_VAULT"
        raw: Value = child.get(_UNSAFE, child)
        return raw
    return child


def _names(group: Mapping[str, Any], key: str, mark: Mark) -> list[str]:
    names = group.get(key) or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise wrong(mark, key, "is no list of names", "import what `ansible-inventory --list` prints, as it is")
    return names


def _as_map(said: object, mark: Mark) -> Mapping[str, Any]:
    if said is None:
        return {}
    if not isinstance(said, dict):
        raise wrong(mark, "group", "is no map", "import what `ansible-inventory --list` prints, as it is")
    return said
