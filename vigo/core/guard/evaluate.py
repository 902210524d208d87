"""Walks a parsed text as a shell would, with what is known, and reports every call on its way.

Both branches of a choice are walked and their states united; loops are walked a few times. What a call does is decided
in `calls`; here is only the order in which calls come and what is known when they do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import assert_never

from vigo.core.guard import expand, quiet, redirections
from vigo.core.guard.assignments import assign_text
from vigo.core.guard.pieces import OverBudget
from vigo.core.guard.prescan import scan
from vigo.core.guard.quiet import ACTING
from vigo.core.guard.session import CallPort, Session
from vigo.core.guard.state import Body, Source, State, meet
from vigo.core.guard.suppose import suppose
from vigo.core.guard.syntax import (
    Branches,
    Command,
    For,
    Function,
    Loop,
    Node,
    Pipeline,
    Program,
    Redirected,
    Sequence,
    Subshell,
    parse,
)
from vigo.core.guard.words import ALTERNATIVES_MAX, EMPTY, HOLE, UNKNOWN, Value, Word, combinations, concat, join

DEPTH_MAX = 16
ITERATIONS_MAX = 8
FUNCTION_MAX = 400
FOLLOWED_MAX = 256
"""Work in a function's body after which it is followed no further, if it does nothing but print and set variables."""
INERT_COST = 3
IDLE_COST = 2
CALL_COST = 18
SUBSTITUTION_COST = 8
QUIET_COST = 16

_NAME = re.compile(r"\$\{?[!#]?([A-Za-z_][A-Za-z0-9_]*)")


