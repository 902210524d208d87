"""`vigo traits` and `vigo query`: ask hosts what they are, and look at what is known of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, assert_never

import typer

from vigo.cli import flags, ssh_flags
from vigo.cli.age import say_age
from vigo.cli.console import Console
from vigo.cli.examples import examples
from vigo.cli.flags import Format
from vigo.core.errors import Exit, NoMatchError
from vigo.core.inventory import Inventory, origins
from vigo.core.inventory_names import did_you_mean
from vigo.core.model import TraitValue
from vigo.core.ranges import fold
from vigo.core.target import combine, parse

app = typer.Typer(help="Ask hosts what they are; look at what is known of them.", no_args_is_help=True)
query_app = typer.Typer(add_completion=False, rich_markup_mode=None)

_SHOWN_MAX = 20


@app.command(epilog=examples("traits gather"))
def gather(
    targets: flags.Target = None,
    excludes: flags.Exclude = None,
    traits_dir: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="The site's own scripts.  [default: traits.d in your config folder]"),
    ] = None,
    batch_size: flags.BatchSize = None,
    fanout: flags.Fanout = None,
    timeout: flags.Timeout = None,
    connect_timeout: flags.ConnectTimeout = None,
    operator: flags.Operator = None,
    confirm: flags.Confirm = None,
    dry_run: flags.DryRun = False,
    ask_password: ssh_flags.AskPassword = False,
    password_file: ssh_flags.PasswordFile = None,
    password_fd: ssh_flags.PasswordFd = None,
    ask_passphrase: ssh_flags.AskPassphrase = False,
    passphrase_file: ssh_flags.PassphraseFile = None,
    inventory: flags.Inventory = None,
    accept_new_host_keys: flags.AcceptNewHostKeys = False,
    output: flags.Output = Format.TEXT,
) -> int:
    """Ask hosts, all of them without a target, for their traits by one read-only script, and keep the answers."""
    from vigo.cli.gathering import gather_traits, site_scripts
    from vigo.cli.request import Request

    sites = site_scripts(traits_dir)
    request = Request(
        words=(),
        targets=tuple(targets or ["all"]),
        excludes=tuple(excludes or ()),
        batch_size=batch_size,
        fanout=fanout,
        timeout=timeout,
        connect_timeout=connect_timeout,
        operator=operator,
        confirm=confirm,
        dry_run=dry_run,
        ask_password=ask_password,
        password_file=password_file,
        password_fd=password_fd,
        ask_passphrase=ask_passphrase,
        passphrase_file=passphrase_file,
        inventory=inventory,
        accept_new_host_keys=accept_new_host_keys,
        output=output,
    )
    return gather_traits(request, sites, Console.of_process())


@app.command(epilog=examples("traits show"))
def show(
    host: Annotated[str, typer.Argument(help="The host's name.")],
    inventory: flags.Inventory = None,
    output: flags.Output = Format.TEXT,
) -> int:
    """Show a host's traits, each with the file and line it comes from, or how long ago it was gathered."""
    from vigo.cli.wiring import load_inventory
    from vigo.render import traits as render
    from vigo.render.machine import dump

    console = Console.of_process()
    fleet = load_inventory(inventory, console)
    found = fleet.require(host)
    known, said, now = fleet.gathered.get(found.name), origins(fleet, found), datetime.now(UTC)
    match output:
        case Format.TEXT:
            console.show(render.host_text(found, said, known, now))
        case Format.TSV:
            console.show(render.host_tsv(said))
        case Format.JSON:
            console.show(dump(render.host_json(found, said, known, now)))
        case Format.JSONL:
            console.show(render.host_jsonl(found, said))
        case _:
            assert_never(output)
    return Exit.OK


@query_app.command("query", epilog=examples("query"))
def query(
    path: Annotated[str, typer.Argument(help="A trait: os.distro.")],
    targets: flags.Target = None,
    excludes: flags.Exclude = None,
    count: Annotated[bool, typer.Option("--count", help="Count hosts by value, the most frequent one first.")] = False,
    inventory: flags.Inventory = None,
    output: flags.Output = Format.TEXT,
) -> int:
    """Show the value that hosts have for a trait, or how many hosts have which value."""
    from vigo.cli.wiring import load_inventory

    wanted = parse(combine(targets or ["all"], excludes or ()))
    console = Console.of_process()
    fleet = load_inventory(inventory, console)
    hosts = wanted.select(fleet)
    say_age(fleet, wanted, console, path)
    values = {host.name: host.traits[path] for host in hosts if path in host.traits}
    if not values:
        raise NoMatchError(_nobody(path, fleet))
    without = [host.name for host in hosts if path not in host.traits]
    _show_values(path, values, without, console, output, count=count)
    if without:
        console.say(f"{len(without):,} host{'' if len(without) == 1 else 's'} without {path}: {fold(without)}")
    return Exit.OK


def _show_values(
    path: str, values: Mapping[str, TraitValue], without: list[str], console: Console, output: Format, *, count: bool
) -> None:
    from vigo.render import traits as render
    from vigo.render.machine import dump

    match output:
        case Format.TEXT:
            console.show(render.counts_text(values) if count else render.values_text(values))
        case Format.TSV:
            console.show(render.counts_tsv(values) if count else render.values_tsv(values))
        case Format.JSON:
            present = render.counts_json if count else render.values_json
            console.show(dump(present(path, values, without)))
        case Format.JSONL:
            rows = (
                render.counts_json(path, values, ())["counts"]
                if count
                else render.values_json(path, values, ())["hosts"]
            )
            console.show(render.rows_jsonl(path, rows))
        case _:
            assert_never(output)


def _nobody(path: str, fleet: Inventory) -> str:
    """Say why a query finds nothing: another name, a branch of several traits, or nobody who has it."""
    known = sorted({trait for host in fleet.hosts for trait in host.traits})
    below = [trait for trait in known if trait.startswith(f"{path}.")]
    if below:
        return f"trait {path[:80]}: is no value; below it are {', '.join(below[:_SHOWN_MAX])}"
    where = fleet.source or "the inventory"
    if path in known:
        return f"trait {path[:80]}: none of these hosts has it; `vigo query {path[:80]}` shows who has"
    return f"trait {path[:80]}: no host of {where} has it; {did_you_mean(path, known) or '`vigo traits gather` asks hosts'}"
