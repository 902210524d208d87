"""What happens to a task, as facts in the past tense, and their form in the journal.

Events carry no time: the journal stamps `seq` and `at` when it writes. An event that permits an act, or ends one, is
`durable`: it is on disk before the act. Payloads hold strings, integers, booleans, null, lists and maps only (RFC 8785
without floats), so durations are whole milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, ClassVar, TypeAlias

from vigo.core.model import HostResult, Kill, Limits, Outcome, Output, Reason
from vigo.core.plan import Policy
from vigo.core.quantity import Quantity

Payload: TypeAlias = dict[str, Any]
"""JSON values; `Any` ends in the readers below, which know each field."""


class TaskStatus(StrEnum):
    """Where a task stands."""

    RUNNING = "running"
    COMPLETE = "complete"
    """Every host has an outcome, whatever it is."""
    ABORTED = "aborted"
    """Stopped by a budget or a gate."""
    BLOCKED = "blocked"
    """Refused by the dispatch guard; nothing was dispatched."""
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    """The control process died. Never written, always observed: its kernel lock is free."""


@dataclass(frozen=True, slots=True)
class TaskDispatched:
    """The operator's decision, on record before the first connection."""

    kind: ClassVar[str] = "task.dispatch"
    durable: ClassVar[bool] = True

    operator: str
    command: str
    """As it was given: the template, with `***` for secret values."""
    target: str
    """The whole target as one expression."""
    batches: tuple[tuple[str, ...], ...]
    """Host names in plan order."""
    policy: Policy = Policy()
    forced: bool = False
    """Whether a finding of the dispatch guard was passed over; false when there was nothing to force."""
    pattern: str | None = None
    """What was forced."""
    task_name: str | None = None
    """The named task, if it was one."""
    params: tuple[tuple[str, str], ...] = ()
    """Name -> value as text, `***` for secrets."""
    inventory: str = ""
    """Where the inventory was read from."""


@dataclass(frozen=True, slots=True)
class TaskBlocked:
    """The dispatch guard refused and nobody forced it."""

    kind: ClassVar[str] = "task.blocked"
    durable: ClassVar[bool] = True

    operator: str
    command: str
    target: str
    pattern: str
    rule: str
    reason: str
    hosts: tuple[str, ...] = ()
    """The targets, in plan order."""


@dataclass(frozen=True, slots=True)
class HostStarted:
    """From here on something may have happened on the host."""

    kind: ClassVar[str] = "host.started"
    durable: ClassVar[bool] = True

    host: str
    batch: int
    """Index of the batch, from 0."""


@dataclass(frozen=True, slots=True)
class HostFinished:
    """The host's one and only outcome."""

    kind: ClassVar[str] = "host.finished"
    durable: ClassVar[bool] = False

    host: str
    result: HostResult


@dataclass(frozen=True, slots=True)
class GateChecked:
    """The health check after a batch."""

    kind: ClassVar[str] = "gate.checked"
    durable: ClassVar[bool] = False

    batch: int
    passed: bool
    detail: str
    duration_ms: int


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """Nothing more starts; with `now` what runs is killed on its host."""

    kind: ClassVar[str] = "task.cancel"
    durable: ClassVar[bool] = True

    cause: str
    """Who or what asked: `SIGINT`, `SIGTERM`, `SIGHUP`, `operator`."""
    now: bool = False


@dataclass(frozen=True, slots=True)
class TaskFinished:
    """The task's verdict."""

    kind: ClassVar[str] = "task.finished"
    durable: ClassVar[bool] = True

    status: TaskStatus
    reason: str = ""
    """Why it stopped early, with the numbers; empty when it did not."""


@dataclass(frozen=True, slots=True)
class OutputPruned:
    """Kept output was dropped from the journal, on request. It belongs to no task."""

    kind: ClassVar[str] = "output.pruned"
    durable: ClassVar[bool] = True

    operator: str
    before_seq: int
    """Dropped was what no event from this seq on names."""
    outputs: int
    """How many were dropped."""


Event: TypeAlias = (
    TaskDispatched
    | TaskBlocked
    | HostStarted
    | HostFinished
    | GateChecked
    | CancelRequested
    | TaskFinished
    | OutputPruned
)


@dataclass(frozen=True, slots=True)
class Record:
    """An event as it stands in the journal."""

    seq: int
    """Position in the journal over all tasks, from 1, without gaps."""
    at: str
    """UTC, `2026-03-13T12:30:01.042Z`."""
    task: str
    event: Event
    digest: str = field(default="", repr=False)
    """Hex SHA-256 over the previous digest and every stored column."""


def to_payload(event: Event) -> Payload:
    """Return the event's fields as the journal stores them."""
    match event:
        case TaskDispatched():
            return _dispatched_payload(event)
        case HostFinished():
            return {"host": event.host, **_result_payload(event.result)}
        case _:
            return {part.name: _plain(getattr(event, part.name)) for part in fields(event)}


