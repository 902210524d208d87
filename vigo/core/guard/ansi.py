"""Backslash escapes, as `$'…'`, `printf` and `echo -e` read them."""

from __future__ import annotations

import re

_ESCAPE = re.compile(
    r"\\(?:x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{1,4})|U([0-9A-Fa-f]{1,8})|(0?[0-7]{1,3})|c(.)|(.))", re.DOTALL
)
_SIMPLE = {
    "a": "\a",
    "b": "\b",
    "e": "\x1b",
    "E": "\x1b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    "'": "'",
    '"': '"',
    "?": "?",
}
_LAST = 0x10FFFF
_OURS = range(0xD800, 0xE010)
"""Surrogates, and the private code points of `words`."""


def unescape(text: str) -> str:
    """Resolve the escapes in a text; an unknown one stays as it is."""
    return _ESCAPE.sub(_one, text) if "\\" in text else text


def _one(match: re.Match[str]) -> str:
    two, four, eight, octal, control, simple = match.groups()
    digits = two or four or eight
    if digits or octal:
        number = int(digits, 16) if digits else int(octal, 8) & 0xFF
        return chr(number) if 0 < number <= _LAST and number not in _OURS else ""
    if control:
        return chr(ord(control) & 0x1F)
    return _SIMPLE.get(simple, match.group())
