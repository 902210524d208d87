"""Who is in the lab: names that go on as they began, and an inventory that the loader reads back."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lab.labkit import MEMBERS
from vigo.adapters.inventory_yaml import load
from vigo.lab.fleet import Access, Member, grow, inventory_text
from vigo.lab.places import EXAMPLE_FLEET

_REPOSITORY = Path(__file__).parents[2]


def names(members: list[Member]) -> list[str]:
    """Return the members' names."""
    return [member.name for member in members]


def test_the_given_names_come_first_and_the_pattern_goes_on() -> None:
    """`web-01` to `web-04` and `db-01` are followed by `web-05`, padding kept, like its kin in turn."""
    grown = grow(MEMBERS, 8)
    assert names(grown)[:5] == names(MEMBERS)
    assert names(grown)[5:] == ["web-05.example.com", "web-06.example.com", "web-07.example.com"]
    assert all(member.groups == ("prod.web",) for member in grown[5:])


def test_fewer_than_given_are_the_first_ones() -> None:
    """A small lab is the beginning of the fleet."""
    assert names(grow(MEMBERS, 2)) == ["web-01.example.com", "web-02.example.com"]


@pytest.mark.parametrize(
    ("given_names", "more"),
    [
        (["alpha.example.com"], ["alpha-02.example.com", "alpha-03.example.com"]),
        (["a9"], ["a10", "a11"]),
        (["7"], ["8", "9"]),
        (["db", "n-099.x1", "n-007.x1"], ["n-100.x1", "n-101.x1"]),
        (["solo", "solo-02"], ["solo-03", "solo-04"]),
    ],
)
def test_every_kind_of_name_can_go_on(given_names: list[str], more: list[str]) -> None:
    """A name without a number gets one; width grows where it must."""
    grown = grow([Member(name) for name in given_names], len(given_names) + 2)
    assert names(grown) == given_names + more


@settings(max_examples=60)
@given(
    st.lists(st.from_regex(r"[a-z0-9-]{1,6}(\.[a-z0-9]{1,3})?", fullmatch=True), min_size=1, unique=True),
    st.integers(1, 60),
)
def test_growing_never_repeats_a_name(given_names: list[str], count: int) -> None:
    """Any count of any names: exactly so many, each once, the given ones in front."""
    grown = names(grow([Member(name) for name in given_names], count))
    assert len(set(grown)) == len(grown) == count
    assert grown[: len(given_names)] == given_names[:count]


def test_the_inventory_text_is_read_back_as_it_was_meant(tmp_path: Path) -> None:
    """Names, ports, groups and traits survive the file, whatever the values look like to YAML."""
    members = [
        Member(
            "web-01", ("prod.web", "fra"), {"os.distro": "ubuntu", "os.version": "24.04", "cpus": 4, "spare": False}
        ),
        Member("web-02", (), {"note": 'no: "quote" # \u00fc', "tags": ("on", "1.10", 7, True)}),
        Member("web-03"),
    ]
    (tmp_path / "hosts.yaml").write_text(inventory_text(members, [40001, 40002, 40003], Access("u", "/k", "/h")))
    read = load(tmp_path / "hosts.yaml")
    assert [(h.name, h.groups, dict(h.traits), h.ssh.port) for h in read.hosts] == [
        (m.name, m.groups, dict(m.traits), port) for m, port in zip(members, (40001, 40002, 40003), strict=True)
    ]
    assert {(h.address, h.ssh.user, h.ssh.identity, h.ssh.known_hosts) for h in read.hosts} == {
        ("127.0.0.1", "u", "/k", "/h")
    }


def test_the_shipped_fleet_is_the_repositorys_inventory() -> None:
    """The example inside the package and `inventory/` are the same files, byte for byte."""
    shipped = {path.name: path.read_bytes() for path in EXAMPLE_FLEET.iterdir()}
    assert shipped == {path.name: path.read_bytes() for path in (_REPOSITORY / "inventory").iterdir()}


def test_the_example_fleet_is_what_the_reference_speaks_of() -> None:
    """Four web hosts in prod.web, one database host in prod.db, and the task `restart-app`."""
    fleet = load(EXAMPLE_FLEET)
    assert {host.name: host.groups for host in fleet.hosts} == {member.name: member.groups for member in MEMBERS}
    assert {"restart-app", "disk", "rolling-nginx", "uptime-report"} == set(fleet.tasks)
    assert all({"os.distro", "os.version", "rack", "role", "site"} == set(host.traits) for host in fleet.hosts)
