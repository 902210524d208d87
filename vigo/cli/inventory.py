"""`vigo inventory`: list, show, check, import. Flags in, exit codes out."""

from __future__ import annotations

from typing import Annotated, assert_never

import typer

from vigo.cli import imports, ssh_flags
from vigo.cli.age import say_age
from vigo.cli.console import Console
from vigo.cli.examples import examples
from vigo.cli.flags import Format
from vigo.cli.flags import Output as FormatOption
from vigo.core.errors import Exit, UsageError
from vigo.core.inventory import Inventory, origins
from vigo.core.inventory_check import check as look_through
from vigo.core.model import Host, Overrides
from vigo.core.target import combine, parse
from vigo.render import inventory as render

app = typer.Typer(help="See which hosts there are, and check the files that name them.", no_args_is_help=True)
app.add_typer(imports.app, name="import")

InventoryOption = Annotated[
    str | None, typer.Option("--inventory", "-i", metavar="PATH|lab", help="The inventory: a file, a folder, or `lab`.")
]


@app.command("list", epilog=examples("inventory list"))
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
    if wanted is not None:
        say_age(fleet, wanted, console)
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


@app.command(epilog=examples("inventory show"))
def show(
    host: Annotated[str, typer.Argument(help="The host's name.")],
    ssh: Annotated[bool, typer.Option("--ssh", help="Show how it is reached, flags and ssh_config included.")] = False,
    inventory: InventoryOption = None,
    user: ssh_flags.User = None,
    port: ssh_flags.Port = None,
    identity: ssh_flags.Identity = None,
    jump: ssh_flags.Jump = None,
    ssh_option: ssh_flags.SshOption = None,
    ssh_config: ssh_flags.SshConfig = None,
    output: FormatOption = Format.TEXT,
) -> int:
    """Show one host: each value with the file and line it comes from."""
    from vigo.cli.wiring import load_inventory

    _need(output, Format.TEXT, Format.JSON)
    given = (user, port, identity, jump, ssh_option, ssh_config)
    if not ssh and any(flag is not None for flag in given):
        raise UsageError("--user, --port and the like say how a host is reached; add --ssh to see it")
    console = Console.of_process()
    fleet = load_inventory(inventory, console)
    found = fleet.require(host)
    if ssh:
        options = tuple(ssh_option or ())
        flags = ssh_flags.overrides_of(fleet, user=user, port=port, identity=identity, jump=jump, ssh_options=options)
        _show_ssh(fleet, found, flags, ssh_config, output, console)
        return Exit.OK
    present = render.host_text if output is Format.TEXT else render.host_json
    console.show(present(found, origins(fleet, found)))
    return Exit.OK


def _show_ssh(
    fleet: Inventory, host: Host, flags: Overrides, ssh_config: str | None, output: Format, console: Console
) -> None:
    from vigo.adapters.ssh_config import config_files
    from vigo.adapters.ssh_config_tokens import home_folder
    from vigo.adapters.ssh_settings import Settler
    from vigo.adapters.ssh_settings_show import effective

    settler = Settler.make(config_files(ssh_config, home_folder()), flags)
    ways = effective(settler.settle_and_wait(host), fleet)
    for remark in settler.remarks:
        console.say(f"warning: {remark}")
    console.show(render.reached_text(ways) if output is Format.TEXT else render.reached_json(ways))


@app.command(epilog=examples("inventory check"))
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
