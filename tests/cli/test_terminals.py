"""What can happen to a terminal with a board on it: another width, a stop by the shell, a crash of the board itself."""

from __future__ import annotations

import io
import sys
import termios
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Vigo
from tests.terminal import Terminal
from vigo.cli.board import Board
from vigo.cli.console import Console
from vigo.core.events import HostFinished, HostStarted, Record, TaskDispatched
from vigo.core.model import HostResult, Outcome, Stream
from vigo.core.rollout import Run
from vigo.render.board_screen import BoardScreen
from vigo.render.board_state import BoardState

_WAIT_S = 60
_HOLD = "echo {text}; until [ -e {folder}/go ]; do sleep 0.05; done"
_BREAKS = """
import vigo.render.board_screen as screens
from vigo.cli.main import main
whole, drawn = screens.frame, []
def broken(state, *rest):
    drawn.append(1)
    if {when}:
        raise {error}
    return whole(state, *rest)
screens.frame = broken
main()
"""


def frame_of(terminal: Terminal) -> list[str]:
    """Return the lines of the board; there is one board on the screen, and one only."""
    lines = [line.rstrip() for line in terminal.screen.display]
    begins = [at for at, line in enumerate(lines) if line.startswith("task t")]
    ends = [at for at, line in enumerate(lines) if line.startswith("Ctrl-C")]
    assert (len(begins), len(ends)) == (1, 1), lines
    assert not any(lines[ends[0] + 1 :]), lines
    return lines[begins[0] : ends[0] + 1]


def reaches(terminal: Terminal, columns: int) -> bool:
    """Say whether a frame of this width is drawn whole."""
    cut = [line.rstrip() for line in terminal.screen.display if line.rstrip().endswith("…")]
    return {len(line) for line in cut} == {columns - 1} and terminal.has_whole_frame


@pytest.mark.parametrize(
    "folds", [pytest.param(True, id="folds"), pytest.param(False, id="cuts", marks=pytest.mark.faults)]
)
def test_e3_a_board_keeps_to_a_terminal_that_becomes_narrower_and_wider(
    lab: Vigo, meeting: Path, *, folds: bool
) -> None:
    """No line is wider than the screen, no line of an older frame is left, and what stood above it stays."""
    command = _HOLD.format(text="waiting " * 20, folder=meeting)
    environ = {} if folds else {"XTERM_VERSION": "XTerm(379)"}
    terminal = Terminal(lab, "task", "run", command, "--target", "*.web.*", columns=140, environ=environ)
    for columns in (140, 60, 100, 37):
        if columns != 140:
            terminal.resize(columns, folds=folds)
        terminal.until(lambda: reaches(terminal, columns))  # noqa: B023 - called here
        frame = frame_of(terminal)
        assert max(map(len, frame)) == columns - 1
        assert len([line for line in frame if line.startswith("▸ web-0")]) == 4
        assert [line.split()[0] for line in terminal.screen.display if line.startswith("Task t")] == ["Task"]
    (meeting / "go").touch()
    assert terminal.to_the_end() == 0
    assert len([line for line in terminal.screen.display if line.startswith("task t")]) == 2  # last frame and summary


def test_a_run_that_a_shell_stops_leaves_a_clean_terminal_and_keeps_its_bounds(lab: Vigo, meeting: Path) -> None:
    """Ctrl-Z: nothing new starts, the host ends what is over its time; `fg`: the board again, and the true outcome."""
    script = f"case $(hostname) in web-01.*) echo $$ >{meeting}/pid; sleep 600 ;; *) echo >{meeting}/second ;; esac"
    (meeting / "script").write_text(script)
    shell = Terminal(lab, command=["sh", "-i"], environ={"PS1": "ready> "}, rows=60)
    modes = termios.tcgetattr(shell.child.fileno())
    words = lab.command(
        "task", "run", f"sh {meeting}/script", "--target", "web-0[1-2].*", "--fanout", "1", "--timeout", "3"
    )
    shell.until(lambda: shell.shows("ready>")).child.send(" ".join(f"'{word}'" for word in words) + "\r")
    shell.until(lambda: shell.shows("web-01.example.com running"))
    assert termios.tcgetattr(shell.child.fileno()) == modes
    shell.child.send("\x1a")
    shell.until(lambda: shell.shows("Stopped"))
    assert (termios.tcgetattr(shell.child.fileno()), shell.screen.cursor.hidden) == (modes, False)
    group = int((meeting / "pid").read_text())
    until = time.monotonic() + _WAIT_S
    while Path(f"/proc/{group}").exists():
        assert time.monotonic() < until
        time.sleep(0.05)
    assert not (meeting / "second").exists()
    shell.child.send("fg\r")
    shell.until(lambda: shell.shows("next: vigo"))
    shell.child.send("echo code=$?\r")
    shell.until(lambda: shell.shows("code=1"))
    lines = shell.lines
    again = max(at for at, line in enumerate(lines) if line.startswith("task t0000000 complete"))
    assert next(at for at, line in enumerate(lines) if "Stopped" in line) < again
    assert [line for line in lines if line.startswith("--- ")] == [
        "--- web-01.example.com [timeout] 0s killed",
        "--- web-02.example.com [complete] exit=0 0s",
    ]
    assert termios.tcgetattr(shell.child.fileno()) == modes
    shell.child.close()


