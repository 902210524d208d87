"""Turns a command's skeleton into a small tree of our own, by way of tree-sitter's grammar of bash.

tree-sitter is imported here and nowhere else. The nodes hold offsets into the text, never text: what a word says is
read from the text itself (`words`).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import tree_sitter
import tree_sitter_bash

from vigo.core.guard.grammar import check
from vigo.core.guard.pieces import OverBudget
from vigo.core.guard.prescan import HereDoc, Skeleton
from vigo.core.values import dataclass

NODES_MAX = 6_144
NESTING_MAX = 100


@dataclass(frozen=True, slots=True)
class Redirect:
    """`2> target`, `<<EOF`, `<<< word`."""

    operator: str
    fd: int | None
    target: tuple[int, int]
    here: HereDoc | None = None


@dataclass(frozen=True, slots=True)
class Command:
    """A simple command: assignments, words, redirections."""

    assignments: tuple[tuple[int, int], ...]
    words: tuple[tuple[int, int], ...]
    redirects: tuple[Redirect, ...]


@dataclass(frozen=True, slots=True)
class Sequence:
    """Nodes one after the other; `joins[i]` is the operator before `items[i]` (`;`, `&&`, `||`)."""

    items: tuple[Node, ...]
    joins: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Stages that feed each other."""

    stages: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Subshell:
    """`( … )`: what it sets is forgotten afterwards."""

    body: Sequence


@dataclass(frozen=True, slots=True)
class Branches:
    """`if` and `case`: the conditions run in order, at most one of the bodies does."""

    conditions: tuple[Sequence, ...]
    bodies: tuple[Sequence, ...]
    words: tuple[tuple[int, int], ...] = ()
    """The words of a `case`: they may hold substitutions."""
    total: bool = False
    """One of the bodies runs for certain: there is an `else`."""


@dataclass(frozen=True, slots=True)
class Loop:
    """`while`, `until`: condition and body, any number of times."""

    condition: Sequence
    body: Sequence


@dataclass(frozen=True, slots=True)
class For:
    """`for NAME in WORDS`."""

    name: tuple[int, int]
    words: tuple[tuple[int, int], ...]
    body: Sequence


@dataclass(frozen=True, slots=True)
class Function:
    """`NAME() { … }`."""

    name: tuple[int, int]
    body: Node


@dataclass(frozen=True, slots=True)
class Redirected:
    """A compound command with redirections."""

    body: Node
    redirects: tuple[Redirect, ...]


Node = Command | Sequence | Pipeline | Subshell | Branches | Loop | For | Function | Redirected


@dataclass(frozen=True, slots=True)
class Program:
    """A parsed text."""

    body: Sequence
    broken: tuple[int, ...]
    """Offsets at which the grammar did not hold."""
    size: int = 0
    """What it took to read: words, nodes and length, as a count of work."""


@lru_cache(maxsize=1)
def _parser() -> tree_sitter.Parser:
    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_bash.language()))


