"""Readers of YAML nodes: strict about types, precise about places."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vigo.core.errors import ConfigError
from vigo.core.nodes import (
    Entry,
    ListNode,
    MapNode,
    Mark,
    Node,
    ScalarNode,
    read_bool,
    read_duration_ms,
    read_int,
    read_list,
    read_map,
    read_scalar,
    read_text,
    read_texts,
    refuse_unknown,
    shown,
)

MARK = Mark("f.yaml", 3, 7)
TEXT, EMPTY, NUMBER, FLAG, NOTHING = (ScalarNode(value, MARK) for value in ("2m", "", 5, True, None))
LIST, MAP = ListNode((TEXT,), MARK), MapNode({"a": Entry(MARK, TEXT)}, MARK)


def read_port(node: Node, key: str) -> int:
    """Read a number with bounds."""
    return read_int(node, key, least=1, most=9)


@pytest.mark.parametrize(
    ("read", "node", "value"),
    [
        (read_text, TEXT, "2m"),
        (read_port, NUMBER, 5),
        (read_bool, FLAG, True),
        (read_scalar, EMPTY, ""),
        (read_list, LIST, (TEXT,)),
        (read_texts, LIST, ("2m",)),
        (read_map, MAP, MAP),
        (read_duration_ms, TEXT, 120_000),
        (read_duration_ms, NUMBER, 5_000),
    ],
)
def test_the_right_type_is_read(read: Callable[[Node, str], object], node: Node, value: object) -> None:
    """Each reader gives the plain value."""
    assert read(node, "key") == value


@pytest.mark.parametrize(
    ("read", "node", "reason"),
    [
        (read_text, NUMBER, "is a number, must be text; quote it"),
        (read_text, FLAG, "is true or false, must be text; quote it"),
        (read_text, LIST, "is a list, must be text; write a text"),
        (read_text, NOTHING, "is nothing, must be text; write a text"),
        (read_text, EMPTY, "is empty; write a text or leave the key out"),
        (read_port, TEXT, "is text, must be a number; write 1-9 without quotes"),
        (read_port, FLAG, "is true or false, must be a number"),
        (read_port, LIST, "is a list, must be a number"),
        (read_port, ScalarNode(10, MARK), "10 is out of bounds; write 1-9"),
        (read_bool, NUMBER, "is a number, must be true or false"),
        (read_bool, MAP, "is a map, must be true or false"),
        (read_scalar, NOTHING, "is nothing, must be one value"),
        (read_scalar, MAP, "is a map, must be one value"),
        (read_list, TEXT, "is text, must be a list"),
        (read_map, NOTHING, "is nothing, must be a map"),
        (read_map, LIST, "is a list, must be a map"),
        (read_duration_ms, FLAG, "'True' is not a duration"),
    ],
)
def test_another_type_is_refused_with_its_place(read: Callable[[Node, str], object], node: Node, reason: str) -> None:
    """`file:line:column: key: reason; way out`."""
    with pytest.raises(ConfigError) as caught:
        read(node, "key")
    assert str(caught.value).startswith(f"f.yaml:3:7: key: {reason}")


def test_empty_values_pass_where_they_mean_something() -> None:
    """A host without a body; a description left blank."""
    assert read_map(NOTHING, "key", empty=True).entries == {}
    assert read_text(EMPTY, "key", empty=True) == ""
    with pytest.raises(ConfigError):
        read_map(TEXT, "key", empty=True)


def test_an_unknown_key_is_refused_with_the_nearest() -> None:
    """Or with all that are known; or as one of a later version."""
    refuse_unknown(MAP, ("a", "b"))
    for known, later, reason in (
        (("ab",), (), "a: unknown key; did you mean 'ab'?"),
        (("user", "port"), (), "a: unknown key; known here: user, port"),
        (("user",), ("a",), "a: not yet supported; leave it out"),
    ):
        with pytest.raises(ConfigError, match=r"^f\.yaml:3:7: ") as caught:
            refuse_unknown(MAP, known, later=later)
        assert reason in str(caught.value)


def test_a_map_can_be_asked_and_walked() -> None:
    """By key, and in the file's order."""
    assert MAP.get("a") is TEXT
    assert MAP.get("b") is None
    assert list(MAP) == [("a", MARK, TEXT)]
    assert (MAP.kind, LIST.kind, TEXT.kind) == ("a map", "a list", "text")


def test_foreign_text_is_shown_in_one_short_line() -> None:
    """Cut, and what could drive a terminal escaped."""
    assert shown("plain") == "plain"
    assert shown("a\x1b[2J\n") == "a\\x1b[2J\\n"
    assert len(shown("x" * 500)) == 40
