"""The way of one `task run`: from the words on the command line to an exit code.

The order is the promise: everything that can be refused is refused before anything is recorded, the decision is on
record before the first connection, and a dry run shows the same plan and the same verdict without either.
"""

from __future__ import annotations

from dataclasses import dataclass

from vigo.adapters.store import Store
from vigo.cli.console import Console
from vigo.cli.reading import TEXT
from vigo.cli.request import Request, policy_of
from vigo.cli.selection import select
from vigo.cli.subject import subject_of
from vigo.cli.wiring import journal_folder, load_inventory, login_name
from vigo.core import command, plan
from vigo.core.errors import Exit
from vigo.core.events import TaskBlocked, TaskDispatched
from vigo.core.guard import Finding, Text, review
from vigo.core.model import Host
from vigo.core.plan import Plan
from vigo.render.plan import dry_run_text, plan_json, plan_lines, warning_text
from vigo.render.reports import dump

_YES = frozenset({"y", "yes"})


@dataclass(frozen=True, slots=True)
class Job:
    """A task, decided but for the guard's verdict."""

    request: Request
    plan: Plan
    hosts: dict[str, Host]
    """Targets by name."""
    texts: dict[str, Text]
    """Host name -> the exact text for it."""
    opening: TaskDispatched
    """What is on record once it is dispatched; `forced` and `pattern` are the guard's to say."""
    finding: Finding | None


def run_task(request: Request, console: Console) -> Exit:
    """Run a command or a named task as the flags ask. Raises VigoError for whatever is refused before it starts."""
    job = prepare(request, console)
    if request.dry_run:
        return _dry_run(job, console)
    with Store(journal_folder()) as store:
        forced = _decide(job, store, console)
        if forced is None:
            return Exit.REFUSED
        from vigo.cli.live import carry_out

        return carry_out(job, forced, store, console)


def prepare(request: Request, console: Console) -> Job:
    """Read the flags, select the hosts, make the texts, ask the dispatch guard and cut the batches."""
    inventory = load_inventory(request.inventory, console)
    subject = subject_of(request, inventory, console)
    policy = policy_of(request, subject.policy)
    target, hosts = select(request, subject.target, inventory, console)
    texts = {host.name: subject.text(host) for host in hosts}
    for wire in {text.wire for text in texts.values()}:
        command.check(wire)
    made = plan.make(hosts, policy)
    opening = TaskDispatched(
        operator=request.operator or login_name(),
        command=subject.bound.shown,
        target=target,
        batches=tuple(tuple(host.name for host in batch) for batch in made.batches),
        policy=policy,
        task_name=subject.task_name,
        params=subject.bound.params,
        inventory=inventory.source,
    )
    return Job(
        request,
        made,
        {host.name: host for host in made.hosts},
        texts,
        opening,
        review(text.judged for text in texts.values()),
    )


def _dry_run(job: Job, console: Console) -> Exit:
    """Show the plan that would run, and the guard's verdict on it; ask nothing, record nothing."""
    for line in plan_lines(job.plan, job.texts, job.opening.task_name):
        console.say(line)
    offline = () if job.request.no_probe else _offline(job, console)
    if job.request.output == TEXT:
        console.show(dry_run_text(job.plan, offline))
    else:
        console.show(dump(plan_json(job.plan, job.texts, offline, job.finding)))
    console.out.flush()
    if job.finding is None:
        console.say("guard: nothing found")
        return Exit.OK
    console.err.write(warning_text(job.finding))
    return Exit.OK if job.request.force else Exit.REFUSED


def _offline(job: Job, console: Console) -> tuple[str, ...]:
    import asyncio

    from vigo.adapters.probe import closed_ports

    offline = asyncio.run(closed_ports({host.name: (host.endpoint, host.ssh.port or 22) for host in job.plan.hosts}))
    if offline:
        console.say(f"offline: {', '.join(offline)}")
    return offline


def _decide(job: Job, store: Store, console: Console) -> bool | None:
    """Return whether a finding is forced; None when the task is blocked, which is then on record."""
    if job.finding is None:
        return False
    if job.request.force:
        console.say(f"--force: passing over the dispatch guard's finding: {job.finding.pattern}")
        return True
    console.err.write(warning_text(job.finding))
    if not console.can_ask:
        _block(job, job.finding, store)
        console.say("blocked: there is no terminal to ask on; --force runs it without asking")
        return None
    if _says_yes(console):
        return True
    _block(job, job.finding, store)
    console.say("blocked: not confirmed")
    return None


def _says_yes(console: Console) -> bool:
    try:
        return console.ask("Proceed anyway? [y/N] ").lower() in _YES
    except KeyboardInterrupt:
        console.say("")
        return False


def _block(job: Job, finding: Finding, store: Store) -> None:
    opening = job.opening
    store.block(
        TaskBlocked(
            operator=opening.operator,
            command=opening.command,
            target=opening.target,
            pattern=finding.pattern,
            rule=finding.rule,
            reason=finding.reason,
            hosts=tuple(host.name for host in job.plan.hosts),
        )
    )
