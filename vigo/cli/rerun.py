"""`task rerun` and `task rollback`: new tasks that come from an old one and name it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import partial

from vigo.adapters.store_read import Reading
from vigo.cli.console import Console
from vigo.cli.dispatch import Origin, run_task
from vigo.cli.request import Request
from vigo.cli.results import outcomes_of
from vigo.cli.ssh_flags import Reach
from vigo.cli.subject import recorded_subject, rollback_subject
from vigo.cli.wiring import journal_folder
from vigo.core.errors import Exit, UsageError
from vigo.core.events import TaskDispatched, TaskStatus
from vigo.core.model import Outcome
from vigo.core.ranges import fold
from vigo.core.rollout import Run

_NOT_BY_ITSELF = frozenset({Outcome.COMPLETE, Outcome.LOST})
_RAN = (Outcome.COMPLETE, Outcome.FAILED, Outcome.TIMEOUT, Outcome.LOST, Outcome.CANCELLED)


def rerun_task(prefix: str, only: str | None, request: Request, console: Console) -> Exit:
    """Run a task's command again on those of its hosts that ended so. Raises UsageError, NoMatchError."""
    wanted = tuple(o for o in Outcome if o not in _NOT_BY_ITSELF) if only is None else outcomes_of(only)
    task, run, interrupted = _ended(prefix)
    lost = [host for host in run.hosts if run.outcome(host, interrupted=interrupted) is Outcome.LOST]
    if lost and Outcome.LOST not in wanted:
        console.say(
            f"left out, because the command may have run there: {fold(lost)}; "
            f"look with `vigo task status {task} --look`, take them in with --only lost"
        )
    asked = replace(_reached(request, run.dispatched), targets=(_target(task, run, wanted, interrupted=interrupted),))
    return run_task(asked, console, partial(recorded_subject, run.dispatched), Origin(task, "rerun"))


def roll_back(prefix: str, request: Request, console: Console) -> Exit:
    """Run a task's rollback command on the hosts where the task ran. Raises UsageError, NoMatchError."""
    task, run, interrupted = _ended(prefix)
    opening: TaskDispatched = run.dispatched
    if opening.rollback is None:
        raise UsageError(
            f"task {task} was given no --rollback-command; run one with: vigo task run COMMAND --target run:{task}"
        )
    asked = replace(
        _reached(request, opening),
        words=(opening.rollback,),
        targets=(_target(task, run, _RAN, interrupted=interrupted),),
    )
    return run_task(asked, console, partial(rollback_subject, opening), Origin(task, "rollback"))


def _reached(request: Request, opening: TaskDispatched) -> Request:
    """Reach the hosts of an old task as it did: its inventory, and its flags for SSH."""
    old = Reach.recorded(opening.reach)
    login = request.login.again(old)
    return replace(
        request,
        ask_password=login.ask_password,
        ask_passphrase=login.ask_passphrase,
        ask_sudo_password=login.ask_sudo_password,
        user=old.user,
        port=old.port,
        identity=old.identity,
        jump=old.jump,
        ssh_options=old.ssh_options,
        ssh_config=old.ssh_config,
        connect_timeout=old.connect_timeout,
        inventory=request.inventory or opening.inventory or None,
    )


def _ended(prefix: str) -> tuple[str, Run, bool]:
    """Return a task that has run and runs no more, and whether it was interrupted."""
    with Reading(journal_folder()) as journal:
        task, status = journal.observe(journal.find(prefix))
    if task.run is None:
        raise UsageError(f"task {task.id} was {status}: it never ran; run its command anew with vigo task run")
    if status is TaskStatus.RUNNING:
        raise UsageError(f"task {task.id} still runs; wait for its end, or end it with: vigo task cancel {task.id}")
    return task.id, task.run, status is TaskStatus.INTERRUPTED


def _target(task: str, run: Run, wanted: Collection[Outcome], *, interrupted: bool) -> str:
    """Return the target that means the task's hosts that ended so; raises UsageError when there is none."""
    there = run.counts(interrupted=interrupted)
    if not any(there[outcome] for outcome in wanted):
        counts = ", ".join(f"{count} {outcome}" for outcome, count in there.items())
        raise UsageError(f"task {task}: no host of it ended {' or '.join(wanted)}; it has {counts or 'no outcome yet'}")
    return f"run:{task}:{'+'.join(wanted)}"
