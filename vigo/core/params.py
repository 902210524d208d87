"""The params of a named task: what is declared, what was given, and which secrets are still to be asked for.

Rule 1: a given value wins over the default; a param without a default must be given.
Rule 2: a value that does not fit its declaration is a UsageError that names the param and the place of the declaration.
Rule 3: a secret is never written out: it comes from a file, an environment variable or a prompt, and no message holds it.
Nothing is read here: `needed_secrets` says what the caller has to read.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from difflib import get_close_matches
from enum import StrEnum
from typing import assert_never

from vigo.core.errors import UsageError
from vigo.core.nodes import (
    MapNode,
    Mark,
    Node,
    read_bool,
    read_int,
    read_list,
    read_map,
    read_scalar,
    read_text,
    refuse_unknown,
    shown,
    wrong,
)
from vigo.core.values import dataclass

VALUE_BYTES_MAX = 32_768
"""Bound on one value in UTF-8, so that one quoted value fits into a command (`binding.TEXT_BYTES_MAX`)."""
INT_MAX = 2**63 - 1
RESERVED_NAMES = ("host", "address", "trait")
"""Placeholders that each host fills in; no param can have these names."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_INT = re.compile(r"0|-?[1-9][0-9]{0,18}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_KEYS = ("type", "choices", "required", "default", "secret")
_SHOWN_CHOICES = 8


class ParamType(StrEnum):
    """What values a param takes."""

    STRING = "string"
    """Any text without NUL, at most 32 KiB."""
    INT = "int"
    """A decimal number of 64 bits, without leading zeros or a plus sign."""
    BOOL = "bool"
    """`true` or `false`."""
    CHOICE = "choice"
    """One of the declared texts."""


@dataclass(frozen=True, slots=True)
class ParamSpec:
    """One declared param."""

    name: str
    mark: Mark
    type: ParamType = ParamType.STRING
    choices: tuple[str, ...] = ()
    default: str | None = None
    """None means that a value must be given."""
    secret: bool = False

    @property
    def required(self) -> bool:
        """Whether a value must be given."""
        return self.default is None

    @property
    def variable(self) -> str:
        """The environment variable of a secret: read on the control node, and set for the command on the host."""
        return variable_of(self.name)


class SecretSource(StrEnum):
    """Where a secret value is to come from."""

    FILE = "file"
    ENVIRONMENT = "environment"
    PROMPT = "prompt"


@dataclass(frozen=True, slots=True)
class NeededSecret:
    """A secret value that the caller has to fetch."""

    name: str
    source: SecretSource
    where: str
    """A file's path, an environment variable's name, or the question to ask."""


def variable_of(name: str) -> str:
    """Return `VIGO_PARAM_NAME` for a param's name."""
    return "VIGO_PARAM_" + name.upper().replace("-", "_")


def read_params(node: Node | None) -> tuple[ParamSpec, ...]:
    """Read a task's `params`. Raises ConfigError with the place."""
    if node is None:
        return ()
    specs: dict[str, ParamSpec] = {}
    for name, mark, body in read_map(node, "params", empty=True):
        spec = _read_param(name, mark, read_map(body, name, empty=True))
        twin = specs.setdefault(spec.variable, spec)
        if twin is not spec:
            raise wrong(mark, name, f"is the same as {twin.name!r} in capitals, {spec.variable}", "rename one")
    return tuple(specs.values())


def parse_params(texts: Iterable[str]) -> dict[str, str]:
    """Read every `--param KEY=VALUE`; the value may hold further `=`. Raises UsageError for another form or a second one."""
    given: dict[str, str] = {}
    for text in texts:
        name, value = parse_param(text)
        if name in given:
            raise UsageError(f"--param {shown(name)}: given twice; give it once")
        given[name] = value
    return given


def parse_param(text: str) -> tuple[str, str]:
    """Split `KEY=VALUE` at its first `=`. Raises UsageError for another form."""
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--param {_name_only(text)}: has no `=`; write --param KEY=VALUE")
    if not _NAME.fullmatch(name):
        raise UsageError(f"--param {shown(name)}=…: is not a param's name; write --param KEY=VALUE")
    return name, value


