"""The lab's background process: `python -m vigo.lab.server FOLDER LOCK`, started by `vigo lab up` and nobody else.

It detaches itself, opens every host, gives up root, and serves until it is told to end. The process that was started
returns once connections are accepted: with 0, or with 1 and the reason on stderr.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import signal
import sys
from pathlib import Path

from vigo.core.errors import VigoError
from vigo.lab.account import become
from vigo.lab.lab import Lab
from vigo.lab.processes import adopt_orphans, descendants, end_all
from vigo.lab.state import LOG, RUNNING, write_json

_DESCRIPTORS_A_HOST = 8
"""A listener, a connection, three pipes, and the other ends of those while a command starts."""
_DESCRIPTORS_OWN = 256
_READY = "ready"


def main(folder: Path, lock: int) -> int:
    """Start the lab in the background; return as soon as it accepts connections or has failed to."""
    os.set_inheritable(lock, False)  # noqa: FBT003 - positional in os; the lab's commands must not hold the lock
    news, teller = os.pipe()
    if os.fork():
        os.close(teller)
        with os.fdopen(news, encoding="utf-8") as stream:
            word = stream.read()
        if word == _READY:
            return 0
        sys.stderr.write(word or f"its server ended before it was ready; {folder / LOG} says why")
        return 1
    os.close(news)
    _detach(folder)
    logging.getLogger("asyncssh").setLevel(logging.ERROR)
    try:
        asyncio.run(_serve(folder, teller))
    except (OSError, VigoError) as error:
        with contextlib.suppress(OSError):
            os.write(teller, str(error).encode())
        raise
    return 0


def _detach(folder: Path) -> None:
    """Leave the terminal: a session of its own, nothing on stdin, the log as stdout and stderr."""
    os.setsid()
    os.umask(0o077)
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for target, source in ((0, nothing), (1, log), (2, log)):
        os.dup2(source, target)
    os.close(nothing)
    os.close(log)


async def _serve(folder: Path, teller: int) -> None:
    """Open the lab, say so, and keep it until an order or a signal ends it."""
    lab = Lab(folder)
    _allow_descriptors(len(lab.members))
    adopt_orphans()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGCHLD, lab.children.reap)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lab.ending.set)
    await lab.open()
    await lab.listen()
    write_json(folder / RUNNING, lab.describe())
    become(lab.account)
    os.write(teller, _READY.encode())
    os.close(teller)
    await lab.ending.wait()
    end_all(lambda: descendants(os.getpid()))


def _allow_descriptors(hosts: int) -> None:
    """Raise the limit on open files as far as the hosts need and the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS_OWN + _DESCRIPTORS_A_HOST * hosts
    if os.geteuid() == 0 and hard != resource.RLIM_INFINITY and hard < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
            return
    ceiling = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if ceiling > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (ceiling, hard))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
