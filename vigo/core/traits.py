"""Traits: facts about a host under dotted paths. Reading them, laying one layer over another, comparing values.

Rule 1: layers merge key by key, the upper one wins; a value over a map (or the reverse) takes the whole key.
Rule 2: equality is by text (`true`, `24.04`, `8`); order is natural: runs of digits count as numbers.
Rule 3: a list compares as "one of them"; its negation as "none of them".
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

from vigo.core.model import Scalar, TraitValue
from vigo.core.nodes import ListNode, MapNode, Mark, Node, read_scalar, wrong
from vigo.core.values import dataclass

_KEY: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,62}", re.ASCII)
_INTEGER: Final = re.compile(r"-?\d{1,18}", re.ASCII)
_TOKEN: Final = re.compile(r"\d+|[^\d.]+", re.ASCII)
_ITEMS_MAX: Final = 1_000
REGEX_MAX: Final = 200
_REPEATS_MAX: Final = 4
_BACK_REFERENCES: Final = frozenset("123456789")
_REGEX_PART: Final = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?P=|\(\??|.", re.DOTALL)
"""An escape, a class, the beginning of a group, or any one character."""

Paths: TypeAlias = Mapping[str, TraitValue]


@dataclass(frozen=True, slots=True)
class Layer:
    """Traits from one place, by dotted path."""

    values: Paths
    branches: frozenset[str]
    """Every path that has something below it: `os` for `os.distro`."""

    def over(self, below: Layer) -> Layer:
        """Return this layer laid over another one."""
        if not self.values:
            return below
        if not below.values:
            return self
        values = below.values
        if not (self.branches.isdisjoint(values) and below.branches.isdisjoint(self.values)):
            values = {path: value for path, value in values.items() if not self._covers(path)}
            return layer({**values, **self.values})
        return Layer({**values, **self.values}, self.branches | below.branches)

    def _covers(self, path: str) -> bool:
        return path in self.branches or any(parent in self.values for parent in _parents(path))


EMPTY: Final = Layer({}, frozenset())


def layer(values: Paths) -> Layer:
    """Return flat values as a layer."""
    return Layer(values, frozenset(parent for path in values for parent in _parents(path)))


def read_traits(node: MapNode) -> Layer:
    """Return a `traits:` map flattened to dotted paths. Raises ConfigError for a key or a value that is no trait."""
    branches: set[str] = set()
    return Layer({path: value for path, _, value in walk(node, branches=branches)}, frozenset(branches))


def walk(node: MapNode, prefix: str = "", branches: set[str] | None = None) -> Iterator[tuple[str, Mark, TraitValue]]:
    """Yield each trait of a map as path, place of its key, value; and collect the paths in between in `branches`."""
    for key, (mark, child) in node.entries.items():
        if _KEY.fullmatch(key) is None:
            raise _bad_key(key, mark)
        path = prefix + key
        if isinstance(child, MapNode):
            if branches is not None:
                branches.add(path)
            yield from walk(child, path + ".", branches)
        else:
            yield path, mark, read_value(child, path)


def read_value(node: Node, path: str) -> TraitValue:
    """Return the value of one trait: text, integer, boolean, or a list of these."""
    if not isinstance(node, ListNode):
        return _readable(read_scalar(node, path), node.mark, path)
    if len(node.items) > _ITEMS_MAX:
        raise wrong(node.mark, path, f"has more than {_ITEMS_MAX} items", "make the list shorter")
    return tuple(_readable(read_scalar(item, path), item.mark, path) for item in node.items)


def text(value: Scalar) -> str:
    """Return a value as it is written in a target: `true`, `8`, `ubuntu`."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def texts(value: TraitValue) -> tuple[str, ...]:
    """Return the texts of a value: one, or one for each item of a list."""
    return tuple(map(text, value)) if isinstance(value, tuple) else (text(value),)


def natural(word: str) -> tuple[tuple[int, int, str], ...]:
    """Return a key that orders versions and numbers as people do: 9 < 10, 22.04 < 24.04 < 24.04.1, `a2` < `a10`.

    Dots only separate, leading zeros do not count, and letters come before numbers.
    """
    return tuple(_token_key(token) for token in _TOKEN.findall(word))


def compare(left: str, right: str) -> int:
    """Return a negative number, 0 or a positive one as `left` is before, like or after `right` in natural order."""
    if _INTEGER.fullmatch(left) and _INTEGER.fullmatch(right):
        return int(left) - int(right)
    before, after = natural(left), natural(right)
    return (before > after) - (before < after)


def _parents(path: str) -> Iterator[str]:
    end = path.find(".")
    while end != -1:
        yield path[:end]
        end = path.find(".", end + 1)


def _bad_key(key: str, mark: Mark) -> Exception:
    if "." in key:
        first, _, rest = key.partition(".")
        return wrong(mark, key, "a trait's key has no dots", f"nest it, {first}: {{{rest}: …}}")
    return wrong(mark, key, "is no trait's key", "use letters, digits, _ and -, at most 63")


def _readable(value: Scalar, mark: Mark, path: str) -> Scalar:
    if isinstance(value, str) and not value.isprintable() and any(_is_control(sign) for sign in value):
        raise wrong(mark, path, "holds a control character", "leave it out")
    return value


def _is_control(sign: str) -> bool:
    return (sign < " " and sign not in "\t\n") or "\x7f" <= sign < "\xa0"


def _token_key(token: str) -> tuple[int, int, str]:
    if not "0" <= token[0] <= "9":
        return (0, 0, token)
    digits = token.lstrip("0")
    return (1, len(digits), digits)


def compile_regex(pattern: str) -> re.Pattern[str]:
    """Compile the pattern of `=~`, to be used with `search`.

    Raises ValueError, with the reason and the way out, for what is no regular expression, and for shapes whose time
    grows faster than a power of the value's length: a repeated group that repeats or chooses itself, back references.
    """
    if len(pattern) > REGEX_MAX:
        raise ValueError(f"the pattern has more than {REGEX_MAX} characters; shorten it")
    _refuse_explosive(pattern)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return re.compile(pattern)
    except (re.error, OverflowError, RecursionError, Warning) as error:
        raise ValueError(f"this is no regular expression: {error}; correct it, or use = with * and ?") from error


def _refuse_explosive(pattern: str) -> None:
    """Raise ValueError for a repeated group that holds a repetition or a choice, and for too many repetitions."""
    choosy, closed, repeats = [False], False, 0
    for part in _REGEX_PART.finditer(pattern):
        if part[0] == "(?P=" or (part[0][0] == "\\" and part[0][1:] in _BACK_REFERENCES):
            raise ValueError("the pattern refers back to a group; write it without")
        match part[0][0]:
            case "(":
                choosy.append(False)
            case ")" if len(choosy) > 1:
                closed = choosy.pop()
                choosy[-1] |= closed
                continue
            case "*" | "+" | "{":
                repeats += 1
                choosy[-1] = True
                if closed or repeats > _REPEATS_MAX:
                    raise ValueError("the pattern repeats a repetition or repeats too often; write it more simply")
            case "|":
                choosy[-1] = True
            case _:
                pass
        closed = False
