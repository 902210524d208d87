"""What others are told of a task that has ended or stopped: one JSON object, described in docs/reference/schema/."""

from __future__ import annotations

from typing import Any

from vigo.core.events import TaskStatus
from vigo.core.model import Outcome
from vigo.core.ranges import fold
from vigo.core.rollout import Run
from vigo.render.live import next_commands
from vigo.render.machine import SCHEMA

NAMES_MAX = 4_000
"""Characters of folded names for each outcome; many receivers refuse long messages."""


def notice_json(task: str, run: Run, status: TaskStatus) -> dict[str, Any]:
    """Return the object. The command is the recorded one: secrets stand as `***`."""
    interrupted = status is TaskStatus.INTERRUPTED
    hosts: dict[Outcome, list[str]] = {}
    for host in run.hosts:
        outcome = run.outcome(host, interrupted=interrupted)
        if outcome is not None:
            hosts.setdefault(outcome, []).append(host)
    failed = next((gate for gate in reversed(run.gates) if not gate.passed), None)
    return {
        "schema": SCHEMA,
        "task": task,
        "status": status.value,
        "reason": run.reason,
        "command": run.dispatched.command,
        "target": run.dispatched.target,
        "operator": run.dispatched.operator,
        "parent": run.dispatched.parent,
        "relation": run.dispatched.relation,
        "targets": len(run.hosts),
        "counts": {outcome.value: len(names) for outcome, names in sorted(hosts.items())},
        "hosts": {outcome.value: _folded(names) for outcome, names in sorted(hosts.items())},
        "failed_gate": failed and {"batch": failed.batch, "detail": failed.detail},
        "next": next_commands(task, run, status),
    }


def _folded(names: list[str]) -> str:
    folded = fold(names)
    return folded if len(folded) <= NAMES_MAX else f"{folded[:NAMES_MAX]}…"
