"""Lists the commands that a text would run, as the analyser resolves them, without judging any of them.

It is the same walk as the guards': wrappers are unwrapped, code given to a shell is read, what is printed is not.
"""

from __future__ import annotations

from vigo.core.guard.call import Call
from vigo.core.guard.calls import Calls
from vigo.core.guard.evaluate import Evaluator
from vigo.core.guard.pieces import OverBudget
from vigo.core.guard.session import Hit, Session, Shell
from vigo.core.guard.state import Source, State
from vigo.core.guard.words import Value, Word, purify
from vigo.core.values import dataclass


@dataclass(frozen=True, slots=True)
class Commands:
    """What a text would run."""

    calls: tuple[Call, ...]
    """In the order of the walk, a wrapper before what it runs; a redirection is a call of `>` or `>>`."""
    whole: bool
    """False: the text is over a bound or no correct shell, and there may be more in it."""


def commands(text: str) -> Commands:
    """Return the commands that a text would run; their words keep the alphabet of partly known words."""
    clean = purify(text)
    session, listener = _Deaf(clean, {}), _Listener()
    whole = True
    try:
        Evaluator(session, listener, Source(clean, 0, (0, len(clean))), State.at_login(), 0).run()
    except OverBudget:
        whole = False
    return Commands(tuple(listener.heard), whole and not session.breaks)


class _Deaf(Session):
    """A walk that no finding ends."""

    def report(self, hit: Hit) -> None:
        """Let it pass: the guards judge, here is only listed."""


class _Listener(Calls):
    """Carries calls out as ever, and keeps each."""

    def __init__(self) -> None:
        self.heard: list[Call] = []

    def call(self, words: tuple[Word, ...], stdin: Value | None, shell: Shell) -> Value:
        """Keep a command; a function's name is none, its body is walked."""
        if words and words[0].text not in shell.state.functions:
            name = words[0].text.rstrip("\r").rsplit("/", 1)[-1]
            self._hear(name, words[0], words[1:], shell)
        return super().call(words, stdin, shell)

    def idle(self, _name: str, _shell: Shell) -> bool:
        """Hear of every command."""
        return False

    def written(self, path: Word, printed: Value, operator: str, shell: Shell) -> None:
        """Keep a redirection."""
        self._hear(">>" if operator in {">>", "&>>"} else ">", path, (path,), shell)
        super().written(path, printed, operator, shell)

    def _hear(self, name: str, head: Word, args: tuple[Word, ...], shell: Shell) -> None:
        self.heard.append(Call(name, head, args, shell.state.cwd, None, dict(shell.session.links)))
