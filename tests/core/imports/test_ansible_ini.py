from __future__ import annotations

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigo.core.errors import ConfigError
from vigo.core.imports.ansible_ini import literal, looks_like_yaml, read_ini
from vigo.core.imports.ansible_source import Fleet, Value


def fleet_of(text: str) -> Fleet:
    """Read a text."""
    fleet = Fleet()
    read_ini(text, "hosts", fleet)
    return fleet


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("web", "web"),
        ("80", 80),
        ("-5", -5),
        ("80 # why", 80),
        ("1.10", "1.10"),
        ("-0.5", "-0.5"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("0644", "0644"),
        ("+5", "+5"),
        ("True", True),
        ("False", False),
        ("None", None),
        ("true", "true"),
        ("yes", "yes"),
        ("'80'", "80"),
        ('"a b"', "a b"),
        ("['a', 1, 2.50, True]", ["a", 1, "2.50", True]),
        ("('a',)", ["a"]),
        ("{'a'}", ["a"]),
        ("{'a': [1]}", {"a": [1]}),
        ("{**x}", "{**x}"),
        ("2001:db8::1", "2001:db8::1"),
        ("2026-03-13", "2026-03-13"),
        ("a, b", "a, b"),
        ("f(x)", "f(x)"),
        ("1 + 2", "1 + 2"),
        ("...", "..."),
        ("'open", "'open"),
        (r"'\d'", r"\d"),
        ("[" * 500, "[" * 500),
        ("\0", "\0"),
        ("9" * 5000, "9" * 5000),
        ("", ""),
    ],
)
def test_a_value_is_a_literal_of_python_or_text(text: str, value: Value) -> None:
    """As Ansible reads it, but for numbers that are no plain decimals: those keep the way they are written."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert literal(text) == value
    assert type(literal(text)) is type(value)


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_no_text_is_too_odd_to_be_a_value(text: str) -> None:
    """It is a literal, or it is itself."""
    literal(text)


def test_hosts_groups_children_and_variables_are_read() -> None:
    """Comments, blank lines, quotes and sections in any order; hosts before the first section are in no group."""
    fleet = fleet_of(
        "; a comment\nlone\n[web] # the web\nw[1:2]:22 a=1 b='x y' # why\n\n[prod:children]\nweb # too\ndb\n"
        "[db]\n[prod:vars]\n a = 'q' \nb=c=d\n[all:vars]\nc=\n"
    )
    assert list(fleet.hosts) == ["lone", "w1", "w2"]
    assert fleet.hosts["lone"].groups == []
    assert {name: variable.value for name, variable in fleet.hosts["w2"].inline.items()} == {
        "ansible_port": 22,
        "a": 1,
        "b": "x y",
    }
    assert fleet.groups["web"].parents == fleet.groups["db"].parents == ["prod"]
    assert {name: variable.value for name, variable in fleet.groups["prod"].inline.items()} == {"a": "q", "b": "c=d"}
    assert fleet.groups["all"].inline["c"].value == ""
    assert str(fleet.groups["prod"].inline["a"].mark) == "hosts:11:2"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[web:hosts]\n[web:kids]\n", "hosts:2:1: web: is a section of the unknown kind 'kids'"),
        ("[we b]\n", "hosts:1:1: [we b]: is no section"),
        ("[web:vars]\na=1\n", "hosts:1:1: web: has variables and is declared nowhere; write [web] somewhere"),
        ("[web:children]\ndb\n", "hosts:2:1: db: is a child of web and declared nowhere"),
        ("[web:children]\na b\n", "hosts:2:1: web:children: holds something that is no group"),
        ("[web]\n[web:vars]\nnothing\n", "hosts:3:1: web:vars: holds a line that is no variable"),
        ("w1 'open\n", "hosts:1:1: line: has quotes that do not end"),
        ("w1 geheim\n", "hosts:1:1: w1: is followed by something that is no variable"),
    ],
)
def test_a_line_that_is_none_is_named_and_its_value_is_not(text: str, said: str) -> None:
    """The line and the way out; a password in the wrong place stays out of the message."""
    with pytest.raises(ConfigError) as caught:
        fleet_of(text)
    assert said in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_a_file_without_a_telling_name_is_known_by_its_first_line() -> None:
    """Three dashes, a brace or a colon at the end are YAML."""
    for text in ("---\nall:\n", "# x\nall:\n", "all:  # why\n", "{all: }"):
        assert looks_like_yaml(text.splitlines())
    for text in ("", "web\n", "[web]\n", "; all:\nweb a=b\n"):
        assert not looks_like_yaml(text.splitlines())
