"""A program whose standard streams are the connection: ProxyCommand.

It is run as ssh does it, by the user's shell, and in a session of its own: it has no terminal to ask questions on and no
descriptors of ours but its three streams. It ends with its connection, and so does everything that it started.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from dataclasses import field
from typing import Any, Final, cast

from vigo.adapters.ssh_connection import Connection
from vigo.adapters.ssh_errors import Phase, Unreached, out_of_time
from vigo.adapters.ssh_login import Make, Progress, or_hang_up
from vigo.core.model import Reason
from vigo.core.values import dataclass

_STDIN, _STDOUT, _STDERR = 0, 1, 2
_TERM_PATIENCE_S: Final = 0.5
"""Between TERM and KILL."""
_EXIT_PATIENCE_S: Final = 0.5
"""How long a program that closed its output may take to say its last words and its exit code."""
_WORDS_BYTES_MAX: Final = 4096


class Program(asyncio.SubprocessProtocol):
    """One running program and its connection, for which it is the transport."""

    def __init__(self, connection: Connection, running: set[Program]) -> None:
        self.gone = asyncio.Event()
        """Set when it has exited and its process group is dead."""
        self._connection = connection
        self._process: asyncio.SubprocessTransport | None = None
        self._stdin: asyncio.WriteTransport | None = None
        self._words = b""
        self._is_ending = False
        self._running = running
        running.add(self)
        connection.way_gone = self.gone

    @property
    def last_words(self) -> str:
        """The last line that it wrote to standard error."""
        lines = self._words.decode("utf-8", "replace").split("\n")
        return next((" ".join(line.split())[:200] for line in reversed(lines) if line.strip()), "")

    @property
    def exit_code(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        return None if self._process is None else self._process.get_returncode()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the login begin: the program runs."""
        self._process = cast("asyncio.SubprocessTransport", transport)
        self._stdin = cast("asyncio.WriteTransport", self._process.get_pipe_transport(_STDIN))
        self._connection.connection_made(cast("asyncio.Transport", self))

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Hand on what came from the host, and keep the end of what the program itself said."""
        if fd == _STDOUT:
            self._connection.data_received(data)
        else:
            self._words = (self._words + data)[-_WORDS_BYTES_MAX:]

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """End the connection when the program's output ends, or soon after it takes no more input."""
        if fd == _STDOUT:
            self._connection.connection_lost(exc)
        elif fd == _STDIN and not self._is_ending:
            asyncio.get_running_loop().call_later(_EXIT_PATIENCE_S, self._connection.connection_lost, exc)

    def process_exited(self) -> None:
        """Leave nothing behind: whatever it started in its session goes with it."""
        self._signal(signal.SIGKILL)
        self.gone.set()
        self._running.discard(self)
        if self._is_ending:
            self._close_pipes()
        else:  # its last words may still be on their way
            asyncio.get_running_loop().call_later(_EXIT_PATIENCE_S, self.abort)

    def write(self, data: bytes) -> None:
        """Write to the program."""
        if self._stdin is not None and not self._stdin.is_closing():
            self._stdin.write(data)

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401, ARG002 - asyncio's signature
        """Say nothing: there is neither a socket nor an address."""
        return default

    def is_closing(self) -> bool:
        """Tell whether it is being ended."""
        return self._is_ending

    def abort(self) -> None:
        """End the program: its input ends, TERM, and half a second later KILL, to its whole group."""
        if self._is_ending:
            return
        self._is_ending = True
        if self._stdin is not None:
            self._stdin.close()
        if self.gone.is_set():
            self._close_pipes()
        else:
            self._signal(signal.SIGTERM)
            asyncio.get_running_loop().call_later(_TERM_PATIENCE_S, self.kill)

    def close(self) -> None:
        """End the program."""
        self.abort()

    def kill(self) -> None:
        """End the program at once."""
        if not self.gone.is_set():
            self._signal(signal.SIGKILL)

    def _close_pipes(self) -> None:
        if self._process is not None:
            self._process.close()

    def _signal(self, number: signal.Signals) -> None:
        # The group's id is its leader's pid, which nobody else gets while the leader, or any other of it, is there.
        if self._process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.get_pid(), number)


@dataclass(slots=True, eq=False)
class Piped:
    """The way through a program."""

    command: str
    running: set[Program]
    """All programs of the run."""
    _program: Program | None = field(default=None)

    @property
    def place(self) -> str:
        """All programs count as one place: nobody here knows where they connect, and mostly it is one bastion."""
        return "the proxy commands of this run"

    async def prepare(self, progress: Progress) -> None:
        """Have any delay explained by what the program says."""
        progress.overdue = self._overdue

    async def join(self, make: Make, progress: Progress) -> Connection:
        """Start the program."""
        progress.phase = Phase.BANNER
        return await or_hang_up(self._start(make))

    async def broken(self, connection: Connection) -> Unreached | None:
        """Blame the program as long as no word of a server has come through it."""
        if connection.phase is not Phase.BANNER or connection.first_bytes or self._program is None:
            return None
        with suppress(TimeoutError):
            async with asyncio.timeout(_EXIT_PATIENCE_S):
                await self._program.gone.wait()
        code = self._program.exit_code
        how = "closed the connection" if code is None else f"ended with exit code {code}"
        if code is not None and code < 0:
            how = f"was ended by signal {-code}"
        return self._failed(f"{how} before a word of the host")

    async def _start(self, make: Make) -> Connection:
        connection = make()
        self._program = program = Program(connection, self.running)
        shell = os.environ.get("SHELL") or "/bin/sh"
        pipe = asyncio.subprocess.PIPE
        try:
            await asyncio.get_running_loop().subprocess_exec(
                lambda: program, shell, "-c", f"exec {self.command}",
                stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True,
            )  # fmt: skip
        except (OSError, ValueError) as error:
            self.running.discard(program)
            why = error.strerror if isinstance(error, OSError) else str(error)
            raise Unreached(Reason.PROXY, f"the proxy command cannot be run by {shell}: {why}; set SHELL") from error
        return connection

    def _overdue(self, phase: Phase, timeout_ms: int) -> Unreached:
        if phase is not Phase.BANNER:
            return out_of_time(phase, timeout_ms)
        return self._failed(f"has brought no word of the host within {timeout_ms / 1000:g} s")

    def _failed(self, how: str) -> Unreached:
        words = self._program.last_words if self._program is not None else ""
        said = f": {words}" if words else "; it said nothing on standard error"
        return Unreached(Reason.PROXY, f"the proxy command {self.command[:80]!r} {how}{said}")


async def end_all(running: set[Program]) -> None:
    """End all programs that are left, within a second."""
    for program in running:
        program.abort()
    waiting = [asyncio.create_task(program.gone.wait()) for program in running]
    if waiting:
        _, late = await asyncio.wait(waiting, timeout=2 * _TERM_PATIENCE_S)
        for task in late:
            task.cancel()
