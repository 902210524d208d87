"""Each flag of the reference page does what the page says, and its check fails when the flag is taken away.

The second half of that sentence is a test of its own: it strips the flag from the very command line that the first
half ran, and sees the check fail.
"""

from __future__ import annotations

import getpass
import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.cli.conftest import Result, Vigo

pytestmark = pytest.mark.timeout(180)

_WEB = ["--target", "*.web.*"]
_ONE = ["--target", "web-01.example.com"]


@dataclass(frozen=True)
class Case:
    """One flag on a command line, and what must be seen with it and only with it."""

    flag: str
    argv: list[str]
    check: Callable[[Result], bool]
    values: int = 1
    """How many words follow the flag: 0 for a switch."""

    def stripped(self) -> list[str]:
        """Return the command line without the flag and its value."""
        at = self.argv.index(self.flag)
        return self.argv[:at] + self.argv[at + 1 + self.values :]


def _hosts(result: Result) -> list[str]:
    return re.findall(r"^--- (\S+) ", result.out, re.MULTILINE)


CASES = [
    Case(
        "--target",
        ["task", "run", "true", "--target", "db-01.example.com"],
        lambda r: _hosts(r) == ["db-01.example.com"],
    ),
    Case(
        "--timeout",
        ["task", "run", "sleep 3", *_ONE, "--timeout", "1"],
        lambda r: r.code == 1 and "[timeout] 1" in r.out and " killed" in r.out,
    ),
    Case(
        "--operator",
        ["task", "run", "true", *_ONE, "--operator", "night-shift", "-o", "json"],
        lambda r: r.json()["operator"] == "night-shift",
    ),
    Case(
        "--batch-size",
        ["task", "run", "true", *_WEB, "--batch-size", "50%", "--dry-run"],
        lambda r: "2 batch(es), 4 target(s), 0 offline" in r.out,
    ),
    Case(
        "--max-failures",
        ["task", "run", "exit 1", *_WEB, "--batch-size", "1", "--max-failures", "1"],
        lambda r: r.code == 3 and r.out.count("[failed]") == 2 and r.out.count("[skipped]") == 2,
    ),
    Case(
        "--health-check-url",
        ["task", "run", "true", *_WEB, "--batch-size", "2", "--health-check-url", "http://127.0.0.1:1/health"],
        lambda r: r.code == 3 and r.out.count("[complete]") == 2 and r.out.count("[skipped]") == 2,
    ),
    Case(
        "--nice",
        ["task", "run", "nice", *_ONE, "--nice", "7"],
        lambda r: r.out.splitlines()[-1] == "7",
    ),
    Case(
        "--dry-run",
        ["task", "run", "true", *_ONE, "--dry-run"],
        lambda r: "Dry-run batch plan:" in r.out and "dispatched" not in r.out,
        values=0,
    ),
    Case(
        "--force",
        ["task", "run", "systemctl stop vigo", *_ONE, "--force"],
        lambda r: r.code == 1 and "[rejected] systemctl stop vigo" in r.out,
        values=0,
    ),
    Case(
        "--param",
        ["task", "run", "restart-app", *_ONE, "--param", "env=prod"],
        lambda r: r.code == 0 and "[complete]" in r.out,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.flag)
def test_the_flag_does_what_the_page_says(lab: Vigo, case: Case) -> None:
    """With the flag, its effect is seen."""
    result = lab(*case.argv)
    assert case.check(result), result


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.flag)
def test_without_the_flag_the_check_fails(lab: Vigo, case: Case) -> None:
    """Without the flag, the very same check fails: the flag is not parsed and ignored."""
    result = lab(*case.stripped())
    try:
        seen = case.check(result)
    except (ValueError, IndexError):
        seen = False
    assert not seen, result


def test_list_shows_as_many_as_its_limit_says(lab: Vigo) -> None:
    """`--limit 2` shows two of three tasks, and without it all three are shown."""
    for _ in range(3):
        lab("task", "run", "true", *_ONE)
    assert len(lab("task", "list", "--limit", "2").out.splitlines()) == 1 + 2
    assert len(lab("task", "list").out.splitlines()) == 1 + 3


def test_the_operator_is_the_login_name_by_default(lab: Vigo) -> None:
    """Nobody named: the journal holds who is logged in, and under sudo who called it."""
    assert lab("task", "run", "true", *_ONE, "-o", "json").json()["operator"] == getpass.getuser()
    assert lab("task", "run", "true", *_ONE, "-o", "json", SUDO_USER="alice").json()["operator"] == "alice"
