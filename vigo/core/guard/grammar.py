"""Counts where a skeleton is no correct shell: one pass over its tokens, before any parser sees them.

A parser that mends broken grammar tries many ways to do so, and the cost of that grows with a power of the length. So
what is broken in many places is not parsed at all. A few places are the parser's to mend; the guard judges what it finds.
"""

from __future__ import annotations

import re

from vigo.core.guard.pieces import OverBudget

ODDITIES_MAX = 16
BLOCKS_MAX = 100

_TOKEN = re.compile(r"\n\s*|\([ \t]*\)|[^\s;&|<>()]+|;;|&>>?|>>|>&|<&|>\||&&|\|\||\|&|[;&|<>()]")
_REDIRECTIONS = frozenset({">", ">>", "<", "<&", ">&", ">|", "&>", "&>>"})
_SEPARATORS = frozenset({";", "&", "&&", "|", "||", "|&"})
_OPENS = {"if": "if", "while": "loop", "until": "loop", "for": "loop", "case": "case", "{": "{"}
_TURNS = {
    "then": (("if",), "then"),
    "elif": (("then",), "if"),
    "else": (("then",), "else"),
    "do": (("loop",), "do"),
}
_CLOSES = {"fi": ("then", "else"), "done": ("do",), "}": ("{",), "esac": ("case", "pattern"), ")": ("(",)}

_FRESH, _WORD, _CLOSED, _HEADER, _TARGET, _NAME = range(6)
"""What came last: the start of a command, a word, the end of a block, a function's name, a redirection, `function`."""


def check(skeleton: str) -> None:
    """Raise `OverBudget` when a skeleton breaks the grammar in more places, or opens more blocks, than the guard reads."""
    _Reading().run(skeleton)


class _Reading:
    def __init__(self) -> None:
        self._open: list[str] = []
        self._last = _FRESH
        self._before = _FRESH
        self._oddities = 0

    def run(self, skeleton: str) -> None:
        for match in _TOKEN.finditer(skeleton):
            self._token(match.group())
        self._odd(len(self._open))

    def _odd(self, count: int = 1) -> None:
        self._oddities += count
        if self._oddities > ODDITIES_MAX:
            raise OverBudget("it is not correct shell in too many places")

    def _top(self) -> str:
        return self._open[-1] if self._open else ""

    def _token(self, sign: str) -> None:
        if self._top() == "pattern" and sign != "esac":
            if sign == ")":
                self._open[-1] = "case"
                self._last = _FRESH
        elif sign[0] == "\n":
            self._odd(self._last == _TARGET)
            self._last = _HEADER if self._last == _HEADER else _FRESH
        elif sign in _REDIRECTIONS:
            self._odd(self._last == _TARGET)
            self._before, self._last = self._last, _TARGET
        elif sign in _SEPARATORS or sign == ";;":
            self._separator(sign)
        elif sign[0] in "()":
            self._bracket(sign)
        else:
            self._word(sign)

    def _separator(self, sign: str) -> None:
        if sign == ";;":
            self._odd(self._top() != "case")
            self._open[-1:] = ["pattern"] if self._top() == "case" else self._open[-1:]
        else:
            self._odd(self._last in {_FRESH, _HEADER, _TARGET})
        self._last = _FRESH

    def _bracket(self, sign: str) -> None:
        if sign == ")":
            self._close(sign)
        elif sign == "(":
            self._odd(self._last not in {_FRESH, _HEADER})
            self._push("(")
        else:
            self._odd(self._last not in {_WORD, _HEADER})
            self._last = _HEADER

    def _word(self, sign: str) -> None:
        if self._last == _TARGET:
            self._last = _CLOSED if self._before == _CLOSED else _WORD
        elif sign in _OPENS:
            self._odd(self._last in {_CLOSED, _WORD})
            self._push(_OPENS[sign])
            self._last = _WORD if sign in {"for", "case"} else _FRESH
        elif sign in _TURNS:
            wanted, become = _TURNS[sign]
            self._odd(self._top() not in wanted)
            self._open[-1:] = [become] if self._top() in wanted else self._open[-1:]
            self._last = _FRESH
        elif sign in _CLOSES:
            self._close(sign)
        elif sign == "in":
            self._open[-1:] = ["pattern"] if self._top() == "case" else self._open[-1:]
        elif sign == "function":
            self._last = _NAME
        elif not sign.isdigit():
            self._odd(self._last in {_CLOSED, _HEADER})
            self._last = _HEADER if self._last == _NAME else _WORD

    def _push(self, opened: str) -> None:
        self._open.append(opened)
        self._last = _FRESH
        if len(self._open) > BLOCKS_MAX:
            raise OverBudget("nested too deeply")

    def _close(self, sign: str) -> None:
        if self._top() in _CLOSES[sign]:
            self._open.pop()
        else:
            self._odd()
        self._last = _CLOSED
