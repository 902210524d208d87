"""Parameter expansion: `${name}` and its operators, on values of which parts may be unknown."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

from vigo.core.guard.words import EMPTY, HOLE, STAR, UNKNOWN, Value, globbed, join, pattern

ARRAY = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\[([@*])\]|([@*])")
_BRACED = re.compile(
    r"(?P<mark>[!#]?)(?P<name>[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?$!-])(?:\[(?P<index>[^]]*)\])?(?P<rest>.*)", re.DOTALL
)
_DEFAULT = re.compile(r"(:?)([-=+?])(.*)", re.DOTALL)
_TRIM = re.compile(r"(##?|%%?)(.*)", re.DOTALL)
_REPLACE = re.compile(r"/([/#%]?)((?:[^/\\]|\\.)*)(?:/(.*))?", re.DOTALL)
_SLICE = re.compile(r":\s*(-?\d+|\(-\d+\)|\s-\d+)\s*(?::\s*(-?\d+))?")
_CASE = re.compile(r"(\^\^?|,,?)")
_NUMBER = re.compile(r"[0-9]+")
_ARITHMETIC = re.compile(r"[0-9+\-*/%() ]+")

Single = Callable[..., Value]
TEXT_MAX = 256
SHORT_MAX = 32
"""With several stars in a pattern the cost of a match grows with a power of the length."""


class _Scope(Protocol):
    def variable(self, name: str) -> Value | None: ...
    def fields_of(self, name: str) -> tuple[str, ...] | None: ...
    def assign(self, name: str, value: Value) -> None: ...


def parameter(scope: _Scope, inner: str, at: int, single: Single) -> Value:
    """Expand what stands between `${` and `}`; `single` expands the words inside it."""
    match = _BRACED.fullmatch(inner)
    if not match:
        return UNKNOWN
    name, index, rest = match["name"], match["index"], match["rest"]
    value = _value(scope, name, index)
    if match["mark"] == "!" and value is not None:
        targets = [scope.variable(target) for target in value]
        value = join(*(target for target in targets if target is not None)) or None
    if match["mark"] == "#":
        return UNKNOWN if value is None else tuple(HOLE if HOLE in text else str(len(text)) for text in value)
    default = _DEFAULT.fullmatch(rest)
    if default:
        return _default(scope, name, value, default, at + match.start("rest") + default.start(3), single)
    if value is None:
        return UNKNOWN
    return tuple(dict.fromkeys(_operate(scope, text, rest, at, single) for text in value)) if rest else value


def _value(scope: _Scope, name: str, index: str | None) -> Value | None:
    if index is None:
        return scope.variable(name)
    found = scope.fields_of(name)
    if found is None:
        return scope.variable(name) if index == "0" else scope.variable(f"{name}[{index}]")
    if _NUMBER.fullmatch(index):
        return (found[int(index)],) if int(index) < len(found) else EMPTY
    return (found[-1],) if index == "-1" and found else found or EMPTY


def _default(scope: _Scope, name: str, value: Value | None, match: re.Match[str], at: int, single: Single) -> Value:
    colon, operator, word = match.groups()
    if operator == "?":
        return UNKNOWN if value is None else value
    given = single(scope, word, at)
    if operator == "+":
        return join(EMPTY, given) if value is None else given
    if value is None:
        chosen = join(UNKNOWN, given)
    else:
        chosen = join(*((given if colon and not text else (text,)) for text in value))
        if HOLE in value:
            chosen = join(chosen, given)
    if operator == "=":
        scope.assign(name, chosen)
    return chosen


def _operate(scope: _Scope, text: str, rest: str, at: int, single: Single) -> str:
    if text == HOLE or len(text) > TEXT_MAX:
        return HOLE
    trim = _TRIM.fullmatch(rest)
    if trim:
        return _trim(text, trim.group(1), single(scope, trim.group(2), at)[0])
    replace = _REPLACE.fullmatch(rest)
    if replace:
        mode, old, new = replace.groups()
        return _replace(text, mode, single(scope, old, at)[0], single(scope, new or "", at)[0])
    cut = _SLICE.fullmatch(rest)
    if cut:
        return _slice(text, int(cut.group(1).strip(" ()")), cut.group(2))
    case = _CASE.fullmatch(rest)
    if case:
        changed = text.upper() if rest[0] == "^" else text.lower()
        return changed if len(rest) > 1 else changed[:1] + text[1:]
    return text if rest in {"@Q", "@E"} else HOLE


def _slice(text: str, start: int, length: str | None) -> str:
    if HOLE in text:
        return HOLE
    tail = text[start:]
    return tail if length is None else tail[: int(length)]


def _expression(word: str) -> str:
    return pattern(word, anything=".*").pattern.replace("[^/]", "(?s:.)")


def _costly(text: str, word: str) -> bool:
    return len(text) > SHORT_MAX and word.count(STAR) + word.count(HOLE) > 1


def _trim(text: str, operator: str, word: str) -> str:
    if _costly(text, word):
        return HOLE
    expression = re.compile(_expression(word), re.DOTALL)
    ends = range(len(text) + 1) if len(operator) == 1 else range(len(text), -1, -1)
    for size in ends:
        if operator[0] == "#" and expression.fullmatch(text, 0, size):
            return text[size:]
        if operator[0] == "%" and expression.fullmatch(text, len(text) - size):
            return text[: len(text) - size]
    return text


def _replace(text: str, mode: str, old: str, new: str) -> str:
    if not old:
        return text
    if _costly(text, old):
        return HOLE
    anchored = {"#": rf"\A(?:{_expression(old)})", "%": rf"(?:{_expression(old)})\Z"}.get(mode, _expression(old))
    return re.sub(anchored, lambda _: new, text, count=0 if mode == "/" else 1, flags=re.DOTALL)


def arithmetic(scope: _Scope, inner: str) -> Value:
    """Work out an expression of whole numbers, when it is one."""
    del scope
    text = inner.strip()
    if not _ARITHMETIC.fullmatch(text) or len(text) > len("000000 + 000000"):
        return UNKNOWN
    match = re.fullmatch(r"(\d+)\s*([-+*])?\s*(\d+)?", text)
    if not match:
        return UNKNOWN
    left, operator, right = match.groups()
    if not operator or right is None:
        return (left,)
    numbers = {"+": int(left) + int(right), "-": int(left) - int(right), "*": int(left) * int(right)}
    return (str(numbers[operator]),)


__all__ = ["ARRAY", "arithmetic", "globbed", "parameter"]