def parse(skeleton: Skeleton) -> Program:
    """Parse a skeleton; `OverBudget` when the tree is larger than the guard reads."""
    check(skeleton.text)
    root = _parser().parse(skeleton.text.encode("ascii")).root_node
    if root.descendant_count > NODES_MAX:
        raise OverBudget(f"more than {NODES_MAX} nodes")
    reader = _Reader(skeleton)
    body = reader.sequence(root.children)
    broken = [skeleton.broken] if skeleton.broken >= 0 else []
    if root.has_error:
        broken.extend(_errors(root))
    return Program(body, tuple(broken), skeleton.size + root.descendant_count // 2 + len(skeleton.text) // 64)


def _errors(root: tree_sitter.Node) -> Iterator[int]:
    stack = [root]
    while stack:
        node = stack.pop()
        if node.type == "ERROR" or node.is_missing:
            yield node.start_byte
        stack.extend(child for child in node.children if child.has_error or child.is_missing)


class _Reader:
    def __init__(self, skeleton: Skeleton) -> None:
        self._skeleton = skeleton
        self._nesting = 0

    def sequence(self, nodes: list[tree_sitter.Node]) -> Sequence:
        """Read statements; what the grammar does not know is passed over, its known parts are kept."""
        items: list[Node] = []
        joins: list[str] = []
        join = ";"
        for node in _flattened(nodes):
            if node.type in {"&&", "||"}:
                join = node.type
                continue
            read = self._node(node)
            if read is None:
                continue
            if not isinstance(read, Sequence):
                items.append(read)
                joins.append(join)
            elif read.items:
                items.extend(read.items)
                joins.extend((join, *read.joins[1:]))
            join = ";"
        return Sequence(tuple(items), tuple(joins))

    def _node(self, node: tree_sitter.Node) -> Node | None:
        if self._nesting > NESTING_MAX:
            raise OverBudget("nested too deeply")
        self._nesting += 1
        read = self._read(node)
        self._nesting -= 1
        return read

    def _read(self, node: tree_sitter.Node) -> Node | None:
        if node.type in {"command", "variable_assignment", "variable_assignments"}:
            return self._command(node)
        if node.type in {"list", "compound_statement", "do_group", "negated_command", "ERROR", "program"}:
            return self.sequence(node.children)
        compound = {
            "pipeline": self._pipeline,
            "redirected_statement": self._redirected,
            "subshell": self._subshell,
            "if_statement": self._if,
            "case_statement": self._case,
            "while_statement": self._loop,
            "for_statement": self._for,
            "function_definition": self._function,
        }.get(node.type)
        return compound(node) if compound else None

    def _command(self, node: tree_sitter.Node) -> Command:
        if node.type == "variable_assignment":
            return Command((_span(node),), (), ())
        assignments, words, redirects = [], [], []
        for child in node.named_children:
            if child.type == "variable_assignment":
                assignments.append(_span(child))
            elif child.type in {"file_redirect", "heredoc_redirect", "herestring_redirect"}:
                redirect, more = self._redirect(child)
                redirects.extend(redirect)
                words.extend(more)
            elif child.type != "ERROR":
                words.append(_span(child))
        return Command(tuple(assignments), tuple(words), tuple(redirects))

    def _redirect(self, node: tree_sitter.Node) -> tuple[list[Redirect], list[tuple[int, int]]]:
        """Read a redirection. The grammar gives it the words that follow as well: they are the command's."""
        fd: int | None = None
        operator = ""
        targets: list[tuple[int, int]] = []
        for child in node.children:
            if child.type == "file_descriptor":
                fd = int(child.text or b"0")
            elif child.is_named:
                targets.append(_span(child))
            else:
                operator = operator or child.type
        start = node.start_byte if fd is None else node.start_byte + len(str(fd))
        if not targets:
            here = self._skeleton.here_docs.get(node.end_byte)
            return ([Redirect("<<", fd, (start, start), here)] if here else []), []
        target, *more = targets
        here = self._skeleton.here_docs.get(target[0])
        if start in self._skeleton.here_strings:
            operator = "<<<"
        return [Redirect("<<" if here else operator, fd, target, here)], more

    def _pipeline(self, node: tree_sitter.Node) -> Node:
        stages = tuple(stage for stage in map(self._node, node.named_children) if stage is not None)
        return Pipeline(stages)

    def _redirected(self, node: tree_sitter.Node) -> Node:
        redirects: list[Redirect] = []
        words: list[tuple[int, int]] = []
        body: Node | None = None
        chained = False
        for child in node.named_children:
            if child.type in {"file_redirect", "heredoc_redirect", "herestring_redirect"}:
                redirect, more = self._redirect(child)
                redirects.extend(redirect)
                words.extend(more)
            else:
                body = self._node(child) or body
                chained = child.type in {"list", "pipeline"}
        if body is None or isinstance(body, Command):
            old = body or Command((), (), ())
            return Command(old.assignments, (*old.words, *words), (*old.redirects, *redirects))
        if chained and isinstance(body, Sequence | Pipeline):
            return _to_last(body, tuple(redirects))
        return Redirected(body, tuple(redirects))

    def _subshell(self, node: tree_sitter.Node) -> Node:
        return Subshell(self.sequence(node.children))

    def _if(self, node: tree_sitter.Node) -> Node:
        conditions: list[Sequence] = []
        bodies: list[Sequence] = []
        total = False
        clauses = [node, *(child for child in node.named_children if child.type in {"elif_clause", "else_clause"})]
        for clause in clauses:
            own = [child for child in clause.children if child.type not in {"elif_clause", "else_clause"}]
            if clause.type == "else_clause":
                total = True
                bodies.append(self.sequence(own))
                continue
            split = next((at for at, child in enumerate(own) if child.type == "then"), len(own))
            conditions.append(self.sequence(own[:split]))
            bodies.append(self.sequence(own[split:]))
        return Branches(tuple(conditions), tuple(bodies), total=total)

    def _case(self, node: tree_sitter.Node) -> Node:
        word = node.child_by_field_name("value")
        bodies: list[Sequence] = []
        total = False
        for item in node.named_children:
            if item.type == "case_item":
                values = item.children_by_field_name("value")
                pattern_ids = {value.id for value in values}
                bodies.append(self.sequence([child for child in item.children if child.id not in pattern_ids]))
        return Branches((), tuple(bodies), words=(_span(word),) if word else (), total=total)

    def _loop(self, node: tree_sitter.Node) -> Node:
        body = node.child_by_field_name("body")
        condition = [child for child in node.children if body is None or child.id != body.id]
        return Loop(self.sequence(condition), self.sequence(body.children if body else []))

    def _for(self, node: tree_sitter.Node) -> Node:
        name, body = node.child_by_field_name("variable"), node.child_by_field_name("body")
        words = tuple(map(_span, node.children_by_field_name("value")))
        at = _span(name) if name else (node.start_byte, node.start_byte)
        return For(at, words, self.sequence(body.children if body else []))

    def _function(self, node: tree_sitter.Node) -> Node | None:
        name, body = node.child_by_field_name("name"), node.child_by_field_name("body")
        read = self._node(body) if body else None
        return Function(_span(name), read) if name and read is not None else None


def _flattened(nodes: list[tree_sitter.Node]) -> Iterator[tree_sitter.Node]:
    """Unfold chains: the grammar nests `a && b && c` to the left, one level for each operator."""
    stack = list(reversed(nodes))
    while stack:
        node = stack.pop()
        if node.type == "list":
            stack.extend(reversed(node.children))
        else:
            yield node


def _to_last(body: Sequence | Pipeline, redirects: tuple[Redirect, ...]) -> Node:
    """Give a redirection to the last command of a chain: the grammar hangs it on the whole chain."""
    if isinstance(body, Pipeline):
        return Pipeline((*body.stages[:-1], *(Redirected(stage, redirects) for stage in body.stages[-1:])))
    return Sequence((*body.items[:-1], *(Redirected(item, redirects) for item in body.items[-1:])), body.joins)


def _span(node: tree_sitter.Node) -> tuple[int, int]:
    return node.start_byte, node.end_byte
