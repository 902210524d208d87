"""What stands in for a flag that was not given: its `VIGO_*` variable, the project's `vigo.yaml`, the user's `config.yaml`.

Which flags these are is read from `vigo task run` itself, so that a new flag of it has its key and its variable at once.
Every command that has the same flag gets the value. A flag given beats them all, and so does what a named or a recorded
task says of itself: what is set here are defaults.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from typer._click.globals import get_current_context  # typer has no public name for the one that may be missing
from typer.core import TyperGroup, TyperOption
from typer.main import get_command_from_info

from vigo.adapters.config_yaml import USER, project_file, read_config
from vigo.adapters.places import config_folder
from vigo.cli.completion_table import TABLE
from vigo.core.errors import ConfigError, UsageError
from vigo.core.nodes import ListNode, MapNode, Node, refuse_unknown, shown, wrong
from vigo.core.quantity import parse_duration_ms, parse_quantity
from vigo.core.values import dataclass

if TYPE_CHECKING:
    from typer._click import Command, Context

_GUARD = "a guard is passed for one run, by a flag that one can see"
_ONE_RUN = "says what one run is for"
_SECRET = "a secret and where it comes from are said for one run"  # noqa: S105 - a reason, no secret
_CODE = "what is run, or asked, stands on the command line or in a named task"
_RIGHTS = "another user's rights are asked for by a flag that one can see, or by a named task"
_TRUST = "whom to trust stands in the inventory or in ssh_config"

_OF_HOSTS: Final = "is said per host in the inventory or in ssh_config, which a default for all would override"
_NOT_CONFIGURABLE: Final[Mapping[str, str]] = {
    "force": _GUARD,
    "confirm": _GUARD,
    **dict.fromkeys(
        ("target", "exclude", "target_file", "limit", "seed", "stop_after", "param", "as", "expand"), _ONE_RUN
    ),
    **dict.fromkeys(("env", "script", "stdin", "shell", "pty"), _CODE),
    **dict.fromkeys(("sudo", "sudo_user", "doas"), _RIGHTS),
    **dict.fromkeys(("only", "host", "gather_ignore", "output_dir"), _ONE_RUN),
    **dict.fromkeys(("user", "port", "identity", "jump", "connect_timeout"), _OF_HOSTS),
    **dict.fromkeys(("dry_run", "no_probe", "preflight"), _ONE_RUN),
    **dict.fromkeys(("rollback_command", "health_check_command", "health_check_url"), _CODE),
    **dict.fromkeys(("ssh_option", "accept_new_host_keys"), _TRUST),
}
_SECRET_WORDS: Final = ("password", "passphrase", "secret", "token")
_GUARD_WORDS: Final = ("force", "confirm", "yes")
_CODE_WORDS: Final = ("command", "url")
_ELSEWHERE: Final = frozenset({"inventory"})
"""Read where the inventory is looked for, which also tells where its name came from."""

_DEFAULT: Final = re.compile(r"\[default: (.*)\]\Z")
_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"0", "false", "no", "off"})

Value = str | int | bool


@dataclass(frozen=True, slots=True)
class Setting:
    """An effective value, and where it was said."""

    value: Value
    origin: str
    """`VIGO_FANOUT`, or file:line."""


def key_of(option: TyperOption) -> str:
    """Return the key of a flag: its long name, with `_` for `-`."""
    return max(option.opts, key=len).removeprefix("--").replace("-", "_")


def variable_of(key: str) -> str:
    """Return the environment variable of a key."""
    return f"VIGO_{key.upper()}"


def why_not(key: str) -> str | None:
    """Return why a flag has neither key nor variable, or None when it has."""
    words = key.split("_")
    for reason, never in ((_SECRET, _SECRET_WORDS), (_GUARD, _GUARD_WORDS), (_CODE, _CODE_WORDS)):
        if any(word in never for word in words):
            return reason
    return _NOT_CONFIGURABLE.get(key)


@cache
def run_options() -> dict[str, TyperOption]:
    """Return the flags of `vigo task run` by their keys, in the order of its help."""
    from vigo.cli.app import name_of
    from vigo.cli.task import app

    [info] = [each for each in app.registered_commands if name_of(each) == "run"]
    run = get_command_from_info(info, pretty_exceptions_short=False, rich_markup_mode=None)
    return {key_of(option): option for option in _options(run)}


def configurable() -> dict[str, TyperOption]:
    """Return the flags that have a key and a variable. One that can be repeated has none: it takes no single value."""
    return {key: option for key, option in run_options().items() if why_not(key) is None and not option.multiple}


def load() -> dict[str, Setting]:
    """Return what is set, by key. Raises ConfigError with the place of what cannot be used."""
    found: dict[str, Setting] = {}
    for path in reversed(files()):
        said = read_config(path)
        if said is not None:
            found |= _of_file(said, path)
    return found | dict(_of_environment())


def untouched(key: str) -> Setting:
    """Return the value of a flag that nothing sets, as its help tells it; `-` where there is none."""
    named = os.environ.get(variable_of(key)) if key in _ELSEWHERE else None
    if named:
        return Setting(named, variable_of(key))
    option = configurable()[key]
    said = _DEFAULT.search(option.help or "")
    value = getattr(option.default, "value", option.default)
    text = said[1] if said else "-" if value is None else str(value)
    return Setting(text.lower() if option.is_flag else text, "default")


def files() -> list[Path]:
    """Return where configuration is looked for, the nearest first: the project's file, if there is one, and the user's."""
    found: list[Path] = []
    home = os.environ.get("HOME")
    try:
        project = project_file(Path.cwd(), Path(home) if home else None)
        found += [project] if project else []
    except OSError as error:
        raise ConfigError(f"the working folder cannot be read: {error.strerror}; go to another one") from error
    try:
        found.append(config_folder() / USER)
    except ConfigError:  # without a home there is no file of the user's
        return found
    return found


def defaults_for(command: Command) -> dict[str, object]:
    """Return what is set, in the form of a parser's map of defaults for a command or a group of them."""
    if not _is_anything_set():
        return {}
    return _defaults(command, load(), configurable())


