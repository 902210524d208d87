"""The `ssh:` map of the inventory, read strictly: each key has one form, and a slip is an error at its place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

from vigo.core.inventory_names import check_address
from vigo.core.jumps import HOPS_MAX, Stop, Way
from vigo.core.model import HostKeyRule, SshSettings
from vigo.core.nodes import (
    ListNode,
    MapNode,
    Node,
    ScalarNode,
    read_bool,
    read_duration_ms,
    read_int,
    read_list,
    read_text,
    read_texts,
    refuse_unknown,
    wrong,
)

SSH_KEYS: Final = (
    "user",
    "port",
    "address",
    "identity",
    "certificate",
    "jump",
    "proxy_command",
    "known_hosts",
    "host_key_alias",
    "host_keys",
    "agent",
    "forward_agent",
    "keepalive",
    "connect_timeout",
    "ciphers",
)
_STOP_KEYS: Final = ("host", "user", "port", "identity")
_EXCLUSIVE: Final = {"jump": "proxy_command", "proxy_command": "jump"}
_PORT_MAX: Final = 65_535
_CIPHER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9@.-]*", re.ASCII)

SshValue: TypeAlias = str | int | bool | tuple[str, ...] | HostKeyRule | Way
Ssh: TypeAlias = Mapping[str, SshValue]
"""Field of SshSettings, or `address` -> value; `jump` is a way as it is written."""


def read_ssh(node: MapNode) -> dict[str, SshValue]:
    """Return what one `ssh:` map says. Raises ConfigError."""
    refuse_unknown(node, SSH_KEYS)
    if node.get("jump") is not None and (command := node.get("proxy_command")) is not None:
        raise wrong(command.mark, "proxy_command", "stands beside `jump`, and a host has one way", "remove one")
    return dict(_read(key, child) for key, _, child in node)


def overlay_ssh(over: Ssh, below: Ssh) -> Ssh:
    """Return one layer over another, key by key; the two ways to go through something are one setting."""
    if not over:
        return below
    hidden = {_EXCLUSIVE[key] for key in over if key in _EXCLUSIVE}
    return {**{key: value for key, value in below.items() if key not in hidden}, **over}


def _read(key: str, node: Node) -> tuple[str, SshValue]:
    match key:
        case "port":
            return key, read_int(node, key, least=1, most=_PORT_MAX)
        case "connect_timeout":
            return "connect_timeout_ms", read_duration_ms(node, key)
        case "keepalive":
            return "keepalive_ms", _read_keepalive(node)
        case "jump":
            return key, Way(tuple(_stops(node)))
        case "host_keys":
            return key, _read_rule(node)
        case "agent":
            return key, node.value if isinstance(node, ScalarNode) and isinstance(node.value, bool) else read_word(
                node, key
            )
        case "forward_agent":
            return key, read_bool(node, key)
        case "ciphers":
            return key, _read_ciphers(node)
        case "proxy_command":
            return key, _read_command(node)
        case _:
            return key, read_word(node, key)


def read_word(node: Node, key: str) -> str:
    """Return a text that may be a word of a command line: printable, and no option."""
    text = read_text(node, key)
    if text.startswith("-") or not text.isprintable():
        raise wrong(node.mark, key, "begins with - or holds a control character", "write a plain text")
    if key in ("user", "host_key_alias") and any(sign.isspace() or sign in "@:'\"" for sign in text):
        what = "user name" if key == "user" else "name of a host"
        raise wrong(node.mark, key, f"{text[:40]!r} is no {what}", "write one without blanks, quotes, : and @")
    return text


def _read_command(node: Node) -> str:
    text = read_text(node, "proxy_command")
    if not text.isprintable():
        raise wrong(node.mark, "proxy_command", "holds a control character", "write one line of plain text")
    return text


def _read_keepalive(node: Node) -> int:
    if isinstance(node, ScalarNode) and node.value is False:
        return 0
    return read_duration_ms(node, "keepalive")


def _read_rule(node: Node) -> HostKeyRule:
    text = read_text(node, "host_keys")
    if text not in tuple(HostKeyRule):
        known = ", ".join(HostKeyRule)
        raise wrong(node.mark, "host_keys", f"{text[:40]!r} is unknown", f"write one of {known}")
    return HostKeyRule(text)


def _read_ciphers(node: Node) -> tuple[str, ...]:
    names = read_texts(node, "ciphers")
    if not names:
        raise wrong(node.mark, "ciphers", "names none", "write [aes256-gcm@openssh.com], or leave the key out")
    for name in names:
        if _CIPHER.fullmatch(name) is None:
            raise wrong(
                node.mark, "ciphers", f"{name[:40]!r} is no name of a cipher", "write one as `ssh -Q cipher` does"
            )
    return names


def _stops(node: Node) -> Iterator[Stop]:
    """Read a way: a host's name, `none`, a map, or a list of names and maps."""
    if isinstance(node, ScalarNode) and node.value == "none":
        return
    items = read_list(node, "jump") if isinstance(node, ListNode) else (node,)
    if not items:
        raise wrong(node.mark, "jump", "is an empty list", "write `none` for the direct way, or leave the key out")
    if len(items) > HOPS_MAX:
        raise wrong(node.mark, "jump", f"has {len(items)} hops, at most {HOPS_MAX} are allowed", "take some out")
    seen: set[str] = set()
    for item in items:
        stop = _stop(item)
        if stop.name.lower() in seen:
            raise wrong(item.mark, "jump", f"{stop.name!r} is on the way twice", "remove one")
        seen.add(stop.name.lower())
        yield stop


def _stop(node: Node) -> Stop:
    if not isinstance(node, MapNode):
        name = read_text(node, "jump")
        if "," in name or "@" in name or ":" in name:
            way_out = "write a list of names or of {host: …, user: …, port: …}"
            raise wrong(node.mark, "jump", f"{name[:40]!r} is no host of the inventory", way_out)
        return Stop(name, SshSettings(), node.mark, is_listed=True)
    refuse_unknown(node, _STOP_KEYS)
    host = node.get("host")
    if host is None:
        raise wrong(node.mark, "jump", "names no host", "write {host: …}")
    name = read_text(host, "host")
    check_address(name, host.mark)
    own = dict(_read(key, child) for key, _, child in node if key != "host")
    return Stop(name, SshSettings(**own), node.mark, is_listed=False)  # type: ignore[arg-type]  # _read has checked each
