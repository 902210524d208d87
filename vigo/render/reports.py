"""`task status` and `task list`: the reference page's forms, and the same facts for machines.

Text shows local time, JSON shows UTC. Each JSON object says `"schema": 1`.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from vigo.core.events import TaskStatus
from vigo.core.history import Task, TaskSummary
from vigo.core.model import HostResult, Outcome, Output
from vigo.core.rollout import Run
from vigo.render.blocks import Kept
from vigo.render.machine import SCHEMA
from vigo.render.sanitize import clean
from vigo.render.tables import columns, tsv
from vigo.render.views import WHOLE, Wish, shown

_COMMAND_MAX = 15
_LIST_HEADER = ("ID", "COMMAND", "TARGET", "STATUS", "TARGETS", "CREATED")
_LIST_WIDTHS = (12, 19, 12, 11, 9)
_HOST_HEADER = ("host", "outcome", "exit", "signal", "duration_ms", "reason", "stdout_bytes", "stderr_bytes")


def local_time(at: str | None) -> str:
    """Show a journal time in the operator's zone, to the minute; `-` where there is none."""
    return "-" if at is None else f"{datetime.fromisoformat(at).astimezone():%Y-%m-%d %H:%M}"


def status_text(task: Task, status: TaskStatus, kept: Kept, wish: Wish = WHOLE) -> Iterator[str]:
    """Yield the page's status form: the task's facts, an empty line, then the results as they are wished for."""
    facts = (
        ("Task", task.id),
        ("Command", task.request.command),
        ("Target", task.request.target),
        ("Operator", task.request.operator),
        ("Status", status),
        ("Targets", str(len(task.hosts))),
        ("Created", local_time(task.created_at)),
        ("Started", local_time(task.started_at)),
        ("Finished", local_time(task.finished_at)),
    )
    yield "".join(f"{name + ':':<10}{clean(value)}\n" for name, value in facts)
    if task.run is not None:
        yield "\n"
        yield from shown(task.run, kept, wish, task.run.hosts, interrupted=status is TaskStatus.INTERRUPTED)


def list_text(tasks: Iterable[TaskSummary], *, cut: bool) -> str:
    """Return the page's list; with `cut` a long command is cut to 15 characters and `...`."""
    rows = (
        (t.id, _cut(t.command) if cut else t.command, t.target, t.status_word, str(t.targets), local_time(t.created_at))
        for t in tasks
    )
    return columns(_LIST_HEADER, rows, _LIST_WIDTHS)


def _cut(command: str) -> str:
    line = command.split("\n", 1)[0]
    return command if len(command) <= _COMMAND_MAX and line == command else f"{line[:_COMMAND_MAX]}..."


def list_tsv(tasks: Iterable[TaskSummary]) -> str:
    """Return the list as tab-separated values, times in UTC."""
    header = [name.lower() for name in _LIST_HEADER]
    return tsv(header, ((t.id, t.command, t.target, t.status_word, str(t.targets), t.created_at) for t in tasks))


def summary_json(task: TaskSummary) -> dict[str, Any]:
    """Return one line of the list for machines."""
    return {
        "schema": SCHEMA,
        "id": task.id,
        "command": task.command,
        "target": task.target,
        "operator": task.operator,
        "status": task.status_word,
        "targets": task.targets,
        "created_at": task.created_at,
        "finished_at": task.finished_at,
    }


def task_json(task: Task, status: TaskStatus, kept: Kept) -> dict[str, Any]:
    """Return a task with its hosts for machines."""
    blocked, run = task.blocked, task.run
    return {
        "schema": SCHEMA,
        "id": task.id,
        "command": task.request.command,
        "target": task.request.target,
        "operator": task.request.operator,
        "status": status.value,
        "reason": blocked.reason if blocked else run.reason if run else "",
        "pattern": task.request.pattern,
        "forced": False if run is None else run.dispatched.forced,
        "parent": run and run.dispatched.parent,
        "relation": run.dispatched.relation if run else "",
        "targets": len(task.hosts),
        "created_at": task.created_at,
        "started_at": task.started_at,
        "finished_at": task.finished_at,
        "gates": [] if run is None else [_gate_json(run, i) for i in range(len(run.gates))],
        "hosts": [] if run is None else list(hosts_json(run, status, kept)),
    }


def _gate_json(run: Run, index: int) -> dict[str, Any]:
    gate = run.gates[index]
    return {"batch": gate.batch, "passed": gate.passed, "detail": gate.detail, "duration_ms": gate.duration_ms}


def hosts_json(run: Run, status: TaskStatus, kept: Kept) -> Iterator[dict[str, Any]]:
    """Yield one object a host, in plan order; `outcome` is null while it has none."""
    interrupted = status is TaskStatus.INTERRUPTED
    for number, batch in enumerate(run.batches):
        for host in batch:
            outcome = run.outcome(host, interrupted=interrupted)
            result = run.results.get(host) or HostResult(outcome or Outcome.SKIPPED)
            yield {
                "schema": SCHEMA,
                "host": host,
                "batch": number,
                "outcome": outcome,
                "exit_code": result.exit_code,
                "signal": result.signal,
                "duration_ms": result.duration_ms,
                "reason": result.reason,
                "detail": result.detail,
                "kill": result.kill,
                "kill_pids": list(result.kill_pids),
                "stdout": output_json(result.stdout, kept),
                "stderr": output_json(result.stderr, kept),
            }


def output_json(output: Output, kept: Kept) -> dict[str, Any]:
    """Return what is known of a stream: UTF-8 as `text`, anything else as `base64`, both null once pruned."""
    data = b"" if output.total_bytes == 0 else kept(output.kept_sha256)
    form: dict[str, str | None] = {"text": None, "base64": None}
    if data is not None:
        try:
            form["text"] = data.decode()
        except UnicodeDecodeError:
            form["base64"] = base64.b64encode(data).decode()
    return {
        "bytes": output.total_bytes,
        "sha256": output.sha256,
        "truncated": output.is_cut,
        "head_bytes": output.head_bytes,
        **form,
    }


def hosts_tsv(run: Run, status: TaskStatus) -> str:
    """Return one tab-separated line a host, in plan order."""
    return tsv(_HOST_HEADER, _host_rows(run, status))


def _host_rows(run: Run, status: TaskStatus) -> Iterator[Sequence[str]]:
    for host in run.hosts:
        outcome = run.outcome(host, interrupted=status is TaskStatus.INTERRUPTED)
        result = run.results.get(host) or HostResult(outcome or Outcome.SKIPPED)
        exit_code = "" if result.exit_code is None else str(result.exit_code)
        yield (
            host,
            outcome or ("running" if host in run.in_flight else "pending"),
            exit_code,
            result.signal or "",
            str(result.duration_ms),
            result.reason or "",
            str(result.stdout.total_bytes),
            str(result.stderr.total_bytes),
        )
