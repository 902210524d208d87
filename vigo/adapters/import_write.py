"""Writes an imported inventory to a file: whole or not at all, and over nothing unless that was asked for."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from pathlib import Path
from typing import Final

from vigo.core.errors import ConfigError, UsageError

_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


def write_file(path: Path, text: str, *, replace: bool) -> None:
    """Write a file. Raises UsageError where there is one and it is not to be replaced; ConfigError if it cannot be."""
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise UsageError(f"--write: {path} is not a regular file; name one, or leave --write out")
    if target.exists() and not replace:
        raise _taken(path)
    beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        try:
            _write(beside, text, target)
            if replace:
                beside.replace(target)
            else:
                _put(beside, target)
        finally:
            beside.unlink(missing_ok=True)
    except FileExistsError as error:
        raise _taken(path) from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}; name another file") from error


def _write(beside: Path, text: str, target: Path) -> None:
    """Write a new file and sync it; it gets the mode of the one that it replaces."""
    with beside.open("x", encoding="utf-8") as file:
        if target.exists():
            os.fchmod(file.fileno(), stat.S_IMODE(target.stat().st_mode))
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _put(beside: Path, target: Path) -> None:
    """Give a file its name unless another one has it by now."""
    try:
        os.link(beside, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if target.exists():
            raise FileExistsError(errno.EEXIST, "is there", str(target)) from error
        beside.replace(target)


def _taken(path: Path) -> UsageError:
    return UsageError(f"--write: {path} is there; add --replace, or name another file")
