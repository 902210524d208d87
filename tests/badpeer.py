"""Peers that misbehave on purpose: what vigo meets where a well-behaved SSH server was expected."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

_Talk: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
_CHUNK = 64 * 1024


@asynccontextmanager
async def listening(talk: _Talk, address: str = "127.0.0.1") -> AsyncIterator[int]:
    """Serve connections with `talk` on a free port of the address; yields the port."""
    talking: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talking.add(task)
        with contextlib.suppress(OSError, asyncio.CancelledError, asyncio.IncompleteReadError):
            await talk(reader, writer)
        writer.transport.abort()
        talking.discard(task)

    server = await asyncio.start_server(accept, address, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tuple(talking):
            task.cancel()
        await asyncio.gather(*talking, return_exceptions=True)


async def silence(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Accept, read, never say a word."""
    while await reader.read(_CHUNK):
        pass


def saying(words: bytes) -> _Talk:
    """Say this and hang up."""

    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(words)
        await writer.drain()
        writer.write_eof()

    return talk


def flooding(line: bytes, times: int, then: bytes = b"") -> _Talk:
    """Say the same line again and again, then something else, and stay."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(times):
            writer.write(line)
            await writer.drain()
        writer.write(then)
        await silence(reader, writer)

    return talk


class Relay:
    """Stands between a client and a real server, and can cut or freeze what flows."""

    def __init__(self, port: int, address: str = "127.0.0.1", *, refusals: int = 0) -> None:
        self._target = (address, port)
        self._refusals = refusals
        self._pairs: list[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = []
        self.connections = 0
        self._frozen = 0

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Relay one connection; the first `refusals` ones are closed at once, as a shedding server does."""
        self.connections += 1
        if self.connections <= self._refusals:
            return
        number = self.connections
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        self._pairs.append((writer, far_writer))
        try:
            await asyncio.gather(self._pump(number, reader, far_writer), self._pump(number, far_reader, writer))
        finally:
            far_writer.transport.abort()

    def freeze(self) -> None:
        """From now on pass nothing on in either direction, on connections that are open now; later ones flow."""
        self._frozen = self.connections

    def reset(self) -> None:
        """Cut every connection with a TCP reset on both sides."""
        for pair in self._pairs:
            _reset(*pair)

    async def _pump(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK):
            if number <= self._frozen:
                continue
            writer.write(data)
            await writer.drain()
        writer.write_eof()


_KEXINIT, _NEWKEYS = 20, 21
_GCM_TAG_BYTES = 16


class PacketRelay(Relay):
    """A relay that reads the client's packets, and stalls or resets the connection instead of passing a certain one on.

    `now` is asked at each packet after the client's KEXINIT, with its number: -1 before its NEWKEYS, which is 0, then 1, 2 …
    With AES-GCM, which vigo prefers, their lengths are in the clear.
    """

    def __init__(
        self, port: int, address: str, now: Callable[[int], bool], *, resets: bool = False, times: int = 1_000_000
    ) -> None:
        super().__init__(port, address)
        self._now = now
        self._resets = resets
        self._times = times

    async def _pump(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        near, far = self._pairs[number - 1]
        if writer is not far or number > self._times:
            await super()._pump(number, reader, writer)
            return
        writer.write(await reader.readline())
        encrypted = -1
        while True:
            head = await reader.readexactly(4)
            rest = await reader.readexactly(int.from_bytes(head, "big") + (_GCM_TAG_BYTES if encrypted >= 0 else 0))
            encrypted += encrypted >= 0 or rest[1] == _NEWKEYS
            if (encrypted >= 0 or rest[1] != _KEXINIT) and self._now(encrypted):
                break
            writer.write(head + rest)
            await writer.drain()
        if self._resets:
            _reset(near, far)
        else:
            await silence(reader, writer)


def _reset(*writers: asyncio.StreamWriter) -> None:
    for writer in writers:
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
