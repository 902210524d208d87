"""Reads the site's policy file from the user's config folder, as strictly as an inventory.

A file that others could have changed is refused, and so is one that cannot be read: only a file that is not there
means that there is no policy.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from vigo.adapters.inventory_yaml import parse
from vigo.core.errors import ConfigError
from vigo.core.policy import SitePolicy, read_policy

NAME: Final = "policy.yaml"
BYTES_MAX: Final = 1024 * 1024


def load_policy(folder: Path) -> SitePolicy:
    """Return the policy in `folder`/policy.yaml, an empty one when there is no such file.

    Raises ConfigError, with file, line and column, for anything that is not exactly a policy.
    """
    path = folder / NAME
    other = path.with_suffix(".yml")
    try:
        if other.exists():
            raise ConfigError(f"{other}: is not read under this name; call it {NAME}")
        content = _read(path)
    except FileNotFoundError:
        if path.is_symlink():
            raise ConfigError(f"{path}: points to a file that is not there; mend the link or remove it") from None
        return SitePolicy()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}; make it readable, or remove it") from error
    return read_policy(parse(content, str(path), begin="patterns:"), NAME)


def _read(path: Path) -> bytes:
    """Return the bytes of a regular file that only its owner can write. Raises ConfigError, OSError."""
    with open(path, "rb", opener=_open_at_once) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError(f"{path}: is not a regular file; write the policy into one")
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise ConfigError(
                f"{path}: can be written by others (mode {stat.S_IMODE(status.st_mode):04o}); "
                "look through it, then run chmod go-w on it"
            )
        content = file.read(BYTES_MAX + 1)
    if len(content) > BYTES_MAX:
        raise ConfigError(f"{path}: is larger than {BYTES_MAX // 1024**2} MiB; shorten it")
    return content


def _open_at_once(path: str, flags: int) -> int:
    """Open without waiting for the other end of a pipe."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)
