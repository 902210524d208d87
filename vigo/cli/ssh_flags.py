"""The flags that say how hosts are reached, and what they make of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Annotated, Self, TypeAlias

import typer

from vigo.core.errors import UsageError
from vigo.core.model import Overrides
from vigo.core.quantity import parse_duration_ms
from vigo.core.values import dataclass

if TYPE_CHECKING:
    from vigo.core.inventory import Inventory

ASKED = "asked"
"""What a task keeps on record of a secret."""

User: TypeAlias = Annotated[str | None, typer.Option("--user", metavar="NAME", help="Log in as this user.")]
Port: TypeAlias = Annotated[int | None, typer.Option("--port", min=1, max=65_535, help="Connect to this port.")]
Identity: TypeAlias = Annotated[
    str | None, typer.Option("--identity", metavar="FILE", help="Log in with this private key.")
]
Jump: TypeAlias = Annotated[
    str | None,
    typer.Option("--jump", metavar="HOST,...|none", help="Go through these hosts: [user@]host[:port], nearest first."),
]
SshOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--ssh-option", metavar="KEY=VALUE", help="A setting as in ssh_config. Repeatable."),
]
SshConfig: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--ssh-config", metavar="FILE|none", help="Read this file.  [default: ~/.ssh/config, /etc/ssh/ssh_config]"
    ),
]
AskPassword: TypeAlias = Annotated[
    bool, typer.Option("--ask-password", help="Ask once for the targets' password, and for what hosts ask beside it.")
]
PasswordFile: TypeAlias = Annotated[
    str | None, typer.Option("--password-file", metavar="FILE", help="Read the password from a file of mode 0600.")
]
PasswordFd: TypeAlias = Annotated[
    int | None, typer.Option("--password-fd", metavar="N", min=0, help="Read the password from this file descriptor.")
]
AskPassphrase: TypeAlias = Annotated[
    bool, typer.Option("--ask-passphrase", help="Ask for the passphrase of keys that are not in the agent.")
]
PassphraseFile: TypeAlias = Annotated[
    str | None, typer.Option("--passphrase-file", metavar="FILE", help="Read the passphrase from a file of mode 0600.")
]
Sudo: TypeAlias = Annotated[bool, typer.Option("--sudo", help="Run everything on the hosts as root, by sudo.")]
SudoUser: TypeAlias = Annotated[
    str | None, typer.Option("--sudo-user", metavar="NAME", help="Run it as this user instead of root; means --sudo.")
]
Doas: TypeAlias = Annotated[bool, typer.Option("--doas", help="Have doas give the rights instead of sudo.")]
AskSudoPassword: TypeAlias = Annotated[
    bool, typer.Option("--ask-sudo-password", help="Ask once for the password that sudo wants on the targets.")
]
SudoPasswordFile: TypeAlias = Annotated[
    str | None,
    typer.Option("--sudo-password-file", metavar="FILE", help="Read sudo's password from a file of mode 0600."),
]
SudoPasswordFd: TypeAlias = Annotated[
    int | None,
    typer.Option("--sudo-password-fd", metavar="N", min=0, help="Read sudo's password from this file descriptor."),
]


def overrides_of(
    fleet: Inventory,
    *,
    user: str | None = None,
    port: int | None = None,
    identity: str | None = None,
    jump: str | None = None,
    ssh_options: tuple[str, ...] = (),
    connect_timeout_ms: int | None = None,
) -> Overrides:
    """Read the flags; `--jump` may name hosts of the inventory. Raises UsageError."""
    from vigo.adapters.ssh_config_keywords import read_option
    from vigo.core.jumps import parse_jump

    if user is not None and (
        not user or user.startswith("-") or any(sign.isspace() or sign in "@:'\"" for sign in user)
    ):
        raise UsageError(f"--user: {user[:40]!r} is no user name; write one without blanks, quotes, : and @")
    if identity is not None and not identity:
        raise UsageError("--identity: names no file; write the path of a private key")
    return Overrides(
        user=user,
        port=port,
        identity=identity,
        jump=None if jump is None else parse_jump(jump, fleet.by_name),
        connect_timeout_ms=connect_timeout_ms,
        options=tuple(map(read_option, ssh_options)),
    )


@dataclass(frozen=True, slots=True)
class Wanted:
    """Where the secrets to log in with come from, as the flags say. It holds none."""

    ask_password: bool = False
    password_file: str | None = None
    password_fd: int | None = None
    ask_passphrase: bool = False
    passphrase_file: str | None = None
    ask_sudo_password: bool = False
    sudo_password_file: str | None = None
    sudo_password_fd: int | None = None

    @classmethod
    def of(cls, flags: object) -> Self:
        """Take them from all the flags of a command, which has them under the same names."""
        return cls(**{part.name: getattr(flags, part.name) for part in fields(cls)})

    @property
    def password(self) -> bool:
        """Whether a password is to be had."""
        return self.ask_password or self.password_file is not None or self.password_fd is not None

    @property
    def passphrase(self) -> bool:
        """Whether keys are to be unlocked."""
        return self.ask_passphrase or self.passphrase_file is not None

    @property
    def sudo_password(self) -> bool:
        """Whether a password for sudo is to be had."""
        return self.ask_sudo_password or self.sudo_password_file is not None or self.sudo_password_fd is not None

    @property
    def sudo_password_from(self) -> str | None:
        """Where that comes from, in one word; None where there is none."""
        if self.ask_sudo_password:
            return "asked"
        if self.sudo_password_file is not None:
            return "file"
        return None if self.sudo_password_fd is None else "fd"

    def check(self) -> None:
        """Raise UsageError where two places are named for one secret."""
        for places in (
            {
                "--ask-password": self.ask_password,
                "--password-file": self.password_file is not None,
                "--password-fd": self.password_fd is not None,
            },
            {"--ask-passphrase": self.ask_passphrase, "--passphrase-file": self.passphrase_file is not None},
            {
                "--ask-sudo-password": self.ask_sudo_password,
                "--sudo-password-file": self.sudo_password_file is not None,
                "--sudo-password-fd": self.sudo_password_fd is not None,
            },
        ):
            named = [flag for flag, is_given in places.items() if is_given]
            if len(named) > 1:
                raise UsageError(f"{named[0]} and {named[1]}: name two places for one secret; give one of them")
        if self.password_fd is not None and self.password_fd == self.sudo_password_fd:
            raise UsageError(
                f"--sudo-password-fd {self.sudo_password_fd}: is read to its end by --password-fd; hand over another one"
            )

    def again(self, reach: Reach) -> Self:
        """Return this, and a prompt for each secret that a recorded task was given and these flags say nothing of."""
        return replace(
            self,
            ask_password=self.ask_password or (reach.has_password and not self.password),
            ask_passphrase=self.ask_passphrase or (reach.has_passphrase and not self.passphrase),
            ask_sudo_password=self.ask_sudo_password or (reach.has_sudo_password and not self.sudo_password),
        )


@dataclass(frozen=True, slots=True)
class Reach:
    """The flags that say how hosts are reached, as typed: what a task keeps on record for its resume and its rerun."""

    user: str | None = None
    port: int | None = None
    identity: str | None = None
    jump: str | None = None
    ssh_options: tuple[str, ...] = ()
    ssh_config: str | None = None
    connect_timeout: str | None = None
    has_password: bool = False
    """Whether a password was asked for; no more than that is on record."""
    has_passphrase: bool = False
    """Likewise."""
    has_sudo_password: bool = False
    """Likewise."""

    @classmethod
    def recorded(cls, pairs: Iterable[tuple[str, str]]) -> Self:
        """Return what `record` told."""
        options: list[str] = []
        one: dict[str, str] = {}
        for name, value in pairs:
            if name == "ssh_option":
                options.append(value)
            else:
                one[name] = value
        port = one.pop("port", None)
        return cls(
            port=None if port is None else int(port),
            ssh_options=tuple(options),
            has_password=one.pop("password", None) is not None,
            has_passphrase=one.pop("passphrase", None) is not None,
            has_sudo_password=one.pop("sudo_password", None) is not None,
            **one,
        )

    def record(self) -> tuple[tuple[str, str], ...]:
        """Return the flags that were given, as names and texts."""
        one = {
            "user": self.user,
            "port": None if self.port is None else str(self.port),
            "identity": self.identity,
            "jump": self.jump,
            "ssh_config": self.ssh_config,
            "connect_timeout": self.connect_timeout,
            "password": ASKED if self.has_password else None,
            "passphrase": ASKED if self.has_passphrase else None,
            "sudo_password": ASKED if self.has_sudo_password else None,
        }
        given = tuple((name, value) for name, value in one.items() if value is not None)
        return (*given, *(("ssh_option", option) for option in self.ssh_options))

    def overrides(self, fleet: Inventory) -> Overrides:
        """Read the flags. Raises UsageError."""
        timeout = self.connect_timeout
        return overrides_of(
            fleet,
            user=self.user,
            port=self.port,
            identity=self.identity,
            jump=self.jump,
            ssh_options=self.ssh_options,
            connect_timeout_ms=None if timeout is None else parse_duration_ms(timeout, flag="--connect-timeout"),
        )
