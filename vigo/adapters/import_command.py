"""Runs a program that prints JSON: without a shell, without input, bounded in time and bytes.

What the program says on standard error goes on to the operator's own; a program that is stopped is stopped with all
that it started.
"""

from __future__ import annotations

import os
import selectors
import shlex
import signal
import subprocess
import time
from contextlib import suppress
from typing import Final

from vigo.adapters.import_files import BYTES_MAX, decode, read_json
from vigo.core.errors import ConfigError, UsageError
from vigo.core.imports.document import Imported
from vigo.core.imports.mapping import Field, Mapped, convert
from vigo.core.nodes import shown

DEADLINE_S: Final = 60
_CHUNK_BYTES: Final = 65_536


def import_command(command: str, where: Field, mapped: Mapped, *, deadline_s: float = DEADLINE_S) -> Imported:
    """Return the hosts in what a program prints. Raises UsageError for no program, ConfigError for what it prints."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"command: {shown(command)!r}: has quotes that do not end; close them") from error
    if not words:
        raise UsageError("command: is empty; write a program and its arguments")
    source = shown(words[0])
    return convert(read_json(_output(words, source, deadline_s), source), where, mapped, source)


def _output(words: list[str], source: str, deadline_s: float) -> str:
    try:
        process = subprocess.Popen(  # noqa: S603 - the operator's own words, no shell
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"{source}: cannot be started: {reason}; name a program that can") from error
    try:
        content = _read(process, source, deadline_s)
    finally:
        _end(process)
    if process.returncode:
        ended = f"exit {process.returncode}" if process.returncode > 0 else f"signal {-process.returncode}"
        raise ConfigError(f"{source}: ended with {ended}; mend what it says above, then import again")
    return decode(content, source)


def _read(process: subprocess.Popen[bytes], source: str, deadline_s: float) -> bytes:
    """Return all that the program prints, and wait for its end. Raises ConfigError at a bound."""
    assert process.stdout is not None  # noqa: S101 - it was asked for
    ends_at = time.monotonic() + deadline_s
    late = ConfigError(f"{source}: did not end within {deadline_s:g} s; give it less to do, or import a file")
    content = bytearray()
    with selectors.DefaultSelector() as selector, process.stdout as pipe:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            if not selector.select(max(0.0, ends_at - time.monotonic())):
                raise late
            chunk = os.read(pipe.fileno(), _CHUNK_BYTES)
            if not chunk:
                break
            content += chunk
            if len(content) > BYTES_MAX:
                raise ConfigError(f"{source}: prints more than {BYTES_MAX // 1024**2} MiB; have it print less")
    try:
        process.wait(max(0.0, ends_at - time.monotonic()))
    except subprocess.TimeoutExpired as error:
        raise late from error
    return bytes(content)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the program, its children too: it leads a session of its own."""
    if process.returncode is None:  # until it was waited for, its number is nobody else's
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
