"""How a command travels: its text and the wrapper become one exec string that every login shell reads the same.

Pure text in, text out. The wrapper is an argument; sh, bash, zsh, fish and csh agree on what stands between single quotes,
except for a backslash, an exclamation mark, a newline and a single quote. The command follows on stdin as it is, line by
line: nothing has to be encoded, and `pkill -f` in a command does not find the wrapper by the command's own words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import field
from functools import lru_cache

from vigo.core.errors import UsageError
from vigo.core.model import NICE_MAX, Limits
from vigo.core.privilege import Privilege
from vigo.core.values import dataclass
from vigo.core.wrapper import CLOCK, FIND, GUARDIAN, HELLO, INPUT, LOOK, NICE, START, STOP

EXEC_BYTES_MAX = 120_000
"""Linux takes 128 KiB (131,072 bytes, the closing NUL included) for one argument, which the command is to its shell."""

KILL_LINE = b"k\n"
"""Written to the command's channel it ends the command: TERM, then after the grace KILL."""

TAKEN_LINE = b"a\n"
"""Written to the command's channel it says that the result has arrived, and that the host need not keep it any longer."""

_GO_LINE = b"go\n"
_RUN_ID = re.compile(r"[0-9A-Za-z._-]{1,64}")
_GREETING = re.compile(rb"vigo:(?P<mark>[0-9A-Za-z._-]{1,64}):(?P<pid>[0-9]+)\n")
_VARIABLE = re.compile(r"[A-Za-z_][0-9A-Za-z_]*")
_UNSAFE = re.compile(r"(['\\!])")
_JOINED = re.compile(r"(?:\b(?:then|do|else|in)|[{(&|]|;;)$")
"""How a line ends that goes on: no semicolon may follow."""
_MS_PER_S = 1000
_MS_PER_TICK = 10
_NICE_IDLE = 15
"""From this niceness on the I/O class is idle, below it the lowest of best-effort."""


@dataclass(frozen=True, slots=True)
class Wire:
    """What is sent for one command."""

    exec_string: str
    """ASCII, without newlines; neither the command nor a secret is in it."""
    stdin: bytes = field(repr=False)
    """Written to the channel once the greeting has come: the word to go, the command, and the values of the secrets."""
    data: bytes = field(default=b"", repr=False)
    """The command's own input, written when the wrapper asks for it, before the greeting; empty when there is none."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a look found of a command."""

    pids: tuple[int, ...] = ()
    """Its processes that are still there."""
    is_running: bool = False
    """Whether its wrapper still waits for it, or for somebody who asks what it ended with."""
    is_ending: bool = False
    """Whether its guardian is still killing what it has found."""
    exit_code: int | None = None
    signal: str | None = None
    """How it ended, if that is on record there; the name is without SIG."""
    keeps_no_record: bool = False
    """Whether the host has no writable folder for a record."""
    is_partial: bool = False
    """Whether the host hides other users' processes from this login, so that there may be more."""


def wrap(
    wire_text: str,
    secrets: Sequence[tuple[str, str]],
    limits: Limits,
    run_id: str,
    privilege: Privilege | None = None,
    *,
    has_password: bool = False,
    data: bytes = b"",
) -> Wire:
    """Put the wrapper round a command.

    `run_id` (1-64 of `[0-9A-Za-z._-]`) marks the command's processes on the host, so it must be unique to this one run
    on this one host; no id may be the beginning of another. With a `privilege` the wrapper itself has those rights;
    `has_password` says that a password can be told to who gives them. Raises UsageError for a command that is empty, has NUL or
    lone surrogates, or does not fit into one argument. `data` is the command's standard input.
    """
    check(wire_text)
    _check_run_id(run_id)
    command = wire_text.encode()
    if len(command) > EXEC_BYTES_MAX:
        raise UsageError(
            f"the command needs {len(command):,} bytes and a host takes {EXEC_BYTES_MAX:,} in one argument;"
            " copy it there as a script and run that"
        )
    taken = "".join(f'text {_lines(value)}; export {_variable(name)}="$l"; ' for name, value in secrets)
    values = b"".join(_value(name, value) + b"\n" for name, value in secrets)
    main = (
        f"{_numbers(limits, run_id)}; {_input(len(data))}{_shrunk(HELLO)}; text {_lines(wire_text)}; c=$l; {taken}"
        f"{_shrunk(CLOCK + GUARDIAN)}; {_start(limits.nice, has_input=bool(data))}"
    )
    # The part that kills is $1: it is parsed only where it is needed.
    by = _call(privilege, run_id, has_password=has_password)
    exec_string = f"exec {by}/bin/sh -c '{main}' vigo '{_shrunk(FIND + STOP)}'"
    return Wire(exec_string, b"%s%s\n%s" % (_GO_LINE, command, values), data)


