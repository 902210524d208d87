"""`task resume`: lets a paused or interrupted task go on with its own plan, read from the journal.

The command is rendered from the record, never from the task file of today, and must come out the same for every host.
The guards read it again: the hard guard for each host, the dispatch guard where the record has no decision to pass it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from vigo.adapters.locks import RunLock
from vigo.adapters.store import Store
from vigo.adapters.store_audit import refuse_changed
from vigo.adapters.store_open import LOCKS
from vigo.cli.console import Console
from vigo.cli.credentials import fetched
from vigo.cli.descriptors import fit
from vigo.cli.errand import Errand
from vigo.cli.given import with_data
from vigo.cli.holding import Claim, OvertakenError
from vigo.cli.local_file import with_file
from vigo.cli.look import known_hosts, look_at, lost_marks, transport_to
from vigo.cli.notifying import Notices
from vigo.cli.progress import wants_board
from vigo.cli.results import Results
from vigo.cli.ssh_flags import Reach, Wanted
from vigo.cli.subject import secrets_again
from vigo.cli.verdict import Verdict, agrees, decide
from vigo.cli.wiring import journal_folder, load_inventory, login_name, site_policy
from vigo.core import binding
from vigo.core.errors import ConfigError, Exit, UsageError
from vigo.core.events import Record, TaskResumed, TaskStatus
from vigo.core.history import Task
from vigo.core.host_keys import insecure_hosts, insecure_line
from vigo.core.inventory import Inventory
from vigo.core.plan import Plan
from vigo.core.ranges import fold
from vigo.core.rollout import Run
from vigo.core.texts import judged_once, texts_digest
from vigo.core.values import dataclass
from vigo.render.live import next_commands
from vigo.render.remains import remains_text


@dataclass(frozen=True, slots=True)
class Resumption:
    """The flags of `task resume`, unread."""

    task: str
    include_lost: bool = False
    stop_after: int | None = None
    no_wait: bool = False
    force: bool = False
    operator: str | None = None
    inventory: str | None = None
    accept_new_host_keys: bool = False
    ask_password: bool = False
    password_file: str | None = None
    password_fd: int | None = None
    ask_passphrase: bool = False
    passphrase_file: str | None = None
    progress: str = "auto"
    view: str | None = None
    only: str | None = None
    show_hosts: Sequence[str] | None = None
    gather_ignore: Sequence[str] | None = None
    output_dir: str | None = None
    notify_command: str | None = None
    notify_url: str | None = None
    ask_sudo_password: bool = False
    sudo_password_file: str | None = None
    sudo_password_fd: int | None = None
    output: str = "text"

    @property
    def results(self) -> Results:
        """What is shown of the results."""
        return Results(
            self.view, self.only, tuple(self.show_hosts or ()), tuple(self.gather_ignore or ()), self.output_dir
        )

    @property
    def login(self) -> Wanted:
        """Where secrets to log in with come from."""
        return Wanted.of(self)


def resume_task(asked: Resumption, console: Console) -> Exit:
    """Let the task go on. Raises VigoError for whatever is refused before anything starts."""
    asked.login.check()
    asked.results.wish(asked.output)
    notices = Notices.of(asked.notify_command, asked.notify_url)
    wants_board(asked.progress, console)
    with Store(journal_folder()) as store:
        task, status = store.observe(store.find(asked.task))
        run = _resumable(task, status)
        refuse_changed(store, task.id)
        inventory = load_inventory(asked.inventory or run.dispatched.inventory or None, console)
        errand = _errand(run, inventory, asked, console)
        left = [host for host in errand.plan.hosts if host.name not in run.results]
        fitting = fit(errand.plan.policy, len(left), console)
        errand = replace(errand, plan=replace(errand.plan, policy=fitting))
        if unchecked := insecure_hosts(left, errand.overrides):
            console.say(insecure_line(unchecked))
        if not _may_run(run, errand, asked, store, console):
            return Exit.REFUSED
        from vigo.cli.live import carry_out

        claim = Claim(errand.plan.hosts, exclusive=True, no_wait=asked.no_wait, besides=task.id)

        def begin() -> tuple[Run, Record, RunLock]:
            with claim.settled(store, console):
                return _begin(task, asked, store)

        login = asked.login.again(Reach.recorded(run.dispatched.reach))
        with fetched(login, errand, console) as ready:
            _tell_lost(task, status, ready, asked, store, console)
            while True:
                claim.wait(store, console)
                with suppress(OvertakenError):
                    return carry_out(ready, begin, store, console, notices)


def _resumable(task: Task, status: TaskStatus) -> Run:
    if task.run is None or status not in (TaskStatus.PAUSED, TaskStatus.INTERRUPTED):
        hints = {TaskStatus.RUNNING: f"watch it with: vigo task status {task.id}"}
        if task.run is not None and status is not TaskStatus.RUNNING:
            hints[status] = f"next: {next_commands(task.id, task.run, status)[0]}"
        raise UsageError(
            f"task {task.id} cannot be resumed: it is {status}; only a paused or interrupted task can"
            f"{'; ' if status in hints else ''}{hints.get(status, '')}"
        )
    return task.run


def _errand(run: Run, inventory: Inventory, asked: Resumption, console: Console) -> Errand:
    """Make the plan of the record again, with today's ways to reach the hosts, and the same texts as then."""
    opening = run.dispatched
    hosts = {host.name: host for host in known_hosts(run.hosts, inventory)}
    plan = Plan(tuple(tuple(hosts[name] for name in batch) for batch in run.batches), opening.policy)
    secrets, reach = secrets_again(opening, console), Reach.recorded(opening.reach)
    bound = with_data(with_file(binding.from_record(opening, secrets)))
    check = binding.check_from_record(opening, secrets)
    errand = Errand(
        plan,
        {host.name: binding.act(bound, host) for host in plan.hosts},
        {} if check is None else {host.name: binding.render(check, host) for host in plan.hosts},
        asked.accept_new_host_keys,
        asked.output,
        reach.overrides(inventory),
        reach.ssh_config,
        progress=asked.progress,
        results=asked.results,
    )
    if opening.texts_sha256 != texts_digest(errand.texts):
        raise ConfigError(
            f"{inventory.source}: with its traits and addresses of today the command of the task is another one for some"
            " hosts; put them back, or start a new task with `vigo task rerun`"
        )
    return errand


