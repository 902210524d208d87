"""A reader's shell: one home, vigo on PATH, and a lab where the page takes one for given."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docs.pages import Command, Page, Save

_DEADLINE_S = 100


@dataclass(frozen=True)
class Played:
    """What a command of a page did."""

    step: Command
    code: int | None
    """None: the shell did not come this far."""
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Reader:
    """Somebody with an empty home who follows a page in one shell."""

    home: Path

    @property
    def env(self) -> dict[str, str]:
        """The environment: nothing of vigo's is set, so that its folders are where the documentation says."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        kept = {name: os.environ[name] for name in ("LANG", "CI") if name in os.environ}
        # A terminal shows both streams as they come; a file would get standard output last.
        return {**kept, "PATH": path, "HOME": str(self.home), "TMPDIR": str(self.home), "PYTHONUNBUFFERED": "1"}

    def sh(self, script: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a script to its end, both streams in one."""
        return subprocess.run(
            ["sh", "-c", script],
            cwd=cwd or self.home,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_DEADLINE_S,
            check=False,
        )

    def follow(self, page: Page) -> list[Played]:
        """Do every step of the page, in order, in one shell, whatever goes wrong on the way."""
        notes = self.home / ".notes"
        notes.mkdir()
        script: list[str] = []
        for at, step in enumerate(page.steps):
            if isinstance(step, Save):
                (notes / f"{at}.file").write_text(step.text, encoding="utf-8")
                script.append(f"cp '{notes}/{at}.file' '{step.name}'\n")
            else:
                script.append(f"{{\n{step.text}\n}} >'{notes}/{at}.out' 2>&1\necho $? >'{notes}/{at}.code'\n")
        ended = self.sh("".join(script))
        assert ended.stdout == "", ended.stdout
        return [self._played(notes, at, step) for at, step in enumerate(page.steps) if isinstance(step, Command)]

    def _played(self, notes: Path, at: int, step: Command) -> Played:
        code, out = notes / f"{at}.code", notes / f"{at}.out"
        if not code.exists():
            return Played(step, None, ())
        return Played(step, int(code.read_text("ascii")), tuple(out.read_text("utf-8").splitlines()))


@pytest.fixture
def reader() -> Iterator[Reader]:
    """Return a reader whose home every user can reach, and see that no lab and no temporary file outlive the test."""
    home = Path(tempfile.mkdtemp(prefix="vigo-docs-", dir="/tmp"))  # a folder of pytest's own is closed to `nobody`
    home.chmod(0o755)
    someone = Reader(home)
    yield someone
    down = someone.sh("vigo lab down")
    shutil.rmtree(home)
    assert down.returncode == 0, down.stdout
