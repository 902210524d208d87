"""Starting and ending the lab: the folder, the lock, the background process, and what must be gone afterwards."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from vigo.core.errors import ConfigError, VigoError
from vigo.lab.account import lab_account
from vigo.lab.control import ask
from vigo.lab.fleet import Member
from vigo.lab.places import make_ground
from vigo.lab.processes import end_all, marked
from vigo.lab.state import FLEET, LOCK, MARK, RunningLab, is_locked, read_json, running_lab, write_json

_PATIENCE_S = 10.0
_LOCK_TRIES = 10


def up(folder: Path, members: Sequence[Member], tasks_text: str) -> RunningLab:
    """Start a lab of `members` in `folder` and return it once it accepts connections.

    What a lab that died left in the folder is cleared away first. Raises ConfigError when the folder holds something
    else, VigoError when the server does not come up; then nothing is left behind. The caller has looked that no lab
    runs there; of two callers at once, one gets a VigoError.
    """
    _claim(folder)
    lock = _lock(folder)
    try:
        _clear(folder, keep=LOCK)
        _prepare(folder, members, tasks_text)
        _launch(folder, lock)
    except BaseException:
        _clear(folder)
        raise
    finally:
        os.close(lock)
    lab = running_lab(folder)
    if lab is None:
        raise VigoError(f"the lab in {folder} ended right after its start; run `vigo lab up` again")
    return lab


def down(folder: Path) -> bool:
    """End the lab in `folder`, everything it started, and the folder. Return False when there was none.

    Raises VigoError when a process of the lab cannot be ended.
    """
    if not (folder / MARK).exists():
        return False
    if is_locked(folder):
        _end_server(folder)
    _clear(folder)
    return True


def _claim(folder: Path) -> None:
    """Make the folder, or see that it is empty or a lab's own."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        strange = not (folder / MARK).exists() and any(entry.name != LOCK for entry in folder.iterdir())
    except OSError as error:
        raise ConfigError(
            f"{folder}: no lab can live there ({error.strerror}); set VIGO_LAB_DIR to another folder"
        ) from error
    if strange:
        raise ConfigError(f"{folder}: holds something that is not a lab's; set VIGO_LAB_DIR to a new or empty folder")
    folder.chmod(0o700)


def _lock(folder: Path) -> int:
    """Take the folder's lock for the server to inherit. A reader holds it for an instant at most."""
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    for attempt in range(_LOCK_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(0.01 * attempt)
        else:
            return descriptor
    os.close(descriptor)
    raise VigoError(f"another vigo is starting or running a lab in {folder}; see `vigo lab status`")


def _prepare(folder: Path, members: Sequence[Member], tasks_text: str) -> None:
    """Write what the server will read, and make the ground that the homes will stand on."""
    ground = make_ground(folder, lab_account())
    write_json(folder / MARK, {"ground": str(ground), "token": secrets.token_hex(8)})
    write_json(folder / FLEET, {"members": [[member.name, member.groups, dict(member.traits)] for member in members]})
    inventory = folder / "inventory"
    inventory.mkdir(mode=0o700)
    if tasks_text:
        (inventory / "tasks.yaml").write_text(tasks_text, encoding="utf-8")


def _launch(folder: Path, lock: int) -> None:
    """Run the starter, which returns when the server it left behind is ready."""
    own = str(Path(__file__).parents[2])  # the server runs this vigo, wherever Python would look for another
    path = os.pathsep.join(filter(None, [own, os.environ.get("PYTHONPATH")]))
    starter = subprocess.run(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-P", "-m", "vigo.lab.server", str(folder), str(lock)],
        env={**os.environ, "PYTHONPATH": path},
        pass_fds=[lock],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
    )
    if starter.returncode:
        reason = starter.stderr.strip().rsplit("\n", 1)[-1] or f"exit code {starter.returncode}"
        raise VigoError(f"the lab in {folder} did not start: {reason}")


def _end_server(folder: Path) -> None:
    """Ask the server to end; make it end if it does not."""
    try:
        ask(folder, {"do": "down"})
    except VigoError:
        _kill_server(folder)
    deadline = time.monotonic() + _PATIENCE_S
    while is_locked(folder):
        if time.monotonic() > deadline:
            _kill_server(folder)
            deadline += _PATIENCE_S
        time.sleep(0.01)


def _kill_server(folder: Path) -> None:
    """End a server that does not listen to reason. Its lock is held, so the pid it wrote down is still its own."""
    lab = running_lab(folder)
    if lab is not None:
        os.kill(lab.pid, signal.SIGKILL)
    elif is_locked(folder):
        raise VigoError(f"the lab in {folder} is still being started; try again")


def _clear(folder: Path, keep: str | None = None) -> None:
    """End what a lab left running and remove what it left lying. `folder` is a lab's: `_claim` or its mark said so."""
    left: set[int] = set()
    if (folder / MARK).exists():
        facts = read_json(folder / MARK)
        token = str(facts["token"])
        left = end_all(lambda: marked(token))
        shutil.rmtree(str(facts["ground"]), ignore_errors=True)
    for entry in list(folder.iterdir()):
        if entry.name != keep:
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    if keep is None:
        folder.rmdir()
    if left:
        raise VigoError(
            f"processes of the lab could not be ended: {', '.join(map(str, sorted(left)))}; end them yourself"
        )
