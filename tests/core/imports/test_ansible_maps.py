from __future__ import annotations

from typing import Any

import pytest

from tests.core.nodekit import map_node
from vigo.core.errors import ConfigError
from vigo.core.imports.ansible_maps import is_list_output, read_groups, read_list
from vigo.core.imports.ansible_source import Fleet
from vigo.core.imports.document import Notes


def groups_of(**groups: Any) -> tuple[Fleet, list[str]]:
    """Read maps of groups."""
    fleet, notes = Fleet(), Notes()
    read_groups(map_node(**groups), fleet, notes)
    return fleet, list(notes.lines())


def test_groups_in_groups_are_read() -> None:
    """With hosts, variables and children, each of which may be left empty; a single name may stand for a map."""
    fleet, notes = groups_of(
        all={
            "hosts": "lone",
            "vars": {"a": [1, {"b": "c"}]},
            "children": {"web": {"hosts": {"w[1:2]": {"x": 1}, "w3": None}, "vars": None}, "db": None},
        },
        prod={"children": "web", "note": "x"},
    )
    assert list(fleet.hosts) == ["lone", "w1", "w2", "w3"]
    assert fleet.hosts["w2"].inline["x"].value == 1
    assert fleet.groups["web"].parents == ["prod"]
    assert fleet.groups["all"].inline["a"].value == [1, {"b": "c"}]
    assert "db" in fleet.groups
    assert notes == [
        "left out: prod.note: is none of hosts, children, vars, and Ansible skips it, too (tasks.yaml:7:3)"
    ]


def test_the_configuration_of_a_plugin_is_no_inventory() -> None:
    """The way out is the program that runs plugins."""
    with pytest.raises(
        ConfigError, match="plugin: makes it the configuration of an inventory plugin; run `ansible-inv"
    ):
        groups_of(plugin="aws_ec2")


def test_what_ansible_inventory_lists_is_read() -> None:
    """Groups with hosts, children and variables, and each host's variables; encrypted ones are known as such."""
    document = {
        "_meta": {
            "hostvars": {
                "w1": {"a": 1, "v": {"__ansible_vault": "x"}, "u": {"__ansible_unsafe": "t"}, "m": {"k": 1}},
                "lone": None,
            }
        },
        "all": {"children": ["ungrouped", "web"]},
        "ungrouped": {"hosts": ["lone"]},
        "web": {"hosts": ["w1"], "vars": {"b": 2}},
        "old": ["w1", "w2"],
        "none": None,
    }
    assert is_list_output(document)
    fleet = Fleet()
    read_list(document, "list.json", fleet)
    assert list(fleet.hosts) == ["lone", "w1", "w2"]
    assert fleet.hosts["w1"].groups == ["web", "old"]
    assert {name: variable.value for name, variable in fleet.hosts["w1"].inline.items()} == {
        "a": 1,
        "v": "$ANSIBLE_VAULT",
        "u": "t",
        "m": {"k": 1},
    }
    assert str(fleet.hosts["w1"].inline["a"].mark) == "list.json: ._meta.hostvars.w1"
    assert fleet.groups["web"].inline["b"].value == 2


def test_lists_are_told_from_inventories_in_json() -> None:
    """Only what programs print has `_meta`, or lists of hosts."""
    assert is_list_output({"web": ["w1"]})
    assert is_list_output({"web": {"hosts": ["w1"]}})
    assert not is_list_output({"web": {"hosts": {"w1": None}}})
    assert not is_list_output(["w1"])


@pytest.mark.parametrize(
    "document",
    [
        {"web": {"hosts": [1]}},
        {"web": {"hosts": "w1"}},
        {"web": 1, "_meta": {}},
        {"_meta": {"hostvars": {"w1": []}}},
        {"_meta": []},
    ],
)
def test_a_list_of_another_shape_is_refused(document: dict[str, Any]) -> None:
    """With its path."""
    with pytest.raises(ConfigError, match=r"^list.json: \.\w+.*import what `ansible-inventory --list` prints"):
        read_list(document, "list.json", Fleet())
