"""The account of one judgement: what was spent, what was found, which files were written on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Protocol

from vigo.core.guard.finding import Finding, Layer
from vigo.core.guard.pieces import OverBudget
from vigo.core.guard.state import Body, Source, State
from vigo.core.guard.syntax import Program
from vigo.core.guard.words import HOLE, Value, Word
from vigo.core.values import dataclass

WORK_MAX = 7_000
HASTY_AFTER = 1_500
VISITS_MAX = 1
STEP_COST = 5
DEPTH_MAX = 100
TEXT_TOTAL_MAX = 98_304
NOTES_MAX = 16


class Found(Exception):  # noqa: N818 - it is the way out of the walk, not an error
    """A finding of the hard guard: nothing graver can follow."""


@dataclass(frozen=True, slots=True)
class Hit:
    """What a call would do that a rule forbids."""

    rule: str
    says: str
    """The canonical form with the resolved words."""
    words: tuple[Word, ...]
    """The words that decided it."""
    certain: bool = True
    """False: a part of the deciding word is unknown, so the hard guard stays silent."""


class Shell(Protocol):
    """A running shell, as the commands it calls see it."""

    session: Session
    state: State
    source: Source
    heard: bool
    """Somebody on the way reads what is printed: another stage, a substitution, a file."""

    def code(self, text: str, span: tuple[int, int], stdin: Value | None = None, *, own: State | None = None) -> Value:
        """Read a text as code, in this shell or one of its own; what it prints."""

    def assign(self, name: str, value: Value) -> None:
        """Set a variable."""

    def call_function(self, body: Body, args: tuple[str, ...], stdin: Value | None) -> Value:
        """Run a function's body; what it prints."""


class CallPort(Protocol):
    """What the walk asks of the commands."""

    def call(self, words: tuple[Word, ...], stdin: Value | None, shell: Shell) -> Value:
        """Carry out one call; what it prints."""

    def inert(self, words: Sequence[tuple[tuple[str, ...], ...]], shell: Shell) -> bool:
        """Tell whether a command, given by the alternatives of each of its words, can do nothing but print."""

    def idle(self, name: str, shell: Shell) -> bool:
        """Tell whether a command of this name can do nothing but print."""

    def contents(self, path: Word, shell: Shell) -> Value:
        """Return what is known to be in a file that is read."""

    def written(self, path: Word, printed: Value, operator: str, shell: Shell) -> None:
        """Take note of a redirection into a file."""

    def defined(self, name: str, text: str, span: tuple[int, int], shell: Shell) -> None:
        """Take note of a function."""


@dataclass(slots=True)
class Session:
    """Counts and findings of one judgement. Budgets are counts, never time."""

    judged: str
    layers: dict[str, Layer]
    """Which guard each rule belongs to."""
    findings: list[Finding] = field(default_factory=list)
    breaks: list[int] = field(default_factory=list)
    """Offsets into the judged text near which the grammar did not hold."""
    files: dict[str, Value] = field(default_factory=dict)
    sinks: dict[str, tuple[str, tuple[int, int]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    active: list[str] = field(default_factory=list)
    """The functions that are running, outermost first."""
    depth: int = 0
    text_total: int = 0
    work: int = 0
    may_haste: bool = False
    """Whether the text names nothing that is protected, so that a long one need not be followed along every way."""
    visits: dict[tuple[object, ...], int] = field(default_factory=dict)
    """How often each node was walked, by its identity (`programs` keeps them alive) and what it was walked with."""
    quiet: dict[tuple[int, int], frozenset[str] | None] = field(default_factory=dict)
    """What a function may set at most, where it does nothing but print and set; by its identity and how many there are."""
    followed: dict[int, int] = field(default_factory=dict)
    """The work that following a function's body has made so far, by its identity."""
    names: dict[int, tuple[str, ...]] = field(default_factory=dict)
    """The variables that each simple command names, by its identity."""
    links: dict[str, str] = field(default_factory=dict)
    programs: dict[str, Program] = field(default_factory=dict)
    """Code that was parsed before: loops and functions come back to the same substitutions."""

    def step(self, cost: int = STEP_COST) -> None:
        """Count one command."""
        self.spend(cost)

    def spend(self, count: int) -> None:
        """Count work: about as many units as small operations, whatever they are."""
        self.work += count
        if self.work > WORK_MAX:
            raise OverBudget(f"more than {WORK_MAX} operations to work it out")

    def passes_over(self, node: object, *given: object) -> bool:
        """Count a visit of a node with what was given; tell whether it is one too many, with much of the budget spent."""
        visits = self.visits[id(node), *given] = self.visits.get((id(node), *given), 0) + 1
        return visits > VISITS_MAX and self.work > HASTY_AFTER

    def deeper(self) -> None:
        """Count one level of nesting, of blocks and of calls alike; whoever calls it takes it back with `higher`."""
        if self.depth >= DEPTH_MAX:
            raise OverBudget("nested too deeply")
        self.depth += 1

    def higher(self) -> None:
        """Leave a level. An exception leaves none: it ends the judgement."""
        self.depth -= 1

    def spend_text(self, size: int) -> None:
        """Count text that is read as code."""
        self.text_total += size
        if self.text_total > TEXT_TOTAL_MAX:
            raise OverBudget(f"more than {TEXT_TOTAL_MAX} characters of code to follow")

    def place(self, text: str, span: tuple[int, int]) -> Source:
        """Find where a text stands in the judged one, as far as it stands there verbatim."""
        at = self.judged.find(text, span[0], span[1]) if text else -1
        return Source(text, at if at >= 0 else None, span)

    def broken(self, source: Source, offsets: tuple[int, ...]) -> None:
        """Take note of places where the grammar did not hold; code with a hole in it is nobody's to correct."""
        if HOLE in source.text:
            return
        self.breaks.extend(source.locate(offset, offset)[0] for offset in offsets)

    def note(self, text: str) -> None:
        """Keep a line about what was resolved on the way."""
        if len(self.notes) < NOTES_MAX and text not in self.notes:
            self.notes.append(text)

    def report(self, hit: Hit) -> None:
        """Make a finding of a hit; `Found` when it is the hard guard's."""
        layer = self.layers[hit.rule] if hit.certain else Layer.DISPATCH
        spans = [word.span for word in hit.words]
        span = (min(start for start, _ in spans), max(end for _, end in spans)) if spans else (0, len(self.judged))
        self.findings.append(Finding(layer, hit.rule, hit.says, span=span))
        if layer is Layer.HARD:
            raise Found

    def written(self, content: Value) -> str:
        """Keep what a process substitution prints; the name of its file."""
        name = f"/dev/fd/{63 - len(self.files)}"
        self.files[name] = content
        return name

    def sink(self, code: str, span: tuple[int, int]) -> str:
        """Keep the code that a process substitution feeds; the name of its file."""
        name = f"/dev/fd/sink{len(self.sinks)}"
        self.sinks[name] = (code, span)
        return name
