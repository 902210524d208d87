from __future__ import annotations

import json
import time
from pathlib import Path

import psutil
import pytest

from vigo.adapters import import_files
from vigo.adapters.import_command import import_command
from vigo.core.errors import ConfigError, UsageError
from vigo.core.imports.document import Imported
from vigo.core.imports.mapping import read_field, read_mapping


def run(command: str, *, deadline_s: float = 20) -> Imported:
    """Import the names that a program prints."""
    return import_command(command, read_field(".", "--items"), read_mapping(["name=.name"]), deadline_s=deadline_s)


def test_a_program_is_run_without_a_shell_and_without_input(tmp_path: Path) -> None:
    """Its words are its own: nothing expands them; reading standard input, it is at its end."""
    (tmp_path / "it's here.json").write_text(json.dumps([{"name": "a"}, {"name": "b"}]))
    imported = run(f"""cat - "{tmp_path}/it's here.json" """)
    assert [host.name for host in imported.document.hosts] == ["a", "b"]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("no-such-program-here x", "no-such-program-here: cannot be started: No such file"),
        ("sh -c 'exit 3'", "sh: ended with exit 3; mend what it says above"),
        ("sh -c 'kill -9 $$'", "sh: ended with signal 9"),
        ("echo [", "echo:2:1: JSON: "),
        ("printf '\\377'", "printf:1: byte 0xff is not UTF-8"),
        ('echo \'[{"name": "a b"}]\'', "echo: [0]: a b: holds a blank"),
        ("sleep 60", "sleep: did not end within 0.3 s; give it less to do, or import a file"),
        ("sh -c 'exec >&-; sleep 60'", "sh: did not end within 0.3 s"),
        ("bad\0word", "cannot be started: embedded null byte"),
    ],
)
def test_a_program_that_gives_no_inventory_is_named(command: str, said: str) -> None:
    """By its first word alone: its arguments may hold a secret."""
    with pytest.raises(ConfigError) as caught:
        run(command, deadline_s=0.3 if "sleep" in command else 20)
    assert said in str(caught.value)


@pytest.mark.parametrize("command", ["", "  ", "cat 'open"])
def test_no_program_is_a_slip_of_the_operator(command: str) -> None:
    """Nothing is started."""
    with pytest.raises(UsageError, match=r"^command: "):
        run(command)


def test_a_program_without_end_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """In what it prints, before it is read as anything."""
    monkeypatch.setattr("vigo.adapters.import_command.BYTES_MAX", 1024 * 1024)
    with pytest.raises(ConfigError, match="yes: prints more than 1 MiB; have it print less"):
        run("yes")
    assert import_files.BYTES_MAX == 16 * 1024 * 1024


def test_a_program_that_is_late_takes_its_children_with_it(tmp_path: Path) -> None:
    """Whether it is itself still there or not."""
    for number, after in enumerate(("sleep 60", "exit 0")):
        pid_file = tmp_path / str(number)
        with pytest.raises(ConfigError, match="did not end within"):
            run(f"sh -c 'sleep 60 & echo $! > {pid_file}; {after}'", deadline_s=0.5)
        pid = int(pid_file.read_text())
        deadline = time.monotonic() + 10
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline, "a child outlived the deadline"
            time.sleep(0.01)
