"""What the engine asks of the world, as Protocols of one or two methods.

Every implementation of a port passes the suite for that port in `tests/contracts/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from vigo.core.events import Event, Record
from vigo.core.gate import Answer, AskTcp, AskUrl
from vigo.core.guard import FileOrder, Order
from vigo.core.model import Ended, Host, Limits, Remains, Stream
from vigo.core.rollout import Run


class Sink(Protocol):
    """Receives live output. It is called on the event loop, must not block and must not raise."""

    def write(self, host: str, stream: Stream, data: bytes) -> None:
        """Take the next bytes of one stream of one host, as they arrived."""


class Transport(Protocol):
    """Brings an order to its host."""

    async def run(self, order: Order | FileOrder, limits: Limits, sink: Sink, mark: str) -> Ended:
        """Run the order once and say how it ended; a host that fails is a result, never an exception.

        `mark` (at most 32 hexadecimal digits, never used twice) is what the command's processes are known by on the
        host. Bounded: it returns within connect deadline + timeout + grace + 5 s. Nothing is retried once the exec
        request may have left.
        """

    def kill(self) -> None:
        """End every command that runs now; each pending `run` returns `cancelled` (or what it already was).

        Returns at once, may be called again, and commands that are run later end at once as well.
        """


class Inspector(Protocol):
    """Looks for commands that were started earlier, by a control process that has lost them."""

    async def look(self, host: Host, mark: str) -> Remains:
        """Say what is left of the command with this mark; a host that fails is an answer, never an exception."""


class Probe(Protocol):
    """Asks a service whether it is healthy."""

    async def ask(self, ask: AskUrl | AskTcp) -> Answer:
        """Probe once; whatever goes wrong is an answer, never an exception. Bounded by the probe's own deadline."""


class Journal(Protocol):
    """The append-only event log."""

    async def append(self, task: str, events: Sequence[Event], outputs: Sequence[bytes] = ()) -> Sequence[Record]:
        """Write the events in one transaction and return them as written.

        Synced to disk before returning if any of the events is `durable`. `outputs` are kept bytes that the events
        name by digest. Raises JournalError; then nothing of this call was written.
        """


class Observer(Protocol):
    """Watches a run. One that raises is dropped with one line on stderr."""

    def on_record(self, record: Record, run: Run) -> None:
        """See one event after it was written and applied."""
