"""Where the program begins and ends: errors become messages and exit codes, and no traceback reaches an operator.

Even the imports happen inside `main`, so that a Ctrl-C during the first tenth of a second is an interrupt like any other.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vigo.cli.console import Console

_EX_SOFTWARE = 70
_INTERRUPTED = 130


def main() -> None:
    """Run the program on `sys.argv` and exit with the documented code."""
    try:
        from vigo.cli.console import Console

        console = Console.of_process()
        code = _run(console)
        _flush(console)
    except KeyboardInterrupt:
        code = _INTERRUPTED
    sys.exit(code)


def _flush(console: Console) -> None:
    try:
        console.out.flush()
    except BrokenPipeError:  # the reader has gone; Python would complain about it once more at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(console: Console) -> int:
    import typer
    from typer._click.exceptions import ClickException  # typer has no public name for what its parser raises

    from vigo.cli.app import app
    from vigo.core.errors import VigoError

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
        return _INTERRUPTED
    except BrokenPipeError:
        return 0  # who reads no further has what they wanted
    except Exception as error:
        if os.environ.get("VIGO_DEBUG"):
            raise
        console.say(f"error: internal: {error!r}; run again with VIGO_DEBUG=1 and report what it prints")
        return _EX_SOFTWARE
    return int(code or 0)
