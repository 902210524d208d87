"""From an endpoint to a logged-in connection, inside one deadline, or the reason why not.

Retried is only what looks like a server shedding load before the login (MaxStartups), with a jittered pause and never past
the deadline; an authentication failure never.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncssh

from vigo.adapters.ssh_errors import Phase, Unreached, handshake_failed, out_of_time
from vigo.adapters.ssh_hostkeys import HostKeys, Known
from vigo.adapters.ssh_keys import Identity
from vigo.adapters.ssh_options import Endpoint, for_connection
from vigo.adapters.ssh_resolve import Resolver, connect
from vigo.core.model import Reason

_PAUSE_S = 0.1
_PAUSE_MAX_S = 1.6
_CLOSE_PATIENCE_S = 1.0
_FIRST_BYTES_MAX = 256


class Connection(asyncssh.SSHClientConnection):
    """asyncssh's connection, which also remembers what the server said before its SSH version, and of logging in."""

    first_bytes = b""
    offered: tuple[str, ...] = ()
    """The ways to log in that the server named first."""

    def try_next_auth(self, *, next_method: bool = False) -> None:
        """Remember what the server takes: asyncssh crosses the ways off as it tries them."""
        methods = tuple(self.get_server_auth_methods())
        if not self.offered and methods != ("none",):
            self.offered = methods
        super().try_next_auth(next_method=next_method)

    def data_received(self, data: bytes, datatype: int | None = None) -> None:
        """Remember the first bytes, then let asyncssh have them."""
        if len(self.first_bytes) < _FIRST_BYTES_MAX and self.get_extra_info("server_version") is None:
            self.first_bytes += data[:_FIRST_BYTES_MAX]
        super().data_received(data, datatype)

    @property
    def phase(self) -> Phase:
        """How far the handshake has come."""
        if self.get_extra_info("server_version") is None:
            return Phase.BANNER
        return Phase.KEX if self.get_extra_info("send_cipher") is None else Phase.AUTH


class _Client(asyncssh.SSHClient):
    """Answers asyncssh's questions about host keys and our keys."""

    def __init__(self, endpoint: Endpoint, known: Known, host_keys: HostKeys) -> None:
        self._endpoint = endpoint
        self._known = known
        self._host_keys = host_keys
        self._identity: Identity = endpoint.identity
        self.refusal: Unreached | None = None

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:  # noqa: ARG002 - asyncssh's signature
        try:
            self._host_keys.judge(
                self._known,
                self._endpoint.host_key_names[0],
                self._endpoint.port,
                key.get_algorithm(),
                key.public_data,
                may_record=self._endpoint.records,
            )
        except Unreached as refusal:
            self.refusal = refusal
            return False
        return True

    async def public_key_auth_requested(self) -> asyncssh.SSHKeyPair | None:
        return await self._identity.next_key()


@dataclass(slots=True)
class Progress:
    """Where a connection stands, for the one who has to say why it failed."""

    phase: Phase = Phase.DNS
    shed: Unreached | None = None
    """The last sign of a server that sheds load."""


@dataclass(slots=True)
class Connector:
    """Opens connections; shared by all hosts of a run."""

    host_keys: HostKeys
    resolver: Resolver

    @asynccontextmanager
    async def deadline(self, timeout_ms: int, progress: Progress) -> AsyncIterator[None]:
        """Bound everything inside by the connect deadline and say which phase it struck in; raises Unreached."""
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                yield
        except TimeoutError:
            raise (progress.shed or out_of_time(progress.phase, timeout_ms)) from None

    async def connect(self, endpoint: Endpoint, progress: Progress) -> Connection:
        """Return a logged-in connection; raises Unreached. Unbounded: call it inside `deadline`."""
        known = self.host_keys.known(endpoint.host_key_names, endpoint.port, endpoint.known_hosts)
        progress.phase = Phase.DNS
        addresses = await self.resolver.resolve(endpoint.name, endpoint.address_family)
        pause_s = _PAUSE_S
        while True:
            try:
                progress.phase = Phase.TCP
                sock = await connect(addresses, endpoint.port, endpoint.bind_address)
                return await self._log_in(sock, endpoint, known, progress)
            except Unreached as refusal:
                if not refusal.shed:
                    raise
                progress.shed = refusal
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))  # noqa: S311 - spreads load, guards nothing
            pause_s = min(2 * pause_s, _PAUSE_MAX_S)

    async def _log_in(self, sock: socket.socket, endpoint: Endpoint, known: Known, progress: Progress) -> Connection:
        loop = asyncio.get_running_loop()
        client = _Client(endpoint, known, self.host_keys)
        options = for_connection(endpoint, known)
        options.protocol_factory = lambda: client
        options.waiter = loop.create_future()
        progress.phase = Phase.BANNER
        _, connection = await loop.create_connection(lambda: Connection(loop, options, wait="auth"), sock=sock)
        logged_in = False
        try:
            await options.waiter
            logged_in = True
            progress.shed = None
        except Exception as error:
            raise self._explain(error, client, connection, endpoint) from error
        finally:
            progress.phase = connection.phase
            endpoint.identity.close()
            if not logged_in:
                options.waiter.cancel()
                connection.abort()
        return connection

    def _explain(self, error: Exception, client: _Client, connection: Connection, endpoint: Endpoint) -> Unreached:
        if client.refusal is not None:
            return client.refusal
        failure = handshake_failed(error, connection.phase, connection.first_bytes, endpoint.place)
        if failure.reason is Reason.AUTH:
            methods = ", ".join(connection.offered)
            story = endpoint.identity.story() or "no key"
            wants = f" The server takes: {methods}." if methods else ""
            return Unreached(
                Reason.AUTH, f"{failure.detail}. Tried: {story}.{wants} Set `identity` or load a key with ssh-add"
            )
        return failure


async def close(connection: asyncssh.SSHClientConnection) -> None:
    """Close a connection and do not wait longer than a second for it."""
    connection.close()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_CLOSE_PATIENCE_S):
            await connection.wait_closed()
            return
    connection.abort()
