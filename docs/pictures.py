"""Draws the pictures of the documentation: `make docs`. What they show goes through the program's own fold and board.

The rollout is written down here as events, not run: a picture that changes with every run could not be checked.
"""  # noqa: INP001 - a script, no package

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from vigo.core.events import Event, GateChecked, GateOpened, HostFinished, HostStarted, Record, TaskDispatched
from vigo.core.gate import GatePolicy
from vigo.core.model import HostResult, Outcome
from vigo.core.plan import Policy
from vigo.core.quantity import Quantity
from vigo.core.rollout import Run
from vigo.render.board import Look, frame
from vigo.render.board_state import BoardState, epoch_ms

PICTURE = Path(__file__).parent / "pictures" / "board.svg"
_BEGUN, _NOW = "2026-03-13T12:30:01.000Z", "2026-03-13T12:31:08.000Z"
_FONT = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)
"""Fonts that a viewer would fetch from somewhere else."""
_COLUMNS, _LINES = 84, 16
_HINTS = ("Ctrl-C: nothing more starts, what runs finishes; once more kills it", "")


def board() -> str:
    """Return the picture of a rollout in its third batch, as SVG."""
    batches = [tuple(f"web-{number:02}" for number in range(first, first + 10)) for first in range(1, 61, 10)]
    policy = Policy(gate=GatePolicy(urls=("http://lb/health",)), failures_max=Quantity(5, percent=True))
    run = Run(TaskDispatched("admin", "systemctl restart nginx", "@prod.web", tuple(batches), policy))
    state = BoardState("t1a2b3c4", run, epoch_ms(_BEGUN))
    for event in _events(batches):
        run.apply(event)
        state.on_record(Record(1, _NOW, "t1a2b3c4", event), run)
    for host in batches[2][6:]:
        state.hear(host, b"Restarting nginx: waiting for 12 connections to end\n")
    console = Console(record=True, file=io.StringIO(), width=_COLUMNS, force_terminal=True, legacy_windows=False)
    for line in frame(state, epoch_ms(_NOW) + 4_000, _COLUMNS, _LINES, Look(_HINTS)):
        console.print(Text.assemble(*line.pieces))
    drawn = console.export_svg(title='vigo task run "systemctl restart nginx" --target @prod.web', unique_id="board")
    return _FONT.sub("", drawn)


def _events(batches: list[tuple[str, ...]]) -> list[Event]:
    done = HostResult(Outcome.COMPLETE, 812, exit_code=0)
    events: list[Event] = []
    for number, batch in enumerate(batches[:2]):
        events += [HostStarted(host, number) for host in batch]
        events += [HostFinished(host, _end(host, done)) for host in batch]
        events += [GateOpened(number), GateChecked(number, passed=True, detail="HTTP 200", duration_ms=7)]
    events += [HostStarted(host, 2) for host in batches[2]]
    return [*events, *(HostFinished(host, done) for host in batches[2][:6])]


def _end(host: str, done: HostResult) -> HostResult:
    return HostResult(Outcome.FAILED, 95, exit_code=1) if host == "web-17" else done


if __name__ == "__main__":
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(board(), "utf-8")
    sys.stdout.write(f"{PICTURE}\n")
