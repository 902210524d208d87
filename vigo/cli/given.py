"""What flags give a command beside its text: each file is read here, once, before anything connects."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from dataclasses import replace
from pathlib import Path

from vigo.cli.request import Request
from vigo.core import binding
from vigo.core.binding import Bound
from vigo.core.errors import UsageError
from vigo.core.given import (
    INPUT_BYTES_MAX,
    SCRIPT_BYTES_MAX,
    Given,
    Input,
    Script,
    changed,
    parse_env,
    parse_shell,
    read_interpreter,
)

_OWN = "-"


def given_of(request: Request) -> tuple[Given, bytes]:
    """Read the flags, and the bytes of the script or of the input. Raises UsageError."""
    shell = None if request.shell is None else parse_shell(request.shell)
    given = Given(parse_env(request.env), shell, has_terminal=request.pty)
    if request.script is not None:
        _check_script_flags(request)
        data = _script(request.script)
        return replace(given, script=_described(request.script, data, request.words)), data
    if request.stdin is None:
        return given, b""
    if request.pty:
        raise UsageError(
            "--pty: goes without --stdin, which a terminal would change; push a file and have it read there"
        )
    if request.stdin == _OWN and _OWN in request.target_files:
        raise UsageError("--stdin - and --target-file -: there is one standard input; write one of them to a file")
    data = _own() if request.stdin == _OWN else _read(request.stdin, "--stdin", INPUT_BYTES_MAX)
    source = "" if request.stdin == _OWN else str(Path(request.stdin).absolute())
    return replace(given, stdin=Input(request.stdin, source, len(data), _sha256(data))), data


def with_data(bound: Bound) -> Bound:
    """Give a command that comes from the journal the bytes of its script, or of its input.

    Raises UsageError when the file is gone or is another one: one task gives the same to all of its hosts.
    """
    script, stdin = bound.given.script, bound.given.stdin
    if script is not None:
        data = _script(script.source)
        _check_same(script.source, script.sha256, data, f"--script {script.local}")
        return binding.with_data(bound, data)
    if stdin is None:
        return bound
    if not stdin.source:
        raise UsageError(
            "--stdin -: the task's input came from standard input and is not kept; start a new task with it in a file:"
            " vigo task run COMMAND --stdin FILE --target run:ID:OUTCOME"
        )
    data = _read(stdin.source, "--stdin", INPUT_BYTES_MAX)
    _check_same(stdin.source, stdin.sha256, data, f"COMMAND --stdin {stdin.local}")
    return binding.with_data(bound, data)


def _check_script_flags(request: Request) -> None:
    for flag, value, way_out in (
        ("--stdin", request.stdin, "have the script read a file that was pushed"),
        ("--shell", request.shell, "say it in the script's first line"),
        ("--as", request.as_kind, "the words are the script's arguments"),
        ("--param", request.params, "the words are the script's arguments"),
    ):
        if value:
            raise UsageError(f"{flag}: goes with a command and not with --script; {way_out}")


def _described(name: str, data: bytes, args: tuple[str, ...]) -> Script:
    return Script(name, str(Path(name).absolute()), len(data), _sha256(data), read_interpreter(name, data), tuple(args))


def _check_same(source: str, then: str, data: bytes, flags: str) -> None:
    now = _sha256(data)
    if now != then:
        raise UsageError(
            f"{changed(f'{source}: is not the file that the task was given', then, now)}; put that one back, or start a new"
            f" task with this one: vigo task run {flags} --target run:ID:OUTCOME"
        )


def _script(name: str) -> bytes:
    try:
        found = Path(name).stat()
    except OSError as error:
        raise _unreadable("--script", name, error) from error
    if not stat.S_ISREG(found.st_mode):
        raise UsageError(f"--script {name}: is no plain file; write the script into one")
    return _read(name, "--script", SCRIPT_BYTES_MAX)


def _read(name: str, flag: str, most: int) -> bytes:
    try:
        with Path(name).open("rb") as file:
            return _bounded(file.read(most + 1), f"{flag} {name}", most)
    except OSError as error:
        raise _unreadable(flag, name, error) from error


def _own() -> bytes:
    """Read vigo's own standard input to its end."""
    if os.isatty(sys.stdin.fileno()):
        raise UsageError("--stdin -: standard input is the terminal; name a file, or use a pipe")
    return _bounded(sys.stdin.buffer.read(INPUT_BYTES_MAX + 1), "--stdin -", INPUT_BYTES_MAX)


def _bounded(data: bytes, whose: str, most: int) -> bytes:
    if len(data) > most:
        raise UsageError(f"{whose}: has more than {most:,} bytes; bring it to the hosts with: vigo task push")
    return data


def _unreadable(flag: str, name: str, error: OSError) -> UsageError:
    return UsageError(f"{flag} {name}: cannot be read: {error.strerror}; name a file that you can read")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