def needed_secrets(
    specs: Sequence[ParamSpec], given: Mapping[str, str], environ: Container[str] = ()
) -> tuple[NeededSecret, ...]:
    """Say which secrets the caller has to fetch, and from where: `--param NAME=@FILE`, then the environment, then a prompt.

    Raises UsageError for a secret that was written on the command line.
    """
    return tuple(_needed(spec, given.get(spec.name), environ) for spec in specs if spec.secret)


def secret_from(content: bytes, needed: NeededSecret) -> str:
    """Make a secret of a file's content: UTF-8, one newline at its end dropped. Raises UsageError, without the value."""
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"--param {needed.name}: {needed.where} is not UTF-8 text; write it as such") from error
    return text.removesuffix("\n").removesuffix("\r")


def values_of(
    specs: Sequence[ParamSpec], given: Mapping[str, str], secrets: Mapping[str, str], *, task: str
) -> dict[str, str]:
    """Return a value for every param. `secrets` holds those that `needed_secrets` asked for.

    Raises UsageError for an unknown, missing or ill-typed one, with the param's name and the place of its declaration.
    """
    _refuse_unknown_params(specs, given, task)
    needed_secrets(specs, given)
    return {spec.name: _value(spec, (secrets if spec.secret else given).get(spec.name), task) for spec in specs}


def fault_of_text(value: str) -> str | None:
    """Say why a text cannot be a value, or None when it can."""
    if "\0" in value:
        return "holds a NUL character, which no shell can be given"
    if _SURROGATE.search(value):
        return "is not valid UTF-8 text"
    if len(value.encode()) > VALUE_BYTES_MAX:
        return f"is longer than {VALUE_BYTES_MAX:,} bytes"
    return None


def _read_param(name: str, mark: Mark, node: MapNode) -> ParamSpec:
    if not _NAME.fullmatch(name):
        raise wrong(mark, name, "is not a param's name", "write letters, digits, _ and -, at most 64, a letter first")
    if name in RESERVED_NAMES:
        raise wrong(mark, name, "is filled in by each host", "rename the param")
    refuse_unknown(node, _KEYS)
    type_ = _read_type(node)
    choices = _read_choices(node, type_)
    secret = _flag(node, "secret")
    if secret and type_ is not ParamType.STRING:
        raise wrong(mark, name, f"is a secret {type_}", "a secret is a string")
    default = _read_default(node, ParamSpec(name, mark, type_, choices), secret=secret)
    required = node.get("required")
    if required is not None and read_bool(required, "required") is not (default is None):
        reason, way_out = (
            ("is not required and has no default", "give it a default")
            if default is None
            else ("is required and has a default", "leave one of them out")
        )
        raise wrong(required.mark, name, reason, way_out)
    return ParamSpec(name, mark, type_, choices, default, secret)


def _read_type(node: MapNode) -> ParamType:
    type_ = node.get("type")
    if type_ is None:
        return ParamType.CHOICE if node.get("choices") is not None else ParamType.STRING
    text = read_text(type_, "type")
    if text not in tuple(ParamType):
        raise wrong(type_.mark, "type", f"{shown(text)!r} is not a type", f"write {', '.join(ParamType)}")
    return ParamType(text)


def _read_choices(node: MapNode, type_: ParamType) -> tuple[str, ...]:
    listed = node.get("choices")
    if type_ is not ParamType.CHOICE:
        if listed is not None:
            raise wrong(listed.mark, "choices", f"do not belong to type {type_}", "write type: choice")
        return ()
    if listed is None:
        raise wrong(node.mark, "choices", "is missing", "write choices: [a, b]")
    choices: list[str] = []
    for item in read_list(listed, "choices"):
        choice = _as_text(item, "choices")
        fault = "is listed twice" if choice in choices else fault_of_text(choice)
        if fault:
            raise wrong(item.mark, "choices", f"{shown(choice)!r} {fault}", "remove it")
        choices.append(choice)
    if not choices:
        raise wrong(listed.mark, "choices", "is an empty list", "write choices: [a, b]")
    return tuple(choices)


