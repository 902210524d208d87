"""In which order hosts stand in a plan: sorted, drawn, spread, or kept apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vigo.core.errors import UsageError
from vigo.core.model import Host, TraitValue
from vigo.core.shape import HostOrder, Shape, arrange, draw


def host(name: str, **traits: TraitValue) -> Host:
    """Make a host with these traits."""
    return Host(name, f"uuid-of-{name}", traits=traits)


def fleet(*values: TraitValue) -> list[Host]:
    """Make hosts in racks, in this order."""
    return [host(f"web-{number:02}", rack=value) for number, value in enumerate(values, 1)]


def names(hosts: Sequence[Host]) -> list[str]:
    """Return the hosts' names."""
    return [host.name for host in hosts]


def sections(hosts: Sequence[Host], shape: Shape) -> list[list[str]]:
    """Return the names in each section."""
    return [names(section) for section in arrange(hosts, shape)]


VALUES: st.SearchStrategy[TraitValue] = st.sampled_from(["a", "b", "c", "d", 1, True])
FLEETS = st.lists(st.none() | VALUES, max_size=40).map(
    lambda values: [host(f"h{n}", **({} if value is None else {"zone": value})) for n, value in enumerate(values)]
)
SHAPES = st.builds(
    Shape,
    st.sampled_from(HostOrder),
    st.none() | st.integers(0, 9),
    st.sampled_from([None, "zone", "rack"]),
    st.sampled_from([None, "zone", "rack"]),
)


@given(FLEETS, SHAPES)
def test_arranging_neither_adds_nor_drops_a_host(hosts: list[Host], shape: Shape) -> None:
    """Rule 1, for every shape."""
    assert sorted(names(tuple(chain.from_iterable(arrange(hosts, shape))))) == sorted(names(hosts))


def shares(section: Sequence[Host], trait: str) -> None:
    """See that each beginning of a section holds every value's share, off by less than one host."""
    whole, seen = Counter(value_of(host, trait) for host in section), Counter[str]()
    for place, host in enumerate(section, 1):
        seen[value_of(host, trait)] += 1
        assert all(abs(seen[value] * len(section) - place * count) < len(section) for value, count in whole.items())


def value_of(host: Host, trait: str) -> str:
    """Return a trait's value as text, whatever it is."""
    return repr(host.traits.get(trait))


@settings(max_examples=150)
@given(FLEETS, st.sampled_from(HostOrder), st.sampled_from([None, "rack"]))
def test_each_beginning_holds_every_values_share(hosts: list[Host], order: HostOrder, batch_by: str | None) -> None:
    """Rule 2: wherever a batch ends, no zone has more than its share by a whole host, and none less."""
    racked = [host(h.name, rack=f"r{n % 3}", **h.traits) for n, h in enumerate(hosts)]
    for section in arrange(racked, Shape(order, spread="zone", batch_by=batch_by)):
        shares(section, "zone")


def test_shares_are_held_for_every_small_mix() -> None:
    """All counts of up to three values, and one large group beside many small ones."""
    for counts in {tuple(sorted(mix)) for mix in permutations(range(9), 3)}:
        (section,) = arrange(fleet(*("abc"[n] for n in range(3) for _ in range(counts[n]))), Shape(spread="rack"))
        shares(section, "rack")
    (section,) = arrange(fleet(*("x",) * 70, *range(30)), Shape(spread="rack"))
    shares(section, "rack")


def test_spreading_keeps_the_order_of_the_hosts_that_share_a_value() -> None:
    """Each value gives its hosts in the order they had."""
    hosts = fleet("a", "a", "a", "a", "b", "b")
    (section,) = arrange(hosts, Shape(spread="rack"))
    assert names(section) == ["web-01", "web-02", "web-05", "web-03", "web-04", "web-06"]


@given(FLEETS, st.sampled_from(HostOrder))
def test_a_section_never_mixes_values(hosts: list[Host], order: HostOrder) -> None:
    """Rule 3, and no value stands in two sections."""
    arranged = arrange(hosts, Shape(order, batch_by="zone"))
    values = [{str(host.traits.get("zone", "")).lower() for host in section} for section in arranged]
    assert all(len(found) == 1 for found in values)
    assert len(set(chain.from_iterable(values))) == len(values)


