"""The wrapper under every interpreter that may be a host's /bin/sh: it must be invisible, and it must kill."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sshd import marker, survivors, wait_until
from vigo.core.command import KILL_LINE, TAKEN_LINE, Found, greeting, look, read_look, result_kept, wrap
from vigo.core.model import Limits

INTERPRETERS = {
    "dash": "dash",
    "bash": "bash --posix",
    "busybox": "busybox sh",
    "ksh": "ksh",
    "zsh": "zsh --emulate sh",
}
LOGIN_SHELLS = ["sh", "bash", "zsh", "fish", "tcsh"]
MARK = f"t{uuid.uuid4().hex}"

# fmt: off
ROWS = [
    "true", "false", "exit 3", "exit 255", ":", "echo hi", "printf 'a\\nb'", "printf '%s' \"a b\"", 'echo "$HOME" | wc -l',
    "echo a; echo b", "echo a && false", "false || echo b", "! true", "(exit 7)", "{ exit 8; }", "exit $((3 + 4))",
    "x=1; echo $x", "x='a  b'; echo $x; echo \"$x\"", "echo ${x:-default}", "echo ${#HOME} >/dev/null", "set -e; false; echo no",
    "set -u; echo $nope", "set -- a b c; echo $# $2", "for i in 1 2 3; do echo $i; done", "i=0; while [ $i -lt 3 ]; do i=$((i+1)); done; echo $i",
    "case abc in a*) echo yes ;; *) echo no ;; esac", "if [ -d / ]; then echo dir; fi", "test -e /nope", "cat </dev/null", "cat",
    'read x; echo "$? [$x]"', "echo a | cat", "echo a | false", "false | echo a", "echo hi >&2", "echo hi 2>&1 >/dev/null", "cat <<E\nhere $((1+1))\nE",
    "cat <<'E'\n$notexpanded `x`\nE", "cat <<-E\n\ttab\n\tE", "echo 'single'", 'echo "double $((2*3))"', "echo a\\ b", "echo \\\\", "echo '!' \"!\"",
    "echo %s %d %%", "printf '%05.1f\\n' 3.14159", "echo *.nothing", "cd /; ls -d t*p", "echo ~root", "f() { echo in f $1; return 4; }; f x", "f() { cat; }; echo piped | f",
    "trap 'echo bye' EXIT; exit 5", "trap 'echo got; exit 6' TERM; kill -TERM $$; sleep 1", "kill -KILL $$", "kill -SEGV $$", "kill -TERM $$", "kill -HUP $$",
    "sh -c 'exit 9'", "sh -c 'kill -9 $$'; echo $?", "exec sh -c 'exit 10'", "exec echo replaced", "eval 'echo evaluated'", "nosuchcommand", "/etc/passwd", "/nope/nope",
    "sleep 0.01 & wait; echo $?", "sleep 0.01 & wait $!; echo $?", "(sleep 0.01; exit 3) & wait $!; echo $?", "true & wait", "echo a > /dev/full", "umask", "ulimit -n",
    "echo $0", "echo $-", "echo $#", 'echo "$@"', 'echo "$IFS" | od -c', "set | grep -c '^vigo'", "alias", "type left guard lonely stop nap add text 2>&1 | grep -c function",
    "ls /proc/self/fd | wc -l", "readlink /proc/self/fd/0", "trap", "(trap '' INT; trap)", "echo $((1<<10))", "echo $(echo nested $(echo deep))", "echo `echo ticks`",
    "printf '\\001\\377\\000x' | od -An -tx1", "head -c 100000 /dev/zero | wc -c", "yes | head -n 3", "seq 3 | while read n; do echo $n; done", "printf 'no newline'", "printf 'a\\r\\nb\\n'",
    "LC_ALL=C sort <<E\nb\na\nE", "env -i sh -c 'echo empty'", "export A=1; sh -c 'echo $A'", "A=2 sh -c 'echo $A'", "unset HOME; echo ${HOME-unset}", "# only a comment",
    "echo a # comment", "\n\necho blank lines\n\n", "echo 'multi\nline'", "echo a;", "(", "echo 'unclosed", "if true", "echo é ü 漢 🎉", "printf '%s\\n' 'it'\"'\"'s'",
]
# fmt: on


@dataclass(frozen=True, slots=True)
class Done:
    """How a wrapped command ended."""

    code: int
    stdout: bytes
    stderr: bytes
    pid: int


@pytest.fixture(params=INTERPRETERS, scope="module")
def interpreter(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a program that stands where a host has /bin/sh."""
    words = INTERPRETERS[request.param].split()
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed")
    path = tmp_path_factory.mktemp(request.param) / "sh"
    path.write_text(f'#!/bin/sh\nexec {" ".join(words)} "$@"\n')
    path.chmod(0o755)
    return path


