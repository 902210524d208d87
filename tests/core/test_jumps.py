"""The way to a host through others: names of the inventory, hops of their own, circles, and what `--jump` takes."""

from __future__ import annotations

import pytest

from tests.core.nodekit import node
from vigo.core.errors import ConfigError, UsageError
from vigo.core.inventory import Inventory, origins, plain_ssh
from vigo.core.inventory_build import build
from vigo.core.jumps import HOPS_MAX, parse_jump
from vigo.core.model import Hop, HostKeyRule, SshSettings
from vigo.core.nodes import MapNode


def fleet(document: dict[str, object]) -> Inventory:
    """Build an inventory from plain values."""
    made = node(document)
    assert isinstance(made, MapNode)
    return build([made], "inventory")


def way(inventory: Inventory, name: str) -> list[str] | None:
    """Return the hops of a host as texts."""
    jump = inventory.require(name).ssh.jump
    return None if jump is None else list(map(str, jump))


def test_a_hop_of_the_inventory_has_the_settings_it_has_there() -> None:
    """Its address, user, port and keys; what is written beside its name wins."""
    inventory = fleet(
        {
            "hosts": {
                "web": {"ssh": {"jump": "Bastion"}},
                "db": {"ssh": {"jump": {"host": "bastion", "user": "other", "port": 22, "identity": "~/k"}}},
                "bastion": {"address": "10.0.0.1", "ssh": {"user": "ops", "port": 2200, "identity": "~/b"}},
                "free": None,
            }
        }
    )
    assert inventory.require("web").ssh.jump == (Hop("bastion", "10.0.0.1", SshSettings("ops", 2200, "~/b")),)
    assert inventory.require("db").ssh.jump == (Hop("bastion", "10.0.0.1", SshSettings("other", 22, "~/k")),)
    assert way(inventory, "free") is None


def test_a_way_for_all_may_stand_in_the_defaults() -> None:
    """The bastion itself is reached directly, the inner gateway by what stands before it."""
    inventory = fleet(
        {"defaults": {"ssh": {"jump": ["bastion", "gate"]}}, "hosts": {"web": None, "bastion": None, "gate": None}}
    )
    assert (way(inventory, "web"), way(inventory, "gate"), way(inventory, "bastion")) == (
        ["bastion", "gate"],
        ["bastion"],
        [],
    )


def test_the_first_hop_comes_by_its_own_way_and_the_others_do_not() -> None:
    """As `ssh -J` has it."""
    inventory = fleet(
        {
            "hosts": {
                "outer": None,
                "inner": {"ssh": {"jump": "outer"}},
                "web": {"ssh": {"jump": "inner"}},
                "db": {"ssh": {"jump": ["outer", "inner"]}},
                "direct": {"ssh": {"jump": "none"}},
                "far": {"ssh": {"jump": ["direct", {"host": "2001:db8::1", "user": "u", "port": 5}]}},
            }
        }
    )
    assert way(inventory, "web") == ["outer", "inner"]
    assert way(inventory, "db") == ["outer", "inner"]
    assert way(inventory, "direct") == []
    assert way(inventory, "far") == ["direct", "u@[2001:db8::1]:5"]
    hops = inventory.require("web").ssh.jump
    assert hops is not None
    assert [hop.ssh.jump for hop in hops] == [None, ()], "ssh_config may have a say about the first one alone"


def test_hosts_with_the_same_way_share_their_settings() -> None:
    """Ten thousand hosts behind one bastion are one setting."""
    hosts = fleet({"hosts": {"n[1-3]": {"ssh": {"jump": "b"}}, "m": {"ssh": {"jump": "b"}}, "b": None}}).hosts
    assert hosts[0].ssh is hosts[2].ssh
    assert hosts[0].ssh == hosts[3].ssh


def test_the_higher_layer_decides_between_a_jump_and_a_command() -> None:
    """They are one setting; in one map they contradict each other."""
    inventory = fleet(
        {
            "groups": {"a": {"ssh": {"jump": "b"}}, "p": {"ssh": {"proxy_command": "nc %h %p", "user": "u"}}},
            "hosts": {"b": None, "x": {"groups": ["a", "p"]}, "y": {"groups": ["p", "a"]}},
        }
    )
    assert inventory.require("x").ssh == SshSettings(user="u", proxy_command="nc %h %p")
    assert (way(inventory, "y"), inventory.require("y").ssh.proxy_command) == (["b"], None)


MANY: list[object] = [{"host": f"h{number}"} for number in range(HOPS_MAX + 1)]


