"""Finds and reads the two configuration files: a project's `vigo.yaml` and the user's `config.yaml`.

A file that somebody else could have written is refused, not passed over: it would decide how hosts are reached.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from vigo.core.errors import ConfigError
from vigo.core.nodes import MapNode

PROJECT: Final = "vigo.yaml"
USER: Final = "config.yaml"
BYTES_MAX: Final = 64 * 1024


def project_file(start: Path, home: Path | None) -> Path | None:
    """Return the first `vigo.yaml` from `start` upwards; a folder with `.git`, and the home, are the last to be asked."""
    for folder in (start, *start.parents):
        if os.path.lexists(folder / PROJECT):
            return folder / PROJECT
        if folder == home or (folder / ".git").exists():
            return None
    return None


def read_config(path: Path) -> MapNode | None:
    """Return what the file says, or None when it is not there. Raises ConfigError when it cannot be used or trusted."""
    try:
        content = _read(path)
    except FileNotFoundError:
        if path.is_symlink():
            raise ConfigError(f"{path}: points to a file that is not there; mend the link or remove it") from None
        return None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}; make it readable, or remove it") from error
    from vigo.adapters.inventory_yaml import parse  # noqa: PLC0415 - without a file there is nothing to parse

    return parse(content, str(path), begin="fanout:")


def _read(path: Path) -> bytes:
    with open(path, "rb", opener=_open_at_once) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError(f"{path}: is not a regular file; write the configuration into one")
        _trust(path, status, f"look through it, then run chmod o-w {path}")
        _trust(
            path.parent, path.parent.stat(), f"move {path.name} into a folder of your own, or run chmod o-w on this one"
        )
        content = file.read(BYTES_MAX + 1)
    if len(content) > BYTES_MAX:
        raise ConfigError(f"{path}: is larger than {BYTES_MAX // 1024} KiB; shorten it")
    return content


def _trust(path: Path, status: os.stat_result, way_out: str) -> None:
    """Raise ConfigError where somebody else than the user and root can write."""
    if status.st_uid not in {0, os.geteuid()}:
        raise ConfigError(
            f"{path}: belongs to uid {status.st_uid}, vigo runs as uid {os.geteuid()}; "
            "work in a folder of your own, or copy the file there"
        )
    if status.st_mode & stat.S_IWOTH:
        raise ConfigError(f"{path}: can be written by everybody (mode {stat.S_IMODE(status.st_mode):04o}); {way_out}")


def _open_at_once(path: str, flags: int) -> int:
    """Open without waiting for the other end of a pipe."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)
