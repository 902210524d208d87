"""What answers at once loads neither SSH nor an event loop."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.cli.conftest import Vigo

_PROGRAM = """
import atexit, json, sys
from vigo.cli.main import main
atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))
sys.argv = ["vigo", *sys.argv[1:]]
main()
"""


def _modules(vigo: Vigo, *args: str) -> set[str]:
    """Run the program and return what it had imported by its end."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *args],
        env=vigo.env,
        cwd=vigo.home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize(
    "args",
    [
        ["--version"],
        ["--help"],
        ["task", "run", "--help"],
        ["task", "list"],
        ["task", "status"],
        ["task", "run", "uptime", "--target", "*.web.*", "--dry-run", "--no-probe"],
    ],
    ids=" ".join,
)
def test_it_imports_neither_asyncssh_nor_asyncio(lab: Vigo, args: list[str]) -> None:
    """`sys.modules` at the end of the program tells."""
    assert lab("task", "run", "true", "--target", "web-01.example.com").code == 0
    modules = _modules(lab, *args)
    assert "vigo.cli.main" in modules
    assert modules.isdisjoint({"asyncssh", "asyncio", "cryptography"})


def test_help_and_version_load_no_database_and_no_parser(vigo: Vigo) -> None:
    """Nor do they need SQLite, YAML or the guard's grammar."""
    for args in (["--version"], ["--help"]):
        assert _modules(vigo, *args).isdisjoint({"sqlite3", "yaml", "tree_sitter", "rich"})
