"""Replaces secret values in output. Only exact occurrences: an encoded or cut secret passes."""

from __future__ import annotations

import re
from collections.abc import Collection

MASK = b"***"
MASKED_BYTES_MIN = 4
"""A shorter secret is not looked for: it would be found everywhere, and the stars would give it away."""


def mask(data: bytes, secrets: Collection[str]) -> bytes:
    """Return the bytes with `***` for each secret value of at least 4 bytes, the leftmost and longest first."""
    masker = Masker(secrets)
    return masker.feed(data) + masker.flush()


class Masker:
    """Masks a stream that comes in pieces: for any cutting the outcome is that of `mask` on the whole.

    It holds back only what may be the beginning of a secret, at most one byte less than the longest one.
    """

    def __init__(self, secrets: Collection[str]) -> None:
        values = {secret.encode() for secret in secrets}
        self._secrets = sorted((v for v in values if len(v) >= MASKED_BYTES_MIN), key=lambda v: (-len(v), v))
        self._pattern = re.compile(b"|".join(map(re.escape, self._secrets)))
        self._borders = [_borders(secret) for secret in self._secrets]
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes and return those that are certain."""
        if not self._secrets:
            return data
        pending = self._held + data
        done, at = [], 0
        unsure = self._unsure_from(pending, at)
        while (found := self._pattern.search(pending, at)) and found.start() < unsure:
            done += [pending[at : found.start()], MASK]
            at = found.end()
            if at > unsure:
                unsure = self._unsure_from(pending, at)
        done.append(pending[at:unsure])
        self._held = pending[unsure:]
        return b"".join(done)

    def flush(self) -> bytes:
        """Return what is left at the end of the stream; afterwards the masker is as new."""
        held, self._held = self._held, b""
        return self._pattern.sub(MASK, held) if self._secrets else held

    def _unsure_from(self, pending: bytes, at: int) -> int:
        """Return where the longest tail begins that is the beginning of a secret, or the end when there is none."""
        tails = (_tail(pending, at, *known) for known in zip(self._secrets, self._borders, strict=True))
        return len(pending) - max(tails)


def _borders(secret: bytes) -> list[int]:
    """Return, for each prefix, the length of its longest proper border (Knuth, Morris and Pratt 1977)."""
    borders = [0] * len(secret)
    length = 0
    for at in range(1, len(secret)):
        while length and secret[at] != secret[length]:
            length = borders[length - 1]
        length += secret[at] == secret[length]
        borders[at] = length
    return borders


def _tail(pending: bytes, at: int, secret: bytes, borders: list[int]) -> int:
    """Return the length of the longest end of `pending[at:]` that is a proper beginning of the secret."""
    length = 0
    for byte in pending[max(at, len(pending) - len(secret) + 1) :]:
        while length and byte != secret[length]:
            length = borders[length - 1]
        length += byte == secret[length]
    return length
