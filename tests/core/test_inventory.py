"""The inventory: precedence, origins, identity, and what is worth a look."""

from __future__ import annotations

from uuid import NAMESPACE_DNS, uuid5

import pytest

from vigo.core.errors import ConfigError, NoMatchError
from vigo.core.inventory import Gathered, Inventory, Origin, lineage, origins
from vigo.core.inventory_build import build
from vigo.core.inventory_check import check
from vigo.core.inventory_names import check_address, check_group, check_name, did_you_mean, nearest
from vigo.core.model import Host, SshSettings
from vigo.core.nodes import Entry, ListNode, MapNode, Mark, Node, ScalarNode


class Place:
    """Gives each node a line of its own, as a file does."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.line = 0

    def node(self, value: object) -> Node:
        """Return plain values as nodes."""
        self.line += 1
        mark = Mark(self.file, self.line, 1)
        if isinstance(value, dict):
            return MapNode(
                {key: Entry(Mark(self.file, self.line + 1, 1), self.node(item)) for key, item in value.items()}, mark
            )
        if isinstance(value, list):
            return ListNode(tuple(map(self.node, value)), mark)
        assert value is None or isinstance(value, str | int | bool)
        return ScalarNode(value, mark)


def fleet(*documents: dict[str, object]) -> Inventory:
    """Build an inventory from plain values, as if each came from a file of its own."""
    nodes = [Place(f"{number}.yaml").node(document) for number, document in enumerate(documents, 1)]
    return build([node for node in nodes if isinstance(node, MapNode)], "inventory")


LAYERED: dict[str, object] = {
    "defaults": {"ssh": {"user": "ops", "port": 22, "connect_timeout": "3s"}, "traits": {"a": 0, "b": 0, "c": 0, "d": 0, "e": 0}},
    "groups": {
        "prod": {"ssh": {"port": 2200, "known_hosts": "~/known"}, "traits": {"b": 1, "c": 1, "d": 1, "e": 1}, "groups": {
            "web": {"ssh": {"user": "www", "identity": "~/.ssh/web"}, "traits": {"c": 2, "d": 2, "e": 2}},
            "canary": {"traits": {"d": 3, "e": 3}},
        }},
        "edge": None,
    },
    "hosts": {
        "w1": {"groups": ["prod.web", "prod.canary"], "ssh": {"address": "10.0.0.1"}, "traits": {"e": 4}},
        "w2": {"groups": ["prod.canary", "prod.web"]},
        "W3": None,
        "w4": {"groups": ["prod.canary", "prod.web"], "address": "10.0.0.4"},
    },
}  # fmt: skip


def test_precedence_rises_from_the_defaults_to_the_host() -> None:
    """Defaults, outer group, inner group, later group, host; key by key, an ancestor once."""
    w1, w2, w3, _ = fleet(LAYERED).hosts
    assert dict(w1.traits) == {"a": 0, "b": 1, "c": 2, "d": 3, "e": 4}
    assert dict(w2.traits) == {"a": 0, "b": 1, "c": 2, "d": 2, "e": 2}
    assert dict(w3.traits) == dict.fromkeys("abcde", 0)
    assert w1.ssh == SshSettings("www", 2200, "~/.ssh/web", "~/known", 3_000)
    assert w3.ssh == SshSettings("ops", 22, None, None, 3_000)
    assert (w1.address, w2.address, w3.endpoint) == ("10.0.0.1", None, "W3")


def test_hosts_share_what_is_equal() -> None:
    """10,000 hosts of one group keep one map of traits and one value of settings."""
    hosts = fleet(LAYERED).hosts
    assert hosts[1].ssh is hosts[3].ssh
    ranged = fleet({"hosts": {"n[1-3]": {"traits": {"a": 1}}}}).hosts
    assert ranged[0].traits is ranged[2].traits
    assert ranged[0].ssh is ranged[2].ssh


def test_each_value_names_its_origin() -> None:
    """The layer that won, and its file and line."""
    inventory = fleet(LAYERED)
    found = {origin.key: origin for origin in origins(inventory, inventory.require("w1"))}
    assert {key: origin.layer for key, origin in found.items()} == {
        "uuid": "derived",
        "address": "host",
        "ssh.user": "group prod.web",
        "ssh.port": "group prod",
        "ssh.identity": "group prod.web",
        "ssh.known_hosts": "group prod",
        "ssh.connect_timeout_ms": "defaults",
        "traits.a": "defaults",
        "traits.b": "group prod",
        "traits.c": "group prod.web",
        "traits.d": "group prod.canary",
        "traits.e": "host",
    }
    assert all(origin.place.startswith("1.yaml:") for key, origin in found.items() if key != "uuid")


def test_gathered_traits_lie_under_those_of_the_file() -> None:
    """What the file says wins, and the origin says which is which."""
    seen = Gathered({"e": 9, "os.distro": "debian", "e.f": 1}, "2026-03-13T12:30:01.042Z", "t1a2b3c4")
    inventory = fleet(LAYERED).with_traits({"w1": seen, "gone": seen})
    host = inventory.require("w1")
    assert (host.traits["e"], host.traits["os.distro"]) == (4, "debian")
    assert Origin("traits.os.distro", "debian", "gathered", "2026-03-13T12:30:01.042Z") in origins(inventory, host)
    assert inventory.require("w2") == fleet(LAYERED).require("w2")
    # What the file overrules, in whole or by a value in its way, is no longer there as gathered.
    assert inventory.gathered == {"w1": Gathered({"os.distro": "debian"}, seen.at, seen.task)}


def test_a_host_made_by_hand_has_origins_too() -> None:
    """An inventory needs no files behind it."""
    host = Host("a", "u", groups=("g",))
    assert origins(Inventory((host,)), host) == (Origin("uuid", "u", "derived"),)


def test_a_host_is_found_ignoring_case() -> None:
    """And one that is not there is an error with the nearest names."""
    inventory = fleet(LAYERED)
    assert inventory.get("w3") is inventory.get("W3") is inventory.hosts[2]
    assert inventory.get("w9") is None
    with pytest.raises(NoMatchError, match=r"host 'web-1': not in the inventory inventory; did you mean Web-01\?"):
        fleet({"hosts": {"Web-01": None}}).require("web-1")
    with pytest.raises(NoMatchError, match="`vigo inventory list` shows all hosts"):
        inventory.require("zzz")


def test_the_uuid_is_the_hosts_own_or_follows_from_its_name() -> None:
    """The same name has the same UUID on every control node, in whatever case it is written."""
    one, other = fleet({"hosts": {"A": None, "b": {"uuid": "6F1C6A3E-5F0E-4C39-9D0F-0D2B0D6B6F11"}}}).hosts
    assert one.uuid == str(uuid5(NAMESPACE_DNS, "a"))
    assert other.uuid == "6f1c6a3e-5f0e-4c39-9d0f-0d2b0d6b6f11"


def test_a_uuid_that_another_host_derives_is_refused() -> None:
    """Wherever the one that was written out stands."""
    for names in (("a", "b"), ("b", "a")):
        hosts = {name: {"uuid": str(uuid5(NAMESPACE_DNS, "a"))} if name == "b" else None for name in names}
        with pytest.raises(ConfigError, match=r"uuid: [ab] and [ab] have the same one"):
            fleet({"hosts": hosts})


def test_files_are_merged_and_never_overrule_each_other() -> None:
    """A group may be in two files, a value may not."""
    inventory = fleet(
        {"groups": {"g": {"traits": {"a": {"x": 1}}}}, "hosts": {"h": {"groups": ["g.i"]}}},
        {"groups": {"g": {"traits": {"a": {"y": 2}}, "groups": {"i": None}}}},
    )
    assert dict(inventory.hosts[0].traits) == {"a.x": 1, "a.y": 2}
    with pytest.raises(ConfigError, match=r"^2\.yaml:\d+:1: x: is listed twice, first at 1\.yaml:\d+:1; remove one"):
        fleet({"groups": {"g": {"traits": {"x": 1}}}}, {"groups": {"g": {"traits": {"x": 1}}}})


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"host": {}}, "host: unknown key"),
        ({"defaults": {"address": "x"}}, "address: unknown key"),
        ({"hosts": {"a[1-2": None}}, "no range"),
        ({"hosts": {"a[1-2]": None, "A2": None}}, "A2: is listed twice, first at"),
        ({"hosts": {"a[1-100001]": None}}, r"makes more than 100,000 hosts"),
        ({"hosts": {"a[1-100000]": None, "b": None}}, r"b: makes more than 100,000 hosts"),
        ({"hosts": {"a": {"address": "10.0.0.[1-3"}}}, "address: .*no range|no range"),
        ({"hosts": {"a[1-2]": {"address": "x"}}}, "is one address for 2 hosts"),
        ({"hosts": {"a[1-2]": {"address": "x[1-3]"}}}, "stands for 3 addresses"),
        ({"hosts": {"a[1-2]": {"address": ";[1-2]"}}}, "holds ;"),
        ({"hosts": {"a": {"address": "b", "ssh": {"address": "c"}}}}, "is also given at"),
        ({"hosts": {"a": {"uuid": "x"}}}, "is no UUID"),
        ({"hosts": {"a[1-2]": {"uuid": "6f1c6a3e-5f0e-4c39-9d0f-0d2b0d6b6f11"}}}, "stands on a range"),
        ({"hosts": {"a": {"groups": ["zzz"]}}}, "there is no group 'zzz'; add it under `groups:`"),
        ({"groups": {"g": None}, "hosts": {"a": {"groups": ["g", "g"]}}}, "'g' is listed twice"),
        ({"groups": {"g": {"ssh": {"address": "a b"}}}}, "address: a b holds a blank"),
        ({"groups": {"g": None, "G": None}}, "differs only in case"),
        ({"defaults": {"ssh": {"user": "a:b"}}}, "is no user name"),
        ({"defaults": {"ssh": {"identity": "-x"}}}, "begins with -"),
        ({"defaults": {"ssh": {"ciphers": "x"}}}, "ciphers: is text, must be a list"),
        ({"tasks": {"t": "x"}}, "t: is text, must be a map"),
    ],
)
def test_what_is_not_understood_is_refused(document: dict[str, object], reason: str) -> None:
    """At its place, in one form."""
    with pytest.raises(ConfigError, match=reason) as caught:
        fleet(document)
    assert str(caught.value).startswith("1.yaml:")


def test_addresses_come_from_the_host_or_its_layers() -> None:
    """A range of addresses for a range of hosts; one for all where only the ports differ; IPv6 without brackets."""
    inventory = fleet(
        {
            "defaults": {"ssh": {"address": "127.0.0.1"}},
            "hosts": {"a[1-2]": {"address": "10.0.0.[8-9]"}, "b[1-2]": {"ssh": None}, "c": {"address": "fe80::1%eth0"}},
        }
    )
    assert [host.address for host in inventory.hosts] == [
        "10.0.0.8",
        "10.0.0.9",
        "127.0.0.1",
        "127.0.0.1",
        "fe80::1%eth0",
    ]


@pytest.mark.parametrize(
    "name", ["web-01.example.com", "_x", "a" * 253, "bücher.example", "10.0.0.1", "fe80::1", "a+b"]
)
def test_an_ordinary_name_is_accepted(name: str) -> None:
    """Letters of any script, digits and what stands in addresses."""
    check_name(name, Mark("f", 1, 1))
    check_address(name, Mark("f", 1, 1))


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a" * 254,
        "-x",
        "a b",
        "a\tb",
        "a\nb",
        "a\x00b",
        "a\u202eb",
        "a\u00a0b",
        "all",
        "Not",
        "run:t1",
        *(f"a{sign}b" for sign in "\"'`;$()&|<>[],=!@*?~\\#{}^/"),
    ],
)
def test_a_name_that_means_something_elsewhere_is_refused(name: str) -> None:
    """To a shell, to a terminal, to a path, or to a target."""
    with pytest.raises(ConfigError, match=r"^f:1:1: .+: .+; .+"):
        check_name(name, Mark("f", 1, 1))


def test_a_group_is_called_by_a_plain_word() -> None:
    """Dots make paths of groups."""
    check_group("web-1_x", Mark("f", 1, 1))
    for name, way_out in (("a.b", "nest groups"), ("a b", "use letters"), ("x" * 64, "use letters")):
        with pytest.raises(ConfigError, match=way_out):
            check_group(name, Mark("f", 1, 1))


def test_lineage_names_ancestors_first_and_once() -> None:
    """In rising precedence."""
    assert lineage(["prod.web", "prod.canary", "prod"]) == ("prod", "prod.web", "prod.canary")
    assert lineage([]) == ()


def test_the_nearest_names_come_first() -> None:
    """What a word begins comes before what looks like it; far words are not named."""
    names = [f"web-{number:05d}.example.com" for number in range(10_000)]
    assert nearest("web-00042", names)[0] == "web-00042.example.com"
    assert nearest("WEB-00042.exmaple.com", names)[0] == "web-00042.example.com"
    assert nearest("zzz", names) == nearest("", names) == nearest("x", []) == ()
    assert did_you_mean("db01", ["db-01", "db-02"]) == "did you mean db-01 or db-02?"
    assert did_you_mean("zzz", ["db-01"]) == ""
    assert nearest("db-1", ["web-01.example.com", "db-01.example.com"]) == ("db-01.example.com",)
    assert nearest("web-01", ["web-02.example.com", "web-01.example.com"]) == ("web-01.example.com",)
    assert nearest("wb", ["prod", "prod.web"]) == ("prod.web",)
    assert nearest("prod.wbe", ["prod", "prod.web"])[0] == "prod.web"


def test_a_check_counts_and_warns() -> None:
    """Equal addresses, empty groups, no host: worth a look, and no error."""
    found = check(
        fleet({**LAYERED, "tasks": {"up": {"command": "uptime", "target": "@prod"}, "id": {"command": "id"}}})
    )
    assert (found.hosts, found.groups, found.tasks) == (4, 4, 2)
    assert found.warnings == ("group edge has no host",)
    shared = check(fleet({"hosts": {"a[1-2]": None, "b": {"address": "A1"}}}))
    assert shared.warnings == ("2 hosts share a1 port 22: a1, b; one machine may be meant twice",)
    assert check(fleet({})).warnings == ("there is no host; add one under `hosts:`",)


def test_a_check_reads_tasks_strictly() -> None:
    """A task that cannot run, and one whose target is none."""
    with pytest.raises(ConfigError, match="has no command"):
        check(fleet({"tasks": {"t": {"description": "x"}}}))
    with pytest.raises(ConfigError, match=r"^1\.yaml:\d+:1: t: target: this parenthesis is not closed"):
        check(fleet({"tasks": {"t": {"command": "id", "target": "(a"}}}))
