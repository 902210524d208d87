"""The lab's health endpoint: `GET /health` says 200 or 503, as it was told."""

from __future__ import annotations

import asyncio

_REQUEST_BYTES_MAX = 8_192
_PATIENCE_S = 5
_ANSWERS = {
    200: ("OK", "healthy\n"),
    404: ("Not Found", "only /health is here\n"),
    503: ("Service Unavailable", "unhealthy\n"),
}


class Health:
    """A load balancer's opinion, played."""

    def __init__(self) -> None:
        self.up = True
        self.port = 0

    async def open(self, address: str) -> asyncio.Server:
        """Listen on a free port of `address`."""
        server = await asyncio.start_server(self._serve, address, 0, limit=_REQUEST_BYTES_MAX)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                request = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer(request))
                await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            pass  # a client that does not speak HTTP gets no answer
        finally:
            writer.close()

    def _answer(self, request: bytes) -> bytes:
        method, _, rest = request.partition(b" ")
        path = rest.split(b" ", 1)[0].split(b"?", 1)[0]
        code = 404 if path != b"/health" else 200 if self.up else 503
        reason, text = _ANSWERS[code]
        head = f"HTTP/1.1 {code} {reason}\r\nContent-Type: text/plain\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n"
        return (head + ("" if method == b"HEAD" else text)).encode()
