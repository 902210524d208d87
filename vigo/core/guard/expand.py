"""Expands words: quotes, braces, tildes, parameters, substitutions, field splitting. Globs stay, as patterns.

What a word becomes is a set of alternatives, because a variable may hold one thing or the other; each alternative is a
list of fields, because an unquoted expansion may split.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import islice, product
from typing import Protocol

from vigo.core.guard import params
from vigo.core.guard.ansi import unescape
from vigo.core.guard.braces import brace_expand
from vigo.core.guard.prescan import expansion_end
from vigo.core.guard.words import (
    ALTERNATIVES_MAX,
    EMPTY,
    HOLE,
    STAR,
    UNKNOWN,
    Value,
    concat,
    globbed,
    literal,
)

Fields = tuple[str, ...]
Choice = str | Fields
"""What one piece becomes: text, or for `"$@"` and arrays a list of fields."""


_LITERAL = re.compile(r"[\w./:,%^@=-]+", re.ASCII)
"""A word in which nothing can be expanded."""
_SIMPLE = re.compile(r"""'(?P<said>[^']*)'|"\$(?P<brace>\{)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?(brace)\})\"""", re.ASCII)
"""A word that is one quotation, or one variable within double quotes."""


class Scope(Protocol):
    """What expansion asks of the evaluation around it."""

    def variable(self, name: str) -> Value | None:
        """Return what a variable may hold; None when nothing is known to have set it."""

    def fields_of(self, name: str) -> Fields | None:
        """Return the fields of an array, or of the positional parameters for `@` and `*`."""

    def assign(self, name: str, value: Value) -> None:
        """Set a variable (`${x:=y}`)."""

    def substitute(self, code: str, at: int) -> Value:
        """Run a command substitution; the text it prints."""

    def spend(self, count: int) -> None:
        """Count work."""

    def process(self, code: str, at: int, *, feeds: bool) -> str:
        """Run a process substitution; the name of the file it stands for."""


