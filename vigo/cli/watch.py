"""`task status --watch`: follows a running task from another terminal, by its journal alone, and replays a finished one."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterable, Sequence
from itertools import pairwise

from vigo.adapters.store_read import Reading
from vigo.cli.board import now_ms
from vigo.cli.console import Console
from vigo.cli.flags import Progress
from vigo.cli.progress import wants_board
from vigo.cli.reading import TEXT, find_task, show_task
from vigo.cli.wiring import journal_folder
from vigo.core.errors import Exit
from vigo.core.events import Record, TaskDispatched, TaskStatus
from vigo.core.rollout import Run
from vigo.engine.ports import Observer
from vigo.render.board_screen import BoardScreen
from vigo.render.board_state import BoardState, epoch_ms
from vigo.render.live import ProgressLines, summary

_POLL_S = 0.25
_REPLAY_MS = 10_000
"""The longest that a replay takes; what took less is replayed as it was."""
_GAP_MS = 60_000
"""A longer silence is replayed as one so long: a task may have been paused for days."""
_FRAME_S = 0.125
_HINT = "Ctrl-C: ends the watching and nothing else"


def watch_task(prefix: str | None, form: str, console: Console) -> Exit:
    """Show the board of a task until it is over, or plain lines where there is no terminal; nothing is changed."""
    with Reading(journal_folder()) as journal:
        task, status = journal.observe(find_task(prefix, journal))
        if task.run is not None:
            records = journal.records(task.id)
            opening = next(records)
            watching = Watching(journal, opening, task.run.dispatched, console)
            try:
                if status is TaskStatus.RUNNING:
                    watching.follow(records)
                else:
                    watching.replay(list(records), interrupted=status is TaskStatus.INTERRUPTED)
            except KeyboardInterrupt:
                watching.leave()
                status = journal.observe(task.id)[1]
                stands = "goes on" if status is TaskStatus.RUNNING else f"is {status}"
                console.say(f"watching ended; task {task.id} {stands}: vigo task status {task.id}")
                return Exit.OK
            watching.leave()
            task, status = journal.observe(task.id)
        if form != TEXT or task.run is None:
            show_task(task, status, form, journal, console)
        else:
            console.say_lines(summary(task.id, task.run, console.err_columns).rstrip("\n"))
    return Exit.OK


class Watching:
    """One task, read again record by record, on a board or in lines."""

    def __init__(self, journal: Reading, opening: Record, dispatched: TaskDispatched, console: Console) -> None:
        self._journal = journal
        self._task = opening.task
        self._seq = opening.seq
        self._run = Run(dispatched)
        self._state = BoardState(opening.task, self._run, epoch_ms(opening.at))
        self._at_ms = self._state.begun_at_ms
        self._owed_s = 0.0
        """Time of a replay that has passed in the records and not yet on the screen."""
        self._is_live = True
        is_drawn = wants_board(Progress.AUTO, console)
        self._observer: Observer = self._state if is_drawn else ProgressLines(console.err)
        self._screen: BoardScreen | None = None
        if is_drawn:
            screen = self._screen = BoardScreen(console.err, self._state, (_HINT, _HINT), self._now_ms)
            signal.signal(signal.SIGCONT, lambda *_: screen.come_back())

    def follow(self, before: Iterable[Record]) -> None:
        """Show what has been, and then what comes, until the task is over or its control process is gone."""
        self._take(before)
        while not self._run.is_over:
            rest_s = self._draw()
            alive = self._journal.is_running(self._task)
            if not self._take(self._journal.records_after(self._seq, self._task)) and not alive:
                self._state.interrupt()
                break
            time.sleep(max(rest_s, _POLL_S))
        self._draw()

    def replay(self, records: Sequence[Record], *, interrupted: bool) -> None:
        """Show what has been in the time that it took, or in ten seconds; without a board at once."""
        if self._screen is None:
            self._take(records)
            return
        self._is_live = False
        gaps_ms = _gaps_ms(self._at_ms, records)
        speed = max(1.0, sum(gaps_ms) / _REPLAY_MS)
        for gap_ms, record in zip(gaps_ms, records, strict=True):
            self._pass(gap_ms, speed)
            self._take([record])
            self._at_ms = self._state.last_at_ms
        if interrupted:
            self._state.interrupt()
        self._draw()

    def leave(self) -> None:
        """Leave the board where it stands."""
        if self._screen is not None:
            self._screen.leave()

    def _pass(self, gap_ms: float, speed: float) -> None:
        """Let the silence before a record pass; what is shorter than a frame waits for more."""
        self._owed_s += gap_ms / speed / 1000
        while self._owed_s >= _FRAME_S:
            self._draw()
            time.sleep(_FRAME_S)
            self._owed_s -= _FRAME_S
            self._at_ms += round(_FRAME_S * 1000 * speed)

    def _draw(self) -> float:
        return 0.0 if self._screen is None else self._screen.draw()

    def _now_ms(self) -> int:
        return now_ms() if self._is_live else self._at_ms

    def _take(self, records: Iterable[Record]) -> int:
        taken = 0
        for record in records:
            self._run.apply(record.event)
            self._observer.on_record(record, self._run)
            self._seq = record.seq
            taken += 1
        return taken


def _gaps_ms(begin_ms: int, records: Sequence[Record]) -> list[int]:
    """Return the silence before each record, bounded."""
    times = [begin_ms, *(epoch_ms(record.at) for record in records)]
    return [min(max(0, after - before), _GAP_MS) for before, after in pairwise(times)]
