"""One command of one SSH session: a process in a session of its own, its three pipes relayed with back-pressure.

What OpenSSH's server does is the measure: the exit status is sent when the process ends, the channel is closed when
its output has ended too (a background child may hold that open), and a connection that goes away kills nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping

import asyncssh
from asyncssh.packet import Boolean, String, UInt32

from vigo.core.values import dataclass
from vigo.lab.faults import SLOW_MS, Fault, FaultKind, ends_with
from vigo.lab.places import make_home

_CHUNK_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Place:
    """Where and with what a host's commands run."""

    home: str
    environment: Mapping[str, str]


class Children:
    """The commands whose end somebody waits for: pid -> what to call with the wait status."""

    def __init__(self) -> None:
        self._waiting: dict[int, Callable[[int], None]] = {}

    def watch(self, pid: int, ended: Callable[[int], None]) -> None:
        """Call `ended` with the wait status once the process has ended."""
        self._waiting[pid] = ended

    def reap(self) -> None:
        """Collect every child that has ended, adopted orphans included. To be called on SIGCHLD."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            ended = self._waiting.pop(pid, None)
            if ended:
                ended(status)


class Command(asyncssh.SSHServerSession[bytes]):
    """The session behind one channel: runs one command, or a shell that reads its commands from stdin."""

    _channel: asyncssh.SSHServerChannel[bytes]

    def __init__(self, place: Place, fault: Callable[[], Fault | None], children: Children) -> None:
        self._place = place
        self._fault = fault
        self._children = children
        self._loop = asyncio.get_running_loop()
        self._arguments = ["-sh"]
        self._gone = False
        self._pid: int | None = None
        """The command's first process, from its start to its end."""
        self._ended = False
        self._stdin: int | None = None
        self._pending = bytearray()
        self._eof = False
        self._outputs: dict[int, int | None] = {}
        """Open read ends of stdout and stderr -> the SSH data type of that stream."""
        self._paused = False

    # What the client asks for

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        """Take the channel."""
        self._channel = chan

    def shell_requested(self) -> bool:
        """Agree to a login shell without a terminal."""
        return True

    def exec_requested(self, command: str) -> bool:
        """Agree to run a command; one with NUL in it cannot be an argument and is refused."""
        self._arguments = ["sh", "-c", command]
        return "\0" not in command

    def session_started(self) -> None:
        """Start the process, or play the host's fault."""
        match self._fault():
            case Fault(FaultKind.EXIT, int(exit_code)):
                self._arguments = ["sh", "-c", ends_with(self._arguments[-1], exit_code)]
                self._start()
            case Fault(FaultKind.SLOW):
                self._loop.call_later(SLOW_MS / 1000, self._start)
            case _:
                self._start()

    def signal_received(self, signal: str) -> None:
        """Pass a signal on to the command's process group, as long as its first process lives."""
        number = _SIGNALS.get(signal)
        if number and self._pid is not None:
            with contextlib.suppress(OSError):  # its group has no process that may be signalled
                os.killpg(self._pid, number)

    # The process

    def _start(self) -> None:
        if self._gone:
            return  # the connection broke while a slow host was waiting
        try:
            make_home(self._place.home)
            here, theirs = _pipes()
        except OSError as error:
            self._fail(error)
            return
        try:
            process = subprocess.Popen(  # noqa: S603 - to run what the client sends is what an SSH server is for
                self._arguments,
                executable="/bin/sh",
                stdin=theirs[0],
                stdout=theirs[1],
                stderr=theirs[2],
                cwd=self._place.home,
                env=self._environment(),
                start_new_session=True,
                close_fds=False,  # each descriptor of this process is closed on exec already
            )
        except OSError as error:
            _close(*here)
            self._fail(error)
            return
        finally:
            _close(*theirs)
        process.returncode = 0  # `Children` reaps it; Popen is to keep its hands off
        self._relay(process.pid, here)

    def _fail(self, error: OSError) -> None:
        """Tell the client that no shell could be started for its command."""
        self._channel.write(f"/bin/sh: {error.strerror}\n".encode(), asyncssh.EXTENDED_DATA_STDERR)
        self._channel.exit(1)

    def _relay(self, pid: int, pipes: tuple[int, int, int]) -> None:
        """Begin to carry bytes between a new process and the channel."""
        self._pid = pid
        self._children.watch(pid, self._process_ended)
        self._stdin, stdout, stderr = pipes
        self._outputs = {stdout: None, stderr: asyncssh.EXTENDED_DATA_STDERR}
        if not self._paused:
            self.resume_writing()
        self._feed()

    def _environment(self) -> dict[str, str]:
        peer, here = self._channel.get_extra_info("peername"), self._channel.get_extra_info("sockname")
        ends = f"{peer[0]} {peer[1]} {here[0]} {here[1]}" if peer and here else ""
        return {**self._place.environment, "SSH_CONNECTION": ends}

    def _process_ended(self, status: int) -> None:
        """Tell the client at once how the process ended; its output may still go on."""
        self._pid, self._ended = None, True
        if self._gone:
            return
        code = os.waitstatus_to_exitcode(status)
        send = self._channel._send_request  # noqa: SLF001 - asyncssh's own exit() would close the channel with it
        if code >= 0:
            send(b"exit-status", UInt32(code))
        else:
            name = signal.Signals(-code).name.removeprefix("SIG") if -code in _NUMBERS else str(-code)
            send(b"exit-signal", String(name), Boolean(os.WCOREDUMP(status)), String(""), String(""))
        self._close_if_done()

    def _close_if_done(self) -> None:
        if not self._outputs:
            if self._ended:
                self._channel.close()
            else:
                self._channel.write_eof()

    # Output

    def _readable(self, pipe: int) -> None:
        try:
            data = os.read(pipe, _CHUNK_BYTES)
        except BlockingIOError:
            return
        if data:
            if not self._channel.is_closing():
                self._channel.write(data, self._outputs[pipe])
            return
        self._loop.remove_reader(pipe)
        del self._outputs[pipe]
        os.close(pipe)
        self._close_if_done()

    def pause_writing(self) -> None:
        """Stop reading from the process: the client is behind."""
        self._paused = True
        for pipe in self._outputs:
            self._loop.remove_reader(pipe)

    def resume_writing(self) -> None:
        """Read from the process again."""
        self._paused = False
        for pipe in self._outputs:
            self._loop.add_reader(pipe, self._readable, pipe)

    # Input

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """Give the process its input; what it does not take yet holds the client up."""
        del datatype
        if self._stdin is None and self._outputs_started():
            return  # it has closed its stdin: like a pipe nobody reads
        self._pending += data
        self._feed()
        if self._pending:
            self._channel.pause_reading()

    def eof_received(self) -> bool:
        """End the process's input after what is still pending; its output goes on."""
        self._eof = True
        self._feed()
        return True

    def _outputs_started(self) -> bool:
        return self._pid is not None or self._ended

    def _feed(self) -> None:
        """Write what the process takes without blocking, and wait for room if it does not take all."""
        if self._stdin is None:
            return
        try:
            while self._pending:
                del self._pending[: os.write(self._stdin, self._pending)]
        except BlockingIOError:
            self._loop.add_writer(self._stdin, self._feed)
            return
        except OSError:
            self._pending.clear()
            self._eof = True
        self._loop.remove_writer(self._stdin)
        if self._eof:
            self._close_stdin()
        if not self._gone:
            self._channel.resume_reading()

    def _close_stdin(self) -> None:
        if self._stdin is not None:
            self._loop.remove_writer(self._stdin)
            os.close(self._stdin)
            self._stdin = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of the pipes; the process is left to itself, as OpenSSH does."""
        del exc
        self._gone = True
        self._pending.clear()
        self._close_stdin()
        for pipe in self._outputs:
            self._loop.remove_reader(pipe)
            os.close(pipe)
        self._outputs = {}


_NUMBERS = {number.value for number in signal.Signals}
_SIGNALS = {number.name.removeprefix("SIG"): number for number in signal.Signals}


def _pipes() -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Make three pipes: our ends (which never block) and the process's ends, each as (stdin, stdout, stderr)."""
    ends: list[int] = []
    try:
        for _ in range(3):
            ends += os.pipe()
    except OSError:
        _close(*ends)
        raise
    stdin, our_in, our_out, stdout, our_err, stderr = ends
    for end in (our_in, our_out, our_err):
        os.set_blocking(end, False)
    return (our_in, our_out, our_err), (stdin, stdout, stderr)


def _close(*ends: int) -> None:
    for end in ends:
        os.close(end)
