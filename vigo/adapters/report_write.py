"""Puts a report in its place: whole or not at all, readable for its owner alone, as the journal is."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from vigo.core.errors import ConfigError, UsageError

_MODE = 0o600


def write_report(path: Path, text: str) -> None:
    """Write the file, over an older one if there is one; what it shows may be secret, so its mode is 0600.

    Raises UsageError for a place that is no file's, ConfigError when it cannot be written.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise UsageError(f"--html: {path} is not a regular file; name one, or - for standard output")
    beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        try:
            _write(beside, text)
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"--html: {path} cannot be written: {error.strerror}; name another file") from error


def _write(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
