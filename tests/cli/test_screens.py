"""What an operator sees, from the terminal itself: each screen beside the one that was looked at and found good.

`UPDATE_SCREENS=1 pytest tests/cli/test_screens.py` writes the files in `screens/`; then look at what changed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.cli.conftest import Vigo
from tests.screens import Screens
from tests.terminal import Terminal

_ROWS = 45
_WAIT_S = 60
_COLOUR = re.compile(rb"\x1b\[[0-9;]*m")
_RESTART = """#!/bin/sh
case $(hostname) in
    web-03.*) echo "starting app" && echo "app: port 8080 is in use" >&2 && exit 1 ;;
    web-04.*) echo "waiting for 12 connections to end" && echo >>{folder}/waiting
              until [ -e {folder}/go ]; do sleep 0.05; done ;;
esac
echo "app restarted"
"""
_COMMAND = "sh {folder}/restart --grace 30 --wait-for-connections --tell '#ops of the web' --log-to syslog"
_FORMS = ("80", "80 NO_COLOR", "80 dumb", "140", "140 NO_COLOR", "140 dumb", "piped")
_FEW = ("80", "80 dumb", "140 NO_COLOR", "piped")
"""One of each kind: what is compared in every run of the tests."""
_AFTERWARDS: Mapping[str, Sequence[str]] = {
    "status": ("task", "status"),
    "view-stream": ("task", "status", "--view", "stream"),
    "view-gather": ("task", "status", "--view", "gather"),
    "view-summary": ("task", "status", "--view", "summary"),
    "list": ("task", "list"),
    "dry-run": ("task", "run", "uptime", "--target", "all", "--batch-size", "4", "--dry-run"),
}


class Service(ThreadingHTTPServer):
    """A service that is healthy until it is told not to be."""

    is_up = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)

    @property
    def url(self) -> str:
        """Where it is asked."""
        return f"http://127.0.0.1:{self.server_port}/health"


class _Answer(BaseHTTPRequestHandler):
    server: Service

    def do_GET(self) -> None:
        self.send_response(200 if self.server.is_up else 503)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@dataclass(frozen=True)
class Stage:
    """A fleet whose application is restarted: one host fails, one waits for a file, and then the service is ill."""

    vigo: Vigo
    folder: Path
    service: Service
    screens: Screens = field(default_factory=Screens)

    @property
    def rollout(self) -> list[str]:
        """The command line."""
        return [
            "task", "run", _COMMAND.format(folder=self.folder), "--target", "all", "--operator", "admin", "--batch-size", "2",
            "--max-failures", "2", "--health-check-url", self.service.url,
        ]  # fmt: skip

    def until_waiting(self, runs: int) -> None:
        """Wait until the host that waits does so in each of the runs."""
        said, until = self.folder / "waiting", time.monotonic() + _WAIT_S
        while not said.exists() or said.read_text().count("\n") < runs:
            assert time.monotonic() < until
            time.sleep(0.02)

    def go_on(self) -> None:
        """Let the host that waits end, and the service be ill."""
        self.service.is_up = False
        (self.folder / "go").touch()


@pytest.fixture
def stage(tmp_path: Path, lab_folder: Path, meeting: Path) -> Iterator[Stage]:
    """Return the stage; every path on it has a name of one length, as what is cut at the screen's edge has to be alike."""
    (meeting / "lab").symlink_to(lab_folder)
    (meeting / "restart").write_text(_RESTART.format(folder=meeting))
    service = Service()
    serving = threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.05})
    serving.start()
    yield Stage(Vigo(tmp_path, {"VIGO_LAB_DIR": str(meeting / "lab"), "VIGO_INVENTORY": "lab"}), meeting, service)
    service.shutdown()
    serving.join()
    service.server_close()


def terminal_of(stage: Stage, form: str, args: Sequence[str], **environ: str) -> Terminal:
    """Start the program on a terminal of this form."""
    columns, *kind = form.split()
    own = {"": {}, "NO_COLOR": {"NO_COLOR": "1"}, "dumb": {"TERM": "dumb"}}[kind[0] if kind else ""]
    return Terminal(stage.vigo, *args, columns=int(columns), rows=_ROWS, environ=own | environ)


def piped(stage: Stage, args: Sequence[str], **environ: str) -> subprocess.Popen[str]:
    """Start the program with both its ends in pipes."""
    return subprocess.Popen(
        stage.vigo.command(*args), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, cwd=stage.vigo.home, env=stage.vigo.env | environ,
    )  # fmt: skip


def check_bytes(form: str, terminal: Terminal) -> None:
    """Assert that a terminal got no escape that it did not ask for."""
    assert "dumb" not in form or b"\x1b" not in terminal.raw, form
    assert "NO_COLOR" not in form or not _COLOUR.search(terminal.raw), form


def is_in_the_middle(form: str, terminal: Terminal) -> bool:
    """Say whether a terminal shows the host that failed and, on a board, what the one that waits said last."""
    if "dumb" in form:
        return terminal.shows("web-03.example.com: [failed] exit=1")
    rows = ("✗ web-03.example.com [failed]", "waiting for 12 connections")
    return terminal.has_whole_frame and all(map(terminal.shows, rows))


