"""Carries out assignments: what a variable or an array holds from then on."""

from __future__ import annotations

import re
from typing import Protocol

from vigo.core.guard import expand
from vigo.core.guard.state import State
from vigo.core.guard.syntax import Command, Program
from vigo.core.guard.words import EMPTY, Value, concat

_KEY = re.compile(r"\A\[[^]]*\]=")
"""What stands before an element that says where it belongs."""
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?:\[([^]]*)\])?(\+?)=(.*)", re.DOTALL)


class Shell(expand.Scope, Protocol):
    """The shell that is assigned in."""

    state: State

    def read(self, text: str) -> Program:
        """Parse a text."""


def assign_text(shell: Shell, raw: str, at: int, own: dict[str, Value] | None = None) -> None:
    """Carry out `NAME=value`, `NAME+=value`, `NAME[n]=value` or `NAME=(…)`; a plain value goes into `own`, if given."""
    match = _ASSIGNMENT.fullmatch(raw)
    if match is None:  # the parser, mending broken shell, took in what stands before it
        return
    name, index, plus, word = match.groups()
    if word.startswith("(") and word.endswith(")"):
        _assign_array(shell, name, word[1:-1], at, adds=bool(plus))
        return
    value = expand.single(shell, word, at + match.start(4), assigned=True)
    if index is not None:
        found = shell.state.arrays.get(name, ())
        shell.state.arrays[name] = (*found, *value)
        return
    if plus:
        value = concat(shell.state.variables.get(name, EMPTY), value)
    if own is None:
        shell.assign(name, value)
    else:
        own[name] = value


def _assign_array(shell: Shell, name: str, inner: str, at: int, *, adds: bool) -> None:
    words: list[str] = []
    for start, end in _words_of(shell, inner):
        raw = _KEY.sub("", inner[start:end])
        words.extend(field for choice in expand.fields(shell, raw, at) for field in choice)
    shell.state.assign_array(name, words, adds=adds)


def _words_of(shell: Shell, inner: str) -> list[tuple[int, int]]:
    program = shell.read(": " + inner.replace("\n", " "))
    first = program.body.items[0] if program.body.items else None
    return [(start - 2, end - 2) for start, end in first.words[1:]] if isinstance(first, Command) else []
