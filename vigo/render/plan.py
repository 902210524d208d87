"""The dry run: the page's plan on stdout, everything else that was decided on stderr."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from vigo.core.guard import Finding
from vigo.core.plan import Plan
from vigo.core.quantity import format_duration
from vigo.render.sanitize import clean


def dry_run_text(plan: Plan, offline: Collection[str]) -> str:
    """Return the page's batch plan and its summary line."""
    batches = "".join(
        f"  Batch {number}: {', '.join(clean(host.name) for host in batch)}\n"
        for number, batch in enumerate(plan.batches)
    )
    total = f"{len(plan.batches)} batch(es), {plan.total} target(s), {len(offline)} offline\n"
    return f"Dry-run batch plan:\n\n{batches}\n{total}"


def plan_lines(plan: Plan) -> Iterator[str]:
    """Yield the rules of the roll-out as an operator would say them, for stderr."""
    policy, total = plan.policy, plan.total
    yield (
        f"timeout {format_duration(policy.limits.timeout_ms)}, fanout {policy.fanout}"
        + (f", nice {policy.limits.nice}" if policy.limits.nice else "")
    )
    if policy.failures_max is not None:
        yield f"stops at failure {policy.failures_max.of(total) + 1} ({policy.failures_max} of {total} tolerated)"
    if policy.unreachable_max is not None:
        yield f"stops at unreachable host {policy.unreachable_max.of(total) + 1} ({policy.unreachable_max} tolerated)"
    if policy.health_check_url is not None:
        yield f"health check after each batch: {clean(policy.health_check_url)}"


def warning_text(finding: Finding) -> str:
    """Return the reference page's warning, to the letter."""
    return (
        "warning: server-side guardrail blocked this command\n"
        f"  reason:  {clean(finding.reason)}\n"
        f"  pattern: {clean(finding.pattern)}\n"
        "  note:    the agent's hardcoded guardrails still apply on each envoy.\n"
    )
