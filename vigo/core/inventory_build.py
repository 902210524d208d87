"""From parsed files to an inventory, strictly: what is not understood is refused at its place.

Hosts of the same groups share one merged map of traits and one value of ssh settings; only what a host says itself
makes a map of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final
from uuid import NAMESPACE_DNS, uuid5

from vigo.core.errors import ConfigError
from vigo.core.inventory import Inventory, Layers, lineage
from vigo.core.inventory_names import check_address, check_group, check_name, did_you_mean
from vigo.core.inventory_ssh import Ssh, SshValue, overlay_ssh, read_ssh
from vigo.core.jumps import Way, Ways
from vigo.core.model import Hop, Host, SshSettings
from vigo.core.nodes import (
    Entry,
    MapNode,
    Mark,
    Node,
    read_map,
    read_text,
    read_texts,
    refuse_unknown,
    wrong,
)
from vigo.core.ranges import RangeError, has_range, members, parse, size
from vigo.core.traits import EMPTY, Layer, read_traits
from vigo.core.values import dataclass

HOSTS_MAX: Final = 100_000
TOP_KEYS: Final = ("defaults", "groups", "hosts", "tasks")
_SECTION_KEYS: Final = ("ssh", "traits")
_GROUP_KEYS: Final = (*_SECTION_KEYS, "groups")
_HOST_KEYS: Final = ("address", "uuid", "groups", *_SECTION_KEYS)
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Section:
    """What one layer says, or several that were merged."""

    ssh: Ssh
    traits: Layer

    def over(self, below: Section) -> Section:
        """Return this section laid over another one, key by key."""
        return Section(overlay_ssh(self.ssh, below.ssh), self.traits.over(below.traits))


_NOTHING: Final = Section({}, EMPTY)


def build(documents: Sequence[MapNode], source: str) -> Inventory:
    """Return the inventory that the documents describe together. Raises ConfigError at the first thing wrong."""
    for document in documents:
        refuse_unknown(document, TOP_KEYS)
    defaults = _merged(documents, "defaults")
    groups = dict(_groups(_merged(documents, "groups")))
    refuse_unknown(defaults, _SECTION_KEYS)
    builder = _Builder(_layer(defaults), {path: _layer(node) for path, node in groups.items()})
    nodes: dict[str, MapNode] = {}
    hosts: dict[str, Host] = {}
    places: dict[str, Mark] = {}
    for document in documents:
        for pattern, mark, node in _part(document, "hosts"):
            own = read_map(node, pattern, empty=True)
            for host in builder.hosts(pattern, mark, own, room=HOSTS_MAX - len(hosts)):
                key = host.name.lower()
                if key in hosts:
                    raise _twice(mark, host.name, places[key])
                hosts[key], nodes[key], places[key] = host, own, mark
    _check_uuids(hosts, nodes)
    hosts |= builder.with_ways(hosts)
    tasks = {name: read_map(node, name) for name, _, node in _joined(documents, "tasks")}
    layers = Layers(defaults, groups, nodes)
    return Inventory(tuple(hosts.values()), tuple(groups), MappingProxyType(tasks), source, layers)


class _Builder:
    """Makes hosts from their maps; remembers what hosts have in common, so that it is merged and kept once."""

    def __init__(self, defaults: Section, groups: Mapping[str, Section]) -> None:
        self._defaults = defaults
        self._groups = groups
        self._bases: dict[tuple[str, ...], Section] = {}
        self._settings: dict[tuple[tuple[str, SshValue], ...], SshSettings] = {}
        self._ways: dict[str, Way] = {}

    def hosts(self, pattern: str, mark: Mark, node: MapNode, *, room: int) -> Iterator[Host]:
        """Yield the hosts of one entry: one, or those of a range."""
        refuse_unknown(node, _HOST_KEYS)
        names = _names(pattern, mark, room)
        groups = self._memberships(node)
        base = self._bases[groups]
        section = _section(node).over(base)
        uuid = _uuid(node, pattern)
        settings = self._ssh(section.ssh)
        way = section.ssh.get("jump")
        if isinstance(way, Way):
            self._ways |= {name.lower(): way for name in names}
        traits = MappingProxyType(section.traits.values)
        for name, address in zip(names, _addresses(node, base, names), strict=True):
            yield Host(name, uuid or str(uuid5(NAMESPACE_DNS, name.lower())), address, groups, traits, settings)

    def _memberships(self, node: MapNode) -> tuple[str, ...]:
        """Return the host's groups, after making sure that they exist and that their layers are merged."""
        listed = node.get("groups")
        groups = () if listed is None else read_texts(listed, "groups")
        if groups not in self._bases:
            self._bases[groups] = self._base(groups, node if listed is None else listed)
        return groups

    def _base(self, groups: tuple[str, ...], listed: Node) -> Section:
        for at, group in enumerate(groups):
            if group not in self._groups:
                hint = did_you_mean(group, self._groups) or "add it under `groups:`"
                raise wrong(listed.mark, "groups", f"there is no group {group[:80]!r}", hint)
            if group in groups[:at]:
                raise wrong(listed.mark, "groups", f"{group!r} is listed twice", "remove one")
        base = self._defaults
        for path in lineage(groups):
            base = self._groups[path].over(base)
        return base

    def _ssh(self, ssh: Ssh) -> SshSettings:
        key = tuple((name, value) for name, value in ssh.items() if name not in ("address", "jump"))
        if key not in self._settings:
            self._settings[key] = SshSettings(**dict(key))  # type: ignore[arg-type]  # read_ssh has checked each
        return self._settings[key]

    def with_ways(self, hosts: Mapping[str, Host]) -> dict[str, Host]:
        """Return the hosts that have a way of their own, with its hops: they may stand anywhere in the files."""
        ways = Ways(hosts, self._ways)
        settings: dict[tuple[SshSettings, tuple[Hop, ...] | None], SshSettings] = {}
        found = {}
        for key in self._ways:
            host, hops = hosts[key], ways.hops(key)
            if (host.ssh, hops) not in settings:
                settings[host.ssh, hops] = replace(host.ssh, jump=hops)
            found[key] = replace(host, ssh=settings[host.ssh, hops])
        return found


