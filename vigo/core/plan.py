"""Everything that can be decided before the first connection, frozen.

Rule 1: the plan that is shown is the plan that runs; the engine adds nothing to it.
Rule 2: a host stands in a plan once. Batches keep the hosts' order and are barriers.
Rule 3: percentages are of all targets, rounded down; a batch has at least one host.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, repeat

from vigo.core.model import Host, Limits
from vigo.core.quantity import Quantity


@dataclass(frozen=True, slots=True)
class Policy:
    """How a task is rolled out: every bound that the operator set or left at its default."""

    limits: Limits = Limits()
    connect_timeout_ms: int = 10_000
    fanout: int = 100
    """Hosts running at once, inside a batch; at least 1."""
    batch_sizes: tuple[Quantity, ...] = ()
    """Sizes in order, the last one repeats; empty means one batch."""
    failures_max: Quantity | None = None
    """Tolerated failures over the whole task; None is no budget."""
    unreachable_max: Quantity | None = None
    """A budget of their own for unreachable hosts; None counts them as failures."""
    health_check_url: str | None = None
    health_timeout_ms: int = 5_000
    """Total bound on one probe."""
    kept_bytes: int = 256 * 1024
    """Kept output per host and stream, half head and half tail."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A task, ready to run."""

    batches: tuple[tuple[Host, ...], ...]
    policy: Policy

    @property
    def hosts(self) -> tuple[Host, ...]:
        """All targets in plan order."""
        return tuple(chain.from_iterable(self.batches))

    @property
    def total(self) -> int:
        """The number of targets."""
        return sum(map(len, self.batches))


def make(hosts: Iterable[Host], policy: Policy) -> Plan:
    """Cut the hosts, in their order and each name once, into the batches that the policy asks for."""
    unique = tuple({host.name: host for host in hosts}.values())
    sizes = _sizes(policy.batch_sizes, len(unique))
    return Plan(batches=tuple(_cut(unique, sizes)), policy=policy)


def _sizes(quantities: Sequence[Quantity], total: int) -> Iterator[int]:
    if not quantities:
        return repeat(total)
    counts = [max(1, quantity.of(total)) for quantity in quantities]
    return chain(counts[:-1], repeat(counts[-1]))


def _cut(hosts: Sequence[Host], sizes: Iterator[int]) -> Iterator[tuple[Host, ...]]:
    start = 0
    while start < len(hosts):
        size = next(sizes)
        yield tuple(hosts[start : start + size])
        start += size
