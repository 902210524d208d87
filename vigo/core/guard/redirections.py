"""What a command reads and where what it prints goes: files, here-documents, here-strings."""

from __future__ import annotations

import re
from typing import Protocol

from vigo.core.guard import expand
from vigo.core.guard.prescan import HereDoc
from vigo.core.guard.quiet import is_kept
from vigo.core.guard.session import CallPort, Shell
from vigo.core.guard.syntax import Redirect
from vigo.core.guard.words import EMPTY, Value, Word, concat, join

_WRITES = frozenset({">", ">>", ">|", "&>", "&>>", ">&"})


class Reader(Shell, expand.Scope, Protocol):
    """The shell whose redirections they are."""

    calls: CallPort

    def text(self, span: tuple[int, int]) -> str:
        """Return what stands at a place of its text."""

    def assign(self, name: str, value: Value) -> None:
        """Set a variable."""


def input_of(shell: Reader, redirects: tuple[Redirect, ...], stdin: Value | None) -> Value | None:
    """Return what a command with these redirections reads; None when nothing is known of it."""
    for redirect in redirects:
        if redirect.fd not in {None, 0}:
            continue
        if redirect.here is not None:
            stdin = _here_doc(shell, redirect.here)
        elif redirect.operator == "<<<":
            stdin = concat(expand.single(shell, shell.text(redirect.target), redirect.target[0]), ("\n",))
        elif redirect.operator == "<":
            stdin = join(*(shell.calls.contents(word, shell) for word in _targets(shell, redirect)))
    return stdin


def is_heard(shell: Reader, redirects: tuple[Redirect, ...]) -> bool:
    """Tell whether what is printed may get into a file that somebody reads."""
    return any(redirect.fd in {None, 1} and is_kept(redirect, shell.text(redirect.target)) for redirect in redirects)


def output_of(shell: Reader, redirects: tuple[Redirect, ...], printed: Value) -> Value:
    """Take note of the files that are written; what is left on standard output."""
    for redirect in redirects:
        if redirect.operator not in _WRITES:
            continue
        targets = _targets(shell, redirect)
        if redirect.operator == ">&" and all(word.text.isdigit() or word.text == "-" for word in targets):
            printed = EMPTY if redirect.fd in {None, 1} and targets[0].text != "1" else printed
            continue
        standard = redirect.fd in {None, 1}
        for word in targets:
            shell.calls.written(word, printed if standard else EMPTY, redirect.operator, shell)
        printed = EMPTY if standard else printed
    return printed


def _here_doc(shell: Reader, here: HereDoc) -> Value:
    raw = shell.source.text[here.start : here.end]
    if here.tabs:
        raw = re.sub(r"(?m)^\t+", "", raw)
    return (raw,) if here.literal else expand.body(shell, raw, here.start)


def _targets(shell: Reader, redirect: Redirect) -> list[Word]:
    where = shell.source.locate(*redirect.target)
    return [Word(text, where) for text in expand.single(shell, shell.text(redirect.target), redirect.target[0])]
