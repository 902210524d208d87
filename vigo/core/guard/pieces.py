"""Passes over the pieces of a word: quotes, expansions, substitutions, groups. It says where they end, not what they say.

Every bracket and quote is counted on the way: what is too deep or too much is not read at all.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable

DEPTH_MAX = 24
OPENERS_MAX = 1_024
PASSES_MAX = 6_144
ARITHMETIC_MAX = 4_096
NOT_ARITHMETIC_MAX = 8

ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\[[^]]*\])?\+?=")
_NAMED = r"\$(?:[A-Za-z_][A-Za-z0-9_]*+|[0-9@*#?$!-])"
SIMPLE = rf"(?:[^\s;&|<>()\\'\"$`@!?*+=]++|'[^']*+'|\"(?:[^\"\\$`]++|\\[\s\S]|{_NAMED})*+\"|{_NAMED}|[@!?*+=](?!\()|\\[\s\S])"
"""A piece of a word in which no brackets open: plain, quoted, a variable. Never steps back on its way."""
_PLAIN = re.compile(rf"{SIMPLE}++")
_IN_QUOTES = re.compile(r"[^\"\\$`]+")
_IN_BRACES = re.compile(r"[^\\'\"$`}]+")
_IN_GROUP = re.compile(r"[^\\'\"$`()]+")
_IN_ARITHMETIC = re.compile(r"[^()$]+")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-]")
_TICK = re.compile(r"`(?:[^`\\]|\\.)*`", re.DOTALL)
_SINGLE = re.compile(r"'[^']*'")
_ANSI = re.compile(r"\$'(?:[^'\\]|\\.)*'", re.DOTALL)


class OverBudget(Exception):  # noqa: N818 - it is no error of ours: a verdict is made of it
    """A text is larger, deeper or longer to work out than the guard is willing to read; the argument says which."""


class Pieces(ABC):
    """A text and the counts of what was passed in it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._end = len(text)
        self._broken = -1
        self._depth = 0
        self._openers = 0
        self._passes = 0
        self._not_arithmetic = 0
        self._passers: dict[str, Callable[[int], int]] = {
            "\\": self._escape,
            "'": self._single,
            '"': self._double,
            "$": self._dollar,
            "`": self._tick,
        }

    @abstractmethod
    def _substitution(self, i: int) -> int:
        """Pass the commands of a substitution and the bracket that closes it."""

    def _word_end(self, i: int) -> int:
        start = i
        while i < self._end:
            match = _PLAIN.match(self._text, i)
            if match:
                i = match.end()
                continue
            stop = self._piece(i, start)
            if stop == i:
                break
            i = stop
        return i

    def _piece(self, i: int, start: int) -> int:
        """Pass one quoted, escaped or expanded piece of a word; the same offset at the word's end."""
        self._passed()
        char = self._text[i]
        follow = self._text[i + 1 : i + 2]
        if char in "@!?*+=":
            grouped = follow == "(" and (char != "=" or ASSIGNMENT.match(self._text, start) is not None)
            return self._group(i + 2) if grouped else i + 1
        if char in "<>" and follow == "(" and i == start:
            return self._substitution(i + 2)
        passer = self._passers.get(char)
        return passer(i) if passer else i

    def _escape(self, i: int) -> int:
        return min(i + 2, self._end)

    def _single(self, i: int) -> int:
        return self._whole(_SINGLE, i)

    def _tick(self, i: int) -> int:
        self._opener()
        return self._whole(_TICK, i)

    def _whole(self, pattern: re.Pattern[str], i: int) -> int:
        match = pattern.match(self._text, i)
        return match.end() if match else self._left_open(i)

    def _double(self, i: int) -> int:
        start = i
        self._deeper()
        i += 1
        while i < self._end and self._text[i] != '"':
            match = _IN_QUOTES.match(self._text, i)
            i = match.end() if match else self._inner(i, quoted=True)
        self._depth -= 1
        return i + 1 if i < self._end else self._left_open(start)

    def _dollar(self, i: int, *, quoted: bool = False) -> int:
        """Pass one expansion. `$'…'` is a string outside double quotes only; inside them its dollar is literal."""
        follow = self._text[i + 1 : i + 2]
        if self._text.startswith("((", i + 1):
            stop = self._arithmetic(i + 3)
            if stop > 0:
                return stop
        if follow == "(":
            return self._substitution(i + 2)
        if follow == "{":
            return self._brace(i + 2, quoted=quoted)
        if follow == "'" and not quoted:
            return self._whole(_ANSI, i)
        match = _NAME.match(self._text, i + 1)
        return match.end() if match else i + 1

    def _inner(self, i: int, *, quoted: bool) -> int:
        """Pass one character or piece inside quotes, braces or brackets."""
        self._passed()
        char = self._text[i]
        if char == "$":
            return self._dollar(i, quoted=quoted)
        passer = None if quoted and char == "'" else self._passers.get(char)
        return passer(i) if passer else i + 1

    def _brace(self, i: int, *, quoted: bool) -> int:
        self._deeper()
        start = i
        while i < self._end and self._text[i] != "}":
            match = _IN_BRACES.match(self._text, i)
            i = match.end() if match else self._inner(i, quoted=quoted)
        self._depth -= 1
        return i + 1 if i < self._end else self._left_open(start)

    def _group(self, i: int) -> int:
        """Pass a bracketed group inside a word: an extended glob or the list of an array."""
        self._deeper()
        start, open_count = i, 1
        while i < self._end:
            match = _IN_GROUP.match(self._text, i)
            if match:
                i = match.end()
                continue
            char = self._text[i]
            open_count += {"(": 1, ")": -1}.get(char, 0)
            if not open_count:
                break
            i = self._inner(i, quoted=False)
        self._depth -= 1
        return i + 1 if i < self._end else self._left_open(start)

    def _arithmetic(self, i: int) -> int:
        """Return the end of an arithmetic expression, or -1 when the brackets turn out to be subshells."""
        self._deeper()
        stop = self._arithmetic_end(i, min(self._end, i + ARITHMETIC_MAX))
        self._depth -= 1
        if stop < 0:
            self._not_arithmetic += 1
            if self._not_arithmetic > NOT_ARITHMETIC_MAX:
                raise OverBudget("too many doubled brackets")
        return stop

    def _arithmetic_end(self, i: int, bound: int) -> int:
        open_count = 0
        while i < bound:
            char = self._text[i]
            if char == ")" and not open_count:
                return i + 2 if self._text.startswith("))", i) else -1
            open_count += {"(": 1, ")": -1}.get(char, 0)
            match = _IN_ARITHMETIC.match(self._text, i, bound)
            i = match.end() if match else self._dollar(i) if char == "$" else i + 1
        return -1

    def _left_open(self, at: int) -> int:
        if self._broken < 0:
            self._broken = at
        return self._end

    def _passed(self) -> None:
        self._passes += 1
        if self._passes > PASSES_MAX:
            raise OverBudget(f"more than {PASSES_MAX} pieces")

    def _opener(self) -> None:
        self._openers += 1
        if self._openers > OPENERS_MAX:
            raise OverBudget(f"more than {OPENERS_MAX} brackets and blocks")

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise OverBudget("nested too deeply")
        self._opener()
