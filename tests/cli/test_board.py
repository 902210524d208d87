"""The board on a real terminal, as an emulator shows it; and everything else that prints, fed with hostile text."""

from __future__ import annotations

import os
import re
import signal
import unicodedata
from hashlib import sha256
from pathlib import Path

import pytest

from tests.cli.conftest import Vigo
from tests.terminal import Terminal
from vigo.adapters.inventory_yaml import load
from vigo.adapters.store import Store
from vigo.adapters.trait_store import TraitStore
from vigo.core.errors import Exit
from vigo.core.events import (
    CancelRequested,
    Event,
    GateChecked,
    GateOpened,
    HostFinished,
    HostStarted,
    TaskBlocked,
    TaskDispatched,
    TaskFinished,
    TaskStatus,
)
from vigo.core.gate import GatePolicy
from vigo.core.inventory import Gathered
from vigo.core.model import HostResult, Outcome, Output, Reason
from vigo.core.plan import Policy

_COLOUR = re.compile(rb"\x1b\[[0-9;]*m")


def is_plain(text: str) -> bool:
    """Say whether a terminal only draws this."""
    return not [
        c for c in text if c not in "\n\t" and unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    ]


_COMMAND = "sleep 1; test $(hostname) != web-02.example.com"


@pytest.mark.parametrize(("columns", "environ"), [(80, {}), (140, {"NO_COLOR": "1"})])
def test_results_stand_above_the_last_frame_and_the_summary_below(
    lab: Vigo, columns: int, environ: dict[str, str]
) -> None:
    """A snapshot of the whole terminal after a rollout; the cursor is where a shell wants it."""
    terminal = Terminal(
        lab, "task", "run", _COMMAND, "--target", "web-0[1-2].*", "--batch-size", "1", "--max-failures", "1",
        columns=columns, environ=environ,
    )  # fmt: skip
    assert terminal.until(lambda: terminal.shows("web-02.example.com running")).shows("▸ 1")
    assert terminal.to_the_end() == 1
    assert terminal.lines[terminal.lines.index("Task t0000000 dispatched") :] == [
        "Task t0000000 dispatched",
        "--- web-01.example.com [complete] exit=0 0s",
        "--- web-02.example.com [failed] exit=1 0s",
        "task t0000000 complete 0s",
        "command     sleep 1; test $(hostname) != web-02.example.com",
        "batches     ✓ 0 ✗ 1",
        "hosts       2:  ✓ 1 complete  ✗ 1 failed",
        "failures    [###############...............] 1 of 1 used",
        "✓✗",
        "✗ web-02.example.com [failed] exit=1 0s",
        "task t0000000 complete",
        "  1 complete    web-01.example.com",
        "  1 failed      web-02.example.com",
        "next: vigo task rerun t0000000 --only failed",
        "      vigo task status t0000000",
    ]
    assert b"\x1b[?25l" not in terminal.raw
    assert terminal.screen.cursor.x == 0
    assert bool(_COLOUR.search(terminal.raw)) is ("NO_COLOR" not in environ)


def test_ctrl_c_on_the_board_is_answered_there(lab: Vigo) -> None:
    """The first says what it waits for, the second kills; the terminal is left clean, on five lines too."""
    terminal = Terminal(lab, "task", "run", "sleep 60", "--target", "web-01.example.com", rows=5)
    terminal.until(lambda: terminal.shows("running 0s") or terminal.shows("running 1s"))
    terminal.child.send("\x03")
    assert terminal.until(lambda: terminal.shows("stopping, 1 host")).shows("Ctrl-C: kills")
    terminal.child.kill(signal.SIGINT)
    assert terminal.to_the_end() == 130
    assert not terminal.shows("^C")
    assert (terminal.screen.cursor.x, terminal.screen.cursor.hidden) == (0, False)


def test_hosts_cannot_drive_the_terminal_through_the_board(lab: Vigo) -> None:
    """E1, E2: what a host prints while it runs is shown in its row, as escapes and letters; beyond vigo's own nothing arrives."""
    evil = r"printf 'a\033]0;owned\007\033[2J\033[6n\233c\342\200\256b [bold][/foo][link=x]:smile:\n'; sleep 1"
    terminal = Terminal(lab, "task", "run", evil, "--target", "web-01.example.com", columns=140)
    assert terminal.until(lambda: terminal.shows("\\x1b]0;owned\\x07\\x1b[2J")).shows("running")
    assert terminal.shows("b [bold][/foo][link=x]:smile:")
    assert terminal.to_the_end() == 0
    assert terminal.screen.title == ""
    left = re.sub(rb"\x1b\[([0-9;]*m|[0-9]*A|[JK])", b"", terminal.raw).decode()
    assert is_plain(left.replace("\r", ""))


@pytest.mark.parametrize("args", [(), ("--progress", "lines"), ("--progress", "none")])
def test_a_dumb_terminal_gets_lines(lab: Vigo, args: tuple[str, ...]) -> None:
    """Not one escape; the lines are those of a pipe."""
    terminal = Terminal(lab, "task", "run", "true", "--target", "web-01.example.com", *args, environ={"TERM": "dumb"})
    assert terminal.to_the_end() == 0
    assert b"\x1b" not in terminal.raw
    assert (b"batch 0: 1 host" in terminal.raw) is (args != ("--progress", "none"))


def test_a_board_that_cannot_be_drawn_is_refused_before_anything_runs(lab: Vigo) -> None:
    """With the way out; nothing is on record."""
    done = lab("task", "run", "true", "--target", "web-01.example.com", "--progress", "board")
    assert (done.code, done.out) == (2, "")
    assert "use --progress lines" in done.err
    assert not (lab.home / "data" / "journal.db").exists()


