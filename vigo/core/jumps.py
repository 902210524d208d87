"""The way to a host through others: what the inventory and `--jump` write, and the hops that they stand for.

Rule 1: a plain name is a host of the inventory, with the settings it has there; `{host: …}` and `--jump` may name any.
Rule 2: the first hop may have a way of its own, which comes before it; the others are reached from the hop before.
Rule 3: a host that is itself a hop of its way is reached by the hops before it, so that a way for all may stand in
        `defaults`. A way that leads in a circle is an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field, replace
from typing import Final

from vigo.core.errors import UsageError
from vigo.core.inventory_names import did_you_mean
from vigo.core.model import Hop, Host, SshSettings
from vigo.core.nodes import Mark, wrong
from vigo.core.values import dataclass

HOPS_MAX: Final = 8
_HOP: Final = re.compile(r"(?:(?P<user>.+)@)?(?:\[(?P<bracketed>[^\]]+)\]|(?P<host>[^:\[\]@]+))(?::(?P<port>[^:]+))?")
_PORT_MAX: Final = 65_535


@dataclass(frozen=True, slots=True)
class Stop:
    """One hop as it is written."""

    name: str
    own: SshSettings
    """User, port and identity that are written beside the name."""
    mark: Mark
    is_listed: bool
    """Whether only a host of the inventory can be meant."""


@dataclass(frozen=True, slots=True)
class Way:
    """A way as it is written; without stops it is the direct one."""

    stops: tuple[Stop, ...]


@dataclass(slots=True)
class Ways:
    """Finds the hops of each host; `hosts` are by name in lower case, without hops, `ways` what was written for them."""

    hosts: Mapping[str, Host]
    ways: Mapping[str, Way]
    _hops: dict[tuple[Way, str], tuple[Hop, ...]] = field(default_factory=dict)

    def hops(self, key: str) -> tuple[Hop, ...] | None:
        """Return the hops of a host, None where the inventory says nothing of its way. Raises ConfigError."""
        way = self.ways.get(key)
        return None if way is None else self._resolve(way, key, ())

    def _resolve(self, way: Way, key: str, trail: tuple[str, ...]) -> tuple[Hop, ...]:
        asker = key if any(stop.name.lower() == key for stop in way.stops) else ""
        found = None if trail else self._hops.get((way, asker))
        if found is None:
            found = tuple(self._walk(way, key, (*trail, key)))
            if not trail:
                self._hops[way, asker] = found
        return found

    def _walk(self, way: Way, key: str, trail: tuple[str, ...]) -> list[Hop]:
        hops: list[Hop] = []
        for at, stop in enumerate(way.stops):
            name = stop.name.lower()
            if name == key:
                break
            if name in trail:
                circle = " > ".join((*trail, name))
                raise wrong(stop.mark, "jump", f"leads in a circle: {circle}", "give one of them `jump: none`")
            own = self.ways.get(name) if at == 0 else None
            if own is not None:
                hops += self._resolve(own, name, trail)
            hops.append(self._hop(stop, is_settled=own is not None))
        if len(hops) > HOPS_MAX:
            raise wrong(
                way.stops[0].mark, "jump", f"has {len(hops)} hops, at most {HOPS_MAX} are allowed", "take some out"
            )
        return hops

    def _hop(self, stop: Stop, *, is_settled: bool) -> Hop:
        host = self.hosts.get(stop.name.lower())
        if host is None and stop.is_listed:
            hint = did_you_mean(stop.name, [known.name for known in self.hosts.values()])
            way_out = f"{hint or 'is it written right?'} A host that is not listed: {{host: {stop.name}}}"
            raise wrong(stop.mark, "jump", f"there is no host {stop.name[:80]!r} in the inventory", way_out)
        hop = hop_to(stop.name, stop.own, host)
        return replace(hop, ssh=replace(hop.ssh, jump=())) if is_settled else hop


def hop_to(name: str, own: SshSettings, host: Host | None) -> Hop:
    """Return the hop to a host, with the inventory's settings for it below those that are written beside its name."""
    if host is None:
        return Hop(name, ssh=own)
    said = {key: value for key in ("user", "port", "identity") if (value := getattr(own, key)) is not None}
    return Hop(host.name, host.address, replace(host.ssh, **said))


def parse_jump(text: str, hosts: Mapping[str, Host]) -> tuple[Hop, ...]:
    """Read `--jump [user@]host[:port],…` or `none`; `hosts` are those of the inventory by name in lower case.

    Raises UsageError.
    """
    if text.lower() == "none":
        return ()
    hops: list[Hop] = []
    for at, (user, name, port_text) in enumerate(split_hops(text)):
        port = None if port_text is None else _port(text, port_text)
        hop = hop_to(name, SshSettings(user=user, port=port), hosts.get(name.lower()))
        if at == 0 and hop.ssh.jump:
            hops += hop.ssh.jump
            hop = replace(hop, ssh=replace(hop.ssh, jump=()))
        hops.append(hop)
    if len(hops) > HOPS_MAX:
        raise UsageError(f"--jump {text[:80]!r}: {len(hops)} hops, at most {HOPS_MAX} are allowed; take some out")
    return tuple(hops)


def split_hops(text: str) -> tuple[tuple[str | None, str, str | None], ...]:
    """Return (user, host, port) of each part of `[user@]host[:port],…` or `ssh://…`. Raises UsageError."""
    return tuple(map(_split, text.split(",")))


def _split(text: str) -> tuple[str | None, str, str | None]:
    plain = text.removeprefix("ssh://").removesuffix("/") if text.startswith("ssh://") else text
    match = _HOP.fullmatch(plain)
    host = match and (match["bracketed"] or match["host"])
    if match is None or not host or host.startswith("-") or not plain.isprintable() or " " in plain:
        raise UsageError(
            f"--jump: {text[:80]!r} is no way to a host; write [user@]host[:port], several with commas between"
        )
    return match["user"], host, match["port"]


def _port(text: str, port: str) -> int:
    if port.isascii() and port.isdigit() and 1 <= int(port) <= _PORT_MAX:
        return int(port)
    raise UsageError(f"--jump {text[:80]!r}: {port!r} is no port; write 1-{_PORT_MAX}")
