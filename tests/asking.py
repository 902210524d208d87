"""A server on loopback that asks for passwords and more, and keeps what it was given: asyncssh's own server side."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh

from tests.sshd import free_port
from vigo.core.model import Host, Reason, SshSettings

RIGHT = "r1ght-horse"
"""The password that such a server takes."""
OTP = ([("Password: ", False, RIGHT)], [("Verification code\x1b[2J: ", True, "123456")])
"""As PAM asks with a second factor."""


@dataclass
class Asking:
    """An SSH server that takes what a test says it takes, and keeps what it was given."""

    passwords: dict[str, str] = field(default_factory=dict)
    """Address -> the right password; RIGHT where none is named."""
    rounds: Sequence[Sequence[tuple[str, bool, str]]] = ()
    """Keyboard-interactive: prompts, whether they may be shown, and the right answers. Empty: it takes passwords."""
    given: list[tuple[str, str]] = field(default_factory=list)
    """Address and password or answer, in order."""
    expired: bool = False

    def __call__(self, address: str) -> asyncssh.SSHServer:
        """Return what answers one connection."""
        return _Door(self, address)


class _Door(asyncssh.SSHServer):
    def __init__(self, asking: Asking, address: str) -> None:
        self._asking = asking
        self._address = address
        self._round = 0

    def begin_auth(self, username: str) -> bool:
        del username
        return True

    def password_auth_supported(self) -> bool:
        return not self._asking.rounds

    def validate_password(self, username: str, password: str) -> bool:
        del username
        self._asking.given.append((self._address, password))
        if self._asking.expired:
            raise asyncssh.PasswordChangeRequired("too old")
        return password == self._asking.passwords.get(self._address, RIGHT)

    def kbdint_auth_supported(self) -> bool:
        return bool(self._asking.rounds)

    def get_kbdint_challenge(
        self, username: str, lang: str, submethods: str
    ) -> tuple[str, str, str, list[tuple[str, bool]]]:
        del username, lang, submethods
        return "", "Corp\x1b[31m login", "", self._prompts()

    def _prompts(self) -> list[tuple[str, bool]]:
        return [(prompt, echo) for prompt, echo, _ in self._asking.rounds[self._round]]

    def validate_kbdint_response(
        self, username: str, responses: Sequence[str]
    ) -> bool | tuple[str, str, str, list[tuple[str, bool]]]:
        del username
        self._asking.given += [(self._address, response) for response in responses]
        if list(responses) != [answer for *_, answer in self._asking.rounds[self._round]]:
            return False
        self._round += 1
        return True if self._round == len(self._asking.rounds) else ("", "", "", self._prompts())


LET_IN = Reason.NO_SHELL
"""How a run ends on such a server after the login: it has nothing that could run a command."""


def _no_shell(process: asyncssh.SSHServerProcess[bytes]) -> None:
    process.exit(0)


@asynccontextmanager
async def serving(asking: Asking, addresses: Sequence[str], folder: Path) -> AsyncIterator[list[Host]]:
    """Serve these addresses, and return the hosts."""
    key, known, port = asyncssh.generate_private_key("ssh-ed25519"), folder / "known", free_port(addresses[0])
    public = key.export_public_key().decode().strip()
    known.write_text("".join(f"[{address}]:{port} {public}\n" for address in addresses))

    def owner(address: str) -> Callable[[], asyncssh.SSHServer]:
        return lambda: asking(address)

    acceptors = [
        await asyncssh.listen(
            address,
            port,
            server_host_keys=[key],
            server_factory=owner(address),
            process_factory=_no_shell,
            encoding=None,
        )
        for address in addresses
    ]
    ssh = SshSettings(user="ops", port=port, identity="/nowhere", known_hosts=str(known), agent=False)
    try:
        yield [Host(f"h{number:02}", "u", address, ssh=ssh) for number, address in enumerate(addresses)]
    finally:
        for acceptor in acceptors:
            acceptor.close()
            await acceptor.wait_closed()


@contextmanager
def served(asking: Asking, address: str, folder: Path) -> Iterator[Host]:
    """Serve one address from a thread, for programs that are run meanwhile."""
    host: list[Host] = []
    loop, is_up, is_over = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with serving(asking, [address], folder) as hosts:
            host.extend(hosts)
            is_up.set()
            await is_over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=[serve()])
    thread.start()
    try:
        assert is_up.wait(20)
        yield host[0]
    finally:
        loop.call_soon_threadsafe(is_over.set)
        thread.join(20)
        loop.close()
