"""Finds where a shell's here-document ends, where all shells agree on it."""

from __future__ import annotations

import re

from vigo.core.values import dataclass

_OPENING = re.compile(
    r"<<(?P<dash>-?)[ \t]*"
    r"(?:'(?P<single>[\w.+-]+)'|\"(?P<double>[\w.+-]+)\"|(?P<escape>\\?)(?P<bare>[\w.+-]+))"
    r"(?=[ \t\n;&|()<>]|\Z)",
    re.ASCII,
)
_SIMPLE_EXPANSION = re.compile(r"\$\([^(){}'\"\\`$\n]*\)|\$\{[^(){}'\"\\`$\n]*\}")
_EXPANSION = re.compile(r"`|\$[({\[]")


@dataclass(frozen=True, slots=True)
class Heredoc:
    """A here-document whose body has not begun yet."""

    delimiter: str
    is_quoted: bool
    """Whether the body is taken as it is."""
    strips_tabs: bool


def read_opening(text: str, at: int) -> tuple[Heredoc, int] | None:
    """Read `<<WORD` or `<<-WORD` at `at` and return it with the offset after it; None unless the word is a plain one."""
    match = _OPENING.match(text, at)
    if match is None:
        return None
    quoted = match["single"] or match["double"]
    delimiter = quoted or match["bare"]
    return Heredoc(delimiter, bool(quoted or match["escape"]), bool(match["dash"])), match.end()


def body_end(text: str, at: int, heredoc: Heredoc) -> int | None:
    """Return the offset after the line that ends the body beginning at `at`; None when there is no such line."""
    while at < len(text):
        line_end = text.find("\n", at)
        end = len(text) if line_end < 0 else line_end
        line = text[at:end]
        at = end + 1
        if (line.lstrip("\t") if heredoc.strips_tabs else line) == heredoc.delimiter:
            return min(at, len(text))
    return None


def is_certain(body: str, heredoc: Heredoc) -> bool:
    """Say whether all shells see the end of this body in the same place.

    They do not when an unquoted body joins lines with a backslash, or holds an expansion that may reach over lines.
    """
    return heredoc.is_quoted or not ("\\\n" in body or _EXPANSION.search(_SIMPLE_EXPANSION.sub("", body)))
