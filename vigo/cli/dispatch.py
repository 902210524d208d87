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
from vigo.cli.wiring import journal_folder, load_inventory, login_name, site_policy, transport_for
from vigo.core import command, plan
from vigo.core.errors import Exit
from vigo.core.events import TaskBlocked, TaskDispatched
from vigo.core.guard import Finding, Layer, Text, review
from vigo.core.model import Host
from vigo.core.plan import Plan
from vigo.core.policy import SitePolicy
from vigo.render.machine import dump
from vigo.render.plan import dry_run_text, plan_json, plan_lines, warning_text

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
    site: SitePolicy


@dataclass(frozen=True, slots=True)
class Blocked:
    """Why a task is not dispatched, and what the operator is told last."""

    finding: Finding
    word: str


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
    site = site_policy()
    inventory = load_inventory(request.inventory, console)
    subject = subject_of(request, inventory, console)
    policy = policy_of(request, subject.policy)
    target, hosts = select(request, subject.target, inventory, site, console)
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
        _finding([text.judged for text in texts.values()], site),
        site,
    )


def _finding(texts: list[str], site: SitePolicy) -> Finding | None:
    """Ask the guard, then the site: what nothing can pass is told before what the site has a reason for."""
    found = review(texts)
    return found if found is not None and found.layer is Layer.HARD else site.review(texts) or found


def _dry_run(job: Job, console: Console) -> Exit:
    """Show the plan that would run, and the verdicts on it; ask nothing, record nothing."""
    for line in plan_lines(job.plan, job.texts, job.opening.task_name):
        console.say(line)
    offline = () if job.request.no_probe else _offline(job, console)
    too_many = job.site.refuse(job.plan)
    unconfirmed = job.site.unconfirmed(job.plan, job.request.confirm)
    if job.request.output == TEXT:
        console.show(dry_run_text(job.plan, offline))
    else:
        console.show(dump(plan_json(job.plan, job.texts, offline, job.finding or too_many)))
    console.out.flush()
    if job.finding is None:
        console.say("guard: nothing found")
    else:
        console.err.write(warning_text(job.finding))
    for finding in (too_many, unconfirmed):
        if finding is not None:
            console.say(f"{finding.pattern}: {finding.reason}")
    guarded = job.finding is not None and not job.request.force
    miscounted = unconfirmed is not None and job.request.confirm is not None
    return Exit.REFUSED if guarded or too_many is not None or miscounted else Exit.OK


def _offline(job: Job, console: Console) -> tuple[str, ...]:
    import asyncio

    from vigo.adapters.probe import closed_ports

    transport = transport_for(job.plan.policy, accept_new_host_keys=False)
    places = {host.name: transport.destination(host) for host in job.plan.hosts}
    closed = asyncio.run(closed_ports({name: place for name, place in places.items() if place is not None}))
    offline = tuple(name for name, place in places.items() if place is None or name in closed)
    if offline:
        console.say(f"offline: {', '.join(offline)}")
    return offline


def _decide(job: Job, store: Store, console: Console) -> bool | None:
    """Return whether a finding is forced; None when the task is blocked, which is then on record."""
    blocked = _too_many(job) or _guarded(job, console) or _unconfirmed(job, console)
    if blocked is None:
        return job.finding is not None
    _block(job, blocked.finding, store)
    console.say(f"blocked: {blocked.word}")
    return None


def _too_many(job: Job) -> Blocked | None:
    finding = job.site.refuse(job.plan)
    if finding is None:
        return None
    return Blocked(finding, f"{finding.reason}; cut it into batches with --batch-size")


def _guarded(job: Job, console: Console) -> Blocked | None:
    """Ask about a finding, unless `--force` says that there is nothing to ask."""
    if job.finding is None:
        return None
    if job.request.force:
        console.say(f"--force: passing over the dispatch guard's finding: {job.finding.pattern}")
        return None
    console.err.write(warning_text(job.finding))
    if not console.can_ask:
        return Blocked(job.finding, "there is no terminal to ask on; --force runs it without asking")
    if _answer("Proceed anyway? [y/N] ", console).lower() in _YES:
        return None
    return Blocked(job.finding, "not confirmed")


def _unconfirmed(job: Job, console: Console) -> Blocked | None:
    """Have the number of hosts typed where the site wants it; `--force` is no number."""
    finding = job.site.unconfirmed(job.plan, job.request.confirm)
    if finding is None:
        return None
    if job.request.confirm is not None:
        return Blocked(finding, f"{finding.reason}; look at the plan with --dry-run")
    if not console.can_ask:
        return Blocked(finding, f"{finding.reason}, and there is no terminal to ask on; add --confirm {job.plan.total}")
    console.say(finding.reason)
    if _answer("Type the number of hosts to run it: ", console) == str(job.plan.total):
        return None
    return Blocked(finding, "that is not the number of hosts")


def _answer(question: str, console: Console) -> str:
    """Ask on the terminal; Ctrl-C is an empty answer."""
    try:
        return console.ask(question)
    except KeyboardInterrupt:
        console.say("")
        return ""


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
