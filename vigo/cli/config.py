"""`vigo config`: what is set in place of flags, and where."""

from __future__ import annotations

from typing import Any, Final

import typer

from vigo.cli import settings
from vigo.cli.console import Console
from vigo.cli.examples import examples
from vigo.cli.flags import Format, Output
from vigo.core.errors import Exit
from vigo.render.machine import SCHEMA, dump
from vigo.render.sanitize import clean
from vigo.render.tables import tsv

app = typer.Typer(help="See what stands in for flags that are not given.", no_args_is_help=True)


_COLUMNS: Final = ("key", "value", "origin", "variable")


@app.callback()
def group() -> None:
    """See what stands in for flags that are not given."""


@app.command(epilog=examples("config show"))
def show(output: Output = Format.TEXT) -> int:
    """Show each setting with its value and its origin, and the flags that cannot be configured."""
    console = Console.of_process()
    rows, never = _rows(), _never()
    if output == Format.TEXT:
        width = max(len(row["key"]) for row in rows)
        for row in rows:
            console.show(clean(f"{row['key']:<{width}}  {row['value']:<12}  {row['origin']}") + "\n")
        console.show("\nnot configurable:\n")
        for key, reason in never.items():
            console.show(f"{key:<{width}}  {reason}\n")
    elif output == Format.TSV:
        console.show(tsv(_COLUMNS, ([row[name] for name in _COLUMNS] for row in rows)))
    elif output == Format.JSONL:
        for row in rows:
            console.show(dump(row))
    else:
        console.show(dump({"schema": SCHEMA, "settings": rows, "not_configurable": never}))
    return Exit.OK


def _rows() -> list[dict[str, Any]]:
    found = settings.load()
    rows = []
    for key in settings.configurable():
        setting = found.get(key) or settings.untouched(key)
        value = str(setting.value).lower() if isinstance(setting.value, bool) else str(setting.value)
        rows.append(
            {
                "schema": SCHEMA,
                "key": key,
                "value": value,
                "origin": setting.origin,
                "variable": settings.variable_of(key),
            }
        )
    return rows


def _never() -> dict[str, str]:
    reasons = {key: settings.why_not(key) for key in settings.run_options()}
    return {key: reason for key, reason in reasons.items() if reason is not None}
