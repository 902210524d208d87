"""Jump hosts: one connection for each, opened once, shared by all that go through it, closed at the end of the run.

Rule 1: a hop that cannot be opened, or that dies, fails all who wait for it at once. Those who come later have it tried
once more, and no further; a hop that refused the login is not tried again at all.
Rule 2: a hop sees only bytes: what is behind it is logged in to from here, and our agent is never forwarded to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import field, replace
from typing import Any, Final, TypeAlias, cast
from weakref import WeakSet

import asyncssh

from vigo.adapters.ssh_connection import Connection
from vigo.adapters.ssh_errors import Phase, Unreached
from vigo.adapters.ssh_login import Make, Progress, close, deadline, or_hang_up
from vigo.adapters.ssh_options import Endpoint
from vigo.core.errors import VigoError
from vigo.core.model import Reason
from vigo.core.values import dataclass

_TRIES_MAX: Final = 2
_USERS_MAX: Final = 500
"""How many connections one login on a hop forwards: sshd needs a descriptor for each, and a service often has 1,024."""
_FAR_FAILURES: Final = (
    ("refused", Reason.REFUSED),
    ("timed out", Reason.CONNECT_TIMEOUT),
    ("No route", Reason.NO_ROUTE),
    ("unreachable", Reason.NO_ROUTE),
    ("not known", Reason.DNS),
    ("name resolution", Reason.DNS),
    ("associated with hostname", Reason.DNS),
)
"""What sshd says when it cannot connect any further, and what that means for whoever is behind it."""

Connect: TypeAlias = Callable[[Endpoint, Progress], Awaitable[Connection]]
"""Logs in to an endpoint, unbounded in time. Raises Unreached."""


@dataclass(slots=True, eq=False)
class Hop:
    """One jump host, the way to it included."""

    endpoint: Endpoint
    connect: Connect
    connection: Connection | None = None
    """None until it was opened, and after it was found dead."""
    _opening: asyncio.Task[None] | None = None
    _progress: Progress = field(default_factory=Progress)
    _failures: int = 0
    """Since it last forwarded a connection."""
    _failure: str = "closed: the run is over"
    """Why it is not open, for all who want to go through it."""
    _users: WeakSet[Through] = field(default_factory=WeakSet)

    @property
    def name(self) -> str:
        """What it is called where it was asked for."""
        return self.endpoint.asked

    @property
    def is_full(self) -> bool:
        """Whether it forwards as many connections as it should."""
        return len(self._users) >= _USERS_MAX <= sum(not user.is_over for user in tuple(self._users))

    def way_to(self, name: str, port: int) -> Through:
        """Return the way through it to a name and port, as it knows them."""
        way = Through(self, name, port)
        self._users.add(way)
        return way

    async def open(self, progress: Progress) -> None:
        """Return when it is open, whoever opens it. Raises Unreached (`hop`)."""
        if self._is_open():
            return
        if self._opening is None:
            if self._failures >= _TRIES_MAX:
                raise self._dead()
            timeout_ms = self.endpoint.connect_timeout_ms or progress.timeout_ms
            self._opening = asyncio.create_task(self._open(timeout_ms))
        with progress.explained_by(self._overdue):
            await asyncio.wait({self._opening})
        if not self._is_open():
            raise self._dead()

    async def forward(self, make: Make, name: str, port: int) -> Connection:
        """Have it connect to a name and port, as it knows them. Raises Unreached."""
        if self.connection is None:
            raise self._dead()
        try:
            _, session = await self.connection.create_connection(cast("Any", make), name, port)
        except asyncssh.ChannelOpenError as error:
            raise self._refused(error, f"{name} port {port}") from error
        except (asyncssh.Error, OSError, ValueError) as error:
            raise self._failed(f"protocol: {type(error).__name__}: {error}") from error
        self._failures = 0
        return cast("Connection", session)

    def death(self) -> Unreached | None:
        """Say that it died; None if it lives."""
        return None if self._is_open() else self._dead()

    async def close(self) -> None:
        """Close it, within a second, and stop opening it."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait({self._opening})
        connection, self.connection = self.connection, None
        if connection is not None:
            await close(connection)

    def _is_open(self) -> bool:
        if self.connection is not None and self.connection.is_closed():
            self.connection = None
            self._failures += 1
            self._failure = "lost: the connection to it died; see its log"
        return self.connection is not None

    async def _open(self, timeout_ms: int) -> None:
        self._progress = progress = Progress()
        try:
            async with deadline(timeout_ms, progress):
                self.connection = await self.connect(self.endpoint.again(), progress)
        except Unreached as refusal:
            self._failures = _TRIES_MAX if refusal.reason is Reason.AUTH else self._failures + 1
            self._failure = _words(refusal)
        except VigoError as error:
            self._failures = _TRIES_MAX
            self._failure = f"local: {error}"
        finally:
            self._opening = None

    def _overdue(self, _phase: Phase, timeout_ms: int) -> Unreached:
        """Say where it stands when the time of one who waits for it is over."""
        inner = self._progress
        return self._failed(_words(inner.shed or inner.overdue(inner.phase, timeout_ms)))

    def _dead(self) -> Unreached:
        return self._failed(self._failure)

    def _failed(self, why: str) -> Unreached:
        before = len(self.endpoint.jump)
        if before and why.startswith("hop "):
            return Unreached(Reason.HOP, why)  # of a hop before this one, which names itself
        return Unreached(Reason.HOP, f"hop {self.name}: {why}")

    def _refused(self, error: asyncssh.ChannelOpenError, place: str) -> Unreached:
        """Explain why it opens no connection: because of itself, or because of what is behind it."""
        told = " ".join(error.reason.split())[:200]
        dead = self.death()
        if dead is not None:
            return dead
        if error.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED:
            return self._failed(f"forbidden: it connects nobody to {place} ({told}); see AllowTcpForwarding there")
        for words, reason in _FAR_FAILURES:
            if words in told:
                return Unreached(reason, f"{place}, seen from hop {self.name}: {told}")
        return self._failed(f"it cannot connect to {place}: {told}")


