"""`task report`: a task from the journal as one HTML file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from vigo import __version__
from vigo.adapters.report_write import write_report
from vigo.adapters.store_audit import walk_chain
from vigo.adapters.store_read import Reading
from vigo.cli.console import Console
from vigo.cli.reading import find_task
from vigo.cli.wiring import journal_folder
from vigo.core.chain import ChainReport
from vigo.core.errors import Exit, TamperedError
from vigo.core.events import TaskStatus
from vigo.render.report import page
from vigo.render.report_state import Story

_STDOUT = "-"


def report_task(prefix: str | None, place: str, console: Console) -> Exit:
    """Write the report of one task to a file, or to standard output for `-`. Raises VigoError.

    A journal whose chain is broken gives a report that says so, and the exit code of `audit verify`.
    """
    with Reading(journal_folder()) as store, store.snapshot():
        story, damaged = _story(store, find_task(prefix, store))
        text = page(story)
    if place == _STDOUT:
        console.show(text)
    else:
        write_report(Path(place), text)
        console.say(f"report of task {story.task.id} ({story.status}): {place}")
    if story.status is TaskStatus.RUNNING:
        console.say("the task still runs: the report tells the story so far")
    if not story.is_sound:
        console.say(f"the journal's {story.chain}; see `vigo audit verify`")
    for digest in damaged:
        console.say(f"kept output {digest[:12]}… was changed and is left out; see `vigo audit verify`")
    return Exit.TAMPERED if damaged or not story.is_sound else Exit.OK


def _story(store: Reading, task: str) -> tuple[Story, list[str]]:
    """Read what the report needs; the list grows with the digests of kept output that was changed."""
    seen, status = store.observe(task)
    chain = walk_chain(store)
    damaged: list[str] = []

    def kept(digest: str) -> bytes | None:
        try:
            return store.kept(digest)
        except TamperedError:
            damaged.append(digest)
            return None

    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    records = tuple(store.records(task))
    return Story(
        seen, status, records, kept, _verdict(chain), chain.broken_at is None, made_at=now, version=__version__
    ), damaged


def _verdict(chain: ChainReport) -> str:
    if chain.broken_at is not None:
        return f"chain is BROKEN at seq {chain.broken_at}: {chain.cause}"
    return f"ok, verified up to {chain.end}, {chain.rows:,} events"
