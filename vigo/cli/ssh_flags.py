"""The flags that say how hosts are reached, and what they make of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Self, TypeAlias

import typer

from vigo.core.errors import UsageError
from vigo.core.inventory import Inventory
from vigo.core.jumps import parse_jump
from vigo.core.model import Overrides
from vigo.core.quantity import parse_duration_ms

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
class Reach:
    """The flags that say how hosts are reached, as typed: what a task keeps on record for its resume and its rerun."""

    user: str | None = None
    port: int | None = None
    identity: str | None = None
    jump: str | None = None
    ssh_options: tuple[str, ...] = ()
    ssh_config: str | None = None
    connect_timeout: str | None = None

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
        return cls(port=None if port is None else int(port), ssh_options=tuple(options), **one)

    def record(self) -> tuple[tuple[str, str], ...]:
        """Return the flags that were given, as names and texts."""
        one = {
            "user": self.user,
            "port": None if self.port is None else str(self.port),
            "identity": self.identity,
            "jump": self.jump,
            "ssh_config": self.ssh_config,
            "connect_timeout": self.connect_timeout,
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
