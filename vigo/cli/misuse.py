"""What typer's parser refuses, in vigo's words: the thing, the reason, the way out; for a misspelt word the nearest ones."""

from __future__ import annotations

import re
from ast import literal_eval

from typer._click import Context
from typer._click.exceptions import (  # typer has no public names for what its parser raises
    BadOptionUsage,
    BadParameter,
    ClickException,
    MissingParameter,
    NoArgsIsHelpError,
    NoSuchOption,
    UsageError,
)
from typer._click.types import ParamType

from vigo.cli.completion_table import TABLE
from vigo.core.inventory_names import did_you_mean, nearest

_SHOWN_MAX = 80
_NO_COMMAND = re.compile(r"No such command (.*?)\.(?: Did you mean .*)?\Z", re.DOTALL)
_NO_VALUE = re.compile(r"(.*) is not (?:one of|a valid|in the range)\b.*\Z", re.DOTALL)
_TOO_MANY = re.compile(r"Got unexpected extra argument(?:\(s\)|s)? \((.*)\)\Z", re.DOTALL)


def said(error: ClickException) -> str:
    """Return the message for what the parser refused, without `error:` before it."""
    path = " ".join(["vigo", *_called(error.ctx if isinstance(error, UsageError) else None)])
    match error:
        case NoSuchOption():
            return _flag(error.option_name, path)
        case BadOptionUsage():
            return _usage(error)
        case MissingParameter():
            return f"{_name(error)}: is missing; `{path} -h` shows how it is given"
        case BadParameter():
            return _value(error, path)
    if command := _NO_COMMAND.match(error.message):
        return _command(_plain(command[1]), path)
    if words := _TOO_MANY.match(error.message):
        return f"{_cut(words[1])!r}: is more than `{path}` takes; quote what is one word, and see `{path} -h`"
    return f"{error.format_message().rstrip('.')}; `{path} -h` shows what can be given"


def _called(context: Context | None) -> list[str]:
    """Return the words that called the command; by what name the program itself was called is no matter."""
    if context is None or context.parent is None:
        return []
    return [*_called(context.parent), context.info_name or ""]


def is_help(error: ClickException) -> bool:
    """Say whether nothing is wrong but that no command was named, which shows the help."""
    return isinstance(error, NoArgsIsHelpError)


def _flag(name: str, path: str) -> str:
    flags, _, _ = TABLE.get(path.partition(" ")[2], ({}, (), ""))
    long = [flag for flag in flags if flag.startswith("--")]
    hint = did_you_mean(name, long) if name.startswith("--") else ""
    return f"{_cut(name)}: `{path}` has no such flag; {hint or f'`{path} -h` lists its flags'}"


def _command(word: str, path: str) -> str:
    """Name the nearest commands here, or those of other groups that are called so: `status` for `task status`."""
    here = path.partition(" ")[2]
    _, children, _ = TABLE.get(here, ({}, (), ""))
    elsewhere = [f"`vigo {each}`" for each in TABLE if each.rpartition(" ")[2] == word.lower()]
    near = [f"`{path} {name}`" for name in nearest(word, children)]
    names = elsewhere or near if path == "vigo" else near or elsewhere
    hint = f"did you mean {' or '.join(names)}?" if names else f"`{path} -h` lists them"
    return f"{_cut(word)!r}: `{path}` has no such command; {hint}"


def _usage(error: BadOptionUsage) -> str:
    if "requires" in error.message:
        return f"{error.option_name}: has no value; write {error.option_name} VALUE"
    return f"{error.option_name}: takes no value; leave out what stands behind ="


def _value(error: BadParameter, path: str) -> str:
    kind = error.param.type if error.param else None
    found = _NO_VALUE.match(error.message)
    if kind is None or found is None:
        return f"{_name(error)}: {error.message.rstrip('.')}; `{path} -h` shows what can be given"
    word = _plain(found[1])
    choices = [str(getattr(choice, "value", choice)) for choice in getattr(kind, "choices", ())]
    if choices:
        hint = did_you_mean(word, choices) or "use one of them"
        return f"{_name(error)}: {_cut(word)!r} is none of {', '.join(choices)}; {hint}"
    return f"{_name(error)}: {_cut(word)!r} is not {_wanted(kind)}; change it"


def _wanted(kind: ParamType) -> str:
    least, most = getattr(kind, "min", None), getattr(kind, "max", None)
    if least is not None and most is not None:
        return f"a whole number from {least} to {most}"
    return f"a whole number of at least {least}" if least is not None else "a whole number"


def _name(error: BadParameter) -> str:
    """Return what the operator calls it: the longest form of a flag, the word for an argument."""
    if error.param is None:
        return "a value"
    if error.param.param_type_name == "option":
        return max(error.param.opts, key=len)
    return getattr(error.param, "metavar", None) or (error.param.name or "").upper()


def _plain(shown: str) -> str:
    """Return the text that a message shows quoted; other values are shown as they are."""
    try:
        return str(literal_eval(shown))
    except (ValueError, SyntaxError):
        return shown


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_MAX else text[: _SHOWN_MAX - 1] + "…"