@contextmanager
def started(
    exec_string: str, stdin: bytes, interpreter: Path | str = "/bin/sh", shell: str = ""
) -> Iterator[subprocess.Popen[bytes]]:
    """Start an exec string as sshd would: as the leader of a session, through a login shell that is this interpreter."""
    text = exec_string.replace("/bin/sh", str(interpreter))
    process = subprocess.Popen(
        [shell or str(interpreter), "-c", text],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        cwd="/",
    )
    assert process.stdin is not None
    try:
        process.stdin.write(stdin)
        process.stdin.flush()
        yield process
    finally:
        for pipe in (process.stdin, process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()
        process.wait()


def carried(command: str, interpreter: Path | str = "/bin/sh", limits: Limits | None = None) -> Done:
    """Run a wrapped command to its end, then close the life line as sshd does."""
    wire = wrap(command, [], limits or Limits(timeout_ms=20_000), MARK)
    with started(wire.exec_string, wire.stdin, interpreter) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        stop_waiting(process)
        stdout, stderr = process.stdout.read(), process.stderr.read()
    told = greeting(MARK, stderr)
    assert told is not None, stderr
    stderr = (stderr[: told.start()] + stderr[told.end() :]).replace(result_kept(MARK), b"")
    return Done(process.returncode, stdout, stderr, int(told["pid"]))


def stop_waiting(process: subprocess.Popen[bytes]) -> int:
    """Wait for the end as the control node does: a command of a second or more is told that its result has arrived."""
    assert process.stdin is not None
    while True:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(1.2)
        process.stdin.write(TAKEN_LINE)
        process.stdin.flush()


def plain(command: str, interpreter: Path | str = "/bin/sh") -> Done:
    """Run a command as it is."""
    done = subprocess.run(
        [interpreter, "-c", command, "sh"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        cwd="/",
        start_new_session=True,
    )
    return Done(done.returncode, done.stdout, done.stderr, 0)


def test_there_are_a_hundred_varied_rows() -> None:
    """The promise below is about this many different commands."""
    assert len(set(ROWS)) >= 100


@pytest.mark.parametrize("row", ROWS)
def test_the_wrapper_is_invisible(row: str) -> None:
    """Output and exit code are those of plain `sh -c`."""
    bare, wrapped = plain(row), carried(row)
    assert (wrapped.code, wrapped.stdout) == (bare.code, bare.stdout)
    assert _numbers(wrapped.stderr) == _numbers(bare.stderr)


def test_it_is_invisible_under_each_interpreter(interpreter: Path) -> None:
    """A sample of the rows, with other shells in the place of /bin/sh."""
    for row in ROWS[::9]:
        if "kill -" in row and interpreter.parent.name.startswith("zsh"):
            continue  # zsh does not tell by what signal a command ended
        bare, wrapped = plain(row, interpreter), carried(row, interpreter)
        assert (row, wrapped.code, wrapped.stdout) == (row, bare.code, bare.stdout)


@given(text=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_travels_unchanged(text: str) -> None:
    """Whatever an operator types reaches the command's shell as it was."""
    assert carried(f"printf %s {shlex.quote(text)}").stdout == text.encode()


@pytest.mark.parametrize("shell", LOGIN_SHELLS)
def test_every_byte_travels_through_every_login_shell(shell: str) -> None:
    """Quotes, backslashes, exclamation marks, newlines, percent signs and the rest of U+0001 to U+00FF."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    text = "".join(map(chr, range(1, 256)))
    wire = wrap(f"printf %s {shlex.quote(text)}", [], Limits(), MARK)
    with started(wire.exec_string, wire.stdin, shell=shell) as process:
        assert process.stdout is not None
        stop_waiting(process)
        assert process.stdout.read() == text.encode()


def test_nothing_is_left_after_a_command_that_ended(interpreter: Path) -> None:
    """Neither the guardian nor its sleep stays behind once the life line is closed."""
    done = carried("echo done", interpreter)
    wait_until(lambda: not _group(done.pid), what="the guardian is gone")


def test_the_host_ends_a_command_at_the_deadline(interpreter: Path) -> None:
    """With the life line open but silent: TERM, then KILL, then what left the group."""
    mark = marker()
    command = f"trap '' TERM; (exec setsid sh -c 'trap \"\" TERM; while :; do sleep 1; done' {mark}) & while :; do sleep 1; done"
    wire = wrap(command, [], Limits(timeout_ms=1000, grace_ms=500), MARK)
    with started(wire.exec_string, wire.stdin, interpreter) as process:
        wait_until(lambda: survivors(mark), what="the command runs")
        assert stop_waiting(process) in {-9, 137}
        wait_until(lambda: not survivors(mark) and not _group(process.pid), what="nothing is left")


def test_a_word_on_the_life_line_ends_it_now(interpreter: Path) -> None:
    """The deadline is far; the word is what kills."""
    mark = marker()
    wire = wrap(f"sh -c 'sleep 900; :' {mark}", [], Limits(timeout_ms=900_000), MARK)
    with started(wire.exec_string, wire.stdin, interpreter) as process:
        assert process.stdin is not None
        wait_until(lambda: survivors(mark), what="the command runs")
        process.stdin.write(KILL_LINE)
        process.stdin.flush()
        assert stop_waiting(process) in {-15, 143}
        wait_until(lambda: not survivors(mark) and not _group(process.pid), what="nothing is left")


@pytest.mark.parametrize("stdin", [b"", KILL_LINE])
def test_without_the_word_to_go_nothing_runs(interpreter: Path, tmp_path: Path, stdin: bytes) -> None:
    """A life line that closes, or that says kill, before the command began."""
    ran = tmp_path / "ran"
    wire = wrap(f": > {ran}", [], Limits(), MARK)
    with started(wire.exec_string, stdin, interpreter) as process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait() == 255
    assert not ran.exists()


def test_the_look_finds_what_is_left_and_only_that(interpreter: Path) -> None:
    """By the mark, whatever group it is in; and nothing once it is gone."""
    mark = marker()
    wire = wrap(f"setsid sh -c 'sleep 900; :' {mark} & sleep 0.2", [], Limits(), MARK)
    with started(wire.exec_string, wire.stdin, interpreter) as process:
        process.wait()
        left = _look(process.pid, interpreter)
    assert left is not None
    assert set(survivors(mark)) & set(left.pids)
    for pid in left.pids:  # one may take another with it
        with suppress(ProcessLookupError):
            os.kill(pid, 9)
    wait_until(lambda: _look(process.pid, interpreter) == Found(), what="the look sees nothing any more")


def test_the_host_pays_little_for_the_wrapper() -> None:
    """CPU of wrapped and plain commands side by side; the figure is printed, the bound is coarse."""
    rounds = 40

    def cost(action: object) -> float:
        before = os.times()
        for _ in range(rounds):
            action("true")  # type: ignore[operator]
        after = os.times()
        return (
            (after.children_user + after.children_system - before.children_user - before.children_system)
            / rounds
            * 1000
        )

    cost(plain)
    bare, wrapped = cost(plain), cost(carried)
    print(f"CPU a command: plain {bare:.2f} ms, wrapped {wrapped:.2f} ms (what the session's own process waited for)")
    assert wrapped < bare + 50


@pytest.mark.parametrize("code", [130, 137, 255])
def test_b16_an_exit_code_above_128_is_no_signal(interpreter: Path, code: int) -> None:
    """What the shell calls 137 may be either; the wrapper finds out which."""
    assert carried(f"exit {code}", interpreter).code == code


@pytest.mark.parametrize("name", ["KILL", "TERM", "SEGV", "HUP", "INT", "PIPE"])
def test_b16_a_signal_ends_the_session_as_it_ended_the_command(interpreter: Path, name: str) -> None:
    """Exact under bash and ksh; dash and busybox say nothing of INT and PIPE, and zsh of none: there it is the code."""
    shell = interpreter.parent.name.rstrip("0123456789")
    code = plain(f"kill -{name} $$", interpreter).code
    known = shell != "zsh" and (shell not in {"dash", "busybox"} or name not in {"INT", "PIPE"})
    assert code == -signal.Signals[f"SIG{name}"].value or (shell, name) == ("zsh", "HUP"), "zsh exits with 1 by itself"
    assert carried(f"kill -{name} $$", interpreter).code == (code if known or code > 0 else 128 - code)


def _look(group: int, interpreter: Path | str = "/bin/sh") -> Found | None:
    with started(look(MARK, group), b"", interpreter) as process:
        assert process.stdout is not None
        return read_look(MARK, process.stdout.read())


def _group(pgid: int) -> list[str]:
    found = subprocess.run(["ps", "-A", "-o", "pgid=,stat=,args="], capture_output=True, text=True, check=True).stdout
    rows = (line.split(None, 2) for line in found.splitlines())
    return [row[2] for row in rows if row[0] == str(pgid) and not row[1].startswith("Z")]


def _numbers(text: bytes) -> bytes:
    return re.sub(rb"\d+", b"N", text)
