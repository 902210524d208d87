"""asyncssh's connection, with fewer packets and fewer round trips, and with a memory of what a failure wants explained.

A login that goes the usual way asks the server which ways it takes, then whether it would take a key, and only then
signs: two round trips for answers that nobody waits for when the first key is the right one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from functools import cached_property
from typing import Final

import asyncssh
from asyncssh.constants import MSG_IGNORE, MSG_USERAUTH_FAILURE
from asyncssh.logging import SSHLogger
from asyncssh.packet import SSHPacket, SSHPacketLogger
from asyncssh.public_key import SigningKey

from vigo.adapters.ssh_errors import Phase

_FIRST_BYTES_MAX = 256
_TRUE: Final = b"\1"


class _Silence(SSHLogger):
    """Says nothing, and has no words put together."""

    def get_child(self, *_: object, **__: object) -> SSHLogger:
        return self

    def log(self, *_: object, **__: object) -> None:
        pass

    info = debug1 = debug2 = log


_SILENT: Final = _Silence()


class Connection(asyncssh.SSHClientConnection):
    """asyncssh's connection, which also remembers what the server said before its SSH version, and of logging in."""

    first_bytes = b""
    offered: tuple[str, ...] = ()
    """The ways to log in that the server named first; empty where it took the first key before it was asked."""
    wanted_next: tuple[str, ...] = ()
    """The ways that it named after it had taken a proof; empty where one is enough, or none was taken."""
    way_gone: asyncio.Event | None = None
    """Set when what was started for this connection alone has ended; None when nothing was."""
    way: object = None
    """What goes with the connection: who counts the users of a way counts those that are still there."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        options: asyncssh.SSHClientConnectionOptions,
        *,
        wait: str = "auth",
        key_first: bool = False,
    ) -> None:
        """With `key_first`, the first key is tried before the server is asked which ways to log in it takes."""
        super().__init__(loop, options, wait=wait)
        self._has_greeted = False
        self._has_to_ask = key_first
        self._key_first = key_first
        self._wants_more = False
        self._pair: asyncssh.SSHKeyPair | None = None
        self.taken: set[bytes] = set()
        """The public keys that the server took and that were not enough."""
        self.is_out_of_keys = False
        """Whether the server refused every key, and was asked after that whether it wants one at all."""

    # -- fewer round trips -----------------------------------------------------------------------------------------------

    def try_next_auth(self, *, next_method: bool = False) -> None:
        """Try the next way, and remember what the server takes: asyncssh crosses the ways off as it tries them.

        Some servers let in who only asks. So the question that `key_first` leaves out follows when the keys are used up, or
        at once where the server takes none; earlier it would cost one of the keys its turn (MaxAuthTries).
        """
        methods = tuple(self.get_server_auth_methods())
        if self._key_first:
            self._key_first = False
            self._auth_methods.insert(0, b"publickey")
        elif "none" not in methods:
            if self._wants_more:
                self.wanted_next = methods
                self.taken |= {self._pair.public_data} if self._pair is not None else set()
                self._has_to_ask = self._wants_more = False
            self.offered = self.offered or (() if self.wanted_next else methods)
            leaves_keys = next_method and methods[:1] == ("publickey",)
            if self._has_to_ask and (leaves_keys or "publickey" not in methods):
                self._auth_methods.insert(int(leaves_keys), b"none")
        super().try_next_auth(next_method=next_method)

    async def public_key_auth_requested(self) -> asyncssh.SSHKeyPair | None:
        """Return the next key, and remember it until it is offered."""
        self._pair = await super().public_key_auth_requested()
        return self._pair

    async def send_userauth_request(
        self, method: bytes, *args: bytes, key: SigningKey | None = None, trivial: bool = True
    ) -> None:
        """Send a request to be let in: with a key from a file signed at once, instead of asking whether it is welcome.

        A key in an agent or in a token is asked for first: to sign with it may take a finger.
        """
        if method != b"publickey":
            self._pair = None
        if method == b"none" and self._has_to_ask:
            self._has_to_ask = False
            self.is_out_of_keys = bool(self.offered)
        pair = self._pair
        if pair is None or key is not None or not _signs_unasked(pair):
            await super().send_userauth_request(method, *args, key=key, trivial=trivial)
            return
        try:
            await super().send_userauth_request(method, _TRUE, *args[1:], key=pair, trivial=False)
        except ValueError:  # it cannot sign this way; asyncssh goes on likewise
            self.try_next_auth()

    def process_packet(self, pkttype: int, pktid: int, packet: SSHPacket) -> bool | Awaitable[None]:
        """Remember of an answer that lets nobody in whether the proof was taken all the same (RFC 4252, 5.1)."""
        if pkttype == MSG_USERAUTH_FAILURE:
            self._wants_more = packet.get_full_payload().endswith(_TRUE)
        return super().process_packet(pkttype, pktid, packet)

    # -- fewer packets, and no words about them --------------------------------------------------------------------------

    def send_packet(self, pkttype: int, *args: bytes, handler: SSHPacketLogger | None = None) -> None:
        """Send a packet, without the empty one that asyncssh puts before each: only the old CBC ciphers need it."""
        if pkttype != MSG_IGNORE or self._sends_empty_packets:
            super().send_packet(pkttype, *args, handler=handler)

    @cached_property
    def _sends_empty_packets(self) -> bool:
        return "-cbc" in self.get_extra_info("send_cipher")

    @property
    def logger(self) -> SSHLogger:
        """Nobody is told: vigo shows no protocol, and the words for it would be made all the same."""
        return _SILENT

    def log_sent_packet(self, *_: object, **__: object) -> None:
        """Tell nobody of a packet that goes."""

    def log_received_packet(self, *_: object, **__: object) -> None:
        """Tell nobody of a packet that comes."""

    # -- what a failure wants explained ----------------------------------------------------------------------------------

    def data_received(self, data: bytes, datatype: int | None = None) -> None:
        """Remember the first bytes, then let asyncssh have them."""
        if not self._has_greeted:
            self._has_greeted = self.get_extra_info("server_version") is not None
            if not self._has_greeted and len(self.first_bytes) < _FIRST_BYTES_MAX:
                self.first_bytes += data[:_FIRST_BYTES_MAX]
        super().data_received(data, datatype)

    @property
    def phase(self) -> Phase:
        """How far the handshake has come."""
        if self.get_extra_info("server_version") is None:
            return Phase.BANNER
        return Phase.KEX if self.get_extra_info("send_cipher") is None else Phase.AUTH


def _signs_unasked(pair: asyncssh.SSHKeyPair) -> bool:
    """Whether a key can sign here and now: without an agent or a token, and not with SHA-1, which a library may refuse."""
    return not (hasattr(pair, "sign_async") or getattr(pair, "use_executor", False) or pair.sig_algorithm == b"ssh-rsa")
