"""Takes in what a host sends: counts and digests every byte, keeps a bounded head and tail."""

from __future__ import annotations

import hashlib

from vigo.core.command import greeting, input_wanted, result_kept
from vigo.core.model import Output

_LINE_BYTES_MAX = 4096
"""A start-up file's line longer than this is passed on before its end; the greeting is far shorter."""


class Capture:
    """One output stream: at most `kept_max` bytes stay in memory, half head and half tail."""

    __slots__ = ("_digest", "_head", "_head_max", "_tail", "_tail_max", "_total")

    def __init__(self, kept_max: int) -> None:
        self._head_max = kept_max // 2
        self._tail_max = kept_max - self._head_max
        self._head = bytearray()
        self._tail = bytearray()
        self._total = 0
        self._digest = hashlib.sha256()

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        self._total += len(data)
        self._digest.update(data)
        room = self._head_max - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        self._tail += data
        if len(self._tail) > 2 * self._tail_max:
            del self._tail[: -self._tail_max or None]

    def close(self) -> tuple[Output, bytes]:
        """Return what is known of the stream, and the kept bytes."""
        if len(self._tail) > self._tail_max:
            del self._tail[: -self._tail_max or None]
        kept = bytes(self._head + self._tail)
        output = Output(
            total_bytes=self._total,
            sha256=self._digest.hexdigest(),
            kept_bytes=len(kept),
            kept_sha256=hashlib.sha256(kept).hexdigest(),
            head_bytes=len(self._head) if self._total > len(kept) else len(kept),
        )
        return output, kept


class Greeting:
    """Finds the wrapper's two lines in stderr and takes them out, so that the command's output is its own.

    Before them it does so with the prompt for a password. The first line is one of its own; the
    second, with which the host asks whether the result has arrived, stands wherever the command's output ended.
    """

    __slots__ = ("_closing", "_mark", "_partial", "_prompt", "_wanting", "closed", "pid", "prompts", "wants_input")

    def __init__(self, mark: str, prompt: bytes = b"") -> None:
        self._mark = mark
        self._closing = result_kept(mark)
        self._prompt = prompt
        self.prompts = 0
        """How often a password was asked for; nothing is looked for where `prompt` is empty."""
        self._wanting = input_wanted(mark)
        self.wants_input = False
        """Whether the command's input was asked for; that line is taken out too."""
        self._partial = b""
        self.pid: int | None = None
        """The pid of the command's group on its host, once the wrapper has told it."""
        self.closed = False
        """Whether the command has ended and its host keeps the result until it hears that it has arrived."""

    def filter(self, data: bytes) -> bytes:
        """Return what of the stream can be passed on now."""
        if self.closed:
            return data
        data = self._partial + data
        self._partial = b""
        if self.pid is not None:
            return self._without_closing(data)
        if self._prompt:
            self.prompts += data.count(self._prompt)
            data = data.replace(self._prompt, b"")
        if not self.wants_input and self._wanting in data:
            self.wants_input = True
            data = data.replace(self._wanting, b"")
        found = greeting(self._mark, data)
        if found is not None:
            self.pid = int(found["pid"])
            return data[: found.start()] + self._without_closing(data[found.end() :])
        cut = data.rfind(b"\n") + 1
        if len(data) - cut > _LINE_BYTES_MAX:
            cut = len(data)
        self._partial = data[cut:]
        return data[:cut]

    def rest(self) -> bytes:
        """Return what was held back when the stream ended."""
        rest, self._partial = self._partial, b""
        return rest

    def _without_closing(self, data: bytes) -> bytes:
        before, found, after = data.partition(self._closing)
        if found:
            self.closed = True
            return before + after
        begun = data.rfind(self._closing[:1], -len(self._closing) + 1)
        while begun >= 0 and not self._closing.startswith(data[begun:]):
            begun = data.rfind(self._closing[:1], -len(self._closing) + 1, begun)
        cut = len(data) if begun < 0 else begun
        self._partial = data[cut:]
        return data[:cut]
