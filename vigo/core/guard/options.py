"""Splits a command's arguments into options, their values and operands, by the arity each command gives its options."""

from __future__ import annotations

from dataclasses import field

from vigo.core.guard.words import Word
from vigo.core.values import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """Arguments, sorted."""

    flags: frozenset[str] = frozenset()
    """Options seen: short letters one by one, long names without dashes."""
    values: tuple[tuple[str, Word], ...] = ()
    operands: tuple[Word, ...] = field(default=())

    def has(self, *names: str) -> bool:
        """Tell whether any of the options was given."""
        return not self.flags.isdisjoint(names)

    def value(self, *names: str) -> Word | None:
        """Return the first value of any of the options."""
        return next((word for name, word in self.values if name in names), None)


@dataclass(frozen=True, slots=True)
class Arity:
    """Which options of a command take a value from the next word."""

    short: str = ""
    long: frozenset[str] = frozenset()
    permutes: bool = True
    """False: the first operand ends the options (wrappers); what follows is another command's."""
    single_dash_long: bool = False
    """Options are words after one dash (`find`, `openssl`)."""


def split(words: tuple[Word, ...], arity: Arity) -> Options:
    """Sort arguments."""
    flags: set[str] = set()
    values: list[tuple[str, Word]] = []
    at = 0
    operands: list[Word] = []
    while at < len(words):
        word = words[at]
        text = word.text
        at += 1
        if text == "--":
            operands.extend(words[at:])
            break
        if len(text) < 2 or text[0] != "-":  # noqa: PLR2004 - a dash alone is an operand
            operands.append(word)
            if not arity.permutes:
                operands.extend(words[at:])
                break
        elif text.startswith("--") or arity.single_dash_long:
            at = _long(words, at, arity, flags, values)
        else:
            at = _short(words, at, arity, flags, values)
    return Options(frozenset(flags), tuple(values), tuple(operands))


def _long(words: tuple[Word, ...], at: int, arity: Arity, flags: set[str], values: list[tuple[str, Word]]) -> int:
    word = words[at - 1]
    name, equals, given = word.text.lstrip("-").partition("=")
    flags.add(name)
    if equals:
        values.append((name, Word(given, word.span)))
    elif name in arity.long and at < len(words):
        values.append((name, words[at]))
        return at + 1
    return at


def _short(words: tuple[Word, ...], at: int, arity: Arity, flags: set[str], values: list[tuple[str, Word]]) -> int:
    word = words[at - 1]
    letters = word.text[1:]
    for place, letter in enumerate(letters):
        flags.add(letter)
        if letter in arity.short:
            rest = letters[place + 1 :]
            if rest:
                values.append((letter, Word(rest, word.span)))
            elif at < len(words):
                values.append((letter, words[at]))
                return at + 1
            return at
    return at
