"""Asks services whether they are healthy, and ports whether they are open.

Plain asyncio streams: no proxy is used, no redirect followed, no body read. Only the status line and the headers come
in, 16 KiB at most, under one deadline, so a slow, endless or hostile answer costs as little as a refused connection.
"""

from __future__ import annotations

import asyncio
import re
import resource
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from time import monotonic_ns

from vigo import __version__
from vigo.adapters.resolve import NotConnected, Resolver, connect
from vigo.core.errors import UsageError
from vigo.core.gate import Answer, AskTcp, AskUrl
from vigo.core.health import HealthUrl, parse_health_url

_MS_PER_S = 1000
_HEADERS_MAX_BYTES = 16 * 1024
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})(?: [^\r\n]*)?\r?\n")
_INTERIM = re.compile(rb"HTTP/1\.1 1(?!01)\d\d.*?\n\r?\n", re.DOTALL)
"""A 1xx answer before the final one, which any server may send: RFC 9110 section 15.2. 101 is final."""
_PORTS_AT_ONCE_MAX = 1_000
_SPARE_FILES = 32
"""Descriptors that are left to the rest of the program while ports are probed."""


class HttpProbe:
    """The Probe port: HTTP/1.1 with the status codes that are expected, and ports that accept TCP."""

    def __init__(self, timeout_ms: int = 5_000, expect: Sequence[tuple[int, int]] = ((200, 299),)) -> None:
        self._timeout_ms = timeout_ms
        self._expect = tuple(expect)
        self._resolver = Resolver()
        self._tls: ssl.SSLContext | None = None

    async def ask(self, ask: AskUrl | AskTcp) -> Answer:
        """Ask once, within the deadline over name, connection, TLS and headers together."""
        begin = monotonic_ns()
        try:
            async with asyncio.timeout(self._timeout_ms / _MS_PER_S):
                passed, detail = await (self._connect(ask) if isinstance(ask, AskTcp) else self._get(ask.url))
        except TimeoutError:
            passed, detail = False, f"no answer within {_bound(self._timeout_ms)}"
        except NotConnected as failure:
            passed, detail = False, _unconnected(failure.cause)
        except ssl.SSLCertVerificationError as error:
            passed, detail = False, f"certificate not trusted: {error.verify_message}"
        except OSError as error:
            passed, detail = False, f"no answer: {_words(error)}"
        except (EOFError, UnicodeError, UsageError) as error:  # UnicodeError: a name that no certificate can hold
            passed, detail = False, f"{error}"
        return Answer(passed, detail, (monotonic_ns() - begin) // 1_000_000)

    async def _connect(self, ask: AskTcp) -> tuple[bool, str]:
        sock = await _connected(self._resolver, ask.address, ask.port)
        sock.close()
        return True, "connected"

    async def _get(self, text: str) -> tuple[bool, str]:
        url = parse_health_url(text)
        tls = self._tls_context() if url.scheme == "https" else None
        sock = await _connected(self._resolver, url.host, url.port)
        # From here on the socket is asyncio's, which also closes it when the handshake fails.
        reader, writer = await asyncio.open_connection(
            sock=sock, ssl=tls, server_hostname=url.host if tls else None, limit=_HEADERS_MAX_BYTES
        )
        try:
            writer.write(_request(url))
            await writer.drain()
            return self._judge(await _headers(reader))
        finally:
            writer.transport.abort()

    def _judge(self, data: bytes) -> tuple[bool, str]:
        match = _STATUS_LINE.match(data)
        if match is None:
            return False, "the answer is not HTTP"
        status = int(match[1])
        return any(least <= status <= most for least, most in self._expect), f"HTTP {status}"

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls


def _request(url: HealthUrl) -> bytes:
    lines = (
        f"GET {url.path} HTTP/1.1",
        f"Host: {url.authority}",
        f"User-Agent: vigo/{__version__}",
        "Accept: */*",
        "Connection: close",
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode("ascii")


async def _headers(reader: asyncio.StreamReader) -> bytes:
    """Read up to the empty line after the final answer's headers. Raises EOFError when they end early or are too long."""
    data, final = b"", 0
    while not _is_whole(data[final:]):
        if len(data) == _HEADERS_MAX_BYTES:
            raise EOFError(f"headers of more than {_HEADERS_MAX_BYTES // 1024} KiB")
        chunk = await reader.read(_HEADERS_MAX_BYTES - len(data))
        if not chunk:
            raise EOFError("connection closed before an answer" if not data else "connection closed inside the headers")
        data += chunk
        while interim := _INTERIM.match(data, final):
            final = interim.end()
    return data[final:]


def _is_whole(data: bytes) -> bool:
    return b"\r\n\r\n" in data or b"\n\n" in data


async def closed_ports(endpoints: Mapping[str, tuple[str, int]], timeout_ms: int = 2_000) -> tuple[str, ...]:
    """Return the names whose (address, port) does not accept TCP in time, in order; nothing is sent.

    Probed side by side: up to 1,000, fewer where the process may not open so many files.
    """
    resolver = Resolver()
    opened: set[str] = set()

    async def look(waiting: Iterator[tuple[str, tuple[str, int]]]) -> None:
        for name, (address, port) in waiting:
            try:
                async with asyncio.timeout(timeout_ms / _MS_PER_S):
                    sock = await _connected(resolver, address, port)
            except (OSError, NotConnected):
                continue
            sock.close()
            opened.add(name)

    waiting = iter(endpoints.items())
    async with asyncio.TaskGroup() as group:
        for _ in range(min(len(endpoints), _ports_at_once())):
            group.create_task(look(waiting))
    return tuple(name for name in endpoints if name not in opened)


def _ports_at_once() -> int:
    """Return for how many connections there is room below the limit on open files."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return _PORTS_AT_ONCE_MAX
    in_use = sum(1 for _ in Path("/dev/fd").iterdir())
    return max(1, min(_PORTS_AT_ONCE_MAX, limit - in_use - _SPARE_FILES))


async def _connected(resolver: Resolver, address: str, port: int) -> socket.socket:
    return await connect(await resolver.resolve(address), port)


def _unconnected(cause: OSError) -> str:
    return "refused" if isinstance(cause, ConnectionRefusedError) else f"no answer: {_words(cause)}"


def _words(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__


def _bound(duration_ms: int) -> str:
    return f"{duration_ms / _MS_PER_S:g}s" if duration_ms >= _MS_PER_S else f"{duration_ms}ms"
