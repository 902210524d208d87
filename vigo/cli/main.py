"""The program: one tree of commands, and one place where errors become messages and exit codes."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer
from typer._click.exceptions import ClickException  # typer has no public name for what its parser raises

from vigo import __version__
from vigo.cli import audit, inventory, lab, task
from vigo.cli.console import Console
from vigo.core.errors import Exit, VigoError

_EX_SOFTWARE = 70

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


def main() -> None:
    """Run the program on `sys.argv` and exit with the documented code."""
    console = Console.of_process()
    code = _run(console)
    try:
        console.out.flush()
    except BrokenPipeError:  # the reader has gone; Python would complain about it once more at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def _run(console: Console) -> int:
    try:
        code = typer.main.get_command(app).main(standalone_mode=False)
    except VigoError as error:
        console.say_lines(f"error: {error}")
        return error.exit_code
    except ClickException as error:
        error.show(file=console.err)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        console.say("interrupted")
        return Exit.INTERRUPTED
    except BrokenPipeError:
        return Exit.OK
    except Exception as error:
        if os.environ.get("VIGO_DEBUG"):
            raise
        console.say(f"error: internal: {error!r}; run again with VIGO_DEBUG=1 and report what it prints")
        return _EX_SOFTWARE
    return int(code or Exit.OK)
