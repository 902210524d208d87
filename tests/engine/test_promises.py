"""What the loop promises of every host, whatever else goes on: the least that mutants of it must break."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from vigo.core.events import Event, HostFinished, HostStarted, Record, TaskDispatched
from vigo.core.gate import Answer, AskTcp, AskUrl
from vigo.core.guard import Finding, Layer, Order, Refusal, Text, clear
from vigo.core.model import Ended, Host, HostResult, Limits, Outcome, Stream
from vigo.core.plan import Policy
from vigo.core.rollout import Run
from vigo.engine.execute import Execution, Ports, Work
from vigo.engine.ports import Sink

HOSTS = ("a", "b", "refused", "c")
EXITS = {"a": 0, "b": 3, "c": 4}


@dataclass
class World:
    """A journal, a transport, a sink and a probe in one, that write down what they were asked for."""

    written: list[Event] = field(default_factory=list)
    on_record: dict[str, bool] = field(default_factory=dict)
    """Host -> whether its start was written down when its order came."""

    async def append(self, task: str, events: Sequence[Event], _outputs: Sequence[bytes] = ()) -> Sequence[Record]:
        """Write the events, and not at once: a transport that is asked too early would be seen."""
        await asyncio.sleep(0)
        self.written += events
        return [Record(number, "2026-03-13T12:30:01.042Z", task, event) for number, event in enumerate(events, 1)]

    async def run(self, order: Any, _limits: Limits, _sink: Sink, mark: str) -> Ended:
        """End the order at once with its host's exit code."""
        started = [event for event in self.written if isinstance(event, HostStarted)]
        self.on_record[order.host.name] = (order.host.name, mark) in [(event.host, event.mark) for event in started]
        exit_code = EXITS.get(order.host.name, 0)
        return Ended(HostResult(Outcome.COMPLETE if exit_code == 0 else Outcome.FAILED, 5, exit_code))

    def kill(self) -> None:
        """Nothing runs for longer than a moment."""

    async def ask(self, ask: AskUrl | AskTcp) -> Answer:
        """Answer a probe."""
        raise AssertionError(f"no gate was set, and yet {ask.shown} was asked")

    def write(self, host: str, stream: Stream, data: bytes) -> None:
        """Take live output."""
        raise AssertionError(f"{host} sent {data!r} on {stream}")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """Carry a task out on four hosts, of which the guard refuses one; exit code 3 is accepted."""

    def judge(text: str) -> Finding | None:
        return Finding(Layer.HARD, "unit-stop", "systemctl stop vigo") if "refused" in text else None

    def cleared(host: str) -> Order | Refusal:
        return clear(Host(host, f"uuid-of-{host}"), Text(f"uptime {host}"))

    monkeypatch.setattr("vigo.core.guard.order.judge", judge)
    seen, marks = World(), itertools.count()
    run = Run(TaskDispatched("ops", "uptime", "all", (HOSTS,), Policy(fanout=2, accept_exit=(0, 3))))
    work = Work(cleared, cleared, lambda _: (), lambda: f"{next(marks):032x}")
    asyncio.run(Execution("t1", run, work, Ports(seen, seen, seen, seen, (), print)).carry_out())
    return seen


def test_a_start_is_on_record_before_its_order_goes_out(world: World) -> None:
    """Intent before act: whatever dies when, the journal knows each host on which something may have happened."""
    assert world.on_record == {"a": True, "b": True, "c": True}


def test_a_refused_host_never_reaches_the_transport(world: World) -> None:
    """It has its outcome, and nothing was sent to it."""
    assert "refused" not in world.on_record
    assert outcomes(world)["refused"] is Outcome.REJECTED


def test_exit_codes_that_the_task_accepts_complete_a_host(world: World) -> None:
    """Those and no others."""
    expected = {"a": Outcome.COMPLETE, "b": Outcome.COMPLETE, "refused": Outcome.REJECTED, "c": Outcome.FAILED}
    assert outcomes(world) == expected


def outcomes(world: World) -> dict[str, Outcome]:
    """Return each host's outcome as it was written down."""
    return {event.host: event.result.outcome for event in world.written if isinstance(event, HostFinished)}
