"""The flags that say how hosts are reached, and what they make of it."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

from vigo.core.errors import UsageError
from vigo.core.inventory import Inventory
from vigo.core.jumps import parse_jump
from vigo.core.model import Overrides

User: TypeAlias = Annotated[str | None, typer.Option("--user", metavar="NAME", help="Log in as this user.")]
Port: TypeAlias = Annotated[int | None, typer.Option("--port", min=1, max=65_535, help="Connect to this port.")]
Identity: TypeAlias = Annotated[
    str | None, typer.Option("--identity", metavar="FILE", help="Log in with this private key.")
]
Jump: TypeAlias = Annotated[
    str | None,
    typer.Option("--jump", metavar="HOST,…|none", help="Go through these hosts: [user@]host[:port], nearest first."),
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
