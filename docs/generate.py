"""Write docs/reference/cli.md from the program itself: `.venv/bin/python docs/generate.py`. A test compares the two."""  # noqa: INP001 - a script, no package

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from vigo.cli.app import app

PAGE = Path(__file__).parent / "reference" / "cli.md"
_DEFAULT = re.compile(r"\s*\[default: (.*)\]\Z")
_INTRODUCTION = """\
# The command line

`vigo` and `vigocli` are the same program. Every command has `-h` and `--help`. What the exit codes mean stands in
[outcomes and exit codes](exit-codes.md).

This page is made from the program, by `.venv/bin/python docs/generate.py`.
"""

Command = TyperCommand | TyperGroup


def reference() -> str:
    """Return the whole page."""
    return _INTRODUCTION + "".join(_section(path, command) for path, command in commands().items())


def commands() -> dict[str, Command]:
    """Return every command of the program under the words that call it, `vigo` itself first."""
    return dict(_below("vigo", cast("TyperGroup", typer.main.get_command(app))))


def _below(path: str, command: Command) -> Iterator[tuple[str, Command]]:
    yield path, command
    for name, child in _children(command):
        yield from _below(f"{path} {name}", child)


def _children(command: Command) -> Iterator[tuple[str, Command]]:
    """Yield what a group offers, each found as the program itself finds it."""
    if isinstance(command, TyperGroup):
        context = typer.Context(command)
        for name in command.list_commands(context):
            _, child, _ = command.resolve_command(context, [name])
            yield name, cast("Command", child)


def options(command: Command) -> list[TyperOption]:
    """Return the options that `--help` shows, `--help` left out."""
    return [param for param in command.params if isinstance(param, TyperOption) and not param.hidden]


def _section(path: str, command: Command) -> str:
    arguments = [param for param in command.params if isinstance(param, TyperArgument)]
    children = list(_children(command))
    words = [
        path,
        *map(_argument, arguments),
        *(["[OPTIONS]"] if options(command) else []),
        *(["COMMAND"] if children else []),
    ]
    parts = [f"## {path}", _prose(command.help), f"`{' '.join(words)}`"]
    if children:
        rows = [
            (f"[`{path} {name}`](#{path.replace(' ', '-')}-{name})", _prose(child.help)) for name, child in children
        ]
        parts.append(_table(("command", "does"), rows))
    if arguments:
        rows = [(f"`{_argument(param)}`", _prose(param.help)) for param in arguments]
        parts.append(_table(("argument", "meaning"), rows))
    if options(command):
        parts.append(_table(("option", "default", "meaning"), [_option(param) for param in options(command)]))
    if command.epilog:
        parts.append(re.sub(r"\AExample: (.*)\Z", r"Example: `\1`", command.epilog))
    return "\n" + "\n\n".join(parts) + "\n"


def _argument(param: TyperArgument) -> str:
    name = _value(param) or (param.name or "").upper()
    return name if param.required else f"[{name}]"


def _option(param: TyperOption) -> tuple[str, str, str]:
    names = f"{', '.join(sorted(param.opts, key=len))} {'' if param.is_flag else _value(param) or 'TEXT'}"
    text = param.help or ""
    said = _DEFAULT.search(text)
    value = "" if param.is_flag or param.default is None else str(getattr(param.default, "value", param.default))
    return f"`{names.rstrip()}`", said[1] if said else value, _prose(_DEFAULT.sub("", text))


def _value(param: TyperArgument | TyperOption) -> str:
    """Return what stands for the value, or nothing where it is plain text."""
    choices = getattr(param.type, "choices", None)
    if choices and not param.metavar:
        return "|".join(str(getattr(choice, "value", choice)) for choice in choices)
    return param.metavar or ("N" if param.type.name.startswith("int") else "")


def _prose(text: str | None) -> str:
    """Return a help text as Markdown shows it: in one line, placeholders and globs as code."""
    return re.sub(r"(?<!`)(\{\{ [\w.]+ \}\}|\*\.web\.\*)", r"`\1`", " ".join((text or "").split()))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
