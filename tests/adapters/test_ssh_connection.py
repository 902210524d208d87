"""What one connection sends: as few questions as a login needs, and nothing beside what it is asked to."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterator, Sequence
from dataclasses import dataclass, field

import asyncssh
import pytest
from asyncssh.constants import MSG_USERAUTH_REQUEST
from asyncssh.packet import SSHPacket
from asyncssh.public_key import SSHLocalKeyPair

from vigo.adapters.ssh_connection import Connection


@pytest.fixture
def protocol(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Have asyncssh tell of every packet."""
    caplog.set_level(logging.DEBUG, "asyncssh")
    asyncssh.set_debug_level(3)
    yield caplog
    asyncssh.set_debug_level(1)


class _Open(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        del username
        return False


async def _connect(options: asyncssh.SSHClientConnectionOptions, port: int, *, key_first: bool = False) -> Connection:
    """Return a logged-in connection."""
    loop = asyncio.get_running_loop()
    options.waiter = loop.create_future()
    _, connection = await loop.create_connection(
        lambda: Connection(loop, options, key_first=key_first), "127.0.0.1", port
    )
    try:
        await options.waiter
    except asyncssh.PermissionDenied:
        connection.abort()
        raise
    return connection


async def _talk(cipher: str) -> str | None:
    """Run one command over a connection with this cipher, and return what it printed."""

    def answer(process: asyncssh.SSHServerProcess[str]) -> None:
        process.stdout.write("hello")
        process.exit(0)

    key = asyncssh.generate_private_key("ssh-ed25519")
    acceptor = await asyncssh.listen(
        "127.0.0.1", 0, server_host_keys=[key], server_factory=_Open, process_factory=answer, encryption_algs=[cipher]
    )
    options = asyncssh.SSHClientConnectionOptions(
        username="ops", client_keys=None, agent_path=None, config=None, known_hosts=None, encryption_algs=[cipher]
    )
    async with acceptor, await _connect(options, acceptor.get_port()) as connection:
        printed = (await connection.run("anything")).stdout
    assert printed is None or isinstance(printed, str)
    return printed


@pytest.mark.parametrize("cipher", ["aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes128-ctr"])
def test_no_packet_goes_before_each_packet(cipher: str, protocol: pytest.LogCaptureFixture) -> None:
    """An empty one is sent by asyncssh before each, whatever the cipher: not here."""
    assert asyncio.run(_talk(cipher)) == "hello"
    assert "Received MSG_CHANNEL_OPEN (90)" in protocol.text
    assert "Received MSG_IGNORE" not in protocol.text


def test_with_an_old_cipher_it_does(protocol: pytest.LogCaptureFixture) -> None:
    """In CBC mode what comes next could be guessed from what went before; the empty packet is the defence."""
    assert asyncio.run(_talk("aes128-cbc")) == "hello"
    assert "Received MSG_IGNORE" in protocol.text


def test_a_connection_tells_no_log_what_it_does(protocol: pytest.LogCaptureFixture) -> None:
    """Not even where somebody has turned asyncssh's log up: all that is told here is told by the server."""
    asyncio.run(_talk("aes128-gcm@openssh.com"))
    assert "Received MSG_CHANNEL_REQUEST (98)" in protocol.text
    for told_by_the_client in ("MSG_CHANNEL_OPEN_CONFIRMATION (91)", "MSG_USERAUTH_SUCCESS (52)"):
        assert f"Sent {told_by_the_client}" in protocol.text
        assert f"Received {told_by_the_client}" not in protocol.text


# --- the questions of a login ----------------------------------------------------------------------------------------

GOOD = asyncssh.generate_private_key("ssh-ed25519")
OTHER = asyncssh.generate_private_key("ssh-ed25519")


@dataclass
class _Door(asyncssh.SSHServer):
    """Lets in who has one of the keys, or who asks for nothing where that is enough."""

    keys: Sequence[asyncssh.SSHKey] = ()
    is_open: bool = False
    takes_keys: bool = True
    heard: list[str] = field(default_factory=list)
    """The ways that were tried, in order; a question whether a key would be taken is one."""

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Listen to all requests."""
        process = conn.process_packet

        def listen(pkttype: int, pktid: int, packet: SSHPacket) -> bool | Awaitable[None]:
            if pkttype == MSG_USERAUTH_REQUEST:
                again = SSHPacket(packet.get_full_payload())
                again.get_byte()
                _user, _service, method = again.get_string(), again.get_string(), again.get_string().decode()
                self.heard.append(f"{method} signed" if method == "publickey" and again.get_boolean() else method)
                if self.is_open and method == "none":
                    return conn.send_userauth_success()
            return process(pkttype, pktid, packet)

        conn.process_packet = listen  # type: ignore[method-assign]

    def begin_auth(self, username: str) -> bool:
        """Want a proof."""
        del username
        return True

    def public_key_auth_supported(self) -> bool:
        """Take keys, or passwords alone."""
        return self.takes_keys

    def password_auth_supported(self) -> bool:
        """Take passwords where keys are not taken."""
        return not self.takes_keys

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Know the ones."""
        del username
        return key.public_data in {known.public_data for known in self.keys}


async def _log_in(door: _Door, pairs: Sequence[object], *, key_first: bool = True) -> Connection | None:
    """Log in with these keys; None where the server lets nobody in."""
    acceptor = await asyncssh.listen("127.0.0.1", 0, server_host_keys=[GOOD], server_factory=lambda: door)
    options = asyncssh.SSHClientConnectionOptions(
        username="ops", client_keys=list(pairs) or None, agent_path=None, config=None, known_hosts=None
    )
    async with acceptor:
        try:
            connection = await _connect(options, acceptor.get_port(), key_first=key_first)
        except asyncssh.PermissionDenied:
            return None
        connection.abort()
    return connection


@pytest.mark.parametrize(
    ("keys", "heard", "offered"),
    [
        ([GOOD], ["publickey signed"], ()),
        ([OTHER, GOOD], ["publickey signed", "publickey signed"], ("publickey",)),
    ],
)
def test_a_key_from_a_file_signs_at_once(
    keys: list[asyncssh.SSHKey], heard: list[str], offered: tuple[str, ...]
) -> None:
    """Nobody asks which ways there are, or whether it would be taken, before it was refused."""
    door = _Door([GOOD])
    connection = asyncio.run(_log_in(door, keys))
    assert connection is not None
    assert (door.heard, connection.offered) == (heard, offered)


@pytest.mark.parametrize(
    ("keys", "heard"), [([], ["none"]), ([OTHER], ["publickey signed", "none"]), ([GOOD], ["publickey signed"])]
)
def test_a_server_that_lets_in_who_only_asks_is_asked(keys: list[asyncssh.SSHKey], heard: list[str]) -> None:
    """An account without a password, a network that knows its users: ssh gets in there, and so do we."""
    door = _Door([GOOD], is_open=True)
    assert asyncio.run(_log_in(door, keys)) is not None
    assert door.heard == heard


def test_whom_nobody_lets_in_has_asked_once() -> None:
    """After each key was tried once: sshd counts the question among the failures that it allows (MaxAuthTries)."""
    door = _Door()
    assert asyncio.run(_log_in(door, [OTHER, GOOD])) is None
    assert door.heard == ["publickey signed", "publickey signed", "none"]


def test_where_no_key_is_taken_no_further_one_is_tried() -> None:
    """The first refusal says so, and the question follows at once."""
    door = _Door(takes_keys=False, is_open=True)
    assert asyncio.run(_log_in(door, [OTHER, GOOD])) is not None
    assert door.heard == ["publickey signed", "none"]


def test_who_asks_first_is_told_which_ways_there_are() -> None:
    """The question costs a round trip, and keeps the key for those who want one."""
    door = _Door([GOOD])
    connection = asyncio.run(_log_in(door, [GOOD], key_first=False))
    assert connection is not None
    assert (door.heard, connection.offered) == (["none", "publickey signed"], ("publickey",))


@pytest.mark.parametrize("attribute", ["sign_async", "use_executor"])
def test_a_key_that_may_want_a_finger_is_offered_before_it_signs(attribute: str) -> None:
    """A key in an agent or in a token signs only for a server that would take it."""

    class Elsewhere(SSHLocalKeyPair):
        pass

    async def sign(data: bytes) -> bytes:
        return pair.sign(data)

    pair = Elsewhere(GOOD, None, None, None)
    setattr(pair, attribute, sign if attribute == "sign_async" else True)
    door = _Door([GOOD])
    assert asyncio.run(_log_in(door, [pair])) is not None
    assert door.heard == ["publickey", "publickey signed"]


def test_a_key_that_needs_sha1_is_offered_before_it_signs() -> None:
    """The library may refuse that, and nobody should have to know of it whose server would not want the key."""

    class Old(SSHLocalKeyPair):
        def set_sig_algorithm(self, sig_algorithm: bytes) -> None:
            del sig_algorithm
            self.sig_algorithm = b"ssh-rsa"

    door = _Door([GOOD])
    assert asyncio.run(_log_in(door, [Old(OTHER, None, None, None), GOOD])) is not None
    assert door.heard == ["publickey", "publickey signed"]


def test_a_key_that_cannot_sign_is_passed_over() -> None:
    """As when its algorithm is no longer in the library: the next has its turn."""

    class Mute(SSHLocalKeyPair):
        def sign(self, data: bytes) -> bytes:
            raise ValueError(f"not these {len(data)} bytes")

    door = _Door([GOOD])
    assert asyncio.run(_log_in(door, [Mute(OTHER, None, None, None), GOOD])) is not None
    assert door.heard == ["publickey signed"]
