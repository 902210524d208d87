"""Secrets to log in with: fetched once, after everything else was decided and before anything connects, and dropped after.

Hosts may ask for more than the password while they are logged in to; those questions stand on the terminal one at a time.
"""

from __future__ import annotations

import asyncio
import os
import termios
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import field, replace
from typing import Any, Final

from vigo.adapters.ssh_secrets import Credentials, Secret, Unlocked, no_core, read_descriptor, read_file
from vigo.cli.console import Console
from vigo.cli.errand import Errand
from vigo.cli.ssh_flags import Wanted
from vigo.cli.wiring import transport_for
from vigo.core.errors import UsageError
from vigo.core.model import Host
from vigo.core.values import dataclass
from vigo.render.sanitize import clean

_TRIES_MAX: Final = 3
_PATIENCE_S: Final = 120.0
"""How long a host's question stands: sshd's own bound on a login is two minutes by default."""
_ANSWER_BYTES_MAX: Final = 4096
_LOCAL_FLAGS: Final = 3
"""Where `tcgetattr` tells whether a terminal shows what is typed."""


@contextmanager
def fetched(wanted: Wanted, errand: Errand, console: Console) -> Iterator[Errand]:
    """Return the errand with what the flags want to log in with, which is dropped at the end. Raises UsageError."""
    if not (wanted.password or wanted.passphrase or wanted.sudo_password):
        yield errand
        return
    no_core()
    credentials = Credentials()
    try:
        if wanted.password:
            credentials.password = _password(wanted, console) or None
            credentials.answers_hosts = True
            credentials.ask = Questions(console) if console.can_ask else None
        if wanted.passphrase:
            credentials.unlocked = _unlocked(wanted, _locked(errand), console)
        if wanted.sudo_password:
            credentials.sudo_password = _sudo_password(wanted, console)
        yield replace(errand, credentials=credentials)
    finally:
        credentials.wipe()


def _password(wanted: Wanted, console: Console) -> Secret:
    question = "SSH password of the targets (not shown): "
    return _said("password", wanted.password_file, wanted.password_fd, question, console)


def _sudo_password(wanted: Wanted, console: Console) -> Secret:
    question = "sudo password on the targets (not shown): "
    return _said("sudo-password", wanted.sudo_password_file, wanted.sudo_password_fd, question, console)


def _said(what: str, file: str | None, descriptor: int | None, question: str, console: Console) -> Secret:
    """Return the secret from the place that its flags name, or ask for it. Raises UsageError."""
    if file is not None:
        return read_file(file, f"--{what}-file")
    if descriptor is not None:
        return read_descriptor(descriptor, f"--{what}-fd")
    if not console.can_ask:
        raise UsageError(
            f"--ask-{what}: there is no terminal to ask on; give --{what}-file FILE or --{what}-fd N instead"
        )
    return Secret(console.ask_secret(question))


def _locked(errand: Errand) -> Sequence[str]:
    """Return the key files that would be offered and have a passphrase; hosts that cannot be reached as asked have none."""
    hosts: Sequence[Host] = errand.plan.hosts
    transport = transport_for(errand.plan.policy, overrides=errand.overrides, ssh_config=errand.ssh_config)
    return asyncio.run(transport.locked_keys(hosts))


def _unlocked(wanted: Wanted, paths: Sequence[str], console: Console) -> Unlocked:
    flag = "--passphrase-file" if wanted.passphrase_file is not None else "--ask-passphrase"
    if not paths:
        console.say(f"{flag}: no key for these hosts needs one: they are open, in the agent, or not there")
        return {}
    if wanted.passphrase_file is not None:
        given = read_file(wanted.passphrase_file, flag)
        opened = _opened(paths, given)
        given.wipe()
        if not opened:
            raise UsageError(f"{flag} {wanted.passphrase_file}: opens none of {', '.join(paths)}; is it the right one?")
        return opened
    if not console.can_ask:
        raise UsageError(f"{flag}: there is no terminal to ask on; give --passphrase-file FILE, or ssh-add {paths[0]}")
    unlocked: dict[str, Any] = {}
    for path in paths:
        if path not in unlocked:
            unlocked.update(_asked_for(path, [other for other in paths if other not in unlocked], console))
    return unlocked


def _asked_for(path: str, others: Sequence[str], console: Console) -> Unlocked:
    """Ask for the passphrase of one key, and try it on the others too; an empty one leaves the key closed."""
    for _ in range(_TRIES_MAX):
        given = Secret(console.ask_secret(f"passphrase of {clean(path)} (not shown, empty leaves it out): "))
        if not given:
            return {}
        opened = _opened([path, *(other for other in others if other != path)], given)
        given.wipe()
        if path in opened:
            return opened
        console.say(f"that does not open {path}")
    raise UsageError(f"--ask-passphrase: {path}: not opened in {_TRIES_MAX} tries; nothing was connected")


def _opened(paths: Sequence[str], passphrase: Secret) -> Unlocked:
    from vigo.adapters.ssh_keys import unlock

    pairs = {path: unlock(path, passphrase) for path in paths}
    return {path: opened for path, opened in pairs.items() if opened}


@dataclass(slots=True, eq=False)
class Questions:
    """What hosts ask, on the terminal: one question at a time, each with the host's name in it."""

    console: Console
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _loop: asyncio.AbstractEventLoop | None = None

    async def __call__(self, question: str, *, echo: bool) -> str | None:
        """Ask, and return the answer; None where none came within two minutes, or the input is at its end."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # a lock belongs to one loop; a resume may look at hosts in a loop of its own
            self._loop, self._turn = loop, asyncio.Lock()
        async with self._turn:
            return await self._ask(question, echo=echo)

    async def _ask(self, question: str, *, echo: bool) -> str | None:
        terminal = self.console.answers.fileno()
        loop = asyncio.get_running_loop()
        arrived: asyncio.Future[bytes] = loop.create_future()

        def read() -> None:
            try:
                line = os.read(terminal, _ANSWER_BYTES_MAX)
            except OSError:
                line = b""
            if not arrived.done():
                arrived.set_result(line)

        with _echo(terminal, shown=echo):
            self._write(f"{clean(question)} ")
            loop.add_reader(terminal, read)
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    line = await arrived
            except TimeoutError:
                line = b""
            finally:
                loop.remove_reader(terminal)
                if not echo:
                    self._write("\n")
        return line.rstrip(b"\r\n").decode("utf-8", "replace") if line else None

    def _write(self, text: str) -> None:
        with suppress(OSError):
            self.console.err.write(text)
            self.console.err.flush()


@contextmanager
def _echo(terminal: int, *, shown: bool) -> Iterator[None]:
    """Have the terminal not show what is typed, unless it may."""
    before = termios.tcgetattr(terminal)
    silent = [*before]
    silent[_LOCAL_FLAGS] &= ~0 if shown else ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSANOW, silent)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSANOW, before)
