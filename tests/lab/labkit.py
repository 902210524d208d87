"""What the lab's tests share: five members, a client for one command, and waiting without guessing."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
import psutil

from vigo.lab.fleet import Member
from vigo.lab.state import RunningLab

MEMBERS = [
    *(Member(f"web-{n:02}.example.com", ("prod.web",), {"os.distro": "ubuntu", "role": "web"}) for n in range(1, 5)),
    Member("db-01.example.com", ("prod.db",), {"os.distro": "debian", "role": "db"}),
]
"""Five hosts like those of the example fleet, written out so that these tests need no inventory loader."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client learned about one command."""

    code: int | None
    signal: str | None
    stdout: bytes
    stderr: bytes


def connect(lab: RunningLab, name: str, **changes: object) -> Any:
    """Connect to one host of a lab with the lab's own key and known_hosts, unless a test changes that.

    The result can be awaited or used with `async with`; asyncssh has no public name for such a type.
    """
    port = next(host.port for host in lab.hosts if host.name == name)
    settings: dict[str, object] = {
        "username": lab.runs_as,
        "client_keys": [str(lab.folder / "client_key")],
        "known_hosts": str(lab.folder / "known_hosts"),
        "config": None,
        "agent_path": None,
        "connect_timeout": 20,
    }
    return asyncssh.connect("127.0.0.1", port, **(settings | changes))


def ask(lab: RunningLab, name: str, command: str, stdin: bytes = b"") -> Answer:
    """Run one command on one host of a lab."""

    async def run() -> Answer:
        async with connect(lab, name) as connection:
            process = await connection.create_process(command, encoding=None)
            with contextlib.suppress(BrokenPipeError):  # a quick command may have ended before its input is written
                process.stdin.write(stdin)
                process.stdin.write_eof()
            done = await process.wait()
        signal = done.exit_signal[0] if done.exit_signal else None
        code = None if signal else done.exit_status
        assert isinstance(done.stdout, bytes)
        assert isinstance(done.stderr, bytes)
        return Answer(code, signal, done.stdout, done.stderr)

    return asyncio.run(run())


def wait_for(condition: Callable[[], bool], deadline_s: float = 20) -> None:
    """Wait until a condition holds; fail loudly when it does not within the deadline."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Say whether a process runs; one that has ended and was not collected yet does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def python(code: str) -> str:
    """Run a snippet in a fresh interpreter and return its stdout."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def home_of(lab: RunningLab, name: str) -> Path:
    """Ask a host where its home is."""
    return Path(ask(lab, name, 'printf %s "$HOME"').stdout.decode())
