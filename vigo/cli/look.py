"""`task status --look`: asks the hosts whose outcome is unknown what became of the command."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from vigo.adapters.ssh import SshTransport
from vigo.adapters.store_read import Reading
from vigo.cli.console import Console
from vigo.cli.credentials import fetched
from vigo.cli.descriptors import fit
from vigo.cli.errand import Errand
from vigo.cli.flags import Format
from vigo.cli.reading import find_task
from vigo.cli.ssh_flags import Reach, Wanted
from vigo.cli.wiring import journal_folder, load_inventory, transport_for
from vigo.core.errors import Exit, NoMatchError
from vigo.core.events import HostStarted, TaskStatus
from vigo.core.history import Task
from vigo.core.inventory import Inventory
from vigo.core.model import Host, Outcome, Remains
from vigo.core.plan import Plan
from vigo.render.machine import SCHEMA, dump
from vigo.render.remains import remains_json, remains_text


def look_at_lost(
    prefix: str | None, inventory: str | None, form: str, console: Console, login: Wanted | None = None
) -> Exit:
    """Connect to the hosts of a task whose outcome is unknown and tell what is left there; changes nothing."""
    with Reading(journal_folder()) as journal:
        task, status = journal.observe(find_task(prefix, journal))
        marks = lost_marks(task, status, journal)
    if task.run is None or not marks:
        console.say(f"task {task.id}: there is no host whose outcome is unknown")
        return Exit.OK
    opening = task.run.dispatched
    if opening.push is not None:
        console.say(
            f"task {task.id} pushed a file, which leaves no process to look for; compare it with its sha256"
            f' {opening.push.sha256[:12]}…: vigo task run "sha256sum {opening.push.remote}" --target run:{task.id}:lost'
        )
        return Exit.OK
    fleet = load_inventory(inventory or opening.inventory or None, console)
    hosts, reach = known_hosts(tuple(marks), fleet), Reach.recorded(opening.reach)
    errand = Errand(Plan((hosts,), opening.policy), {}, overrides=reach.overrides(fleet), ssh_config=reach.ssh_config)
    with fetched((login or Wanted()).again(reach), errand, console) as ready:
        found = look_at(hosts, marks, partial(transport_to, ready), fit(opening.policy, len(hosts), console).fanout)
    if form == Format.TEXT:
        console.show(remains_text(found))
    else:
        console.show(dump({"schema": SCHEMA, "task": task.id, "hosts": remains_json(found)}))
    return Exit.OK


def transport_to(errand: Errand) -> SshTransport:
    """Return the way to the hosts of an errand, for looking at them."""
    return transport_for(
        errand.plan.policy,
        overrides=errand.overrides,
        ssh_config=errand.ssh_config,
        credentials=errand.credentials,
    )


def lost_marks(task: Task, status: TaskStatus, journal: Reading) -> dict[str, str]:
    """Return each host whose outcome is unknown, with the mark of its command there."""
    if task.run is None or status is TaskStatus.RUNNING:
        return {}
    interrupted = status is TaskStatus.INTERRUPTED
    lost = {host for host in task.hosts if task.run.outcome(host, interrupted=interrupted) is Outcome.LOST}
    starts = (record.event for record in journal.records(task.id))
    return {start.host: start.mark for start in starts if isinstance(start, HostStarted) and start.host in lost}


def look_at(
    hosts: Sequence[Host], marks: Mapping[str, str], connect: Callable[[], SshTransport], fanout: int
) -> dict[str, Remains]:
    """Ask the hosts side by side, `fanout` at once; a host that does not answer is an answer."""
    return asyncio.run(_look_at(hosts, marks, connect, fanout))


async def _look_at(
    hosts: Sequence[Host], marks: Mapping[str, str], connect: Callable[[], SshTransport], fanout: int
) -> dict[str, Remains]:
    transport, room = connect(), asyncio.Semaphore(fanout)

    async def look(host: Host) -> Remains:
        async with room:
            return await transport.look(host, marks[host.name])

    try:
        found = await asyncio.gather(*map(look, hosts))
    finally:
        await transport.close()
    return {host.name: remains for host, remains in zip(hosts, found, strict=True)}


def known_hosts(names: Sequence[str], inventory: Inventory) -> tuple[Host, ...]:
    """Return the hosts with these names. Raises NoMatchError when one is gone from the inventory."""
    by_name = {host.name: host for host in inventory.hosts}
    gone = [name for name in names if name not in by_name]
    if gone:
        shown = ", ".join(gone[:5]) + (", …" if len(gone) > 5 else "")  # noqa: PLR2004 - enough to see which ones
        raise NoMatchError(
            f"{inventory.source} no longer has {shown}; name the inventory that the task was made with: --inventory PATH"
        )
    return tuple(by_name[name] for name in names)
