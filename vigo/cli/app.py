"""The tree of commands. Each module here declares flags; what they need is imported when a command runs."""

from __future__ import annotations

from typing import Annotated

import typer

from vigo import __version__
from vigo.cli import audit, inventory, lab, task

app = typer.Typer(
    name="vigo",
    help="Run commands on a fleet over SSH: planned, guarded, gated on health, written down.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(task.app, name="task")
app.add_typer(inventory.app, name="inventory")
app.add_typer(audit.app, name="audit")
app.add_typer(lab.app, name="lab")


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
