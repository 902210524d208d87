"""`vigo inventory`: list, show, check. Flags in, exit codes out."""

from __future__ import annotations

from typing import Annotated, assert_never

import typer

from vigo.cli.console import Console
from vigo.cli.task import Format, FormatOption
from vigo.core.errors import Exit, UsageError
from vigo.core.inventory import origins
from vigo.core.inventory_check import check as look_through
from vigo.core.target import combine, parse
from vigo.render import inventory as render

app = typer.Typer(help="See which hosts there are, and check the files that name them.", no_args_is_help=True)

InventoryOption = Annotated[
    str | None, typer.Option("--inventory", "-i", metavar="PATH|lab", help="The inventory: a file, a folder, or `lab`.")
]


@app.command("list")
def list_hosts(
    target: Annotated[
        list[str] | None, typer.Option(help="Only these hosts; every target of `task run` works. Repeatable.")
    ] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="Without these hosts. Repeatable.")] = None,
    inventory: InventoryOption = None,
    output: FormatOption = Format.TEXT,
) -> int:
    """List hosts with address, groups and traits."""
    from vigo.cli.wiring import load_inventory

    wanted = parse(combine(target or ["all"], exclude or ())) if target or exclude else None
    console = Console.of_process()
    fleet = load_inventory(inventory, console)
    hosts = fleet.hosts if wanted is None else wanted.select(fleet)
    match output:
        case Format.TEXT:
            console.show(render.hosts_text(hosts))
        case Format.TSV:
            console.show(render.hosts_tsv(hosts))
        case Format.JSON:
            console.show(render.hosts_json(hosts, fleet.source))
        case Format.JSONL:
            console.show(render.hosts_jsonl(hosts))
        case _:
            assert_never(output)
    return Exit.OK


@app.command()
def show(
    host: Annotated[str, typer.Argument(help="The host's name.")],
    inventory: InventoryOption = None,
    output: FormatOption = Format.TEXT,
) -> int:
    """Show one host: each value with the file and line it comes from."""
    from vigo.cli.wiring import load_inventory

    _need(output, Format.TEXT, Format.JSON)
    console = Console.of_process()
    fleet = load_inventory(inventory, console)
    found = fleet.require(host)
    present = render.host_text if output is Format.TEXT else render.host_json
    console.show(present(found, origins(fleet, found)))
    return Exit.OK


@app.command()
def check(inventory: InventoryOption = None, output: FormatOption = Format.TEXT) -> int:
    """Read every file strictly and say what is worth a look; exit 5 when it cannot be used."""
    from vigo.cli.wiring import load_inventory

    _need(output, Format.TEXT, Format.JSON)
    console = Console.of_process()
    fleet = load_inventory(inventory, console)
    found = look_through(fleet)
    for warning in found.warnings:
        console.say(f"warning: {warning}")
    console.show(render.checked_text(found) if output is Format.TEXT else render.checked_json(found, fleet.source))
    return Exit.OK


def _need(output: Format, *known: Format) -> None:
    if output not in known:
        raise UsageError(f"--output: {output.value!r} does not fit one object; write {' or '.join(known)}")
