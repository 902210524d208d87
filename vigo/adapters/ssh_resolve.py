"""Names to connected sockets for SSH: what goes wrong is told as the reason why a host was not reached."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from vigo.adapters import resolve
from vigo.adapters.resolve import Address, NotConnected
from vigo.adapters.ssh_errors import dns_failed, tcp_failed


class Resolver(resolve.Resolver):
    """Looks names up in threads of its own."""

    async def resolve(self, name: str) -> list[Address]:
        """Return the addresses of a name, an address being its own; raises Unreached. Unbounded: cancel it."""
        try:
            return await super().resolve(name)
        except OSError as error:
            raise dns_failed(error, name) from error


async def connect(addresses: Sequence[Address], port: int) -> socket.socket:
    """Return a connected non-blocking socket to the first address that answers; raises Unreached. Unbounded: cancel it."""
    try:
        return await resolve.connect(addresses, port)
    except NotConnected as failure:
        raise tcp_failed(failure.cause, failure.address, port) from failure
