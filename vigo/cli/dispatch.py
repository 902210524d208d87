"""The way of one `task run`: from the words on the command line to an exit code.

The order is the promise: everything that can be refused is refused before anything is recorded, the decision is on
record before the first connection, and a dry run shows the same plan and the same verdict without either.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TypeAlias

from vigo.adapters.locks import RunLock
from vigo.cli.console import Console
from vigo.cli.descriptors import fit
from vigo.cli.errand import Errand
from vigo.cli.progress import wants_board
from vigo.cli.request import Request
from vigo.cli.selection import select
from vigo.cli.subject import Subject, subject_of
from vigo.cli.verdict import Verdict, decide
from vigo.cli.wiring import journal_folder, load_inventory, login_name, site_policy, transport_for
from vigo.core import binding, command, plan
from vigo.core.errors import Exit, UsageError
from vigo.core.events import Record, TaskDispatched
from vigo.core.host_keys import forwarding_hosts, forwarding_line, insecure_hosts, insecure_line
from vigo.core.inventory import Inventory
from vigo.core.model import Overrides
from vigo.core.plan import Policy
from vigo.core.rollout import Run
from vigo.core.shape import HostOrder
from vigo.core.texts import judged_once, texts_digest
from vigo.core.values import dataclass
from vigo.render.machine import dump
from vigo.render.plan import dry_run_text, plan_json, plan_lines, plan_tsv, warning_text

MakeSubject: TypeAlias = Callable[[Request, Inventory, Console], Subject]
_SEED_BITS = 20
_PREFLIGHT = "true"
"""What a preflight runs in the command's place."""


@dataclass(frozen=True, slots=True)
class Job:
    """A task, decided but for the guard's verdict."""

    request: Request
    errand: Errand
    opening: TaskDispatched
    """What is on record once it is dispatched; `forced` and `pattern` are the guard's to say."""
    verdict: Verdict
    exclusive: bool = False


@dataclass(frozen=True, slots=True)
class Origin:
    """The task that a new one comes from, and how."""

    parent: str | None = None
    relation: str = ""


def run_task(
    request: Request, console: Console, make_subject: MakeSubject = subject_of, origin: Origin | None = None
) -> Exit:
    """Run a command or a named task as the flags ask. Raises VigoError for whatever is refused before it starts."""
    notices = request.notices
    job = prepare(request, console, make_subject, origin or Origin())
    if request.dry_run:
        return _dry_run(job, console)
    from vigo.adapters.store import Store  # only now: a dry run needs no database
    from vigo.cli.holding import Claim, OvertakenError

    with Store(journal_folder()) as store:
        forced = decide(job.verdict, job.opening, store, console)
        if forced is None:
            return Exit.REFUSED
        from vigo.cli.credentials import fetched
        from vigo.cli.live import carry_out

        claim = Claim(job.errand.plan.hosts, exclusive=job.exclusive, no_wait=request.no_wait)
        pattern = job.verdict.finding.pattern if forced and job.verdict.finding is not None else None
        opening = replace(job.opening, forced=forced, pattern=pattern)

        def begin() -> tuple[Run, Record, RunLock]:
            with claim.settled(store, console):
                record, lock = store.dispatch(opening)
            return Run(opening), record, lock

        with fetched(request.login, job.errand, console) as errand:
            while True:
                claim.wait(store, console)
                with suppress(OvertakenError):
                    return carry_out(errand, begin, store, console, notices)


def prepare(
    request: Request, console: Console, make_subject: MakeSubject = subject_of, origin: Origin | None = None
) -> Job:
    """Read the flags, select the hosts, make the texts, ask the dispatch guard and cut the batches."""
    request.login.check()
    wants_board(request.progress, console)
    request.results.wish(request.output)
    if request.dry_run and request.output == "junit":
        raise UsageError("--dry-run: there are no results yet; take --output json for the plan")
    site = site_policy()
    inventory = load_inventory(request.inventory, console)
    subject = make_subject(request, inventory, console)
    policy = _seeded(subject.policy)
    target, hosts = select(request, subject.target, policy.shape, inventory, site, console)
    overrides = request.reach.overrides(inventory)
    if unchecked := insecure_hosts(hosts, overrides):
        console.say(insecure_line(unchecked))
    if forwarding := forwarding_hosts(hosts):
        console.say(forwarding_line(forwarding))
    if policy.privilege is not None:
        console.say(f"runs as {policy.privilege}")
    policy = fit(policy, len(hosts), console)
    made = plan.make(hosts, policy)
    errand = _errand(subject, made, request, overrides)
    origin = origin or Origin()
    opening = TaskDispatched(
        operator=request.operator or login_name(),
        command=subject.bound.shown,
        target=target,
        batches=tuple(tuple(host.name for host in batch) for batch in made.batches),
        policy=policy,
        task_name=subject.task_name,
        params=subject.bound.params,
        secret_params=subject.bound.secret_params,
        inventory=inventory.source,
        expand=subject.expand,
        rollback=subject.rollback,
        parent=origin.parent,
        relation=origin.relation,
        reach=request.reach.record(),
        texts_sha256=texts_digest(errand.texts),
        push=subject.bound.push,
        given=subject.bound.given,
    )
    judged = judged_once([*errand.all_texts, *subject.rollback_texts(inventory, hosts, console)])
    verdict = Verdict.of(judged, made, site, force=request.force, confirm=request.confirm)
    if request.preflight:
        opening, errand = _preflight(opening, errand, console)
    return Job(request, errand, opening, verdict, exclusive=request.exclusive or subject.exclusive)


