"""The dry run: the page's plan on stdout, everything else that was decided on stderr."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from vigo.core.events import TaskDispatched
from vigo.core.gate import GatePolicy
from vigo.core.guard import Act, Finding, Text
from vigo.core.payload import to_payload
from vigo.core.plan import OnStop, Plan, Policy
from vigo.core.shape import HostOrder
from vigo.core.texts import each_once
from vigo.render.listing import listed
from vigo.render.machine import SCHEMA
from vigo.render.sanitize import clean
from vigo.render.tables import tsv

_WHENCE: Final = {
    "asked": "asked for on the terminal before anything connects",
    "file": "read from a file",
    "fd": "read from a descriptor",
}


def plan_json(
    plan: Plan,
    texts: Mapping[str, Act],
    offline: Collection[str],
    finding: Finding | None,
    opening: TaskDispatched,
    password: str | None = None,
) -> dict[str, Any]:
    """Return the dry run for machines; `opening` is what would be on record, `password` where sudo's comes from."""
    recorded, privilege = to_payload(opening), plan.policy.privilege
    return {
        "schema": SCHEMA,
        "batches": [[host.name for host in batch] for batch in plan.batches],
        "targets": plan.total,
        "offline": list(offline),
        "commands": {host: text.shown for host, text in texts.items()},
        "task_name": opening.task_name,
        "rights": privilege and {"user": privilege.user, "by": privilege.by, "password": password},
        "given": recorded.get("given"),
        "push": recorded.get("push"),
        "policy": recorded["policy"],
        "finding": finding and {"layer": finding.layer, "rule": finding.rule, "pattern": finding.pattern},
    }


def plan_tsv(plan: Plan, texts: Mapping[str, Act], offline: Collection[str]) -> str:
    """Return one tab-separated line a host, in plan order."""
    gone = frozenset(offline)
    rows = (
        (str(number), host.name, "yes" if host.name in gone else "", texts[host.name].shown)
        for number, batch in enumerate(plan.batches)
        for host in batch
    )
    return tsv(("batch", "host", "offline", "command"), rows)


def dry_run_text(plan: Plan, offline: Collection[str], width: int | None = None) -> str:
    """Return the page's batch plan and its summary line; on a terminal so wide, long batches go on below their first host."""
    batches = "".join(
        f"{listed(f'  Batch {number}: ', [clean(host.name) for host in batch], width)}\n"
        for number, batch in enumerate(plan.batches)
    )
    total = f"{len(plan.batches)} batch(es), {plan.total} target(s), {len(offline)} offline\n"
    return f"Dry-run batch plan:\n\n{batches}\n{total}"


def plan_lines(
    plan: Plan, texts: Mapping[str, Act], task_name: str | None, password: str | None = None
) -> Iterator[str]:
    """Yield what will run and by which rules, as an operator would say it, for stderr. Secrets stand as variables."""
    policy, total = plan.policy, plan.total
    yield f"task {task_name}:" if task_name else "command:"
    distinct = {text.shown for text in each_once(texts.values())}
    for host, text in texts.items():
        yield f"  {text.shown}" if len(distinct) == 1 else f"  {host}: {text.shown}"
        if len(distinct) == 1:
            break
    first = next(iter(texts.values()), None)
    if isinstance(first, Text) and first.given.stdin is not None:
        yield f"standard input: {clean(first.given.stdin.shown)}"
    if isinstance(first, Text) and first.given.has_terminal:
        yield "in a terminal: what it writes to stderr comes with stdout (--pty)"
    if policy.privilege is not None and password is not None:
        yield f"password for {policy.privilege.by}: {_WHENCE[password]}"
    nice = f", nice {policy.limits.nice}" if policy.limits.nice else ""
    yield f"timeout {_plain(policy.limits.timeout_ms)}, at most {policy.fanout} hosts at once{nice}"
    yield from _stop_lines(policy, total)
    yield from _batch_lines(policy, len(plan.batches))


def _stop_lines(policy: Policy, total: int) -> Iterator[str]:
    if policy.failures_max is not None:
        yield f"stops at failure {policy.failures_max.of(total) + 1} (--max-failures {policy.failures_max})"
    if policy.unreachable_max is not None:
        yield f"stops at unreachable host {policy.unreachable_max.of(total) + 1} (--max-unreachable {policy.unreachable_max})"
    if policy.on_stop is OnStop.PAUSE:
        yield "a budget or a gate that stops it leaves it for `task resume` (--on-stop pause)"
    if policy.accept_exit != (0,):
        yield f"exit codes that are no failure: {', '.join(map(str, policy.accept_exit))}"


def _batch_lines(policy: Policy, batches: int) -> Iterator[str]:
    if policy.shape.order is HostOrder.RANDOM:
        yield f"order: random, --seed {policy.shape.seed}"
    if policy.pause_ms:
        yield f"pause between batches: {_plain(policy.pause_ms)}"
    if policy.stop_after is not None and policy.stop_after < batches:
        yield f"stops after {policy.stop_after} of {batches} batches; `task resume` goes on"
    if policy.gate.is_set:
        yield _gate_line(policy.gate)


def _gate_line(gate: GatePolicy) -> str:
    asked = [*gate.urls, *([f"`{gate.command}` on each host"] if gate.command is not None else ())]
    asked += [f"tcp port {gate.tcp_port} of each host"] if gate.tcp_port is not None else []
    waits = f", waits up to {_plain(gate.deadline_ms)}" if gate.deadline_ms else ""
    stable = f", healthy for {_plain(gate.stable_ms)}" if gate.stable_ms else ""
    before = " and before the first" if gate.baseline else ""
    return f"health check after each batch{before}: {'; '.join(asked)}{waits}{stable}"


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
