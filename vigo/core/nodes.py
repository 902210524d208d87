"""What a strict YAML file says, with the place of each word; and the readers that turn it into plain values.

The adapter that knows YAML makes these nodes, everything that gives them a meaning (inventory, named tasks) reads them
here. A node is never half right: a value of the wrong type, an unknown key or a number out of bounds is a ConfigError
`file:line:column: key: reason; way out`, raised at the place where it stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import NamedTuple, TypeAlias

from vigo.core.errors import ConfigError, UsageError
from vigo.core.model import Scalar
from vigo.core.quantity import parse_duration_ms
from vigo.core.values import dataclass

_SHOWN_MAX = 40


class Mark(NamedTuple):
    """A place in a file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class ScalarNode:
    """One value. Plain words that YAML would turn into something else (`no`, `1.10`, `12:30`) never get this far."""

    value: Scalar | None
    """None stands for nothing at all after a key (`web-01:`); the words `null` and `~` are refused by the adapter."""
    mark: Mark

    @property
    def kind(self) -> str:
        """What it is, in the operator's words."""
        match self.value:
            case None:
                return "nothing"
            case bool():
                return "true or false"
            case int():
                return "a number"
            case _:
                return "text"


@dataclass(frozen=True, slots=True)
class ListNode:
    """A list, in its order."""

    items: tuple[Node, ...]
    mark: Mark

    @property
    def kind(self) -> str:
        """What it is, in the operator's words."""
        return "a list"


class Entry(NamedTuple):
    """One `key: value` of a map."""

    mark: Mark
    """Where the key stands."""
    node: Node


@dataclass(frozen=True, slots=True)
class MapNode:
    """A map in the file's order; keys are text and each stands in it once."""

    entries: Mapping[str, Entry]
    mark: Mark

    @property
    def kind(self) -> str:
        """What it is, in the operator's words."""
        return "a map"

    def get(self, key: str) -> Node | None:
        """Return the value under `key`, or None when the key is not there."""
        entry = self.entries.get(key)
        return None if entry is None else entry.node

    def __iter__(self) -> Iterator[tuple[str, Mark, Node]]:
        for key, entry in self.entries.items():
            yield key, entry.mark, entry.node


Node: TypeAlias = ScalarNode | ListNode | MapNode


def wrong(mark: Mark, key: str, reason: str, way_out: str) -> ConfigError:
    """Return the one form of error that a file can cause: `file:line:column: key: reason; way out`."""
    return ConfigError(f"{mark}: {shown(key)}: {reason}; {way_out}")


def shown(text: str) -> str:
    """Return outside text fit for one line of a message: cut to 40 characters, what is not printable escaped."""
    cut = text if len(text) <= _SHOWN_MAX else text[: _SHOWN_MAX - 1] + "…"
    return cut if cut.isprintable() else ascii(cut)[1:-1]


def refuse_unknown(node: MapNode, known: Sequence[str], *, later: Sequence[str] = ()) -> None:
    """Raise ConfigError for the first key that is not in `known`, with the nearest one that is.

    Keys in `later` belong to a coming version: they are refused as not yet supported, so that none is ever ignored.
    """
    for key, mark, _ in node:
        if key in known:
            continue
        if key in later:
            raise wrong(mark, key, "not yet supported", "leave it out; vigo never ignores a setting")
        near = get_close_matches(key[:_SHOWN_MAX].lower(), known, 1)
        way_out = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
        raise wrong(mark, key, "unknown key", way_out)


def read_map(node: Node, key: str, *, empty: bool = False) -> MapNode:
    """Return the node as a map; with `empty`, nothing at all after the key is an empty map."""
    if isinstance(node, MapNode):
        return node
    if empty and isinstance(node, ScalarNode) and node.value is None:
        return MapNode({}, node.mark)
    raise wrong(node.mark, key, f"is {node.kind}, must be a map", "write `key: value` lines below it, or {}")


def read_text(node: Node, key: str, *, empty: bool = False) -> str:
    """Return the node as text; only with `empty` may it be the empty one ("")."""
    if not isinstance(node, ScalarNode) or not isinstance(node.value, str):
        way_out = "quote it" if isinstance(node, ScalarNode) and node.value is not None else "write a text"
        raise wrong(node.mark, key, f"is {node.kind}, must be text", way_out)
    if not node.value and not empty:
        raise wrong(node.mark, key, "is empty", "write a text or leave the key out")
    return node.value


def read_int(node: Node, key: str, *, least: int, most: int) -> int:
    """Return the node as an integer between `least` and `most`, both allowed; a quoted number is text, not a number."""
    if not isinstance(node, ScalarNode) or isinstance(node.value, bool) or not isinstance(node.value, int):
        raise wrong(node.mark, key, f"is {node.kind}, must be a number", f"write {least}-{most} without quotes")
    if not least <= node.value <= most:
        raise wrong(node.mark, key, f"{node.value} is out of bounds", f"write {least}-{most}")
    return node.value


def read_bool(node: Node, key: str) -> bool:
    """Return the node as `true` or `false`."""
    if not isinstance(node, ScalarNode) or not isinstance(node.value, bool):
        raise wrong(node.mark, key, f"is {node.kind}, must be true or false", "write true or false without quotes")
    return node.value


def read_scalar(node: Node, key: str) -> Scalar:
    """Return the node as text, integer or boolean."""
    if not isinstance(node, ScalarNode) or node.value is None:
        raise wrong(
            node.mark, key, f"is {node.kind}, must be one value", 'write text, a number, true or false ("" for none)'
        )
    return node.value


def read_list(node: Node, key: str) -> tuple[Node, ...]:
    """Return the items of a list; a single value is not taken for a list of one."""
    if not isinstance(node, ListNode):
        raise wrong(node.mark, key, f"is {node.kind}, must be a list", "write [a, b]")
    return node.items


def read_texts(node: Node, key: str) -> tuple[str, ...]:
    """Return a list of texts."""
    return tuple(read_text(item, key) for item in read_list(node, key))


def read_duration_ms(node: Node, key: str) -> int:
    """Return a duration in milliseconds: a number is seconds, text may carry a unit (`500ms`, `2m`); 0 is refused."""
    value = read_scalar(node, key)
    try:
        return parse_duration_ms(str(value), flag=shown(key))
    except UsageError as error:
        raise ConfigError(f"{node.mark}: {error}") from error
