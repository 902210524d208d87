"""What a condition tells about a variable: behind `if [ "$x" ]; then` it is not empty.

Only a condition that is this one test and nothing else is taken at its word: no `!`, no list, no redefined `[`.
"""

from __future__ import annotations

import re

from vigo.core.guard.state import State
from vigo.core.guard.syntax import Command, Sequence

_IF = re.compile(r"(?<![^\s;&|(){}])(?:el)?if\s+")
_TEST = re.compile(r'(?:test|(\[)) (?:-n )?"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})"(?(1) \])', re.ASCII)
_THEN = re.compile(r"[ \t]*[;\n]\s*then(?=\s)")
_NEAR = 64


def suppose(state: State, text: str, conditions: tuple[Sequence, ...]) -> None:
    """Leave out that a variable may be empty, in the body behind a condition that asks just that."""
    items = [item for condition in conditions for item in condition.items]
    words = [span for item in items if isinstance(item, Command) for span in item.words]
    said = _TEST.fullmatch(" ".join(text[start:end] for start, end in words))
    if said is None or not {"[", "test"}.isdisjoint(state.functions.keys() | state.aliases.keys()):
        return
    begin, end = words[0][0], words[-1][1]
    before = list(_IF.finditer(text, max(0, begin - _NEAR), begin))
    if before and before[-1].end() == begin and _THEN.match(text, end):
        name = said[2] or said[3]
        full = tuple(value for value in state.variables.get(name, ()) if value)
        if full:
            state.variables[name] = full
