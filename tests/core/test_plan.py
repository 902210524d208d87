from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vigo.core.errors import UsageError
from vigo.core.gate import GatePolicy
from vigo.core.model import Host, Limits
from vigo.core.plan import OnStop, Plan, Policy, make
from vigo.core.quantity import Quantity, parse_quantities
from vigo.core.shape import HostOrder, Shape


def fleet(count: int) -> list[Host]:
    """Make hosts in inventory order."""
    return [Host(f"web-{number:05}", f"00000000-0000-0000-0000-{number:012}") for number in range(count)]


def sizes(count: int, batch_sizes: str | None) -> list[int]:
    """Return the sizes of the batches that a fleet is cut into."""
    quantities = () if batch_sizes is None else parse_quantities(batch_sizes, flag="--batch-size")
    return [len(batch) for batch in make(fleet(count), Policy(batch_sizes=quantities)).batches]


@pytest.mark.parametrize(
    ("count", "batch_sizes", "expected"),
    [
        (4, None, [4]),
        (4, "2", [2, 2]),
        (5, "2", [2, 2, 1]),
        (4, "25%", [1, 1, 1, 1]),
        (10, "25%", [2, 2, 2, 2, 2]),
        (7, "50%", [3, 3, 1]),
        (3, "1%", [1, 1, 1]),
        (4, "100%", [4]),
        (4, "1000000", [4]),
        (10, "1,2,3", [1, 2, 3, 3, 1]),
        (20, "1,10%,50%", [1, 2, 10, 7]),
        (3, "1,10%,50%", [1, 1, 1]),
        (0, None, []),
        (0, "5", []),
        (0, "25%", []),
    ],
)
def test_batches_have_the_sizes_that_were_asked_for(count: int, batch_sizes: str | None, expected: list[int]) -> None:
    """A percentage is of all targets, rounded down, never below one; the last entry of a list repeats."""
    assert sizes(count, batch_sizes) == expected


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 40), max_size=60),
    st.lists(st.builds(Quantity, st.integers(1, 100), st.booleans()), max_size=4),
)
def test_batches_are_the_hosts_in_order_each_once(numbers: list[int], quantities: list[Quantity]) -> None:
    """Nothing is lost, doubled, reordered or empty, whatever the sizes and however often a host was named."""
    known = fleet(41)
    plan = make([known[number] for number in numbers], Policy(batch_sizes=tuple(quantities)))
    once = list(dict.fromkeys(known[number].name for number in numbers))
    assert [host.name for host in plan.hosts] == once
    assert plan.total == len(once)
    assert all(plan.batches)
    for batch, quantity in zip(plan.batches[:-1], [*quantities, *quantities[-1:] * 60], strict=False):
        assert len(batch) == max(1, quantity.of(plan.total))


def racked(*counts: int) -> list[Host]:
    """Make hosts, so many in each rack, one rack after the other."""
    racks = [rack for rack, count in enumerate(counts) for _ in range(count)]
    return [replace(host, traits={"rack": rack}) for host, rack in zip(fleet(len(racks)), racks, strict=True)]


@pytest.mark.parametrize(
    ("counts", "batch_sizes", "expected"),
    [
        ((3, 5), None, [3, 5]),
        ((3, 5), "2", [2, 1, 2, 2, 1]),
        ((3, 5), "1,2,4", [1, 2, 4, 1]),
        ((1, 1, 6), "1,2,3", [1, 1, 3, 3]),
        ((4, 16), "25%", [4, 5, 5, 5, 1]),
        ((2, 2), "100%", [2, 2]),
        ((), "1,2", []),
    ],
)
def test_a_batch_lies_inside_one_section(counts: tuple[int, ...], batch_sizes: str | None, expected: list[int]) -> None:
    """The list of sizes goes on over the sections, and a percentage stays one of all targets."""
    quantities = () if batch_sizes is None else parse_quantities(batch_sizes, flag="--batch-size")
    plan = make(racked(*counts), Policy(batch_sizes=quantities, shape=Shape(batch_by="rack")))
    assert [len(batch) for batch in plan.batches] == expected
    assert all(len({host.traits["rack"] for host in batch}) == 1 for batch in plan.batches)


@given(
    st.lists(st.integers(1, 9), max_size=5),
    st.lists(st.builds(Quantity, st.integers(1, 100), st.booleans()), max_size=4),
    st.sampled_from(HostOrder),
)
def test_sizes_go_on_over_sections_whatever_they_are(
    counts: list[int], quantities: list[Quantity], order: HostOrder
) -> None:
    """Only a section's last batch may be smaller than asked for, and no size is asked for twice or passed over."""
    plan = make(racked(*counts), Policy(batch_sizes=tuple(quantities), shape=Shape(order, batch_by="rack")))
    asked = iter([*quantities, *(quantities[-1:] or [Quantity(100, percent=True)]) * plan.total])
    left = dict(enumerate(counts))
    for batch in plan.batches:
        (rack,) = {host.traits["rack"] for host in batch}
        assert isinstance(rack, int)
        assert len(batch) == min(left[rack], max(1, next(asked).of(plan.total)))
        left[rack] -= len(batch)
    assert not any(left.values())


def test_each_batch_takes_hosts_evenly_across_racks() -> None:
    """Three racks of four in batches of three: one of each, every time."""
    plan = make(racked(4, 4, 4), Policy(batch_sizes=(Quantity(3),), shape=Shape(spread="rack")))
    assert [{host.traits["rack"] for host in batch} for batch in plan.batches] == [{0, 1, 2}] * 4


def test_a_shape_that_these_hosts_cannot_have_is_refused() -> None:
    """Before anything is touched."""
    with pytest.raises(UsageError, match="--batch-order"):
        make(racked(1), Policy(shape=Shape(batch_by="rack", batch_order=("9",))))


def test_two_hosts_with_one_address_are_two_hosts() -> None:
    """C10: a host's identity is its name."""
    twins = [Host("a", "u1", address="127.0.0.1"), Host("b", "u2", address="127.0.0.1")]
    assert make(twins, Policy()).hosts == tuple(twins)


def test_hosts_are_taken_from_any_iterable() -> None:
    """A generator is read once."""
    assert make((host for host in fleet(3)), Policy()).total == 3


def test_the_defaults_are_those_of_the_contract() -> None:
    """The numbers of section 4, in milliseconds and bytes."""
    assert Policy() == Policy(
        limits=Limits(timeout_ms=60_000, grace_ms=5_000, nice=0, kill_on_disconnect=False),
        connect_timeout_ms=10_000,
        fanout=100,
        batch_sizes=(),
        pause_ms=0,
        stop_after=None,
        failures_max=None,
        unreachable_max=None,
        on_stop=OnStop.ABORT,
        accept_exit=(0,),
        gate=GatePolicy(
            timeout_ms=5_000, interval_ms=2_000, deadline_ms=0, stable_ms=0, expect=((200, 299),), baseline=False
        ),
        kept_bytes=262_144,
    )
    assert not Policy().gate.is_set
    assert Policy().shape == Shape(HostOrder.INVENTORY)


def test_a_plan_does_not_change_once_made() -> None:
    """The plan that is shown is the plan that runs."""
    plan = make(fleet(2), Policy())
    with pytest.raises(FrozenInstanceError):
        plan.policy = Policy(fanout=1)  # type: ignore[misc]
    assert plan == Plan((tuple(fleet(2)),), Policy())
