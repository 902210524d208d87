"""In which order hosts stand in a plan: sorted, drawn, spread over a trait's values, or kept apart by them.

Rule 1: arranging neither adds nor drops a host.
Rule 2: with `spread`, each beginning of a section holds every value's share of it, off by less than one host.
Rule 3: with `batch_by`, a section holds hosts of one value, and a batch never reaches over a section's end.
"""

from __future__ import annotations

import hashlib
import heapq
import re
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import assert_never

from vigo.core.errors import UsageError
from vigo.core.inventory_names import did_you_mean
from vigo.core.model import Host
from vigo.core.values import dataclass

_NO_VALUE = ""
"""Stands for hosts without the trait: a value of their own."""
_DIGITS = re.compile(r"(\d+)")


class HostOrder(StrEnum):
    """How the hosts of a plan are sorted."""

    INVENTORY = "inventory"
    NAME = "name"
    """By name, numbers by their value: `web-2` before `web-10`."""
    RANDOM = "random"
    """Drawn with a seed: the same seed gives the same order."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What the operator wants of the order of hosts."""

    order: HostOrder = HostOrder.INVENTORY
    seed: int | None = None
    """For a random order; recorded, so that the order can be had again."""
    spread: str | None = None
    """A trait's path; each batch takes hosts evenly across its values."""
    batch_by: str | None = None
    """A trait's path; no batch mixes its values."""
    batch_order: tuple[str, ...] = ()
    """Values of `batch_by` in the order to take them; those not named come after, as they appear."""


def arrange(hosts: Sequence[Host], shape: Shape) -> tuple[tuple[Host, ...], ...]:
    """Return the hosts in plan order, cut into sections that a batch must not reach over.

    Raises UsageError for `batch_by` on a trait that is a list, or `batch_order` with a value that no host has.
    """
    ordered = _ordered(hosts, shape)
    sections = [ordered] if shape.batch_by is None else _apart(ordered, shape.batch_by, shape.batch_order)
    if shape.spread is None:
        return tuple(map(tuple, sections))
    return tuple(tuple(_spread(section, shape.spread)) for section in sections)


def draw(seed: int | str, name: str) -> bytes:
    """Return the lot of a host: sorting by it is a shuffle that is the same each time."""
    return hashlib.sha256(f"{seed}\0{name.lower()}".encode(errors="surrogatepass")).digest()


def _ordered(hosts: Sequence[Host], shape: Shape) -> Sequence[Host]:
    match shape.order:
        case HostOrder.INVENTORY:
            return hosts
        case HostOrder.NAME:
            return sorted(hosts, key=lambda host: _natural(host.name))
        case HostOrder.RANDOM:
            seed = shape.seed or 0
            return sorted(hosts, key=lambda host: draw(seed, host.name))
        case _:
            assert_never(shape.order)


def _natural(name: str) -> tuple[tuple[int, str], ...]:
    return tuple((int(part), "") if part.isdecimal() else (-1, part.lower()) for part in _DIGITS.split(name))


def _apart(hosts: Sequence[Host], trait: str, order: Sequence[str]) -> list[Sequence[Host]]:
    groups = _by_value(hosts, lambda host: _one_value(host, trait))
    for value in order:
        if value not in groups:
            hint = did_you_mean(value, [known for known in groups if known])
            raise UsageError(f"--batch-order: no target has {trait}={value}; {hint or 'leave it out'}")
    unnamed = [value for value in groups if value not in order and value != _NO_VALUE]
    last = [_NO_VALUE] if _NO_VALUE in groups else []
    return [groups[value] for value in (*dict.fromkeys(order), *unnamed, *last)]


def _one_value(host: Host, trait: str) -> str:
    if isinstance(host.traits.get(trait), tuple):
        raise UsageError(
            f"--batch-by: trait {trait} of host {host.name} is a list; take one of which each host has one value"
        )
    return _value(host, trait)


def _value(host: Host, trait: str) -> str:
    value = host.traits.get(trait, _NO_VALUE)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _by_value(hosts: Sequence[Host], value_of: Callable[[Host], str]) -> dict[str, list[Host]]:
    groups: dict[str, list[Host]] = {}
    for host in hosts:
        groups.setdefault(value_of(host), []).append(host)
    return groups


def _spread(hosts: Sequence[Host], trait: str) -> list[Host]:
    """Deal the hosts out so that every beginning is a fair share, by earliest due date.

    The j-th of n hosts with one value (j from 1) must stand at place k of N with (j-1)N/n < k <= jN/n rounded up: then
    each value's count stays within one of its share. That places can always be found so, and that taking the earliest
    due date finds them: G. Steiner, S. Yeomans, Level schedules for mixed-model, just-in-time processes, 1993.
    """
    groups = list(_by_value(hosts, lambda host: _value(host, trait)).values())
    total = len(hosts)
    coming = [(1, number, 0) for number in range(len(groups))]
    due: list[tuple[int, int, int]] = []
    dealt: list[Host] = []
    for place in range(1, total + 1):
        while coming and coming[0][0] <= place:
            _, number, index = heapq.heappop(coming)
            heapq.heappush(due, (-(-(index + 1) * total // len(groups[number])), number, index))
        _, number, index = heapq.heappop(due)
        dealt.append(groups[number][index])
        if index + 1 < len(groups[number]):
            heapq.heappush(coming, ((index + 1) * total // len(groups[number]) + 1, number, index + 1))
    return dealt
