"""Ranges in names: `web-[01-04].example.com`. Expanding them, matching them, folding names into them.

Rule 1: a bracket is always a range `[first-last]` of whole numbers, both ends included; nothing else is in brackets.
Rule 2: `[01-04]` keeps its padding: numbers have at least as many digits as the first one is written with.
Rule 3: `fold` is the inverse of `expand`: what it returns, expanded, is the names it was given.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from math import prod
from typing import TypeAlias

from vigo.core.values import dataclass

MEMBERS_MAX = 100_000
"""The most names that one range may be expanded to."""
BRACKETS_MAX = 4
_BRACKET = re.compile(r"\[(\d{1,9})-(\d{1,9})\]", re.ASCII)
_NUMBER = re.compile(r"(?<!\d)\d{1,9}(?!\d)", re.ASCII)


class RangeError(ValueError):
    """A bracket that is no range, or too much of it; the caller adds the place."""

    def __init__(self, reason: str, way_out: str, offset: int = 0) -> None:
        super().__init__(f"{reason}; {way_out}")
        self.reason = reason
        self.way_out = way_out
        self.offset = offset
        """Where in the text the bracket stands, from 0."""


@dataclass(frozen=True, slots=True)
class Span:
    """The numbers of one bracket."""

    first: int
    last: int
    width: int
    """Numbers are padded with zeros to this many digits; 1 is no padding."""

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return self.last - self.first + 1

    def __iter__(self) -> Iterator[str]:
        return (f"{number:0{self.width}d}" for number in range(self.first, self.last + 1))

    def regex(self) -> str:
        """Return a regular expression for exactly these numbers, written with this padding."""
        lengths = range(len(f"{self.first:0{self.width}d}"), len(f"{self.last:0{self.width}d}") + 1)
        return "(?:" + "|".join(self._regex_of_length(length) for length in lengths) + ")"

    def _regex_of_length(self, length: int) -> str:
        least = 0 if length <= self.width else 10 ** (length - 1)
        low, high = max(self.first, least), min(self.last, 10**length - 1)
        return _between(f"{low:0{length}d}", f"{high:0{length}d}")


Piece: TypeAlias = str | Span


def has_range(text: str) -> bool:
    """Whether the text has a bracket of either kind, and so is a range or an error."""
    return "[" in text or "]" in text


def parse(text: str) -> tuple[Piece, ...]:
    """Cut a text into its literal parts and its spans.

    Raises RangeError for a bracket that is no range, more than 4 of them, or two without anything between.
    """
    pieces: list[Piece] = []
    start = 0
    for bracket in _BRACKET.finditer(text):
        pieces.append(_literal(text, start, bracket.start()))
        pieces.append(_span(bracket))
        start = bracket.end()
    pieces.append(_literal(text, start, len(text)))
    if len(pieces) > 2 * BRACKETS_MAX + 1:
        raise RangeError(f"has more than {BRACKETS_MAX} ranges", "write several names")
    if "" in pieces[1:-1]:
        raise RangeError("has two ranges side by side", "put a character between them")
    return tuple(piece for piece in pieces if piece != "")


def size(pieces: Sequence[Piece]) -> int:
    """Return how many names the pieces stand for, without making them."""
    return prod(piece.size for piece in pieces if isinstance(piece, Span))


def members(pieces: Sequence[Piece]) -> Iterator[str]:
    """Yield the names one by one, the last bracket counting fastest; nothing is made before it is asked for."""
    if not pieces:
        yield ""
        return
    first = pieces[0]
    for text in (first,) if isinstance(first, str) else first:
        for rest in members(pieces[1:]):
            yield text + rest


def expand(text: str, *, members_max: int = MEMBERS_MAX) -> tuple[str, ...]:
    """Return the names that a range stands for, in order; a text without brackets stands for itself.

    Raises RangeError for a bracket that is no range, or for more than `members_max` names.
    """
    pieces = parse(text)
    if size(pieces) > members_max:
        raise RangeError(
            f"stands for {size(pieces)} names, at most {members_max} are allowed", "make the range smaller"
        )
    return tuple(members(pieces))


def glob(text: str, *, ignore_case: bool = True) -> re.Pattern[str]:
    """Compile a pattern of `*` (any run of characters), `?` (one of any) and ranges, to be used with `fullmatch`.

    Next to a star a range is a whole number: `web-[1-2]*` does not match `web-10`, whose number is ten.
    A literal part after a star is looked for once and not again (an atomic group): the time is linear in the text for
    any number of stars, and for stars before a range at most its fourth power, of a name.
    Raises RangeError for a bracket that is no range.
    """
    parse(text)
    first, *others = re.split(r"\*+", text)
    regexes = [_segment(first, before_star=bool(others))]
    for part in others[:-1]:
        regex = f".*?{_segment(part, after_star=True, before_star=True)}"
        regexes.append(regex if has_range(part) else f"(?>{regex})")
    regexes += [f".*{_segment(part, after_star=True)}" for part in others[-1:]]
    return re.compile("".join(regexes), re.DOTALL | (re.IGNORECASE if ignore_case else re.NOFLAG))


def fold(names: Iterable[str]) -> str:
    """Return the names, each once, as ranges in the order of their first appearance: `web-[01-02].example.com, db-01`.

    Expanded again it is the same set of names, and it can be given as a target.
    """
    unique = dict.fromkeys(names)
    sizes = Counter(form for name in unique for form, _ in _forms(name))
    numbers: dict[tuple[str, str], dict[str, None]] = {}
    for name in unique:
        form, number = max(_forms(name), key=lambda found: sizes[found[0]], default=((name, ""), ""))
        numbers.setdefault(form, {})[number] = None
    return ", ".join(
        f"{before}{run}{after}" for (before, after), found in numbers.items() for run in _runs(list(found))
    )


def _literal(text: str, start: int, end: int) -> str:
    """Return the text between two brackets, in which no bracket may be left."""
    for offset in range(start, end):
        if text[offset] in "[]":
            raise RangeError("has a bracket that is no range", "write whole numbers as [01-20]", offset)
    return text[start:end]


def _span(bracket: re.Match[str]) -> Span:
    first, last = bracket.groups()
    width = len(first) if first.startswith("0") else 1
    if int(first) > int(last):
        raise RangeError(f"{bracket[0]} runs backwards", "write the smaller number first", bracket.start())
    span = Span(int(first), int(last), width)
    if last != f"{span.last:0{width}d}":
        raise RangeError(f"{bracket[0]} is padded unevenly", "write both ends with the same digits", bracket.start())
    return span


def _between(low: str, high: str) -> str:
    """Return a regular expression for the numbers from `low` to `high`, two texts of equally many digits."""
    rest = len(low) - 1
    if low == high:
        return low
    if low == "0" * len(low) and high == "9" * len(high):
        return f"[0-9]{{{len(low)}}}"
    if low[0] == high[0]:
        return low[0] + _between(low[1:], high[1:])
    options = [low[0] + _between(low[1:], "9" * rest), high[0] + _between("0" * rest, high[1:])]
    if int(high[0]) - int(low[0]) > 1:
        options.append(f"[{int(low[0]) + 1}-{int(high[0]) - 1}][0-9]{{{rest}}}")
    return f"(?:{'|'.join(options)})"


def _segment(text: str, *, after_star: bool = False, before_star: bool = False) -> str:
    """Return the regular expression of a part without stars."""
    pieces = parse(text)
    regex = "".join(
        piece.regex() if isinstance(piece, Span) else "".join("." if sign == "?" else re.escape(sign) for sign in piece)
        for piece in pieces
    )
    begins = "(?<![0-9])" if after_star and pieces and isinstance(pieces[0], Span) else ""
    ends = "(?![0-9])" if before_star and pieces and isinstance(pieces[-1], Span) else ""
    return begins + regex + ends


def _forms(name: str) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield each way to see a name as a number between two texts."""
    for number in _NUMBER.finditer(name):
        yield (name[: number.start()], name[number.end() :]), number[0]


def _runs(numbers: Sequence[str]) -> Iterator[str]:
    """Yield runs of consecutive numbers as `[01-04]`, and those that stand alone as they are."""
    left = dict.fromkeys(sorted(numbers, key=lambda number: (int(number or 0), len(number))))
    while left:
        first = last = next(iter(left))
        del left[first]
        width = len(first) if first.startswith("0") else 1
        while first and (following := f"{int(last) + 1:0{width}d}") in left:
            del left[following]
            last = following
        yield first if first == last else f"[{first}-{last}]"
