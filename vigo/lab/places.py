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
    """Make the ground that the homes will stand on, and the stand-ins that they share.

    It is in the lab's own folder, or, when root started the lab, where the lab's user can reach it.
    """
    if account.drops:
        ground = Path(tempfile.mkdtemp(prefix="vigo-lab-", dir=_reachable()))
    else:
        ground = folder / "ground"
        ground.mkdir()
    ground.chmod(0o711)
    tools, homes = ground / "bin", ground / "homes"
    tools.mkdir()
    tools.chmod(0o755)
    for source in _STAND_INS.iterdir():
        if not source.name.startswith(("_", ".")):
            target = tools / source.name
            shutil.copyfile(source, target)
            target.chmod(0o755)
    homes.mkdir(mode=0o700)
    if account.drops:
        os.chown(homes, account.uid, account.gid)
    return ground


def homes_of(ground: Path, names: Sequence[str]) -> list[Path]:
    """Return the home of each host: called as the host is, or numbered where that would not do as a file name."""
    return [
        ground / "homes" / (name if _PLAIN.fullmatch(name) else f".host-{position}")
        for position, name in enumerate(names, 1)
    ]


def make_home(home: str) -> None:
    """Make a host's home if it is not there. Done for its first command: of ten thousand hosts most may get none."""
    if not os.path.isdir(home):  # noqa: PTH112 - once a command: a Path would cost more than the look
        os.mkdir(home, 0o700)  # noqa: PTH102 - likewise
        os.symlink("../../bin", f"{home}/bin")  # noqa: PTH211 - likewise


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
