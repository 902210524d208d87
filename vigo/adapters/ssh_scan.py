"""Which keys a host has: connections that go as far as the key exchange, one for each kind of key, and never log in.

A key is shown only when the server has proved that it holds it. The kinds are read from the server's first packet.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Self, cast

import asyncssh

from vigo.adapters.ssh_config import ConfigFile
from vigo.adapters.ssh_connect import Connector
from vigo.adapters.ssh_connection import Connection
from vigo.adapters.ssh_errors import Phase, Unreached, handshake_failed
from vigo.adapters.ssh_hostkeys import Compared, HostKeys, KeyState, ShownKey, compare
from vigo.adapters.ssh_known_hosts import Known
from vigo.adapters.ssh_login import Progress, Way
from vigo.adapters.ssh_options import Endpoint, Preparation, for_connection, host_key_algorithms
from vigo.adapters.ssh_resolve import Resolver
from vigo.core.errors import VigoError
from vigo.core.model import Host, Overrides, Reason
from vigo.core.values import dataclass

_KEXINIT: Final = 20
_BEFORE_LISTS: Final = 1 + 16
"""Message number and cookie: RFC 4253, section 7.1."""
_HEAD_BYTES_MAX: Final = 64 * 1024
_RSA_SIGNATURES: Final = ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")
_CERTIFICATE: Final = "-cert-v01@openssh.com"


@dataclass(frozen=True, slots=True)
class Handshake:
    """What a key exchange has told."""

    version: str
    """The server's own name for itself."""
    key: ShownKey
    offered: tuple[str, ...]
    """The algorithms of the keys that the server has."""
    is_vouched_for: bool
    """Whether the key came with a certificate of an authority that is known."""
    cipher: str
    joined_at: float
    """These three are seconds on the monotonic clock: TCP was there, the version came, the keys were exchanged."""
    greeted_at: float
    agreed_at: float


@dataclass(frozen=True, slots=True)
class Scanned:
    """The keys of one host beside what the files say, or why they could not be had."""

    host: str
    name: str = ""
    """Under which it is recorded."""
    port: int = 0
    records: bool = True
    """Whether vigo's own file counts for it: not where its inventory names another."""
    keys: tuple[Compared, ...] = ()
    reason: Reason | None = None
    detail: str = ""


class Greeted(Connection):
    """A connection that notes when the server said its version, and which kinds of host keys it has."""

    greeted_at = 0.0
    offered_keys: tuple[str, ...] = ()
    _head = b""

    def data_received(self, data: bytes, datatype: int | None = None) -> None:
        """Read the beginning along, until the server's first packet is there."""
        if not self.offered_keys and len(self._head) < _HEAD_BYTES_MAX:
            self._head += data
            self.offered_keys = offered_keys(self._head)
        super().data_received(data, datatype)
        if not self.greeted_at and self.phase is not Phase.BANNER:
            self.greeted_at = time.monotonic()


class _Anybody(asyncssh.SSHClient):
    """Takes every key: this is about looking at it."""

    was_asked = False
    """Whether the key came without a certificate that counts."""

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:  # noqa: ARG002 - asyncssh's signature
        self.was_asked = True
        return True


@dataclass(slots=True, eq=False)
class Scanner:
    """Looks at the keys of hosts; all its calls belong on one event loop."""

    preparation: Preparation
    connector: Connector
    timeout_ms: int

    @classmethod
    def make(cls, known_hosts: Path, files: Sequence[ConfigFile], overrides: Overrides, timeout_ms: int) -> Self:
        """Read the files once; nothing is connected to. `known_hosts` is vigo's own. Raises ConfigError."""
        host_keys = HostKeys(known_hosts, accept_new=False)
        preparation = Preparation.make(files, host_keys, None, overrides)
        return cls(preparation, Connector(host_keys, Resolver()), timeout_ms)

    @property
    def host_keys(self) -> HostKeys:
        """What is known."""
        return self.preparation.host_keys

    async def scan(self, host: Host) -> Scanned:
        """Return the keys of a host; one that fails is an answer. Bounded by the connect deadline for each kind of key."""
        try:
            endpoint = await self.preparation.prepared(host)
            known = self.host_keys.known(endpoint.host_key_names, endpoint.port, endpoint.known_hosts)
            keys = await self._keys(endpoint, known)
        except Unreached as refusal:
            return Scanned(host.name, reason=refusal.reason, detail=refusal.detail)
        except VigoError as error:
            return Scanned(host.name, reason=Reason.LOCAL, detail=str(error))
        return Scanned(host.name, endpoint.host_key_names[0], endpoint.port, endpoint.records, keys)

    async def close(self) -> None:
        """Close the jump hosts; bounded."""
        await self.connector.close()

    def write(self, scanned: Scanned) -> tuple[ShownKey, ...]:
        """Record the new keys of a host in vigo's own file and return them. Raises Unreached."""
        new = [found.key for found in scanned.keys if found.state is KeyState.NEW]
        return self.host_keys.record(scanned.name, scanned.port, new)

    async def _keys(self, endpoint: Endpoint, known: Known) -> tuple[Compared, ...]:
        first = await self._handshake(endpoint, Known(), host_key_algorithms(Known()))
        shown = {first.key.algorithm: first.key}
        for kind in _kinds(first.offered):
            if kind not in shown:
                shown[kind] = (await self._handshake(endpoint, Known(), _signatures(kind))).key
        vouched = await self._vouched(endpoint, known, first.offered)
        places = tuple(dict.fromkeys(entry.place for entry in known.authorities))
        return tuple(
            replace(found, state=KeyState.KNOWN, places=places)
            if found.state is KeyState.NEW and found.key.blob in vouched
            else found
            for found in compare(known, tuple(shown.values()))
        )

    async def _vouched(self, endpoint: Endpoint, known: Known, offered: Iterable[str]) -> set[bytes]:
        """Return the keys with a certificate of an authority that is known for this host."""
        certified = [name for name in host_key_algorithms(known) if name.endswith(_CERTIFICATE) and name in offered]
        if not certified:
            return set()
        try:
            return {(await self._handshake(endpoint, known, certified)).key.blob}
        except Unreached:
            return set()  # of another authority, for another name, or out of date: it vouches for nothing

    async def _handshake(self, endpoint: Endpoint, known: Known, algorithms: Sequence[str]) -> Handshake:
        progress = Progress()
        async with self.connector.deadline(endpoint.connect_timeout_ms or self.timeout_ms, progress):
            return await self.connector.go(
                endpoint, progress, lambda way: exchange(way, endpoint, known, algorithms, progress)
            )


