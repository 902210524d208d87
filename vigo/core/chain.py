"""The hash chain over the journal: what a row's digest covers, and what a broken chain looks like.

Rule 1: a digest covers the digest before it and every stored column, so no cell can change unseen.
Rule 2: what cannot be written in one way only (floats, integers beyond 2^53 - 1, lone surrogates, keys that are no
        text) is refused at write, never rounded or replaced.
Rule 3: a chain tells what was changed inside it. What was cut off its end only a head or an anchor can tell, and a
        chain that was computed anew from the first row only an anchor kept on another machine.

The canonical form is RFC 8785 (JSON Canonicalization Scheme) for strings, integers, booleans, null, lists and maps.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from json.encoder import encode_basestring as _quote
from typing import TypeAlias

from vigo.core.errors import UsageError
from vigo.core.values import dataclass

DOMAIN = b"vigo-journal-v1\n"
GENESIS = "0" * 64
"""What stands for the digest before the first row."""
INTEGER_MAX = 2**53 - 1
DEPTH_MAX = 64
"""Lists and maps inside each other; deeper values are refused."""

Row: TypeAlias = tuple[object, object, object, object, object, object, object]
"""(seq, at, task, kind, host, data, digest) as stored; after tampering each may be anything."""

_POINT = re.compile(r"([1-9][0-9]{0,15}):([0-9a-f]{64})", re.ASCII)


def canonical(value: object) -> bytes:
    """Return the one UTF-8 text that stands for this value.

    Raises ValueError for what has no such text.
    """
    return _text(value, DEPTH_MAX).encode()


def link(previous: str, columns: Sequence[object]) -> str:
    """Return the hex SHA-256 of a row with these columns that follows the row with digest `previous`.

    Raises ValueError for columns without a canonical form.
    """
    return hashlib.sha256(DOMAIN + previous.encode() + b"\n" + canonical(columns)).hexdigest()


@dataclass(frozen=True, slots=True)
class Point:
    """A place in the chain; to know its digest is to vouch for every row up to it."""

    seq: int
    digest: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.digest}"


def parse_point(text: str) -> Point:
    """Read `seq:digest`, as `audit anchor` prints it. Raises UsageError for anything else."""
    match = _POINT.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text[:100]!r} is no anchor; write seq:digest as `vigo audit anchor` printed it")
    return Point(int(match[1]), match[2])


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What a walk along the chain found."""

    rows: int
    """Rows seen, good and bad."""
    end: Point | None
    """The last row in front of the break, or of all; None when there is no good row."""
    broken_at: int | None = None
    """The first seq that is missing or does not fit; None when every row fits."""
    cause: str = ""
    """What is wrong there, in words."""


def verify(rows: Iterable[Row]) -> ChainReport:
    """Walk along rows that are sorted by seq and say where the chain breaks first, if it does.

    Constant memory: rows are read once and not kept. All rows are read, also those behind a break.
    """
    seen, end, broken_at, cause = 0, Point(0, GENESIS), None, ""
    for row in rows:
        seen += 1
        if broken_at is not None:
            continue
        cause = _misfit(row, end)
        if cause:
            broken_at = end.seq + 1
        else:
            end = Point(end.seq + 1, str(row[6]))
    return ChainReport(seen, end if end.seq else None, broken_at, cause)


def _misfit(row: Row, previous: Point) -> str:
    """Say why a row cannot follow `previous`; empty when it does."""
    seq, expected = row[0], previous.seq + 1
    if not isinstance(seq, int) or seq != expected:
        return f"event {expected} is missing; {seq!r} stands in its place"
    try:
        fits = link(previous.digest, row[:6]) == row[6]
    except ValueError as error:
        return f"event {expected} holds what was never written by vigo: {error}"
    return "" if fits else f"event {expected} does not have the digest that its content and its predecessor give"


def _text(value: object, depth: int) -> str:
    if isinstance(value, str):
        return _quote(value)
    if value is None or value is True or value is False:
        return "null" if value is None else "true" if value else "false"
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, list | tuple) and depth:
        return f"[{','.join([_text(item, depth - 1) for item in value])}]"
    if isinstance(value, dict) and depth:
        keys = sorted(value, key=_utf16)
        return f"{{{','.join([f'{_quote(key)}:{_text(value[key], depth - 1)}' for key in keys])}}}"
    raise ValueError(f"{type(value).__name__} has no canonical form here (or lies deeper than {DEPTH_MAX} levels)")


def _integer(value: int) -> str:
    if abs(value) > INTEGER_MAX:
        raise ValueError("an integer beyond 2^53 - 1 is not the same number to every reader")
    return int.__repr__(value)


def _utf16(key: object) -> bytes:
    """Sort as RFC 8785 says, by UTF-16 code units: an astral character stands before U+E000 to U+FFFF."""
    if not isinstance(key, str):
        raise ValueError(f"a key must be text, not {type(key).__name__}")  # noqa: TRY004 - one error for all refusals
    return key.encode("utf-16-be")
