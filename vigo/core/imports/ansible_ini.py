"""Ansible's INI inventories, by its documented rules: hosts, `[group]`, `[group:children]`, `[group:vars]`.

Values are read as Ansible reads them, as literals of Python where they are some and as text where not. Two kinds keep
the way they are written: numbers with a point (`1.10`), and whole ones that are not plain decimals (`0x1F`).
"""

from __future__ import annotations

import ast
import re
import shlex
import warnings
from collections.abc import Sequence
from typing import Final

from vigo.core.errors import ConfigError
from vigo.core.imports.ansible_source import UNGROUPED, Fleet, Value, Variable
from vigo.core.nodes import Mark, wrong

_SECTION: Final = re.compile(r"\[([^:\]\s]+)(?::(\w+))?\]\s*(?:#.*)?")
_GROUP: Final = re.compile(r"([^:\]\s]+)\s*(?:#.*)?")
_WORD: Final = re.compile(r"[A-Za-z_/~][A-Za-z0-9_./~-]*", re.ASCII)
_DECIMAL: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,17})", re.ASCII)
_CONSTANTS: Final = frozenset({"True", "False", "None"})


def read_ini(text: str, source: str, fleet: Fleet) -> None:
    """Add what an INI inventory says to the fleet. Raises ConfigError with the line of anything that is none."""
    _Reader(source, fleet).read(text)


def literal(text: str) -> Value:
    """Return the value of a text: a literal of Python where it is one, else the text itself."""
    if _WORD.fullmatch(text) and text not in _CONSTANTS:
        return text
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            body = ast.parse(text.strip(), mode="eval").body
        return _value(body, text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def _value(node: ast.expr, text: str) -> Value:
    """Return the value of a literal. Raises ValueError for any other expression."""
    match node:
        case ast.Constant(value=None | bool() | str() as value):
            return value
        case (
            ast.Constant(value=int() | float())
            | ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=ast.Constant(value=int() | float()))
        ):
            written = ast.get_source_segment(text, node) or text
            return int(written) if _DECIMAL.fullmatch(written) else written
        case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
            return [_value(item, text) for item in items]
        case ast.Dict(keys=keys, values=values):
            return {
                str(None if key is None else _value(key, text)): _value(value, text)
                for key, value in zip(keys, values, strict=True)
            }
        case _:
            raise ValueError("no literal")


class _Reader:
    """One pass over the lines of a file."""

    def __init__(self, source: str, fleet: Fleet) -> None:
        self._source = source
        self._fleet = fleet
        self._group = UNGROUPED
        self._kind = "hosts"
        self._declared: set[str] = set(fleet.groups)
        self._awaited: dict[str, tuple[Mark, str]] = {}
        """Groups that were used and not yet declared, with what to say of them."""

    def read(self, text: str) -> None:
        """Read all lines."""
        for number, whole in enumerate(text.splitlines(), start=1):
            line = whole.strip()
            if line and line[0] not in "#;":
                self._line(line, Mark(self._source, number, len(whole) - len(whole.lstrip()) + 1))
        for name, (mark, reason) in self._awaited.items():
            if name not in self._declared:
                raise wrong(mark, name, reason, f"write [{name}] somewhere")

    def _line(self, line: str, mark: Mark) -> None:
        section = _SECTION.fullmatch(line)
        if section is not None:
            self._begin(section[1], section[2] or "hosts", mark)
        elif line.startswith("[") and line.endswith("]"):
            raise wrong(mark, line, "is no section", "write [group], [group:children] or [group:vars]")
        elif self._kind == "hosts":
            self._hosts(line, mark)
        elif self._kind == "vars":
            self._variable(line, mark)
        else:
            self._child(line, mark)

    def _begin(self, group: str, kind: str, mark: Mark) -> None:
        if kind not in {"hosts", "children", "vars"}:
            raise wrong(mark, group, f"is a section of the unknown kind {kind!r}", "write children or vars")
        self._group, self._kind = group, kind
        self._fleet.group(group, mark)
        if kind == "vars":
            self._awaited.setdefault(group, (mark, "has variables and is declared nowhere"))
        else:
            self._declared.add(group)

    def _hosts(self, line: str, mark: Mark) -> None:
        try:
            pattern, *words = shlex.split(line, comments=True)
        except ValueError as error:
            raise wrong(mark, "line", "has quotes that do not end", "close them") from error
        variables = {}
        for word in words:
            name, equals, text = word.partition("=")
            if not equals:
                raise wrong(mark, pattern, "is followed by something that is no variable", "write name=value")
            variables[name] = Variable(literal(text), mark)
        self._fleet.host(pattern, self._group, mark, variables)

    def _variable(self, line: str, mark: Mark) -> None:
        name, equals, text = line.partition("=")
        if not equals:
            raise _no_variable(self._group, mark)
        self._fleet.assign(self._group, name.strip(), Variable(literal(text.strip()), mark))

    def _child(self, line: str, mark: Mark) -> None:
        found = _GROUP.fullmatch(line)
        if found is None:
            raise wrong(mark, f"{self._group}:children", "holds something that is no group", "write one name a line")
        self._awaited.setdefault(found[1], (mark, f"is a child of {self._group} and declared nowhere"))
        self._fleet.nest(self._group, found[1], mark)


def _no_variable(group: str, mark: Mark) -> ConfigError:
    return wrong(mark, f"{group}:vars", "holds a line that is no variable", "write name = value")


def looks_like_yaml(lines: Sequence[str]) -> bool:
    """Whether a file without a telling name is YAML: it begins with `---`, or its first line ends with a colon."""
    first = next((line.strip() for line in lines if line.strip() and line.lstrip()[0] not in "#;"), "")
    return first.startswith(("---", "{")) or first.partition(" #")[0].rstrip().endswith(":")
