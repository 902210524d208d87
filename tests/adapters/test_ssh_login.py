"""What one connection sends beside what it is asked to: nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import asyncssh
import pytest

from vigo.adapters.ssh_login import Connection


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


async def _talk(cipher: str) -> str | None:
    """Run one command over a connection with this cipher, and return what it printed."""

    def answer(process: asyncssh.SSHServerProcess[str]) -> None:
        process.stdout.write("hello")
        process.exit(0)

    key = asyncssh.generate_private_key("ssh-ed25519")
    acceptor = await asyncssh.listen(
        "127.0.0.1", 0, server_host_keys=[key], server_factory=_Open, process_factory=answer, encryption_algs=[cipher]
    )
    loop = asyncio.get_running_loop()
    options = asyncssh.SSHClientConnectionOptions(
        username="ops", client_keys=None, agent_path=None, config=None, known_hosts=None, encryption_algs=[cipher]
    )
    options.waiter = loop.create_future()
    async with acceptor:
        _, connection = await loop.create_connection(
            lambda: Connection(loop, options, wait="auth"), "127.0.0.1", acceptor.get_port()
        )
        await options.waiter
        async with connection:
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
