"""What carrying a task out needs beyond its record: hosts, exact texts, and the questions of its gates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field

from vigo.adapters.ssh_secrets import Credentials
from vigo.cli.results import Results
from vigo.core import binding
from vigo.core.gate import Ask, AskCommand, AskTcp, AskUrl, GatePolicy
from vigo.core.guard import Act, Text
from vigo.core.model import Host, Overrides
from vigo.core.plan import Plan
from vigo.core.texts import each_once
from vigo.core.values import dataclass


@dataclass(frozen=True, slots=True)
class Errand:
    """A task's command and checks for each of its hosts."""

    plan: Plan
    texts: Mapping[str, Act]
    """Host name -> the exact text for it, or the place of the file that it gets."""
    checks: Mapping[str, Text] = field(default_factory=dict)
    """Host name -> the exact health check command for it; empty where there is none."""
    accept_new_host_keys: bool = False
    output: str = "text"
    overrides: Overrides = Overrides()
    ssh_config: str | None = None
    """What `--ssh-config` says; None is the user's own and the machine's."""
    credentials: Credentials | None = None
    """What is offered beside the keys that lie open here; fetched last, and dropped after the run."""
    progress: str = "auto"
    """How the run is followed on standard error: what `--progress` says."""
    results: Results = Results()
    """What the flags say about results."""

    @property
    def all_texts(self) -> list[Act]:
        """Everything that the errand may run on hosts, each text once, for the guard to read."""
        return each_once([*self.texts.values(), *self.checks.values()])


def gate_asks(gate: GatePolicy, hosts: Sequence[Host], address_of: Callable[[Host], str]) -> Sequence[Ask]:
    """Return a gate's questions; those that every host would ask in the same words are asked once."""
    asks: list[Ask] = []
    for url in gate.urls:
        if binding.is_per_host(url):
            asks += [AskUrl(binding.url_for(url, host)) for host in hosts]
        else:
            asks.append(AskUrl(binding.url_for(url, None)))
    if gate.tcp_port is not None:
        asks += [AskTcp(host.name, address_of(host), gate.tcp_port) for host in hosts]
    if gate.command is not None:
        asks += [AskCommand(host.name) for host in hosts]
    return tuple(dict.fromkeys(asks))
