"""Where asyncssh's and the system's errors end: each becomes a reason and one line with the way out."""

from __future__ import annotations

import errno
import socket
from enum import StrEnum

import asyncssh

from vigo.core.model import Reason

_NO_ROUTE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.EADDRNOTAVAIL, errno.EACCES}
_LOCAL = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_SHED = (b"Exceeded MaxStartups", b"Not allowed at this time")


class Phase(StrEnum):
    """How far a connection has come; each value is the reason if it stops there."""

    DNS = "dns"
    TCP = "connect_timeout"
    BANNER = "banner"
    KEX = "kex"
    AUTH = "auth"
    CHANNEL = "channel"


_WAITED_FOR = {
    Phase.DNS: "the name server has not answered",
    Phase.TCP: "nothing answered; is the host up, does a firewall drop packets?",
    Phase.BANNER: "the port accepts connections but sends no SSH banner; is that port an SSH server, is the host overloaded?",
    Phase.KEX: "the key exchange stalled; does something between here and the host drop large packets (MTU)?",
    Phase.AUTH: "the server has not answered the login; look at its log",
    Phase.CHANNEL: "logged in, but the server opens no session; look at its log",
}


class Unreached(Exception):  # noqa: N818 - it is a finding about a host on its way to a HostResult, not an error of ours
    """The host was not reached and nothing ran on it."""

    def __init__(self, reason: Reason, detail: str, *, shed: bool = False) -> None:
        self.reason = reason
        self.detail = " ".join(detail.split())
        """One line; it may hold words of the host."""
        super().__init__(self.detail)
        self.shed = shed
        """Whether it looks like a server that sheds load before a login, which a later try may not meet."""


def out_of_time(phase: Phase, timeout_ms: int) -> Unreached:
    """Say which phase the connect deadline struck in."""
    return Unreached(Reason(phase.value), f"no connection within {timeout_ms / 1000:g} s: {_WAITED_FOR[phase]}")


def tcp_failed(error: OSError, address: str, port: int) -> Unreached:
    """Explain why the TCP connection failed."""
    place = f"{address} port {port}"
    match error:
        case ConnectionRefusedError():
            return Unreached(
                Reason.REFUSED, f"{place} refused the connection; is the SSH server running, is the port right?"
            )
        case TimeoutError():
            return Unreached(Reason.CONNECT_TIMEOUT, f"{place}: {_WAITED_FOR[Phase.TCP]}")
        case ConnectionResetError():
            return Unreached(Reason.THROTTLED, f"{place} reset the connection before a word", shed=True)
    if error.errno in _LOCAL:
        return Unreached(Reason.LOCAL, f"{error.strerror} on this machine; lower --fanout or raise `ulimit -n`")
    if error.errno in _NO_ROUTE:
        return Unreached(Reason.NO_ROUTE, f"no route to {place}: {error.strerror}; check the address and the network")
    return Unreached(Reason.CONNECT_TIMEOUT, f"{place}: {error.strerror or error}")


def dns_failed(error: OSError, name: str) -> Unreached:
    """Explain why a name could not be resolved."""
    known = error.errno in {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}
    hint = (
        "is the name right? an `address` in the inventory needs no name server" if known else "is the name server up?"
    )
    return Unreached(Reason.DNS, f"cannot resolve {name}: {error.strerror or error}; {hint}")


def handshake_failed(error: BaseException, phase: Phase, first_bytes: bytes, place: str) -> Unreached:
    """Explain what ended the handshake after TCP was up; `first_bytes` is what came before the SSH version."""
    words = first_bytes.decode("ascii", "backslashreplace").split("\n")[0].strip()[:80]
    if phase is Phase.BANNER and first_bytes.startswith(_SHED):
        return Unreached(
            Reason.THROTTLED,
            f"{place} sheds connections: {words!r}; lower --fanout or raise MaxStartups there",
            shed=True,
        )
    if phase is Phase.BANNER and first_bytes:
        return Unreached(Reason.PROTOCOL, f"{place} is no SSH 2 server: it began with {words!r}; is the port right?")
    match error:
        case asyncssh.PermissionDenied() | asyncssh.IllegalUserName():
            return Unreached(Reason.AUTH, f"{place} refused the login: {error.reason}")
        case asyncssh.KeyExchangeFailed():
            return Unreached(Reason.KEX, f"no common algorithm with {place}: {error.reason}")
        case asyncssh.HostKeyNotVerifiable():
            reason = Reason.HOST_KEY_REVOKED if "revoked" in error.reason else Reason.HOST_KEY_UNKNOWN
            return Unreached(reason, f"{error.reason}; add the right key or CA to known_hosts")
        case asyncssh.ConnectionLost() | ConnectionError():
            return _dropped(phase, place)
        case asyncssh.DisconnectError():
            return _disconnected(error, phase, place)
        case OSError():
            return _dropped(phase, place)
    return Unreached(Reason.PROTOCOL, f"{place} broke the protocol: {type(error).__name__}: {error}")


def _dropped(phase: Phase, place: str) -> Unreached:
    if phase in (Phase.BANNER, Phase.KEX):
        return Unreached(
            Reason.THROTTLED,
            f"{place} drops connections before the login; it may shed load (MaxStartups) or refuse this address: see its log",
            shed=True,
        )
    reason = Reason.AUTH if phase is Phase.AUTH else Reason.CHANNEL
    return Unreached(reason, f"{place} dropped the connection during {phase.name.lower()}; see its log")


def _disconnected(error: asyncssh.DisconnectError, phase: Phase, place: str) -> Unreached:
    told = " ".join(error.reason.split())[:200]
    if "authentication failures" in told or (phase is Phase.AUTH and error.code == asyncssh.DISC_PROTOCOL_ERROR):
        return Unreached(Reason.AUTH, f"{place} refused the login: {told}; name one key with `identity`")
    if error.code == asyncssh.DISC_TOO_MANY_CONNECTIONS:
        return Unreached(Reason.THROTTLED, f"{place} sheds connections: {told}", shed=True)
    reason = Reason.PROTOCOL if phase is Phase.BANNER else Reason(phase.value)
    return Unreached(reason, f"{place} disconnected during {phase.name.lower()}: {told}")