def _merged(documents: Sequence[MapNode], key: str) -> MapNode:
    """Return one top-level map of all files: maps merge key by key, and a value may stand in one file only."""
    merged = MapNode({}, Mark("", 0, 0))
    for document in documents:
        merged = _merge(merged, _part(document, key))
    return merged


def _joined(documents: Sequence[MapNode], key: str) -> MapNode:
    """Return one top-level map of all files whose entries are whole: none may be in two files."""
    return _merge(MapNode({}, Mark("", 0, 0)), *(_part(document, key) for document in documents), deep=False)


def _part(document: MapNode, key: str) -> MapNode:
    node = document.get(key)
    return MapNode({}, document.mark) if node is None else read_map(node, key, empty=True)


def _merge(*nodes: MapNode, deep: bool = True) -> MapNode:
    entries: dict[str, Entry] = {}
    for node in nodes:
        for key, entry in node.entries.items():
            before = entries.get(key)
            if before is None:
                entries[key] = entry
            elif deep and isinstance(before.node, MapNode) and isinstance(entry.node, MapNode):
                entries[key] = Entry(before.mark, _merge(before.node, entry.node))
            else:
                raise _twice(entry.mark, key, before.mark)
    return MapNode(entries, nodes[0].mark)


def _twice(mark: Mark, key: str, first: Mark) -> ConfigError:
    return wrong(mark, key, f"is listed twice, first at {first}", "remove one")


def _groups(node: MapNode, prefix: str = "") -> Iterator[tuple[str, MapNode]]:
    """Yield each group with its dotted path, outer ones first."""
    seen: dict[str, Mark] = {}
    for name, mark, child in node:
        check_group(name, mark)
        if name.lower() in seen:
            raise wrong(mark, name, f"differs only in case from the one at {seen[name.lower()]}", "rename one")
        seen[name.lower()] = mark
        group = read_map(child, name, empty=True)
        refuse_unknown(group, _GROUP_KEYS)
        yield prefix + name, group
        below = group.get("groups")
        if below is not None:
            yield from _groups(read_map(below, "groups", empty=True), f"{prefix}{name}.")


