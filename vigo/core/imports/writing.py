"""An inventory document as YAML, for people first: nested groups, one entry for each host, short maps on one line.

The same document is always the same text. Whatever YAML could take for something else than text is quoted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

from vigo.core.imports.document import Document, Values
from vigo.core.model import Hop, Scalar

_WIDTH_MAX: Final = 100
"""Columns up to which a map or a list stands on one line."""
_PLAIN: Final = re.compile(r"(?:~/[.]?)?[A-Za-z_/][A-Za-z0-9_./@%+-]*|[0-9]{1,3}(?:\.[0-9]{1,3}){3}", re.ASCII)
_WORDS: Final = frozenset({"yes", "no", "on", "off", "true", "false", "null", "y", "n"})
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}
_SSH_ORDER: Final = ("user", "port", "identity", "jump", "proxy_command", "known_hosts", "host_keys")

Tree: TypeAlias = Mapping[str, Any]
"""Maps, lists and scalars as they will stand in the file."""


def write(document: Document, origin: str) -> str:
    """Return the file; `origin` says in its first line what it was made from."""
    lines = [f"# Made by `vigo inventory import` from {_comment(origin)}."]
    if document.defaults:
        lines += ["defaults:", *_entries(_nested(document.defaults), 1)]
    if document.groups:
        lines += ["groups:", *_groups(document.groups)]
    lines += ["hosts:" if document.hosts else "hosts: {}"]
    for host in document.hosts:
        said = _nested({**host.values, **({"groups": host.groups} if host.groups else {})})
        lines += [f"  {scalar(host.name)}:", *_entries(said, 2)] if said else [f"  {scalar(host.name)}: {{}}"]
    return "\n".join(lines) + "\n"


def scalar(value: str | int | bool) -> str:  # noqa: FBT001 - a value, no flag
    """Return one value: plain where it can mean one thing only, else in double quotes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return '"' + "".join(map(_escaped, value)) + '"'


def _escaped(sign: str) -> str:
    if sign in _ESCAPES:
        return _ESCAPES[sign]
    if sign.isprintable():
        return sign
    number = ord(sign)
    return f"\\x{number:02X}" if number <= 0xFF else f"\\u{number:04X}" if number <= 0xFFFF else f"\\U{number:08X}"  # noqa: PLR2004 - the widths of YAML's escapes


def _comment(text: str) -> str:
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def _groups(groups: Mapping[str, Values]) -> Iterator[str]:
    """Yield the tree of groups; each group is followed by those below it."""
    below: dict[str, list[str]] = {}
    for path in groups:
        below.setdefault(path.rpartition(".")[0], []).append(path)
    yield from _level(groups, below, "", 1)


def _level(groups: Mapping[str, Values], below: Mapping[str, Sequence[str]], outer: str, depth: int) -> Iterator[str]:
    margin = "  " * depth
    for path in below[outer]:
        name, inner = scalar(path.rpartition(".")[2]), below.get(path)
        said = _nested(groups[path])
        if not said and not inner:
            yield f"{margin}{name}: {{}}"
            continue
        yield f"{margin}{name}:"
        yield from _entries(said, depth + 1)
        if inner:
            yield f"{margin}  groups:"
            yield from _level(groups, below, path, depth + 2)


def _nested(values: Mapping[str, Any]) -> Tree:
    """Return dotted keys as maps in maps: address and groups first, then ssh, then traits in alphabetical order."""
    root: dict[str, Any] = {}
    for key in sorted(values, key=_rank):
        *outer, last = key.split(".")
        into = root
        for name in outer:
            into = into.setdefault(name, {})
        into[last] = values[key]
    return root


def _rank(key: str) -> tuple[int, int, str]:
    first, _, rest = key.partition(".")
    sections = ("address", "uuid", "groups", "ssh", "traits")
    return sections.index(first), _SSH_ORDER.index(rest) if first == "ssh" else 0, rest


def _entries(tree: Tree, depth: int) -> Iterator[str]:
    """Yield the entries of a map, each on one line where it fits."""
    margin = "  " * depth
    for key, value in tree.items():
        head = f"{margin}{scalar(key)}:"
        line = f"{head} {_flow(value)}"
        if len(line) <= _WIDTH_MAX or not isinstance(value, (Mapping, tuple)):
            yield line
        elif isinstance(value, Mapping):
            yield head
            yield from _entries(value, depth + 1)
        else:
            yield head
            yield from (f"{margin}  - {_flow(item)}" for item in value)


def _flow(value: object) -> str:
    """Return a value on one line."""
    match value:
        case Mapping():
            return "{" + ", ".join(f"{scalar(key)}: {_flow(item)}" for key, item in value.items()) + "}"
        case tuple():
            return "[" + ", ".join(map(_flow, value)) + "]"
        case Hop(name, _, ssh):
            said = {"host": name, "user": ssh.user, "port": ssh.port, "identity": ssh.identity}
            return _flow({key: item for key, item in said.items() if item is not None})
        case _:
            return scalar(cast("Scalar", value))
