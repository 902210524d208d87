"""Implementations of the engine's ports in memory: what they promise is what the real ones promise, minus the world."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence

from vigo.core.errors import JournalError
from vigo.core.events import Event, Record
from vigo.core.guard import Order
from vigo.core.model import Ended, HostResult, Kill, Limits, Outcome, Stream
from vigo.engine.ports import Sink, Verdict

COMPLETE = Ended(HostResult(Outcome.COMPLETE, 42, exit_code=0))
_KILLED = Ended(HostResult(Outcome.CANCELLED, 7, kill=Kill.KILLED))
_DEADLINE_S = 30


class MemoryTransport:
    """Accepts orders and ends them when the test says so, in the order that the test likes."""

    def __init__(self, on_order: Callable[[Order], None] = lambda _: None) -> None:
        self.orders: list[Order] = []
        self.limits: list[Limits] = []
        self.kills = 0
        self._on_order = on_order
        self._pending: dict[str, asyncio.Future[Ended]] = {}
        self._sink: Sink | None = None

    @property
    def running(self) -> tuple[str, ...]:
        """Hosts in flight, in the order of their start."""
        return tuple(self._pending)

    @property
    def seen(self) -> tuple[str, ...]:
        """Hosts whose order ever arrived here."""
        return tuple(order.host.name for order in self.orders)

    async def run(self, order: Order, limits: Limits, sink: Sink) -> Ended:
        """Take the order and wait for `end`, `break_off` or `kill`."""
        self._on_order(order)
        self.orders.append(order)
        self.limits.append(limits)
        self._sink = sink
        if self.kills:
            return _KILLED
        self._pending[order.host.name] = asyncio.get_running_loop().create_future()
        try:
            return await self._pending[order.host.name]
        finally:
            del self._pending[order.host.name]

    def kill(self) -> None:
        """End all that runs as cancelled, and all that comes later."""
        self.kills += 1
        for future in self._pending.values():
            if not future.done():
                future.set_result(_KILLED)

    def say(self, host: str, stream: Stream, data: bytes) -> None:
        """Let a running host put something out."""
        assert self._sink is not None
        self._sink.write(host, stream, data)

    def end(self, host: str, ended: Ended = COMPLETE) -> None:
        """Let a running host end like this."""
        self._pending[host].set_result(ended)

    def break_off(self, host: str, error: BaseException) -> None:
        """Let a running host's `run` raise, which a real transport must never do."""
        if isinstance(error, asyncio.CancelledError):
            self._pending[host].cancel()
        else:
            self._pending[host].set_exception(error)

    async def until_running(self, *hosts: str) -> None:
        """Wait until exactly these hosts are in flight."""
        await until(lambda: set(self.running) == set(hosts))


class MemoryJournal:
    """An append-only list with gapless numbers and a chain of digests; fails from the `fail_on`-th append on."""

    def __init__(self, fail_on: int | None = None) -> None:
        self.records: list[Record] = []
        self.appends: list[tuple[Event, ...]] = []
        self.kept: dict[str, bytes] = {}
        self.fail_on = fail_on
        self.on_append: Callable[[Sequence[Event]], None] = lambda _: None

    @property
    def events(self) -> list[Event]:
        """All that was written, in order."""
        return [record.event for record in self.records]

    @property
    def has_failed(self) -> bool:
        """Whether an append was refused."""
        return self.fail_on is not None and len(self.appends) >= self.fail_on

    def append(self, task: str, events: Sequence[Event], outputs: Sequence[bytes] = ()) -> Sequence[Record]:
        """Write all of the events or, from the `fail_on`-th call on, none."""
        self.on_append(events)
        self.appends.append(tuple(events))
        if self.has_failed:
            raise JournalError("journal: no space left on device; free some and look at `vigo task status`")
        written = [self._record(task, event) for event in events]
        self.kept.update({hashlib.sha256(data).hexdigest(): data for data in outputs})
        return written

    def _record(self, task: str, event: Event) -> Record:
        before = self.records[-1].digest if self.records else ""
        digest = hashlib.sha256(f"{before}{task}{event!r}".encode()).hexdigest()
        self.records.append(Record(len(self.records) + 1, "2026-03-13T12:30:01.042Z", task, event, digest))
        return self.records[-1]


class ScriptedProbe:
    """Gives prepared answers, one a check; passes when they are used up."""

    def __init__(self, *passes: bool) -> None:
        self.asked: list[str] = []
        self.on_check: Callable[[], None] = lambda: None
        self._passes = list(passes)

    async def check(self, url: str) -> Verdict:
        """Answer at once."""
        self.asked.append(url)
        self.on_check()
        passed = self._passes.pop(0) if self._passes else True
        return Verdict(passed, "HTTP 200" if passed else "HTTP 503", 3)


class MemorySink:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.written: list[tuple[str, Stream, bytes]] = []

    def write(self, host: str, stream: Stream, data: bytes) -> None:
        """Keep it."""
        self.written.append((host, stream, data))


async def until(condition: Callable[[], bool]) -> None:
    """Give the loop turns until the condition holds; fails after a generous deadline."""
    async with asyncio.timeout(_DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - conditions over plain values have no event to wait for
            await asyncio.sleep(0)


async def settled(turns: int = 20) -> None:
    """Give the loop more turns than any chain of its callbacks needs to come to rest."""
    for _ in range(turns):
        await asyncio.sleep(0)
