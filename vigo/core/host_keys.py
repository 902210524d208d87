"""Which hosts of a plan are not checked to be themselves, as far as the inventory says."""

from __future__ import annotations

from collections.abc import Iterable

from vigo.core.model import Host, HostKeyRule, SshSettings
from vigo.core.ranges import fold


def insecure_hosts(hosts: Iterable[Host]) -> tuple[str, ...]:
    """Return the names of the hosts, and of the jump hosts on their way, whose keys are not checked, each once."""
    names = dict.fromkeys(name for host in hosts for name in _insecure(host.name, host.ssh))
    return tuple(names)


def insecure_line(names: Iterable[str]) -> str:
    """Say which hosts are not checked, for the one who is about to run something on them."""
    return f"host keys of {fold(names)} are not checked (host_keys: insecure in the inventory)"


def _insecure(name: str, ssh: SshSettings) -> Iterable[str]:
    if ssh.host_keys is HostKeyRule.INSECURE:
        yield name
    for hop in ssh.jump or ():
        yield from _insecure(hop.name, hop.ssh)
