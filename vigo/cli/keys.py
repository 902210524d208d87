"""`vigo keys`: which keys hosts show, which are known of them, and how to forget one. Nothing runs on a host."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, assert_never

import typer

from vigo.cli import flags, ssh_flags
from vigo.cli.console import Console
from vigo.cli.descriptors import at_once
from vigo.cli.examples import examples
from vigo.cli.flags import Format
from vigo.core.errors import ConfigError, Exit, NoMatchError, UsageError
from vigo.core.inventory import Inventory
from vigo.core.inventory_names import did_you_mean
from vigo.core.model import Host
from vigo.core.quantity import parse_duration_ms
from vigo.core.ranges import fold
from vigo.core.target import combine, parse

if TYPE_CHECKING:  # asyncssh is loaded when a command runs, not for --help
    from vigo.adapters.ssh_known_hosts import Known
    from vigo.adapters.ssh_scan import Scanned, Scanner
    from vigo.render.keys import KeyFailure, KeyRow

app = typer.Typer(help="See and record the keys that hosts show, and forget them.", no_args_is_help=True)

_CONNECT_TIMEOUT_MS = 10_000
_FANOUT = 100

KnownHost = Annotated[
    str, typer.Argument(metavar="HOST", help="The host's name, or a name as known_hosts has it: [10.0.0.1]:2222.")
]


@app.command(epilog=examples("keys scan"))
def scan(
    targets: flags.Target = None,
    excludes: flags.Exclude = None,
    write: Annotated[
        bool, typer.Option("--write", help="Record the new keys in vigo's own known_hosts; never a changed one.")
    ] = False,
    fanout: flags.Fanout = None,
    connect_timeout: flags.ConnectTimeout = None,
    port: ssh_flags.Port = None,
    jump: ssh_flags.Jump = None,
    ssh_options: ssh_flags.SshOption = None,
    ssh_config: ssh_flags.SshConfig = None,
    inventory: flags.Inventory = None,
    output: flags.Output = Format.TEXT,
) -> int:
    """Connect as far as the key exchange and show each host's keys beside what is known; exit 1 when one changed."""
    reach = ssh_flags.Reach(
        port=port,
        jump=jump,
        ssh_options=tuple(ssh_options or ()),
        ssh_config=ssh_config,
        connect_timeout=connect_timeout,
    )
    if fanout is not None and fanout < 1:
        raise UsageError(f"--fanout {fanout}: at least one host has to be looked at at once; write 1 or more")
    console = Console.of_process()
    fleet, hosts = _selected(targets, excludes, inventory, console)
    scanner = scanner_for(fleet, reach)
    found = asyncio.run(_scan(scanner, hosts, at_once(min(fanout or _FANOUT, len(hosts)), console)))
    _say_remarks(scanner, console)
    rows, failures = _rows(found)
    _show(rows, failures, output, console)
    written = _write(scanner, found, console) if write else True
    _say_result(rows, failures, console, was_written=write)
    is_fine = written and not failures and not any(row.state in ("CHANGED", "revoked") for row in rows)
    return Exit.OK if is_fine else Exit.HOSTS_FAILED


@app.command(epilog=examples("keys show"))
def show(
    host: Annotated[str | None, typer.Argument(help="The host's name.")] = None,
    targets: flags.Target = None,
    excludes: flags.Exclude = None,
    ssh_config: ssh_flags.SshConfig = None,
    inventory: flags.Inventory = None,
    output: flags.Output = Format.TEXT,
) -> int:
    """Show what is known of hosts, and the file and line that know it; all hosts without a name. Nothing connects."""
    if host is not None and (targets or excludes):
        raise UsageError("a host's name and --target are two ways to say which hosts; write one of them")
    console = Console.of_process()
    fleet, hosts = _selected(targets, excludes, inventory, console, host)
    scanner = scanner_for(fleet, ssh_flags.Reach(ssh_config=ssh_config))
    from vigo.adapters.ssh_errors import Unreached
    from vigo.render.keys import KeyFailure

    rows, failures = [], []
    for one in hosts:
        try:
            rows += _known_rows(one.name, known_of(scanner, one))
        except Unreached as refusal:
            failures.append(KeyFailure(one.name, refusal.reason, refusal.detail))
    _say_remarks(scanner, console)
    _show(rows, failures, output, console)
    named = {row.host for row in rows} | {failure.host for failure in failures}
    nobody = [one.name for one in hosts if one.name not in named]
    if nobody:
        console.say(f"nothing is known of {fold(nobody)}; `vigo keys scan` shows the keys that hosts have")
    return Exit.HOSTS_FAILED if failures else Exit.OK