class Evaluator:
    """One shell at work on one text. Implements `expand.Scope`."""

    def __init__(self, session: Session, calls: CallPort, source: Source, state: State, depth: int) -> None:
        if depth > DEPTH_MAX:
            raise OverBudget("code within code, nested too deeply")
        self.session = session
        self.calls = calls
        self.source = source
        self.state = state
        self.depth = depth
        self.loops = 0
        self.turn: tuple[Value, ...] = ()
        """What the loops that are running stand at."""
        self.stdin: Value | None = None
        self.heard = False

    # -- entries -----------------------------------------------------------------------------------------------------

    def run(self, stdin: Value | None = None) -> Value:
        """Walk the whole text; what it prints."""
        program = self._parse()
        self.stdin = stdin
        return self.node(program.body, stdin)

    def _parse(self) -> Program:
        program = self.read(self.source.text)
        if program.broken:
            self.session.broken(self.source, program.broken)
        return program

    def read(self, text: str) -> Program:
        """Parse a text, once in a judgement."""
        program = self.session.programs.get(text)
        if program is None:
            self.session.spend_text(len(text))
            program = self.session.programs[text] = parse(scan(text))
            self.session.spend(program.size)
        return program

    def code(self, text: str, span: tuple[int, int], stdin: Value | None = None, *, own: State | None = None) -> Value:
        """Read a text as code in this shell, or in a shell of its own; what it prints."""
        source = self.session.place(text, span)
        inner = Evaluator(self.session, self.calls, source, own or self.state, self.depth + 1)
        inner.loops, inner.heard, inner.turn = self.loops, self.heard, self.turn
        printed = inner.run(stdin)
        if own is None:
            self.state.become(inner.state)
        return printed

    # -- nodes -------------------------------------------------------------------------------------------------------

    def node(self, node: Node, stdin: Value | None) -> Value:
        """Walk one node; what it prints."""
        self.session.deeper()
        printed = self._walk(node, stdin)
        self.session.higher()
        return printed

    def _copied(self) -> State:
        self.session.spend(1 + len(self.state.variables) // 64)
        return self.state.copy()

    def spend(self, count: int) -> None:
        """Count work that a word makes."""
        self.session.spend(count)

    def _walk(self, node: Node, stdin: Value | None) -> Value:
        match node:
            case Command():
                return UNKNOWN if self._was_seen(node) else self._command(node, stdin)
            case Sequence():
                return self._sequence(node, stdin)
            case Pipeline():
                return self._pipeline(node, stdin)
            case Subshell():
                return self._apart(node.body, stdin)
            case Branches():
                return self._branches(node, stdin)
            case Loop():
                return self._loop(node, stdin)
            case For():
                return self._for(node, stdin)
            case Function():
                name = self.text(node.name)
                self.state.functions[name] = Body(node.body, self.source)
                self.calls.defined(name, self._function_text(node), self.source.locate(*node.name), self)
                return EMPTY
            case Redirected():
                return self._redirected(node, stdin)
            case _:
                assert_never(node)

    def _function_text(self, node: Function) -> str:
        after = self.source.text[node.name[1] :]
        return after[:FUNCTION_MAX]

    def _sequence(self, node: Sequence, stdin: Value | None) -> Value:
        printed: list[Value] = []
        skipped: list[State] = []
        for item, joined in zip(node.items, node.joins, strict=True):
            if joined == ";":
                self._rejoin(skipped)
                skipped = []
            elif joined == "&&":
                skipped.append(self._copied())
            before = self._copied() if joined == "||" else None
            printed.append(self.node(item, stdin))
            if before is not None:
                self.state.become(meet([before, self.state]))
        self._rejoin(skipped)
        return concat(*printed) if printed else EMPTY

    def _rejoin(self, skipped: list[State]) -> None:
        if skipped:
            self.state.become(meet([self.state, *skipped]))

    def _apart(self, node: Node, stdin: Value | None) -> Value:
        kept, self.state = self.state, self._copied()
        printed = self.node(node, stdin)
        self.state = kept
        return printed

    def _pipeline(self, node: Pipeline, stdin: Value | None) -> Value:
        flow = stdin
        heard = self.heard
        for left, stage in enumerate(node.stages, 1 - len(node.stages)):
            self.heard = heard or left < 0
            flow = self._apart(stage, flow)
        return flow if flow is not None else EMPTY

    def _branches(self, node: Branches, stdin: Value | None) -> Value:
        self._expand_acting(node.words)
        printed: list[Value] = []
        ends: list[State] = []
        for at, body in enumerate(node.bodies):
            if at < len(node.conditions):
                self.node(node.conditions[at], stdin)
            start = self._copied()
            suppose(self.state, self.source.text, node.conditions[at : at + 1])
            printed.append(self.node(body, stdin))
            ends.append(self.state)
            self.state = start
        self.state = meet(ends if node.total else [self.state, *ends])
        return join(*printed, *([] if node.total else [EMPTY])) if printed else EMPTY

    def _loop(self, node: Loop, stdin: Value | None) -> Value:
        printed: list[Value] = []
        states = [self._copied()]
        for _ in range(1 if self.loops else 2):
            self.loops += 1
            self.node(node.condition, stdin)
            printed.append(self.node(node.body, stdin))
            self.loops -= 1
            states.append(self._copied())
            self.state.dead = False
        self.state = meet(states)
        return concat(*printed)

    def _for(self, node: For, stdin: Value | None) -> Value:
        name = self.text(node.name)
        values = [field for word in node.words for choice in self.expand(word) for field in choice]
        if not node.words:
            values = list(self.state.args or (HOLE,))
        rounds: list[Value] = [(value,) for value in values]
        if self.loops or len(rounds) > ITERATIONS_MAX:
            rest = rounds[ITERATIONS_MAX - 1 :] if not self.loops else rounds
            rounds = rounds[: len(rounds) - len(rest)]
            rounds.extend(tuple(v[0] for v in rest[at : at + ALTERNATIVES_MAX]) for at in range(0, len(rest), 16))
        printed: list[Value] = []
        states = [self._copied()]
        for value in rounds:
            self.state.variables[name] = value
            self.loops += 1
            before, self.turn = self.turn, (*self.turn, value)
            printed.append(self.node(node.body, stdin))
            self.turn = before
            self.loops -= 1
            states.append(self._copied())
            self.state.dead = False
        self.state = meet(states[-2:])
        return concat(*printed) if printed else EMPTY

    def _redirected(self, node: Redirected, stdin: Value | None) -> Value:
        fed = redirections.input_of(self, node.redirects, stdin)
        heard, self.heard = self.heard, self.heard or redirections.is_heard(self, node.redirects)
        printed = self.node(node.body, fed)
        self.heard = heard
        return redirections.output_of(self, node.redirects, printed)

    def _was_seen(self, node: Command) -> bool:
        """Tell whether a command was walked before with all that it depends on, and need not be again."""
        if not self.session.may_haste:
            return False
        names = self.session.names.get(id(node))
        if names is None:
            spans = (*node.words, *node.assignments, *(redirect.target for redirect in node.redirects))
            found = (name for span in spans for name in _NAME.findall(self.source.text, *span))
            names = self.session.names[id(node)] = tuple(dict.fromkeys(found))
        if node.words and self.text(node.words[0]) in self.state.functions:
            return False
        values = tuple(self.state.variables.get(name) for name in names)
        return self.session.passes_over(node, self.state.args, self.turn, self.state.cwd, values)

    # -- commands ----------------------------------------------------------------------------------------------------

    def _command(self, node: Command, stdin: Value | None) -> Value:
        if not node.words:
            self.session.step()
        own: dict[str, Value] = {}
        for span in node.assignments:
            assign_text(self, self.text(span), span[0], own if node.words else None)
        fed = redirections.input_of(self, node.redirects, stdin)
        printed: Value = EMPTY
        if node.words:
            kept = {name: self.state.variables.get(name) for name in own}
            self.state.variables.update(own)
            heard, self.heard = self.heard, self.heard or redirections.is_heard(self, node.redirects)
            printed = self._called(node, fed)
            self.heard = heard
            for name, value in kept.items():
                self.state.variables.pop(name, None)
                if value is not None:
                    self.state.variables[name] = value
        return redirections.output_of(self, node.redirects, printed)

    def _called(self, node: Command, stdin: Value | None) -> Value:
        """Call what the words may be; what does nothing but print is passed over where nobody reads it."""
        if not self.heard and self._is_idle(node.words):
            self._expand_acting(node.words[1:])
            self.session.step(IDLE_COST)
            return UNKNOWN
        expanded = [self.expand(span) for span in node.words]
        if not self.heard and self.calls.inert(expanded, self):
            self.session.step(INERT_COST)
            return UNKNOWN
        choices: list[list[tuple[Word, ...]]] = []
        for span, alternatives in zip(node.words, expanded, strict=True):
            where = self.source.locate(*span)
            choices.append([tuple([Word(field, where) for field in fields]) for fields in alternatives])
        combined = [sum(combination, ()) for combination in combinations(choices)]
        return join(*[self.calls.call(words, stdin, self) for words in [some for some in combined if some] or [()]])

    def _is_idle(self, words: tuple[tuple[int, int], ...]) -> bool:
        """Tell from the text alone that a command does nothing but print."""
        name = self.text(words[0])
        if name == "printf" and (len(words) == 1 or self.source.text[words[1][0]] in "-$`"):
            return False  # it may set a variable
        return self.calls.idle(name, self)

    def _expand_acting(self, spans: Iterable[tuple[int, int]]) -> None:
        """Expand those words that do something by being expanded."""
        for span in spans:
            if ACTING.search(self.source.text, *span):
                self.expand(span)

    def expand(self, span: tuple[int, int]) -> tuple[tuple[str, ...], ...]:
        """Expand the word at a place of this text into its fields, one list for each alternative."""
        return expand.fields(self, self.text(span), span[0])

    def text(self, span: tuple[int, int]) -> str:
        """Return what stands at a place of this text."""
        return self.source.text[span[0] : span[1]]

    # -- expand.Scope ------------------------------------------------------------------------------------------------

    def variable(self, name: str) -> Value | None:
        """Return what a variable may hold; None when nothing is known to have set it."""
        return self.state.lookup(name)

    def fields_of(self, name: str) -> tuple[str, ...] | None:
        """Return the fields of an array, or of the positional parameters."""
        return self.state.args if name in {"@", "*"} else self.state.arrays.get(name)

    def assign(self, name: str, value: Value) -> None:
        """Set a variable."""
        self.state.assign(name, value)

    def substitute(self, code: str, at: int) -> Value:
        """Run a command substitution in a shell of its own; what it prints, less the last line ends."""
        stripped = code.strip()
        if stripped.startswith("<") and not stripped.startswith(("<<", "<(")):
            code = f"cat {code}"
            at -= len("cat ")
        self.session.spend(SUBSTITUTION_COST)
        where = self.source.locate(at, at + len(code))
        source = Source(code, None if self.source.at is None else where[0], where)
        inner = Evaluator(self.session, self.calls, source, self._copied(), self.depth + 1)
        inner.heard, inner.turn = True, self.turn
        printed = inner.run(self.stdin)
        return tuple(dict.fromkeys(text.rstrip("\n") for text in printed))

    def process(self, code: str, at: int, *, feeds: bool) -> str:
        """Run a process substitution; the name of the file it stands for."""
        if feeds:
            return self.session.sink(code, self.source.locate(at, at + len(code)))
        return self.session.written(self.substitute(code, at))

    def _set_by(self, body: Body) -> frozenset[str] | None:
        key = id(body.node), len(self.state.functions)
        if key not in self.session.quiet:
            self.session.spend(QUIET_COST)
            self.session.quiet[key] = quiet.sets(body, self.state.functions, lambda name: self.calls.idle(name, self))
        return self.session.quiet[key]

    def call_function(self, body: Body, args: tuple[str, ...], stdin: Value | None) -> Value:
        """Run a function's body with its own positional parameters."""
        self.session.spend(CALL_COST)
        followed, before = self.session.followed, self.session.work
        if followed.get(id(body.node), 0) > FOLLOWED_MAX and not self.heard:
            names = self._set_by(body)
            if names is not None:
                self.session.spend(len(names))
                self.state.variables.update(dict.fromkeys(names, UNKNOWN))
                return UNKNOWN
        inner = Evaluator(self.session, self.calls, body.source, self.state, self.depth + 1)
        inner.loops, inner.heard, inner.turn = self.loops, self.heard, self.turn
        kept, self.state.args = self.state.args, args
        inner.stdin = stdin
        printed = inner.node(body.node, stdin)
        inner.state.args, inner.state.dead = kept, False
        self.state.become(inner.state)
        followed[id(body.node)] = followed.get(id(body.node), 0) + self.session.work - before
        return printed
