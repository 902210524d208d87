"""What `task run` was asked for: the flags as typed, and their reading into a policy.

Precedence of each setting: flag, then the named task's own value, then the default.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from vigo.core.errors import UsageError
from vigo.core.health import parse_health_url
from vigo.core.model import NICE_MAX, Limits
from vigo.core.plan import Policy
from vigo.core.quantity import Quantity, parse_duration_ms, parse_quantities, parse_quantity

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Request:
    """The flags of `task run`, unread; None and empty mean "not given"."""

    words: tuple[str, ...]
    targets: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    target_files: tuple[str, ...] = ()
    limit: str | None = None
    seed: int | None = None
    timeout: str | None = None
    operator: str | None = None
    batch_size: str | None = None
    max_failures: str | None = None
    max_unreachable: str | None = None
    health_check_url: str | None = None
    nice: int | None = None
    fanout: int | None = None
    connect_timeout: str | None = None
    dry_run: bool = False
    no_probe: bool = False
    force: bool = False
    confirm: int | None = None
    params: tuple[str, ...] = ()
    as_kind: str | None = None
    expand: bool = False
    inventory: str | None = None
    accept_new_host_keys: bool = False
    output: str = "text"


def policy_of(request: Request, defaults: Policy) -> Policy:
    """Read the flags over `defaults` (a named task's settings, or the plain defaults). Raises UsageError."""
    limits = Limits(
        timeout_ms=_given(
            request.timeout, lambda t: parse_duration_ms(t, flag="--timeout"), defaults.limits.timeout_ms
        ),
        grace_ms=defaults.limits.grace_ms,
        nice=_given(request.nice, _nice, defaults.limits.nice),
    )
    return replace(
        defaults,
        limits=limits,
        connect_timeout_ms=_given(
            request.connect_timeout,
            lambda t: parse_duration_ms(t, flag="--connect-timeout"),
            defaults.connect_timeout_ms,
        ),
        fanout=_given(request.fanout, _fanout, defaults.fanout),
        batch_sizes=_given(
            request.batch_size, lambda t: parse_quantities(t, flag="--batch-size"), defaults.batch_sizes
        ),
        failures_max=_budget(request.max_failures, "--max-failures", defaults.failures_max),
        unreachable_max=_budget(request.max_unreachable, "--max-unreachable", defaults.unreachable_max),
        health_check_url=_given(request.health_check_url, _health_url, defaults.health_check_url),
    )


def command_of(words: tuple[str, ...]) -> str:
    """Return the one word that names a task or is a command. Raises UsageError when the shell split it."""
    if len(words) > 1:
        raise UsageError(f"{' '.join(words)!r} came as {len(words)} words; quote the command so that it is one")
    return words[0]


def _given(value: object, read: Callable[..., _T], default: _T) -> _T:
    return default if value is None else read(value)


def _budget(text: str | None, flag: str, default: Quantity | None) -> Quantity | None:
    return default if text is None else parse_quantity(text, flag=flag)


def _nice(value: int) -> int:
    if not 0 <= value <= NICE_MAX:
        raise UsageError(f"--nice: {value} is out of range; write 0 (normal) to {NICE_MAX} (lowest)")
    return value


def _fanout(value: int) -> int:
    if value < 1:
        raise UsageError(f"--fanout: {value} is too small; at least one host must run at a time")
    return value


def _health_url(text: str) -> str:
    parse_health_url(text)
    return text
