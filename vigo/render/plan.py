"""The dry run: the page's plan on stdout, everything else that was decided on stderr."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from vigo.core.guard import Finding, Text
from vigo.core.plan import Plan
from vigo.render.machine import SCHEMA
from vigo.render.sanitize import clean


def plan_json(
    plan: Plan, texts: Mapping[str, Text], offline: Collection[str], finding: Finding | None
) -> dict[str, Any]:
    """Return the dry run for machines."""
    return {
        "schema": SCHEMA,
        "batches": [[host.name for host in batch] for batch in plan.batches],
        "targets": plan.total,
        "offline": list(offline),
        "commands": {host: text.wire for host, text in texts.items()},
        "finding": finding and {"layer": finding.layer, "rule": finding.rule, "pattern": finding.pattern},
    }


def dry_run_text(plan: Plan, offline: Collection[str]) -> str:
    """Return the page's batch plan and its summary line."""
    batches = "".join(
        f"  Batch {number}: {', '.join(clean(host.name) for host in batch)}\n"
        for number, batch in enumerate(plan.batches)
    )
    total = f"{len(plan.batches)} batch(es), {plan.total} target(s), {len(offline)} offline\n"
    return f"Dry-run batch plan:\n\n{batches}\n{total}"


def plan_lines(plan: Plan, texts: Mapping[str, Text], task_name: str | None) -> Iterator[str]:
    """Yield what will run and by which rules, as an operator would say it, for stderr. Secrets stand as variables."""
    policy, total = plan.policy, plan.total
    yield f"task {task_name}:" if task_name else "command:"
    distinct = {text.wire for text in texts.values()}
    for host, text in texts.items():
        yield f"  {text.wire}" if len(distinct) == 1 else f"  {host}: {text.wire}"
        if len(distinct) == 1:
            break
    nice = f", nice {policy.limits.nice}" if policy.limits.nice else ""
    yield f"timeout {_plain(policy.limits.timeout_ms)}, at most {policy.fanout} hosts at once{nice}"
    if policy.failures_max is not None:
        yield f"stops at failure {policy.failures_max.of(total) + 1} (--max-failures {policy.failures_max})"
    if policy.unreachable_max is not None:
        yield f"stops at unreachable host {policy.unreachable_max.of(total) + 1} (--max-unreachable {policy.unreachable_max})"
    if policy.health_check_url is not None:
        yield f"health check after each batch: {policy.health_check_url}"


def _plain(duration_ms: int) -> str:
    return f"{duration_ms / 1000:g}s"


def warning_text(finding: Finding) -> str:
    """Return the reference page's warning, to the letter."""
    return (
        "warning: server-side guardrail blocked this command\n"
        f"  reason:  {clean(finding.reason)}\n"
        f"  pattern: {clean(finding.pattern)}\n"
        "  note:    the agent's hardcoded guardrails still apply on each envoy.\n"
    )