def _read_default(node: MapNode, spec: ParamSpec, *, secret: bool) -> str | None:
    default = node.get("default")
    if default is None:
        return None
    if secret:
        raise wrong(default.mark, "default", "a secret does not belong in a file", "leave it out; vigo asks for it")
    value = _default_text(default, spec.type)
    fault = _fault(spec, value)
    if fault:
        raise wrong(default.mark, "default", f"{shown(value)!r} {fault}", "change one of them")
    return value


def _default_text(node: Node, type_: ParamType) -> str:
    match type_:
        case ParamType.STRING:
            return read_text(node, "default", empty=True)
        case ParamType.INT:
            return str(read_int(node, "default", least=-INT_MAX - 1, most=INT_MAX))
        case ParamType.BOOL:
            return "true" if read_bool(node, "default") else "false"
        case ParamType.CHOICE:
            return _as_text(node, "default")
        case _:
            assert_never(type_)


def _as_text(node: Node, key: str) -> str:
    value = read_scalar(node, key)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _flag(node: MapNode, key: str) -> bool:
    flag = node.get(key)
    return flag is not None and read_bool(flag, key)


def _fault(spec: ParamSpec, value: str) -> str | None:
    match spec.type:
        case ParamType.INT if not _INT.fullmatch(value) or not -INT_MAX - 1 <= int(value) <= INT_MAX:
            return "is not an int; write a decimal number such as 8080"
        case ParamType.BOOL if value not in ("true", "false"):
            return "is not a bool; write true or false"
        case ParamType.CHOICE if value not in spec.choices:
            more = ", …" if len(spec.choices) > _SHOWN_CHOICES else ""
            return f"is not a choice; write one of {', '.join(map(shown, spec.choices[:_SHOWN_CHOICES]))}{more}"
        case _:
            return fault_of_text(value)


def _value(spec: ParamSpec, value: str | None, task: str) -> str:
    if value is None:
        if spec.default is not None:
            return spec.default
        raise _unusable(spec.name, "is missing", _how_to_give(spec), task, spec.mark)
    fault = _fault(spec, value)
    if fault is None:
        return value
    reason, _, way_out = f"{'' if spec.secret else f'{shown(value)!r} '}{fault}".partition("; ")
    raise _unusable(spec.name, reason, way_out or "shorten or correct it", task, spec.mark)


def _unusable(name: str, reason: str, way_out: str, task: str, mark: Mark) -> UsageError:
    return UsageError(f"--param {name}: {reason}; {way_out} (task {task}, {mark})")


def _how_to_give(spec: ParamSpec) -> str:
    if spec.secret:
        return f"set {spec.variable} or give --param {spec.name}=@FILE"
    example = {ParamType.INT: "NUMBER", ParamType.BOOL: "true|false", ParamType.CHOICE: "|".join(spec.choices[:3])}
    return f"give --param {spec.name}={example.get(spec.type, 'VALUE')}"


def _refuse_unknown_params(specs: Sequence[ParamSpec], given: Mapping[str, str], task: str) -> None:
    names = [spec.name for spec in specs]
    for name in given:
        if name in names:
            continue
        near = get_close_matches(name, names, 1)
        known = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(names) or 'none'}"
        where = f" ({specs[0].mark.file})" if specs else ""
        raise UsageError(f"--param {shown(name)}: task {task} has no such param; {known}{where}")


def _needed(spec: ParamSpec, given: str | None, environ: Container[str]) -> NeededSecret:
    if given is None:
        if spec.variable in environ:
            return NeededSecret(spec.name, SecretSource.ENVIRONMENT, spec.variable)
        return NeededSecret(spec.name, SecretSource.PROMPT, spec.name)
    if not given.startswith("@") or given == "@":
        raise UsageError(
            f"--param {spec.name}: a secret does not belong on the command line, where others can read it; "
            f"leave it out to be asked, set {spec.variable}, or give --param {spec.name}=@FILE"
        )
    return NeededSecret(spec.name, SecretSource.FILE, given[1:])


def _name_only(text: str) -> str:
    """Return the text when it could be a name; anything else might be a secret that was mistyped."""
    return text if _NAME.fullmatch(text) else "…"
