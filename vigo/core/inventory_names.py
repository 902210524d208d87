"""What a host, an address or a group may be called, and which known name a mistyped one is nearest to.

A name reaches command lines, paths, logs and target expressions, so whatever means something there is refused here:
blanks, quotes, control characters, a leading `-`, the shell's and the target grammar's own characters.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from difflib import SequenceMatcher
from heapq import nlargest
from typing import Final

from vigo.core.nodes import Mark, shown, wrong

NAME_MAX: Final = 253
"""Characters in a host's name or address, as in DNS."""
RESERVED: Final = frozenset({"all", "and", "or", "not"})
_PLAIN: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,252}", re.ASCII)
_GROUP: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,62}", re.ASCII)
_REFUSED: Final = frozenset("\"'`;$()&|<>[],=!@*?~\\#{}^/")
_CANDIDATES_MAX: Final = 200
_ALIKE: Final = 0.6
_OF_A_PART: Final = 0.99
"""What is like a part of a name is as good as like the whole, but comes after it."""


def check_name(name: str, mark: Mark) -> None:
    """Raise ConfigError unless a host may have this name."""
    if _PLAIN.fullmatch(name) is None:
        _check_signs(name, mark, name)
    if name.lower() in RESERVED or name.lower().startswith("run:"):
        raise wrong(mark, name, "is a word of the target grammar", "give the host another name")


def check_address(address: str, mark: Mark) -> None:
    """Raise ConfigError unless the text can be an address: a name, IPv4, or IPv6 without brackets."""
    if _PLAIN.fullmatch(address) is None:
        _check_signs(address, mark, "address")


def check_group(name: str, mark: Mark) -> None:
    """Raise ConfigError unless a group may have this name; dots make paths of groups and are in no name."""
    if _GROUP.fullmatch(name) is None:
        way_out = "nest groups with `groups:`" if "." in name else "use letters, digits, _ and -, at most 63"
        raise wrong(mark, name, "is no name for a group", way_out)


def nearest(word: str, names: Collection[str], *, count: int = 3) -> tuple[str, ...]:
    """Return up to `count` names that `word` may have been meant to be, the likeliest first.

    Where it begins names (`web-01` for `web-01.example.com`) those alone are meant, else those that look alike. A word
    without dots is also compared with the first part of a name, a host's own, and with the last, a group's own. The time is
    bounded: of many names only the 200 that share the longest beginning and end with the word are compared closely.
    """
    wanted = word.lower()[:NAME_MAX]
    close = nlargest(_CANDIDATES_MAX, names, key=lambda name: _shared(wanted, name.lower()))
    scored = sorted(((-_likeness(wanted, name.lower()), name) for name in close), key=lambda scored: scored[0])
    least = 1.0 if scored and scored[0][0] == -1.0 else _ALIKE
    return tuple(name for score, name in scored[:count] if -score >= least)


def did_you_mean(word: str, names: Collection[str]) -> str:
    """Return `did you mean …?` with the nearest names, or an empty text when none is near."""
    near = nearest(word, names)
    return f"did you mean {' or '.join(near)}?" if near else ""


def _check_signs(text: str, mark: Mark, key: str) -> None:
    fault = _fault(text)
    if fault is not None:
        subject = "" if key == text else f"{shown(text)} "
        way_out = "write whole numbers as [01-20]" if "[" in text or "]" in text else "use letters, digits and ._-"
        raise wrong(mark, key or '""', subject + fault, way_out)


def _fault(text: str) -> str | None:
    """Return what keeps a text from being a name."""
    if not text:
        return "is no name"
    if len(text) > NAME_MAX:
        return f"has {len(text)} characters, at most {NAME_MAX} are allowed"
    if text.startswith("-"):
        return "begins with -, as an option would"
    for sign in text:
        if sign.isspace():
            return "holds a blank, which no name may"
        if sign in _REFUSED or not sign.isprintable():
            return f"holds {sign if sign.isprintable() else f'U+{ord(sign):04X}'}, which no name may"
    return None


def _shared(one: str, other: str) -> int:
    """Return how many characters two texts share at their beginning, and, up to eight, at their end."""
    bound = min(len(one), len(other))
    start = next((at for at in range(bound) if one[at] != other[at]), bound)
    bound = min(bound - start, 8)
    return start + next((at for at in range(bound) if one[-1 - at] != other[-1 - at]), bound)


def _likeness(wanted: str, name: str) -> float:
    if wanted and name.startswith((wanted + ".", wanted + "-")):
        return 1.0
    whole = SequenceMatcher(None, wanted, name).ratio()
    if "." in wanted or "." not in name:
        return whole
    parts = name.partition(".")[0], name.rpartition(".")[2]
    return max(whole, *(_OF_A_PART * SequenceMatcher(None, wanted, part).ratio() for part in parts))
