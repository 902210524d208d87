"""`task status` and `task list`: readings of the journal. Neither SSH nor an event loop comes near this path."""

from __future__ import annotations

from vigo.adapters.store_read import Reading
from vigo.cli.console import Console
from vigo.cli.wiring import journal_folder
from vigo.core.errors import Exit, NoMatchError
from vigo.core.events import TaskStatus
from vigo.core.history import Task
from vigo.render import reports
from vigo.render.jsonl import event_json
from vigo.render.live import next_commands
from vigo.render.machine import SCHEMA, dump
from vigo.render.views import WHOLE, Wish

TEXT = "text"


def show_status(prefix: str | None, form: str, console: Console, wish: Wish) -> Exit:
    """Show one task: the one whose id begins with `prefix`, or the last one."""
    with Reading(journal_folder()) as store:
        task, status = store.observe(find_task(prefix, store))
        show_task(task, status, form, store, console, wish)
    return Exit.OK


def find_task(prefix: str | None, store: Reading) -> str:
    """Return the id that begins with `prefix`, or the last task's. Raises NoMatchError when there is none."""
    task = store.last() if prefix is None else store.find(prefix)
    if task is None:
        raise NoMatchError("there are no tasks yet; start one with `vigo task run COMMAND --target TARGET`")
    return task


def show_list(limit: int, form: str, console: Console) -> Exit:
    """Show the last `limit` tasks, newest first."""
    with Reading(journal_folder()) as store:
        tasks = store.tasks(limit)
    match form:
        case "json":
            console.show(dump({"schema": SCHEMA, "tasks": list(map(reports.summary_json, tasks))}))
        case "jsonl":
            console.show("".join(map(dump, map(reports.summary_json, tasks))))
        case "tsv":
            console.show(reports.list_tsv(tasks))
        case _:
            console.show(reports.list_text(tasks, cut=console.out.isatty()))
    return Exit.OK


def show_task(task: Task, status: TaskStatus, form: str, store: Reading, console: Console, wish: Wish = WHOLE) -> None:
    """Show one task in the asked form."""
    run = task.run
    match form:
        case "json":
            console.show(dump(reports.task_json(task, status, store.kept)))
        case "jsonl":
            console.out.writelines(dump(event_json(record, store.kept)) for record in store.records(task.id))
        case "junit":
            from vigo.render.junit import junit

            console.show(junit(task, status, store.kept))
        case "tsv":
            console.show("" if run is None else reports.hosts_tsv(run, status))
        case _:
            console.out.writelines(reports.status_text(task, status, store.kept, wish))
            console.out.flush()
            _explain(task, status, console)


def _explain(task: Task, status: TaskStatus, console: Console) -> None:
    """Say on stderr what the page's form has no line for."""
    if task.blocked is not None:
        console.say(f"blocked: {task.blocked.reason}: {task.blocked.pattern}")
    elif status is TaskStatus.INTERRUPTED:
        console.say(
            "interrupted: the control process ended without a verdict (it died, or its journal failed); "
            "what was in flight then is lost: its outcome is unknown"
        )
    elif task.run is not None and task.run.reason:
        console.say(f"{status}: {task.run.reason}")
    if task.run is not None and status is not TaskStatus.COMPLETE:
        for command in next_commands(task.id, task.run, status)[:-1]:
            console.say(f"next: {command}")
