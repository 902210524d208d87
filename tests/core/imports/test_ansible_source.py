from __future__ import annotations

import pytest

from vigo.core.errors import ConfigError
from vigo.core.imports import ansible_source
from vigo.core.imports.ansible_source import Fleet, Variable, expand, order
from vigo.core.nodes import Mark

MARK = Mark("hosts", 3, 1)


@pytest.mark.parametrize(
    ("pattern", "names", "port"),
    [
        ("web", ["web"], None),
        ("web:2222", ["web"], 2222),
        ("web[01:03].x", ["web01.x", "web02.x", "web03.x"], None),
        ("web[8:12:2]:22", ["web8", "web10", "web12"], 22),
        ("web[:2]", ["web0", "web1", "web2"], None),
        ("r[1:2]-[a:b]", ["r1-a", "r1-b", "r2-a", "r2-b"], None),
        ("db-[y:B]", ["db-y", "db-z", "db-A", "db-B"], None),
        ("db-[a:e:2]", ["db-a", "db-c", "db-e"], None),
        ("10.0.0.1:22", ["10.0.0.1"], 22),
        ("2001:db8::1", ["2001:db8::1"], None),
        ("[2001:db8::1]:22", ["2001:db8::1"], 22),
        ("[2001:db8:0:0:0:0:0:1]", ["2001:db8:0:0:0:0:0:1"], None),
        ("fe80::", ["fe80::"], None),
    ],
)
def test_host_patterns_stand_for_the_hosts_that_ansible_makes(pattern: str, names: list[str], port: int | None) -> None:
    """Padded, by letters, by steps, several in one name, with a port, IPv6 with and without brackets."""
    assert expand(pattern, MARK, room=100) == (names, port)


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("w[1:2:3:4]", "has a range that Ansible would not read"),
        ("w[1:5:0]", "has a range that Ansible would not read"),
        ("w[1:5:x]", "has a range that Ansible would not read"),
        ("w[1:]", "has a range that Ansible would not read"),
        ("w[01:100]", "has a range that Ansible would not read"),
        ("w[a:5]", "has a range that Ansible would not read"),
        ("w[5:1]", "has a range that runs backwards"),
        ("w[c:a]", "has a range that runs backwards"),
        ("w[0:999999999]", "makes more than 100,000 hosts"),
        ("w[0:50][0:50]", "makes more than 100,000 hosts"),
        ("w:", "ends with a colon and no port"),
        ("w:99999", "port: is no port"),
    ],
)
def test_a_pattern_that_is_none_is_refused_before_anything_is_made_of_it(pattern: str, said: str) -> None:
    """With its place."""
    with pytest.raises(ConfigError) as caught:
        expand(pattern, MARK, room=100)
    assert str(caught.value).startswith("hosts:3:1: ")
    assert said in str(caught.value)


def test_a_fleet_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over all patterns together, however many there are."""
    monkeypatch.setattr(ansible_source, "HOSTS_MAX", 3)
    fleet = Fleet()
    fleet.host("a[1:3]", "all", MARK, {})
    with pytest.raises(ConfigError, match="makes more than 3 hosts"):
        fleet.host("b", "all", MARK, {})


def test_the_depth_of_a_group_is_its_longest_way_from_all() -> None:
    """And what is above it is above it by any way; a group that is named again is the same group."""
    fleet = Fleet()
    for parent, child in (("all", "a"), ("a", "b"), ("b", "c"), ("a", "c"), ("x", "c"), ("a", "b")):
        fleet.group(parent, MARK)
        fleet.nest(parent, child, MARK)
    depths, above = order(fleet)
    assert depths == {"all": 0, "ungrouped": 1, "a": 1, "b": 2, "x": 1, "c": 3}
    assert above["c"] == {"a", "b", "x"}
    assert above["a"] == above["ungrouped"] == frozenset()


@pytest.mark.parametrize("child", ["all", "a", "b", "c"])
def test_a_group_below_itself_is_refused(child: str) -> None:
    """By however many steps."""
    fleet = Fleet()
    fleet.group("a", MARK)
    fleet.nest("a", "b", MARK)
    fleet.nest("b", "c", MARK)
    with pytest.raises(ConfigError, match=rf"hosts:3:1: {child}: would be below itself, by way of c"):
        fleet.nest("c", child, MARK)


def test_a_host_that_is_named_again_gains_groups_and_variables() -> None:
    """What comes later wins; the port behind a name gives way to a variable."""
    fleet = Fleet()
    one, two = Variable("1", MARK), Variable("2", MARK)
    fleet.host("web:22", "g", MARK, {"a": one})
    fleet.host("web", "h", MARK, {"a": two})
    fleet.host("web", "g", MARK, {})
    fleet.host("web", "ungrouped", MARK, {})
    host = fleet.hosts["web"]
    assert host.groups == ["g", "h"]
    assert host.inline["a"] is two
    assert host.inline["ansible_port"].value == 22


def test_a_priority_is_no_variable() -> None:
    """It orders groups of one depth; text that is no number is refused."""
    fleet = Fleet()
    fleet.group("g", MARK)
    fleet.assign("g", "ansible_group_priority", Variable(10, MARK))
    assert (fleet.groups["g"].priority, fleet.groups["g"].inline) == (10, {})
    with pytest.raises(ConfigError, match="ansible_group_priority: is no whole number"):
        fleet.assign("g", "ansible_group_priority", Variable("high", MARK))
