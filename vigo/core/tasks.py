"""Named tasks: what the task file says, read strictly, and which word means which of them.

Everything that can be wrong with a task is found here, when the file is loaded: an undeclared placeholder, one that
stands where no value can, a setting out of bounds. The error names the place; nothing is connected.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import field
from difflib import get_close_matches
from enum import StrEnum
from typing import TypeVar

from vigo.core.command import check
from vigo.core.errors import ConfigError, UsageError
from vigo.core.given import check_env
from vigo.core.health import check_gate, parse_health_url
from vigo.core.nodes import (
    MapNode,
    Mark,
    Node,
    read_bool,
    read_map,
    read_scalar,
    read_text,
    refuse_unknown,
    shown,
    wrong,
)
from vigo.core.params import RESERVED_NAMES, ParamSpec, read_params
from vigo.core.placeholders import Misplaced, Slot, Template, fault_of_url, fill_url, read_command, read_url
from vigo.core.plan import Policy
from vigo.core.task_keys import SETTINGS, Settings, lay, one_or_list, parsed
from vigo.core.traits import text as text_of
from vigo.core.values import dataclass

TEXT_BYTES_MAX = 65_536
"""Bound on a command in UTF-8, placeholders filled in: it is one argument to its shell (`command.EXEC_BYTES_MAX`)."""

_KEYS = (
    "description",
    "command",
    "env",
    "params",
    "target",
    *(setting.key for setting in SETTINGS),
    "health_check_url",
    "health_check_command",
    "rollback_command",
    "exclusive",
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
    """A command that the task file gives a name, with its settings; what is not set is the flag's or the default's."""

    name: str
    mark: Mark
    """Where it is defined."""
    command: Template
    params: tuple[ParamSpec, ...] = ()
    description: str = ""
    target: str | None = None
    """A target expression as written; read where `--target` is read."""
    settings: Settings = field(default_factory=dict)
    """What its keys set in the policy; the health check's URLs and command as they are written."""
    health_check_urls: tuple[Template, ...] = ()
    health_check_command: Template | None = None
    rollback: str | None = None
    """A command with the task's placeholders, or the name of another task."""
    env: tuple[tuple[str, str], ...] = ()
    """Variables for its commands; the task's placeholders may stand in the values."""
    exclusive: bool = False
    """Whether it waits for tasks that hold one of its hosts."""

    def over(self, defaults: Policy) -> Policy:
        """Return the defaults with this task's settings over them.

        The gate's URLs and command are there as they are written: `binding.urls` gives URLs their values, and the
        command gets them where it is rendered.
        """
        return lay(self.settings, defaults)


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
    if node.get("command") is None:
        raise wrong(node.mark, name, "has no command", "write command: …")
    params = read_params(node.get("params"))
    commands = {
        key: _read_command(item, key, params)
        for key in ("command", "health_check_command", "rollback_command")
        if (item := node.get(key)) is not None
    }
    urls = _optional(node, "health_check_url", lambda item, key: _read_urls(item, key, params)) or ()
    check_command, rollback = commands.get("health_check_command"), commands.get("rollback_command")
    return NamedTask(
        name=name,
        mark=node.mark,
        command=commands["command"],
        params=params,
        description=_optional(node, "description", lambda item, key: read_text(item, key, empty=True)) or "",
        target=_optional(node, "target", read_text),
        settings=_read_settings(node, urls, check_command),
        health_check_urls=urls,
        health_check_command=check_command,
        env=_optional(node, "env", lambda item, key: _read_env(item, key, params)) or (),
        rollback=None if rollback is None else rollback.text,
        exclusive=_optional(node, "exclusive", read_bool) or False,
    )


def _read_settings(node: MapNode, urls: tuple[Template, ...], check_command: Template | None) -> Settings:
    settings = {
        setting.path: setting.read(item, setting.key)
        for setting in SETTINGS
        if (item := node.get(setting.key)) is not None
    }
    if urls:
        settings["gate.urls"] = tuple(url.text for url in urls)
    if check_command is not None:
        settings["gate.command"] = check_command.text
    policy = lay(settings, Policy())
    parsed(node, lambda: check_gate(policy.gate, prefix="health_check_"))
    if policy.shape.batch_order and policy.shape.batch_by is None:
        raise wrong(node.mark, "batch_order", "orders the values of batch_by", "write batch_by: TRAIT")
    return settings


def _read_command(item: Node, key: str, params: tuple[ParamSpec, ...]) -> Template:
    text = read_text(item, key)
    try:
        check(text)
    except UsageError as error:
        raise ConfigError(f"{item.mark}: {key}: {error}") from error
    if len(text.encode()) > TEXT_BYTES_MAX:
        raise wrong(item.mark, key, f"is longer than {TEXT_BYTES_MAX:,} bytes", "run it as a script")
    template = read_command(text)
    if isinstance(template, Misplaced):
        _refuse_undeclared(item.mark, key, template.name, params)
        raise ConfigError(f"{item.mark}: {key}: {template}")
    for slot in template.slots:
        _refuse_undeclared(item.mark, key, slot.name, params)
    return template


def _read_urls(node: Node, key: str, params: tuple[ParamSpec, ...]) -> tuple[Template, ...]:
    return tuple(_read_url(item, key, params) for item in one_or_list(node, key))


def _read_env(node: Node, key: str, params: tuple[ParamSpec, ...]) -> tuple[tuple[str, str], ...]:
    secrets = [spec.name for spec in params if spec.secret]
    env = []
    for name, mark, item in read_map(node, key):
        value = text_of(read_scalar(item, name))
        parsed(item, lambda name=name, value=value: check_env(name, value, flag=key))  # type: ignore[misc]
        for slot in read_url(value).slots:
            _refuse_undeclared(mark, name, slot.name, params)
            if slot.name in secrets:
                raise wrong(
                    mark, name, f"{{{{ {slot.name} }}}} is secret", "write it into the command; env is on record"
                )
        env.append((name, value))
    return tuple(env)


def _read_url(item: Node, key: str, params: tuple[ParamSpec, ...]) -> Template:
    template = read_url(read_text(item, key))
    secrets = [spec.name for spec in params if spec.secret]
    for slot in template.slots:
        _refuse_undeclared(item.mark, key, slot.name, params)
        if slot.name in secrets:
            raise wrong(item.mark, key, f"{{{{ {slot.name} }}}} is secret", "leave it out; URLs are on record")
    fault = fault_of_url(template)
    if fault is not None:
        raise ConfigError(f"{item.mark}: {key}: {shown(template.text)!r} {fault}")
    sample = fill_url(template, dict.fromkeys((slot.name for slot in template.slots), "1"))
    parsed(item, lambda: parse_health_url(sample, flag=key))
    return template


def _refuse_undeclared(mark: Mark, key: str, name: str, params: tuple[ParamSpec, ...]) -> None:
    names = [spec.name for spec in params]
    if name in names or Slot(name).is_per_host:
        return
    near = get_close_matches(name, [*names, *RESERVED_NAMES], 1)
    hint = f"did you mean {'trait.PATH' if near[0] == 'trait' else near[0]!r}?" if near else "declare it under params"
    raise wrong(mark, key, f"{{{{ {shown(name)} }}}} is not declared", hint)


def _optional(node: MapNode, key: str, read: Callable[[Node, str], _T]) -> _T | None:
    item = node.get(key)
    return None if item is None else read(item, key)


def _known(names: Collection[str]) -> str:
    return f"known: {', '.join(sorted(names))}" if names else "the inventory has no tasks"
