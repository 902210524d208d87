"""Named tasks: what the task file says, read strictly, and which word means which of them.

Everything that can be wrong with a task is found here, when the file is loaded: an undeclared placeholder, one that
stands where no value can, a setting out of bounds. The error names the place; nothing is connected.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from difflib import get_close_matches
from enum import StrEnum
from typing import TypeVar

from vigo.core.command import check
from vigo.core.errors import ConfigError, UsageError
from vigo.core.health import parse_health_url
from vigo.core.model import NICE_MAX
from vigo.core.nodes import (
    MapNode,
    Mark,
    Node,
    read_duration_ms,
    read_int,
    read_scalar,
    read_text,
    refuse_unknown,
    shown,
    wrong,
)
from vigo.core.params import RESERVED_NAMES, ParamSpec, read_params
from vigo.core.placeholders import Misplaced, Slot, Template, fill_url, read_command, read_url
from vigo.core.plan import Policy
from vigo.core.quantity import Quantity, parse_quantities, parse_quantity

TEXT_BYTES_MAX = 65_536
"""Bound on a command in UTF-8, placeholders filled in: with the wrapper round it, it must fit into one argument."""

_KEYS = (
    "description",
    "command",
    "params",
    "target",
    "timeout",
    "batch_size",
    "max_failures",
    "nice",
    "health_check_url",
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NEAREST = 3
_T = TypeVar("_T")


class Meaning(StrEnum):
    """What a word on the command line is taken for."""

    COMMAND = "command"
    TASK = "task"


@dataclass(frozen=True, slots=True)
class NamedTask:
    """A command that the task file gives a name, with its settings; None leaves a setting to the flag or the default."""

    name: str
    mark: Mark
    """Where it is defined."""
    command: Template
    params: tuple[ParamSpec, ...] = ()
    description: str = ""
    target: str | None = None
    """A target expression as written; read where `--target` is read."""
    timeout_ms: int | None = None
    batch_sizes: tuple[Quantity, ...] = ()
    max_failures: Quantity | None = None
    nice: int | None = None
    health_check_url: Template | None = None

    def over(self, defaults: Policy) -> Policy:
        """Return the defaults with this task's settings over them; the health check URL waits for its values."""
        limits = replace(
            defaults.limits,
            timeout_ms=defaults.limits.timeout_ms if self.timeout_ms is None else self.timeout_ms,
            nice=defaults.limits.nice if self.nice is None else self.nice,
        )
        return replace(
            defaults,
            limits=limits,
            batch_sizes=self.batch_sizes or defaults.batch_sizes,
            failures_max=defaults.failures_max if self.max_failures is None else self.max_failures,
        )


def choose(word: str, names: Collection[str], as_: str | None = None) -> Meaning:
    """Say what a word means: a task if it names one, else a command; `as_` (`command` or `task`) decides otherwise.

    Raises UsageError for a task that does not exist, with the nearest names.
    """
    meaning = Meaning(as_) if as_ else Meaning.TASK if word in names else Meaning.COMMAND
    if meaning is Meaning.TASK and word not in names:
        near = get_close_matches(word, names, _NEAREST)
        known = f"did you mean {' or '.join(map(repr, near))}?" if near else _known(names)
        raise UsageError(f"task {shown(word)!r}: there is no such task; {known}")
    return meaning


def read_task(name: str, node: MapNode) -> NamedTask:
    """Read one entry of `tasks`. Raises ConfigError with the place of what is wrong."""
    if not _NAME.fullmatch(name):
        raise wrong(node.mark, name, "is not a task's name", "write letters, digits, `.`, _ and -, at most 64")
    refuse_unknown(node, _KEYS)
    params = read_params(node.get("params"))
    return NamedTask(
        name=name,
        mark=node.mark,
        command=_command(name, node, params),
        params=params,
        description=_optional(node, "description", lambda item, key: read_text(item, key, empty=True)) or "",
        target=_optional(node, "target", read_text),
        timeout_ms=_optional(node, "timeout", read_duration_ms),
        batch_sizes=_optional(node, "batch_size", _batch_sizes) or (),
        max_failures=_optional(node, "max_failures", _max_failures),
        nice=_optional(node, "nice", lambda item, key: read_int(item, key, least=0, most=NICE_MAX)),
        health_check_url=_optional(node, "health_check_url", lambda item, key: _url(item, key, params)),
    )


def _command(name: str, node: MapNode, params: tuple[ParamSpec, ...]) -> Template:
    item = node.get("command")
    if item is None:
        raise wrong(node.mark, name, "has no command", "write command: …")
    text = read_text(item, "command")
    try:
        check(text)
    except UsageError as error:
        raise ConfigError(f"{item.mark}: {error}") from error
    if len(text.encode()) > TEXT_BYTES_MAX:
        raise wrong(item.mark, "command", f"is longer than {TEXT_BYTES_MAX:,} bytes", "run it as a script")
    template = read_command(text)
    if isinstance(template, Misplaced):
        _refuse_undeclared(item.mark, "command", template.name, params)
        raise ConfigError(f"{item.mark}: command: {template}")
    for slot in template.slots:
        _refuse_undeclared(item.mark, "command", slot.name, params)
    return template


def _url(item: Node, key: str, params: tuple[ParamSpec, ...]) -> Template:
    template = read_url(read_text(item, key))
    secrets = [spec.name for spec in params if spec.secret]
    for slot in template.slots:
        _refuse_undeclared(item.mark, key, slot.name, params)
        if slot.name in secrets:
            raise wrong(item.mark, key, f"{{{{ {slot.name} }}}} is secret", "leave it out; URLs are on record")
    try:
        parse_health_url(fill_url(template, dict.fromkeys((slot.name for slot in template.slots), "1")))
    except UsageError as error:
        raise ConfigError(f"{item.mark}: {error}") from error
    return template


def _refuse_undeclared(mark: Mark, key: str, name: str, params: tuple[ParamSpec, ...]) -> None:
    names = [spec.name for spec in params]
    if name in names or Slot(name).is_per_host:
        return
    near = get_close_matches(name, [*names, *RESERVED_NAMES], 1)
    hint = f"did you mean {'trait.PATH' if near[0] == 'trait' else near[0]!r}?" if near else "declare it under params"
    raise wrong(mark, key, f"{{{{ {shown(name)} }}}} is not declared", hint)


def _batch_sizes(item: Node, key: str) -> tuple[Quantity, ...]:
    return _quantities(item, key, lambda text: parse_quantities(text, flag=key))


def _max_failures(item: Node, key: str) -> Quantity:
    return _quantities(item, key, lambda text: parse_quantity(text, flag=key))


def _quantities(item: Node, key: str, parse: Callable[[str], _T]) -> _T:
    try:
        return parse(str(read_scalar(item, key)))
    except UsageError as error:
        raise ConfigError(f"{item.mark}: {error}") from error


def _optional(node: MapNode, key: str, read: Callable[[Node, str], _T]) -> _T | None:
    item = node.get(key)
    return None if item is None else read(item, key)


def _known(names: Collection[str]) -> str:
    return f"known: {', '.join(sorted(names))}" if names else "the inventory has no tasks"
