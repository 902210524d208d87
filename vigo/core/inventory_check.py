"""What is worth a look in an inventory that can be used: shared addresses, empty groups; and its tasks, read strictly."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from vigo.core.errors import ConfigError, UsageError
from vigo.core.inventory import Inventory, lineage
from vigo.core.ranges import fold
from vigo.core.target import parse
from vigo.core.tasks import read_task
from vigo.core.values import dataclass

_SSH_PORT = 22


@dataclass(frozen=True, slots=True)
class Checked:
    """What was counted, and what is worth a look."""

    hosts: int
    groups: int
    tasks: int
    warnings: tuple[str, ...]
    """One sentence each; none of them keeps anything from running."""


def check(inventory: Inventory) -> Checked:
    """Look through an inventory. Raises ConfigError for a named task that cannot be used."""
    for name, node in inventory.tasks.items():
        task = read_task(name, node)
        try:
            parse(task.target or "all")
        except UsageError as error:
            raise ConfigError(f"{task.mark}: {name}: {error}") from error
    return Checked(len(inventory.hosts), len(inventory.groups), len(inventory.tasks), tuple(_warnings(inventory)))


def _warnings(inventory: Inventory) -> Iterator[str]:
    if not inventory.hosts:
        yield "there is no host; add one under `hosts:`"
    endpoints: dict[tuple[str, int], list[str]] = defaultdict(list)
    for host in inventory.hosts:
        endpoints[host.endpoint.lower(), host.ssh.port or _SSH_PORT].append(host.name)
    for (address, port), names in endpoints.items():
        if len(names) > 1:
            yield f"{len(names)} hosts share {address} port {port}: {fold(names)}; one machine may be meant twice"
    used = {path for groups in {host.groups for host in inventory.hosts} for path in lineage(groups)}
    for path in inventory.groups:
        if path not in used:
            yield f"group {path} has no host"
