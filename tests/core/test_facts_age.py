"""Old traits are said, and only where they matter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from vigo.core.facts_age import age, paths_read, warning
from vigo.core.inventory import Gathered, Inventory
from vigo.core.model import Host
from vigo.core.target import parse

NOW = datetime(2026, 3, 13, 12, 30, 1, tzinfo=UTC)


def at(ago: timedelta) -> str:
    """Return a time as the journal writes it."""
    return f"{NOW - ago:%Y-%m-%dT%H:%M:%S}.000Z"


def fleet(*ages_days: int) -> Inventory:
    """Return hosts whose distribution was gathered so many days ago."""
    hosts = tuple(Host(f"h{place}", f"u{place}", traits={"role": "web"}) for place in range(len(ages_days)))
    known = {
        host.name: Gathered({"os.distro": "debian", "role": "db"}, at(timedelta(days=days)), "t1a2b3c4")
        for host, days in zip(hosts, ages_days, strict=True)
    }
    return Inventory(hosts).with_traits(known)


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("os.distro=debian and not hardware.cpus<2", {"os.distro", "hardware.cpus"}),
        ("web-* or (rack=r1, @prod)", {"rack"}),
        ("all", set()),
    ],
)
def test_the_traits_that_a_target_reads(text: str, paths: set[str]) -> None:
    """At any depth."""
    assert paths_read(parse(text).root) == paths


@pytest.mark.parametrize(
    ("ago", "said"),
    [
        (timedelta(seconds=7), "7s"),
        (timedelta(minutes=59), "59m"),
        (timedelta(hours=3, minutes=59), "3h"),
        (timedelta(days=12), "12d"),
        (timedelta(seconds=-5), "0s"),
    ],
)
def test_an_age_is_said_in_its_largest_unit(ago: timedelta, said: str) -> None:
    """And is never negative."""
    assert age(at(ago), NOW) == said


def test_hosts_whose_traits_are_older_than_a_week_are_counted() -> None:
    """Younger ones are not, and the oldest gives the age."""
    assert warning(fleet(1, 8, 30, 7), {"os.distro"}, NOW) == (
        "traits of 2 hosts are older than a week (up to 30d): vigo traits gather"
    )
    assert warning(fleet(8), {"os.distro"}, NOW) == (
        "traits of 1 host are older than a week (up to 8d): vigo traits gather"
    )


def test_nothing_is_said_where_nothing_old_is_read() -> None:
    """Of another trait, of one that the file overrules, of none, or in an inventory that knows none."""
    assert warning(fleet(30), {"init"}, NOW) is None
    assert warning(fleet(30), {"role"}, NOW) is None
    assert warning(fleet(30), (), NOW) is None
    assert warning(Inventory(()), {"os.distro"}, NOW) is None
