from __future__ import annotations

import ast
import copy
import dataclasses
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from vigo.core.guard import FileOrder, Order, Placement, Text
from vigo.core.model import Host

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "vigo").rglob("*.py"))
MAKER = ROOT / "vigo/core/guard/order.py"
FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 400


@cache
def parsed(path: Path) -> ast.Module:
    """Return the syntax tree of one source file."""
    return ast.parse(path.read_text("utf-8"), str(path))


def place(path: Path, node: ast.AST | None = None) -> str:
    """Return where something stands, as an editor understands it."""
    line = getattr(node, "lineno", 1)
    return f"{path.relative_to(ROOT)}:{line}"


def test_the_scan_sees_the_program() -> None:
    """A test over no files would pass for ever."""
    assert MAKER in SOURCES
    assert len(SOURCES) >= 30


# --- an order is made by the guard and by nothing else


ORDERS = frozenset({"Order", "FileOrder"})


def _makings(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield what could make an order: a call of `Order` or `FileOrder`, its `__new__`, a subclass, or the guard's seal."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in ORDERS:
                yield node
            case ast.Call(func=ast.Attribute(attr="__new__"), args=[ast.Name(id=name), *_]) if name in ORDERS:
                yield node
            case ast.Attribute(value=ast.Name(id=name), attr="__new__" | "__init__") if name in ORDERS:
                yield node
            case ast.ClassDef(bases=bases) if any(isinstance(base, ast.Name) and base.id in ORDERS for base in bases):
                yield node
            case ast.Name(id="_SEAL") | ast.Attribute(attr="_SEAL") | ast.alias(name="_SEAL"):
                yield node
            case ast.alias(name=name, asname=str()) if name in ORDERS:
                yield node
            case _:
                pass


def test_an_order_is_constructed_in_the_guard_alone() -> None:
    """Whatever acts on a host went through `clear`: no other file makes, renames, extends or unseals an order."""
    found = [place(path, node) for path in SOURCES if path != MAKER for node in _makings(parsed(path))]
    assert found == []
    calls = [node for node in _makings(parsed(MAKER)) if isinstance(node, ast.Call)]
    assert len(calls) == len(ORDERS), "one call of each, in `clear`"


@pytest.mark.parametrize(
    "source",
    [
        "Order(seal, host, text)",
        "guard.Order(seal, host, text)",
        "object.__new__(Order)",
        "Order.__new__(Order)",
        "from vigo.core.guard.order import _SEAL",
        "order._SEAL",
        "from vigo.core.guard import Order as Harmless",
        "class Mine(Order): pass",
        "FileOrder(seal, host, file)",
        "object.__new__(FileOrder)",
        "from vigo.core.guard import FileOrder as Harmless",
        "class Mine(FileOrder): pass",
    ],
)
def test_the_scan_would_see_each_way_round(source: str) -> None:
    """Should one of these ever be written, the test above fails."""
    assert list(_makings(ast.parse(source)))


def test_an_order_cannot_be_made_without_the_seal() -> None:
    """Also outside this repository: the constructor refuses, and so does a changed copy."""
    host, text, file = Host("web-01", "u"), Text("uptime"), Placement("push", "/srv/vigo/x", 0o644, 0, "")
    for seal in (object(), None, "seal", Order):
        with pytest.raises(TypeError, match=r"made by vigo\.core\.guard\.clear"):
            Order(seal, host, text)
        with pytest.raises(TypeError, match=r"made by vigo\.core\.guard\.clear"):
            FileOrder(seal, host, file)


def test_an_order_cannot_be_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was cleared is what travels: neither assignment nor `replace` gives another command."""
    monkeypatch.setattr("vigo.core.guard.order.judge", lambda _: None)
    from vigo.core.guard import clear  # noqa: PLC0415 - the one maker, used once

    order = clear(Host("web-01", "u"), Text("uptime"))
    assert isinstance(order, Order)
    with pytest.raises(dataclasses.FrozenInstanceError):
        order.wire = "reboot"  # type: ignore[misc]
    with pytest.raises((TypeError, ValueError)):
        dataclasses.replace(order, wire="reboot")
    assert copy.copy(order) == order


def test_files_on_hosts_are_written_by_the_push_alone() -> None:
    """SFTP has one door: whatever opens a session of it takes file orders and nothing else."""
    doors = [
        path.relative_to(ROOT).as_posix()
        for path in SOURCES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Attribute) and node.attr in {"start_sftp_client", "posix_rename"}
    ]
    assert sorted(doors) == ["vigo/adapters/ssh_placing.py", "vigo/adapters/ssh_push.py"]


# --- who may import whom


def test_imports_run_strictly_down() -> None:
    """The contracts of `pyproject.toml`: layers, a core without I/O, one home for each foreign library."""
    tool = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([tool, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("module", ["vigo", "vigo.cli.main"])
def test_importing_the_program_loads_no_network_library(module: str) -> None:
    """`--help`, Tab and history start fast: neither asyncssh nor asyncio is loaded before something connects."""
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not there yet")
    code = f"import sys, {module}; print(*sorted(set(sys.argv[1:]) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code, "asyncssh", "asyncio", "uvloop", "cryptography"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr


# --- how it reads


def _length(path: Path, node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count a function's lines; a command's signature is a table of flags and its body alone counts."""
    first = node.body[0].lineno if ROOT / "vigo/cli" in path.parents else node.lineno
    return (node.end_lineno or 0) - first + 1


def test_no_function_is_longer_than_a_screen() -> None:
    """Sixty lines, docstring included, is the bound; most have fewer than thirty."""
    found = [
        f"{place(path, node)} {node.name}: {length} lines"
        for path in SOURCES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := _length(path, node)) > FUNCTION_LINES_MAX
    ]
    assert found == []


def test_no_file_is_longer_than_four_hundred_lines() -> None:
    """A file that grows past it holds two things."""
    lengths = {path: len(path.read_text("utf-8").splitlines()) for path in SOURCES}
    assert [f"{place(path)} {length} lines" for path, length in lengths.items() if length > FILE_LINES_MAX] == []


def test_every_module_says_what_it_is_for() -> None:
    """One breath at the top of each file."""
    assert [place(path) for path in SOURCES if not ast.get_docstring(parsed(path))] == []


def test_nothing_has_a_name_that_says_nothing() -> None:
    """No Manager, Helper, Util, Base, Data or Info, in a class or a file."""
    empty = ("manager", "helper", "helpers", "util", "utils", "base", "data", "info", "common", "misc")
    files = [place(path) for path in SOURCES if path.stem in empty or path.parent.name in empty]
    classes = [
        f"{place(path, node)} {node.name}"
        for path in SOURCES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ClassDef) and node.name.lower().endswith(empty)
    ]
    assert files + classes == []