def look_at_a_rollout(stage: Stage, forms: Sequence[str]) -> None:
    """Run one rollout on each terminal at the same time: in its middle, and when a gate has stopped it.

    Each has a journal of its own, so that none finds its hosts held; the first one's is what is looked at afterwards.
    """
    own = {form: {} if form == forms[0] else {"VIGO_DATA_DIR": str(stage.vigo.home / form)} for form in forms}
    terminals = {form: terminal_of(stage, form, stage.rollout, **own[form]) for form in forms if form != "piped"}
    pipe = piped(stage, stage.rollout, **own["piped"])
    stage.until_waiting(len(terminals) + 1)
    for form, terminal in terminals.items():
        terminal.until(lambda: is_in_the_middle(form, terminal))  # noqa: B023 - called here
        stage.screens.look("board", form, terminal.screen.display)
    stage.go_on()
    for form, terminal in terminals.items():
        assert terminal.to_the_end() == 3
        stage.screens.look("gate-stop", form, terminal.screen.display)
        check_bytes(form, terminal)
    out, err = pipe.communicate(timeout=_WAIT_S)
    assert (pipe.returncode, "\x1b" in out + err) == (3, False)
    stage.screens.look("gate-stop", "piped, standard output", out.splitlines())
    stage.screens.look("gate-stop", "piped, standard error", err.splitlines())


def look_at_the_guard(stage: Stage, form: str) -> None:
    """Ask for something dangerous, and say no."""
    terminal = terminal_of(stage, form, ("task", "run", "systemctl stop vigo", "--target", "*.web.*"))
    terminal.until(lambda: terminal.shows("[y/N]")).child.send("n\r")
    assert terminal.to_the_end() == 6
    stage.screens.look("guard", form, terminal.screen.display)
    check_bytes(form, terminal)


def look_afterwards(stage: Stage, name: str, form: str) -> None:
    """Run a command that shows what was, or what would be."""
    if form != "piped":
        terminal = terminal_of(stage, form, _AFTERWARDS[name])
        assert terminal.to_the_end() == 0
        stage.screens.look(name, form, terminal.screen.display)
        check_bytes(form, terminal)
        return
    done = stage.vigo(*_AFTERWARDS[name])
    assert (done.code, "\x1b" in done.out + done.err) == (0, False)
    stage.screens.look(name, "piped, standard output", done.out.splitlines())
    stage.screens.look(name, "piped, standard error", done.err.splitlines())


def test_screens_are_those_that_were_looked_at(stage: Stage) -> None:
    """A rollout in its middle and stopped at a gate, and what is asked afterwards, on one terminal of each kind."""
    look_at_a_rollout(stage, _FEW)
    look_at_the_guard(stage, "80")
    for name in _AFTERWARDS:
        look_afterwards(stage, name, "80")
    look_afterwards(stage, "list", "piped")
    assert not stage.screens.differences, stage.screens.differences


@pytest.mark.faults
@pytest.mark.timeout(300)
def test_e3_every_screen_on_every_kind_of_terminal(stage: Stage) -> None:
    """Wide and narrow, without colours, dumb, and piped."""
    look_at_a_rollout(stage, _FORMS)
    look_at_the_guard(stage, "80")
    for name in _AFTERWARDS:
        for form in _FORMS:
            look_afterwards(stage, name, form)
    look_at_the_guard(stage, "80 dumb")
    assert not stage.screens.differences, stage.screens.differences


_LOGIN = """
tasks:
  login:
    params: {token: {secret: true}}
    command: >-
      echo {{ token }}; echo {{ token }} >&2; printf 'last: %s' {{ token }} | { head -c 12; sleep 1; cat; }; exit 3
"""
_FORMS_OF_A_TASK = (
    "task status", "task status --watch", "task status -o json", "task status -o jsonl", "task status -o junit",
    "task status -o tsv", "task list -o json", "task report --html -", "audit show", "audit export -o jsonl",
)  # fmt: skip


@pytest.mark.faults
@pytest.mark.parametrize("view", ["hosts", "stream", "gather"])
def test_d15_a_secret_is_on_no_screen_and_in_no_form(lab: Vigo, lab_folder: Path, view: str) -> None:
    """Also where it arrives in two pieces: not on the board, in no view, notice, file, report or record."""
    inventory = lab.home / "inventory"
    shutil.copytree(lab_folder / "inventory", inventory)
    (inventory / "login.yaml").write_text(_LOGIN)
    canary = "S3cr3t heard-in-a-mine"
    token = lab.home / "token"
    token.write_text(canary)
    words = [
        "task", "run", "login", "--target", "web-0[1-2].*", "-i", str(inventory), "--param", f"token=@{token}",
        "--view", view, "--output-dir", str(lab.home / "output"), "--notify-command", f"cat >{lab.home}/notice",
    ]  # fmt: skip
    terminal = Terminal(lab, *words, columns=140, rows=_ROWS)
    terminal.until(lambda: terminal.shows("s last:"))
    assert terminal.to_the_end() == 1
    assert terminal.shows("last: ***")
    forms = [lab(*form.split()) for form in _FORMS_OF_A_TASK]
    seen = [terminal.raw, *((form.out + form.err).encode() for form in forms)]
    seen += [path.read_bytes() for path in lab.home.rglob("*") if path.is_file() and path != token]
    assert any(b"last: ***" in each for each in seen[1:])
    assert not [each for each in seen if b"heard-in" in each or b"S3cr3t" in each]
