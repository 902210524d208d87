"""Names to addresses to a connected TCP socket, so that a dead name server delays nobody but those who need it.

`getaddrinfo` cannot be cancelled, so it runs in threads of its own: bounded, and daemons, so that neither hosts given by
address nor the end of the program wait for it. Errors are the system's own; who calls says what they mean.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import os
import queue
import socket
import threading
from collections.abc import Callable, Sequence
from typing import TypeAlias

_UNDER_WAY = {errno.EINPROGRESS, errno.EINTR}
_THREADS_MAX = 16
_PATIENCE_S = 2.0
"""How long one of several addresses may keep the others waiting."""

Address: TypeAlias = tuple[socket.AddressFamily, str]


class NotConnected(Exception):  # noqa: N818 - a finding, which the caller puts into its own words
    """No address took the connection; this is about the first one."""

    def __init__(self, address: str, cause: OSError) -> None:
        super().__init__(f"{address}: {cause}")
        self.address = address
        self.cause = cause


class Resolver:
    """Looks names up in at most 16 daemon threads, started as they are needed."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._threads = 0
        self._busy = 0

    async def resolve(self, name: str) -> list[Address]:
        """Return the addresses of a name, an address being its own; raises OSError. Unbounded: cancel it."""
        literal = _literal(name)
        if literal is not None:
            return [literal]
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[Address]] = loop.create_future()

        def settle(addresses: list[Address] | OSError) -> None:
            if answer.cancelled():
                return
            if isinstance(addresses, OSError):
                answer.set_exception(addresses)
            else:
                answer.set_result(addresses)

        def job() -> None:
            if answer.cancelled():
                return  # whoever asked has given up, and others wait in the queue
            found = _look_up(name)
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits for the answer any more
                loop.call_soon_threadsafe(settle, found)

        self._busy += 1
        try:
            self._submit(job)
            return await answer
        finally:
            self._busy -= 1

    def _submit(self, job: Callable[[], None]) -> None:
        if self._busy > self._threads < _THREADS_MAX:
            try:
                threading.Thread(target=self._work, name="vigo-dns", daemon=True).start()
                self._threads += 1
            except RuntimeError as error:  # the system's bound on threads; those that there are do the work
                if not self._threads:
                    raise OSError(f"{error} on this machine; raise `ulimit -u`") from error
        self._jobs.put(job)

    def _work(self) -> None:
        while True:
            self._jobs.get()()


async def connect(addresses: Sequence[Address], port: int, source: str | None = None) -> socket.socket:
    """Return a connected non-blocking socket to the first address that answers; raises NotConnected.

    `source` is the address of our own to connect from. Unbounded: cancel it.
    """
    failure: NotConnected | None = None
    for position, (family, address) in enumerate(addresses, 1):
        try:
            async with asyncio.timeout(_PATIENCE_S if position < len(addresses) else None):
                return await _connect(family, address, port, source)
        except OSError as error:
            failure = failure or NotConnected(address, error)
    raise failure or ValueError("nothing to connect to")


async def _connect(family: socket.AddressFamily, address: str, port: int, source: str | None) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)  # noqa: FBT003 - the socket module's own signature
        if source is not None:
            sock.bind(socket.getaddrinfo(source, 0, family, socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)[0][4])
        target: tuple[object, ...] = (address, port)
        if family != socket.AF_INET:  # it may name an interface
            target = socket.getaddrinfo(address, port, family, socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)[0][4]
        await _reach(sock, target)
    except BaseException:
        sock.close()
        raise
    return sock


async def _reach(sock: socket.socket, target: tuple[object, ...]) -> None:
    """Connect as `loop.sock_connect` does; uvloop's would look the address up in a thread once more."""
    error = sock.connect_ex(target)
    if error in _UNDER_WAY:
        loop = asyncio.get_running_loop()
        is_decided: asyncio.Future[None] = loop.create_future()
        loop.add_writer(sock, _wake, is_decided)
        try:
            await is_decided
        finally:
            loop.remove_writer(sock)
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error:
        raise OSError(error, os.strerror(error))


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _look_up(name: str) -> list[Address] | OSError:
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError as error:
        return error
    except UnicodeError as error:
        return OSError(f"not a host name: {error}")
    addresses: list[Address] = [(family, str(sockaddr[0])) for family, _, _, _, sockaddr in found]
    return list(dict.fromkeys(addresses)) or OSError("the name has no address")


def _literal(name: str) -> Address | None:
    with contextlib.suppress(OSError, ValueError):
        socket.inet_pton(socket.AF_INET, name)
        return socket.AF_INET, name
    try:
        ipaddress.IPv6Address(name)  # it may name an interface
    except ValueError:
        return None
    return socket.AF_INET6, name
