"""Where vigo keeps what is the user's own: data, configuration, cache and state.

The XDG base directories, each of which `VIGO_DATA_DIR`, `VIGO_CONFIG_DIR`, `VIGO_CACHE_DIR` or `VIGO_STATE_DIR`
overrides. Nothing is created here.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from vigo.core.errors import ConfigError, JournalError, VigoError


def data_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of the journal. Raises JournalError when neither HOME nor an override says where it is."""
    return _place(environ, "DATA", ".local/share", JournalError)


def config_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of inventory, policy and the like. Raises ConfigError when nothing says where it is."""
    return _place(environ, "CONFIG", ".config", ConfigError)


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of what can be made again. Raises ConfigError when nothing says where it is."""
    return _place(environ, "CACHE", ".cache", ConfigError)


def state_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of what lasts but is not worth a backup. Raises ConfigError when nothing says where it is."""
    return _place(environ, "STATE", ".local/state", ConfigError)


def traits_file(data: Path, inventory: Path) -> Path:
    """Return where the gathered traits of an inventory are kept, in the data folder, whether they are or not."""
    return data / "traits" / f"{hashlib.sha256(os.fsencode(inventory.resolve())).hexdigest()[:32]}.jsonl"


def _place(environ: Mapping[str, str], noun: str, below_home: str, error: type[VigoError]) -> Path:
    own = environ.get(f"VIGO_{noun}_DIR")
    if own:
        return Path(own).absolute()
    # The XDG specification has relative paths ignored; a relative HOME would move with the working directory, too.
    xdg = Path(environ.get(f"XDG_{noun}_HOME", ""))
    if xdg.is_absolute():
        return xdg / "vigo"
    home = Path(environ.get("HOME", ""))
    if home.is_absolute():
        return home / below_home / "vigo"
    raise error(f"no {noun.lower()} folder: HOME is not set to an absolute path; set HOME or VIGO_{noun}_DIR")
