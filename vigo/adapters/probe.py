"""Asks services whether they are healthy, and ports whether they are open.

Plain asyncio streams: no proxy is used, no redirect followed, no body read. Only the status line and the headers come
in, 16 KiB at most, under one deadline, so a slow, endless or hostile answer costs as little as a refused connection.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Mapping
from time import monotonic_ns

from vigo import __version__
from vigo.core.errors import UsageError
from vigo.core.health import HealthUrl, parse_health_url
from vigo.core.quantity import format_duration
from vigo.engine.ports import Verdict

_HEADERS_MAX_BYTES = 16 * 1024
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})(?: [^\r\n]*)?\r?\n")
_INTERIM = re.compile(rb"HTTP/1\.1 1(?!01)\d\d.*?\n\r?\n", re.DOTALL)
"""A 1xx answer before the final one, which any server may send: RFC 9110 section 15.2. 101 is final."""
_PORTS_AT_ONCE = 256


class HttpProbe:
    """The Probe port over HTTP/1.1: 2xx passes, everything else is a verdict with its reason."""

    def __init__(self, timeout_ms: int = 5_000) -> None:
        self._timeout_ms = timeout_ms
        self._tls: ssl.SSLContext | None = None

    async def check(self, url: str) -> Verdict:
        """Ask once, within the deadline over name, connection, TLS and headers together."""
        begin = monotonic_ns()
        try:
            async with asyncio.timeout(self._timeout_ms / 1000):
                passed, detail = await self._ask(parse_health_url(url))
        except TimeoutError:
            passed, detail = False, f"no answer within {format_duration(self._timeout_ms)}"
        except ssl.SSLCertVerificationError as error:
            passed, detail = False, f"certificate not trusted: {error.verify_message}"
        except OSError as error:
            passed, detail = False, f"no answer: {error.strerror or error}"
        except (EOFError, UnicodeError, UsageError) as error:  # UnicodeError: a name that IDNA cannot encode
            passed, detail = False, f"{error}"
        return Verdict(passed, detail, (monotonic_ns() - begin) // 1_000_000)

    async def _ask(self, url: HealthUrl) -> tuple[bool, str]:
        tls = self._tls_context() if url.scheme == "https" else None
        reader, writer = await asyncio.open_connection(url.host, url.port, ssl=tls, limit=_HEADERS_MAX_BYTES)
        try:
            writer.write(_request(url))
            await writer.drain()
            return _judge(await _headers(reader))
        finally:
            writer.transport.abort()

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


def _judge(data: bytes) -> tuple[bool, str]:
    match = _STATUS_LINE.match(data)
    if match is None:
        return False, "the answer is not HTTP"
    status = int(match[1])
    return status // 100 == 2, f"HTTP {status}"  # noqa: PLR2004 - the class of success, RFC 9110 section 15


async def closed_ports(endpoints: Mapping[str, tuple[str, int]], timeout_ms: int = 2_000) -> tuple[str, ...]:
    """Return the names whose (address, port) does not accept TCP in time; probed side by side, nothing is sent."""
    at_once = asyncio.Semaphore(_PORTS_AT_ONCE)

    async def is_open(address: str, port: int) -> bool:
        async with at_once:
            try:
                async with asyncio.timeout(timeout_ms / 1000):
                    _, writer = await asyncio.open_connection(address, port)
            except (OSError, UnicodeError):
                return False
            writer.transport.abort()
            return True

    answers = await asyncio.gather(*(is_open(*endpoint) for endpoint in endpoints.values()))
    return tuple(name for name, opened in zip(endpoints, answers, strict=True) if not opened)
