"""Everything that can be decided before the first connection, frozen.

Rule 1: the plan that is shown is the plan that runs; the engine adds nothing to it.
Rule 2: a host stands in a plan once. Batches keep the hosts' order and are barriers.
Rule 3: percentages are of all targets, rounded down; a batch has at least one host.
Rule 4: a batch lies inside one section of the shape (`core/shape.py`); the list of sizes goes on over the sections.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from itertools import chain, repeat

from vigo.core.gate import GatePolicy
from vigo.core.model import Host, Limits
from vigo.core.privilege import ROOT, Elevation, Privilege
from vigo.core.quantity import Quantity
from vigo.core.shape import Shape, arrange
from vigo.core.values import dataclass


class OnStop(StrEnum):
    """What becomes of a task that a budget or a gate stops."""

    ABORT = "abort"
    """It ends; what never started is skipped."""
    PAUSE = "pause"
    """It is left for `task resume`."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How a task is rolled out: every bound that the operator set or left at its default."""

    limits: Limits = Limits()
    connect_timeout_ms: int = 10_000
    fanout: int = 100
    """Hosts running at once, inside a batch; at least 1."""
    shape: Shape = Shape()
    batch_sizes: tuple[Quantity, ...] = ()
    """Sizes in order, the last one repeats; empty means one batch, or one for each value of `batch_by`."""
    pause_ms: int = 0
    """Between one batch, its gate included, and the next."""
    stop_after: int | None = None
    """Batches to run before the task pauses; at least 1, None is all."""
    failures_max: Quantity | None = None
    """Tolerated failures over the whole task; None is no budget."""
    unreachable_max: Quantity | None = None
    """A budget of their own for unreachable hosts; None counts them as failures."""
    on_stop: OnStop = OnStop.ABORT
    accept_exit: tuple[int, ...] = (0,)
    """Exit codes that complete a host; any other fails it."""
    gate: GatePolicy = GatePolicy()
    kept_bytes: int = 256 * 1024
    """Kept output per host and stream, half head and half tail."""
    sudo: bool = False
    """Whether everything that the task runs on a host runs by sudo; `sudo_user` alone means that too."""
    sudo_user: str = ""
    """As whom; empty is root."""
    doas: bool = False
    """Whether doas gives the rights instead of sudo."""

    @property
    def privilege(self) -> Privilege | None:
        """Whose rights the commands get; None leaves them those of the login."""
        if not (self.sudo or self.sudo_user or self.doas):
            return None
        return Privilege(self.sudo_user or ROOT, Elevation.DOAS if self.doas else Elevation.SUDO)


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
    """Arrange the hosts, each name once, and cut them into the batches that the policy asks for.

    Raises UsageError for a shape that these hosts cannot have.
    """
    unique = tuple({host.name: host for host in hosts}.values())
    sizes = _sizes(policy.batch_sizes, len(unique))
    sections = arrange(unique, policy.shape)
    return Plan(tuple(chain.from_iterable(_cut(section, sizes) for section in sections)), policy)


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
