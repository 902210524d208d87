"""Patterns in the guard's vocabulary, `systemctl stop postgresql`: how one is written, and which commands meet it.

Rule 1: the first word is the command that finally runs, whatever wraps it; with a slash it is that program's path.
Rule 2: each further word must be met by one of its arguments, in any order. `*` is any text, `?` one character.
Rule 3: a path is compared with resolved paths. `/data` is met by `/data/*` too, where everything in it is meant, and by
        a directory above it where the command is recursive.
Rule 4: a word that is wholly unknown (`$X`) meets nothing; one with a known beginning meets what it may be.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from vigo.core.guard.call import Call
from vigo.core.guard.commands import Commands
from vigo.core.guard.units import COMMANDS as UNIT_COMMANDS
from vigo.core.guard.words import ANY, BRACKET, GLOBS, HOLE, LOGIN, PID, STAR, Word, bracket_end, globbed, purify
from vigo.core.guard.wrappers import WRAPPERS
from vigo.core.values import dataclass

TEXT_MAX = 256
WORDS_MAX = 16

_SIGNS = re.compile(r"""[|;&$`'"()<>\\{}\[\]~#!]""")
_OPEN = frozenset({HOLE, PID, LOGIN})
_FIRST_OPEN = re.compile("[" + "".join(sorted(_OPEN)) + "]")
_KNOWN_MIN = 2
"""Characters that must be known of the beginning of a word for it to mean anything."""
_FLAGS = re.compile(r"-[A-Za-z]{1,3}")
_CLUSTER = re.compile(r"-[A-Za-z]{1,5}")
_RECURSIVE = re.compile(r"-[A-Za-z]{0,4}[rR][A-Za-z]{0,4}|--recursive")
_SUFFIX = re.compile(r"\.(?:service|socket|timer|target|path|slice|scope|mount|automount|swap|device)$")
_INSTANCE = re.compile(r"@[^.]*$")
_TOKEN = re.compile(r"[^\s|;&$`'\"()<>\\{}/]+")


class PatternError(ValueError):
    """A text that is no pattern; the caller adds the place."""

    def __init__(self, reason: str, way_out: str) -> None:
        super().__init__(f"{reason}; {way_out}")
        self.reason = reason
        self.way_out = way_out


@dataclass(frozen=True, slots=True)
class Pattern:
    """A command that is not to be run."""

    text: str
    """As it was written."""
    words: tuple[str, ...]

    @classmethod
    def read(cls, text: str) -> Pattern:
        """Read a pattern. Raises PatternError for a text that no command could ever meet."""
        if len(text) > TEXT_MAX:
            raise PatternError(f"is longer than {TEXT_MAX} characters", "write the words that matter")
        words = tuple(text.split())
        if not words or len(words) > WORDS_MAX:
            raise PatternError(f"has {len(words)} words", f"write 1-{WORDS_MAX}")
        bare = " ".join(words[1:] if words[0] in {">", ">>"} else words)
        sign = _SIGNS.search(bare)
        if sign is not None:
            raise PatternError(f"{sign[0]!r} never stands in a resolved command", "write plain words, * and ? allowed")
        if not bare.isprintable() or purify(bare) != bare:
            raise PatternError("has characters that cannot be shown", "write plain words")
        wraps = words[0] in WRAPPERS and not WRAPPERS[words[0]].operands
        if wraps and not all(word.startswith("-") for word in words[1:]):
            raise PatternError(
                f"{words[0]!r} only runs another command", "begin with that command: it is looked for inside"
            )
        return cls(text, words)

    def meets(self, call: Call) -> tuple[Word, ...] | None:
        """Return the words of a call that meet this pattern, or None when it does not."""
        if not self._is_head_of(call):
            return None
        met = [call.head]
        for wanted in self.words[1:]:
            word = next(_meeting(wanted, call), None)
            if word is None:
                return None
            met.append(word)
        return tuple(met)

    def find(self, found: Commands, text: str) -> tuple[int, int] | None:
        """Return where a text would run what this pattern names; None where it would not.

        Of a text that could not be read whole, the command's name standing in it is enough.
        """
        for call in found.calls:
            words = self.meets(call)
            if words is not None:
                return min(word.span[0] for word in words), max(word.span[1] for word in words)
        if found.whole:
            return None
        name = self.words[0].rsplit("/", 1)[-1]
        return next((token.span() for token in _TOKEN.finditer(text) if may_be(name, token[0])), None)

    def _is_head_of(self, call: Call) -> bool:
        head = self.words[0]
        if "/" in head:
            return "/" in call.head.text and any(may_be(head, path) for path in call.paths(call.head))
        return may_be(head, call.name)


def may_be(wanted: str, text: str) -> bool:
    """Tell whether a partly known word may be one that a pattern wants; the time is linear in the word.

    Every place in the pattern that can be reached is a bit; each character of the word moves all of them on.
    """
    if not set(wanted) - {"*"}:
        return True
    if _is_open_early(text):
        return False
    wanted = re.sub(r"\*+", "*", wanted)
    stars, ones, letters = _places(wanted)
    every = (1 << (len(wanted) + 1)) - 1
    state = 1 | (stars & 1) << 1
    at = 0
    while state and at < len(text):
        char = text[at]
        if char == STAR or char in _OPEN:
            state = every & -(state & -state)
        elif char in GLOBS:
            state = (state & ~stars) << 1 | (state & stars)
            at = bracket_end(text, at) or at if char == BRACKET else at
        else:
            state = (state & (letters.get(char, 0) | ones)) << 1 | (state & stars)
        state = (state | (state & stars) << 1) & every
        at += 1
    return bool(state >> len(wanted))


def _places(wanted: str) -> tuple[int, int, dict[str, int]]:
    """Return where the pattern has stars, single wild characters and each letter, as bits."""
    letters: dict[str, int] = {}
    for at, char in enumerate(wanted):
        letters[char] = letters.get(char, 0) | 1 << at
    return letters.pop("*", 0), letters.pop("?", 0), letters


def _is_open_early(text: str) -> bool:
    unknown = _FIRST_OPEN.search(text)
    return unknown is not None and unknown.start() < _KNOWN_MIN


def _meeting(wanted: str, call: Call) -> Iterator[Word]:
    """Yield the arguments of a call that meet one word of a pattern."""
    if _FLAGS.fullmatch(wanted):
        yield from _flags(wanted, call)
    yield from (word for word in call.args if may_be(wanted, word.text) or _means(wanted, word, call))


def _means(wanted: str, word: Word, call: Call) -> bool:
    """Tell whether an argument is another way to write a path or a unit."""
    if wanted.startswith("/"):
        recursive = call.name == "mv" or any(_RECURSIVE.fullmatch(other.text) for other in call.args)
        texts = [text for text in (word.text, word.text.partition("=")[2]) if text]
        paths = [path for text in texts for path in call.paths(Word(text, word.span))]
        return any(_reaches(wanted, path, recursive=recursive) for path in paths)
    return call.name in UNIT_COMMANDS and _names_unit(wanted, word.text)


def _flags(wanted: str, call: Call) -> Iterator[Word]:
    """Yield the first short option of a call that has all letters of `-rf` in its short options, in any order."""
    clusters = [word for word in call.args if _CLUSTER.fullmatch(word.text)]
    if set(wanted[1:]) <= {letter for word in clusters for letter in word.text[1:]}:
        yield from (word for word in clusters if set(wanted[1:]) & set(word.text))


def _reaches(wanted: str, path: str, *, recursive: bool) -> bool:
    """Tell whether a resolved path is the wanted one, all that is in it, or with `recursive` one above it."""
    steps = wanted.split("/")
    above = ["/".join(steps[:count]) or "/" for count in range(1, len(steps))] if recursive else []
    return any(may_be(place, meant) for place in (wanted, *above) for meant in {path: None, _emptied(path): None})


def _emptied(path: str) -> str:
    """Return the directory that a path names all entries of (`/data/*`, `/data/$x`), or the path itself."""
    wild = HOLE if path.endswith(f"/{HOLE}") else STAR + ANY
    bare = path.rstrip(f"{wild}/")
    return bare + path[len(bare) :].partition("/")[0]


def _names_unit(wanted: str, text: str) -> bool:
    """Tell whether a unit's name is the wanted one with its suffix, its instance or a glob."""
    text = globbed(_SUFFIX.sub("", text))
    wanted = _SUFFIX.sub("", wanted)
    return may_be(wanted, text) or may_be(wanted, _INSTANCE.sub("", text))