@pytest.mark.parametrize(
    ("hosts", "reason"),
    [
        ({"a": {"ssh": {"jump": "b"}}, "b": {"ssh": {"jump": "a"}}}, "leads in a circle: a > b > a"),
        ({"a": {"ssh": {"jump": "bastoin"}}, "bastion": None}, r"no host 'bastoin'.*did you mean bastion.*\{host: bas"),
        ({"a": {"ssh": {"jump": "zzz"}}}, r"no host 'zzz'.*is it written right"),
        ({"a": {"ssh": {"jump": "ops@b"}}, "b": None}, "is no host of the inventory"),
        ({"a": {"ssh": {"jump": []}}}, "empty list"),
        ({"a": {"ssh": {"jump": ["b", {"host": "B"}]}}, "b": None}, "on the way twice"),
        ({"a": {"ssh": {"jump": MANY}}}, "at most 8"),
        ({"a": {"ssh": {"jump": {"user": "u"}}}}, "names no host"),
        ({"a": {"ssh": {"jump": {"host": "-x"}}}}, "begins with -"),
        ({"a": {"ssh": {"jump": {"hots": "x"}}}}, "did you mean 'host'"),
        ({"a": {"ssh": {"jump": 5}}}, "must be text"),
        ({"a": {"ssh": {"jump": "b", "proxy_command": "nc"}}, "b": None}, "a host has one way"),
        (
            {"a": {"ssh": {"jump": ["b", *MANY[2:]]}}, "b": {"ssh": {"jump": [{"host": "c"}, {"host": "d"}]}}},
            "has 10 hops, at most 8",
        ),
    ],
)
def test_a_way_that_leads_nowhere_is_refused_at_its_place(hosts: dict[str, object], reason: str) -> None:
    """Names that are not there, circles, contradictions."""
    with pytest.raises(ConfigError, match=rf"^tasks\.yaml:7:3: .*{reason}"):
        fleet({"hosts": hosts})


def test_a_flag_names_hosts_of_the_inventory_and_others() -> None:
    """With the inventory's settings below what the flag says, and the first one's own way before it."""
    inventory = fleet(
        {"hosts": {"b": {"address": "10.0.0.1", "ssh": {"port": 2200, "user": "ops"}}, "in": {"ssh": {"jump": "b"}}}}
    )
    assert parse_jump("root@B,else:22", inventory.by_name) == (
        Hop("b", "10.0.0.1", SshSettings("root", 2200)),
        Hop("else", ssh=SshSettings(port=22)),
    )
    assert [str(hop) for hop in parse_jump("in", inventory.by_name)] == ["ops@b:2200", "in"]
    assert parse_jump("ssh://u@[::1]:5/", {}) == (Hop("::1", ssh=SshSettings("u", 5)),)
    assert parse_jump("NONE", {}) == ()


@pytest.mark.parametrize("text", ["", "a,,b", "-x", "a:0", "a:ssh", "a:b:c", "@", "a b", ",".join("abcdefghi")])
def test_a_flag_that_names_no_way_is_refused(text: str) -> None:
    """Exit 2, with the form it has."""
    with pytest.raises(UsageError, match="--jump"):
        parse_jump(text, {})


def test_all_that_ssh_may_be_told_is_read() -> None:
    """Each key in its own form."""
    ssh = fleet(
        {
            "hosts": {
                "a": {
                    "ssh": {
                        "certificate": "~/c", "host_key_alias": "alias", "host_keys": "accept-new", "agent": False,
                        "forward_agent": True, "keepalive": False, "ciphers": ["aes256-gcm@openssh.com"],
                    }
                },
                "b": {"ssh": {"agent": "~/agent.sock", "keepalive": "1m"}},
            }
        }
    )  # fmt: skip
    assert ssh.require("a").ssh == SshSettings(
        certificate="~/c", host_key_alias="alias", host_keys=HostKeyRule.ACCEPT_NEW, agent=False,
        forward_agent=True, keepalive_ms=0, ciphers=("aes256-gcm@openssh.com",),
    )  # fmt: skip
    assert ssh.require("b").ssh == SshSettings(agent="~/agent.sock", keepalive_ms=60_000)


@pytest.mark.parametrize(
    ("ssh", "reason"),
    [
        ({"host_keys": "off"}, "write one of strict, accept-new, insecure"),
        ({"host_keys": False}, "must be text"),
        ({"agent": 1}, "must be text"),
        ({"forward_agent": "yes"}, "must be true or false"),
        ({"keepalive": True}, "duration|text"),
        ({"keepalive": 0}, "too short"),
        ({"ciphers": []}, "names none"),
        ({"ciphers": ["-x"]}, "no name of a cipher"),
        ({"proxy_command": "a\tb\x07"}, "control character"),
        ({"host_key_alias": "a b"}, "no name of a host"),
        ({"forward_agents": True}, "did you mean 'forward_agent'"),
    ],
)
def test_a_slip_in_a_setting_is_refused(ssh: dict[str, object], reason: str) -> None:
    """At its place, with the form it has."""
    with pytest.raises(ConfigError, match=rf"^tasks\.yaml:7:3: .*({reason})"):
        fleet({"hosts": {"a": {"ssh": ssh}}})


def test_hops_are_shown_as_they_are_written() -> None:
    """In `show` and in JSON a way is text, and its place is where the key stands."""
    inventory = fleet(
        {"hosts": {"a": {"ssh": {"jump": [{"host": "b", "user": "u", "port": 5}]}}, "c": {"ssh": {"jump": "none"}}}}
    )
    shown = {origin.key: origin for origin in origins(inventory, inventory.require("a"))}
    assert (shown["ssh.jump"].value, shown["ssh.jump"].layer) == (("u@b:5",), "host")
    assert plain_ssh(inventory.require("c").ssh) == {"jump": "none"}
