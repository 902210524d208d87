"""Foreign values as traits, judged by the very rules that the inventory's loader has."""

from __future__ import annotations

from typing import Final

from vigo.core.errors import ConfigError
from vigo.core.imports.document import path_mark
from vigo.core.model import Scalar, TraitValue
from vigo.core.nodes import Entry, ListNode, MapNode, Node, ScalarNode
from vigo.core.traits import read_traits, read_value

_DIGITS_MAX: Final = 15
"""Of a whole number in an inventory."""
_ANYWHERE: Final = path_mark("")


class NoTraitError(ValueError):
    """A value or a key that no trait has; the message is the reason alone."""


def read_trait(path: str, value: object) -> TraitValue:
    """Return a value as the trait under a dotted path: text, a whole number, true or false, or a list of these.

    Numbers of more than 15 digits become text. Raises NoTraitError for what can be no trait.
    """
    check_path(path)
    if isinstance(value, dict):
        raise NoTraitError("is a map, and a trait is one value or a list")
    taken = tuple(map(_scalar, value)) if isinstance(value, list) else _scalar(value)
    node: Node = ScalarNode(taken, _ANYWHERE) if not isinstance(taken, tuple) else _list(taken)
    try:
        return read_value(node, path)
    except ConfigError as error:
        raise NoTraitError("holds a control character, or is a list of more than 1,000 items") from error


def check_path(path: str) -> None:
    """Raise NoTraitError unless a trait may stand under this dotted path."""
    try:
        for key in path.split("."):
            read_traits(MapNode({key: Entry(_ANYWHERE, ScalarNode("", _ANYWHERE))}, _ANYWHERE))
    except ConfigError as error:
        raise NoTraitError("is no trait's key, which has letters, digits, _ and -, at most 63") from error


def _list(items: tuple[Scalar, ...]) -> ListNode:
    return ListNode(tuple(ScalarNode(item, _ANYWHERE) for item in items), _ANYWHERE)


def _scalar(value: object) -> Scalar:
    """Return one value. Raises NoTraitError for anything else."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 10**_DIGITS_MAX else str(value)
    if value is None:
        raise NoTraitError("has no value")
    if not isinstance(value, str):
        raise NoTraitError("is a list that holds lists or maps")
    if any("\ud800" <= sign <= "\udfff" for sign in value):
        raise NoTraitError("holds half a character")
    return value
