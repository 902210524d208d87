"""What is known of a shell at one point of its way: variables, functions, working directory, files it wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field

from vigo.core.guard.syntax import Node
from vigo.core.guard.words import EMPTY, HOLE, LOGIN, UNKNOWN, Value, join
from vigo.core.values import dataclass

_FIELDS_MAX = 256
HOMES: Value = ("/root", f"/home/{HOLE}")
"""Where a login may land: the guard does not know as whom a command runs."""


@dataclass(frozen=True, slots=True)
class Source:
    """A text that is being read as code, and where it stands in the judged text."""

    text: str
    at: int | None
    """The offset of its first character, or None when it does not stand there verbatim."""
    span: tuple[int, int]
    """What to point at when it does not stand there verbatim."""

    def locate(self, start: int, end: int) -> tuple[int, int]:
        """Translate offsets of this text into offsets of the judged one."""
        return self.span if self.at is None else (self.at + start, self.at + end)


@dataclass(frozen=True, slots=True)
class Body:
    """A function's body and the text it stands in."""

    node: Node
    source: Source


@dataclass(slots=True)
class State:
    """A shell's memory. Copied where ways part, united where they meet."""

    variables: dict[str, Value] = field(default_factory=dict)
    arrays: dict[str, tuple[str, ...]] = field(default_factory=dict)
    functions: dict[str, Body] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    cwd: Value = HOMES
    args: tuple[str, ...] | None = None
    """The positional parameters from `$1` on; None when nobody knows them."""
    dead: bool = False
    """This way ended in `exit` or `return`."""

    @classmethod
    def at_login(cls) -> State:
        """Make the state in which a command sent to a host starts."""
        return cls(variables={"HOME": HOMES, "USER": (LOGIN,), "LOGNAME": (LOGIN,)})

    def copy(self) -> State:
        """Make an independent copy."""
        return State(
            dict(self.variables),
            dict(self.arrays),
            dict(self.functions),
            dict(self.aliases),
            self.cwd,
            self.args,
            self.dead,
        )

    def become(self, other: State) -> None:
        """Take over all that another state knows."""
        self.variables, self.arrays, self.functions = other.variables, other.arrays, other.functions
        self.aliases, self.cwd, self.args, self.dead = other.aliases, other.cwd, other.args, other.dead

    def lookup(self, name: str) -> Value | None:
        """Return what a variable may hold; None when nothing is known to have set it."""
        if name == "PWD":
            return self.cwd
        if name in self.arrays and name not in self.variables:
            return self.arrays[name][:1] or EMPTY
        if name.isdigit():
            return self._positional(int(name))
        if name == "#":
            return None if self.args is None else (str(len(self.args)),)
        return self.variables.get(name)

    def _positional(self, number: int) -> Value | None:
        if number == 0:
            return self.variables.get("0")
        if self.args is None:
            return None
        return (self.args[number - 1],) if number <= len(self.args) else EMPTY

    def assign(self, name: str, value: Value) -> None:
        """Set a variable, and with an array's name its one element."""
        self.variables[name] = value
        if name in self.arrays:
            self.arrays[name] = value

    def assign_array(self, name: str, words: Sequence[str], *, adds: bool) -> None:
        """Set an array, or add to it."""
        before = self.arrays.get(name, ()) if adds else ()
        self.arrays[name] = (*before, *words)[:_FIELDS_MAX]
        self.variables.pop(name, None)


def meet(states: list[State]) -> State:
    """Unite the states of ways that meet again; ended ways do not count unless all have ended."""
    alive = [state for state in states if not state.dead] or states[:1]
    united = alive[0].copy()
    for other in alive[1:]:
        for name in {name for name, _ in other.variables.items() ^ united.variables.items()}:
            mine, theirs = united.variables.get(name, UNKNOWN), other.variables.get(name, UNKNOWN)
            united.variables[name] = join(mine, theirs)
        for name, found in other.arrays.items():
            united.arrays[name] = tuple(dict.fromkeys((*united.arrays.get(name, ()), *found)))
        united.functions = {**other.functions, **united.functions}
        united.aliases = {**other.aliases, **united.aliases}
        united.cwd = join(united.cwd, other.cwd)
    return united
