"""`vigo task`: run, status, list. Flags in, exit codes out; the work is done elsewhere."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from vigo.cli.console import Console
from vigo.cli.request import Request

app = typer.Typer(help="Run a command or a named task on hosts; look at runs.", no_args_is_help=True)


class Format(StrEnum):
    """Forms of everything that lists or reports."""

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"
    TSV = "tsv"


class Kind(StrEnum):
    """What a word is taken for."""

    COMMAND = "command"
    TASK = "task"


FormatOption = Annotated[Format, typer.Option("--output", "-o", help="Form of the result.")]


@app.command(
    epilog='Example: vigo task run "systemctl restart nginx" --target "*.web.*" --batch-size 25% --max-failures 2'
)
def run(
    words: Annotated[list[str], typer.Argument(metavar="COMMAND|TASK", help="A quoted command, or a task's name.")],
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="Target: hostname, glob (*.web.*), UUID, @group, trait filter (os.distro=ubuntu), all; `and or not ( )`. Repeat for a union."
        ),
    ] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="Leave these targets out.")] = None,
    target_file: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE|-", help="Read targets from a file, one a line; - is standard input."),
    ] = None,
    limit: Annotated[str | None, typer.Option(metavar="N|N%", help="Take only the first N targets.")] = None,
    seed: Annotated[int | None, typer.Option(help="With --limit: take a sample drawn with this seed.")] = None,
    timeout: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="Command timeout in seconds, or with a unit: 500ms, 2m.  [default: 60]"),
    ] = None,
    operator: Annotated[str | None, typer.Option(help="Operator name for audit.  [default: current user]")] = None,
    batch_size: Annotated[
        str | None, typer.Option(metavar="N|N%", help="Batch size: count (5), percentage (25%) or a list (1,10%,50%).")
    ] = None,
    max_failures: Annotated[
        str | None, typer.Option(metavar="N|N%", help="Max failures before abort: count (2) or percentage (10%).")
    ] = None,
    max_unreachable: Annotated[
        str | None, typer.Option(metavar="N|N%", help="A budget of their own for unreachable hosts.")
    ] = None,
    health_check_url: Annotated[
        str | None, typer.Option(metavar="URL", help="URL to probe after each batch (abort on non-2xx).")
    ] = None,
    nice: Annotated[
        int | None, typer.Option(help="CPU/IO priority 0-19 (0 = normal, 19 = lowest).  [default: 0]")
    ] = None,
    fanout: Annotated[int | None, typer.Option(help="Hosts running at once inside a batch.  [default: 100]")] = None,
    connect_timeout: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Bound on connecting to a host.  [default: 10]")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Display the batch plan without executing.")] = False,
    no_probe: Annotated[
        bool, typer.Option("--no-probe", help="With --dry-run: do not look which hosts are offline.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Bypass the dispatch guard (the hard guard still applies on each host).")
    ] = False,
    confirm: Annotated[
        int | None,
        typer.Option(metavar="N", help="Confirm that the task has N hosts, where policy.yaml wants to know."),
    ] = None,
    param: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="Task parameter, repeatable.")] = None,
    as_: Annotated[Kind | None, typer.Option("--as", help="Take the word for a command or for a task's name.")] = None,
    expand: Annotated[
        bool, typer.Option("--expand", help="Expand {{ host }}, {{ address }} and {{ trait.x }} in an ad-hoc command.")
    ] = False,
    inventory: Annotated[
        str | None, typer.Option("--inventory", "-i", metavar="PATH|lab", help="Inventory file or folder.")
    ] = None,
    accept_new_host_keys: Annotated[
        bool, typer.Option("--accept-new-host-keys", help="Record the keys of hosts never seen before.")
    ] = False,
    output: FormatOption = Format.TEXT,
) -> int:
    """Run a command or a named task on targeted hosts."""
    from vigo.cli.dispatch import run_task

    request = Request(
        words=tuple(words),
        targets=tuple(target or ()),
        excludes=tuple(exclude or ()),
        target_files=tuple(target_file or ()),
        limit=limit,
        seed=seed,
        timeout=timeout,
        operator=operator,
        batch_size=batch_size,
        max_failures=max_failures,
        max_unreachable=max_unreachable,
        health_check_url=health_check_url,
        nice=nice,
        fanout=fanout,
        connect_timeout=connect_timeout,
        dry_run=dry_run,
        no_probe=no_probe,
        force=force,
        confirm=confirm,
        params=tuple(param or ()),
        as_kind=as_,
        expand=expand,
        inventory=inventory,
        accept_new_host_keys=accept_new_host_keys,
        output=output,
    )
    return run_task(request, Console.of_process())


@app.command()
def status(
    task: Annotated[
        str | None, typer.Argument(metavar="ID", help="Task id or a unique beginning of one.  [default: the last task]")
    ] = None,
    output: FormatOption = Format.TEXT,
) -> int:
    """Show status and results of a task run."""
    from vigo.cli.reading import show_status

    return show_status(task, output, Console.of_process())


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of tasks to display.")] = 20,
    output: FormatOption = Format.TEXT,
) -> int:
    """List recent task runs."""
    from vigo.cli.reading import show_list

    return show_list(limit, output, Console.of_process())
