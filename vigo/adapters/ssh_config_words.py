"""How ssh_config cuts a line into words, and what its patterns match: exactly as OpenSSH does it, quirks included.

Sources: ssh_config(5), and the behaviour of `ssh -G`, against which a test compares it. Nothing is read from disk here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

BLANKS: Final = " \t\r\n"
_WORD_END: Final = re.compile(r'[ \t\r\n"=]')
_QUOTES: Final = "\"'"

Matcher: TypeAlias = Callable[[str], bool]


class BadLine(Exception):  # noqa: N818 - it becomes an error with a place where the place is known
    """A line that cannot be read; the text says why."""


def keyword_of(line: str) -> tuple[str, str]:
    """Return a line's keyword in lower case and what follows it; an empty keyword is a blank line or a comment."""
    text = line.rstrip(BLANKS + "\f")
    word, rest = next_word(text)
    if word == "" and rest is not None:  # leading blanks
        word, rest = next_word(rest)
    if not word or word.startswith("#"):
        return "", ""
    return word.lower(), (rest or "").lstrip(BLANKS)


def next_word(text: str | None) -> tuple[str | None, str | None]:
    """Cut the next word off: it ends at blanks, at one `=`, or at the end of a quoted part; None after the last one."""
    if text is None:
        return None, None
    found = _WORD_END.search(text)
    if found is None:
        return text, None
    at = found.start()
    if text[at] == '"':
        end = text.find('"', at + 1)
        if end < 0:
            return None, None
        return text[:at] + text[at + 1 : end], text[end + 1 :].lstrip(BLANKS)
    word, rest = text[:at], text[at + 1 :].lstrip(BLANKS)
    if text[at] != "=" and rest.startswith("="):
        rest = rest[1:].lstrip(BLANKS)
    return word, rest


def arguments(text: str) -> list[str]:
    """Return the words of what follows a keyword: quotes and backslashes undone, up to a `#` that begins a word.

    Raises BadLine for a quote that is not closed.
    """
    words: list[str] = []
    at = 0
    while at < len(text):
        if text[at] in " \t":
            at += 1
            continue
        if text[at] == "#":
            break
        word, at = _argument(text, at)
        words.append(word)
    return words


def _argument(text: str, at: int) -> tuple[str, int]:
    word: list[str] = []
    quote = ""
    while at < len(text):
        sign = text[at]
        following = text[at + 1 : at + 2]
        if sign == "\\" and following and (following in "'\"\\" or (not quote and following == " ")):
            word.append(following)
            at += 1
        elif not quote and sign in " \t":
            break
        elif not quote and sign in _QUOTES:
            quote = sign
        elif quote == sign:
            quote = ""
        else:
            word.append(sign)
        at += 1
    if quote:
        raise BadLine(f"a {quote} is not closed; close it")
    return "".join(word), at


def any_of(patterns: Iterable[str]) -> Matcher:
    """Return what tells whether a name matches one of the patterns and none of those that begin with `!`."""
    listed = list(patterns)
    wanted = _matcher(pattern for pattern in listed if not pattern.startswith("!"))
    unwanted = [pattern[1:] for pattern in listed if pattern.startswith("!")]
    if not unwanted:
        return wanted
    refused = _matcher(unwanted)
    return lambda name: wanted(name) and not refused(name)


def pattern_list(text: str, *, ignore_case: bool = False) -> Matcher:
    """Return what tells whether a name matches a list that is separated by commas, as `any_of` would."""
    if not ignore_case:
        return any_of(text.split(","))
    matches = any_of(text.lower().split(","))
    return lambda name: matches(name.lower())


def _matcher(patterns: Iterable[str]) -> Matcher:
    listed = set(patterns)
    exact = frozenset(pattern for pattern in listed if not set(pattern) & {"*", "?"})
    globs = [_regex(pattern) for pattern in sorted(listed - exact)]
    if not globs:
        return exact.__contains__
    match = re.compile("|".join(globs), re.DOTALL).fullmatch
    return lambda name: name in exact or match(name) is not None


def _regex(pattern: str) -> str:
    signs = re.sub(r"\*+", "*", pattern)
    return "".join(".*" if sign == "*" else "." if sign == "?" else re.escape(sign) for sign in signs)
