"""The one boundary through which text from outside passes on its way to a terminal.

Remote output, banners, host names and inventory text may hold anything. What could drive a terminal (C0 and C1
controls, escape sequences, bidi and zero-width characters, overprinting, floods of combining marks) is shown as a
visible escape instead. The bytes themselves stay in the store.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_MARKS_MAX = 4
_MARK_CATEGORIES = frozenset({"Mn", "Me", "Mc"})
_JOINING_JAMO = (("\u1160", "\u11ff"), ("\ud7b0", "\ud7ff"))
"""Hangul vowels and final consonants: letters by category, drawn into the cell before them like marks."""
_NOT_PLAIN = re.compile(r"[^\x20-\x7e\n\t]+")


def clean(text: str) -> str:
    """Return `text` as one line that no terminal acts on: newlines and tabs are escaped too."""
    return text if text.isascii() and text.isprintable() else _escape(text, kept="")


def clean_block(data: bytes) -> str:
    r"""Return remote output as lines that no terminal acts on.

    Newlines and tabs stay, `\r\n` becomes a newline, a lone carriage return and bytes that are not UTF-8 are shown as
    escapes (`\r`, `\xff`).
    """
    text = data.decode("utf-8", "backslashreplace").replace("\r\n", "\n")
    return _NOT_PLAIN.sub(lambda match: _escape(match[0], kept="\n\t"), text)


def _escape(text: str, *, kept: str) -> str:
    parts: list[str] = []
    marks = 0
    for char in text:
        is_mark, form = _seen(char)
        marks = marks + 1 if is_mark else 0
        if marks <= _MARKS_MAX:
            parts.append(char if char in kept else form)
        elif marks == _MARKS_MAX + 1:
            parts.append("…")
    return "".join(parts)


@lru_cache(maxsize=4096)
def _seen(char: str) -> tuple[bool, str]:
    """Say whether a character is a mark on the one before it, and how it is shown."""
    return _takes_no_cell(char), char if _is_harmless(char) else _visible(char)


def _is_harmless(char: str) -> bool:
    return char.isprintable() or unicodedata.category(char) == "Zs"


def _takes_no_cell(char: str) -> bool:
    return unicodedata.category(char) in _MARK_CATEGORIES or any(a <= char <= z for a, z in _JOINING_JAMO)


def _visible(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
