"""One login over bytes that travel some way: by TCP, through a jump host, through a program.

Here asyncssh's connection is made and asked; who connects it, how often and how many at once is decided elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Protocol, TypeAlias

import asyncssh

from vigo.adapters.ssh_auth import Answers, way_out
from vigo.adapters.ssh_connection import Connection
from vigo.adapters.ssh_errors import Phase, Unreached, handshake_failed, out_of_time
from vigo.adapters.ssh_hostkeys import HostKeys, Known, ShownKey
from vigo.adapters.ssh_options import Endpoint, for_connection
from vigo.core.model import Reason
from vigo.core.values import dataclass

CLOSE_PATIENCE_S = 1.0
_MS_PER_S = 1000


Make: TypeAlias = Callable[[], Connection]
"""Makes the connection that is to be given its bytes."""


@dataclass(slots=True)
class Progress:
    """Where a connection stands, for the one who has to say why it failed."""

    phase: Phase = Phase.DNS
    shed: Unreached | None = None
    """The last sign of a server that sheds load."""
    timeout_ms: int = 10_000
    """The connect deadline."""
    clock: asyncio.Timeout | None = None
    """What strikes at the deadline; None where somebody else watches over the time."""
    overdue: Callable[[Phase, int], Unreached] = out_of_time
    """Says what a deadline in a phase means."""

    @contextmanager
    def off_the_clock(self) -> Iterator[None]:
        """Do not count the time inside against the deadline."""
        clock = self.clock
        if clock is None or (strikes_at := clock.when()) is None:
            yield
            return
        loop = asyncio.get_running_loop()
        left_s = strikes_at - loop.time()
        clock.reschedule(None)
        try:
            yield
        finally:
            with contextlib.suppress(RuntimeError):  # the deadline's block was left meanwhile
                clock.reschedule(loop.time() + left_s)

    @contextmanager
    def explained_by(self, overdue: Callable[[Phase, int], Unreached]) -> Iterator[None]:
        """Have somebody else say what a deadline inside means."""
        before, self.overdue = self.overdue, overdue
        yield
        self.overdue = before  # not after a deadline: it is explained only when everything has been left


class Way(Protocol):
    """How the bytes of a connection travel. It may be gone again and again, one connection after the other."""

    @property
    def place(self) -> str:
        """Where it leads, as an error names it; logins at equal places are counted together. Known after `prepare`."""

    async def prepare(self, progress: Progress) -> None:
        """Do what comes before a connection: look a name up, open a jump host. Raises Unreached."""

    async def join(self, make: Make, progress: Progress) -> Connection:
        """Connect and give the bytes to what `make` makes. Raises Unreached."""

    async def broken(self, connection: Connection) -> Unreached | None:
        """Say why the way broke off during a login; None where it was not the way."""


@asynccontextmanager
async def deadline(timeout_ms: int, progress: Progress) -> AsyncIterator[None]:
    """Bound everything inside by the connect deadline and say which phase it struck in; raises Unreached."""
    progress.timeout_ms = timeout_ms
    try:
        async with asyncio.timeout(timeout_ms / _MS_PER_S) as progress.clock:
            yield
    except TimeoutError:
        raise (progress.shed or progress.overdue(progress.phase, timeout_ms)) from None


async def log_in(way: Way, endpoint: Endpoint, known: Known, host_keys: HostKeys, progress: Progress) -> Connection:
    """Return a logged-in connection that goes this way; raises Unreached. Unbounded: call it inside `deadline`."""
    loop = asyncio.get_running_loop()
    client = _Client(endpoint, known, host_keys, progress)
    options = for_connection(endpoint, known)
    options.protocol_factory = lambda: client
    options.waiter = loop.create_future()
    key_first = endpoint.offers is None and not endpoint.asks_first and "publickey" in endpoint.authentications
    connection: Connection | None = None
    logged_in = False
    try:
        progress.phase = Phase.TCP
        connection = await way.join(lambda: Connection(loop, options, key_first=key_first), progress)
        progress.phase = Phase.BANNER
        await options.waiter
        logged_in = True
        progress.shed = None
    except Unreached:
        raise
    except Exception as error:
        if connection is None:
            raise
        raise (await way.broken(connection) or _explain(error, client, connection, endpoint)) from error
    finally:
        client.settle(logged_in=logged_in)
        endpoint.identity.close()
        if connection is not None:
            progress.phase = connection.phase
        if not logged_in:
            options.waiter.cancel()
            if connection is not None:
                connection.abort()
    return connection


async def or_hang_up(opening: Coroutine[Any, Any, Connection]) -> Connection:
    """Await what cannot be cancelled half-way: if the waiting is, it is hung up as soon as it is open."""
    task = asyncio.create_task(opening)
    try:
        await asyncio.wait({task})
    except asyncio.CancelledError:
        task.add_done_callback(_hang_up)
        raise
    return task.result()


async def close(connection: asyncssh.SSHClientConnection) -> None:
    """Close a connection, and what was started for it, and do not wait longer than a second."""
    connection.close()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_PATIENCE_S):
            await connection.wait_closed()
            if isinstance(connection, Connection) and connection.way_gone is not None:
                await connection.way_gone.wait()
            return
    connection.abort()


class _Client(Answers):
    """Answers asyncssh's questions about host keys too."""

    def __init__(self, endpoint: Endpoint, known: Known, host_keys: HostKeys, progress: Progress) -> None:
        super().__init__(
            endpoint.identity,
            endpoint.offers,
            user=endpoint.user,
            host=endpoint.asked,
            waiting=progress.off_the_clock,
        )
        self._endpoint = endpoint
        self._known = known
        self._host_keys = host_keys
        self.refusal: Unreached | None = None

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:  # noqa: ARG002 - asyncssh's signature
        try:
            self._host_keys.judge(
                self._known,
                self._endpoint.host_key_names[0],
                self._endpoint.port,
                ShownKey(key.get_algorithm(), key.public_data),
                rule=self._endpoint.host_keys,
                may_record=self._endpoint.records,
            )
        except Unreached as refusal:
            self.refusal = refusal
            return False
        return True


def _explain(error: Exception, client: _Client, connection: Connection, endpoint: Endpoint) -> Unreached:
    if client.refusal is not None:
        return client.refusal
    if connection.is_out_of_keys and isinstance(error, asyncssh.DisconnectError):  # however it says so
        error = asyncssh.PermissionDenied(f"Permission denied for user {endpoint.user} on host {endpoint.name}")
    failure = handshake_failed(error, connection.phase, connection.first_bytes, endpoint.place)
    if failure.reason is Reason.AUTH:
        more = connection.wanted_next
        methods = more or connection.offered
        way = way_out(methods, endpoint.offers, is_hop=endpoint.is_hop)
        wants = f" The server {'wants as well' if more else 'takes'}: {', '.join(methods)}." if methods else ""
        return Unreached(Reason.AUTH, f"{failure.detail}. Tried: {client.tried(connection.taken)}.{wants} {way}")
    return failure


def _hang_up(opened: asyncio.Task[Connection]) -> None:
    if not opened.cancelled() and opened.exception() is None:
        opened.result().abort()
