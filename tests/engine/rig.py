"""An execution in memory: what it touches can be looked at, held up and made to fail."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.engine.fakes import MemoryJournal, MemorySink, MemoryTransport, ScriptedProbe, settled
from vigo.core.events import Event, TaskDispatched
from vigo.core.gate import Ask, AskCommand, AskTcp, AskUrl
from vigo.core.guard import Order, Refusal, Text, clear
from vigo.core.model import Ended, Host, HostResult, Outcome
from vigo.core.plan import Policy
from vigo.core.rollout import Run
from vigo.engine.execute import Execution, Ports, Work

_ROUNDS_MAX = 2_000

TASK = "t1a2b3c4"
URL = "http://lb.example.com/health"
FAILED = Ended(HostResult(Outcome.FAILED, 5, exit_code=3))
PATTERN = "systemctl stop vigo"


@dataclass
class Rig:
    """An execution and the memory that it touches; hosts named in `refused` get a command that the guard refuses."""

    batches: tuple[tuple[str, ...], ...]
    policy: Policy = Policy()
    refused: frozenset[str] = frozenset()
    refused_checks: frozenset[str] = frozenset()
    transport: MemoryTransport = field(default_factory=MemoryTransport)
    probe: ScriptedProbe = field(default_factory=ScriptedProbe)
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    observers: Sequence[Any] = ()
    run: Run = field(init=False)

    def __post_init__(self) -> None:
        self.sink = MemorySink()
        self.complaints: list[str] = []
        self.dispatched = TaskDispatched("ops", "uptime", "all", self.batches, self.policy)
        self.ports = Ports(
            self.transport, self.probe, self.journal, self.sink, tuple(self.observers), self.complaints.append
        )
        self._marks = itertools.count(1)
        self.take_over(Run(self.dispatched))

    def take_over(self, run: Run) -> None:
        """Let a new execution carry this run on, as another process would after a resume."""
        self.run = run
        work = Work(
            clear=lambda host: self._clear(host, "danger" if host in self.refused else "uptime"),
            clear_check=lambda host: self._clear(host, "danger" if host in self.refused_checks else "check"),
            asks=self._asks,
            mark=lambda: f"m{next(self._marks)}",
        )
        self.execution = Execution(TASK, run, work, self.ports)

    @staticmethod
    def _clear(host: str, text: str) -> Order | Refusal:
        return clear(Host(host, f"uuid-of-{host}"), Text(text))

    def _asks(self, hosts: Sequence[str]) -> Sequence[Ask]:
        gate = self.policy.gate
        tcp = [] if gate.tcp_port is None else [AskTcp(host, f"10.0.0.{host}", gate.tcp_port) for host in hosts]
        commands = [] if gate.command is None else [AskCommand(host) for host in hosts]
        return (*map(AskUrl, gate.urls), *tcp, *commands)

    def play(self, script: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Carry the task out while the script plays the world; raises what the execution raises."""

        async def both() -> None:
            carrying = asyncio.create_task(self.execution.carry_out())
            try:
                await script()
                async with asyncio.timeout(30):
                    await carrying
            finally:
                carrying.cancel()
                await asyncio.gather(carrying, return_exceptions=True)

        asyncio.run(both())

    async def let_all_complete(self) -> None:
        """End the host that has run longest, again and again, until the loop is done or nothing moves any more."""
        await self.act_until_over(lambda running: self.transport.end(running[0]))

    async def act_until_over(self, act: Callable[[tuple[str, ...]], None]) -> None:
        """Let the loop come to rest and act on the running hosts, again and again; fails when it never ends."""
        for _ in range(_ROUNDS_MAX):
            if self.is_over:
                return
            await settled()
            if self.transport.running:
                act(self.transport.running)
        raise AssertionError(f"no end in sight; running: {self.transport.running}")

    @property
    def is_over(self) -> bool:
        """Whether nothing more will be started."""
        return self.run.is_over or (self.journal.has_failed and not self.transport.running)

    @property
    def orders(self) -> list[tuple[str, str]]:
        """What was run where, in order: the command and the checks."""
        return [(order.host.name, order.wire) for order in self.transport.orders]

    def outcomes(self) -> dict[str, Outcome | None]:
        """Return each host's outcome."""
        return {host: self.run.outcome(host) for host in self.run.hosts}

    def events_of(self, kind: type[Event]) -> list[Event]:
        """Return the journal's events of one kind."""
        return [event for event in self.journal.events if isinstance(event, kind)]


class Clock:
    """Time that passes only when the engine sleeps, or when the test says so."""

    def __init__(self) -> None:
        self.now_ms = 0
        self.slept: list[int] = []

    def monotonic(self) -> float:
        """Return seconds."""
        return self.now_ms / 1000

    async def sleep(self, duration_ms: int) -> bool:
        """Let the time pass at once; the loop turns."""
        self.slept.append(duration_ms)
        await asyncio.sleep(0)
        self.now_ms += duration_ms
        return True
