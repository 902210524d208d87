"""Brace expansion: `{a,b}` and `{1..3}`, outside quotes."""

from __future__ import annotations

import re
from itertools import pairwise

from vigo.core.guard.pieces import OverBudget

WORDS_MAX = 128
SIGNS_MAX = 256

_QUOTED = re.compile(r"'[^']*+'|\"(?:[^\"\\]|\\[\s\S])*+\"")
_SPECIAL = re.compile(r"[\\'\"$`{},]")
_RANGE = re.compile(r"(-?\d+|[A-Za-z])\.\.(-?\d+|[A-Za-z])(?:\.\.(-?\d+))?")


def brace_expand(raw: str) -> list[str]:
    """Expand the braces of a raw word. `OverBudget` beyond `WORDS_MAX` words, or with too many signs to look at."""
    bare = _QUOTED.sub("", raw) if "{" in raw else ""
    if "{" not in bare:
        return [raw]
    if sum(map(bare.count, "{},$`\\")) > SIGNS_MAX:
        raise OverBudget(f"more than {SIGNS_MAX} signs in a word with braces")
    done: list[str] = []
    queue = [raw]
    while queue:
        word = queue.pop(0)
        found = _first(word)
        if found is None:
            done.append(word)
            continue
        start, stop, choices = found
        queue[:0] = [word[:start] + choice + word[stop:] for choice in choices]
        if len(done) + len(queue) > WORDS_MAX:
            raise OverBudget(f"braces that make more than {WORDS_MAX} words")
    return done


def _first(word: str) -> tuple[int, int, list[str]] | None:
    """Find the first braces that expand: where they stand, and what they offer."""
    starts: list[tuple[int, list[int]]] = []
    complete: tuple[int, int, list[str]] | None = None
    i = 0
    while i < len(word):
        special = _SPECIAL.search(word, i)
        if special is None:
            return complete
        i = special.start()
        char = word[i]
        if char in "\\'\"$`":
            i = _pass(word, i)
            continue
        if char == "{":
            starts.append((i, []))
        elif char == "," and starts:
            starts[-1][1].append(i)
        elif char == "}" and starts:
            start, commas = starts.pop()
            choices = _choices(word, start, i, commas)
            if choices and (complete is None or start < complete[0]):
                complete = (start, i + 1, choices)
            if complete and not starts:
                return complete
        i += 1
    return complete


def _pass(word: str, i: int) -> int:
    char = word[i]
    if char == "\\":
        return i + 2
    if char == "$":
        if word.startswith("${", i):
            stop = word.find("}", i)
            return len(word) if stop < 0 else stop + 1
        return i + 1
    stop = word.find(char, i + 1)
    while char == '"' and stop > 0 and word[stop - 1] == "\\":
        stop = word.find(char, stop + 1)
    return len(word) if stop < 0 else stop + 1


def _choices(word: str, start: int, stop: int, commas: list[int]) -> list[str]:
    if commas:
        edges = [start, *commas, stop]
        return [word[a + 1 : b] for a, b in pairwise(edges)]
    match = _RANGE.fullmatch(word[start + 1 : stop])
    if not match:
        return []
    first, last, step = match.groups()
    numeric = first.lstrip("-").isdigit() and last.lstrip("-").isdigit()
    if not numeric and not (first.isalpha() and last.isalpha()):
        return []
    low, high = (int(first), int(last)) if numeric else (ord(first), ord(last))
    stride = abs(int(step or 1)) or 1
    count = abs(high - low) // stride + 1
    if count > WORDS_MAX:
        return []
    sign = 1 if high >= low else -1
    width = max(len(first), len(last)) if numeric and (first.startswith("0") or last.startswith("0")) else 0
    numbers = [low + sign * stride * at for at in range(count)]
    return [str(number).zfill(width) if numeric else chr(number) for number in numbers]
