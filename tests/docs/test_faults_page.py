"""The page of the fault catalogue: every fault has one row, and every test that a row names exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "faults.md"
CATALOGUE = [
    f"{part}{number}" for part, last in zip("ABCDE", (22, 28, 11, 16, 16), strict=True) for number in range(1, last + 1)
]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
WITH_AN_ID = re.compile(r"test_[a-e][0-9]+_")


def rows() -> list[list[str]]:
    """Return the cells of each row of the page's table."""
    lines = (line for line in PAGE.read_text("utf-8").split("\n") if re.match(r"\| [A-E][0-9]+ \|", line))
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


@cache
def names_in(path: Path) -> frozenset[str]:
    """Return the names of the tests in a file, which is read and not run."""
    tree = ast.parse(path.read_text("utf-8"))
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(function.name for function in functions if function.name.startswith("test_"))


def test_every_fault_has_exactly_one_row() -> None:
    """In the catalogue's order, with what is done, a test or a reason, a figure and a verdict."""
    assert [row[0] for row in rows()] == CATALOGUE
    for row in rows():
        assert len(row) == 5, row[0]
        assert all(row), row[0]
        assert re.match(r"(pass|simulated|not automated)\b", row[4]), row[0]
        assert row[4].startswith("not automated") or NAMED.search(row[2]), row[0]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_the_tests_of_a_row_exist(row: list[str]) -> None:
    """By the file's path and the function's name."""
    for path, name in NAMED.findall(row[2]):
        assert (ROOT / path).is_file(), path
        assert name in names_in(ROOT / path), f"{path} has no {name}"


def test_no_test_that_is_named_after_a_fault_is_missing() -> None:
    """A test with an id in its name stands in a row of that id's page."""
    named = {f"{path}::{name}" for path, name in NAMED.findall(PAGE.read_text("utf-8"))}
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    found = {f"{file.relative_to(ROOT)}::{name}" for file in files for name in names_in(file) if WITH_AN_ID.match(name)}
    assert found - named == set()
