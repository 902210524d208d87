"""Names to connected sockets for SSH: what goes wrong is told as the reason why a host was not reached."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from errno import EADDRNOTAVAIL

from vigo.adapters import resolve
from vigo.adapters.resolve import Address, NotConnected
from vigo.adapters.ssh_errors import Unreached, dns_failed, tcp_failed
from vigo.core.model import Reason


class Resolver(resolve.Resolver):
    """Looks names up in threads of its own."""

    async def resolve(self, name: str, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[Address]:
        """Return the addresses of a name, an address being its own; raises Unreached. Unbounded: cancel it."""
        try:
            found = await super().resolve(name)
        except OSError as error:
            raise dns_failed(error, name) from error
        wanted = [address for address in found if family in (socket.AF_UNSPEC, address[0])]
        if not wanted:
            raise Unreached(
                Reason.DNS, f"{name} has no address of the family that AddressFamily asks for; set it to any"
            )
        return wanted


async def connect(addresses: Sequence[Address], port: int, source: str | None = None) -> socket.socket:
    """Return a connected non-blocking socket to the first address that answers; `source` is our own address.

    Raises Unreached. Unbounded: cancel it.
    """
    try:
        return await resolve.connect(addresses, port, source)
    except NotConnected as failure:
        if source is not None and (isinstance(failure.cause, socket.gaierror) or failure.cause.errno == EADDRNOTAVAIL):
            detail = f"BindAddress {source}: {failure.cause.strerror}; name an IP address of this machine"
            raise Unreached(Reason.LOCAL, detail) from failure
        raise tcp_failed(failure.cause, failure.address, port) from failure