def fields(scope: Scope, raw: str, at: int) -> tuple[Fields, ...]:
    """Expand a word that stands as an argument: for each alternative, the fields it becomes."""
    if _LITERAL.fullmatch(raw):
        return ((raw,),)
    simple = _SIMPLE.fullmatch(raw)
    if simple:
        name = simple["name"]
        return ((simple["said"],),) if name is None else tuple((text,) for text in scope.variable(name) or UNKNOWN)
    words = brace_expand(raw)
    if len(words) > 1:
        scope.spend(len(words) * (1 + (raw.count("{") + raw.count(",")) // 4))
    per_word = [_fields(scope, word, at) for word in words]
    if len(per_word) == 1:
        return per_word[0]
    combined = list(islice(product(*per_word), ALTERNATIVES_MAX)) if len(per_word) <= ALTERNATIVES_MAX else []
    if not combined:
        return (tuple(field for choices in per_word for field in choices[0]),)
    return tuple(tuple(field for part in combination for field in part) for combination in combined)


def single(scope: Scope, raw: str, at: int, *, assigned: bool = False) -> Value:
    """Expand a word that does not split: an assignment's value, a redirection's target, a here-string."""
    values: list[Value] = []
    pieces = _Pieces(scope, raw, at, assigned=assigned).read()
    scope.spend(2 + len(pieces))
    for choices, splits in pieces:
        flat = tuple(choice if isinstance(choice, str) else " ".join(choice) for choice in choices)
        values.append(tuple(map(literal, flat)) if assigned and not splits else flat)
    return concat(*values) if values else EMPTY


def body(scope: Scope, raw: str, at: int) -> Value:
    """Expand the body of a here-document: as in double quotes, but quotes are literal."""
    pieces = _Pieces(scope, raw, at)
    pieces.quoted(0, len(raw), quotes_end=False)
    values = [tuple(c if isinstance(c, str) else " ".join(c) for c in choices) for choices, _ in pieces.out]
    return concat(*values) if values else EMPTY


def _fields(scope: Scope, raw: str, at: int) -> tuple[Fields, ...]:
    pieces = _Pieces(scope, raw, at).read()
    scope.spend(2 + len(pieces))
    separators = scope.variable("IFS") or (" \t\n",)
    combinations = list(islice(product(*(choices for choices, _ in pieces)), ALTERNATIVES_MAX))
    splits = [split for _, split in pieces]
    long = sum(len(choice) for choices, split in pieces if split for choice in choices)
    scope.spend(len(combinations) * (len(pieces) // 4 + long // 32))
    out = [_assemble(combination, splits, separators[0]) for combination in combinations]
    return tuple(dict.fromkeys(out))


@lru_cache(maxsize=16)
def _splitter(separators: str) -> re.Pattern[str]:
    return re.compile(f"[{re.escape(separators)}]+")


def _assemble(combination: tuple[Choice, ...], splits: list[bool], separators: str) -> Fields:
    done: list[str] = []
    current: str | None = None
    for choice, split in zip(combination, splits, strict=False):
        if not isinstance(choice, str):
            parts = list(choice)
        elif split and separators:
            parts = _splitter(separators).split(choice)
        else:
            parts = [choice]
        for count, part in enumerate(parts):
            if count and current is not None:
                done.append(current)
                current = None
            if part or not split:
                current = (current or "") + part
    return tuple(done) if current is None else (*done, current)


_PLAIN = re.compile(r"(?:[^\\'\"$`~@!?*+<>]++|[@!?*+<>](?!\())++")
_IN_QUOTES = re.compile(r"[^\\\"$`]+")
_IN_BODY = re.compile(r"[^\\$`]+")
_NAME = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-])")
_TILDE = re.compile(r"~([A-Za-z0-9_.+-]*)(?=/|:|$)")


class _Pieces:
    def __init__(self, scope: Scope, raw: str, at: int, *, assigned: bool = False) -> None:
        self._scope = scope
        self._raw = raw
        self._at = at
        self._assigned = assigned
        self.out: list[tuple[tuple[Choice, ...], bool]] = []

    def read(self) -> list[tuple[tuple[Choice, ...], bool]]:
        """Read an unquoted word piece by piece."""
        i, end = 0, len(self._raw)
        while i < end:
            match = _PLAIN.match(self._raw, i)
            if match:
                self._add(globbed(match.group()))
                i = match.end()
            else:
                self._scope.spend(2)
                i = self._piece(i, end)
        return self.out

    def _add(self, *choices: Choice, splits: bool = False) -> None:
        self.out.append((choices or EMPTY, splits))

    def _piece(self, i: int, end: int) -> int:
        char = self._raw[i]
        if char == "\\":
            self._add(self._raw[i + 1 : i + 2].replace("\n", ""))
            return i + 2
        if char == "'":
            stop = self._raw.find("'", i + 1)
            stop = end if stop < 0 else stop
            self._add(self._raw[i + 1 : stop])
            return stop + 1
        if char == '"':
            return self.quoted(i + 1, end, quotes_end=True)
        if char in "$`":
            return self._expansion(i, quoted=False)
        return self._mark(i, char)

    def _mark(self, i: int, char: str) -> int:
        follow = self._raw[i + 1 : i + 2]
        if char == "~":
            match = _TILDE.match(self._raw, i)
            if match and (i == 0 or (self._assigned and self._raw[i - 1] == ":")):
                self._add(*self._home(match.group(1)))
                return match.end()
        if char in "<>" and follow == "(":
            stop = expansion_end(self._raw, i, quoted=False)
            self._add(self._scope.process(self._raw[i + 2 : stop - 1], self._at + i + 2, feeds=char == ">"))
            return stop
        if char in "@!?*+" and follow == "(":
            stop = expansion_end(self._raw, i, quoted=False)
            choices = self._raw[i + 2 : stop - 1].split("|") if char in "@?" else [STAR]
            self._add(*map(globbed, choices), *([""] if char == "?" else []))
            return stop
        self._add(globbed(char))
        return i + 1

    def _home(self, user: str) -> Value:
        if user == "+":
            return self._scope.variable("PWD") or UNKNOWN
        if user == "-":
            return self._scope.variable("OLDPWD") or UNKNOWN
        if user:
            return ("/root",) if user == "root" else (f"/home/{user}",)
        return self._scope.variable("HOME") or UNKNOWN

    def quoted(self, i: int, end: int, *, quotes_end: bool) -> int:
        """Read the inside of double quotes, or the body of a here-document."""
        plain = _IN_QUOTES if quotes_end else _IN_BODY
        self._add("")
        while i < end:
            match = plain.match(self._raw, i)
            if match:
                self._add(match.group())
                i = match.end()
                continue
            self._scope.spend(2)
            char = self._raw[i]
            if char == '"':
                return i + 1
            if char == "\\":
                follow = self._raw[i + 1 : i + 2]
                keeps = follow not in {"$", "`", "\\", "\n"} and not (quotes_end and follow == '"')
                self._add(("\\" + follow) if keeps else follow.replace("\n", ""))
                i += 2
                continue
            i = self._expansion(i, quoted=True)
        return i

    # -- expansions --------------------------------------------------------------------------------------------------

    def _expansion(self, i: int, *, quoted: bool) -> int:
        raw = self._raw
        match = _NAME.match(raw, i)
        stop = match.end() if match else expansion_end(raw, i, quoted=quoted)
        self._scope.spend(0 if match else 2 + (stop - i) // 32)
        piece = raw[i:stop]
        if match:
            self._parameter(match.group(1), quoted=quoted)
        elif piece.startswith("`"):
            code = re.sub(r"\\([`$\\])", r"\1", piece[1:-1])
            self._value(self._scope.substitute(code, self._at + i + 1), quoted=quoted)
        elif piece.startswith("$((") and piece.endswith("))"):
            self._value(params.arithmetic(self._scope, piece[3:-2]), quoted=quoted)
        elif piece.startswith("$("):
            self._value(self._scope.substitute(piece[2:-1], self._at + i + 2), quoted=quoted)
        elif piece.startswith("${"):
            self._braced(piece[2:-1], i + 2, quoted=quoted)
        elif piece.startswith("$'"):
            self._add(unescape(piece[2:-1]))
        elif not quoted and raw.startswith('"', i + 1):
            return self.quoted(i + 2, len(raw), quotes_end=True)
        else:
            self._add(piece)
        return stop

    def _parameter(self, name: str, *, quoted: bool) -> None:
        if name in "@*":
            found = self._scope.fields_of(name)
            self._many(found if found is not None else (HOLE,), quoted=quoted, star=name == "*")
            return
        value = self._scope.variable(name)
        self._value(UNKNOWN if value is None else value, quoted=quoted)

    def _many(self, found: Fields, *, quoted: bool, star: bool) -> None:
        if quoted and star:
            self._add(" ".join(found))
        elif quoted:
            self._add(found)
        else:
            self._add(globbed(" ".join(found)), splits=True)

    def _value(self, value: Value, *, quoted: bool) -> None:
        if quoted:
            self._add(*value)
        else:
            self._add(*map(globbed, value), splits=not self._assigned)

    def _braced(self, inner: str, offset: int, *, quoted: bool) -> None:
        match = params.ARRAY.fullmatch(inner)
        if match:
            name = match.group(1) or match.group(3)
            found = self._scope.fields_of(name)
            value = self._scope.variable(name)
            many = found if found is not None else (value or UNKNOWN)[:1]
            self._many(many, quoted=quoted, star=match.group(2) == "*")
            return
        self._value(params.parameter(self._scope, inner, self._at + offset, single), quoted=quoted)
