"""`vigo inventory`: hosts, the origin of their values, and what a check found, for people and for machines.

Names and values come from files; what a terminal could act on in them is shown as escapes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from vigo.core.inventory import Origin, plain_ssh
from vigo.core.inventory_check import Checked
from vigo.core.model import Host, TraitValue
from vigo.core.traits import texts
from vigo.render.machine import SCHEMA, dump
from vigo.render.sanitize import clean
from vigo.render.tables import columns, tsv

_HEADER: Final = ("HOST", "ADDRESS", "GROUPS", "TRAITS")
_WIDTHS: Final = (5, 8, 7)
_GAP: Final = 2


def hosts_text(hosts: Iterable[Host]) -> str:
    """Return aligned columns, one host a line."""
    rows = [[clean(cell) for cell in _row(host)] for host in hosts]
    widths = [max(len(row[at]) for row in (_HEADER, *rows)) + _GAP for at in range(len(_WIDTHS))]
    return columns(_HEADER, rows, widths)


def hosts_tsv(hosts: Iterable[Host]) -> str:
    """Return the same as tab-separated values with a header line."""
    return tsv(tuple(name.lower() for name in _HEADER), map(_row, hosts))


def hosts_json(hosts: Iterable[Host], source: str) -> str:
    """Return one JSON object with all hosts."""
    return dump({"schema": SCHEMA, "inventory": source, "hosts": [_host(host) for host in hosts]})


def hosts_jsonl(hosts: Iterable[Host]) -> str:
    """Return one JSON object for each host."""
    return "".join(dump(_host(host)) for host in hosts)


def host_text(host: Host, origins: Sequence[Origin]) -> str:
    """Return a host's values, each with the layer and the place it was taken from."""
    head = [("Host", host.name), ("Groups", " ".join(host.groups) or "-")]
    lines = "".join(f"{name + ':':<9}{clean(value)}\n" for name, value in head)
    rows = [(origin.key, _value(origin.value), f"{origin.layer} {origin.place}".strip()) for origin in origins]
    widths = [max((len(clean(row[at])) for row in rows), default=0) + _GAP for at in range(2)]
    return lines + "\n" + columns(("VALUE OF", "IS", "FROM"), rows, widths)


def host_json(host: Host, origins: Iterable[Origin]) -> str:
    """Return a host with its values and their origins as one JSON object."""
    return dump({**_host(host), "origins": [_origin(origin) for origin in origins]})


def reached_text(ways: Sequence[tuple[str, Sequence[Origin]]]) -> str:
    """Return how a host and each hop on the way to it are reached: value, and the place that says it."""
    blocks: list[str] = []
    for title, found in ways:
        rows = [(origin.key, _value(origin.value), origin.place or origin.layer) for origin in found]
        widths = [max((len(clean(row[at])) for row in rows), default=0) + _GAP for at in range(2)]
        head = f"Host:    {clean(title)}\n" if not blocks else f"Hop {len(blocks)}:   {clean(title)}\n"
        blocks.append(head + "\n" + columns(("SSH", "IS", "FROM"), rows, widths))
    return "\n".join(blocks)


def reached_json(ways: Sequence[tuple[str, Sequence[Origin]]]) -> str:
    """Return the same as one JSON object."""
    told = [{"host": title, "ssh": [_origin(origin) for origin in found]} for title, found in ways]
    return dump({"schema": SCHEMA, **told[0], "hops": told[1:]})


def checked_text(checked: Checked) -> str:
    """Return the one line of a check; its warnings go elsewhere."""
    counts = (_count(checked.hosts, "host"), _count(checked.groups, "group"), _count(checked.tasks, "task"))
    return f"{', '.join(counts)}: {_count(len(checked.warnings), 'warning') if checked.warnings else 'ok'}\n"


def checked_json(checked: Checked, source: str) -> str:
    """Return what a check found as one JSON object."""
    return dump(
        {
            "schema": SCHEMA,
            "inventory": source,
            "hosts": checked.hosts,
            "groups": checked.groups,
            "tasks": checked.tasks,
            "warnings": list(checked.warnings),
        }
    )


def _row(host: Host) -> tuple[str, str, str, str]:
    traits = " ".join(f"{path}={_value(value)}" for path, value in sorted(host.traits.items()))
    return host.name, host.address or "-", ",".join(host.groups) or "-", traits or "-"


def _host(host: Host) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "host": host.name,
        "uuid": host.uuid,
        "address": host.address,
        "groups": list(host.groups),
        "ssh": {name: _plain(value) for name, value in plain_ssh(host.ssh).items()},
        "traits": {path: _plain(value) for path, value in sorted(host.traits.items())},
    }


def _origin(origin: Origin) -> dict[str, object]:
    return {
        "key": origin.key,
        "value": _plain(origin.value),
        "layer": origin.layer,
        "place": origin.place or None,
    }


def _plain(value: TraitValue) -> object:
    return list(value) if isinstance(value, tuple) else value


def _value(value: TraitValue) -> str:
    return ",".join(texts(value))


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
