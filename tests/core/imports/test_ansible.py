from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigo.adapters.inventory_yaml import parse
from vigo.core.errors import ConfigError
from vigo.core.imports.ansible import convert
from vigo.core.imports.ansible_ini import read_ini
from vigo.core.imports.ansible_source import Fleet, Group, Machine, Variable
from vigo.core.imports.document import Document, Imported, Notes
from vigo.core.imports.writing import write
from vigo.core.inventory import Inventory, lineage
from vigo.core.inventory_build import build
from vigo.core.nodes import Mark

MARK = Mark("hosts", 3, 1)


def imported(text: str) -> Imported:
    """Import an INI inventory."""
    fleet = Fleet()
    read_ini(text, "hosts", fleet)
    return convert(fleet, Notes())


def read(document: Document) -> Inventory:
    """Read a document back through the strict loader."""
    return build([parse(write(document, "a test").encode(), "made.yaml")], "made.yaml")


def traits(document: Document) -> dict[str, dict[str, object]]:
    """Return what each host ends up with."""
    return {host.name: dict(host.traits) for host in read(document).hosts}


def test_a_group_of_several_parents_stands_in_the_first_and_its_hosts_in_all() -> None:
    """Targets find the hosts by each of the groups that Ansible had them in."""
    made = imported("[web]\nw1\n[prod:children]\nweb\n[fra:children]\nweb\n[east:children]\nfra\n")
    assert list(made.document.groups) == ["prod.web", "prod", "east.fra", "east"]
    (host,) = read(made.document).hosts
    assert set(lineage(host.groups)) == {"prod", "prod.web", "east", "east.fra"}
    assert made.notes == (
        "note: group web has several parents and stands in prod; its hosts are also listed in east.fra",
    )


def test_values_stay_where_they_were_said_unless_that_would_change_them() -> None:
    """On the group where all hosts below agree with it, on the host where not."""
    document = imported(
        "[web]\nw1\nw2 tier=own\n[prod:children]\nweb\n[prod:vars]\ntier=prod\nsite=fra\n[web:vars]\nsite=ams\n[all:vars]\nntp=a\n"
    ).document
    assert document.defaults == {"traits.ntp": "a"}
    assert document.groups["prod"] == {"traits.tier": "prod", "traits.site": "fra"}
    assert document.groups["prod.web"] == {"traits.site": "ams"}
    assert [host.values for host in document.hosts] == [{}, {"traits.tier": "own"}]


def test_a_value_that_some_host_must_not_have_stands_on_no_group() -> None:
    """A template over a plain value takes it away, here as there."""
    document = imported("[web]\nw1\nw2 site={{x}}\n[web:vars]\nsite=fra\n").document
    assert document.groups["web"] == {}
    assert traits(document) == {"w1": {"site": "fra"}, "w2": {}}


def test_groups_of_one_depth_win_by_priority_and_then_by_name() -> None:
    """And a deeper group wins over all of them."""
    text = "[a]\nw1\n[b]\nw1\n[c]\nw1\n[d]\nw1\n[top:children]\nd\n"
    text += "".join(f"[{group}:vars]\nx={group}\ny={group}\n{group}={group}\n" for group in "abc") + "[d:vars]\ny=d\n"
    assert traits(imported(text).document)["w1"] == {"x": "c", "y": "d", "a": "a", "b": "b", "c": "c"}
    assert traits(imported(text + "[a:vars]\nansible_group_priority=9\n").document)["w1"]["x"] == "a"


def test_hosts_of_no_group_have_the_variables_of_ungrouped() -> None:
    """It is no group of vigo's: its hosts say them themselves."""
    document = imported("lone\n[web]\nw1\n[ungrouped:vars]\nx=1\n").document
    assert list(document.groups) == ["web"]
    assert traits(document) == {"lone": {"x": 1}, "w1": {}}


def test_what_is_nested_too_deeply_begins_at_the_top_again() -> None:
    """No inventory may be nested so deeply; the hosts stay in all their groups."""
    chain = [f"g{number}" for number in range(20)]
    text = "".join(f"[{outer}:children]\n{inner}\n" for outer, inner in pairwise(chain)) + "[g19]\nw1\n"
    made = imported(text)
    (host,) = read(made.document).hosts
    assert {path.rpartition(".")[2] for path in lineage(host.groups)} == set(chain)
    assert made.notes[0] == "note: group g8 is nested deeper than 8 levels and stands at the top"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[web]\nw1\n[Web]\nw2\n", "hosts:3:1: Web: differs only in case from the group at hosts:1:1"),
        ("[web.x]\nw1\n", "hosts:1:1: web.x: is no name for a group; nest groups"),
    ],
)
def test_groups_that_vigo_cannot_have_are_refused(text: str, said: str) -> None:
    """With the place where they were made."""
    with pytest.raises(ConfigError) as caught:
        imported(text)
    assert said in str(caught.value)


