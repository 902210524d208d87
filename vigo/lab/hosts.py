"""The lab's SSH servers: one listening socket and one host key each, everything else shared."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import field

import asyncssh

from vigo.core.values import dataclass
from vigo.lab.command import Children, Command, Place
from vigo.lab.faults import Fault, FaultKind
from vigo.lab.sftp import Session

LOOPBACK = "127.0.0.1"
_BACKLOG = 128
_LOGIN_TIMEOUT_S = 30


@dataclass(frozen=True, slots=True)
class Login:
    """Who may log in: this user with this key, and nobody by any other means."""

    user: str
    key: bytes
    """Public key in SSH's wire form."""


class LabHost:
    """One SSH server of the lab. Bound on creation, so that its port stays its own even while it refuses."""

    def __init__(self, name: str, place: Place, login: Login, children: Children) -> None:
        self.name = name
        self.fault: Fault | None = None
        self.key = asyncssh.generate_private_key("ssh-ed25519")
        self.port = 0
        self._place = place
        self._login = login
        self._children = children
        self._socket = self._bound()
        self._server: asyncio.Server | None = None
        self._options: asyncssh.SSHServerConnectionOptions | None = None

    async def set_fault(self, fault: Fault | None) -> None:
        """Play `fault` from now on; None heals. The first call opens the host."""
        self.fault = fault
        refuse = fault is not None and fault.kind is FaultKind.REFUSE
        if refuse and self._server:
            self._server.close()
            self._server = None
            self._socket = self._bound()
        elif not refuse and not self._server:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(self._accept, sock=self._socket, backlog=_BACKLOG)

    def close(self) -> None:
        """Accept nothing more."""
        if self._server:
            self._server.close()
        self._socket.close()

    def _bound(self) -> socket.socket:
        """Bind the host's port without listening on it: a connection is refused, and nobody else gets the port."""
        bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if self.port:  # again: connections of the time before may still be there
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((LOOPBACK, self.port))
        # Only now, because the kernel is 40 times slower in finding a free port for a socket that could share it.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.port = bound.getsockname()[1]
        return bound

    def _accept(self) -> asyncio.Protocol:
        if self.fault is not None and self.fault.kind is FaultKind.HANG:
            return _Silence()
        if self._options is None:
            self._options = _options(self.key, self._server_side)
        return _Connection(asyncio.get_running_loop(), self._options)

    def _server_side(self) -> asyncssh.SSHServer:
        return _Guest(self._login, self._command)

    def _command(self) -> Command:
        return Session(self._place, lambda: self.fault, self._children)


class _Silence(asyncio.Protocol):
    """A server that accepts and then says nothing, for ever."""


class _Connection(asyncssh.SSHServerConnection):
    """A connection that does not rebuild its options for each user: no lab setting depends on who logs in."""

    async def reload_config(self) -> None:
        """Keep the options as they are (asyncssh's own spends an executor thread and 1 ms on it)."""


@dataclass(slots=True)
class _Guest(asyncssh.SSHServer):
    """One client: lets in the lab's user with the lab's key and hands out sessions, nothing else."""

    login: Login
    command: Callable[[], Command]
    user: str = field(default="", init=False)

    def begin_auth(self, username: str) -> bool:
        """Ask everybody for a key."""
        self.user = username
        return True

    def public_key_auth_supported(self) -> bool:
        """Offer keys as the one way in."""
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Accept one user with one key."""
        return username == self.login.user and key.public_data == self.login.key

    def session_requested(self) -> Command:
        """Give out a session for one command."""
        return self.command()


def _options(key: asyncssh.SSHKey, server: Callable[[], asyncssh.SSHServer]) -> asyncssh.SSHServerConnectionOptions:
    return asyncssh.SSHServerConnectionOptions(
        server_factory=server,
        server_host_keys=[key],
        gss_host=None,
        password_auth=False,
        kbdint_auth=False,
        host_based_auth=False,
        allow_pty=False,
        line_editor=False,
        agent_forwarding=False,
        x11_forwarding=False,
        encoding=None,
        compression_algs=None,
        login_timeout=_LOGIN_TIMEOUT_S,
        server_version="vigo_lab",
    )
