"""Which URLs may be probed; read once, at the edge."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from vigo.core.errors import UsageError

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class HealthUrl:
    """A URL that a health check may ask: http or https, a host, no user name or password."""

    scheme: str
    host: str
    port: int
    path: str
    """Path and query, at least `/`."""

    @property
    def authority(self) -> str:
        """The Host header's value."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def parse_health_url(text: str) -> HealthUrl:
    """Read a health check URL.

    Raises UsageError for another scheme, a missing host, a bad port, userinfo, blanks or control characters.
    """
    if not text.isascii() or not text.isprintable() or " " in text:
        raise _bad(text, "it holds blanks, control or non-ASCII characters; percent-encode them")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise _bad(text, f"{error}") from error
    if parts.scheme not in _PORTS:
        raise _bad(text, "only http:// and https:// are probed")
    if parts.username is not None or parts.password is not None:
        shown = f"{parts.scheme}://***@{parts.netloc.rpartition('@')[2]}{parts.path}"  # no password in a CI log
        raise _bad(shown, "user names and passwords do not belong in a URL; use an endpoint without login")
    if not parts.hostname:
        raise _bad(text, "it names no host; write http://HOST/PATH")
    if port == 0:
        raise _bad(text, "port 0 cannot be connected to")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return HealthUrl(parts.scheme, parts.hostname, port or _PORTS[parts.scheme], path)


def _bad(text: str, why: str) -> UsageError:
    return UsageError(f"--health-check-url: {text!r} cannot be probed: {why}")
