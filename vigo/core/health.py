"""What a health check may ask and expect; read once, at the edge, from flags and task files alike."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from vigo.core.errors import UsageError
from vigo.core.gate import GatePolicy
from vigo.core.quantity import format_duration
from vigo.core.values import dataclass

INTERVAL_LEAST_MS = 100
"""Between two rounds; a shorter one would be an attack on the service."""
PORT_MAX = 65_535
EXIT_CODE_MAX = 255

_PORTS = {"http": 80, "https": 443}
_RANGE = re.compile(r"(?P<low>[1-5]\d\d)(?:-(?P<high>[1-5]\d\d))?", re.ASCII)
_NUMBER = re.compile(r"\d{1,9}", re.ASCII)
_FLAG_PREFIX = "--health-check-"


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


def parse_health_url(text: str, *, flag: str = "--health-check-url") -> HealthUrl:
    """Read a health check URL; `flag` names the setting in an error.

    Raises UsageError for another scheme, a missing host or one with `%` in it, a bad port, userinfo, blanks or control
    characters.
    """
    if not text.isascii() or not text.isprintable() or " " in text:
        raise _bad(flag, text, "it holds blanks, control or non-ASCII characters; percent-encode them")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise _bad(flag, text, f"{error}") from error
    if parts.scheme not in _PORTS:
        raise _bad(flag, text, "only http:// and https:// can be asked")
    if parts.username is not None or parts.password is not None:
        shown = f"{parts.scheme}://***@{parts.netloc.rpartition('@')[2]}{parts.path}"  # no password in a CI log
        raise _bad(flag, shown, "user names and passwords do not belong in a URL; use an endpoint without login")
    if not parts.hostname:
        raise _bad(flag, text, "it names no host; write http://HOST/PATH")
    if "%" in parts.hostname and ":" not in parts.hostname:
        raise _bad(flag, text, f"{parts.hostname} is no host's name; write one without percent-encoding")
    if port == 0:
        raise _bad(flag, text, "port 0 cannot be connected to")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return HealthUrl(parts.scheme, parts.hostname, port or _PORTS[parts.scheme], path)


def parse_expect(text: str, *, flag: str = "--health-check-expect") -> tuple[tuple[int, int], ...]:
    """Read HTTP status codes such as `200-299,304` as ranges, both ends included.

    Raises UsageError for another form, a code outside 100-599, or a range that runs backwards.
    """
    return tuple(_codes(part.strip(), text, flag) for part in text.split(","))


def parse_accept_exit(text: str, *, flag: str = "--accept-exit") -> tuple[int, ...]:
    """Read exit codes such as `0,3`, each once. Raises UsageError for another form or a number outside 0-255."""
    codes = [part.strip() for part in text.split(",")]
    for code in codes:
        if not _NUMBER.fullmatch(code) or int(code) > EXIT_CODE_MAX:
            raise UsageError(f"{flag}: {code!r} is not an exit code; write numbers of 0-{EXIT_CODE_MAX}, such as 0,3")
    return tuple(dict.fromkeys(map(int, codes)))


def parse_port(text: str | int, *, flag: str = "--health-check-tcp") -> int:
    """Read a port. Raises UsageError for anything but a number of 1-65535."""
    if not _NUMBER.fullmatch(str(text)) or not 1 <= int(text) <= PORT_MAX:
        raise UsageError(f"{flag}: {str(text)!r} is not a port; write a number of 1-{PORT_MAX}")
    return int(text)


def check_gate(gate: GatePolicy, *, prefix: str = _FLAG_PREFIX) -> None:
    """Refuse a gate that makes no sense: bounds with nothing to ask, or a wait that cannot end well.

    `prefix` and a word make a setting's name in an error. Raises UsageError.
    """
    if not gate.is_set:
        _refuse_bounds(gate, prefix)
    if gate.expect != GatePolicy().expect and not gate.urls:
        raise UsageError(f"{prefix}expect: is for URLs, and none is asked; add {prefix}url")
    if gate.interval_ms < INTERVAL_LEAST_MS:
        raise UsageError(
            f"{prefix}interval: {format_duration(gate.interval_ms)} is too short; "
            f"the least is {format_duration(INTERVAL_LEAST_MS)}"
        )
    if gate.deadline_ms and gate.stable_ms >= gate.deadline_ms:
        raise UsageError(
            f"{prefix}stable: {format_duration(gate.stable_ms)} cannot be seen before {prefix}deadline "
            f"({format_duration(gate.deadline_ms)}) has passed; make the deadline longer"
        )


def _refuse_bounds(gate: GatePolicy, prefix: str) -> None:
    default = GatePolicy()
    for word, value, usual in (
        ("timeout", gate.timeout_ms, default.timeout_ms),
        ("interval", gate.interval_ms, default.interval_ms),
        ("deadline", gate.deadline_ms, default.deadline_ms),
        ("stable", gate.stable_ms, default.stable_ms),
        ("expect", gate.expect, default.expect),
        ("baseline", gate.baseline, default.baseline),
    ):
        if value != usual:
            raise UsageError(
                f"{prefix}{word}: there is nothing to ask; add {prefix}url, {prefix}command or {prefix}tcp"
            )


def _codes(part: str, text: str, flag: str) -> tuple[int, int]:
    match = _RANGE.fullmatch(part)
    if match is None:
        raise UsageError(f"{flag}: {text!r} are not HTTP status codes; write codes and ranges of 100-599: 200-299,304")
    low = int(match["low"])
    high = int(match["high"] or low)
    if high < low:
        raise UsageError(f"{flag}: {part!r} runs backwards; write {high}-{low}")
    return low, high


def _bad(flag: str, text: str, why: str) -> UsageError:
    return UsageError(f"{flag}: {text!r} cannot be probed: {why}")
