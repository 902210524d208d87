"""Tells of a function, from its text alone, that it does nothing but print and set variables.

Such a function need not be followed through its body every time: after a few calls it is enough to know which variables
it may have set. A function that reaches any command with effects, or writes anywhere, is never quiet.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import assert_never

from vigo.core.guard.state import Body
from vigo.core.guard.syntax import (
    Branches,
    Command,
    For,
    Function,
    Loop,
    Node,
    Pipeline,
    Redirect,
    Redirected,
    Sequence,
    Subshell,
)
from vigo.core.values import dataclass

ACTING = re.compile(r"\$\(|`|[<>]\(|\$\{[^}]*=")
"""What may do something while a word is expanded, whatever the word becomes."""
_WORD = re.compile(r"[A-Za-z0-9_.:\[-]+")
_SET = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?:\+?=(?!\().*)?", re.DOTALL)
_SETTERS = frozenset({"read", "export", "local", "declare", "typeset", "readonly"})
_OWN = frozenset({":", "return", "exit", "shift"})
"""What they change is the function's own, if anything."""


@dataclass(frozen=True, slots=True)
class Outline:
    """What a function's body is made of."""

    calls: frozenset[str]
    """Whom it calls: commands and functions."""
    sets: frozenset[str]
    """The variables it may set."""


def is_kept(redirect: Redirect, target: str) -> bool:
    """Tell whether a redirection gives what is printed to where somebody may read it."""
    if redirect.operator == ">&" and (target.isdigit() or target == "-"):
        return False
    return redirect.operator[0] in ">&" and target != "/dev/null"


class _Acts(Exception):  # noqa: N818 - the way out of the walk, not an error
    """The body does something that its outline cannot tell."""


def outline(body: Body) -> Outline | None:
    """Outline a function's body; None when it may do more than call, print and set variables."""
    walk = _Walk(body.source.text)
    try:
        walk.node(body.node)
    except _Acts:
        return None
    return Outline(frozenset(walk.calls), frozenset(walk.sets))


def sets(
    whole: Body,
    functions: Mapping[str, Body],
    is_idle: Callable[[str], bool],
) -> frozenset[str] | None:
    """Return all that a function and those it calls may set; None when one of them is not quiet."""
    found: set[str] = set()
    seen: set[str] = set()
    queue = [whole]
    while queue:
        body = queue.pop()
        known = outline(body)
        if known is None:
            return None
        found |= known.sets
        for called in known.calls - seen:
            if called in functions:
                queue.append(functions[called])
            elif not is_idle(called):
                return None
        seen |= known.calls
    return frozenset(found)


class _Walk:
    def __init__(self, text: str) -> None:
        self._source = text
        self.calls: set[str] = set()
        self.sets: set[str] = set()

    def node(self, node: Node) -> None:
        if isinstance(node, Command):
            self._command(node)
        elif isinstance(node, Branches):
            self._texts(node.words)
            self._all((*node.conditions, *node.bodies))
        elif isinstance(node, For):
            self._texts(node.words)
            self.sets.add(self._text(node.name))
            self.node(node.body)
        else:
            self._plain(node)

    def _plain(self, node: Sequence | Pipeline | Subshell | Loop | Redirected | Function) -> None:
        match node:
            case Sequence():
                self._all(node.items)
            case Pipeline():
                self._all(node.stages)
            case Subshell():
                self.node(node.body)
            case Loop():
                self._all((node.condition, node.body))
            case Redirected():
                self._redirects(node.redirects)
                self.node(node.body)
            case Function():
                raise _Acts
            case _:
                assert_never(node)

    def _all(self, nodes: tuple[Node, ...]) -> None:
        for node in nodes:
            self.node(node)

    def _texts(self, spans: tuple[tuple[int, int], ...]) -> list[str]:
        return [self._text(span) for span in spans]

    def _text(self, span: tuple[int, int]) -> str:
        if ACTING.search(self._source, *span):
            raise _Acts
        return self._source[span[0] : span[1]]

    def _redirects(self, redirects: tuple[Redirect, ...]) -> None:
        for redirect in redirects:
            target = self._text(redirect.target)
            if redirect.here is not None:
                self._text((redirect.here.start, redirect.here.end))
            elif is_kept(redirect, target):
                raise _Acts

    def _command(self, node: Command) -> None:
        self._redirects(node.redirects)
        for span in node.assignments:
            assigned = _SET.fullmatch(self._text(span))
            if assigned is None:
                raise _Acts
            self.sets.add(assigned[1])
        words = self._texts(node.words)
        name = words[0] if words else ":"
        if name in _SETTERS:
            self.sets.update(self._set(words[1:]))
        elif not _WORD.fullmatch(name) or (name == "printf" and "-v" in words):
            raise _Acts
        elif name not in _OWN and words[:2] != ["command", "-v"]:
            self.calls.add(name)

    @staticmethod
    def _set(words: list[str]) -> Iterator[str]:
        for word in words:
            named = _SET.fullmatch(word)
            if named:
                yield named[1]
            elif not re.fullmatch("-[rn]+", word):
                raise _Acts
