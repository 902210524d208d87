"""HTTP servers of every kind, good and bad, for whoever probes them."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeAlias

Reader: TypeAlias = asyncio.StreamReader
Writer: TypeAlias = asyncio.StreamWriter
Reply: TypeAlias = Callable[[Reader, Writer], Coroutine[Any, Any, None]]

OK = b"HTTP/1.1 200 OK\r\n\r\n"


@contextlib.asynccontextmanager
async def serving(answer: Reply, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> AsyncIterator[int]:
    """Run a server that reads the request's head and then answers; yields its port, and waits for nobody at the end."""
    at_work: set[asyncio.Task[None]] = set()

    async def handle(reader: Reader, writer: Writer) -> None:
        task = asyncio.current_task()
        assert task is not None
        at_work.add(task)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await answer(reader, writer)
        writer.transport.abort()
        at_work.discard(task)

    server = await asyncio.start_server(handle, host, 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tuple(at_work):
            task.cancel()
        await asyncio.gather(*at_work, return_exceptions=True)


def sends(*pieces: bytes) -> Reply:
    """Make an answer of these bytes, closed behind them."""

    async def answer(reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    return answer


def endless(head: bytes, piece: bytes, counted: list[int] | None = None) -> Reply:
    """Make an answer whose pieces never end."""

    async def answer(reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        while True:
            writer.write(piece)
            await writer.drain()
            if counted is not None:
                counted.append(len(piece))

    return answer