async def exchange(
    way: Way, endpoint: Endpoint, known: Known, algorithms: Sequence[str], progress: Progress
) -> Handshake:
    """Connect, exchange keys and hang up. Raises Unreached; unbounded: call it inside `deadline`.

    Whatever plain key the server shows is taken; of certificates only those that an authority in `known` has signed.
    """
    loop = asyncio.get_running_loop()
    options = for_connection(endpoint, known)
    options.server_host_key_algs = list(algorithms)
    client = _Anybody()
    options.protocol_factory = lambda: client
    options.waiter = loop.create_future()
    connection: Greeted | None = None
    try:
        progress.phase = Phase.TCP
        connection = cast("Greeted", await way.join(lambda: Greeted(loop, options, wait="kex"), progress))
        joined_at = time.monotonic()
        progress.phase = Phase.BANNER
        await options.waiter
        return _told(connection, joined_at, is_vouched_for=not client.was_asked)
    except Unreached:
        raise
    except Exception as error:
        if connection is None:
            raise
        told = handshake_failed(error, connection.phase, connection.first_bytes, endpoint.place)
        raise (await way.broken(connection) or told) from error
    finally:
        options.waiter.cancel()
        if connection is not None:
            progress.phase = connection.phase
            connection.abort()


def offered_keys(data: bytes) -> tuple[str, ...]:
    """Read the host key algorithms from the beginning of what a server sends; empty until they are there.

    That is lines of text, of which the last is the version, and a packet: RFC 4253, sections 4.2, 6 and 7.1.
    """
    at = 0
    while not data.startswith(b"SSH-", at):
        at = data.find(b"\n", at) + 1
        if not at:
            return ()
    end = data.find(b"\n", at)
    packet = data[end + 1 :]
    length = int.from_bytes(packet[:4], "big")
    if end < 0 or len(packet) < 4 + length or packet[5:6] != bytes([_KEXINIT]):
        return ()
    _, rest = _name_list(packet[5 + _BEFORE_LISTS :])
    names, _ = _name_list(rest)
    return tuple(names.decode("ascii", "replace").split(",")) if names else ()


def _name_list(data: bytes) -> tuple[bytes, bytes]:
    length = int.from_bytes(data[:4], "big")
    return data[4 : 4 + length], data[4 + length :]


def _told(connection: Greeted, joined_at: float, *, is_vouched_for: bool) -> Handshake:
    key = connection.get_server_host_key()
    if key is None:
        raise asyncssh.ProtocolError("the key exchange ended without a host key")
    return Handshake(
        version=str(connection.get_extra_info("server_version")),
        key=ShownKey(key.get_algorithm(), key.public_data),
        offered=connection.offered_keys,
        is_vouched_for=is_vouched_for,
        cipher=str(connection.get_extra_info("send_cipher")),
        joined_at=joined_at,
        greeted_at=connection.greeted_at,
        agreed_at=time.monotonic(),
    )


def _kinds(offered: Iterable[str]) -> tuple[str, ...]:
    """Return the kinds of keys behind algorithms, as far as they can be looked at from here."""
    plain = [name for name in offered if name in host_key_algorithms(Known())]
    return tuple(dict.fromkeys("ssh-rsa" if name in _RSA_SIGNATURES else name for name in plain))


def _signatures(kind: str) -> tuple[str, ...]:
    return _RSA_SIGNATURES if kind == "ssh-rsa" else (kind,)
