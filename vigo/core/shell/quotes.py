"""Reads what is inside quotes and expansions, where no value can stand, and finds its end."""

from __future__ import annotations

import re

from vigo.core.shell.places import AFTER_BACKSLASH, AFTER_DOLLAR, INSIDE, UNENDED, UnsureError, differ, misplaced
from vigo.core.shell.reading import Code, Frame, Quoted, Reading

_IN_QUOTES = re.compile(r"[^\"\\$`'{}()\n]+")
_IN_BACKTICKS = re.compile(r"[\\'\"#]")
_OPENS_OTHER = frozenset((" ", "\t", "\n", "|"))


def step_in_quotes(reading: Reading, quoted: Quoted) -> None:
    """Take the next piece of what is inside double quotes, `${…}` or `$((…))`. Raises UnsureError."""
    hole = reading.starts.get(reading.at)
    run = _IN_QUOTES.match(reading.text, reading.at)
    if hole is not None:
        reading.refuse(hole, INSIDE[quoted.opener])
        reading.at = reading.holes[hole][1]
    elif run:
        reading.at = run.end()
    elif reading.text[reading.at] == "$":
        dollar(reading)
    elif reading.text[reading.at] == "`":
        backticks(reading)
    elif reading.text[reading.at] == "\n" and reading.heredocs:
        raise misplaced("a quote")
    elif quoted.opener == '"':
        _in_double_quotes(reading)
    elif quoted.opener == "${":
        _in_expansion(reading)
    else:
        _in_arithmetic(reading, quoted)


def _in_double_quotes(reading: Reading) -> None:
    char = reading.text[reading.at]
    if char == "\\":
        escape(reading)
        return
    reading.at += 1
    if char == '"':
        reading.stack.pop()


def _in_expansion(reading: Reading) -> None:
    char = reading.text[reading.at]
    below = reading.stack[-2]
    if char == "{" or (char in "\"'" and isinstance(below, Quoted)):
        raise differ("quotes or braces within ${…}", "leave them out")
    if char == "'":
        skip_quotes(reading, "'")
    elif char == '"':
        reading.push(Quoted('"'), 1)
    elif char == "\\":
        escape(reading)
    else:
        reading.at += 1
        if char == "}":
            reading.stack.pop()


def _in_arithmetic(reading: Reading, quoted: Quoted) -> None:
    char = reading.text[reading.at]
    if char not in "()\n" or (char == ")" and not quoted.depth and not reading.text.startswith("))", reading.at)):
        raise differ("what may be arithmetic or not", "write $( (…) ), or only numbers and names in $((…))")
    if char == ")" and not quoted.depth:
        reading.stack.pop()
        reading.at += 2
        return
    quoted.depth += {"(": 1, ")": -1, "\n": 0}[char]
    reading.at += 1


def escape(reading: Reading) -> None:
    """Take a backslash and the character that it quotes. At the end of the text shells keep it or drop it."""
    if reading.at + 1 == len(reading.text):
        raise UnsureError(UNENDED)
    hole = reading.starts.get(reading.at + 1)
    if hole is None:
        reading.at += 2
        return
    reading.refuse(hole, AFTER_BACKSLASH)
    reading.at += 1


def dollar(reading: Reading) -> None:
    """Take a `$` and what it opens."""
    following = reading.text[reading.at + 1 : reading.at + 3]
    hole = reading.starts.get(reading.at + 1)
    top = reading.stack[-1]
    if hole is not None:
        reading.refuse(hole, AFTER_DOLLAR)
        reading.at += 1
    elif following == "((":
        reading.push(Quoted("$(("), 3)
    elif following.startswith("("):
        _substitution(reading)
    elif following.startswith("{"):
        if following[1:] in _OPENS_OTHER or reading.text.startswith("${\\\n", reading.at):
            raise differ(f"`${following}`", "write $(…)")
        reading.push(Quoted("${"), 2)
    elif following.startswith(("[", "\\\n")):
        raise differ("`$[` or a `$` at the end of a line", "write $((…))")
    elif following.startswith("'") and not (isinstance(top, Quoted) and top.opener == '"'):
        _ansi(reading, top)
    else:
        reading.at += 1


def _substitution(reading: Reading) -> None:
    if reading.heredocs or reading.text.startswith("$(\\\n", reading.at):
        raise misplaced("$(…)")
    reading.push(Code("$("), 2)


def _ansi(reading: Reading, top: Frame) -> None:
    """Take `$'…'`, which some shells read as a `$` and then a quoted text."""
    start = reading.at
    reading.at += 1
    skip_quotes(reading, "$'")
    if "\\" in reading.text[start : reading.at] or isinstance(top, Quoted):
        raise differ("$'…' with a backslash", "write '…'")


def skip_quotes(reading: Reading, opener: str) -> None:
    """Take single quotes, or backticks, to their end."""
    end = reading.text.find(opener[-1], reading.at + 1)
    reading.refuse_until(len(reading.text) if end < 0 else end, INSIDE[opener])
    if end < 0:
        raise UnsureError(UNENDED)
    if reading.heredocs and "\n" in reading.text[reading.at : end]:
        raise misplaced("a quote")
    reading.at = end + 1


def backticks(reading: Reading) -> None:
    """Take an old command substitution as a whole. Raises UnsureError where shells see its end in different places."""
    start = reading.at
    skip_quotes(reading, "`")
    if _IN_BACKTICKS.search(reading.text, start + 1, reading.at - 1):
        raise differ("backticks with quotes, comments or backslashes in them", "write $(…) instead of them")
