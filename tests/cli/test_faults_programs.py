"""The fault catalogue's part on signals, pipes, loops, terminals and large fleets, through the program."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pexpect
import psutil
import pytest

from tests.cli.conftest import Vigo
from tests.sshd import marker, survivors, wait_until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

_WAIT_S = 120
_HOSTS = 20
_SGR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(scope="module")
def twenty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Start a lab of twenty hosts."""
    home = tmp_path_factory.mktemp("twenty")
    home.chmod(0o755)
    vigo = Vigo(home, {"VIGO_LAB_DIR": str(home / "lab")})
    up = vigo("lab", "up", "--hosts", str(_HOSTS))
    assert up.code == 0, up.err
    yield home / "lab"
    vigo("lab", "down")


@pytest.fixture
def fleet(tmp_path: Path, twenty: Path) -> Vigo:
    """Return the program with the twenty hosts and an empty journal."""
    return Vigo(tmp_path, {"VIGO_LAB_DIR": str(twenty), "VIGO_INVENTORY": "lab"})


def start(vigo: Vigo, *args: str) -> subprocess.Popen[str]:
    """Start a run."""
    return subprocess.Popen(
        vigo.command("task", "run", *args),
        env=vigo.env, cwd=vigo.home, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def outcomes(vigo: Vigo) -> list[str]:
    """Return how the last task's hosts ended."""
    return [host["outcome"] for host in vigo("task", "status", "-o", "json").json()["hosts"]]


def requests(vigo: Vigo) -> int:
    """Return how many cancels are on record."""
    return sum(event["kind"] == "task.cancel" for event in vigo.events())


def all_begun(mark: str) -> Callable[[], bool]:
    """Return the question whether the command runs on all hosts."""
    return lambda: len(survivors(f"900 # {mark}")) >= _HOSTS


# --- signals


def test_b7_one_interrupt_drains_and_two_kill(fleet: Vigo) -> None:
    """Twenty hosts run: the first Ctrl-C lets them, the second ends them all; five times, with 0 processes left."""
    worst_s = 0.0
    for _ in range(5):
        mark, asked = marker(), requests(fleet) if (fleet.home / "data").exists() else 0
        with start(fleet, f"sh -c 'sleep 900 # {mark}'", "--target", "all") as run:
            wait_until(all_begun(mark), within_s=_WAIT_S, what="all hosts run")
            run.send_signal(signal.SIGINT)
            wait_until(lambda: requests(fleet) > asked, what="the first request is on record")  # noqa: B023 - waited for here
            assert run.poll() is None
            begin = time.monotonic()
            run.send_signal(signal.SIGINT)
            out, _ = run.communicate(timeout=_WAIT_S)
            worst_s = max(worst_s, time.monotonic() - begin)
        assert (run.returncode, out.count("[cancelled]")) == (130, _HOSTS)
        wait_until(lambda: not survivors(mark), what="nothing is left")  # noqa: B023 - waited for here
    print(f"B7: prompt {worst_s:.2f} s after the second Ctrl-C at worst, 0 survivors")


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGTERM, 143, "cancelled"), (signal.SIGHUP, 130, "complete")]
)
def test_b8_a_termination_kills_and_a_hangup_drains(fleet: Vigo, number: signal.Signals, code: int, word: str) -> None:
    """SIGTERM is the second Ctrl-C, SIGHUP the first; either way every host has its outcome."""
    mark, seconds = marker(), 900 if number is signal.SIGTERM else 3
    with start(fleet, f"sh -c 'sleep {seconds} # {mark}'", "--target", "all") as run:
        wait_until(lambda: len(survivors(f"{seconds} # {mark}")) >= _HOSTS, within_s=_WAIT_S, what="all hosts run")
        begin = time.monotonic()
        run.send_signal(number)
        out, err = run.communicate(timeout=_WAIT_S)
    print(
        f"B8 {number.name}: exit {run.returncode} after {time.monotonic() - begin:.2f} s, {out.count(f'[{word}]')} {word}"
    )
    assert (run.returncode, set(outcomes(fleet))) == (code, {word}), err
    assert not survivors(mark)


