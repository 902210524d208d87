"""Tab, pressed in real shells on a terminal, with the script where the documentation says it goes."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from pathlib import Path

import pexpect
import pytest

from tests.cli.conftest import Vigo

TYPED = {
    "--target db": "--target db-01.example.com ",
    "--batch-s": "--batch-size ",
    "--view=ga": "--view=gather ",
    "--target os.dis": "--target os.distro=",
    "--target db-01.example.com,@prod.w": "--target db-01.example.com,@prod.web ",
    "--target '@prod.web and db": "--target '@prod.web and db-01.example.com' ",
}
SCRIPTS = {"zsh": "functions/_vigo", "fish": ".config/fish/completions/vigo.fish"}
SETTINGS = {
    "zsh": (
        ".zshrc",
        (
            "PS1='> '; unset zle_bracketed_paste; fpath=(~/functions $fpath); autoload -Uz compinit; compinit -D -u\n"
            "show() { print -r -- \"<$BUFFER>\" > ~/.line && mv ~/.line ~/line }; zle -N show; bindkey '^G' show\n"
        ),
    ),
    "fish": (
        ".config/fish/config.fish",
        (
            "set -g fish_greeting; function fish_prompt; echo -n '> '; end\n"
            'function show; echo "<"(commandline)">" > ~/.line; and mv ~/.line ~/line; end; bind \\cg show\n'
        ),
    ),
}
START = {"zsh": ["-d", "-i"], "fish": ["-i"]}


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_tab_completes_in_the_shell(lab: Vigo, shell: str) -> None:
    """A host, a flag, a flag's value, a trait and a group behind a comma, and a term within quotes; the rest stays as typed."""
    home = lab.home
    for name, text in ((SCRIPTS[shell], lab("completion", shell).out), SETTINGS[shell]):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    program = home / "bin" / "vigo"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m vigo "$@"\n')
    program.chmod(0o755)
    env = lab.env | {"HOME": str(home), "TERM": "xterm", "PATH": f"{program.parent}:{lab.env['PATH']}"}
    child = pexpect.spawn(
        shell, START[shell], env=env, cwd=str(home), encoding="utf-8", timeout=30, dimensions=(24, 200)
    )
    try:
        child.expect_exact("> ")
        for typed, completed in TYPED.items():
            child.send(f"vigo task run x {typed}\t\x07")
            assert _shown(child, home / "line") == f"<vigo task run x {completed}>"
            child.send("\x15")
    finally:
        child.close(force=True)


def _shown(child: pexpect.spawn[str], line: Path) -> str:
    """Return the command line that the shell writes down when asked, within half a minute."""
    deadline = time.monotonic() + 30
    while not line.exists() and time.monotonic() < deadline:
        with suppress(pexpect.TIMEOUT):
            child.read_nonblocking(10_000, 0.05)  # what it draws has to go somewhere, or it would wait
    text = line.read_text().strip("\n")
    line.unlink()
    return text
