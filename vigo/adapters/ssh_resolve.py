"""Names to addresses to a connected TCP socket, so that a dead name server delays nobody but the hosts that need it.

`getaddrinfo` cannot be cancelled, so it runs in threads of its own: bounded, and daemons, so that neither hosts given by
address nor the end of the program wait for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import queue
import socket
import threading
from collections.abc import Callable
from typing import TypeAlias

from vigo.adapters.ssh_errors import Unreached, dns_failed, tcp_failed

_THREADS_MAX = 16
_PATIENCE_S = 2.0
"""How long one of several addresses may keep the others waiting."""

Address: TypeAlias = tuple[socket.AddressFamily, str]


class Resolver:
    """Looks names up in at most 16 daemon threads, started as they are needed."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._threads = 0
        self._busy = 0

    async def resolve(self, name: str) -> list[Address]:
        """Return the addresses of a name, an address being its own; raises Unreached. Unbounded: cancel it."""
        literal = _literal(name)
        if literal is not None:
            return [literal]
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[Address]] = loop.create_future()

        def settle(addresses: list[Address] | OSError) -> None:
            if answer.cancelled():
                return
            if isinstance(addresses, OSError):
                answer.set_exception(dns_failed(addresses, name))
            else:
                answer.set_result(addresses)

        def job() -> None:
            found = _look_up(name)
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits for the answer any more
                loop.call_soon_threadsafe(settle, found)

        self._submit(job)
        try:
            return await answer
        finally:
            self._busy -= 1

    def _submit(self, job: Callable[[], None]) -> None:
        self._busy += 1
        if self._busy > self._threads < _THREADS_MAX:
            self._threads += 1
            threading.Thread(target=self._work, name="vigo-dns", daemon=True).start()
        self._jobs.put(job)

    def _work(self) -> None:
        while True:
            self._jobs.get()()


async def connect(addresses: list[Address], port: int) -> socket.socket:
    """Return a connected non-blocking socket to the first address that answers; raises Unreached. Unbounded: cancel it."""
    failure: Unreached | None = None
    for position, (family, address) in enumerate(addresses, 1):
        try:
            async with asyncio.timeout(_PATIENCE_S if position < len(addresses) else None):
                return await _connect(family, address, port)
        except OSError as error:
            failure = failure or tcp_failed(error, address, port)
    raise failure or dns_failed(OSError("no addresses"), "the name")


async def _connect(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)  # noqa: FBT003 - the socket module's own signature
        target = socket.getaddrinfo(address, port, family, socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)[0][4]
        await asyncio.get_running_loop().sock_connect(sock, target)
    except BaseException:
        sock.close()
        raise
    return sock


def _look_up(name: str) -> list[Address] | OSError:
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError as error:
        return error
    except UnicodeError as error:
        return OSError(f"not a host name: {error}")
    return list(dict.fromkeys((family, str(sockaddr[0])) for family, _, _, _, sockaddr in found))


def _literal(name: str) -> Address | None:
    try:
        version = ipaddress.ip_address(name).version
    except ValueError:
        return None
    return (socket.AF_INET if version == 4 else socket.AF_INET6), name  # noqa: PLR2004 - the protocol's own number