# --- pipes and loops


def test_b20_a_reader_that_waits_holds_no_host_up(fleet: Vigo) -> None:
    """More output than a pipe holds, and nobody reads: the batch that runs ends and is on record; nothing is lost."""
    with start(fleet, "seq 20000", "--target", "all", "--batch-size", "5") as run:
        assert run.stdout is not None
        begin = time.monotonic()
        wait_until((fleet.home / "data" / "journal.db").exists, what="the task is dispatched")
        time.sleep(10)  # the fault itself: nobody reads for so long
        recorded = sum(event["kind"] == "host.finished" for event in fleet.events())
        assert run.poll() is None
        out, err = run.communicate(timeout=_WAIT_S)
    assert (run.returncode, out.count("[complete]")) == (0, _HOSTS), err
    assert recorded >= 5
    assert out.count("\n19999\n") == _HOSTS
    print(f"B20: {recorded} of {_HOSTS} hosts on record while nobody read; done after {time.monotonic() - begin:.1f} s")


def test_b21_a_loop_over_a_list_loses_no_line(fleet: Vigo) -> None:
    """`while read host; do vigo …; done < list`: standard input is the loop's, and vigo reads none of it."""
    names = [host["host"] for host in fleet("inventory", "list", "-o", "json").json()["hosts"]][:6]
    (fleet.home / "list").write_text("".join(f"{name}\n" for name in names))
    words = shlex.join(fleet.command("task", "run", "cat; hostname", "--target"))
    done = subprocess.run(
        ["sh", "-c", f'while read h; do {words} "$h"; done < list'],
        env=fleet.env, cwd=fleet.home, capture_output=True, text=True, check=False, timeout=_WAIT_S,
    )  # fmt: skip
    ran = re.findall(r"^--- (\S+) \[complete\]", done.stdout, re.MULTILINE)
    print(f"B21: {len(names) - len(ran)} of {len(names)} lines eaten")
    assert ran == names, done.stderr


# --- a large fleet


