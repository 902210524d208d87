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
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, TypeAlias, TypeVar, assert_never

from vigo.core.errors import JournalError
from vigo.core.events import (
    CancelRequested,
    Event,
    GateChecked,
    GateOpened,
    GateProbed,
    HostFinished,
    HostStarted,
    PauseEnded,
    Record,
    TaskFinished,
    TaskPaused,
)
from vigo.core.gate import Ask, Decision, Watch, is_healthy, nothing_to_ask
from vigo.core.guard import FileOrder, Order, Refusal
from vigo.core.model import Ended, HostResult, Outcome, accepted
from vigo.core.rollout import Check, Finish, Pause, Rest, Run, Start, Wait
from vigo.core.values import dataclass
from vigo.engine.gate import ClearCheck, Gatekeeper
from vigo.engine.ports import Journal, Observer, Probe, Sink, Transport

_T = TypeVar("_T")
_MS_PER_S = 1000
_KILL_PATIENCE_S = 1.0
"""How long a journal that hangs, or has just given way, may hold up a kill. A kill that is repeated is harmless."""

Clear: TypeAlias = Callable[[str], Order | FileOrder | Refusal]
"""Host name -> what the hard guard says about the exact text, or the file's place, for that host."""


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done on hosts, as far as names do not say it."""

    clear: Clear
    """The command itself, or the file."""
    clear_check: ClearCheck
    """The health check command."""
    asks: Callable[[Sequence[str]], Sequence[Ask]]
    """Hosts that a gate is for -> its questions."""
    mark: Callable[[], str]
    """Makes what a command's processes are known by on its host; each is a new one."""


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

    def __init__(self, task: str, run: Run, work: Work, ports: Ports, at_once: int | None = None) -> None:
        """Prepare the run; `at_once` is how many hosts this machine has room for, where that is less than the policy's fan-out."""
        self.run = run
        self.unrecorded: list[HostFinished] = []
        """What hosts ended with after the journal gave way, in the order of its coming."""
        self._task = task
        self._work = work
        self._ports = ports
        self._policy = policy = run.dispatched.policy
        self._at_once = at_once
        self._gatekeeper = Gatekeeper(
            ports.probe, ports.transport, work.clear_check, work.mark, policy.gate.timeout_ms, at_once or policy.fanout
        )
        self._observers = list(ports.observers)
        self._inbox: asyncio.Queue[_Message] = asyncio.Queue()
        self._journal_error: JournalError | None = None

    def announce(self, opening: Record) -> None:
        """Show the observers the record that this leg of the run begins with: its dispatch, or its resume."""
        for observer in tuple(self._observers):
            self._tell(observer, opening)

    async def carry_out(self) -> None:
        """Run the task until it is over. Raises JournalError when the journal gave way, after running hosts ended."""
        async with asyncio.TaskGroup() as hosts:
            try:
                while not self.run.is_over:
                    await self._take_in(self._arrived())
                    await self._do_next_step(hosts)
            except JournalError as error:
                self._journal_error = error  # leaving the group awaits the running hosts
                self._complain(f"{error}; nothing more starts, what runs is awaited")
        if self._journal_error is not None:
            self.unrecorded += self._endings(self._arrived())
            raise self._journal_error

    def cancel(self, cause: str, *, now: bool) -> None:
        """Ask the loop to start nothing more and, with `now`, to kill what runs. Call it on the event loop.

        A kill is on record before it is carried out, unless the journal takes longer than a second over it.
        """
        self._inbox.put_nowait(CancelRequested(cause, now=now))
        if now:
            patience_s = _KILL_PATIENCE_S if self._journal_error is None else 0
            asyncio.get_running_loop().call_later(patience_s, self._ports.transport.kill)

    async def _do_next_step(self, hosts: asyncio.TaskGroup) -> None:
        match step := self.run.next_step(self._at_once):
            case Start():
                await self._start(step, hosts)
            case Wait():
                await self._take_in([await self._inbox.get(), *self._arrived()])
            case Rest():
                if await self._undisturbed(_sleep(step.duration_ms)):
                    await self._record([PauseEnded(step.batch)])
            case Check():
                await self._check(step)
            case Pause():
                await self._record([TaskPaused(step.reason)])
            case Finish():
                await self._record([TaskFinished(step.status, step.reason)])
            case _:
                assert_never(step)

    async def _start(self, step: Start, hosts: asyncio.TaskGroup) -> None:
        answers = {host: (self._work.clear(host), self._work.mark()) for host in step.hosts}
        await self._record([_opening(host, answer, step.batch, mark) for host, (answer, mark) in answers.items()])
        for host, (answer, mark) in answers.items():
            if not isinstance(answer, Refusal):
                hosts.create_task(self._run_host(host, answer, mark))

    async def _run_host(self, host: str, order: Order | FileOrder, mark: str) -> None:
        try:
            ended = await self._ports.transport.run(order, self._policy.limits, self._ports.sink, mark)
        # A library's own cancellation would be swallowed by the group, and the loop would wait for this host for ever.
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - nor may a bug at one host stop the others
            ended = Ended(HostResult(Outcome.LOST, detail=f"outcome unknown: internal error: {error!r}"))
        self._inbox.put_nowait(_HostEnded(host, ended))

    async def _check(self, step: Check) -> None:
        """Ask the gate, round by round, until it is decided or the operator wants something else."""
        opened_at = time.monotonic()
        await self._record([GateOpened(step.batch)])
        watch = Watch(self._policy.gate)
        asks = self._work.asks(step.hosts)
        while asks:
            asked = await self._undisturbed(self._gatekeeper.round(asks))
            if asked is None:
                return
            at_ms = _since_ms(opened_at)
            probed = [GateProbed(step.batch, ask.shown, a.passed, a.detail, a.duration_ms) for ask, a in asked]
            decision = watch.decide(healthy=is_healthy(answer for _, answer in asked), at_ms=at_ms)
            if decision is not Decision.AGAIN:
                passed = decision is Decision.PASSED
                await self._record([*probed, GateChecked(step.batch, passed, watch.story(asked, at_ms), at_ms)])
                return
            await self._record(probed)
            if not await self._undisturbed(_sleep(watch.pause_ms(_since_ms(opened_at)))):
                return
        await self._record([GateChecked(step.batch, passed=True, detail=nothing_to_ask(), duration_ms=0)])

    async def _undisturbed(self, work: Coroutine[Any, Any, _T]) -> _T | None:
        """Do this unless a message comes first: then give it up, take the message in and return None."""
        working, message = asyncio.ensure_future(work), asyncio.ensure_future(self._inbox.get())
        try:
            await asyncio.wait({working, message}, return_when=asyncio.FIRST_COMPLETED)
            if not message.done():
                return working.result()
        finally:
            working.cancel()
            message.cancel()
            await asyncio.wait({working, message})
        await self._take_in([message.result(), *self._arrived()])
        return None

    def _arrived(self) -> list[_Message]:
        return [self._inbox.get_nowait() for _ in range(self._inbox.qsize())]

    async def _take_in(self, messages: Sequence[_Message]) -> None:
        """Record what arrived, all of it in one transaction; a kill is carried out even if it cannot be recorded."""
        if not messages:
            return
        events = [self._ending(m) if isinstance(m, _HostEnded) else m for m in messages]
        kept = [data for m in messages if isinstance(m, _HostEnded) for data in m.ended.kept]
        try:
            await self._record(events, kept)
        except JournalError:
            self.unrecorded += self._endings(messages)
            raise
        finally:
            if any(isinstance(event, CancelRequested) and event.now for event in events):
                self._ports.transport.kill()

    async def _record(self, events: Sequence[Event], kept: Sequence[bytes] = ()) -> None:
        for record in await self._ports.journal.append(self._task, events, kept):
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

    def _ending(self, message: _HostEnded) -> HostFinished:
        return HostFinished(message.host, accepted(message.ended.result, self._policy.accept_exit))

    def _endings(self, messages: Sequence[_Message]) -> list[HostFinished]:
        return [self._ending(message) for message in messages if isinstance(message, _HostEnded)]


async def _sleep(duration_ms: int) -> bool:
    await asyncio.sleep(duration_ms / _MS_PER_S)
    return True


def _since_ms(begin: float) -> int:
    return round((time.monotonic() - begin) * _MS_PER_S)


def _opening(host: str, answer: Order | FileOrder | Refusal, batch: int, mark: str) -> Event:
    if isinstance(answer, Refusal):
        return HostFinished(host, HostResult(Outcome.REJECTED, detail=answer.finding.pattern))
    return HostStarted(host, batch, mark)
