"""Secrets to log in with: where they are read from, and the one object that holds them until they are dropped.

A secret is never in an argument or a variable of the environment, and nothing that prints, copies or pickles what holds
it shows it. Python may leave copies in memory that cannot be reached; what can be, is overwritten.
"""

from __future__ import annotations

import os
import resource
import stat
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from dataclasses import field
from typing import TYPE_CHECKING, Final, NoReturn, Protocol, TypeAlias

from vigo.core.errors import UsageError
from vigo.core.values import dataclass

if TYPE_CHECKING:  # asyncssh is loaded when something connects
    import asyncssh

Unlocked: TypeAlias = "Mapping[str, tuple[asyncssh.SSHKeyPair, ...]]"
"""Path of an encrypted key -> the key, opened with its passphrase."""

_BYTES_MAX: Final = 1024
_OTHERS: Final = 0o077
_STREAMS: Final = (1, 2)
_LINE_ENDS: Final = (b"\r\n", b"\n")


class Secret:
    """One secret text, which shows itself only to who asks for it by name."""

    __slots__ = ("_held",)

    def __init__(self, value: str | bytes) -> None:
        self._held = bytearray(value.encode() if isinstance(value, str) else value)

    def reveal(self) -> str:
        """Return the text; keep it no longer than it takes to send it. Empty once it was wiped."""
        return self._held.decode()

    def wipe(self) -> None:
        """Overwrite it."""
        self._held[:] = bytes(len(self._held))
        self._held.clear()

    def __bool__(self) -> bool:
        return bool(self._held)

    def __repr__(self) -> str:
        return "***"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written anywhere")


class Ask(Protocol):
    """Asks the operator something that a host wants to know."""

    def __call__(self, question: str, *, echo: bool) -> Awaitable[str | None]:
        """Return the answer, None when there was none. One question stands on the terminal at a time."""


@dataclass(slots=True, eq=False, repr=False)
class Credentials:
    """What a run may log in with beside the keys that anybody on this machine could load for it."""

    password: Secret | None = None
    """For the targets; never for a jump host."""
    ask: Ask | None = None
    """For what hosts ask beside the password; None where there is no terminal."""
    sudo_password: Secret | None = None
    """For sudo on the targets, when it asks."""
    answers_hosts: bool = False
    """Whether hosts may ask at all: a password was wanted, if only an empty one."""
    unlocked: Unlocked = field(default_factory=dict)
    refused_by: set[str] = field(default_factory=set)
    """Hosts that had the password and did not let us in."""

    def wipe(self) -> None:
        """Drop everything."""
        for secret in (self.password, self.sudo_password):
            if secret is not None:
                secret.wipe()
        self.password, self.sudo_password, self.ask, self.unlocked = None, None, None, {}


def read_file(path: str, flag: str) -> Secret:
    """Read a secret from a file of ours that nobody else can read. Raises UsageError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError as error:
        raise UsageError(f"{flag} {path}: cannot be read: {error.strerror}") from None
    try:
        found = os.fstat(descriptor)
        if not (stat.S_ISREG(found.st_mode) or stat.S_ISFIFO(found.st_mode)):
            raise UsageError(f"{flag} {path}: is no plain file; write the secret into a file with mode 0600")
        if found.st_uid != os.geteuid():
            raise UsageError(
                f"{flag} {path}: belongs to uid {found.st_uid}, who can change it; make a file of your own"
            )
        if found.st_mode & _OTHERS:
            mode = stat.S_IMODE(found.st_mode)
            raise UsageError(
                f"{flag} {path}: others can use it (mode {mode:04o}); make it yours alone: chmod 600 {path}"
            )
        return _read(descriptor, f"{flag} {path}")
    finally:
        os.close(descriptor)


def read_descriptor(number: int, flag: str) -> Secret:
    """Read a secret to the end of a descriptor that was handed to us, and close it. Raises UsageError."""
    name = f"{flag} {number}"
    if number in _STREAMS:
        raise UsageError(f"{name}: is for output; hand the secret over on another one: {flag} 3 3<FILE")
    try:
        if os.isatty(number):
            raise UsageError(f"{name}: is a terminal, which would show it; use {_asking(flag)}")
        return _read(number, name)
    except OSError as error:
        raise UsageError(f"{name}: cannot be read: {error.strerror}; open it: {flag} 3 3<FILE") from None
    finally:
        if number != 0:
            with suppress(OSError):
                os.close(number)


def _asking(flag: str) -> str:
    """Return the flag that asks for what this one reads."""
    return f"--ask-{flag.removeprefix('--').removesuffix('-fd')}"


def no_core() -> None:
    """Have no core file written of a process that holds secrets."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


def _read(descriptor: int, name: str) -> Secret:
    data = bytearray()
    try:
        while len(data) <= _BYTES_MAX and (more := os.read(descriptor, _BYTES_MAX)):
            data += more
    except OSError as error:
        raise UsageError(f"{name}: cannot be read: {error.strerror}") from None
    for end in _LINE_ENDS:
        if data.endswith(end):
            del data[-len(end) :]
            break
    try:
        return Secret(_checked(data, name))
    finally:
        data[:] = bytes(len(data))


def _checked(data: bytearray, name: str) -> bytes:
    if not data:
        raise UsageError(f"{name}: is empty; write the secret into it, on one line")
    if len(data) > _BYTES_MAX:
        raise UsageError(f"{name}: is longer than {_BYTES_MAX} bytes; it should hold the secret alone")
    if any(byte in b"\n\r\0" for byte in data):
        raise UsageError(f"{name}: holds more than one line; it should hold the secret alone")
    try:
        data.decode()
    except UnicodeDecodeError:
        raise UsageError(f"{name}: is not UTF-8; write it so") from None
    return bytes(data)
