"""Which hosts of a plan are trusted with more than a login, by inventory and command line: unchecked, or with the agent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vigo.core.model import Hop, Host, HostKeyRule, Overrides
from vigo.core.ranges import fold

_RULE = "stricthostkeychecking"


def insecure_hosts(hosts: Iterable[Host], flags: Overrides | None = None) -> tuple[str, ...]:
    """Return the names of the hosts, and of the jump hosts on their way, whose keys are not checked, each once.

    A rule among the `flags` counts for every target: a flag can only say that keys are checked.
    """
    flags = flags or Overrides()
    are_checked = any(keyword.lower() == _RULE for keyword, _ in flags.options)
    names: dict[str, None] = {}
    for host in hosts:
        if host.ssh.host_keys is HostKeyRule.INSECURE and not are_checked:
            names[host.name] = None
        names.update(dict.fromkeys(_on_the_way(host.ssh.jump if flags.jump is None else flags.jump)))
    return tuple(names)


def insecure_line(names: Iterable[str]) -> str:
    """Say which hosts are not checked, for the one who is about to run something on them."""
    return f"host keys of {fold(names)} are not checked (host_keys: insecure in the inventory)"


def forwarding_hosts(hosts: Iterable[Host]) -> tuple[str, ...]:
    """Return the names of the hosts that may use the operator's agent; jump hosts run nothing and get no agent."""
    return tuple(host.name for host in hosts if host.ssh.forward_agent)


def forwarding_line(names: Iterable[str]) -> str:
    """Say who else can log in as the operator while something runs."""
    return f"the agent is forwarded to {fold(names)}: root there can use its keys (forward_agent in the inventory)"


def _on_the_way(hops: Iterable[Hop] | None) -> Iterator[str]:
    for hop in hops or ():
        if hop.ssh.host_keys is HostKeyRule.INSECURE:
            yield hop.name
        yield from _on_the_way(hop.ssh.jump)
