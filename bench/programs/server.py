"""A cheap fleet: one process that plays every loopback address. `server.py HOST_KEY AUTHORIZED_KEYS [hold]`; prints its port.

It starts no process. A command is answered with one line and exit 0; one in vigo's wrapper is greeted first, as the
wrapper does, and answered when its first lines of standard input have come, or with `hold` never. It ends with its
standard input.
"""

from __future__ import annotations

import asyncio
import gc
import re
import socket
import sys
from typing import Any

import asyncssh

_LINE = b" 12:00:00 up 1 day,  1 user,  load average: 0.00, 0.00, 0.00\n"
_HOLD = "hold" in sys.argv[3:]
_WRAPPER = re.compile(rb"exec /bin/sh -c 'i=([0-9A-Za-z._-]+) ")


class _Session(asyncssh.SSHServerSession[bytes]):
    """Answers one command."""

    _channel: asyncssh.SSHServerChannel[bytes]
    _waits = False

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan

    def exec_requested(self, command: str) -> bool:
        wrapped = _WRAPPER.match(command.encode())
        self._waits = wrapped is not None
        if wrapped:
            self._greeting = b"vigo:%s:1234\n" % wrapped[1]
        return True

    def session_started(self) -> None:
        if self._waits:
            self._channel.write_stderr(self._greeting)
        else:
            self._answer()

    def data_received(self, data: bytes, datatype: Any) -> None:  # noqa: ANN401, ARG002 - asyncssh's signature
        if self._waits and not _HOLD:
            self._waits = False
            self._answer()

    def eof_received(self) -> bool:
        return True

    def _answer(self) -> None:
        self._channel.write(_LINE)
        self._channel.exit(0)


class _Server(asyncssh.SSHServer):
    """Opens a session for whoever has the key."""

    def session_requested(self) -> _Session:
        return _Session()


async def main(host_key: str, authorized_keys: str) -> None:
    """Serve until standard input ends."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo\0")
    listener.bind(("0.0.0.0", 0))  # bound to the loopback device: every address of it, and no other
    options = asyncssh.SSHServerConnectionOptions(
        server_host_keys=[host_key], authorized_client_keys=authorized_keys, server_factory=_Server, encoding=None,
        login_timeout=0,
    )  # fmt: skip
    gc.freeze()
    async with await asyncssh.listen(sock=listener, options=options, backlog=4096):
        print(listener.getsockname()[1], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    try:
        import uvloop
    except ImportError:
        asyncio.run(main(*sys.argv[1:3]))
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main(*sys.argv[1:3]))
