"""Finding and ending what the lab started, however far a command detached itself."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

MARK_VARIABLE = "VIGO_LAB"
"""In the environment of every command of a lab; its value is the lab's own token."""

_PR_SET_CHILD_SUBREAPER = 36
_GRACE_S = 1.0
_PATIENCE_S = 5.0


def adopt_orphans() -> None:
    """Become the parent of whatever this process's descendants leave behind (Linux), so that it can be found later."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants(pid: int) -> set[int]:
    """Return the pids of all live processes below `pid`, itself not included."""
    children: dict[int, list[int]] = {}
    for child, parent in _parents().items():
        children.setdefault(parent, []).append(child)
    found: set[int] = set()
    front = [pid]
    while front:
        below = children.get(front.pop(), [])
        found.update(below)
        front.extend(below)
    return found


def marked(token: str) -> set[int]:
    """Return the pids of live processes that carry the lab's token; nothing where the system does not tell (not Linux)."""
    needle = f"{MARK_VARIABLE}={token}".encode()
    found = set()
    for entry in _numbered_entries():
        try:
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue  # another user's, or gone meanwhile
        if needle in environment.split(b"\0"):
            found.add(int(entry.name))
    return found - {os.getpid()}


def end_all(find: Callable[[], set[int]]) -> set[int]:
    """Send TERM to all that `find` finds, after a second KILL, and look again until nothing is found.

    Returns what was still there after 5 s (processes that cannot be signalled, or that sit in the kernel).
    """
    started = time.monotonic()
    left = find()
    _signal(left, signal.SIGTERM)
    while left and time.monotonic() - started < _PATIENCE_S:
        time.sleep(0.02)
        left = find()
        if time.monotonic() - started > _GRACE_S:
            _signal(left, signal.SIGKILL)
    return left


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except OSError:
            continue  # gone meanwhile


def _parents() -> Mapping[int, int]:
    """Return pid -> parent's pid of every process that is not a zombie."""
    if not Path("/proc/self/stat").exists():
        return _parents_by_ps()
    parents = {}
    for entry in _numbered_entries():
        try:
            stat = (entry / "stat").read_text(errors="replace")
        except OSError:
            continue  # gone meanwhile
        state, parent = stat.rpartition(")")[2].split()[:2]
        if state != "Z":
            parents[int(entry.name)] = int(parent)
    return parents


def _parents_by_ps() -> Mapping[int, int]:
    listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,state="], capture_output=True, text=True, check=False)  # noqa: S607 - POSIX puts ps on the PATH
    rows = [line.split() for line in listing.stdout.splitlines()]
    return {int(pid): int(parent) for pid, parent, state, *_ in rows if not state.startswith("Z")}


def _numbered_entries() -> list[Path]:
    proc = Path("/proc")
    return [entry for entry in proc.iterdir() if entry.name.isdecimal()] if proc.is_dir() else []
