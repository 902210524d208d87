"""One command on one open channel: what arrives is recorded, and three moments can be awaited."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import asyncssh

from vigo.adapters.ssh_capture import Capture, Greeting
from vigo.core.command import KILL_LINE, TAKEN_LINE
from vigo.core.masking import Masker
from vigo.core.model import Ended, HostResult, Stream

_FIRST_WORDS_BYTES = 200
_PIECE_BYTES = 64 * 1024


class Recording:
    """Both output streams of one command, as they are to be kept and told.

    Secrets are masked before anything else: count and digest are of the masked output, because the digest of a stream
    with a short secret in it would tell the secret to whoever has the patience to guess.
    """

    def __init__(
        self,
        kept_max: int,
        mark: str,
        tell: Callable[[Stream, bytes], None],
        secrets: Collection[str] = (),
        *,
        prompt: bytes = b"",
    ) -> None:
        self._captures = {stream: Capture(kept_max) for stream in Stream}
        self._maskers = {stream: Masker(secrets) for stream in Stream}
        self._greeting = Greeting(mark, prompt)
        self._tell = tell

    @property
    def pid(self) -> int | None:
        """The command's pid on its host, once the wrapper has told it."""
        return self._greeting.pid

    @property
    def wants_input(self) -> bool:
        """Whether the wrapper has asked for the command's input."""
        return self._greeting.wants_input

    @property
    def prompts(self) -> int:
        """How often the host has asked for the password."""
        return self._greeting.prompts

    @property
    def closed(self) -> bool:
        """Whether the host keeps the command's result until it hears that it has arrived."""
        return self._greeting.closed

    def take(self, stream: Stream, data: bytes) -> None:
        """Take the next bytes of a stream."""
        if stream is Stream.STDERR:
            data = self._greeting.filter(data)
        self._keep(stream, data)

    def flush(self) -> None:
        """Take in what was held back: the streams have ended."""
        self._keep(Stream.STDERR, self._greeting.rest())
        for stream, masker in self._maskers.items():
            self._write(stream, masker.flush())

    def first_words(self) -> str:
        """Return how the output begins, stderr if it has any."""
        shown = self.kept(Stream.STDERR) or self.kept(Stream.STDOUT)
        return shown[:_FIRST_WORDS_BYTES].decode("utf-8", "replace")

    def kept(self, stream: Stream) -> bytes:
        """Return the kept bytes of a stream."""
        return self._captures[stream].close()[1]

    def close(self, result: HostResult) -> Ended:
        """Put the output to its result."""
        self.flush()
        stdout, kept_stdout = self._captures[Stream.STDOUT].close()
        stderr, kept_stderr = self._captures[Stream.STDERR].close()
        kept = tuple(data for data in (kept_stdout, kept_stderr) if data)
        return Ended(replace(result, stdout=stdout, stderr=stderr), kept)

    def _keep(self, stream: Stream, data: bytes) -> None:
        self._write(stream, self._maskers[stream].feed(data))

    def _write(self, stream: Stream, data: bytes) -> None:
        if data:
            self._captures[stream].write(data)
            self._tell(stream, data)


