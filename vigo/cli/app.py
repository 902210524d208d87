"""The tree of commands. A group's module is imported when one of its commands was asked for, and not before."""

from __future__ import annotations

from copy import copy
from importlib import import_module
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_command_name, get_group_from_info
from typer.models import CommandInfo, TyperInfo

from vigo import __version__
from vigo.cli.examples import examples

if TYPE_CHECKING:
    from typer._click import Command, Context

_GROUPS = {
    "task": "Run a command or a named task on hosts; look at runs.",
    "inventory": "See which hosts there are, and check the files that name them.",
    "keys": "See and record the keys that hosts show, and forget them.",
    "traits": "Ask hosts what they are; look at what is known of them.",
    "guard": "Ask the guards about a command, and see their rules.",
    "audit": "Check the journal and look things up in it.",
    "config": "See what stands in for flags that are not given.",
    "lab": "A fleet to try things on: real SSH servers on this machine.",
}
"""Name of a group, which is also its module here -> its line in the help."""

_COMMANDS = {
    "query": ("traits", "query_app", "Show the value that hosts have for a trait, or count them by value."),
    "completion": ("completion", "app", "Print a script that teaches bash, zsh or fish to complete."),
    "doctor": ("doctor", "app", "Check this machine, or one host step by step from its name to sudo."),
}
"""Name of a command of its own -> its module here, its app in it, its line in the help."""


_UNCONFIGURED = frozenset({"completion", "config", "lab"})
"""What works whatever is configured: `config` tells what is wrong with it."""


class LazyGroup(TyperGroup):
    """Shows its groups from the table above, and loads the one that was asked for."""

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, Command | None, list[str]]:
        """Find the command for the next word and load its module."""
        name, command, rest = super().resolve_command(ctx, args)
        if name in _GROUPS:
            group = TyperInfo(_narrowed(import_module(f"vigo.cli.{name}").app, rest[:1]), name=name)
            command = get_group_from_info(
                group, pretty_exceptions_short=False, rich_markup_mode=None, suggest_commands=True
            )
        if name in _COMMANDS:
            module, own, _ = _COMMANDS[name]
            command = get_command(getattr(import_module(f"vigo.cli.{module}"), own))
        if (
            name
            and command
            and name not in _UNCONFIGURED
            and not {"-h", "--help"} & set(rest[: rest.index("--")] if "--" in rest else rest)
            and not ctx.resilient_parsing
        ):
            from vigo.cli.settings import defaults_for

            ctx.default_map = {name: defaults_for(command)}
        return name, command, rest


def _narrowed(group: typer.Typer, words: list[str]) -> typer.Typer:
    """Return the group with the one command that was asked for, where it has it: of the others no flag need be read."""
    asked = [each for each in group.registered_commands if each.callback and [name_of(each)] == words]
    if not asked:
        return group
    narrow = copy(group)
    narrow.registered_commands = asked
    return narrow


def name_of(command: CommandInfo) -> str:
    """Return the word by which a command is called."""
    return command.name or get_command_name(getattr(command.callback, "__name__", ""))


app = typer.Typer(
    name="vigo",
    cls=LazyGroup,
    help="Run commands on a fleet over SSH: planned, guarded, gated on health, written down.",
    epilog=examples(""),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _name, _help in _GROUPS.items():
    app.add_typer(typer.Typer(help=_help), name=_name)
for _name, (_, _, _help) in _COMMANDS.items():
    app.add_typer(typer.Typer(help=_help), name=_name)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"vigo {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Run commands on a fleet over SSH: planned, guarded, gated on health, written down."""