def test_sections_come_as_their_values_appear_and_hosts_without_one_come_last() -> None:
    """Nothing is known of where those stand, so nothing else waits for them."""
    hosts = [host("h1"), *fleet("b", "a", "b")]
    assert sections(hosts, Shape(batch_by="rack")) == [["web-01", "web-03"], ["web-02"], ["h1"]]


def test_sections_come_in_the_order_that_was_asked_for() -> None:
    """What is not named comes after, as it appears; a value named twice is named once; numbers are text."""
    hosts = [host("h1"), *fleet("c", "a", "b", 7)]
    shape = Shape(batch_by="rack", batch_order=("b", "7", "b"))
    assert sections(hosts, shape) == [["web-03"], ["web-04"], ["web-01"], ["web-02"], ["h1"]]


def test_truth_is_written_as_in_the_inventory() -> None:
    """`true`, not Python's `True`."""
    hosts = [host("web-01", canary=True), host("web-02", canary=False)]
    assert sections(hosts, Shape(batch_by="canary", batch_order=("false",))) == [["web-02"], ["web-01"]]


def test_a_value_that_no_target_has_is_refused_with_the_nearest() -> None:
    """Most likely it is a typing mistake."""
    hosts = fleet("zone-a", "zone-b")
    with pytest.raises(UsageError, match=r"--batch-order: no target has rack=zone-x; .*zone-a"):
        arrange(hosts, Shape(batch_by="rack", batch_order=("zone-x",)))
    with pytest.raises(UsageError, match=r"no target has rack=quite-another; leave it out"):
        arrange(hosts, Shape(batch_by="rack", batch_order=("quite-another",)))


def test_a_list_cannot_keep_hosts_apart() -> None:
    """A host would belong into two batches; spreading over lists is fine, each list is a value."""
    hosts = [*fleet("a"), host("h2", rack=("a", "b")), host("h3", rack=("a", "b"))]
    with pytest.raises(UsageError, match=r"--batch-by: trait rack of host h2 is a list"):
        arrange(hosts, Shape(batch_by="rack"))
    assert sorted(names(arrange(hosts, Shape(spread="rack"))[0])) == ["h2", "h3", "web-01"]


def test_nobody_is_arranged_into_no_host() -> None:
    """One empty section, or none where sections are values."""
    assert arrange([], Shape()) == ((),)
    assert arrange([], Shape(spread="rack")) == ((),)
    assert arrange([], Shape(batch_by="rack")) == ()


def test_by_name_numbers_count_by_their_value() -> None:
    """As people sort: 2 before 10, ignoring case, and the inventory's order where names are the same to that eye."""
    unsorted = ["web-10", "web-2", "Web-1", "db", "web-2a", "web-2.10", "web-2.9", "10", "9", "web-02", "web"]
    (section,) = arrange([host(name) for name in unsorted], Shape(HostOrder.NAME))
    assert names(section) == [
        "9",
        "10",
        "db",
        "web",
        "Web-1",
        "web-2",
        "web-02",
        "web-2.9",
        "web-2.10",
        "web-2a",
        "web-10",
    ]


def test_in_inventory_order_hosts_stay_where_they_are() -> None:
    """The default."""
    hosts = fleet("b", "a", "c")
    assert arrange(list(reversed(hosts)), Shape()) == (tuple(reversed(hosts)),)


def test_a_random_order_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    """It can be had again from the journal; it does not depend on which other hosts there are."""
    hosts = fleet(*range(20))
    (first,) = arrange(hosts, Shape(HostOrder.RANDOM, seed=7))
    assert arrange(list(reversed(hosts)), Shape(HostOrder.RANDOM, seed=7)) == (first,)
    assert arrange(hosts, Shape(HostOrder.RANDOM, seed=8)) != (first,)
    assert names(first) != names(hosts)
    (fewer,) = arrange(hosts[::2], Shape(HostOrder.RANDOM, seed=7))
    assert list(fewer) == [host for host in first if host in hosts[::2]]


def test_a_lot_depends_on_seed_and_name_alone() -> None:
    """Across machines and versions: a recorded seed stays good."""
    assert draw(7, "web-01").hex().startswith("88d8f7a5")
    assert draw(7, "WEB-01") == draw("7", "web-01") != draw(8, "web-01")
    assert arrange(fleet(1, 2), Shape(HostOrder.RANDOM)) == arrange(fleet(1, 2), Shape(HostOrder.RANDOM, seed=0))
