from __future__ import annotations

import re
from pathlib import Path

import psutil
import pytest

from tests.docs.conftest import Reader
from tests.docs.pages import ROOT

EXAMPLES = (
    '$ vigo task run "uptime" --target "*.web.*"',
    '$ vigo task run restart-app --target "*.web.*" --param env=staging',
    '$ vigo task run "systemctl restart nginx" --target "*.web.*" --batch-size 25% --max-failures 2 --health-check-url http://127.0.0.1:',
    '$ vigo task run "uptime" --target "*.web.*" --batch-size 2 --dry-run',
    "$ vigo task status",
    "$ vigo task list --limit 5",
)
"""What the reference page shows; the health URL is the lab's."""


def alive(home: Path) -> list[list[str]]:
    """Return the command lines of what still runs out of the reader's home."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("HOME") == str(home):
                found.append(process.cmdline())
        except psutil.Error:
            continue  # gone meanwhile, or not ours to look into
    return found


@pytest.fixture
def demo(reader: Reader) -> str:
    """Play the demo and return what it printed."""
    played = reader.sh("sh docs/demo.sh", cwd=ROOT)
    assert played.returncode == 0, played.stdout
    return played.stdout


def test_the_demo_plays_the_page_and_leaves_nothing_and_what_it_suggests_works(demo: str, reader: Reader) -> None:
    """Every example is shown with its result, nothing runs or lies about afterwards, and its last three lines can be typed."""
    for example in EXAMPLES:
        assert f"\n{example}" in demo
    assert demo.count("[complete] exit=0") >= 4 * 4
    assert "[failed]" not in demo
    assert "error:" not in demo
    assert "Dry-run batch plan:" in demo
    assert list(reader.home.iterdir()) == []
    assert alive(reader.home) == []

    suggested = re.findall(r"^  \.venv/bin/(vigo .*)$", demo, re.MULTILINE)
    assert len(suggested) == 3
    assert demo.rstrip().endswith(suggested[-1])
    for command in suggested:
        typed = reader.sh(command)
        assert typed.returncode == 0, f"{command}:\n{typed.stdout}"
    assert alive(reader.home) == []
