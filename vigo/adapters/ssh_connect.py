"""From an endpoint to a logged-in connection, inside one deadline, or the reason why not.

Retried is only what looks like a server shedding load before the login (MaxStartups), with a jittered pause and never past
the deadline, and once a connection that died between the login and the open channel; an authentication failure never.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import field
from typing import TypeVar

from vigo.adapters.resolve import Address
from vigo.adapters.ssh_connection import Connection as Connection  # noqa: PLC0414 - callers know these three from here
from vigo.adapters.ssh_errors import Phase, Unreached
from vigo.adapters.ssh_hops import Hops
from vigo.adapters.ssh_hostkeys import HostKeys
from vigo.adapters.ssh_login import Make, Way, deadline, log_in
from vigo.adapters.ssh_login import Progress as Progress  # noqa: PLC0414 - likewise
from vigo.adapters.ssh_login import close as close  # noqa: PLC0414 - likewise
from vigo.adapters.ssh_options import Endpoint
from vigo.adapters.ssh_proxy import Piped, Program, end_all
from vigo.adapters.ssh_resolve import Resolver, connect
from vigo.adapters.ssh_throttle import Door
from vigo.core.model import HostKeyRule
from vigo.core.values import dataclass

_T = TypeVar("_T")
_PAUSE_S = 0.1
_PAUSE_MAX_S = 1.6


@dataclass(slots=True, eq=False)
class Direct:
    """The way by TCP."""

    endpoint: Endpoint
    resolver: Resolver
    _addresses: list[Address] = field(default_factory=list)

    @property
    def place(self) -> str:
        """Address and port, whatever the name."""
        return f"{self._addresses[0][1]} port {self.endpoint.port}"

    async def prepare(self, progress: Progress) -> None:
        """Look the name up, once."""
        if not self._addresses:
            progress.phase = Phase.DNS
            self._addresses = await self.resolver.resolve(self.endpoint.name, self.endpoint.address_family)

    async def join(self, make: Make, progress: Progress) -> Connection:
        """Connect the socket ourselves: asyncssh would set no deadline."""
        progress.phase = Phase.TCP
        sock = await connect(self._addresses, self.endpoint.port, self.endpoint.bind_address)
        _, connection = await asyncio.get_running_loop().create_connection(make, sock=sock)
        return connection

    async def broken(self, connection: Connection) -> Unreached | None:  # noqa: ARG002 - TCP says nothing of its own
        """Say nothing: what broke off is told by the phase."""
        return None


@dataclass(slots=True)
class Connector:
    """Opens connections; shared by all hosts of a run."""

    host_keys: HostKeys
    resolver: Resolver
    _doors: dict[str, Door] = field(default_factory=dict)
    _programs: set[Program] = field(default_factory=set)
    _hops: Hops = field(init=False)

    def __post_init__(self) -> None:
        self._hops = Hops(self.connect)

    @asynccontextmanager
    async def deadline(self, timeout_ms: int, progress: Progress) -> AsyncIterator[None]:
        """Bound everything inside by the connect deadline and say which phase it struck in; raises Unreached.

        Waiting for a turn to log in is not counted; it has a bound of its own, see `ssh_throttle`.
        """
        async with deadline(timeout_ms, progress):
            yield

    async def reach(self, endpoint: Endpoint, progress: Progress, use: Callable[[Connection], Awaitable[_T]]) -> _T:
        """Connect and open something on the connection; raises Unreached. Unbounded: call it inside `deadline`.

        `use` raises Unreached only as long as nothing has run. If it does because the connection died, which may well
        have been an accident, there is one more connection.
        """
        again = endpoint.again()
        try:
            return await self._used(endpoint, progress, use)
        except _Died:
            return await self._used(again, progress, use)

    async def connect(self, endpoint: Endpoint, progress: Progress) -> Connection:
        """Return a logged-in connection; raises Unreached. Unbounded: call it inside `deadline`."""
        is_checked = endpoint.host_keys is not HostKeyRule.INSECURE
        files = endpoint.known_hosts if is_checked else ()
        known = self.host_keys.known(endpoint.host_key_names, endpoint.port, files)
        return await self.go(endpoint, progress, lambda way: log_in(way, endpoint, known, self.host_keys, progress))

    async def go(self, endpoint: Endpoint, progress: Progress, use: Callable[[Way], Awaitable[_T]]) -> _T:
        """Go the way to an endpoint when it is our turn, and use it; again and again where the server sheds load.

        Raises Unreached. Unbounded: call it inside `deadline`.
        """
        way = self.way(endpoint)
        pause_s = _PAUSE_S
        while True:
            await way.prepare(progress)
            try:
                async with self._door(way.place).turn(progress):
                    return await use(way)
            except Unreached as refusal:
                if not refusal.shed:
                    raise
                progress.shed = refusal
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))  # noqa: S311 - spreads load, guards nothing
            pause_s = min(2 * pause_s, _PAUSE_MAX_S)

    async def close(self) -> None:
        """Close the jump hosts, the farthest first, and end the programs that are left. Bounded by a second for each hop of a chain."""
        await self._hops.close()
        await end_all(self._programs)

    async def _used(self, endpoint: Endpoint, progress: Progress, use: Callable[[Connection], Awaitable[_T]]) -> _T:
        connection = await self.connect(endpoint, progress)
        progress.phase = Phase.CHANNEL
        try:
            return await use(connection)
        except Unreached as refusal:
            if connection.is_closed():
                raise _Died(refusal.reason, refusal.detail) from refusal
            connection.abort()
            raise
        except BaseException:
            connection.abort()
            raise

    def _door(self, place: str) -> Door:
        door = self._doors.get(place)
        if door is None:
            door = self._doors[place] = Door(place)
        return door

    def way(self, endpoint: Endpoint) -> Way:
        """Return how the bytes of one connection after the other get to an endpoint."""
        if endpoint.jump:
            return self._hops.last_of(endpoint.jump).way_to(endpoint.name, endpoint.port)
        if endpoint.proxy_command:
            return Piped(endpoint.proxy_command, self._programs)
        return Direct(endpoint, self.resolver)


class _Died(Unreached):
    """The connection died before anything was opened on it."""
