"""`vigo lab`: start, look at, end and disturb a fleet of real SSH servers on this machine."""

from __future__ import annotations

import json
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, assert_never

import typer

from vigo.cli.console import Console
from vigo.cli.examples import examples
from vigo.cli.flags import Format
from vigo.cli.flags import Output as FormatOption
from vigo.core.errors import Exit, NoMatchError, UsageError, VigoError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vigo.core.nodes import Node
    from vigo.lab.fleet import Member
    from vigo.lab.state import RunningLab

app = typer.Typer(help="A fleet to try things on: real SSH servers on this machine.", no_args_is_help=True)


class HealthState(StrEnum):
    """What the health URL can be told to say."""

    UP = "up"
    DOWN = "down"


_LISTED_MAX = 10
"""Hosts that `lab up` lists one by one."""

HostArgument = Annotated[str, typer.Argument(metavar="HOST", help="A host of the lab.")]


@app.command(epilog=examples("lab up"))
def up(
    hosts: Annotated[
        int | None, typer.Option(min=1, max=20_000, help="How many hosts.  [default: as many as the inventory has]")
    ] = None,
    like: Annotated[
        str | None,
        typer.Option(metavar="INVENTORY", help="Take names, groups, traits and tasks from this file or folder."),
    ] = None,
    output: FormatOption = Format.TEXT,
) -> int:
    """Start the lab in the background."""
    from vigo.lab import lifecycle
    from vigo.lab.state import lab_folder, running_lab

    console = Console.of_process()
    folder = lab_folder()
    lab = running_lab(folder)
    if lab is not None:
        _refuse_other(lab, hosts, like)
        console.say("the lab is already up")
    else:
        members, tasks = _fleet(hosts, like)
        started = time.monotonic()
        lab = lifecycle.up(folder, members, tasks)
        console.say(f"lab: {len(members)} hosts ready in {time.monotonic() - started:.1f} s")
    console.say(f"note: the lab's commands run on this machine, as {lab.runs_as}, each host in a scratch home;")
    console.say("      hostname, systemctl, service, reboot and shutdown are stand-ins that touch nothing else")
    _show(lab, output, console, rows_max=_LISTED_MAX)
    console.say('next: vigo task run uptime --target "*.web.*" -i lab')
    return Exit.OK


@app.command(epilog=examples("lab status"))
def status(output: FormatOption = Format.TEXT) -> int:
    """Show the lab's hosts, ports and faults."""
    _show(_require_lab(), output, Console.of_process())
    return Exit.OK


@app.command(epilog=examples("lab down"))
def down() -> int:
    """End the lab and everything it started."""
    from vigo.lab import lifecycle
    from vigo.lab.state import lab_folder

    console = Console.of_process()
    ended = lifecycle.down(lab_folder())
    console.say("the lab is down" if ended else "no lab was up")
    return Exit.OK


@app.command(epilog=examples("lab health"))
def health(state: Annotated[HealthState, typer.Argument(help="What the health URL says from now on.")]) -> int:
    """Make the lab's health URL say 200 (up) or 503 (down)."""
    from vigo.lab.control import ask

    lab = _require_lab()
    ask(lab.folder, {"do": "health", "up": state is HealthState.UP})
    Console.of_process().show(f"{lab.health_url} {state.value}\n")
    return Exit.OK


@app.command("break", epilog=examples("lab break"))
def break_(
    host: HostArgument,
    fault: Annotated[str, typer.Argument(metavar="refuse|hang|slow|exit:N", help="What goes wrong from now on.")],
) -> int:
    """Let one host refuse, hang, be slow, or end every command with an exit code."""
    from vigo.lab.faults import parse_fault

    return _set_fault(host, str(parse_fault(fault)))


@app.command(epilog=examples("lab heal"))
def heal(host: HostArgument) -> int:
    """Make one host well again."""
    return _set_fault(host, "")


def _set_fault(host: str, fault: str) -> int:
    from vigo.lab.control import ask

    lab = _require_lab()
    name = _known(host, lab)
    ask(lab.folder, {"do": "fault", "host": name, "fault": fault})
    Console.of_process().show(f"{name} {fault or 'well'}\n")
    return Exit.OK


