"""Reads what is imported: regular files and standard input, bounded; and JSON, with numbers kept as they are written."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path
from typing import Any, Final

from vigo.core.errors import ConfigError
from vigo.core.imports.document import path_mark
from vigo.core.nodes import wrong

BYTES_MAX: Final = 16 * 1024 * 1024
STDIN: Final = "-"
STDIN_NAME: Final = "standard input"


def read_text(path: Path) -> str:
    """Return a regular file's text. Raises ConfigError when it cannot be read, is no UTF-8, or larger than 16 MiB."""
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ConfigError(f"{path}: is not a regular file; write what it holds into one, or use - for a pipe")
            content = file.read(BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    return decode(content, str(path))


def read_stdin() -> str:
    """Return the text on standard input. Raises ConfigError as `read_text` does, and for a terminal."""
    if sys.stdin.isatty():
        raise ConfigError("standard input: is a terminal; give a file, or a pipe")
    try:
        return decode(sys.stdin.buffer.read(BYTES_MAX + 1), STDIN_NAME)
    except OSError as error:
        raise ConfigError(f"standard input: cannot be read: {error.strerror}; give a file, or a pipe") from error


def decode(content: bytes, source: str) -> str:
    """Return the text of a source. Raises ConfigError for more than 16 MiB, and for what is no UTF-8."""
    if len(content) > BYTES_MAX:
        raise ConfigError(f"{source}: is larger than {BYTES_MAX // 1024**2} MiB; split it")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{source}:{line}: byte 0x{content[error.start]:02x} is not UTF-8; save it as UTF-8"
        ) from error


def read_json(text: str, source: str) -> object:
    """Return the value of a JSON text; numbers that are not whole are text, as they are written.

    Raises ConfigError for what is no JSON, and for an object that has a key twice.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice = next(key for at, (key, _) in enumerate(pairs) if key in dict(pairs[:at]))
            raise wrong(path_mark(source), twice, "stands twice in one object", "remove one")
        return found

    try:
        value: object = json.loads(text, parse_float=str, parse_constant=str, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{source}:{error.lineno}:{error.colno}: JSON: {error.msg}; give the whole output") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{source}: JSON: is nested too deeply, or holds too long a number; simplify it") from error
    return value


def unreadable(path: Path, error: Exception) -> ConfigError:
    """Return the error for a path that the system does not let us read."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return ConfigError(f"{path}: cannot be read: {reason}; name a file that can")


def _open_at_once(path: str, flags: int) -> int:
    """Open without waiting for the other end of a pipe."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)
