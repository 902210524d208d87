"""Write docs/reference/cli.md, the manual page and the table for completion from the program itself: `.venv/bin/python docs/generate.py`. A test compares them."""  # noqa: INP001 - a script, no package

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from vigo.cli.app import app
from vigo.cli.examples import EXAMPLES

PAGE = Path(__file__).parent / "reference" / "cli.md"
MAN = Path(__file__).parent / "man" / "vigo.1"
TABLE = Path(__file__).parent.parent / "vigo" / "cli" / "completion_table.py"
_TABLE_HEAD = '''"""Commands and flags, for completion. Made from the program by docs/generate.py, and never edited."""

from __future__ import annotations

from typing import Final

# fmt: off
# Words that call a command -> its flags, each with its values (None: it takes none; empty: any); the commands below it; the
# values of its first argument.
TABLE: Final[dict[str, tuple[dict[str, str | None], tuple[str, ...], str]]] = {
'''
_MAN_HEAD = r""".TH VIGO 1 "" "vigo" "User Commands"
.SH NAME
vigo, vigocli \- run commands on a fleet over SSH: planned, guarded, gated on health, written down
.SH SYNOPSIS
.B vigo
.I COMMAND
.RI [ OPTIONS ]
.SH DESCRIPTION
vigo runs a command on a fleet over SSH, in planned batches, behind guardrails and health gates, and writes down what
happened; nothing is installed on the hosts. Every command has \-h and \-\-help.
.SH COMMANDS"""
_MAN_TAIL = r""".SH EXIT STATUS
0: every host completed. 1: some did not. 2: usage. 3: stopped by a budget or a gate. 5: configuration. 6: refused by a guard.
7: no host matched. 8: the journal was changed. 130, 143: interrupted, terminated.
.SH FILES
inventory.yaml or inventory/, vigo.yaml in the working folder; config.yaml and policy.yaml in ~/.config/vigo; the journal in
~/.local/share/vigo.
.SH SEE ALSO
.BR ssh (1),
.BR ssh_config (5)
"""
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
    lines = EXAMPLES.get(path.removeprefix("vigo").strip(), ())
    if lines:
        parts.append("\n".join(("Examples:\n", *(f"- `{line}`" for line in lines))))
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


def completion_table() -> str:
    """Return the module with what completion has to know of commands and flags."""
    lines = []
    for path, command in commands().items():
        flags: dict[str, str | None] = {"-h": None, "--help": None}
        for param in options(command):
            flags.update(dict.fromkeys(param.opts, None if param.is_flag else _choices(param)))
        children = tuple(name for name, _ in _children(command))
        first = next((_choices(param) for param in command.params if isinstance(param, TyperArgument)), "")
        lines.append(f"    {path.removeprefix('vigo').strip()!r}: ({flags!r}, {children!r}, {first!r}),")
    return _TABLE_HEAD + "\n".join(lines).replace("'", '"') + "\n}\n"


def _choices(param: TyperArgument | TyperOption) -> str:
    choices = getattr(param.type, "choices", None) or ()
    return "|".join(str(getattr(choice, "value", choice)) for choice in choices)


def man_page() -> str:
    """Return the manual page."""
    parts = [_MAN_HEAD]
    for path, command in commands().items():
        arguments = [param for param in command.params if isinstance(param, TyperArgument)]
        parts.append(f".SS {_roff(' '.join((path, *map(_argument, arguments))))}\n{_roff(command.help or '')}")
        for param in options(command):
            name, value, text = _option(param)
            default = f" Default: {value}." if value else ""
            parts.append(f".TP\n.B {_roff(name.strip('`'))}\n{_roff(text.replace('`', ''))}{_roff(default)}")
        lines = EXAMPLES.get(path.removeprefix("vigo").strip(), ())
        parts.extend([".PP\nExamples:", *(f".br\n{_roff(line)}" for line in lines)] if lines else [])
    return "\n".join(parts) + "\n" + _MAN_TAIL


def _roff(text: str) -> str:
    text = " ".join(text.replace("\\", "\\e").replace("-", "\\-").split())
    return "\\&" + text if text.startswith((".", "'")) else text


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
    TABLE.write_text(completion_table(), encoding="utf-8")
    MAN.write_text(man_page(), encoding="utf-8")