def test_c8_five_hundred_hosts_in_batches_of_fifty(tmp_path: Path) -> None:
    """All complete within 300 MB; wall time, memory, CPU and descriptors are told."""
    tmp_path.chmod(0o755)
    vigo = Vigo(tmp_path, {"VIGO_LAB_DIR": str(tmp_path / "lab"), "VIGO_INVENTORY": "lab"})
    assert vigo("lab", "up", "--hosts", "500", timeout=_WAIT_S).code == 0
    try:
        begin = time.monotonic()
        process = subprocess.Popen(
            vigo.command("task", "run", "true", "--target", "all", "--batch-size", "50"),
            env=vigo.env, cwd=vigo.home, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        watched, rss, fds, cpu_s = psutil.Process(process.pid), 0, 0, 0.0
        while process.poll() is None:
            try:
                rss, fds = max(rss, watched.memory_info().rss), max(fds, watched.num_fds())
                cpu_s = max(cpu_s, sum(watched.cpu_times()[:2]))
            except psutil.Error:
                break
            time.sleep(0.05)  # the probe's interval
        code, took_s = process.wait(), time.monotonic() - begin
        ended = outcomes(vigo)
    finally:
        vigo("lab", "down", timeout=_WAIT_S)
    print(f"C8: {took_s:.1f} s, RSS {rss / 1e6:.0f} MB, CPU {cpu_s:.1f} s, {fds} descriptors")
    assert (code, ended) == (0, ["complete"] * 500)
    assert rss <= 300_000_000


# --- terminals


_HOSTILE = (
    "\x1b]0;owned\x07", "\x1b]52;c;b3duZWQ=\x07", "\x1b[2J\x1b[H", "\x1b[6n", "\x1b[c", "\x1b[21t", "\x1b[?1049h", "\x1bP$q m\x1b\\",
    "\x1b_Gx\x1b\\", "\u009b2J", "\u202e", "\u200b", "x\b\b", "good\rbad",
)  # fmt: skip


def on_terminal(vigo: Vigo, args: Sequence[str], *, size: tuple[int, int] = (24, 80), **environ: str) -> str:
    """Run the program on a terminal and return all that reached it."""
    command, *rest = vigo.command(*args)
    child = pexpect.spawn(
        command,
        rest,
        env={**vigo.env, **environ},
        cwd=str(vigo.home),
        encoding="utf-8",
        timeout=_WAIT_S,
        dimensions=size,
    )
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0, child.before
    return str(child.before)


@pytest.mark.parametrize("stream", ["", " >&2"])
def test_e1_nothing_that_a_host_prints_drives_the_terminal(fleet: Vigo, stream: str) -> None:
    """Through the program on a real terminal: of what a host prints only visible characters reach it."""
    octal = "".join(f"\\{byte:03o}" for text in _HOSTILE for byte in f"{text}|".encode())
    seen = on_terminal(
        fleet,
        ["task", "run", f"printf '{octal}'{stream}", "--target", "all", "--limit", "1"],
        TERM="xterm-256color",
        LANG="C.UTF-8",
    )
    reached = [text for text in _HOSTILE if text in seen]
    foreign = [char for char in _SGR.sub("", seen) if ord(char) < 32 and char not in "\r\n\t"]
    print(f"E1{stream}: {len(reached)} of {len(_HOSTILE)} sequences reached the terminal, {len(foreign)} control bytes")
    assert not reached
    assert "\\x1b]0;owned\\x07" in seen
    assert not foreign


@pytest.mark.parametrize(
    ("environ", "size"),
    [
        ({"TERM": "dumb"}, (24, 80)),
        ({"TERM": "xterm", "NO_COLOR": "1"}, (24, 80)),
        ({"TERM": "dumb", "LANG": "C"}, (5, 10)),
    ],
    ids=["dumb", "NO_COLOR", "ten columns and ASCII"],
)
def test_e3_without_a_capable_terminal_there_are_no_escapes(
    fleet: Vigo, environ: dict[str, str], size: tuple[int, int]
) -> None:
    """0 escapes, 0 characters that cannot be encoded; the same in a pipe."""
    args = ["task", "run", "printf 'gr\\303\\274\\303\\237e\\n'", "--target", "all", "--limit", "2"]
    seen = on_terminal(fleet, args, size=size, **environ)
    piped = replace(fleet, environ={**fleet.environ, **environ})(*args)
    escapes = seen.count("\x1b") + (piped.out + piped.err).count("\x1b")
    print(f"E3 {environ}: {escapes} escapes")
    assert (piped.code, escapes) == (0, 0)
    assert "Traceback" not in seen


# --- the installed program


def test_e16_help_needs_nothing_and_is_quick() -> None:
    """No HOME, no network, ASCII, a file system that cannot be written: five starts."""
    script = 'mount -o remount,bind,ro / 2>/dev/null || mount --bind / / && mount -o remount,bind,ro /; exec "$@"'
    isolated = ["unshare", "-m", "-n", "sh", "-c", script, "sh"] if os.geteuid() == 0 else []
    took = []
    for _ in range(5):
        begin = time.monotonic()
        done = subprocess.run(
            [*isolated, sys.executable, "-m", "vigo", "--help"],
            env={"PATH": os.environ["PATH"], "LANG": "C"}, cwd=Path(__file__).parents[2],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        took.append(time.monotonic() - begin)
        assert (done.returncode, done.stdout.isascii()) == (0, True), done.stderr
    print(f"E16: {max(took):.2f} s at worst, {min(took):.2f} s at best")
