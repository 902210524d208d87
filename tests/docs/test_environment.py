from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.docs.pages import ROOT

PAGE = ROOT / "docs/reference/environment.md"
NAME = re.compile(r"\b(?:VIGO|XDG)_(?:[A-Z_]|\{[a-z]+\})+")
FOLDERS = ("DATA", "CONFIG", "STATE", "CACHE")
NOT_FOR_OPERATORS = {"PYTHONPATH"}
"""Handed on to the lab's process, so that it finds the same vigo; it says nothing to vigo."""


def named_in_the_program() -> set[str]:
    """Return the names in the program's text; `{noun}` is each of the four folders, an open end a param's name."""
    found: set[str] = set()
    for path in (ROOT / "vigo").rglob("*"):
        if path.is_file() and path.suffix in {".py", ""}:
            for name in NAME.findall(path.read_text("utf-8")):
                whole = name + "NAME" if name.endswith("_") else name
                found.update(re.sub(r"\{[a-z]+\}", folder, whole) for folder in FOLDERS)
    return found


def read_by_name() -> Iterator[str]:
    """Yield every literal name that the program looks up in its environment."""
    for path in (ROOT / "vigo").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case (
                    ast.Call(
                        func=ast.Attribute(value=ast.Attribute(attr="environ") | ast.Name(id="environ"), attr="get")
                        | ast.Attribute(attr="getenv"),
                        args=[ast.Constant(value=str(name)), *_],
                    )
                    | ast.Subscript(
                        value=ast.Attribute(attr="environ") | ast.Name(id="environ"),
                        slice=ast.Constant(value=str(name)),
                        ctx=ast.Load(),
                    )
                ):
                    yield name
                case _:
                    pass


def on_the_page() -> set[str]:
    """Return the names that the tables' first columns hold."""
    rows = [line.split("|")[1] for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([A-Z_]+)`", row)}


def test_the_page_names_every_variable_of_vigos_own_and_no_other() -> None:
    """A variable that nobody can look up might as well not be there, and one that is gone would be a lie."""
    assert "VIGO_INVENTORY" in named_in_the_program()
    assert {name for name in on_the_page() if NAME.fullmatch(name)} == named_in_the_program()


def test_the_page_names_every_variable_that_is_looked_up() -> None:
    """Others' variables that vigo heeds are there too."""
    looked_up = set(read_by_name())
    assert {"HOME", "SSH_AUTH_SOCK"} <= looked_up
    assert looked_up - on_the_page() == NOT_FOR_OPERATORS