@pytest.mark.parametrize(
    ("when", "error"),
    [
        pytest.param("len(drawn) > 1", "ValueError('\\x1b[2J')", id="at its second frame"),
        pytest.param("state.status != 'running'", "KeyError('web-01')", id="at its last", marks=pytest.mark.faults),
    ],
)
def test_a_board_that_crashes_ends_alone(lab: Vigo, when: str, error: str) -> None:
    """One line says so, lines follow in its place, and the run ends as it would have; the terminal is a shell's again."""
    program = [sys.executable, "-c", _BREAKS.format(when=when, error=error)]
    command = "sleep 1; test $(hostname) != web-02.example.com"
    words = ["task", "run", command, "--target", "web-0[1-2].*", "--batch-size", "1"]
    terminal = Terminal(lab, command=[*program, *words], columns=140)
    assert terminal.to_the_end() == 1
    lines = terminal.lines
    assert len([line for line in lines if line.startswith("the board stopped: ")]) == 1, lines
    assert [line for line in lines if line.startswith("--- ")] == [
        "--- web-01.example.com [complete] exit=0 0s",
        "--- web-02.example.com [failed] exit=1 0s",
    ]
    assert ("web-02.example.com: [failed] exit=1 0s" in lines) is when.startswith("len")
    assert lines[-2:] == ["next: vigo task rerun t0000000 --only failed", "      vigo task status t0000000"]
    assert (terminal.screen.cursor.x, terminal.screen.cursor.hidden) == (0, False)
    assert b"Traceback" not in terminal.raw
    assert b"\x1b[2J" not in terminal.raw


def test_a_board_that_cannot_take_a_record_in_leaves_it_and_the_rest_to_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so once, and what hosts say is not taken in any more."""
    console = Console(io.StringIO(), io.StringIO(), io.StringIO())
    run = Run(TaskDispatched("ops", "true", "all", (("a", "b"),)))
    state = BoardState("t1a2b3c4", run, 0)
    monkeypatch.setattr(state, "on_record", lambda record, _: {}[record.event])
    board = Board(state, BoardScreen(console.err, state, ("", ""), lambda: 0), console)
    failed = HostResult(Outcome.FAILED, 51, exit_code=1)
    for event in (HostStarted("a", 0), HostStarted("b", 0), HostFinished("a", failed)):
        run.apply(event)
        board.on_record(Record(1, "2026-03-13T12:30:01.000Z", "t1a2b3c4", event), run)
    board.write("b", Stream.STDOUT, b"x")
    assert console.err.getvalue().splitlines() == [  # type: ignore[attr-defined]
        "the board stopped: KeyError(HostStarted(host='a', batch=0, mark='')); the run goes on, and lines tell of it",
        "batch 0: 2 hosts (1 of 1)",
        "a: [failed] exit=1 51ms",
    ]
    assert state.tail("b") == b""


def test_results_that_come_back_through_a_pipe_stand_above_the_board_too(lab: Vigo) -> None:
    """`| tee log` writes to the same terminal a moment later: nothing is drawn over it, and nothing of it is lost."""
    words = lab.command("task", "run", "sleep 0.5; hostname", "--target", "web-0[1-3].*", "--batch-size", "1")
    terminal = Terminal(lab, command=["sh", "-c", '"$@" | tee log', "sh", *words])
    terminal.until(lambda: terminal.shows("▸ 2"))
    assert terminal.to_the_end() == 0
    results = [f"{word}{name}" for name in ("web-01", "web-02", "web-03") for word in ("--- ", "")]
    shown = terminal.lines[terminal.lines.index("Task t0000000 dispatched") + 1 :]
    assert [line.partition(".")[0] for line in shown[:6]] == results
    assert [line.split()[0] for line in shown[6:8]] == ["task", "command"]
    assert (lab.home / "log").read_text().count("\n") == 7


@pytest.mark.faults
def test_a_job_in_the_background_has_lines_and_no_board(lab: Vigo) -> None:
    """As `&` and GNU `timeout` start it; nothing is drawn where a shell shows its prompt."""
    words = lab.command("task", "run", "sleep 1", "--target", "web-01.example.com")
    terminal = Terminal(lab, command=["sh", "-c", 'timeout 60 "$@"; exit $?', "sh", *words])
    assert terminal.to_the_end() == 0
    assert terminal.shows("batch 0: 1 host (1 of 1)")
    assert b"\x1b" not in terminal.raw