@app.command(epilog=examples("keys forget"))
def forget(
    host: KnownHost,
    ssh_config: ssh_flags.SshConfig = None,
    inventory: flags.Inventory = None,
    output: flags.Output = Format.TEXT,
) -> int:
    """Take a host out of vigo's own known_hosts, say after its machine was set up anew; other files stay as they are."""
    from vigo.adapters.ssh_errors import Unreached
    from vigo.cli.wiring import load_inventory
    from vigo.render.keys import forgotten_json

    if output not in (Format.TEXT, Format.JSON):
        raise UsageError(f"--output: {output.value!r} does not fit one object; write text or json")
    console = Console.of_process()
    fleet = load_inventory(inventory, console)
    scanner = scanner_for(fleet, ssh_flags.Reach(ssh_config=ssh_config))
    found = fleet.get(host)
    try:
        names, port = _called(scanner, found, host)
        lines = scanner.host_keys.forget(names, port)
        left = _known_rows(host, known_of(scanner, found) if found else None)
    except Unreached as refusal:
        raise ConfigError(refusal.detail) from refusal
    own = scanner.host_keys.own
    if not lines and found is None:
        hint = did_you_mean(host, [known.name for known in fleet.hosts])
        raise NoMatchError(
            f"{host[:80]}: is no host of {fleet.source}, and {own} has no line of it{f'; {hint}' * bool(hint)}"
        )
    if output is Format.JSON:
        console.show(forgotten_json(host, str(own), lines, left))
    else:
        count = f"{len(lines)} line{'' if len(lines) == 1 else 's'}"
        console.show(f"{own}: {count} of {host} removed\n" if lines else f"{own}: has no line of {host}\n")
    for place in dict.fromkeys(place for row in left for place in row.places):
        console.say(f"{host} is still known by {place}")
    return Exit.OK


def scanner_for(fleet: Inventory, reach: ssh_flags.Reach) -> Scanner:
    """Return what looks at hosts' keys, with the user's files and the flags. Raises UsageError, ConfigError."""
    from vigo.adapters.places import data_folder
    from vigo.adapters.ssh_config import config_files
    from vigo.adapters.ssh_keys import home_folder
    from vigo.adapters.ssh_scan import Scanner

    timeout = reach.connect_timeout
    timeout_ms = _CONNECT_TIMEOUT_MS if timeout is None else parse_duration_ms(timeout, flag="--connect-timeout")
    files = config_files(reach.ssh_config, home_folder())
    return Scanner.make(data_folder() / "known_hosts", files, reach.overrides(fleet), timeout_ms)


def known_of(scanner: Scanner, host: Host) -> Known:
    """Return what the files know of a host. Raises Unreached."""
    endpoint = scanner.preparation.endpoint(host)
    return scanner.host_keys.known(endpoint.host_key_names, endpoint.port, endpoint.known_hosts)


async def _scan(scanner: Scanner, hosts: Sequence[Host], fanout: int) -> list[Scanned]:
    room = asyncio.Semaphore(fanout)

    async def one(host: Host) -> Scanned:
        async with room:
            return await scanner.scan(host)

    try:
        return await asyncio.gather(*map(one, hosts))
    finally:
        await scanner.close()