def look(run_id: str, group: int, privilege: Privilege | None = None, *, has_password: bool = False) -> str:
    """Return the exec string that lists what is left of a command; it reads and changes nothing.

    `group` is the pid that the command's greeting told, 0 when it told none. The `privilege`
    is the command's, whose record and processes nobody else may look at.
    """
    _check_run_id(run_id)
    by = _call(privilege, run_id, has_password=has_password)
    numbers = f"i={run_id} g={int(group) or 'x'}{'' if privilege is None else ' y=1'}"
    return f"exec {by}/bin/sh -c '{numbers}; {_shrunk(FIND + LOOK)}'"


def greeting(run_id: str, data: bytes) -> re.Match[bytes] | None:
    """Find the line that the wrapper writes to stderr before anything else; the group `pid` is the command's.

    One pattern serves all runs: to compile one for each of them would cost more than the search.
    """
    mark = run_id.encode()
    return next((found for found in _GREETING.finditer(data) if found["mark"] == mark), None)


def input_wanted(run_id: str) -> bytes:
    """Return the line on stderr by which the wrapper asks for the command's input."""
    return b"vigo:%s:in\n" % run_id.encode()


def result_kept(run_id: str) -> bytes:
    """Return the line on stderr by which the wrapper asks whether the command's result has arrived."""
    return b"vigo:%s:end\n" % run_id.encode()


def read_look(run_id: str, stdout: bytes) -> Found | None:
    """Read what `look` printed; None when there was no answer in it."""
    answer = re.search(
        b"vigo-left:%s:(running|ending)?:(?:exit ([0-9]+)|signal ([A-Z0-9+-]+)|(none))?[^:\n]*:((?: [0-9]+)*)\\."
        % re.escape(run_id.encode()),
        stdout,
    )
    if answer is None:
        return None
    pids = tuple(int(pid) for pid in answer[5].split())
    return Found(
        pids=tuple(pid for pid in pids if pid),
        is_running=answer[1] == b"running",
        is_ending=answer[1] == b"ending",
        exit_code=None if answer[2] is None else int(answer[2]),
        signal=None if answer[3] is None else answer[3].decode(),
        keeps_no_record=answer[4] is not None,
        is_partial=0 in pids,
    )


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


def _call(privilege: Privilege | None, run_id: str, *, has_password: bool) -> str:
    return "" if privilege is None else privilege.call(run_id, has_password=has_password)


def _numbers(limits: Limits, run_id: str) -> str:
    grace = max(1, _ceil(limits.grace_ms, _MS_PER_TICK))
    return f"i={run_id} d={int(limits.kill_on_disconnect)} t={_ceil(limits.timeout_ms, _MS_PER_S)} k={grace}"


def _check_run_id(run_id: str) -> None:
    if not _RUN_ID.fullmatch(run_id):
        raise ValueError(f"{run_id!r} cannot mark a run")


def _variable(name: str) -> str:
    if not _VARIABLE.fullmatch(name):
        raise ValueError(f"{name!r} cannot name an environment variable")
    return name


def _value(name: str, value: str) -> bytes:
    if "\0" in value or re.search("[\ud800-\udfff]", value):
        raise UsageError(f"the secret {name} holds a NUL character or is not valid text; no environment can carry it")
    return value.encode()


def _lines(text: str) -> int:
    return text.count("\n") + 1


def _input(size_bytes: int) -> str:
    return f"{_shrunk(INPUT.replace('{bytes}', str(size_bytes)))}; " if size_bytes else ""


@lru_cache(maxsize=2 * (NICE_MAX + 1))
def _start(nice: int, *, has_input: bool) -> str:
    stdin = "<&4 4<&-" if has_input else "</dev/null"
    return _shrunk(START.replace("{nice}", _nice(nice)).replace("{stdin}", stdin))


def _nice(nice: int) -> str:
    if not nice:
        return ""
    io = "-c 3" if nice >= _NICE_IDLE else "-c 2 -n 7"
    return NICE.lstrip().replace("{io}", io).replace("{nice}", str(int(nice)))


@lru_cache(maxsize=64)
def _shrunk(script: str) -> str:
    """Drop comments and indentation, join the lines, and make it fit between single quotes in every login shell.

    There a quote ends, a backslash makes each of the three what it is, and a quote begins again.
    """
    lines = [line for line in map(str.strip, script.splitlines()) if line and not line.startswith("#")]
    joined = "".join(f"{line} " if _JOINED.search(line) else f"{line}; " for line in lines).removesuffix("; ")
    return _UNSAFE.sub(r"'\\\1'", joined)


def _ceil(value: int, unit: int) -> int:
    return -(-value // unit)
