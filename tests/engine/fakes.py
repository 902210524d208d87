"""Implementations of the engine's ports in memory: what they promise is what the real ones promise, minus the world."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence

from vigo.core.chain import GENESIS, canonical, link
from vigo.core.errors import JournalError
from vigo.core.events import Event, Record
from vigo.core.gate import Answer, AskTcp, AskUrl
from vigo.core.guard import FileOrder, Order
from vigo.core.model import Ended, HostResult, Kill, Limits, Outcome, Stream
from vigo.core.payload import to_payload
from vigo.engine.ports import Sink

COMPLETE = Ended(HostResult(Outcome.COMPLETE, 42, exit_code=0))
_KILLED = Ended(HostResult(Outcome.CANCELLED, 7, kill=Kill.KILLED))
_DEADLINE_S = 30


class MemoryTransport:
    """Accepts orders and ends them when the test says so, in the order that the test likes."""

    def __init__(self, on_order: Callable[[Order], None] = lambda _: None) -> None:
        self.orders: list[Order] = []
        self.limits: list[Limits] = []
        self.marks: list[str] = []
        self.given_up: list[str] = []
        """Hosts whose `run` was cancelled from outside."""
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

    async def run(self, order: Order | FileOrder, limits: Limits, sink: Sink, mark: str) -> Ended:
        """Take the order and wait for `end`, `break_off` or `kill`."""
        assert isinstance(order, Order), "files are for transports that have somewhere to put them"
        self._on_order(order)
        self.orders.append(order)
        self.limits.append(limits)
        self.marks.append(mark)
        self._sink = sink
        if self.kills:
            return _KILLED
        self._pending[order.host.name] = asyncio.get_running_loop().create_future()
        try:
            return await self._pending[order.host.name]
        except asyncio.CancelledError:
            self.given_up.append(order.host.name)
            raise
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
    """An append-only list with gapless numbers and a chain of digests; fails from the `fail_on`-th append on.

    Between an append's beginning and its end the loop turns at least once, and until `hold` is set where there is one.
    """

    def __init__(self, fail_on: int | None = None) -> None:
        self.records: list[Record] = []
        self.appends: list[tuple[Event, ...]] = []
        self.kept: dict[str, bytes] = {}
        self.fail_on = fail_on
        self.on_append: Callable[[Sequence[Event]], None] = lambda _: None
        self.hold: asyncio.Event | None = None

    @property
    def events(self) -> list[Event]:
        """All that was written, in order."""
        return [record.event for record in self.records]

    @property
    def has_failed(self) -> bool:
        """Whether an append was refused."""
        return self.fail_on is not None and len(self.appends) >= self.fail_on

    async def append(self, task: str, events: Sequence[Event], outputs: Sequence[bytes] = ()) -> Sequence[Record]:
        """Write all of the events or, from the `fail_on`-th call on, none."""
        self.on_append(events)
        self.appends.append(tuple(events))
        await (asyncio.sleep(0) if self.hold is None else self.hold.wait())
        if self.has_failed:
            raise JournalError("journal: no space left on device; free some and look at `vigo task status`")
        return self._write(task, events, outputs)

    def _write(self, task: str, events: Sequence[Event], outputs: Sequence[bytes]) -> Sequence[Record]:
        written = list(self.records[-1:])
        try:
            for event in events:
                written.append(self._record(written[-1:], task, event))
        except ValueError as error:
            raise JournalError(f"journal: cannot be written: {error}") from error
        del written[: len(written) - len(events)]
        self.records += written
        self.kept.update({hashlib.sha256(data).hexdigest(): data for data in outputs})
        return written

    @staticmethod
    def _record(before: Sequence[Record], task: str, event: Event) -> Record:
        seq, digest = (before[0].seq + 1, before[0].digest) if before else (1, GENESIS)
        at, data = "2026-03-13T12:30:01.042Z", canonical(to_payload(event)).decode()
        columns = (seq, at, task, event.kind, getattr(event, "host", None), data)
        return Record(seq, at, task, event, link(digest, columns))


class ScriptedProbe:
    """Gives prepared answers, one a question; passes when they are used up."""

    def __init__(self, *passes: bool) -> None:
        self.asked: list[str] = []
        self.on_ask: Callable[[], None] = lambda: None
        self.hold: asyncio.Event | None = None
        self.error: BaseException | None = None
        self.at_once = self.at_once_most = 0
        self._passes = list(passes)

    async def ask(self, ask: AskUrl | AskTcp) -> Answer:
        """Answer at once, or when `hold` is set; raise `error`, which a real probe must never do."""
        self.asked.append(ask.shown)
        passed = self._passes.pop(0) if self._passes else True
        self.at_once += 1
        self.at_once_most = max(self.at_once, self.at_once_most)
        try:
            self.on_ask()
            await (asyncio.sleep(0) if self.hold is None else self.hold.wait())
        finally:
            self.at_once -= 1
        if self.error is not None:
            raise self.error
        return Answer(passed, "HTTP 200" if passed else "HTTP 503", 3)


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