def _is_anything_set() -> bool:
    return any(map(_may_be_set, os.environ)) or any(os.path.lexists(path) for path in files())


def _may_be_set(name: str) -> bool:
    """Say whether a variable is one of a flag's, by the table of them: to build the flags themselves takes a while."""
    prefix, _, key = name.lower().partition("vigo_")
    return not prefix and key not in _ELSEWHERE and f"--{key.replace('_', '-')}" in TABLE["task run"][0]


def _defaults(command: Command, found: Mapping[str, Setting], known: Mapping[str, TyperOption]) -> dict[str, object]:
    if isinstance(command, TyperGroup):
        return {name: _defaults(child, found, known) for name, child in command.commands.items()}
    same = ((option, key_of(option)) for option in _options(command))
    return {
        option.name or "": found[key].value for option, key in same if key in found and _is_same(option, known[key])
    }


def _is_same(one: TyperOption, other: TyperOption) -> bool:
    """Whether two commands share a flag, and not just its spelling."""
    return one.help == other.help and one.metavar == other.metavar and one.is_flag == other.is_flag


def _options(command: Command) -> Iterator[TyperOption]:
    return (param for param in command.params if isinstance(param, TyperOption) and not param.hidden)


def set_by_default() -> frozenset[str]:
    """Return the names of the running command's parameters whose values nobody gave as a flag."""
    context: Context | None = get_current_context(silent=True)
    names = context.params if context else ()
    return frozenset(name for name in names if context and _is_default(context, name))


def _is_default(context: Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "DEFAULT_MAP"


def _of_environment() -> Iterator[tuple[str, Setting]]:
    for key, option in configurable().items():
        name = variable_of(key)
        text = os.environ.get(name)
        if text and key not in _ELSEWHERE:
            yield key, Setting(_checked(option, text, partial(_bad_variable, name)), name)


def _bad_variable(name: str, reason: str) -> ConfigError:
    return ConfigError(f"{name}: {reason}; set it to another value or unset it")


def _of_file(said: MapNode, path: Path) -> dict[str, Setting]:
    known = configurable()
    for key, mark, _ in said:
        reason = why_not(key) if key in run_options() else None
        if reason is not None:
            raise wrong(mark, key, f"cannot be configured: {reason}", "leave it out and give the flag")
    refuse_unknown(said, tuple(known))
    return {
        key: Setting(_placed(key, _of_node(known[key], key, node), path), f"{path}:{mark.line}")
        for key, mark, node in said
        if key not in _ELSEWHERE or not os.environ.get(variable_of(key))
    }


def _placed(key: str, value: Value, path: Path) -> Value:
    """Return the value; a relative inventory is one beside the file."""
    return str(path.parent / str(value)) if key == "inventory" and value != "lab" else value


def _of_node(option: TyperOption, key: str, node: Node) -> Value:
    if isinstance(node, MapNode | ListNode) or node.value is None:
        raise wrong(node.mark, key, f"is {node.kind}, must be one value", "write `key: value`")
    value = node.value
    if option.is_flag != isinstance(value, bool):
        wanted = "true or false" if option.is_flag else "a number or text"
        raise wrong(node.mark, key, f"is {node.kind}, must be {wanted}", "change it")
    return _checked(option, str(value), lambda reason: wrong(node.mark, key, reason, "change it or leave it out"))


def _checked(option: TyperOption, text: str, error: Callable[[str], ConfigError]) -> Value:
    """Return the value as the flag would take it. Raises what `error` makes of the reason."""
    if option.is_flag:
        return _truth(text, error)
    choices = [str(getattr(choice, "value", choice)) for choice in getattr(option.type, "choices", ())]
    if choices and text not in choices:
        raise error(f"{shown(text)!r} is not one of {', '.join(choices)}")
    if option.type.name.startswith("int"):
        return _whole(option, text, error)
    _try(option, text, error)
    return text


def _truth(text: str, error: Callable[[str], ConfigError]) -> bool:
    word = text.lower()
    if word not in _TRUE | _FALSE:
        raise error(f"{shown(text)!r} is neither true nor false")
    return word in _TRUE


def _whole(option: TyperOption, text: str, error: Callable[[str], ConfigError]) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise error(f"{shown(text)!r} is no whole number")
    value, least, most = int(text), getattr(option.type, "min", None), getattr(option.type, "max", None)
    if (least is not None and value < least) or (most is not None and value > most):
        raise error(f"{value} is not in {least} to {'any' if most is None else most}")
    return value


def _try(option: TyperOption, text: str, error: Callable[[str], ConfigError]) -> None:
    """Read forms that the flag's metavar tells; the flag's own bounds are judged where it is read."""
    try:
        if option.metavar == "DURATION":
            parse_duration_ms(text, flag="it", least_ms=0)
        elif option.metavar == "N|N%":
            for part in text.split(","):
                parse_quantity(part, flag="it")
    except UsageError as reason:
        raise error(str(reason).removeprefix("it: ")) from reason