def _words(refusal: Unreached) -> str:
    """Return reason and detail in one; what a hop before this one failed of has its name in front already."""
    return refusal.detail if refusal.reason is Reason.HOP else f"{refusal.reason}: {refusal.detail}"


@dataclass(slots=True, eq=False)
class Hops:
    """The jump hosts of a run."""

    connect: Connect
    _hops: dict[tuple[Endpoint, ...], list[Hop]] = field(default_factory=dict)

    def last_of(self, chain: tuple[Endpoint, ...]) -> Hop:
        """Return the hop that a chain ends with: the same for all who go along this chain, or another login if it is full."""
        hops = self._hops.setdefault(chain, [])
        for hop in hops:
            if not hop.is_full:
                return hop
        hops.append(Hop(replace(chain[-1], jump=chain[:-1], forward_agent=None), self.connect))
        return hops[-1]

    async def close(self) -> None:
        """Close all of them, those that lie farther away first; each takes a second at most."""
        while self._hops:
            depth = max(map(len, self._hops))
            farthest = [hop for chain in tuple(self._hops) if len(chain) == depth for hop in self._hops.pop(chain)]
            await asyncio.gather(*(hop.close() for hop in farthest))


@dataclass(slots=True, eq=False, weakref_slot=True)
class Through:
    """The way through a jump host."""

    hop: Hop
    name: str
    port: int
    _connection: Connection | None = None

    @property
    def is_over(self) -> bool:
        """Whether what went this way has ended."""
        return self._connection is not None and self._connection.is_closed()

    @property
    def place(self) -> str:
        """One address as one hop knows it."""
        return f"{self.name} port {self.port} behind hop {self.hop.name}"

    async def prepare(self, progress: Progress) -> None:
        """Have the hop opened."""
        progress.phase = Phase.TCP
        await self.hop.open(progress)

    async def join(self, make: Make, progress: Progress) -> Connection:
        """Have the hop connect; a connection that comes too late is closed."""
        progress.phase = Phase.TCP
        try:
            connection = await or_hang_up(self.hop.forward(make, self.name, self.port))
        except Unreached:
            if self.hop.death() is None:
                raise
            await self.hop.open(progress)  # it may have died long ago, and nobody had asked it anything since
            connection = await or_hang_up(self.hop.forward(make, self.name, self.port))
        connection.way = self
        self._connection = connection
        return connection

    async def broken(self, connection: Connection) -> Unreached | None:  # noqa: ARG002 - the hop knows enough
        """Say whether it was the hop that died."""
        return self.hop.death()
