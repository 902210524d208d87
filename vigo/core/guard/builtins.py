"""Shell builtins that change what is known: variables, directory, positional parameters."""

from __future__ import annotations

import re
from collections.abc import Callable

from vigo.core.guard.call import Call, resolve
from vigo.core.guard.printing import printed
from vigo.core.guard.session import Shell
from vigo.core.guard.words import EMPTY, HOLE, UNKNOWN, Value, Word, concat, literal

LINES_MAX = 16

Builtin = Callable[[tuple[Word, ...], Value | None, Shell], Value]


def _cd(args: tuple[Word, ...], _: Value | None, shell: Shell) -> Value:
    words = [word.text for word in args if not re.fullmatch(r"-[LPe@]+|--", word.text)]
    state = shell.state
    before = state.cwd
    if not words:
        state.cwd = state.variables.get("HOME", UNKNOWN)
    elif words[0] == "-":
        state.cwd = state.variables.get("OLDPWD", UNKNOWN)
    elif words[0] == HOLE:
        state.cwd = UNKNOWN
    else:
        state.cwd = tuple(dict.fromkeys(resolve(words[0], cwd) for cwd in state.cwd))
    state.variables["OLDPWD"] = before
    return EMPTY


def _pushd(args: tuple[Word, ...], stdin: Value | None, shell: Shell) -> Value:
    stack = shell.state.arrays.get("DIRSTACK", ())
    shell.state.arrays["DIRSTACK"] = (shell.state.cwd[0], *stack)
    return _cd(args, stdin, shell) if args else EMPTY


def _popd(_: tuple[Word, ...], __: Value | None, shell: Shell) -> Value:
    stack = shell.state.arrays.get("DIRSTACK", ())
    if stack:
        shell.state.cwd = stack[:1]
        shell.state.arrays["DIRSTACK"] = stack[1:]
    return EMPTY


def _declare(args: tuple[Word, ...], _: Value | None, shell: Shell) -> Value:
    for word in args:
        name, equals, value = word.text.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*\+?", name):
            continue
        if value.startswith("(") and value.endswith(")"):
            shell.state.arrays[name] = tuple(re.sub(r"\A\[[^]]*\]=", "", item) for item in literal(value[1:-1]).split())
        elif name.endswith("+"):
            shell.assign(name[:-1], concat(shell.state.variables.get(name[:-1], EMPTY), (value,)))
        else:
            shell.assign(name, (value,))
    return EMPTY


def _unset(args: tuple[Word, ...], _: Value | None, shell: Shell) -> Value:
    for word in args:
        shell.state.variables.pop(word.text, None)
        shell.state.arrays.pop(word.text, None)
        if "-f" in [other.text for other in args]:
            shell.state.functions.pop(word.text, None)
        elif not word.text.startswith("-"):
            shell.state.variables[word.text] = EMPTY
    return EMPTY


def _set(args: tuple[Word, ...], _: Value | None, shell: Shell) -> Value:
    texts = [word.text for word in args]
    while texts and re.fullmatch(r"[-+][a-zA-Z]+", texts[0]):
        option = texts.pop(0)
        if option.endswith("o") and texts:
            texts.pop(0)
    if texts[:1] == ["--"]:
        shell.state.args = tuple(texts[1:])
    elif texts:
        shell.state.args = tuple(texts)
    return EMPTY


def _shift(args: tuple[Word, ...], _: Value | None, shell: Shell) -> Value:
    count = int(args[0].text) if args and args[0].text.isdigit() and len(args[0].text) < len("10000") else 1
    if shell.state.args is not None:
        shell.state.args = shell.state.args[count:]
    return EMPTY


def _read(args: tuple[Word, ...], stdin: Value | None, shell: Shell) -> Value:
    names = [word.text for word in args if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", word.text)] or ["REPLY"]
    lines = [line for text in stdin or UNKNOWN for line in re.split("[\n\0]", text) if line.strip()][:LINES_MAX] or [
        HOLE
    ]
    if any(re.fullmatch(r"-[a-z]*a", word.text) for word in args):
        shell.state.arrays[names[-1]] = tuple(lines[0].split())
        return EMPTY
    rows = [line.split(None, len(names) - 1) if len(names) > 1 else [line.strip()] for line in lines]
    for at, name in enumerate(names):
        shell.assign(
            name,
            tuple(dict.fromkeys(row[at].strip() if at < len(row) else HOLE if row == [HOLE] else "" for row in rows)),
        )
    return EMPTY


def _mapfile(args: tuple[Word, ...], stdin: Value | None, shell: Shell) -> Value:
    names = [word.text for word in args if not word.text.startswith("-")] or ["MAPFILE"]
    lines = [line for text in stdin or UNKNOWN for line in text.split("\n") if line]
    shell.state.arrays[names[-1]] = tuple(lines[: 4 * LINES_MAX])
    return EMPTY


def _exit(_: tuple[Word, ...], __: Value | None, shell: Shell) -> Value:
    shell.state.dead = True
    return EMPTY


def _alias(args: tuple[Word, ...], _: Value | None, shell: Shell) -> Value:
    for word in args:
        name, equals, value = word.text.partition("=")
        if equals:
            shell.state.aliases[name] = value
    return EMPTY


def _nothing(_: tuple[Word, ...], __: Value | None, ___: Shell) -> Value:
    return EMPTY


def _printf(args: tuple[Word, ...], stdin: Value | None, shell: Shell) -> Value:
    head = Word("printf", args[0].span if args else (0, 0))
    if len(args) > len(("-v", "name")) and args[0].text == "-v":
        shell.assign(args[1].text, (printed(Call("printf", head, args[2:], shell.state.cwd, stdin)),))
        return EMPTY
    return (printed(Call("printf", head, args, shell.state.cwd, stdin)),) if shell.heard else UNKNOWN


IDLE = frozenset(
    {":", "true", "false", "wait", "umask", "ulimit", "hash", "shopt", "setopt", "break", "continue", "printf"}
)
"""Those that change nothing that is known, `printf` unless it is told to set a variable."""

BUILTINS: dict[str, Builtin] = {
    **dict.fromkeys(IDLE, _nothing),
    "cd": _cd,
    "chdir": _cd,
    "pushd": _pushd,
    "popd": _popd,
    **dict.fromkeys(("export", "declare", "typeset", "local", "readonly"), _declare),
    "unset": _unset,
    "set": _set,
    "shift": _shift,
    "read": _read,
    **dict.fromkeys(("mapfile", "readarray"), _mapfile),
    **dict.fromkeys(("exit", "return", "logout"), _exit),
    "alias": _alias,
    "printf": _printf,
}
