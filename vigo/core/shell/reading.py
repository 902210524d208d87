"""How far a command has been read: the constructs that are open, the word that is being read, the places judged so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from enum import Enum, auto
from typing import TypeAlias

from vigo.core.shell.heredoc import Heredoc
from vigo.core.shell.places import Fault, Place, misplaced
from vigo.core.values import dataclass

_DEPTH_MAX = 50


class Where(Enum):
    """Which word of a command comes next."""

    COMMAND = auto()
    """The first one; reserved words are recognised."""
    PREFIX = auto()
    """The first one, but after an assignment or a redirection: shells differ on reserved words here."""
    ARGUMENT = auto()
    FOR_NAME = auto()
    FOR_NEXT = auto()
    FOR_WORD = auto()
    CASE_WORD = auto()
    CASE_IN = auto()
    PATTERN = auto()


SIMPLE = (Where.COMMAND, Where.PREFIX, Where.ARGUMENT, Where.FOR_WORD)
"""Where a command may end."""


class Target(Enum):
    """What the next word is to a redirection."""

    NONE = auto()
    FILE = auto()
    DESCRIPTOR = auto()


@dataclass(slots=True)
class Word:
    """A word that has begun and not yet ended."""

    literal: list[str] = field(default_factory=list)
    """The unquoted text, with a quote for each part that is something else."""
    is_plain: bool = True
    """Nothing but unquoted literal text."""
    is_safe: bool = True
    """Nothing but placeholders and characters beside which an unquoted plain value means the same as a quoted one."""
    has_brace: bool = False
    has_bracket: bool = False
    holes: list[int] = field(default_factory=list)

    def add_other(self) -> None:
        """Note a part that is not literal text: quoted, expanded or a placeholder."""
        self.literal.append("'")
        self.is_plain = False


@dataclass(slots=True)
class Code:
    """Where commands stand: the whole text, a subshell or a command substitution."""

    opener: str = ""
    where: Where = Where.COMMAND
    word: Word | None = None
    target: Target = Target.NONE
    cases: int = 0
    """`case` constructs that are open here."""
    words: int = 0
    """Words of the current simple command or pattern list."""
    parenthesis: bool = False
    """Whether the current pattern list began with `(`."""
    timed: bool = False
    """Whether the last word was `time`."""
    first: Word | None = None
    """The current simple command's first word."""

    def open_word(self) -> Word:
        """Return the word that is being read; it may begin here."""
        if self.word is None:
            self.word = Word()
        return self.word


@dataclass(slots=True)
class Quoted:
    """Where no value can stand: double quotes, `${…}`, `$((…))`."""

    opener: str
    depth: int = 0
    """Parentheses that are open within `$((…))`."""


Frame: TypeAlias = Code | Quoted


class Reading:
    """One reading of one text."""

    def __init__(self, text: str, holes: Sequence[tuple[int, int]]) -> None:
        self.text = text
        self.at = 0
        self.holes = holes
        self.starts = {start: index for index, (start, _) in enumerate(holes)}
        self.stack: list[Frame] = [Code()]
        self.heredocs: list[Heredoc] = []
        """Those whose bodies begin after the next newline."""
        self.places: dict[int, Place] = {}
        self._next_hole = 0

    def push(self, frame: Frame, length: int) -> None:
        """Open a construct whose opener has this length."""
        if len(self.stack) == _DEPTH_MAX:
            raise misplaced("deep nesting")
        self.stack.append(frame)
        self.at += length

    def in_substitution(self) -> bool:
        """Whether a `$(…)` is open."""
        return any(isinstance(frame, Code) and frame.opener == "$(" for frame in self.stack)

    def refuse(self, hole: int, fault: Fault) -> None:
        """Refuse one place, unless it was refused before."""
        self.places.setdefault(hole, Place(fault))

    def refuse_until(self, end: int, fault: Fault) -> None:
        """Refuse every place between here and `end`."""
        while self._next_hole < len(self.holes) and self.holes[self._next_hole][0] < end:
            if self.holes[self._next_hole][0] >= self.at:
                self.refuse(self._next_hole, fault)
            self._next_hole += 1
