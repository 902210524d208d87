"""`vigo guard`: ask the analyser about a command, and print its rules."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TextIO

import typer

from vigo.cli.console import Console
from vigo.cli.examples import examples
from vigo.cli.flags import Format
from vigo.cli.flags import Output as FormatOption
from vigo.core.errors import ConfigError, Exit, UsageError
from vigo.core.guard import explain, rules
from vigo.render import guard as render
from vigo.render.machine import SCHEMA, dump

app = typer.Typer(help="Ask the guards about a command, and see their rules.", no_args_is_help=True)

LINE_MAX = 2 * 1024 * 1024


@app.command("check", epilog=examples("guard check"))
def check_command(
    command: Annotated[
        str | None, typer.Argument(help="The command to judge; nothing runs.", show_default=False)
    ] = None,
    input_file: Annotated[
        str | None, typer.Option("--input", metavar="FILE|-", help='Judge JSON Lines: {"cmd": …}, an "id" is echoed.')
    ] = None,
    output: FormatOption = Format.TEXT,
) -> int:
    """Say what both guards make of a command: verdict, rule, matched words. Exit 0: allowed, 6: refused."""
    console = Console.of_process()
    if (command is None) == (input_file is None):
        raise UsageError("guard check: give one command in quotes, or --input FILE|-")
    if input_file is not None:
        with opened(input_file) as lines:
            return check_lines(lines, input_file, console)
    return check(command or "", output, console)


@app.command("rules", epilog=examples("guard rules"))
def list_rules(output: FormatOption = Format.TEXT) -> int:
    """Print the table of rules."""
    console = Console.of_process()
    table = rules()
    match output:
        case Format.TEXT:
            console.show(render.rules_text(table))
        case Format.TSV:
            console.show(render.rules_tsv(table))
        case Format.JSON:
            console.show(dump({"schema": SCHEMA, "rules": [render.rule_json(rule) for rule in table]}))
        case Format.JSONL:
            console.show("".join(dump(render.rule_json(rule)) for rule in table))
    return Exit.OK


def check(command: str, output: Format, console: Console) -> int:
    """Judge one command and show the judgement."""
    judgement = explain(command)
    match output:
        case Format.TEXT:
            console.show(render.judgement_text(command, judgement))
        case Format.TSV:
            console.show(render.judgement_tsv(judgement))
        case _:
            console.show(dump(render.judgement_json(command, judgement)))
    return Exit.OK if judgement.finding is None else Exit.REFUSED


def check_lines(lines: Iterable[str], name: str, console: Console) -> int:
    """Judge JSON Lines, one answer a line, in order."""
    refused = False
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        question = _question(line, f"{name}:{number}")
        command = question["cmd"]
        judgement = explain(command)
        refused = refused or judgement.finding is not None
        answer = render.judgement_json(command, judgement, question.get("id"), identified="id" in question)
        console.show(dump(answer))
    return Exit.REFUSED if refused else Exit.OK


def _question(line: str, place: str) -> dict[str, str]:
    if len(line) > LINE_MAX:
        raise UsageError(f"{place}: longer than {LINE_MAX} characters; a command that long cannot be run either")
    try:
        question = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f'{place}: no JSON object ({error}); write {{"cmd": "uptime"}} on a line of its own'
        ) from error
    if not isinstance(question, dict) or not isinstance(question.get("cmd"), str):
        raise UsageError(f'{place}: "cmd" is missing or no string; write {{"cmd": "uptime"}}')
    return question


@contextmanager
def opened(name: str) -> Iterator[TextIO]:
    """Open the questions: a file, or standard input for `-`."""
    if name == "-":
        yield sys.stdin
        return
    try:
        with Path(name).open(encoding="utf-8") as lines:
            yield lines
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{name}: cannot be read ({error}); name a readable JSON Lines file, or - for standard input"
        ) from error