def test_a_task_is_watched_from_another_terminal_and_replayed_when_it_is_over(lab: Vigo) -> None:
    """Ctrl-C ends the watching alone, and says so; the replay ends as the run did; a pipe gets lines."""
    args = ("task", "run", "sleep 3", "--target", "web-01.example.com", "-o", "json")
    running = Terminal(lab, *args).until((lab.home / "data" / "journal.db").exists)
    watching = Terminal(lab, "task", "status", "--watch")
    watching.until(lambda: watching.shows("web-01.example.com running"))
    watching.child.send("\x03")
    assert watching.to_the_end() == 0
    assert watching.lines[-1] == "watching ended; task t0000000 goes on: vigo task status t0000000"
    assert running.to_the_end() == 0
    replay = Terminal(lab, "task", "status", "--watch")
    assert replay.until(lambda: replay.shows("web-01.example.com running")).to_the_end() == 0
    assert replay.shows("✓ 1 complete")
    piped = lab("task", "status", "--watch")
    assert piped.err.splitlines()[0] == "batch 0: 1 host (1 of 1)"


# --- hostile text in every field that others fill

HOSTILE = "a\x1b]0;owned\x07\x1b[2J\x1b[6n\x9bc\u202eb\rc\u200bd" + "e\u0301\u0301\u0301\u0301\u0301\u0301"
_BYTES = HOSTILE.encode() + b"\xff\xfe\xed\xa0\x80\x00\n" + b"x" * 20_000 + b"\n"


def hostile_journal(folder: Path) -> str:
    """Write tasks whose every text field is hostile, and return the id of the last one."""
    digest = sha256(_BYTES).hexdigest()
    output = Output(len(_BYTES), digest, len(_BYTES), digest)
    gate = GatePolicy(urls=("http://lb/" + HOSTILE,))
    with Store(folder) as store:
        store.block(TaskBlocked(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, (HOSTILE,)))
        opening = TaskDispatched(
            HOSTILE, HOSTILE, HOSTILE, ((HOSTILE, "b"), ("c",)), Policy(gate=gate), forced=True, pattern=HOSTILE,
            task_name=HOSTILE, params=((HOSTILE, HOSTILE),), inventory=HOSTILE, rollback=HOSTILE, parent=HOSTILE,
            relation=HOSTILE,
        )  # fmt: skip
        record, lock = store.dispatch(opening)
        failed = HostResult(Outcome.FAILED, 5, signal=HOSTILE, detail=HOSTILE, stdout=output, stderr=output)
        unreachable = HostResult(Outcome.UNREACHABLE, reason=Reason.BANNER, detail=HOSTILE)
        events: list[Event] = [
            HostStarted(HOSTILE, 0), HostStarted("b", 0), HostFinished(HOSTILE, failed), HostFinished("b", unreachable),
            GateOpened(0), GateChecked(0, passed=False, detail=HOSTILE, duration_ms=1), CancelRequested(HOSTILE),
            TaskFinished(TaskStatus.ABORTED, HOSTILE),
        ]  # fmt: skip
        store.append(record.task, events, [_BYTES])
        lock.release()
    return record.task


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Vigo:
    """Return the program with a hostile journal and a hostile inventory."""
    home = tmp_path_factory.mktemp("attacked")
    vigo = Vigo(home, {"VIGO_INVENTORY": str(home / "inventory.yaml")})
    hostile_journal(home / "data")
    subtle = "\\u202eb\\u200bc" + "e" + "\\u0301" * 9  # control characters are refused where an inventory is read
    path = home / "inventory.yaml"
    path.write_text(
        f'hosts:\n  web-01:\n    address: 127.0.0.1\n    traits:\n      site: {{note: "{subtle}"}}\n'
        f'tasks:\n  hello:\n    command: "echo {subtle}"\n    description: "{subtle}"\n'
    )
    gathered = Gathered({"site.told": HOSTILE}, "2026-03-13T12:30:01.000Z", HOSTILE)
    TraitStore(home / "data", path).keep(load(path).hosts, {"web-01": gathered})
    return vigo


@pytest.mark.parametrize(
    "args",
    [
        "task status", "task status --watch", "task list", "task status -o tsv", "task list -o tsv", "task status -o json",
        "audit show", "audit verify", "inventory list", "inventory show web-01", "traits show web-01",
        "query site.note", "query site.told", "keys show", "task run hello --target web-01 --dry-run --no-probe",
    ],
)  # fmt: skip
def test_no_command_lets_outside_text_drive_the_terminal(attacked: Vigo, args: str) -> None:
    """0 control bytes: what others wrote into journal or inventory is drawn, whichever command prints it."""
    done = attacked(*args.split(), TERM="xterm")
    assert done.out + done.err
    assert done.code != Exit.CONFIG
    assert is_plain(done.out + done.err), ascii(done.out + done.err)[:400]


@pytest.mark.parametrize(
    "args",
    [("task", "status", HOSTILE), ("task", "run", HOSTILE, "--target", HOSTILE), ("inventory", "show", HOSTILE),
     ("query", HOSTILE), ("doctor", HOSTILE), ("task", "run", "true", "--target", "all", "--operator", HOSTILE, "--dry-run", "--no-probe"), ("-o", HOSTILE), ("task", HOSTILE)],
)  # fmt: skip
def test_no_message_repeats_hostile_words_as_they_are(attacked: Vigo, args: tuple[str, ...]) -> None:
    """A refusal quotes what it refuses, and only draws it."""
    done = attacked(*(os.fsdecode(word.encode()) for word in args))
    assert is_plain(done.out + done.err), ascii(done.out + done.err)[:400]