def _may_run(run: Run, errand: Errand, asked: Resumption, store: Store, console: Console) -> bool:
    """Ask the dispatch guard again, unless the record says that its finding was forced."""
    judged = judged_once(errand.all_texts)
    force = asked.force or run.dispatched.forced
    verdict = Verdict.of(judged, errand.plan, site_policy(), force=force, confirm=errand.plan.total)
    return decide(verdict, run.dispatched, store, console) is not None


def _tell_lost(
    task: Task, status: TaskStatus, errand: Errand, asked: Resumption, store: Store, console: Console
) -> None:
    """Say which hosts were in flight, what becomes of them, and offer to look at them first."""
    if task.run is None or not task.run.in_flight:
        return
    names = tuple(task.run.in_flight)
    fate = "they start again" if asked.include_lost else "they are lost and do not start again (--include-lost)"
    console.say(f"in flight when the control process died: {fold(names)}; {fate}")
    if console.can_ask and agrees("Look first whether the command still runs there? [y/N] ", console):
        marks = lost_marks(task, status, store)
        hosts = [host for host in errand.plan.hosts if host.name in names]
        found = look_at(hosts, marks, partial(transport_to, errand), errand.plan.policy.fanout)
        console.say_lines(remains_text(found).rstrip("\n"))
        if not agrees("Resume now? [y/N] ", console):
            raise UsageError(f"task {task.id} was not resumed")


def _begin(task: Task, asked: Resumption, store: Store) -> tuple[Run, Record, RunLock]:
    """Take the task's lock and put the resume on record, if nobody else was faster."""
    lock = RunLock(store.folder / LOCKS, task.id)
    try:
        run = _unchanged(task, store)
        in_flight = tuple(run.in_flight)
        event = TaskResumed(
            asked.operator or login_name(),
            lost=() if asked.include_lost else in_flight,
            again=in_flight if asked.include_lost else (),
            stop_after=asked.stop_after,
        )
        record = store.append(task.id, [event])[0]
    except BaseException:
        lock.release()
        raise
    run.apply(record.event)
    return run, record, lock


def _unchanged(task: Task, store: Store) -> Run:
    now = store.task(task.id)
    if now.last_seq != task.last_seq or now.run is None:
        raise UsageError(f"task {task.id} was resumed by somebody else meanwhile; see: vigo task status {task.id}")
    return now.run
