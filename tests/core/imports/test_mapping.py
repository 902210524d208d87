from __future__ import annotations

from typing import Any

import pytest

from vigo.core.errors import ConfigError, UsageError
from vigo.core.imports import mapping
from vigo.core.imports.document import Imported
from vigo.core.imports.mapping import convert, read_field, read_mapping, walk

UUID = "6F1C6A3E-5F0E-4C39-9D0F-0D2B0D6B6F11"


def made(document: Any, *maps: str, items: str = ".") -> Imported:
    """Convert a value."""
    return convert(document, read_field(items, "--items"), read_mapping(maps), "lister")


def test_a_list_of_objects_becomes_hosts() -> None:
    """Each value from the field that was named for it; groups nest by their dots."""
    document = {
        "data": [
            {"h": "web-01", "ip": "10.0.0.1", "id": UUID, "u": "ops", "p": 2222, "k": "~/.ssh/x"}
            | {"tags": {"dc": "fra", "odd key": [True]}, "roles": ["prod.web", "prod"], "tier": 7},
            {"h": 7, "tags": {"dc": "1.10"}, "roles": [], "tier": "b"},
        ]
    }
    maps = ["name=.h", "address=.ip", "uuid=.id", "ssh.user=.u", "ssh.port=.p", "ssh.identity=.k"]
    maps += ["trait.site.dc=.tags.dc", 'trait.odd=.tags."odd key"', "group=.roles", "group=.tier"]
    imported = made(document, *maps, items=".data")
    web, seven = imported.document.hosts
    assert (web.name, web.groups) == ("web-01", ("prod.web", "7"))
    assert web.values == {
        "address": "10.0.0.1",
        "uuid": UUID.lower(),
        "ssh.user": "ops",
        "ssh.port": 2222,
        "ssh.identity": "~/.ssh/x",
        "traits.site.dc": "fra",
        "traits.odd": (True,),
    }
    assert (seven.name, seven.groups, seven.values) == ("7", ("b",), {"traits.site.dc": "1.10"})
    assert imported.document.groups == {"prod": {}, "prod.web": {}, "7": {}, "b": {}}
    assert "left out: address: there is nothing under .ip (lister: .data[1])" in imported.notes


def test_an_object_of_objects_becomes_hosts_by_its_keys() -> None:
    """`@key` is the name; a value that no trait holds is left out and said."""
    imported = made({"a": {"x": {"y": 1}}, "b": {"x": None}}, "name=@key", "trait.x=.x")
    assert [host.name for host in imported.document.hosts] == ["a", "b"]
    assert imported.notes == (
        "left out: trait.x: is a map, and a trait is one value or a list (lister: .a)",
        "left out: trait.x: there is nothing under .x (lister: .b)",
    )


def test_a_list_of_texts_becomes_hosts() -> None:
    """`.` is the item itself."""
    assert [host.name for host in made(["a", "b"], "name=.").document.hosts] == ["a", "b"]


@pytest.mark.parametrize(
    ("field", "steps"),
    [
        (".", ()),
        (".a", ("a",)),
        (".a.b-c_d", ("a", "b-c_d")),
        (".a[0].b", ("a", 0, "b")),
        ("[1]", (1,)),
        ('."odd key".x', ("odd key", "x")),
        ('.a["odd.key"]', ("a", "odd.key")),
        (".[0]", (0,)),
    ],
)
def test_a_field_is_a_path(field: str, steps: tuple[str | int, ...]) -> None:
    """As people write it for jq."""
    assert read_field(field, "--items").steps == steps


def test_a_path_leads_to_a_value_or_to_nothing() -> None:
    """Never to an error."""
    value = {"a": [{"b": 1}], "c": "text"}
    assert walk(value, ("a", 0, "b")) == 1
    for steps in (("a", 1), ("a", "b"), ("c", 0), ("x", "y"), (0,)):
        assert walk(value, steps) is None


@pytest.mark.parametrize(
    ("maps", "said"),
    [
        ([], "--map: nothing says which field is the host's name"),
        (["name"], "--map name: is no mapping"),
        (["name=hostname"], "--map name: 'hostname' is no field; write .name"),
        (["name="], "--map name: the field is empty"),
        (["name=.a..b"], "--map name: '.a..b' is no field"),
        (["name=.a", "name=.b"], "--map name: is given twice"),
        (["name=.a", "adress=.b"], "--map adress: vigo has no such value of a host; did you mean address?"),
        (["name=.a", "zzz=.b"], "--map zzz: vigo has no such value of a host; known: name, address"),
        (["name=.a", "trait.a b=.b"], "--map trait.a b: is no trait's key"),
        (["name=.a", "trait.x=.b", "trait.x.y=.c"], "--map trait.x: trait.x.y stands below it"),
        (["name=.a", "trait.=.b"], "--map trait.: is no trait's key"),
    ],
)
def test_a_mapping_that_is_none_is_refused(maps: list[str], said: str) -> None:
    """Before anything is run."""
    with pytest.raises(UsageError) as caught:
        read_mapping(maps)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("document", "maps", "said"),
    [
        ([{"n": "a"}, {}], ["name=.n"], "lister: [1]: name: there is no text under .n; map another field, or mend it"),
        ([{"n": ["a"]}], ["name=.n"], "lister: [0]: name: there is no text under .n"),
        ([{"n": True}], ["name=.n"], "lister: [0]: name: there is no text under .n"),
        ([{"n": "a"}, {"n": "a"}], ["name=.n"], "lister: [1]: a: is listed twice, first at lister: [0]"),
        ([{"n": "a b"}], ["name=.n"], "lister: [0]: a b: holds a blank"),
        ([{"n": "a", "i": {}}], ["name=.n", "address=.i"], "lister: [0]: address: is no text"),
        ([{"n": "a", "i": "x y"}], ["name=.n", "address=.i"], "lister: [0]: address: x y holds a blank"),
        ([{"n": "a", "i": "x"}], ["name=.n", "uuid=.i"], "lister: [0]: uuid: 'x' is no UUID"),
        ([{"n": "a", "g": {}}], ["name=.n", "group=.g"], "lister: [0]: group: is no text and no list of texts"),
        ([{"n": "a", "g": "x y"}], ["name=.n", "group=.g"], "lister: [0]: x y: is no name for a group"),
        ([{"n": "a", "g": "a.b.c.d.e.f.g.h.i"}], ["name=.n", "group=.g"], "is nested deeper than 8 levels"),
        (
            [{"n": "a", "g": ["x", "X"]}],
            ["name=.n", "group=.g"],
            "lister: [0]: X: differs only in case from the group x",
        ),
        ({"a": 1}, ["name=.n"], "lister: .: holds no list and no object of objects; say with --items where"),
        ("x", ["name=.n"], "lister: .: holds no list and no object of objects"),
    ],
)
def test_an_item_that_cannot_be_a_host_is_named(document: Any, maps: list[str], said: str) -> None:
    """With its path in the JSON."""
    with pytest.raises(ConfigError) as caught:
        made(document, *maps)
    assert said in str(caught.value)


def test_items_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """As hosts are in an inventory."""
    monkeypatch.setattr(mapping, "HOSTS_MAX", 2)
    with pytest.raises(ConfigError, match="has more than 2 items"):
        made(["a", "b", "c"], "name=.")
