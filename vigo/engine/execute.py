"""The loop: ask the run for a step, do it, write down what happened.

Rule 1: the loop, and only the loop, records an event, applies it to the run and then tells the observers, in this order.
Rule 2: intent before act: the start of a host is on disk before its order goes to the transport.
Rule 3: an order exists only if the hard guard cleared the host's exact text; a refusal never reaches the transport.
Rule 4: when the journal cannot record, nothing new starts; running hosts are awaited, what they ended with is held for
        the operator, and the error goes up.
Nothing is decided here: when a host may be touched stands in `core/rollout.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from vigo.core.errors import JournalError
from vigo.core.events import CancelRequested, Event, GateChecked, HostFinished, HostStarted, Record, TaskFinished
from vigo.core.guard import Order, Refusal
from vigo.core.model import Ended, HostResult, Limits, Outcome
from vigo.core.rollout import Check, Finish, Run, Start, Wait
from vigo.engine.ports import Journal, Observer, Probe, Sink, Transport

Clear: TypeAlias = Callable[[str], Order | Refusal]
"""Host name -> what the hard guard says about the exact text for that host."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything that a run touches."""

    transport: Transport
    probe: Probe
    journal: Journal
    sink: Sink
    observers: Sequence[Observer]
    complain: Callable[[str], None]
    """Takes one line about an observer that was dropped, or a journal that gave way."""


@dataclass(frozen=True, slots=True)
class _HostEnded:
    host: str
    ended: Ended


_Message: TypeAlias = _HostEnded | CancelRequested


class Execution:
    """One dispatched task being carried out."""

    def __init__(self, task: str, run: Run, clear: Clear, limits: Limits, ports: Ports) -> None:
        self.run = run
        self.unrecorded: list[HostFinished] = []
        """What hosts ended with after the journal gave way, in the order of its coming."""
        self._task = task
        self._clear = clear
        self._limits = limits
        self._ports = ports
        self._observers = list(ports.observers)
        self._inbox: asyncio.Queue[_Message] = asyncio.Queue()
        self._journal_error: JournalError | None = None

    async def carry_out(self) -> None:
        """Run the task to its verdict. Raises JournalError when the journal gave way, after running hosts ended."""
        async with asyncio.TaskGroup() as hosts:
            try:
                while self.run.finished is None:
                    self._take_in(self._arrived())
                    await self._do_next_step(hosts)
            except JournalError as error:
                self._journal_error = error  # leaving the group awaits the running hosts
                self._complain(f"{error}; nothing more starts, what runs is awaited")
        if self._journal_error is not None:
            self.unrecorded += _endings(self._arrived())
            raise self._journal_error

    def cancel(self, cause: str, *, now: bool) -> None:
        """Ask the loop to start nothing more and, with `now`, to kill what runs. Call it on the event loop."""
        self._inbox.put_nowait(CancelRequested(cause, now=now))
        if now and self._journal_error is not None:
            self._ports.transport.kill()  # the loop has ended; only running hosts are left

    async def _do_next_step(self, hosts: asyncio.TaskGroup) -> None:
        match step := self.run.next_step():
            case Start():
                self._start(step, hosts)
            case Wait():
                self._take_in([await self._inbox.get(), *self._arrived()])
            case Check():
                await self._check(step)
            case Finish():
                self._record([TaskFinished(step.status, step.reason)])
            case _:
                assert_never(step)

    def _start(self, step: Start, hosts: asyncio.TaskGroup) -> None:
        answers = {host: self._clear(host) for host in step.hosts}
        self._record([_opening(host, answer, step.batch) for host, answer in answers.items()])
        for host, answer in answers.items():
            if isinstance(answer, Order):
                hosts.create_task(self._run_host(host, answer))

    async def _run_host(self, host: str, order: Order) -> None:
        try:
            ended = await self._ports.transport.run(order, self._limits, self._ports.sink)
        # A library's own cancellation would be swallowed by the group, and the loop would wait for this host for ever.
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - nor may a bug at one host stop the others
            ended = Ended(HostResult(Outcome.LOST, detail=f"outcome unknown: internal error: {error!r}"))
        self._inbox.put_nowait(_HostEnded(host, ended))

    async def _check(self, step: Check) -> None:
        verdict = await self._ports.probe.check(step.url)
        self._record([GateChecked(step.batch, verdict.passed, verdict.detail, verdict.duration_ms)])

    def _arrived(self) -> list[_Message]:
        return [self._inbox.get_nowait() for _ in range(self._inbox.qsize())]

    def _take_in(self, messages: Sequence[_Message]) -> None:
        """Record what arrived, all of it in one transaction; a kill is carried out even if it cannot be recorded."""
        if not messages:
            return
        events = [_ending(m) if isinstance(m, _HostEnded) else m for m in messages]
        kept = [data for m in messages if isinstance(m, _HostEnded) for data in m.ended.kept]
        try:
            self._record(events, kept)
        except JournalError:
            self.unrecorded += _endings(messages)
            raise
        finally:
            if any(isinstance(event, CancelRequested) and event.now for event in events):
                self._ports.transport.kill()

    def _record(self, events: Sequence[Event], kept: Sequence[bytes] = ()) -> None:
        for record in self._ports.journal.append(self._task, events, kept):
            self.run.apply(record.event)
            for observer in tuple(self._observers):
                self._tell(observer, record)

    def _tell(self, observer: Observer, record: Record) -> None:
        try:
            observer.on_record(record, self.run)
        except Exception as error:  # noqa: BLE001 - whatever an observer does, the run goes on without it
            self._observers.remove(observer)
            self._complain(f"{type(observer).__name__} stopped: {error!r}; the run goes on, see `task status`")

    def _complain(self, line: str) -> None:
        with suppress(OSError, ValueError):  # standard error may be closed too, and the run goes on all the same
            self._ports.complain(line)


def _ending(message: _HostEnded) -> HostFinished:
    return HostFinished(message.host, message.ended.result)


def _endings(messages: Sequence[_Message]) -> list[HostFinished]:
    return [_ending(message) for message in messages if isinstance(message, _HostEnded)]


def _opening(host: str, answer: Order | Refusal, batch: int) -> Event:
    if isinstance(answer, Order):
        return HostStarted(host, batch)
    return HostFinished(host, HostResult(Outcome.REJECTED, detail=answer.finding.pattern))
