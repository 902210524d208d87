"""The fleet: which hosts there are, how each is reached, and what is known of it.

Rule 1: precedence is defaults < outer group < inner group < later group in a host's list < host. An ancestor counts
        once, before all groups below it.
Rule 2: ssh settings and traits merge key by key; `origins` names the place that each value was taken from.
Rule 3: a host's identity is its name, ignoring case; two hosts may share an address, never a name or a UUID.

`inventory_build` makes an inventory from parsed files; this module holds it and answers questions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace

from vigo.core.errors import NoMatchError
from vigo.core.inventory_names import did_you_mean
from vigo.core.model import Hop, Host, SshSettings, TraitValue
from vigo.core.nodes import MapNode
from vigo.core.traits import layer, walk
from vigo.core.values import dataclass


@dataclass(frozen=True, slots=True)
class Layers:
    """The nodes that the values came from, kept so that `origins` can name their places."""

    defaults: MapNode | None = None
    groups: Mapping[str, MapNode] = field(default_factory=dict)
    """Dotted path -> the group's own map."""
    hosts: Mapping[str, MapNode] = field(default_factory=dict)
    """Name in lower case -> the host's own map."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What a host was seen to have, and when."""

    values: Mapping[str, TraitValue]
    """Dotted path -> value; in an inventory only those that its files do not overrule."""
    at: str
    """UTC, as the journal writes it: `2026-03-13T12:30:01.042Z`."""
    task: str
    """The task that gathered it."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """All hosts, in the order of the files."""

    hosts: tuple[Host, ...]
    groups: tuple[str, ...] = ()
    """Every dotted path, outer groups before inner ones."""
    tasks: Mapping[str, MapNode] = field(default_factory=dict)
    """Named tasks as they stand in the file; `tasks` gives them their meaning."""
    source: str = ""
    """The file or folder it was read from, as the operator named it."""
    layers: Layers = field(default=Layers(), repr=False, compare=False)
    gathered: Mapping[str, Gathered] = field(default_factory=dict, repr=False)
    """Host name -> what lies under the host's own traits; empty for an inventory as it was read."""
    by_name: Mapping[str, Host] = field(init=False, repr=False, compare=False)
    """Name in lower case -> host."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {host.name.lower(): host for host in self.hosts})

    def get(self, name: str) -> Host | None:
        """Return the host of this name, ignoring case, or None."""
        return self.by_name.get(name.lower())

    def require(self, name: str) -> Host:
        """Return the host of this name, ignoring case. Raises NoMatchError with the nearest names."""
        host = self.get(name)
        if host is None:
            hint = did_you_mean(name, [known.name for known in self.hosts]) or "`vigo inventory list` shows all hosts"
            raise NoMatchError(f"host {name[:80]!r}: not in the inventory {self.source}; {hint}")
        return host

    def with_traits(self, gathered: Mapping[str, Gathered]) -> Inventory:
        """Return this inventory with what is known by host name laid under its own traits: what the file says wins."""
        hosts: list[Host] = []
        under: dict[str, Gathered] = {}
        standing: dict[tuple[tuple[str, ...], ...], tuple[str, ...]] = {}  # few hosts differ in which traits they have
        for host in self.hosts:
            known = gathered.get(host.name)
            if known is None:
                hosts.append(host)
                continue
            paths = tuple(host.traits), tuple(known.values)
            if paths not in standing:
                merged = layer(host.traits).over(layer(known.values)).values
                standing[paths] = tuple(path for path in paths[1] if path in merged and path not in host.traits)
            seen = {path: known.values[path] for path in standing[paths]}
            under[host.name] = replace(known, values=seen)
            hosts.append(replace(host, traits={**seen, **host.traits}))
        return replace(self, hosts=tuple(hosts), gathered=under)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where one value of a host comes from."""

    key: str
    """`address`, `uuid`, `ssh.user`, `traits.os.distro`."""
    value: TraitValue
    layer: str
    """`defaults`, `group prod.web`, `host`, `gathered`, or `derived` (the UUID of a name)."""
    place: str = ""
    """`file:line:column`; for a gathered value the time in UTC; empty for what is derived."""


def lineage(groups: Sequence[str]) -> tuple[str, ...]:
    """Return the groups with their ancestors, in order of rising precedence, each once."""
    return tuple(dict.fromkeys(path for group in groups for path in _ancestry(group)))


def origins(inventory: Inventory, host: Host) -> tuple[Origin, ...]:
    """Return each value of a host with the layer and the place that it was taken from; settings first, then traits."""
    said = {key: (layer, place) for layer, node in _layers(inventory, host) for key, place in _places(node)}
    values: dict[str, TraitValue] = {"uuid": host.uuid}
    if host.address is not None:
        values["address"] = host.address
    values.update((f"ssh.{name}", value) for name, value in plain_ssh(host.ssh).items())
    values.update((f"traits.{path}", host.traits[path]) for path in sorted(host.traits))
    known = inventory.gathered.get(host.name)
    unsaid = ("gathered", "" if known is None else known.at)
    return tuple(
        Origin(key, value, *said.get(key, ("derived", "") if key == "uuid" else unsaid))
        for key, value in values.items()
    )


def plain_ssh(ssh: SshSettings) -> dict[str, TraitValue]:
    """Return what is set, as plain values; hops as `[user@]name[:port]`, the direct way as `none`."""
    said = ((name, getattr(ssh, name)) for name in ssh.__dataclass_fields__)
    return {name: _plain(value) for name, value in said if value is not None}


def _plain(value: TraitValue | tuple[Hop, ...]) -> TraitValue:
    return (tuple(map(str, value)) or "none") if isinstance(value, tuple) else value


def _ancestry(group: str) -> Iterator[str]:
    words = group.split(".")
    return (".".join(words[: depth + 1]) for depth in range(len(words)))


def _layers(inventory: Inventory, host: Host) -> Iterator[tuple[str, MapNode]]:
    """Yield the layers that speak of a host, lowest precedence first."""
    layers = inventory.layers
    if layers.defaults is not None:
        yield "defaults", layers.defaults
    for path in lineage(host.groups):
        if path in layers.groups:
            yield f"group {path}", layers.groups[path]
    own = layers.hosts.get(host.name.lower())
    if own is not None:
        yield "host", own


def _places(node: MapNode) -> Iterator[tuple[str, str]]:
    for key, mark, child in node:
        if not isinstance(child, MapNode):
            yield key, str(mark)
        elif key == "ssh":
            yield from ((_SSH_KEYS.get(name, f"ssh.{name}"), str(place)) for name, place, _ in child)
        elif key == "traits":
            yield from ((f"traits.{path}", str(place)) for path, place, _ in walk(child))


_SSH_KEYS = {
    "address": "address",
    "connect_timeout": "ssh.connect_timeout_ms",
    "keepalive": "ssh.keepalive_ms",
}
