"""Regular expressions that come from a command: compiled only when matching them is cheap."""

from __future__ import annotations

import re

LENGTH_MAX = 64
QUANTIFIERS_MAX = 4

_NESTED = re.compile(r"\)[+*{]|[+*}][+*{]")
_COST_MAX = 1_000_000
_ODD_SET = re.compile(r"\[[^]]*(?:\[|--|&&|~~|\|\|)")
_CLASSES = (
    ("[:alnum:]", "a-zA-Z0-9"),
    ("[:alpha:]", "a-zA-Z"),
    ("[:digit:]", "0-9"),
    ("[:lower:]", "a-z"),
    ("[:upper:]", "A-Z"),
    ("[:space:]", r"\s"),
    ("[:blank:]", r" \t"),
)


def compiled(text: str, *, basic: bool = False, fold: bool = False) -> re.Pattern[str] | None:
    """Compile an extended (or a basic) expression; None when it is none, or could cost more than it is worth."""
    for name, members in _CLASSES:
        text = text.replace(name, members)
    if basic:
        text = _extended(text)
    if len(text) > LENGTH_MAX or _NESTED.search(text) or _ODD_SET.search(text):
        return None
    if sum(map(text.count, "*+{")) > QUANTIFIERS_MAX:
        return None
    try:
        return re.compile(text, re.IGNORECASE if fold else 0)
    except (re.error, OverflowError):
        return None


def cheap(expression: re.Pattern[str], text: str) -> bool:
    """Tell whether a match in the longest line of a text stays within bounds, even when it fails."""
    longest = max(map(len, text.split("\n")))
    quantifiers = sum(map(expression.pattern.count, "*+{"))
    cost: int = longest**quantifiers
    return cost <= _COST_MAX


def _extended(text: str) -> str:
    """Turn a basic expression into an extended one: brackets and bars trade places with their escaped forms."""
    return re.sub(
        r"\\?[(){}|+?]", lambda match: match.group()[1:] if len(match.group()) > 1 else "\\" + match.group(), text
    )
