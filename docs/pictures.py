"""Draws the picture of the documentation from a real run on a lab: `make docs`.

Times and ids are set to one and the same, so that the picture changes when what the program shows does, and only then.
"""  # noqa: INP001 - a script, no package

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pexpect
from rich.console import Console
from rich.text import Text

PICTURE = Path(__file__).parent / "pictures" / "board.svg"
_COLUMNS, _LINES = 84, 18
_HOSTS, _BROKEN, _SLOW = 61, "web-17.example.com", range(27, 31)
_COMMAND, _TARGET = "systemctl restart nginx", "@prod.web"
_MOMENT = "6 of 10 ended"
_FONT = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)
"""Fonts that a viewer would fetch from somewhere else."""
_FRAME_BEGIN, _FRAME_END = "\x1b[1mtask ", "\x1b[J"
_SETTLED = (
    (r"task t[0-9a-z]{7}\b", "task t1a2b3c4"),
    (r"(running\S*) \d+s", r"\1 1s"),
    (r"\b\d+ms\b", "95ms"),
)
_WAIT_S = 60


def board() -> str:
    """Return the picture of a rollout in its third batch, as SVG: one host failed, four are slow."""
    with _lab() as env:
        _vigo(env, "lab", "break", _BROKEN, "exit:1")
        for number in _SLOW:
            _vigo(env, "lab", "break", f"web-{number}.example.com", "slow")
        health = json.loads(_vigo(env, "lab", "status", "-o", "json"))["health_url"]
        rules = ("--batch-size", "10", "--max-failures", "5%", "--health-check-url", health)
        drawn = _frame(env, "task", "run", _COMMAND, "--target", _TARGET, *rules)
    console = Console(record=True, file=io.StringIO(), width=_COLUMNS, force_terminal=True, legacy_windows=False)
    for pattern, text in _SETTLED:
        drawn = re.sub(pattern, text, drawn)
    console.print(Text.from_ansi(drawn), soft_wrap=True)
    title = f'vigo task run "{_COMMAND}" --target {_TARGET} …'
    return _FONT.sub("", console.export_svg(title=title, unique_id="board"))


@contextmanager
def _lab() -> Iterator[Mapping[str, str]]:
    """Start a lab in a folder of its own, and end it."""
    with tempfile.TemporaryDirectory(prefix="vigo-pictures-") as home:
        Path(home).chmod(0o755)
        names = ("DATA", "STATE", "CACHE", "CONFIG", "LAB")
        own = {f"VIGO_{name}_DIR": f"{home}/{name.lower()}" for name in names}
        env = {
            "PATH": os.environ["PATH"],
            "HOME": home,
            "TERM": "xterm-256color",
            "LANG": "C.UTF-8",
            "VIGO_INVENTORY": "lab",
        }
        env |= own
        _vigo(env, "lab", "up", "--hosts", str(_HOSTS))
        try:
            yield env
        finally:
            _vigo(env, "lab", "down")


def _vigo(env: Mapping[str, str], *args: str) -> str:
    return subprocess.run(  # noqa: S603 - vigo itself
        [sys.executable, "-m", "vigo", *args], env=env, check=True, capture_output=True, text=True
    ).stdout


def _frame(env: Mapping[str, str], *args: str) -> str:
    """Run it on a terminal and return the board as it is drawn at the moment, with its colours."""
    with pexpect.spawn(
        sys.executable, ["-m", "vigo", *args], env=dict(env), dimensions=(_LINES, _COLUMNS), timeout=_WAIT_S, encoding="utf-8"
    ) as run:  # fmt: skip
        run.expect_exact(_MOMENT)
        before = run.before or ""
        run.expect_exact(_FRAME_END)
        frame = f"{before}{_MOMENT}{run.before}".rpartition(_FRAME_BEGIN)[2]
        run.expect(pexpect.EOF)
    return _FRAME_BEGIN + re.sub(r"\r|\x1b\[\d*[AK]", "", frame)


if __name__ == "__main__":
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(board(), "utf-8")
    sys.stdout.write(f"{PICTURE}\n")