def _errand(subject: Subject, made: plan.Plan, request: Request, overrides: Overrides) -> Errand:
    texts = {host.name: binding.act(subject.bound, host) for host in made.hosts}
    check = subject.check
    checks = {} if check is None else {host.name: binding.render(check, host) for host in made.hosts}
    errand = Errand(
        made,
        texts,
        checks,
        request.accept_new_host_keys,
        request.output,
        overrides,
        request.ssh_config,
        progress=request.progress,
        results=request.results,
    )
    for wire in {text.wire for text in errand.all_texts}:
        command.check(wire)
    for url in made.policy.gate.urls:
        for host in made.hosts if binding.is_per_host(url) else ():
            binding.url_for(url, host)
    return errand


def _seeded(policy: Policy) -> Policy:
    """Draw the seed of a random order that was given none, so that it is on record."""
    if policy.shape.order is not HostOrder.RANDOM or policy.shape.seed is not None:
        return policy
    return replace(policy, shape=replace(policy.shape, seed=secrets.randbits(_SEED_BITS)))


def _preflight(opening: TaskDispatched, errand: Errand, console: Console) -> tuple[TaskDispatched, Errand]:
    """Put a command that does nothing in the place of the task's: all that comes before it is tried."""
    console.say(f"preflight: connects, logs in, tries shell and wrapper with `{_PREFLIGHT}`; the command does not run")
    old = opening.policy
    policy = Policy(limits=old.limits, connect_timeout_ms=old.connect_timeout_ms, fanout=old.fanout)
    made = plan.make(errand.plan.hosts, policy)
    text = binding.adhoc(_PREFLIGHT)
    tried = Errand(
        made,
        {host.name: binding.render(text, host) for host in made.hosts},
        accept_new_host_keys=errand.accept_new_host_keys,
        output=errand.output,
        overrides=errand.overrides,
        ssh_config=errand.ssh_config,
        progress=errand.progress,
        results=errand.results,
    )
    batches = tuple(tuple(host.name for host in batch) for batch in made.batches)
    return TaskDispatched(
        opening.operator,
        _PREFLIGHT,
        opening.target,
        batches,
        policy,
        inventory=opening.inventory,
        reach=opening.reach,
    ), tried


def _dry_run(job: Job, console: Console) -> Exit:
    """Show the plan that would run, and the verdicts on it; ask nothing, record nothing."""
    errand, verdict = job.errand, job.verdict
    password = job.request.login.sudo_password_from
    for line in plan_lines(errand.plan, errand.texts, job.opening.task_name, password):
        console.say(line)
    offline = () if job.request.no_probe else _offline(errand, console)
    finding = verdict.finding or verdict.too_many
    match errand.output:
        case "text":
            console.show(dry_run_text(errand.plan, offline, console.columns))
        case "tsv":
            console.show(plan_tsv(errand.plan, errand.texts, offline))
        case _:
            console.show(dump(plan_json(errand.plan, errand.texts, offline, finding, job.opening, password)))
    console.out.flush()
    if verdict.finding is None:
        console.say("guard: nothing found")
    else:
        console.err.write(warning_text(verdict.finding))
    for finding in (verdict.too_many, verdict.unconfirmed):
        if finding is not None:
            console.say(f"{finding.pattern}: {finding.reason}")
    return Exit.REFUSED if verdict.refuses_dry_run else Exit.OK


def _offline(errand: Errand, console: Console) -> tuple[str, ...]:
    import asyncio

    from vigo.adapters.probe import closed_ports

    policy, hosts = errand.plan.policy, errand.plan.hosts
    transport = transport_for(policy, overrides=errand.overrides, ssh_config=errand.ssh_config)
    places = {host.name: transport.destination(host) for host in hosts}
    stops = {host.name: transport.first_stop(host) for host in hosts}
    beyond = [name for name, place in places.items() if place is not None and place != stops[name]]
    open_ended = [name for name in beyond if stops[name] is None]
    closed = asyncio.run(closed_ports({name: stop for name, stop in stops.items() if stop is not None}))
    offline = tuple(name for name, place in places.items() if place is None or name in closed)
    for remark in transport.remarks:
        console.say(remark)
    if offline:
        console.say(f"offline: {', '.join(offline)}")
    if beyond:
        unasked = f", and {len(open_ended)} behind a program not at all" if open_ended else ""
        console.say(f"{len(beyond)} behind a jump host were probed as far as the first hop{unasked}")
    return offline
