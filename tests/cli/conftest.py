"""The program as a user has it: a process with folders of its own, and a lab that lasts for the session."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pexpect
import pytest


@dataclass(frozen=True)
class Result:
    """What a finished process left."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Read standard output as one JSON value."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Vigo:
    """Runs the program with its own data, state, cache and config folders below `home`."""

    home: Path
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        """The environment of the program."""
        folders = {f"VIGO_{name}_DIR": str(self.home / name.lower()) for name in ("DATA", "STATE", "CACHE", "CONFIG")}
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "COVERAGE_PROCESS_START") if name in os.environ}
        return {**kept, "HOME": str(self.home), **folders, **self.environ}

    def command(self, *args: str) -> list[str]:
        """Return the whole command line."""
        return [sys.executable, "-m", "vigo", *args]

    def __call__(self, *args: str, stdin: str = "", timeout: float = 60, **environ: str) -> Result:
        """Run the program to its end."""
        done = subprocess.run(
            self.command(*args),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            cwd=self.home,
            env={**self.env, **environ},
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Result(done.returncode, done.stdout, done.stderr)

    @contextmanager
    def on_a_terminal(self, *args: str) -> Iterator[pexpect.spawn[str]]:
        """Run the program on a terminal of its own; it is ended with the `with` block at the latest."""
        command, *rest = self.command(*args)
        child = pexpect.spawn(command, rest, env=self.env, cwd=str(self.home), encoding="utf-8", timeout=60, echo=False)
        try:
            yield child
        finally:
            child.close(force=True)

    def events(self) -> list[dict[str, object]]:
        """Return the journal's events as `audit export` tells them."""
        exported = self("audit", "export", "-o", "jsonl")
        assert exported.code == 0, exported.err
        return [json.loads(line) for line in exported.out.splitlines()]


@pytest.fixture
def vigo(tmp_path: Path) -> Vigo:
    """Return the program with empty folders and no inventory."""
    return Vigo(tmp_path)


@pytest.fixture(scope="session")
def lab_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Start a lab of the example fleet, once for all tests that only run commands on it."""
    home = tmp_path_factory.mktemp("lab")
    home.chmod(0o755)
    vigo = Vigo(home, {"VIGO_LAB_DIR": str(home / "lab")})
    up = vigo("lab", "up")
    assert up.code == 0, up.err
    yield home / "lab"
    down = vigo("lab", "down")
    assert down.code == 0, down.err


@pytest.fixture
def lab(tmp_path: Path, lab_folder: Path) -> Vigo:
    """Return the program with the session's lab as its inventory and an empty journal."""
    return Vigo(tmp_path, {"VIGO_LAB_DIR": str(lab_folder), "VIGO_INVENTORY": "lab"})


@pytest.fixture
def meeting() -> Iterator[Path]:
    """Return a folder that hosts of the lab can write to, with a name of a fixed length."""
    folder = Path(tempfile.mkdtemp(prefix="app-", dir="/tmp"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)
