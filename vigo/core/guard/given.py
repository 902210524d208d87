"""Puts a command and what it is given together: the text that travels, and the text that the guards read.

Both are made here, from the same parts, so that nothing can be judged and another thing sent. What travels with a script is
a few fixed lines that keep it in a private file, run it and remove it; what is judged is the script.
"""

from __future__ import annotations

from functools import lru_cache

from vigo.core.given import Given, Script, Shell
from vigo.core.guard.judge import explain
from vigo.core.placeholders import quote

TEXT_MAX = 65_536
"""What the analyser reads at most, in characters: a longer text is a finding."""
PIECE_MAX = 8_000
"""What it reads of a program in another language at once."""
SHORT_MAX = 4_000
"""Of a longer program in another language only what names something of vigo is read."""
SMALL_MAX = 32_768
"""An input that is longer is read by the guards only where the command would run it."""

_RUN_SCRIPT = """\
_script=$(umask 077 && mktemp "${TMPDIR:-/tmp}/vigo-script-XXXXXX") || exit 126
trap 'rm -f "$_script"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
cat >"$_script" || exit 126
"""
_RUN_IN_TERMINAL = """\
case $(script --version 2>/dev/null) in
*util-linux*) ;;
*) echo 'vigo: --pty: this host has no script(1) of util-linux, which makes the terminal; the command did not run' >&2
   exit 126 ;;
esac
export vigo_command vigo_shell="${SHELL-}"
SHELL=/bin/sh TERM=${TERM:-dumb} script -qec "$_inner" /dev/null
"""
"""Runs what is in vigo_command in a terminal of its own, by $_inner."""
_IN_TERMINAL = """\
_command=$vigo_command SHELL=$vigo_shell
unset vigo_command vigo_shell
[ "$SHELL" ] || unset SHELL
stty -echo -onlcr cols 80 rows 24
exec /bin/sh -c "$_command" sh
"""
"""What script(1) starts: it takes the operator's words out of the environment, so that no argument list has them."""
_PROBES = (
    "systemctl stop vigo\n/srv/vigo\n",
    "c3lzdGVtY3RsIHN0b3AgdmlnbwovdXNyL2Jpbi9lbnYgcm0gLXJmIC9zcnYvdmlnbwo=\n",
)
"""Inputs that no command may get that runs them or acts on them: as they are, and in base64."""
_CANNOT_ANALYSE = "cannot-analyse"
_LITERALS = frozenset(("python", "perl", "ruby", "node", "nodejs", "php", "lua"))


def travelling(command: str, given: Given) -> str:
    """Return the text that travels to `sh -c` on the host."""
    return _exports(given) + _body(command, given)


def shown(command: str, given: Given) -> str:
    """Return what is run, for people: without the lines that bring a script there or make a terminal."""
    return _exports(given) + (given.script.shown if given.script else _run_by(command, given.shell))


@lru_cache(maxsize=4)
def judged(command: str, given: Given, data: bytes) -> str:
    """Return what the guards read; `data` is the script, or the command's standard input."""
    if given.script is not None:
        return _exports(given) + _of_script(given.script, data)
    if not data:
        return _exports(given) + _run_by(command, given.shell)
    shell = given.shell or "sh"
    return _with_input(_exports(given), f"{shell} -c {quote(command)} {shell}", data)


def _exports(given: Given) -> str:
    return "".join(f"export {name}={quote(value)}\n" for name, value in given.env)


def _body(command: str, given: Given) -> str:
    if given.script is not None:
        words = " ".join(map(quote, given.script.interpreter))
        args = "".join(f" {quote(arg)}" for arg in given.script.args)
        if given.has_terminal:
            within = f'set -- "$_script"; unset _script; exec {words} "$1"{args}'
            return f"{_RUN_SCRIPT}export _script\n{_in_terminal(within)} </dev/null\n"
        return f'{_RUN_SCRIPT}{words} "$_script"{args} </dev/null\n'
    run = _run_by(command, given.shell)
    return _in_terminal(run) if given.has_terminal else run


def _run_by(command: str, shell: Shell | None) -> str:
    return command if shell is None else f"exec {shell} -c {quote(command)} {shell}"


def _in_terminal(text: str) -> str:
    return f"vigo_command={quote(text)} _inner={quote(_IN_TERMINAL)}\n{_RUN_IN_TERMINAL.rstrip()}"


def _of_script(script: Script, data: bytes) -> str:
    text = _text(data)
    args = "".join(f" {quote(arg)}" for arg in script.args)
    if script.is_shell:
        return _here(f"{script.language} -s --{args}", text)
    language = script.language.rstrip("0123456789.")
    reader = f"{language if language in _LITERALS else 'python'} -"
    return "".join(_here(reader, piece) for piece in _pieces(text))


@lru_cache(maxsize=4)
def _pieces(text: str) -> tuple[str, ...]:
    """Cut a program at its lines, so that each piece is read whole; of a long one the pieces that name what is protected.

    The reader of other languages takes every literal for what the program acts on: of one-liners that is true.
    """
    from vigo.core.guard.protected import WORD  # noqa: PLC0415 - loaded with the first question, like the analyser

    pieces = [""]
    for line in text.splitlines(keepends=True):
        for part in (line[at : at + PIECE_MAX] for at in range(0, len(line), PIECE_MAX)):
            if len(pieces[-1]) + len(part) > PIECE_MAX:
                pieces.append("")
            pieces[-1] += part
    if len(text) > SHORT_MAX:
        pieces = [piece for piece in pieces if WORD.search(piece)]
    return tuple(pieces)


@lru_cache(maxsize=64)
def _with_input(exports: str, runner: str, data: bytes) -> str:
    """Return the command with its input as a here-document, or without where the input is nothing but data to it."""
    bare = exports + runner
    if len(data) <= SMALL_MAX:
        whole = exports + _here(runner, _text(data))
        finding = explain(whole).finding
        if finding is None or finding.rule != _CANNOT_ANALYSE:
            return whole
    return exports + _here(runner, _excerpt(data)) if _acts_on_input(exports, runner) else bare


def _acts_on_input(exports: str, runner: str) -> bool:
    """Tell whether what is found depends on what the command reads."""
    found = explain(exports + runner).finding
    rule = found and (found.rule, found.pattern)
    for probe in _PROBES:
        other = explain(exports + _here(runner, probe)).finding
        if (other and (other.rule, other.pattern)) != rule:
            return True
    return False


@lru_cache(maxsize=4)
def _excerpt(data: bytes) -> str:
    """Return what makes the analyser say that it cannot read so much: as much, and the first protected name in it."""
    from vigo.core.guard.protected import WORD  # noqa: PLC0415 - as above

    text = _text(data)
    named = WORD.search(text)
    return f"{named.group() if named else ''}\n{text[:TEXT_MAX]}"


def _here(runner: str, text: str) -> str:
    end = "END_OF_INPUT"
    while end in text:
        end += "_"
    return f"{runner} <<'{end}'\n{text}{'' if text.endswith(chr(10)) else chr(10)}{end}\n"


def _text(data: bytes) -> str:
    """Read bytes as a shell would: NUL is nothing, and what is not UTF-8 is no name of anything protected."""
    return data.replace(b"\0", b"").decode("utf-8", "replace")