def _selected(
    targets: list[str] | None,
    excludes: list[str] | None,
    inventory: str | None,
    console: Console,
    name: str | None = None,
) -> tuple[Inventory, tuple[Host, ...]]:
    from vigo.cli.wiring import load_inventory

    wanted = parse(combine(targets or ["all"], excludes or ()))
    fleet = load_inventory(inventory, console)
    return fleet, wanted.select(fleet) if name is None else (fleet.require(name),)


def _called(scanner: Scanner, found: Host | None, host: str) -> tuple[tuple[str, ...], int]:
    """Return the names and the port under which a host is on record; what is no host is taken as a line has it."""
    if found is not None:
        endpoint = scanner.preparation.endpoint(found)
        return endpoint.host_key_names, endpoint.port
    name, bracket, port = host.removeprefix("[").rpartition("]:")
    return ((name,), int(port)) if bracket and host.startswith("[") and port.isdecimal() else ((host,), 22)


def _rows(found: Sequence[Scanned]) -> tuple[list[KeyRow], list[KeyFailure]]:
    from vigo.adapters.ssh_known_hosts import fingerprint
    from vigo.render.keys import KeyFailure, KeyRow

    rows = [
        KeyRow(one.host, key.state, key.key.algorithm, fingerprint(key.key.blob), key.places)
        for one in found
        for key in one.keys
    ]
    return rows, [KeyFailure(one.host, one.reason, one.detail) for one in found if one.reason is not None]


def _known_rows(host: str, known: Known | None) -> list[KeyRow]:
    from vigo.adapters.ssh_known_hosts import fingerprint
    from vigo.render.keys import KeyRow

    if known is None:
        return []
    states = {"known": known.keys, "portless": known.portless, "authority": known.authorities, "revoked": known.revoked}
    return [
        KeyRow(host, state, entry.algorithm, fingerprint(entry.blob), (entry.place,))
        for state, entries in states.items()
        for entry in entries
    ]


def _show(rows: Sequence[KeyRow], failures: Sequence[KeyFailure], output: Format, console: Console) -> None:
    from vigo.render import keys as render

    match output:
        case Format.TEXT:
            console.show(render.keys_text(rows))
        case Format.TSV:
            console.show(render.keys_tsv(rows))
        case Format.JSON:
            console.show(render.keys_json(rows, failures))
        case Format.JSONL:
            console.show(render.keys_jsonl(rows))
        case _:
            assert_never(output)
    console.out.flush()
    for failure in failures:
        console.say(f"{failure.host}: {failure.reason}: {failure.detail}")


def _write(scanner: Scanner, found: Sequence[Scanned], console: Console) -> bool:
    """Record the new keys; say what could not be recorded and return whether all could."""
    from vigo.adapters.ssh_errors import Unreached

    count, is_whole = 0, True
    for one in found:
        if not one.records and any(key.state == "new" for key in one.keys):
            console.say(
                f"{one.host}: not recorded: its inventory names a known_hosts file of its own; add the keys there"
            )
            is_whole = False
            continue
        try:
            count += len(scanner.write(one))
        except Unreached as refusal:
            console.say(f"{one.host}: not recorded: {refusal.detail}")
            is_whole = False
    console.say(f"recorded {count} key{'' if count == 1 else 's'} in {scanner.host_keys.own}")
    return is_whole


def _say_result(rows: Sequence[KeyRow], failures: Sequence[KeyFailure], console: Console, *, was_written: bool) -> None:
    counts = Counter(row.state for row in rows)
    told = [f"{counts[state]} {state}" for state in ("known", "new", "CHANGED", "revoked") if counts[state]]
    told += [f"{len(failures)} not scanned"] if failures else []
    console.say(f"keys: {', '.join(told) or 'none'}")
    if counts["CHANGED"]:
        console.say(
            "a changed key: the machine was set up anew, or somebody stands in between; compare it on the machine itself"
            " (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), then: vigo keys forget HOST"
        )
    if counts["new"] and not was_written:
        console.say("compare the new ones with the machines, then add --write")


def _say_remarks(scanner: Scanner, console: Console) -> None:
    for remark in scanner.preparation.remarks:
        console.say(f"warning: {remark}")
