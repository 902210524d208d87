"""`vigo doctor`: a check-up of this machine, or of one host from its settings to sudo."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, TypeAlias, assert_never

import typer

from vigo.cli import flags, ssh_flags
from vigo.cli.console import Console
from vigo.cli.examples import examples
from vigo.cli.flags import Format
from vigo.core.doctor import Check, CheckState, passed
from vigo.core.errors import Exit, UsageError
from vigo.render import doctor as render

app = typer.Typer(add_completion=False, rich_markup_mode=None)

Tell: TypeAlias = Callable[[Check], None]


@app.command("doctor", epilog=examples("doctor"))
def doctor(
    host: Annotated[str | None, typer.Argument(help="A host of the inventory; without it, this machine.")] = None,
    connect_timeout: flags.ConnectTimeout = None,
    user: ssh_flags.User = None,
    port: ssh_flags.Port = None,
    identity: ssh_flags.Identity = None,
    jump: ssh_flags.Jump = None,
    ssh_options: ssh_flags.SshOption = None,
    ssh_config: ssh_flags.SshConfig = None,
    inventory: flags.Inventory = None,
    output: flags.Output = Format.TEXT,
) -> int:
    """Check this machine, or a host step by step from its name to sudo; nothing is changed, exit 1 when a check fails."""
    reach = ssh_flags.Reach(
        user=user,
        port=port,
        identity=identity,
        jump=jump,
        ssh_options=tuple(ssh_options or ()),
        ssh_config=ssh_config,
        connect_timeout=connect_timeout,
    )
    if host is None and any(flag != default for flag, default in _given(reach)):
        raise UsageError("--user, --port and the like say how a host is reached; name the host to look at")
    console = Console.of_process()
    checks: list[Check] = []

    def tell(check: Check) -> None:
        checks.append(check)
        if output is Format.TEXT:
            console.show(render.check_line(check))
            console.out.flush()

    if host is None:
        from vigo.cli.doctor_here import look_around

        look_around(inventory, tell)
    else:
        _examine(host, reach, inventory, console, tell)
    _show(host, checks, output, console)
    failed = [check.name for check in checks if check.state is CheckState.FAILED]
    warned = [check.name for check in checks if check.state is CheckState.WARNING]
    if failed:
        console.say(f"failed: {', '.join(failed)}")
    if warned:
        console.say(f"worth a look: {', '.join(warned)}")
    return Exit.OK if passed(checks) else Exit.HOSTS_FAILED


def _given(reach: ssh_flags.Reach) -> list[tuple[object, object]]:
    default = ssh_flags.Reach()
    names = ("user", "port", "identity", "jump", "ssh_options", "connect_timeout")
    return [(getattr(reach, name), getattr(default, name)) for name in names]


def _examine(host: str, reach: ssh_flags.Reach, inventory: str | None, console: Console, tell: Tell) -> None:
    from vigo.adapters.ssh_examine import Examination
    from vigo.cli.keys import scanner_for
    from vigo.cli.wiring import load_inventory

    fleet = load_inventory(inventory, console)
    found = fleet.require(host)
    scanner = scanner_for(fleet, reach)

    async def carry_out() -> None:
        try:
            await Examination(scanner, fleet, found, tell).carry_out()
        finally:
            await scanner.close()

    asyncio.run(carry_out())
    for remark in scanner.preparation.remarks:
        console.say(f"warning: {remark}")


def _show(host: str | None, checks: list[Check], output: Format, console: Console) -> None:
    match output:
        case Format.TEXT:
            pass  # each line was shown when it was known
        case Format.JSON:
            console.show(render.checks_json(host, checks))
        case Format.JSONL:
            console.show(render.checks_jsonl(checks))
        case Format.TSV:
            console.show(render.checks_tsv(checks))
        case _:
            assert_never(output)
