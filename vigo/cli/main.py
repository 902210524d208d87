"""Where the program begins and ends: errors become messages and exit codes, and no traceback reaches an operator.

Even the imports happen inside `main`, so that a Ctrl-C during the first tenth of a second is an interrupt like any other.
"""

from __future__ import annotations

import errno
import gc
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from typer._click.exceptions import ClickException

    from vigo.cli.console import Console

_EX_SOFTWARE = 70
_EX_IOERR = 74
_INTERRUPTED = 130
_COMPLETE = "--complete"
"""What a shell asks with at each press of a key: typer is not loaded for that."""
_VERSION = "--version"
"""What scripts ask, alone: nor for that."""
_YOUNG_MAX = 500_000
"""Objects made before the garbage collector looks at them. At its default of 700 it would walk all that is imported, which
stays, hundreds of times before anything runs."""
_UNWRITABLE = frozenset({errno.EPIPE, errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EFBIG})


def main() -> None:
    """Run the program on `sys.argv` and exit with the documented code."""
    gc.set_threshold(_YOUNG_MAX)
    try:
        if sys.argv[1:2] == [_COMPLETE]:
            from vigo.cli.completing import complete

            sys.exit(complete(sys.argv[2:]))
        from vigo.cli.console import Console

        console = Console.of_process()
        code = _run(console)
        code = _flush(console) or code
        _flush_errors(console)
    except KeyboardInterrupt:
        code = _INTERRUPTED
    sys.exit(code)


def _flush(console: Console) -> int:
    """Write out what is still held back, and return the exit code for what could not be."""
    try:
        console.out.flush()
    except OSError as error:
        _discard(sys.stdout)  # or Python would complain once more at exit
        return _unwritten(error, console)
    return 0


def _flush_errors(console: Console) -> None:
    """Write out what is held back of standard error; one that has gone changes no exit code."""
    try:
        console.err.flush()
    except OSError:
        _discard(sys.stderr)  # or Python would exit with 120


def _discard(stream: TextIO) -> None:
    """Let what the stream still holds back go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _unwritten(error: OSError, console: Console) -> int:
    if isinstance(error, BrokenPipeError):
        return 0  # who reads no further has what they wanted
    console.say(f"error: standard output cannot be written: {error.strerror}; what was done is in the journal")
    return _EX_IOERR


def _run(console: Console) -> int:
    if sys.argv[1:] == [_VERSION]:
        from vigo import __version__

        console.show(f"vigo {__version__}\n")
        return 0
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
        return _misused(error, console)
    except (KeyboardInterrupt, typer.Abort):
        console.say("interrupted")
        return _INTERRUPTED
    except Exception as error:
        if isinstance(error, OSError) and error.filename is None and error.errno in _UNWRITABLE:
            return _unwritten(error, console)
        if os.environ.get("VIGO_DEBUG"):
            raise
        console.say(f"error: internal: {error!r}; run again with VIGO_DEBUG=1 and report what it prints")
        return _EX_SOFTWARE
    return int(code or 0)


def _misused(error: ClickException, console: Console) -> int:
    from vigo.cli.misuse import is_help, said

    if is_help(error):
        error.show(file=console.err)
    else:
        console.say(f"error: {said(error)}")
    return error.exit_code
