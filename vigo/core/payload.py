"""The form of events in the journal: JSON maps, and back.

Payloads hold strings, integers, booleans, null, lists and maps only (RFC 8785 without floats), so durations are whole
milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from enum import StrEnum
from typing import Any, TypeAlias

from vigo.core.events import (
    CancelRequested,
    Event,
    GateChecked,
    GateOpened,
    GateProbed,
    HostFinished,
    HostStarted,
    OutputPruned,
    PauseEnded,
    TaskBlocked,
    TaskDispatched,
    TaskFinished,
    TaskPaused,
    TaskResumed,
    TaskStatus,
)
from vigo.core.gate import GatePolicy
from vigo.core.given import Given, Input, Script, Shell
from vigo.core.model import HostResult, Kill, Limits, Outcome, Output, Reason
from vigo.core.plan import OnStop, Policy
from vigo.core.push import Push
from vigo.core.quantity import Quantity
from vigo.core.shape import HostOrder, Shape

Payload: TypeAlias = dict[str, Any]
"""JSON values; `Any` ends in the readers below, which know each field."""


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
        case HostFinished.kind:
            return HostFinished(payload["host"], _read_result(payload))
        case TaskFinished.kind:
            return TaskFinished(TaskStatus(payload["status"]), payload["reason"])
        case _ if kind in _PLAIN:
            plain: Callable[..., Event] = _PLAIN[kind]
            return plain(**_frozen_fields(payload))
        case _:
            raise ValueError(f"unknown kind of event {kind!r}; a newer vigo may have written it")


_PLAIN: Mapping[str, type[Event]] = {
    event.kind: event
    for event in (
        TaskBlocked,
        HostStarted,
        GateOpened,
        GateProbed,
        GateChecked,
        PauseEnded,
        CancelRequested,
        TaskPaused,
        TaskResumed,
        OutputPruned,
    )
}
"""Events whose fields are JSON values, or tuples of them."""


def _frozen_fields(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields with tuples for lists. Indexed and never asked for `items`: a list is a TypeError then."""
    return {name: tuple(payload[name]) if isinstance(payload[name], list) else payload[name] for name in payload}


def _plain(value: object) -> object:
    match value:
        case tuple():
            return [_plain(item) for item in value]
        case StrEnum():
            return value.value
        case _:
            return value


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
        "expand": event.expand,
        "rollback": event.rollback,
        "parent": event.parent,
        "relation": event.relation,
        "reach": [list(pair) for pair in event.reach],
        "texts_sha256": event.texts_sha256,
        "secret_params": list(event.secret_params),
        **({} if event.push is None else {"push": _plain_fields(event.push)}),
        **({} if event.given == Given() else {"given": _given_payload(event.given)}),
    }


def _plain_fields(value: Push | Script | Input) -> Payload:
    return {part.name: _plain(getattr(value, part.name)) for part in fields(value)}


def _given_payload(given: Given) -> Payload:
    return {
        "env": [list(pair) for pair in given.env],
        "shell": given.shell and given.shell.value,
        "script": given.script and _plain_fields(given.script),
        "stdin": given.stdin and _plain_fields(given.stdin),
        **({"has_terminal": True} if given.has_terminal else {}),
    }


def _read_given(payload: Mapping[str, Any]) -> Given:
    shell, script, stdin = payload["shell"], payload["script"], payload["stdin"]
    return Given(
        env=tuple(tuple(pair) for pair in payload["env"]),
        shell=None if shell is None else Shell(shell),
        script=None if script is None else Script(**_frozen_fields(script)),
        stdin=None if stdin is None else Input(**stdin),
        has_terminal=payload.get("has_terminal", False),
    )


def _read_dispatched(payload: Mapping[str, Any]) -> TaskDispatched:
    return TaskDispatched(
        **{
            **payload,
            "batches": tuple(tuple(batch) for batch in payload["batches"]),
            "policy": _read_policy(payload["policy"]),
            "params": tuple((name, payload["params"][name]) for name in payload["params"]),
            "secret_params": tuple(payload["secret_params"]),
            "reach": tuple(tuple(pair) for pair in payload["reach"]),
            "push": Push(**payload["push"]) if "push" in payload else None,
            "given": _read_given(payload["given"]) if "given" in payload else Given(),
        }
    )


_LIMITS = tuple(part.name for part in fields(Limits))
_NESTED = ("limits", "shape", "gate")


def _policy_payload(policy: Policy) -> Payload:
    own = {part.name: getattr(policy, part.name) for part in fields(policy) if part.name not in _NESTED}
    return {
        **own,
        **{name: getattr(policy.limits, name) for name in _LIMITS},
        "batch_sizes": [str(size) for size in policy.batch_sizes],
        "failures_max": _quantity_text(policy.failures_max),
        "unreachable_max": _quantity_text(policy.unreachable_max),
        "on_stop": policy.on_stop.value,
        "accept_exit": list(policy.accept_exit),
        "shape": {part.name: _plain(getattr(policy.shape, part.name)) for part in fields(Shape)},
        "gate": {part.name: _plain(getattr(policy.gate, part.name)) for part in fields(GatePolicy)},
    }


def _read_policy(payload: Mapping[str, Any]) -> Policy:
    rest = dict(payload)
    limits = Limits(**{name: rest.pop(name) for name in _LIMITS})
    rest["batch_sizes"] = tuple(_read_quantity(text) for text in rest["batch_sizes"])
    for name in ("failures_max", "unreachable_max"):
        rest[name] = None if rest[name] is None else _read_quantity(rest[name])
    rest["on_stop"] = OnStop(rest["on_stop"])
    rest["accept_exit"] = tuple(rest["accept_exit"])
    shape, gate = _frozen_fields(rest.pop("shape")), _frozen_fields(rest.pop("gate"))
    gate["expect"] = tuple(tuple(pair) for pair in gate["expect"])
    return Policy(
        limits=limits, shape=Shape(**{**shape, "order": HostOrder(shape["order"])}), gate=GatePolicy(**gate), **rest
    )


def _quantity_text(quantity: Quantity | None) -> str | None:
    return None if quantity is None else str(quantity)


def _read_quantity(text: object) -> Quantity:
    if not isinstance(text, str):
        raise TypeError(f"{text!r} is no quantity")
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