def from_payload(kind: str, payload: Mapping[str, Any]) -> Event:
    """Rebuild an event; the inverse of `to_payload`.

    Raises ValueError, KeyError or TypeError for a payload that `to_payload` cannot have written.
    """
    match kind:
        case TaskDispatched.kind:
            return _read_dispatched(payload)
        case TaskBlocked.kind:
            return TaskBlocked(**{**payload, "hosts": tuple(payload["hosts"])})
        case HostStarted.kind:
            return HostStarted(**payload)
        case HostFinished.kind:
            return HostFinished(payload["host"], _read_result(payload))
        case GateChecked.kind:
            return GateChecked(**payload)
        case CancelRequested.kind:
            return CancelRequested(**payload)
        case TaskFinished.kind:
            return TaskFinished(TaskStatus(payload["status"]), payload["reason"])
        case OutputPruned.kind:
            return OutputPruned(**payload)
        case _:
            raise ValueError(f"unknown kind of event {kind!r}; a newer vigo may have written it")


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _dispatched_payload(event: TaskDispatched) -> Payload:
    return {
        "operator": event.operator,
        "command": event.command,
        "target": event.target,
        "batches": [list(batch) for batch in event.batches],
        "policy": _policy_payload(event.policy),
        "forced": event.forced,
        "pattern": event.pattern,
        "task_name": event.task_name,
        "params": dict(event.params),
        "inventory": event.inventory,
    }


def _read_dispatched(payload: Mapping[str, Any]) -> TaskDispatched:
    return TaskDispatched(
        **{
            **payload,
            "batches": tuple(tuple(batch) for batch in payload["batches"]),
            "policy": _read_policy(payload["policy"]),
            "params": tuple(payload["params"].items()),
        }
    )


def _policy_payload(policy: Policy) -> Payload:
    return {
        "timeout_ms": policy.limits.timeout_ms,
        "grace_ms": policy.limits.grace_ms,
        "nice": policy.limits.nice,
        "kill_on_disconnect": policy.limits.kill_on_disconnect,
        "connect_timeout_ms": policy.connect_timeout_ms,
        "fanout": policy.fanout,
        "batch_sizes": [str(size) for size in policy.batch_sizes],
        "failures_max": _quantity_text(policy.failures_max),
        "unreachable_max": _quantity_text(policy.unreachable_max),
        "health_check_url": policy.health_check_url,
        "health_timeout_ms": policy.health_timeout_ms,
        "kept_bytes": policy.kept_bytes,
    }


def _read_policy(payload: Mapping[str, Any]) -> Policy:
    rest = dict(payload)
    limits = Limits(**{name: rest.pop(name) for name in ("timeout_ms", "grace_ms", "nice", "kill_on_disconnect")})
    rest["batch_sizes"] = tuple(_read_quantity(text) for text in rest["batch_sizes"])
    for name in ("failures_max", "unreachable_max"):
        rest[name] = None if rest[name] is None else _read_quantity(rest[name])
    return Policy(limits=limits, **rest)


def _quantity_text(quantity: Quantity | None) -> str | None:
    return None if quantity is None else str(quantity)


def _read_quantity(text: str) -> Quantity:
    return Quantity(int(text.removesuffix("%")), text.endswith("%"))


def _result_payload(result: HostResult) -> Payload:
    return {
        "outcome": result.outcome.value,
        "duration_ms": result.duration_ms,
        "exit_code": result.exit_code,
        "signal": result.signal,
        "reason": result.reason and result.reason.value,
        "detail": result.detail,
        "kill": result.kill and result.kill.value,
        "kill_pids": list(result.kill_pids),
        "stdout": _output_payload(result.stdout),
        "stderr": _output_payload(result.stderr),
    }


def _read_result(payload: Mapping[str, Any]) -> HostResult:
    return HostResult(
        outcome=Outcome(payload["outcome"]),
        duration_ms=payload["duration_ms"],
        exit_code=payload["exit_code"],
        signal=payload["signal"],
        reason=None if payload["reason"] is None else Reason(payload["reason"]),
        detail=payload["detail"],
        kill=None if payload["kill"] is None else Kill(payload["kill"]),
        kill_pids=tuple(payload["kill_pids"]),
        stdout=_read_output(payload["stdout"]),
        stderr=_read_output(payload["stderr"]),
    )


def _output_payload(output: Output) -> Sequence[int | str] | None:
    if output == Output():
        return None
    return [output.total_bytes, output.sha256, output.kept_bytes, output.kept_sha256, output.head_bytes]


def _read_output(payload: Sequence[Any] | None) -> Output:
    return Output() if payload is None else Output(*payload)
