"""How a command travels: its text and the wrapper become one exec string that every login shell reads the same.

Pure text in, text out. sh, bash, zsh, fish and csh agree on what stands between single quotes, except for a backslash,
an exclamation mark, a newline and a single quote: those, control characters and everything outside ASCII travel as
`%0ooo`, and `/bin/sh` on the host decodes them with nothing but its own `printf`. The rest stays readable in `ps`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from vigo.core.errors import UsageError
from vigo.core.model import Limits
from vigo.core.wrapper import FIND, GUARDIAN, HELLO, LOOK, NICE, SECRETS, START

EXEC_BYTES_MAX = 120_000
"""Linux takes 128 KiB (131,072 bytes, the closing NUL included) for one argument; the rest is room for the login shell."""

KILL_LINE = b"k\n"
"""Written to the command's channel it ends the command: TERM, then after the grace KILL."""

_GO_LINE = b"go\n"
_BOOT = """exec /bin/sh -c 'IFS=%;set -f;set -- $1;IFS="\\ ";eval "$(printf %b "$*")"' vigo '{}'"""
_RESET = "unset IFS\nset +f\n"
_RUN_ID = re.compile(r"[0-9A-Za-z._-]{1,64}")
_VARIABLE = re.compile(r"[A-Za-z_][0-9A-Za-z_]*")
_UNSAFE = re.compile(r"[^ -~]|['\\!%]")
_MS_PER_S = 1000
_MS_PER_TICK = 10
_NICE_IDLE = 15
"""From this niceness on the I/O class is idle, below it the lowest of best-effort."""


@dataclass(frozen=True, slots=True)
class Wire:
    """What is sent for one command."""

    exec_string: str
    """ASCII, without newlines; secrets are never in it."""
    stdin: bytes = field(repr=False)
    """Written to the channel once the greeting has come: the secret values, encoded, one a line, and the word to go."""


def wrap(wire_text: str, secrets: Sequence[tuple[str, str]], limits: Limits, run_id: str) -> Wire:
    """Put the wrapper round a command.

    `run_id` (1-64 of `[0-9A-Za-z._-]`) marks the command's processes on the host, so it must be unique to this one run
    on this one host; no id may be the beginning of another. Raises UsageError for a command that is empty, has NUL or
    lone surrogates, or does not fit into one argument.
    """
    check(wire_text)
    _check_run_id(run_id)
    script = "".join(
        (
            _numbers(limits, run_id),
            f"c={_quote(wire_text)}\n",
            _shrunk(HELLO),
            _shrunk(SECRETS) if secrets else "",
            "".join(f"secret {_variable(name)}\n" for name, _ in secrets),
            _shrunk(FIND + GUARDIAN),
            _shrunk(START).replace("{nice}", _nice(limits.nice)),
        )
    )
    exec_string = _boot(script)
    if len(exec_string) > EXEC_BYTES_MAX:
        raise UsageError(
            f"the command needs {len(exec_string):,} bytes on the wire and a host takes {EXEC_BYTES_MAX:,} in one argument;"
            " copy it there as a script and run that"
        )
    return Wire(exec_string, b"".join(_secret_line(name, value) for name, value in secrets) + _GO_LINE)


def look(run_id: str, group: int) -> str:
    """Return the exec string that lists what is left of a command; it reads and changes nothing.

    `group` is the pid that the command's greeting told, 0 when it told none.
    """
    _check_run_id(run_id)
    return _boot(f"i={run_id} g={int(group)}\n" + _shrunk(FIND + LOOK))


def greeting(run_id: str) -> re.Pattern[bytes]:
    """Match the line that the wrapper writes to stderr before anything else; group 1 is the command's pid."""
    return re.compile(b"vigo:" + re.escape(run_id.encode()) + rb":([0-9]+)\n")


def read_look(run_id: str, stdout: bytes) -> tuple[int, ...] | None:
    """Read what `look` printed: the pids that are left, or None when there was no answer in it."""
    answer = re.search(b"vigo-left:" + re.escape(run_id.encode()) + rb":((?: [0-9]+)*)\.", stdout)
    return None if answer is None else tuple(int(pid) for pid in answer[1].split())


def check(wire_text: str) -> None:
    """Raise UsageError for a text that cannot be a command: empty, blank, with NUL or with lone surrogates."""
    if not wire_text.strip():
        raise UsageError("the command is empty; give the text that the hosts shall run")
    if "\0" in wire_text:
        raise UsageError(
            f"the command has a NUL character at offset {wire_text.index(chr(0))}; no shell can be given one"
        )
    surrogate = re.search("[\ud800-\udfff]", wire_text)
    if surrogate is not None:
        raise UsageError(f"the command is not valid text at offset {surrogate.start()}; write it in UTF-8")


def _numbers(limits: Limits, run_id: str) -> str:
    grace = max(1, _ceil(limits.grace_ms, _MS_PER_TICK))
    return f"i={run_id} d={int(limits.kill_on_disconnect)} t={_ceil(limits.timeout_ms, _MS_PER_S)} k={grace}\n"


def _check_run_id(run_id: str) -> None:
    if not _RUN_ID.fullmatch(run_id):
        raise ValueError(f"{run_id!r} cannot mark a run")


def _variable(name: str) -> str:
    if not _VARIABLE.fullmatch(name):
        raise ValueError(f"{name!r} cannot name an environment variable")
    return name


def _secret_line(name: str, value: str) -> bytes:
    if "\0" in value or re.search("[\ud800-\udfff]", value):
        raise UsageError(f"the secret {name} holds a NUL character or is not valid text; no environment can carry it")
    return b"%s.\n" % _encode(value).encode()


def _nice(nice: int) -> str:
    if not nice:
        return ""
    io = "-c 3" if nice >= _NICE_IDLE else "-c 2 -n 7"
    return _shrunk(NICE).replace("{io}", io).replace("{nice}", str(int(nice)))


def _boot(script: str) -> str:
    return _BOOT.format(_encode(_RESET + script))


@lru_cache(maxsize=64)
def _shrunk(script: str) -> str:
    """Drop comments, indentation and empty lines: each byte travels with each command."""
    lines = (line.strip() for line in script.splitlines())
    return "".join(f"{line}\n" for line in lines if line and not line.startswith("#"))


def _quote(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _encode(text: str) -> str:
    return _UNSAFE.sub(_octal, text)


def _octal(found: re.Match[str]) -> str:
    if found[0] == "\n":
        return "%n"
    return "".join(f"%0{byte:03o}" for byte in found[0].encode())


def _ceil(value: int, unit: int) -> int:
    return -(-value // unit)