def _known(host: str, lab: RunningLab) -> str:
    """Return the host's name as the lab spells it. Raises NoMatchError with the nearest names."""
    from vigo.core.inventory_names import did_you_mean

    names = {known.name.lower(): known.name for known in lab.hosts}
    name = names.get(host.lower())
    if name is None:
        hint = did_you_mean(host, tuple(names.values())) or "`vigo lab status` shows its hosts"
        raise NoMatchError(f"host {host!r}: not in the lab; {hint}")
    return name


def _require_lab() -> RunningLab:
    from vigo.lab.state import running_lab

    lab = running_lab()
    if lab is None:
        raise NoMatchError("no lab is up; start one with `vigo lab up`")
    return lab


def _refuse_other(lab: RunningLab, hosts: int | None, like: str | None) -> None:
    """Raise VigoError when another lab was asked for than the one that runs."""
    if like is not None or (hosts is not None and hosts != len(lab.hosts)):
        raise VigoError(f"a lab of {len(lab.hosts)} hosts is already up; end it with `vigo lab down` first")


def _fleet(count: int | None, like: str | None) -> tuple[list[Member], str]:
    """Return the lab's members and its tasks file, after the example fleet or the given inventory."""
    from vigo.adapters.inventory_yaml import load
    from vigo.lab.fleet import Member, grow
    from vigo.lab.places import EXAMPLE_FLEET

    inventory = load(EXAMPLE_FLEET if like is None else Path(like))
    if not inventory.hosts:
        raise UsageError(f"--like {like}: has no hosts that a lab could be like; name an inventory with hosts")
    members = [Member(host.name, host.groups, dict(host.traits)) for host in inventory.hosts]
    tasks = {name: _plain(node) for name, node in inventory.tasks.items()}
    text = "tasks:\n" + "".join(
        f"  {json.dumps(name, ensure_ascii=False)}: {json.dumps(task, ensure_ascii=False)}\n"
        for name, task in tasks.items()
    )
    return grow(members, count or len(members)), text if tasks else ""


def _plain(node: Node) -> object:
    """Return a parsed YAML node as the value it was written from."""
    from vigo.core.nodes import ListNode, ScalarNode

    if isinstance(node, ScalarNode):
        return node.value
    if isinstance(node, ListNode):
        return [_plain(item) for item in node.items]
    return {key: _plain(value) for key, _, value in node}


def _show(lab: RunningLab, output: Format, console: Console, *, rows_max: int | None = None) -> None:
    """Show the lab; in text form only the first `rows_max` hosts, and how many more there are."""
    from vigo.lab.control import ask
    from vigo.render.machine import SCHEMA, dump
    from vigo.render.tables import tsv

    answer = ask(lab.folder, {"do": "faults"})
    health = HealthState.UP if answer["up"] else HealthState.DOWN
    found = answer["faults"]
    faults = {str(name): str(fault) for name, fault in found.items() if fault} if isinstance(found, dict) else {}
    hosts = [
        {"schema": SCHEMA, "host": host.name, "port": host.port, "fault": faults.get(host.name)} for host in lab.hosts
    ]
    match output:
        case Format.TEXT:
            console.show("".join(_lines(lab, health, faults, rows_max)))
        case Format.TSV:
            cells = ((host.name, str(host.port), faults.get(host.name, "")) for host in lab.hosts)
            console.show(tsv(("host", "port", "fault"), cells))
        case Format.JSONL:
            console.show("".join(map(dump, hosts)))
        case Format.JSON:
            console.show(dump({"schema": SCHEMA, **_facts(lab, health), "hosts": hosts}))
        case _:
            assert_never(output)


def _facts(lab: RunningLab, health: HealthState) -> dict[str, object]:
    return {
        "inventory": str(lab.inventory),
        "health_url": lab.health_url,
        "health": health.value,
        "pid": lab.pid,
        "runs_as": lab.runs_as,
    }


def _lines(lab: RunningLab, health: HealthState, faults: Mapping[str, str], rows_max: int | None) -> Iterator[str]:
    width = max(len(host.name) for host in lab.hosts)
    yield f"inventory: {lab.inventory}\nhealth:    {lab.health_url} {health.value}\n"
    for host in lab.hosts[:rows_max]:
        yield f"{host.name:{width}}  127.0.0.1:{host.port:<5}  {faults.get(host.name, 'well')}\n"
    if rows_max is not None and len(lab.hosts) > rows_max:
        yield f"… and {len(lab.hosts) - rows_max} more; `vigo lab status` lists them all\n"
