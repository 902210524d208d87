"""Traits: layers over each other, and comparison in natural order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigo.core.errors import ConfigError
from vigo.core.nodes import Entry, ListNode, MapNode, Mark, Node, ScalarNode
from vigo.core.traits import EMPTY, REGEX_MAX, Layer, compare, compile_regex, layer, read_traits, texts, walk

MARK = Mark("f.yaml", 1, 1)


def node(value: object) -> Node:
    """Return plain values as nodes."""
    if isinstance(value, dict):
        return MapNode({key: Entry(MARK, node(item)) for key, item in value.items()}, MARK)
    if isinstance(value, list):
        return ListNode(tuple(map(node, value)), MARK)
    assert value is None or isinstance(value, str | int | bool)
    return ScalarNode(value, MARK)


def read(value: dict[str, object]) -> Layer:
    """Return a map of traits as a layer."""
    tree = node(value)
    assert isinstance(tree, MapNode)
    return read_traits(tree)


def test_a_tree_is_read_as_dotted_paths() -> None:
    """Each leaf is one trait; lists stay whole."""
    found = read({"os": {"distro": "ubuntu", "kernel": {"major": 6}}, "tags": ["a", 1, True], "ssd": False})
    assert found.values == {"os.distro": "ubuntu", "os.kernel.major": 6, "tags": ("a", 1, True), "ssd": False}
    assert found.branches == {"os", "os.kernel"}
    assert found == layer(found.values)
    tree = node({"a": {"b": 1}})
    assert isinstance(tree, MapNode)
    assert list(walk(tree)) == [("a.b", MARK, 1)]


@pytest.mark.parametrize(
    "value",
    [
        {"a.b": 1},
        {"a b": 1},
        {"": 1},
        {"a": None},
        {"a": [["b"]]},
        {"a": "x\x00y"},
        {"a": "\x9b"},
        {"a": ["x"] * 1_001},
    ],
)
def test_what_is_no_trait_is_refused(value: dict[str, object]) -> None:
    """A key with dots or blanks, nothing, a list in a list, control characters, a list without end."""
    with pytest.raises(ConfigError, match=r"^f\.yaml:1:1: .*; "):
        read(value)


def test_lines_of_text_are_a_value() -> None:
    """A newline and a tab are text; a character that is not printable only for its direction is too."""
    assert read({"a": "x\n\ty\u200e"}).values == {"a": "x\n\ty\u200e"}


trees = st.recursive(
    st.sampled_from(["x", 1, True]),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, min_size=1, max_size=3),
    max_leaves=6,
)
maps = st.dictionaries(st.sampled_from("abc"), trees, max_size=3)


def merged(below: dict[str, object], above: dict[str, object]) -> dict[str, object]:
    """Merge trees key by key, the way it is defined."""
    result = dict(below)
    for key, value in above.items():
        under = result.get(key)
        result[key] = merged(under, value) if isinstance(value, dict) and isinstance(under, dict) else value
    return result


@given(maps, maps)
def test_layers_merge_key_by_key(below: dict[str, object], above: dict[str, object]) -> None:
    """The upper one wins; a value over a map, or a map over a value, takes the whole key."""
    expected = read(merged(below, above))
    found = read(above).over(read(below))
    assert (found.values, found.branches) == (expected.values, expected.branches)
    assert layer(read(above).values).over(layer(read(below).values)).values == expected.values


def test_a_layer_that_says_nothing_changes_nothing() -> None:
    """It is the other layer itself, so that hosts share one map."""
    some = layer({"a": 1})
    assert EMPTY.over(some) is some
    assert some.over(EMPTY) is some


def test_values_are_compared_by_their_text() -> None:
    """As they would be written in a target."""
    assert texts(value=True) == ("true",)
    assert texts(("a", 8, False)) == ("a", "8", "false")


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ("9", "10"), ("-10", "-9"), ("22.04", "24.04"), ("24.04", "24.04.1"), ("1.9", "1.10"), ("a2", "a10"), ("", "a"),
        ("web", "web2"), ("5.10.0-8", "5.10.0-10"), ("a", "1"), ("9" * 5_000, "1" + "0" * 5_000),
    ],
)  # fmt: skip
def test_order_is_natural(less: str, more: str) -> None:
    """Versions and numbers are ordered as people do, of any length."""
    assert compare(less, more) < 0 < compare(more, less)


def test_leading_zeros_do_not_count() -> None:
    """24.4 and 24.04 are the same version."""
    assert compare("24.4", "24.04") == 0


@given(st.integers(-(10**20), 10**20), st.integers(0, 10**20))
def test_whole_numbers_are_ordered_as_numbers(one: int, other: int) -> None:
    """Also where only one of them is short enough for arithmetic."""
    if one >= 0 or (abs(one) < 10**17 and other < 10**17):
        assert (compare(str(one), str(other)) > 0) == (one > other)


@given(st.lists(st.text(alphabet="0129.ab-", max_size=6), min_size=3, max_size=3))
def test_order_is_an_order(words: list[str]) -> None:
    """It is the same from both sides."""
    one, other, _ = words
    assert (compare(one, other) < 0) == (compare(other, one) > 0)


@pytest.mark.parametrize(
    "pattern",
    ["^web[0-9]+$", r"\d{1,3}\.", "a|b", "(a|b)-(c|d)?", "[(*]+", r"\(+", "(?:ab)+", "(?i)x", "[]+]*", r"(\0)"],
)
def test_an_ordinary_pattern_compiles(pattern: str) -> None:
    """Python's regular expressions, found anywhere in the value."""
    compile_regex(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+",
        "(a|a)*",
        "((a*)b)*",
        "(a{1,9}){9}",
        "a*b*c*d*e*",
        r"(a)\1",
        "(?P<x>a)(?P=x)",
        "(",
        ")",
        "*",
        "a{99999999999}",
        "[[a]]",
        "x" * (REGEX_MAX + 1),
    ],
)
def test_a_pattern_that_could_run_for_ever_is_refused(pattern: str) -> None:
    """And one that is no pattern; both with a way out."""
    with pytest.raises(ValueError, match="; "):
        compile_regex(pattern)
