"""What carrying a task out needs beyond its record: hosts, exact texts, and the questions of its gates."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from vigo.core import binding
from vigo.core.gate import Ask, AskCommand, AskTcp, AskUrl, GatePolicy
from vigo.core.guard import Order, Refusal, Text, clear
from vigo.core.model import Host
from vigo.core.plan import Plan
from vigo.engine.execute import Work

_MARK_BYTES = 10


@dataclass(frozen=True, slots=True)
class Errand:
    """A task's command and checks for each of its hosts."""

    plan: Plan
    texts: Mapping[str, Text]
    """Host name -> the exact text for it."""
    checks: Mapping[str, Text] = field(default_factory=dict)
    """Host name -> the exact health check command for it; empty where there is none."""
    accept_new_host_keys: bool = False
    output: str = "text"

    @property
    def all_texts(self) -> list[Text]:
        """Everything that the errand may run on hosts, for the guard to read."""
        return [*self.texts.values(), *self.checks.values()]

    def work(self, address_of: Callable[[Host], str]) -> Work:
        """Return what the engine does with names; `address_of` says where a host's ports are."""
        hosts = {host.name: host for host in self.plan.hosts}

        def clear_one(texts: Mapping[str, Text], host: str) -> Order | Refusal:
            return clear(hosts[host], texts[host])

        return Work(
            clear=lambda host: clear_one(self.texts, host),
            clear_check=lambda host: clear_one(self.checks, host),
            asks=lambda names: _asks(self.plan.policy.gate, [hosts[name] for name in names], address_of),
            mark=lambda: secrets.token_hex(_MARK_BYTES),
        )


def _asks(gate: GatePolicy, hosts: Sequence[Host], address_of: Callable[[Host], str]) -> Sequence[Ask]:
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
