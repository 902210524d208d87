"""What answers at once loads neither SSH nor an event loop."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from tests.cli.conftest import Vigo
from vigo import __version__

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


_HEAVY = frozenset({"asyncssh", "asyncio", "cryptography", "rich", "uvloop"})
"""What only a run needs."""
_DATABASE, _YAML, _GUARD, _PARSER = "sqlite3", "yaml", "tree_sitter", "typer"
_ALIKE = {
    (_DATABASE, _YAML, _GUARD, _PARSER): (
        ["--version"],
        ["--complete", "bash", "vigo ta", "vigo ta"],
        ["--complete", "zsh", "task", "ru"],
        ["--complete", "fish", "task", "run", "--ba"],
    ),
    (_DATABASE, _YAML, _GUARD): (
        ["--help"],
        ["task", "run", "--help"],
        ["config", "show"],
        ["guard", "rules"],
        ["lab", "status"],
    ),
    (_DATABASE, _GUARD): (
        ["inventory", "list"],
        ["inventory", "show", "web-01.example.com"],
    ),
    (_DATABASE,): (["task", "run", "uptime", "--target", "*.web.*", "--dry-run", "--no-probe"],),
    (_YAML, _GUARD): (["task", "list"], ["task", "status"], ["audit", "verify"]),
    (_YAML, _DATABASE): (["guard", "check", "uptime"],),
}
"""What each of the commands beside does without, too."""


def test_what_answers_at_once_loads_only_what_it_needs(lab: Vigo) -> None:
    """`sys.modules` at the end of the program tells: no SSH, no event loop, no tables, and each only its own libraries."""
    assert lab("task", "run", "true", "--target", "web-01.example.com").code == 0
    commands = [(set(absent), args) for absent, alike in _ALIKE.items() for args in alike]
    with ThreadPoolExecutor(2) as pool:
        loaded = list(pool.map(lambda command: _modules(lab, *command[1]), commands))
    for (absent, args), modules in zip(commands, loaded, strict=True):
        assert "vigo.cli.main" in modules
        assert not (absent | _HEAVY) & modules, args


def test_a_list_of_tasks_reads_no_flags_of_a_run(lab: Vigo) -> None:
    """Of the program's own modules, those that plan, guard or carry out are left alone."""
    modules = _modules(lab, "task", "list")
    assert modules.isdisjoint({"vigo.cli.request", "vigo.cli.dispatch", "vigo.core.inventory", "vigo.adapters.store"})


def test_the_version_is_told_the_same_way_by_both_roads(vigo: Vigo) -> None:
    """Alone it is told before the parser of flags is loaded; beside other words that parser tells it."""
    alone, beside = vigo("--version"), vigo("--version", "task")
    assert (alone.code, alone.out, alone.err) == (0, f"vigo {__version__}\n", "")
    assert (beside.code, beside.out) == (0, alone.out)