class CommandSession(asyncssh.SSHClientSession[bytes]):
    """The client's side of one exec request."""

    def __init__(self, stdin: bytes, recording: Recording, data: bytes = b"") -> None:
        self._loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = self._loop.create_future()
        """Done when the channel is open: from here on the exec request may have left."""
        self.ended: asyncio.Future[None] = self._loop.create_future()
        """Done when the exit came, when the channel closed without one, or at an interrupt."""
        self.drained: asyncio.Future[None] = self._loop.create_future()
        """Done when nothing more can come."""
        self.begun = False
        """Whether the wrapper was told to go; until then nothing of the command runs, and without it nothing ever will."""
        self.exit_code: int | None = None
        self.signal: str | None = None
        self.opened_at = self.ended_at = self.heard_at = 0.0
        """Seconds on the monotonic clock; 0.0 until it happened."""
        self._stdin = stdin
        self._rest = memoryview(data)
        """What is still to be sent of the command's input."""
        self._is_full = False
        self._recording = recording
        self._eof = False
        self._taken = False
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None
        self._came: asyncio.Future[None] = self._loop.create_future()

    @property
    def has_exit(self) -> bool:
        """Whether the host said how the command ended."""
        return self.exit_code is not None or self.signal is not None

    @property
    def prompts(self) -> int:
        """How often the host has asked for the password before the wrapper greeted."""
        return self._recording.prompts

    async def until(self, condition: Callable[[], bool], deadline: float) -> None:
        """Return when something came that makes the condition true, at the end, at an interrupt, or at the deadline."""
        while not condition() and not self.ended.done() and (left_s := deadline - time.monotonic()) > 0:
            self._came = self._loop.create_future()
            await asyncio.wait({self._came, self.ended}, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)

    def interrupt(self) -> None:
        """Wake up whoever waits for the end."""
        _settle(self.ended)

    def rearm(self) -> None:
        """Make `ended` wait again if it was only interrupted."""
        if not self.ended_at:
            self.ended = self._loop.create_future()

    def stop(self) -> None:
        """Have the command killed; one that has not begun will never begin, and no word is left to be read as a password."""
        self._stdin, self._rest = b"", memoryview(b"")
        if self.begun:
            self.write(KILL_LINE)
        else:
            self.write_eof()

    def write_eof(self) -> None:
        """End the life line."""
        if self._channel is not None and not self._channel.is_closing():
            self._channel.write_eof()

    def write(self, data: bytes) -> None:
        """Write to the command's life line; a channel that is gone takes nothing."""
        if self._channel is not None and not self._channel.is_closing():
            self._channel.write(data)

    def close(self) -> None:
        """Close the channel."""
        if self._channel is not None:
            self._channel.close()

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        """Mark the border after which nothing is retried; asyncssh sends the exec request next."""
        self._channel = chan
        self.opened_at = self.heard_at = time.monotonic()
        _settle(self.opened)

    def data_received(self, data: bytes, datatype: Any) -> None:  # noqa: ANN401 - asyncssh's own type is int or None
        """Record what came."""
        self.heard_at = time.monotonic()
        self._recording.take(Stream.STDERR if datatype == asyncssh.EXTENDED_DATA_STDERR else Stream.STDOUT, data)
        self._feed()
        if self._stdin and self._recording.pid is not None:
            self.begun = True
            self.write(self._stdin)
            self._stdin = b""
        if self._recording.closed and not self._taken:
            self._taken = True
            self.write(TAKEN_LINE)
        _settle(self._came)

    def pause_writing(self) -> None:
        """Send no more of the input: the host has not taken what was sent."""
        self._is_full = True

    def resume_writing(self) -> None:
        """Go on with the input."""
        self._is_full = False
        self._feed()

    def _feed(self) -> None:
        """Send of the input what the host can take now: no copy of the whole waits for each host."""
        while self._rest and self._recording.wants_input and not self._is_full and not self.has_exit:
            piece, self._rest = self._rest[:_PIECE_BYTES], self._rest[_PIECE_BYTES:]
            self.write(bytes(piece))

    def eof_received(self) -> bool:
        """Keep our own direction open: it is the command's life line."""
        self._eof = True
        if self.has_exit:
            _settle(self.drained)
        return True

    def exit_status_received(self, status: int) -> None:
        """Take the exit code."""
        self.exit_code = status
        self._end()

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:  # noqa: ARG002, FBT001 - asyncssh's signature
        """Take the signal that ended the command."""
        self.signal = signal
        self._end()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - without an exit the outcome is unknown, whatever the cause
        """Nothing more can come."""
        self._recording.flush()
        self._end()
        _settle(self.drained)

    def _end(self) -> None:
        if not self.ended_at:
            self.ended_at = time.monotonic()
        _settle(self.ended)
        if self._eof:
            _settle(self.drained)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
