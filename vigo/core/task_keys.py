"""The keys of a named task that say how it is rolled out: how each is read, and where in the policy it lands.

One row a key. What depends on params (the command, the health check's URLs and command, the rollback) is read in
`core/tasks.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any, TypeAlias, TypeVar

from vigo.core.chain import INTEGER_MAX
from vigo.core.errors import ConfigError, UsageError
from vigo.core.health import EXIT_CODE_MAX, INTERVAL_LEAST_MS, PORT_MAX, parse_expect
from vigo.core.model import NICE_MAX
from vigo.core.nodes import ListNode, Node, read_bool, read_int, read_list, read_scalar, read_text, shown, wrong
from vigo.core.plan import OnStop, Policy
from vigo.core.privilege import read_user
from vigo.core.quantity import parse_duration_ms, parse_quantities, parse_quantity
from vigo.core.shape import HostOrder
from vigo.core.traits import text
from vigo.core.values import dataclass

_FANOUT_MAX = 100_000
_STOP_AFTER_MAX = 100_000
_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_][A-Za-z0-9_-]*)*")
_T = TypeVar("_T")

Read: TypeAlias = Callable[[Node, str], object]
"""Node and key -> the value; raises ConfigError with the place."""
Settings: TypeAlias = Mapping[str, Any]
"""Path of a field in Policy (`fanout`, `limits.nice`) -> its value. The table below pairs each path with its reader."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A key, its reader, and the field of Policy that it sets."""

    key: str
    read: Read
    path: str


def lay(settings: Settings, policy: Policy) -> Policy:
    """Return the policy with these settings over it."""
    own: dict[str, Any] = {}
    nested: dict[str, dict[str, Any]] = {}
    for path, value in settings.items():
        part, _, name = path.rpartition(".")
        (nested.setdefault(part, {}) if part else own)[name] = value
    return replace(policy, **own, **{part: replace(getattr(policy, part), **new) for part, new in nested.items()})


def parsed(node: Node, parse: Callable[[], _T]) -> _T:
    """Return what `parse` reads from a text; its UsageError becomes a ConfigError with the place."""
    try:
        return parse()
    except UsageError as error:
        raise ConfigError(f"{node.mark}: {error}") from error


def one_or_list(node: Node, key: str) -> tuple[Node, ...]:
    """Return the items of a list that has some, or the one value that stands there instead."""
    if not isinstance(node, ListNode):
        return (node,)
    return _some(node, key)


def _some(node: Node, key: str) -> tuple[Node, ...]:
    items = read_list(node, key)
    if not items:
        raise wrong(node.mark, key, "is an empty list", "leave the key out")
    return items


def _duration(least_ms: int = 1) -> Read:
    return lambda node, key: parsed(
        node, lambda: parse_duration_ms(str(read_scalar(node, key)), flag=key, least_ms=least_ms)
    )


def _number(least: int, most: int) -> Read:
    return lambda node, key: read_int(node, key, least=least, most=most)


def _word_of(words: type[StrEnum]) -> Read:
    def read(node: Node, key: str) -> StrEnum:
        word = read_text(node, key)
        if word not in tuple(words):
            raise wrong(node.mark, key, f"{shown(word)!r} is not known here", f"write {' or '.join(words)}")
        return words(word)

    return read


def _trait(node: Node, key: str) -> str:
    path = read_text(node, key)
    if not _PATH.fullmatch(path):
        raise wrong(node.mark, key, f"{shown(path)!r} is not the path of a trait", "write one such as os.distro")
    return path


def _each_once(node: Node, key: str, read: Callable[[Node], _T]) -> tuple[_T, ...]:
    values: list[_T] = []
    for item in _some(node, key):
        value = read(item)
        if value in values:
            raise wrong(item.mark, key, f"{shown(str(value))!r} is listed twice", "remove it")
        values.append(value)
    return tuple(values)


def _trait_values(node: Node, key: str) -> tuple[str, ...]:
    return _each_once(node, key, lambda item: text(read_scalar(item, key)))


def _exit_codes(node: Node, key: str) -> tuple[int, ...]:
    return _each_once(node, key, lambda item: read_int(item, key, least=0, most=EXIT_CODE_MAX))


def _batch_sizes(node: Node, key: str) -> object:
    return parsed(node, lambda: parse_quantities(str(read_scalar(node, key)), flag=key))


def _budget(node: Node, key: str) -> object:
    return parsed(node, lambda: parse_quantity(str(read_scalar(node, key)), flag=key))


def _expect(node: Node, key: str) -> object:
    return parsed(node, lambda: parse_expect(str(read_scalar(node, key)), flag=key))


SETTINGS = (
    Setting("timeout", _duration(), "limits.timeout_ms"),
    Setting("nice", _number(0, NICE_MAX), "limits.nice"),
    Setting("kill_on_disconnect", read_bool, "limits.kill_on_disconnect"),
    Setting("connect_timeout", _duration(), "connect_timeout_ms"),
    Setting("fanout", _number(1, _FANOUT_MAX), "fanout"),
    Setting("order", _word_of(HostOrder), "shape.order"),
    Setting("seed", _number(0, INTEGER_MAX), "shape.seed"),
    Setting("spread", _trait, "shape.spread"),
    Setting("batch_by", _trait, "shape.batch_by"),
    Setting("batch_order", _trait_values, "shape.batch_order"),
    Setting("batch_size", _batch_sizes, "batch_sizes"),
    Setting("pause", _duration(0), "pause_ms"),
    Setting("stop_after", _number(1, _STOP_AFTER_MAX), "stop_after"),
    Setting("max_failures", _budget, "failures_max"),
    Setting("max_unreachable", _budget, "unreachable_max"),
    Setting("on_stop", _word_of(OnStop), "on_stop"),
    Setting("accept_exit", _exit_codes, "accept_exit"),
    Setting("health_check_tcp", _number(1, PORT_MAX), "gate.tcp_port"),
    Setting("health_check_timeout", _duration(), "gate.timeout_ms"),
    Setting("health_check_interval", _duration(INTERVAL_LEAST_MS), "gate.interval_ms"),
    Setting("health_check_deadline", _duration(0), "gate.deadline_ms"),
    Setting("health_check_stable", _duration(0), "gate.stable_ms"),
    Setting("health_check_expect", _expect, "gate.expect"),
    Setting("health_check_baseline", read_bool, "gate.baseline"),
    Setting("sudo", read_bool, "sudo"),
    Setting("sudo_user", read_user, "sudo_user"),
    Setting("doas", read_bool, "doas"),
)
"""Every key whose value stands for itself."""
