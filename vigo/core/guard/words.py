"""The alphabet of partly known words, and how such words are matched.

A word that the guard works with is a string in which a few private code points stand for what quoting and expansion
leave open: a hole is text that nobody can know before the command runs, the others are glob characters that were not
quoted. Everything else is literal. A `Value` is what a word may be: one string for each way the command can take.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import product

from vigo.core.guard.pieces import OverBudget
from vigo.core.values import dataclass

HOLE = "\ue000"
STAR = "\ue001"
ANY = "\ue002"
BRACKET = "\ue003"
PID = "\ue004"
"""Stands before the name of a program: the word is the process id of that program."""
LOGIN = "\ue005"
"""The name of the user the command runs as."""

_PRIVATE = re.compile("[\ue000-\ue00f\ud800-\udfff]")
_SHOWN = str.maketrans({STAR: "*", ANY: "?", BRACKET: "[", HOLE: "…", PID: "pid of ", LOGIN: "$USER"})
GLOBS = frozenset({STAR, ANY, BRACKET})

ALTERNATIVES_MAX = 16
VALUE_MAX = 16_384
STARS_MAX = 4
WILD_MAX = 64
COMBINATIONS_MAX = 8

Value = tuple[str, ...]
UNKNOWN: Value = (HOLE,)
EMPTY: Value = ("",)


@dataclass(frozen=True, slots=True)
class Word:
    """One expanded word and where it came from: character offsets into the judged text."""

    text: str
    span: tuple[int, int]


def purify(text: str) -> str:
    """Replace what would be mistaken for our own alphabet, one character for one."""
    return _PRIVATE.sub("\ufffd", text)


def globbed(text: str) -> str:
    """Make glob characters active: the text stands unquoted."""
    return text.replace("*", STAR).replace("?", ANY).replace("[", BRACKET)


def literal(text: str) -> str:
    """Make glob characters plain again: an assignment keeps them as they are."""
    return text if text.isascii() else text.replace(STAR, "*").replace(ANY, "?").replace(BRACKET, "[")


def shown(text: str) -> str:
    """Write a word for people: a hole is `…`."""
    return text.translate(_SHOWN)


def known(text: str) -> bool:
    """Tell whether nothing in a word is open."""
    return not (HOLE in text or PID in text or GLOBS & set(text))


def join(*values: Value) -> Value:
    """Unite what a word may be; beyond the bound the rest is a hole."""
    united = tuple(dict.fromkeys(text for value in values for text in value))
    return united if len(united) <= ALTERNATIVES_MAX else (*united[: ALTERNATIVES_MAX - 1], HOLE)


def concat(*values: Value) -> Value:
    """Put values one after the other, in every combination within the bound."""
    if all(len(value) == 1 for value in values):
        return ("".join(value[0] for value in values)[:VALUE_MAX],)
    out: Value = EMPTY
    for value in values:
        out = tuple(dict.fromkeys((a + b)[:VALUE_MAX] for a, b in product(out, value)))[:ALTERNATIVES_MAX]
    return out


@lru_cache(maxsize=2048)
def pattern(word: str, *, anything: str = "[^/]*") -> re.Pattern[str]:
    """Compile a word to an expression that matches what it may be; `anything` stands for a hole.

    With more stars than the bound, what lies between the first and the last one is taken for anything: the cost of a
    match must not grow with what a stranger writes. `OverBudget` with more wildcards than the guard reads.
    """
    if sum(map(word.count, (STAR, ANY, BRACKET))) > WILD_MAX:
        raise OverBudget(f"more than {WILD_MAX} wildcards in a word")
    stars = [at for at, char in enumerate(word) if char in {STAR, HOLE}]
    if len(stars) > STARS_MAX:
        word = word[: stars[0]] + HOLE + word[stars[-1] + 1 :]
    out: list[str] = []
    i = 0
    while i < len(word):
        char = word[i]
        if char == BRACKET:
            stop = bracket_end(word, i)
            out.append(_bracket(word[i + 1 : stop]) if stop else re.escape("["))
            i = stop or i
        elif char in {STAR, HOLE}:
            piece = anything if char == HOLE else "[^/]*"
            if not out or out[-1] != piece:
                out.append(piece)
        else:
            out.append("[^/]" if char == ANY else re.escape(char))
        i += 1
    return re.compile("".join(out), re.DOTALL)


def bracket_end(word: str, i: int) -> int:
    """Return the offset of the `]` that ends the bracket opened at `i`, or 0."""
    start = i + 2 if word[i + 1 : i + 2] in {"!", "^"} else i + 1
    stop = word.find("]", start + 1)
    while stop > 0 and word[stop - 1] == ":" and _CLASS_OPEN.search(word, start, stop):
        start, stop = stop, word.find("]", stop + 1)
    return max(stop, 0)


_CLASS_OPEN = re.compile(f"[\\[{BRACKET}]:[a-z]+:$")
_CLASSES = {
    "[:alpha:]": "a-zA-Z",
    "[:lower:]": "a-z",
    "[:upper:]": "A-Z",
    "[:alnum:]": "a-zA-Z0-9",
    "[:digit:]": "0-9",
    "[:graph:]": "!-~",
    "[:print:]": " -~",
}


def _bracket(inner: str) -> str:
    inner = literal(inner)
    negated = inner[:1] in {"!", "^"}
    inner = inner[1:] if negated else inner
    for name, members in _CLASSES.items():
        inner = inner.replace(name, members)
    members = "".join(_members(inner))
    return f"[{'^' if negated else ''}{members}]" if members else "(?!)"


def _members(inner: str) -> Iterator[str]:
    """Write the members of a bracket as an expression's set; a range that runs backwards has none."""
    at = 0
    while at < len(inner):
        if inner[at + 1 : at + 2] == "-" and at + 2 < len(inner):
            if inner[at] <= inner[at + 2]:
                yield f"{_member(inner[at])}-{_member(inner[at + 2])}"
            at += 3
        else:
            yield _member(inner[at])
            at += 1


def _member(char: str) -> str:
    return char if char.isalnum() else f"\\x{ord(char):02x}" if char.isascii() else re.escape(char)


def matches(word: str, name: str) -> bool:
    """Tell whether a word may be `name`."""
    return word == name or (not word.isascii() and pattern(word).fullmatch(name) is not None)


def combinations(choices: list[list[tuple[Word, ...]]]) -> list[tuple[tuple[Word, ...], ...]]:
    """Combine the alternatives of words; beyond the bound each alternative is still seen once."""
    total = 1
    for choice in choices:
        total *= max(1, len(choice))
    if total <= COMBINATIONS_MAX:
        return list(product(*choices))
    longest = max(map(len, choices))
    return [tuple(choice[min(at, len(choice) - 1)] for choice in choices) for at in range(longest)]