def test_host_keys_and_addresses_are_each_hosts_own() -> None:
    """A group may not say for others that keys go unchecked."""
    options = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
    made = imported(f"[web]\nw1\nw2\n[web:vars]\nansible_ssh_common_args='{options}'\nansible_host=10.0.0.1\n")
    assert made.document.groups["web"] == {}
    assert [host.values for host in made.document.hosts] == [{"ssh.host_keys": "insecure", "address": "10.0.0.1"}] * 2
    assert made.notes[-1].startswith("warning: 2 hosts with host_keys: insecure")


def test_hosts_that_are_not_reached_by_ssh_are_left_out() -> None:
    """Vigo would otherwise run commands where Ansible never logged in."""
    made = imported("localhost ansible_connection=local\n[win]\nw1\n[win:vars]\nansible_connection=winrm\n[ssh]\ns1\n")
    assert [host.name for host in made.document.hosts] == ["s1"]
    assert made.notes == (
        "left out: host localhost: is reached by ansible_connection=local, and vigo reaches hosts by SSH alone (hosts:1:1)",
        "left out: host w1: is reached by ansible_connection=winrm, and vigo reaches hosts by SSH alone (hosts:5:1)",
    )


# --- a model of Ansible's rules in a few lines


NAMES = [f"g{number}" for number in range(6)]
SAID = st.dictionaries(st.sampled_from(["x", "y", "z"]), st.sampled_from(["a", "b", "{{t}}"]), max_size=2)


@st.composite
def fleets(draw: st.DrawFn) -> Fleet:
    """Make a fleet of any shape: edges lead from earlier to later groups, variables stand anywhere."""
    fleet = Fleet()
    for name in NAMES:
        group = fleet.group(name, MARK)
        group.priority = draw(st.integers(1, 3))
    for at, parent in enumerate(NAMES):
        for child in (
            draw(st.lists(st.sampled_from(NAMES[at + 1 :]), max_size=2, unique=True)) if NAMES[at + 1 :] else ()
        ):
            fleet.nest(parent, child, MARK)
    for host in ("h1", "h2", "h3"):
        fleet.host(host, "all", MARK, {})
        for group_name in draw(st.lists(st.sampled_from(NAMES), max_size=3)):
            fleet.host(host, group_name, MARK, {})
    items: list[Group | Machine] = [*fleet.groups.values(), *fleet.hosts.values()]
    for item in items:
        item.inline.update(variables(draw(SAID)))
        item.filed.update(variables(draw(SAID)))
    return fleet


def variables(said: Mapping[str, str]) -> dict[str, Variable]:
    """Return texts as variables."""
    return {name: Variable(value, MARK) for name, value in said.items()}


def depth(fleet: Fleet, name: str) -> int:
    """Return how deep a group stands below `all`."""
    return 1 + max((depth(fleet, parent) for parent in fleet.groups[name].parents), default=0)


def above(fleet: Fleet, name: str) -> set[str]:
    """Return a group and all above it."""
    return {name}.union(*(above(fleet, parent) for parent in fleet.groups[name].parents))


@given(fleet=fleets())
def test_every_host_ends_up_with_what_ansible_would_give_it(fleet: Fleet) -> None:
    """In whatever groups: the same memberships, the same values, none too many and none too few."""
    made = read(convert(fleet, Notes()).document)
    for machine in fleet.hosts.values():
        host = made.require(machine.name)
        groups = set().union(*(above(fleet, name) for name in machine.groups)) if machine.groups else set()
        assert {path.rpartition(".")[2] for path in lineage(host.groups)} == groups
        ordered = sorted(
            groups or {"ungrouped"}, key=lambda name: (depth(fleet, name), fleet.groups[name].priority, name)
        )
        layers = [fleet.groups[name].inline for name in ("all", *ordered)]
        layers += [fleet.groups[name].filed for name in ("all", *ordered)]
        wanted = {
            name: variable.value
            for layer in (*layers, machine.inline, machine.filed)
            for name, variable in layer.items()
        }
        assert dict(host.traits) == {name: value for name, value in wanted.items() if value != "{{t}}"}
