"""Where the lab lies and whether it runs. Read by every vigo command, so it imports neither asyncio nor asyncssh.

A lab is one folder. While its server lives, the server holds an exclusive lock on the file `lock` in it: the kernel
lets go of that lock however the server ends, so a dead lab is never taken for a living one.
"""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import TypeAlias, cast

from vigo.core.errors import ConfigError
from vigo.core.values import dataclass

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"

MARK = "vigo-lab.json"
"""The file that makes a folder a lab's: nothing without it is ever removed."""
RUNNING = "running.json"
LOCK = "lock"
SOCKET = "control.sock"
LOG = "server.log"
FLEET = "fleet.json"


@dataclass(frozen=True, slots=True)
class Port:
    """Where one host of the running lab listens."""

    name: str
    port: int


@dataclass(frozen=True, slots=True)
class RunningLab:
    """What a running lab wrote about itself when it was ready."""

    folder: Path
    pid: int
    runs_as: str
    """Login name under which commands run on this machine."""
    health_url: str
    hosts: tuple[Port, ...]

    @property
    def inventory(self) -> Path:
        """The folder to give to `--inventory`; `-i lab` stands for it."""
        return self.folder / "inventory"


def lab_folder() -> Path:
    """Return the lab's folder: `VIGO_LAB_DIR`, else `lab` in vigo's state folder. It need not exist.

    Raises ConfigError when neither HOME nor an override says where it is.
    """
    own, state = os.environ.get("VIGO_LAB_DIR"), os.environ.get("VIGO_STATE_DIR")
    if own:
        return Path(own).absolute()
    if state:
        return Path(state).absolute() / "lab"
    # The XDG specification has relative paths ignored; a relative HOME would move with the working directory, too.
    xdg, home = Path(os.environ.get("XDG_STATE_HOME", "")), Path(os.environ.get("HOME", ""))
    if xdg.is_absolute():
        return xdg / "vigo" / "lab"
    if home.is_absolute():
        return home / ".local" / "state" / "vigo" / "lab"
    raise ConfigError("no folder for the lab: HOME is not set to an absolute path; set HOME or VIGO_LAB_DIR")


def is_locked(folder: Path) -> bool:
    """Say whether a live process holds the folder's lock."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def running_lab(folder: Path | None = None) -> RunningLab | None:
    """Return the lab that runs in `folder` (default: `lab_folder()`), or None if none does or it is not ready yet."""
    folder = folder or lab_folder()
    path = folder / RUNNING
    if not path.exists() or not is_locked(folder):
        return None
    facts = read_json(path)
    try:
        return _running(folder, facts)
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, "something in it is not as the lab wrote it") from error


def _running(folder: Path, facts: dict[str, Json]) -> RunningLab:
    hosts = cast("list[tuple[str, int]]", facts["hosts"])
    return RunningLab(
        folder=folder,
        pid=int(str(facts["pid"])),
        runs_as=str(facts["runs_as"]),
        health_url=str(facts["health_url"]),
        hosts=tuple(Port(str(name), int(port)) for name, port in hosts),
    )


def running_inventory() -> Path | None:
    """Return the inventory folder of the running lab, or None: what `-i lab` and the last fallback stand for."""
    try:
        lab = running_lab()
    except ConfigError:
        return None  # no home, or a damaged lab: either way none that could be used
    return lab.inventory if lab else None


def read_json(path: Path) -> dict[str, Json]:
    """Read one of the lab's own files. Raises ConfigError when it is damaged."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(path, str(error)) from error
    if not isinstance(facts, dict):
        raise _damaged(path, "it holds no map")
    return cast("dict[str, Json]", facts)


def _damaged(path: Path, reason: str) -> ConfigError:
    return ConfigError(f"{path}: is not what the lab wrote there ({reason}); run `vigo lab down` or remove its folder")


def write_json(path: Path, facts: object) -> None:
    """Write one of the lab's own files so that a reader sees all of it or nothing."""
    draft = path.with_name(path.name + ".draft")
    draft.write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")
    draft.replace(path)
