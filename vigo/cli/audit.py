"""`vigo audit`: verify, show, export, anchor, prune. Flags in, exit codes out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from vigo.adapters.store_audit import audit as examine
from vigo.adapters.store_audit import export as export_rows
from vigo.adapters.store_audit import walk_chain
from vigo.adapters.store_read import Reading
from vigo.cli.console import Console
from vigo.cli.examples import examples
from vigo.cli.flags import Format
from vigo.cli.flags import Output as FormatOption
from vigo.cli.wiring import journal_folder, login_name
from vigo.core.audit import Audit, Question, entries
from vigo.core.chain import Point, parse_point
from vigo.core.errors import Exit, JournalError, NoMatchError, TamperedError, UsageError
from vigo.core.quantity import parse_duration_ms
from vigo.render import audit as render
from vigo.render.machine import SCHEMA, dump

app = typer.Typer(help="Check the journal and look things up in it.", no_args_is_help=True)

_DAYS = re.compile(r"(\d{1,5})d", re.ASCII)
_ANCHOR_FILE_MAX = 1024 * 1024


@app.command(epilog=examples("audit verify"))
def verify(
    anchor: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE|SEQ:DIGEST", help="Compare with what `audit anchor` printed earlier. Repeatable."),
    ] = None,
    output: FormatOption = Format.TEXT,
) -> int:
    """Check the journal: chain, head file, completeness, kept output."""
    console = Console.of_process()
    points = tuple(point for text in anchor or () for point in read_anchor(text))
    with Reading(journal_folder()) as reading:
        found = examine(reading, points)
        if not found.chain.rows:
            console.say(f"there is no event in {reading.path}")
    return show_verdict(found, output, console)


@app.command(epilog=examples("audit show"))
def show(
    host: Annotated[str | None, typer.Option(help="Only this host; globs allowed.")] = None,
    operator: Annotated[str | None, typer.Option(help="Only tasks of this operator; globs allowed.")] = None,
    task: Annotated[str | None, typer.Option(help="Only the task whose id begins so.")] = None,
    event: Annotated[str | None, typer.Option(help="Only this kind, e.g. task.dispatch or host.*.")] = None,
    since: Annotated[str | None, typer.Option(help="From 2026-03-13, 2026-03-13T12:30, or an age: 2h, 90d.")] = None,
    until: Annotated[str | None, typer.Option(help="Until then, written like --since.")] = None,
    output: FormatOption = Format.TEXT,
) -> int:
    """Show what was done: by host, operator, task, time, event."""
    question = Question(
        host=host,
        operator=operator,
        task=task,
        kind=event,
        since=None if since is None else read_time(since, flag="--since"),
        until=None if until is None else read_time(until, flag="--until"),
    )
    console = Console.of_process()
    with Reading(journal_folder()) as reading:
        found = (entry for entry in entries(reading.records_after(0)) if question.matches(entry))
        match output:
            case Format.TEXT:
                console.out.writelines(render.entries_text(found))
            case Format.TSV:
                console.out.writelines(render.entries_tsv(found))
            case Format.JSONL:
                console.out.writelines(map(dump, map(render.entry_json, found)))
            case Format.JSON:
                console.show(dump({"schema": SCHEMA, "events": list(map(render.entry_json, found))}))
    return Exit.OK


@app.command(epilog=examples("audit export"))
def export(output: FormatOption = Format.JSONL) -> int:
    """Write every row of the journal, with its digest, to standard output."""
    if output not in {Format.JSONL, Format.JSON}:
        raise UsageError(
            f"-o {output}: a journal is exported as jsonl or json; `audit show -o {output}` is for reading"
        )
    console = Console.of_process()
    with Reading(journal_folder()) as reading:
        rows: Iterable[dict[str, object]] = ({"schema": SCHEMA, **row} for row in export_rows(reading))
        if output is Format.JSONL:
            console.out.writelines(map(dump, rows))
        else:
            console.show(dump({"schema": SCHEMA, "events": list(rows)}))
    return Exit.OK


@app.command(epilog=examples("audit anchor"))
def anchor(output: FormatOption = Format.TEXT) -> int:
    """Print seq:digest of the journal's end, to be kept on another machine."""
    with Reading(journal_folder()) as reading, reading.snapshot():
        chain = walk_chain(reading)
        path = reading.path
    if chain.broken_at is not None:
        raise TamperedError(f"{path}: {chain.cause}; a broken chain is not anchored: see `vigo audit verify`")
    if chain.end is None:
        raise NoMatchError(f"{path}: there is no event to anchor yet")
    shown = {"schema": SCHEMA, "seq": chain.end.seq, "digest": chain.end.digest}
    Console.of_process().show(f"{chain.end}\n" if output in {Format.TEXT, Format.TSV} else dump(shown))
    return Exit.OK


@app.command(epilog=examples("audit prune"))
def prune(
    older_than: Annotated[str, typer.Option(help="Drop kept output of events older than this: 90d, 12h.")],
    operator: Annotated[str | None, typer.Option(help="Operator name for audit.  [default: current user]")] = None,
) -> int:
    """Drop old kept output; no event is dropped, and that it was done is recorded."""
    from vigo.adapters.store import Store

    before = _ago(older_than, flag="--older-than")
    console = Console.of_process()
    with Store(journal_folder()) as store:
        pruned = store.prune(operator or login_name(), before) if store.last() is not None else None
    count = 0 if pruned is None else pruned.outputs
    console.say(f"{count} kept output{'' if count == 1 else 's'} older than {older_than} dropped")
    return Exit.OK


def show_verdict(found: Audit, output: Format, console: Console) -> Exit:
    """Show the lines or the object on stdout, each finding on stderr, and return the exit code."""
    if output is Format.TEXT or output is Format.TSV:
        console.show(render.verdict_text(found))
    else:
        console.show(dump(render.verdict_json(found)))
    for line in render.findings(found):
        console.say(line)
    if found.is_tampered:
        return Exit.TAMPERED
    return Exit.JOURNAL if found.storage else Exit.OK


def read_anchor(text: str) -> tuple[Point, ...]:
    """Read `seq:digest`, or a file that holds one on each line.

    Raises UsageError for another text, JournalError for a file that cannot be read.
    """
    if ":" in text and not Path(text).exists():
        return (parse_point(text),)
    try:
        with Path(text).open(encoding="utf-8") as file:
            lines = file.read(_ANCHOR_FILE_MAX).splitlines()
    except (OSError, ValueError) as error:
        raise JournalError(f"--anchor {text}: cannot be read: {error}; write a file or seq:digest") from error
    points = tuple(parse_point(line) for line in lines if line.strip() and not line.startswith("#"))
    if not points:
        raise UsageError(f"--anchor {text}: holds no anchor; write there what `vigo audit anchor` prints")
    return points


def read_time(text: str, *, flag: str) -> str:
    """Return the journal's form of a local date or time, or of an age (`2h`, `90d`). Raises UsageError."""
    try:
        return _text(datetime.fromisoformat(text).astimezone(UTC))
    except (ValueError, OverflowError):
        return _ago(text, flag=flag)


def _ago(text: str, *, flag: str) -> str:
    days = _DAYS.fullmatch(text.strip())
    try:
        age = timedelta(days=int(days[1])) if days else timedelta(milliseconds=parse_duration_ms(text, flag=flag))
        return _text(datetime.now(UTC) - age)
    except OverflowError as error:
        raise UsageError(f"{flag}: {text!r} is too long ago; the journal is younger") from error


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
