"""The scratch homes of the lab's hosts, and the stand-ins that are first in their PATH."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from vigo.lab.account import Account

EXAMPLE_FLEET = Path(__file__).parent / "fleet"
"""The example inventory that ships with vigo: a folder like any other."""

_STAND_INS = Path(__file__).parent / "bin"
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}", re.ASCII)
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def make_ground(folder: Path, account: Account) -> Path:
    """Make the folder that will hold the homes: in the lab's own, or where `nobody` can reach it when root started it."""
    if not account.drops:
        ground = folder / "homes"
        ground.mkdir(mode=0o711)
        return ground
    ground = Path(tempfile.mkdtemp(prefix="vigo-lab-", dir=_reachable()))
    ground.chmod(0o711)
    return ground


def make_homes(ground: Path, names: Sequence[str], account: Account) -> None:
    """Make one home a host, owned by the lab's user; they share one folder of stand-ins."""
    tools = ground / ".bin"
    tools.mkdir()
    for source in _STAND_INS.iterdir():
        if not source.name.startswith(("_", ".")):
            target = tools / source.name
            shutil.copyfile(source, target)
            target.chmod(0o755)
    tools.chmod(0o755)
    for home in homes(ground, names):
        home.mkdir(mode=0o700)
        (home / "bin").symlink_to("../.bin")
        if account.drops:
            os.chown(home, account.uid, account.gid)


def homes(ground: Path, names: Sequence[str]) -> list[Path]:
    """Return the home of each host: called as the host is, or numbered where that would not do as a file name."""
    return [
        ground / (name if _PLAIN.fullmatch(name) else f".host-{position}") for position, name in enumerate(names, 1)
    ]


def environment(home: Path, name: str, account: Account, mark: tuple[str, str]) -> dict[str, str]:
    """Say what a command on the host `name` finds in its environment."""
    return {
        "HOME": str(home),
        "PATH": f"{home}/bin:{_SYSTEM_PATH}",
        "USER": account.name,
        "LOGNAME": account.name,
        "SHELL": "/bin/sh",
        "LANG": "C.UTF-8",
        "VIGO_LAB_HOST": name,
        mark[0]: mark[1],
    }


def _reachable() -> str | None:
    """Return a folder for temporary files that every user can enter; None leaves the choice to `tempfile`."""
    for candidate in (tempfile.gettempdir(), "/tmp", "/var/tmp"):  # noqa: S108 - mkdtemp makes a private folder in it
        chain = [Path(candidate).resolve(), *Path(candidate).resolve().parents]
        if all(path.is_dir() and path.stat().st_mode & 0o001 for path in chain):
            return candidate
    return None
