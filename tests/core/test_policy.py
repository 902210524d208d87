"""The site's policy: what is read from its file, what is refused there, and what it adds to a task."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.core.nodekit import MARK, map_node
from vigo.core import plan, target
from vigo.core.errors import ConfigError, NoMatchError
from vigo.core.guard import Finding, Layer
from vigo.core.inventory import Inventory
from vigo.core.model import Host
from vigo.core.plan import Plan, Policy
from vigo.core.policy import PATTERNS_MAX, PROTECTED_MAX, SitePolicy, read_policy
from vigo.core.quantity import Quantity

STOP = {"pattern": "systemctl stop postgresql", "reason": "ask the database team"}
PRIMARY = {"hosts": "db-01", "reason": "the only primary"}
FLEET = Inventory(
    tuple(
        Host(name, f"{number:08d}-0000-4000-8000-000000000000", groups=(name[:-3],))
        for number, name in enumerate(["web-01", "web-02", "db-01", "db-02", "db-03"])
    ),
    groups=("web", "db"),
    source="hosts.yaml",
)


def policy(**entries: Any) -> SitePolicy:
    """Read a policy file of these entries."""
    return read_policy(map_node(**entries), "policy.yaml")


def of_hosts(count: int, *batch_sizes: int) -> Plan:
    """Make a plan for this many hosts."""
    hosts = (Host(f"h{number}", f"u{number}") for number in range(count))
    return plan.make(hosts, Policy(batch_sizes=tuple(map(Quantity, batch_sizes))))


def spared(site: SitePolicy, expression: str) -> tuple[list[str], list[str]]:
    """Return the hosts that a target reaches under a policy, and what it says of those left out."""
    wanted = target.parse(expression)
    kept, left_out = site.spare(wanted, wanted.select(FLEET), FLEET)
    return [host.name for host in kept], list(map(str, left_out))


def test_no_policy_adds_nothing() -> None:
    """Without a file, and with an empty map, everything is as it was."""
    for site in (SitePolicy(), policy()):
        assert site.review(["systemctl stop postgresql"]) is None
        assert site.refuse(of_hosts(10_000)) is None
        assert site.unconfirmed(of_hosts(10_000), None) is None
        assert spared(site, "all")[0] == [host.name for host in FLEET.hosts]
        assert list(site.unknown(FLEET)) == []


# --- patterns


def test_a_pattern_is_a_finding_of_the_dispatch_guard_with_the_sites_own_reason() -> None:
    """The rule is its number or its name, the pattern is told as it was written."""
    site = policy(patterns=[{"pattern": "deploy  prod", "reason": " frozen "}, {**STOP, "name": "databases"}])
    assert site.review(["uptime", "deploy prod"]) == Finding(
        Layer.DISPATCH, "site:1", "deploy  prod", "frozen", span=(0, 11)
    )
    found = site.review(["sudo systemctl stop postgresql.service"])
    assert found is not None
    assert (found.rule, found.pattern, found.reason) == ("site:databases", STOP["pattern"], STOP["reason"])
    assert site.review(["systemctl restart postgresql", "echo deploy prod"]) is None


def test_patterns_are_asked_in_the_order_of_the_file() -> None:
    """The first that is met is told."""
    site = policy(patterns=[{"pattern": "deploy prod", "reason": "a"}, {"pattern": "deploy", "reason": "b"}])
    rules = [found.rule for text in ("deploy", "deploy prod") if (found := site.review([text]))]
    assert rules == ["site:2", "site:1"]


# --- bounds on the number of hosts


def test_above_the_bound_the_number_of_hosts_is_wanted() -> None:
    """At the bound it is not, and the number given must be the right one."""
    site = policy(confirm_above=3)
    assert site.unconfirmed(of_hosts(3), None) is None
    assert site.unconfirmed(of_hosts(4), 4) is None
    found = site.unconfirmed(of_hosts(4, 1), None)
    assert found is not None
    assert (found.layer, found.rule, found.pattern) == (Layer.DISPATCH, "confirm-above", "confirm_above: 3")
    assert found.reason == "4 hosts are more than the 3 that policy.yaml allows unconfirmed"


def test_a_number_that_was_given_is_always_checked() -> None:
    """Who confirms 3 hosts did not mean 4, whatever the policy says."""
    found = SitePolicy().unconfirmed(of_hosts(4), 3)
    assert found is not None
    assert (found.rule, found.pattern, found.reason) == (
        "confirm-above",
        "--confirm 3",
        "the task has 4 hosts, not 3",
    )
    assert SitePolicy().unconfirmed(of_hosts(4), 4) is None


def test_many_hosts_in_one_batch_are_refused() -> None:
    """Batches pass; a batch size that makes one batch of all does not."""
    site = policy(refuse_above=3)
    assert site.refuse(of_hosts(3)) is None
    assert site.refuse(of_hosts(4, 2)) is None
    for refused in (of_hosts(4), of_hosts(4, 4), of_hosts(4, 100)):
        found = site.refuse(refused)
        assert found is not None
        assert (found.layer, found.rule, found.pattern) == (Layer.DISPATCH, "refuse-above", "refuse_above: 3")
        assert found.reason == "4 hosts in one batch are more than the 3 that policy.yaml allows"


# --- protected hosts


@pytest.mark.parametrize(
    ("hosts", "expression", "kept"),
    [
        ("db-01", "all", "web-01 web-02 db-02 db-03"),
        ("db-01", "db-*", "db-02 db-03"),
        ("db-01", "@db", "db-02 db-03"),
        ("db-01", "db-[01-02]", "db-02"),
        ("db-01", "not web-01", "web-02 db-02 db-03"),
        ("db-01", "all and not db-01", "web-01 web-02 db-02 db-03"),
        ("db-01", "web-01", "web-01"),
        ("db-01", "db-01", "db-01"),
        ("db-01", "DB-01, web-*", "web-01 web-02 db-01"),
        ("db-01", "db-* and db-01", "db-01"),
        ("db-01", "00000002-0000-4000-8000-000000000000", "db-01"),
        ("@db", "all", "web-01 web-02"),
        ("@db", "all or db-02", "web-01 web-02 db-02"),
        ("db-*", "all", "web-01 web-02"),
        ("db-[02-99]", "all", "web-01 web-02 db-01"),
        ("DB-[00-02]", "all", "web-01 web-02 db-03"),
        ("web-01, db-[02-03]", "all", "web-02 db-01"),
        ("@db and not db-03", "all", "web-01 web-02 db-03"),
        ("nowhere", "all", "web-01 web-02 db-01 db-02 db-03"),
    ],
)
def test_a_protected_host_is_reached_by_its_own_name_alone(hosts: str, expression: str, kept: str) -> None:
    """Neither `all` nor a glob, a group, a range or a comparison reaches it."""
    assert spared(policy(protected=[{"hosts": hosts, "reason": "x"}]), expression)[0] == kept.split()


def test_those_left_out_are_named_with_the_reason() -> None:
    """Hosts of one reason stand together, folded; the first reason for a host is its reason."""
    site = policy(protected=[PRIMARY, {"hosts": "@db", "reason": "databases"}])
    assert spared(site, "all")[1] == ["db-01 (the only primary)", "db-[02-03] (databases)"]


def test_a_target_with_nothing_left_is_an_error() -> None:
    """Nothing to run on is never success; the way out is the name."""
    expected = (
        "target 'db-*': policy.yaml protects every host of it: db-[01-03] (x); write a host's own name to reach it"
    )
    with pytest.raises(NoMatchError, match=re.escape(expected)):
        spared(policy(protected=[{"hosts": "@db", "reason": "x"}]), "db-*")


def test_protected_names_that_are_not_in_the_inventory_are_told() -> None:
    """A typo would protect nothing without a word; one file may serve several inventories, so it is no error."""
    site = policy(protected=[PRIMARY, {"hosts": "db-1 or @bd", "reason": "x"}, {"hosts": "d*x", "reason": "x"}])
    assert list(site.unknown(FLEET)) == [
        f"{MARK}: host db-1: not in hosts.yaml; not protected",
        f"{MARK}: group bd: not in hosts.yaml; not protected",
    ]


# --- the file


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ({"confirm_abov": 1}, "confirm_abov: unknown key; did you mean 'confirm_above'?"),
        ({"confirm_above": "20"}, "confirm_above: is text, must be a number"),
        ({"confirm_above": -1}, "confirm_above: -1 is out of bounds; write 0-100000"),
        ({"refuse_above": 0}, "refuse_above: 0 is out of bounds; write 1-100000"),
        ({"refuse_above": None}, "refuse_above: is nothing, must be a number"),
        ({"patterns": STOP}, "patterns: is a map, must be a list"),
        ({"patterns": ["reboot"]}, "patterns: is text, must be a map"),
        ({"patterns": [{"pattern": "reboot"}]}, "reason: is missing; write reason: …"),
        ({"patterns": [{"reason": "x"}]}, "pattern: is missing; write pattern: …"),
        ({"patterns": [{**STOP, "raeson": "x"}]}, "raeson: unknown key; did you mean 'reason'?"),
        ({"patterns": [{**STOP, "reason": ""}]}, "reason: is empty"),
        ({"patterns": [{**STOP, "reason": " "}]}, "reason: is not one line of text; say in one line why"),
        ({"patterns": [{**STOP, "reason": "a\nb"}]}, "reason: is not one line of text"),
        ({"patterns": [{**STOP, "pattern": "a | b"}]}, "pattern: '|' never stands in a resolved command; write plain"),
        ({"patterns": [{**STOP, "pattern": 5}]}, "pattern: is a number, must be text; quote it"),
        ({"patterns": [{**STOP, "name": "Two words"}]}, "name: Two words is no name; write a-z, 0-9 and -"),
        ({"patterns": [{**STOP, "name": "2"}]}, "name: 2 is no name"),
        ({"patterns": [{**STOP, "name": "db"}, {**STOP, "name": "db"}]}, "db: names two patterns; give one of them"),
        ({"patterns": [STOP] * (PATTERNS_MAX + 1)}, "patterns: has more than 500 entries"),
        ({"protected": ["db-01"]}, "protected: is text, must be a map"),
        ({"protected": [{"hosts": "db-01"}]}, "reason: is missing"),
        ({"protected": [{"reason": "x"}]}, "hosts: is missing; write hosts: …"),
        ({"protected": [{**PRIMARY, "host": "x"}]}, "host: unknown key; did you mean 'hosts'?"),
        ({"protected": [{**PRIMARY, "hosts": "db-01 and"}]}, "hosts: target: a term is missing here"),
        ({"protected": [{**PRIMARY, "hosts": "db-[2-1]"}]}, "hosts: target: [2-1] runs backwards"),
        ({"protected": [{**PRIMARY, "hosts": "run:t1a2b3c4"}]}, "hosts: run:t1a2b3c4 cannot be protected; name the"),
        ({"protected": [PRIMARY] * (PROTECTED_MAX + 1)}, "protected: has more than 500 entries"),
    ],
)
def test_what_is_wrong_with_a_policy_is_told_with_its_place(entries: dict[str, Any], expected: str) -> None:
    """File, line, column, key, reason and way out; nothing is ever ignored."""
    with pytest.raises(ConfigError) as caught:
        policy(**entries)
    assert str(caught.value).startswith(f"{MARK}: ")
    assert expected in str(caught.value)