def _section(node: MapNode) -> Section:
    """Return what one map says of ssh and traits."""
    ssh, traits = node.get("ssh"), node.get("traits")
    if ssh is None and traits is None:
        return _NOTHING
    return Section(
        {} if ssh is None else read_ssh(read_map(ssh, "ssh", empty=True)),
        EMPTY if traits is None else read_traits(read_map(traits, "traits", empty=True)),
    )


def _layer(node: MapNode) -> Section:
    """Return what defaults or a group say; an address there is one for all, so it cannot be a range."""
    section = _section(node)
    address = _own_address(node)
    if address is not None:
        check_address(read_text(address, "address"), address.mark)
    return section


def _names(pattern: str, mark: Mark, room: int) -> tuple[str, ...]:
    """Return the names of one entry, of which there may be `room` more."""
    names = _expanded(pattern, mark, room) if has_range(pattern) else (pattern,)
    if len(names) > room:
        raise _too_many(pattern, mark)
    for name in names:
        check_name(name, mark)
    return names


def _expanded(pattern: str, mark: Mark, room: int) -> tuple[str, ...]:
    try:
        pieces = parse(pattern)
    except RangeError as error:
        raise wrong(mark, pattern, error.reason, error.way_out) from error
    if size(pieces) > room:
        raise _too_many(pattern, mark)
    return tuple(members(pieces))


def _too_many(pattern: str, mark: Mark) -> ConfigError:
    return wrong(mark, pattern, f"makes more than {HOSTS_MAX:,} hosts", "split the inventory")


def _addresses(node: MapNode, base: Section, names: Sequence[str]) -> Sequence[str | None]:
    """Return the address of each name: the host's own, one for each member of a range, or the one of its layers."""
    own = _own_address(node)
    if own is None:
        inherited = base.ssh.get("address")
        return [None if inherited is None else str(inherited)] * len(names)
    text = read_text(own, "address")
    if not has_range(text):
        check_address(text, own.mark)
        if len(names) > 1:
            raise wrong(own.mark, "address", f"is one address for {len(names)} hosts", "write a range of equal length")
        return (text,)
    addresses = _expanded(text, own.mark, HOSTS_MAX)
    if len(addresses) != len(names):
        reason = f"stands for {len(addresses)} addresses, the name for {len(names)}"
        raise wrong(own.mark, "address", reason, "write ranges of equal length")
    for address in addresses:
        check_address(address, own.mark)
    return addresses


def _own_address(node: MapNode) -> Node | None:
    plain, ssh = node.get("address"), node.get("ssh")
    under_ssh = ssh.get("address") if isinstance(ssh, MapNode) else None
    if plain is not None and under_ssh is not None:
        raise wrong(under_ssh.mark, "address", f"is also given at {plain.mark}", "remove one")
    return under_ssh if plain is None else plain


def _uuid(node: MapNode, pattern: str) -> str | None:
    """Return the UUID that a host was given, in lower case."""
    given = node.get("uuid")
    if given is None:
        return None
    text = read_text(given, "uuid")
    if _UUID.fullmatch(text) is None:
        raise wrong(
            given.mark, "uuid", f"{text[:40]!r} is no UUID", "write 8-4-4-4-12 hexadecimal digits, or leave it out"
        )
    if has_range(pattern):
        raise wrong(given.mark, "uuid", "stands on a range of hosts", "leave it out, or list the hosts one by one")
    return text.lower()


def _check_uuids(hosts: Mapping[str, Host], nodes: Mapping[str, MapNode]) -> None:
    """Raise ConfigError where two hosts have one UUID; at least one of them was given it in the file."""
    seen: dict[str, str] = {}
    for key, host in hosts.items():
        other = seen.setdefault(host.uuid, key)
        if other != key:
            entry = nodes[key].entries.get("uuid") or nodes[other].entries["uuid"]
            reason = f"{hosts[other].name} and {host.name} have the same one"
            raise wrong(entry.mark, "uuid", reason, "give each host its own, or leave it out")
