"""Runs that are watched, interrupted, ended and killed."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.cli.conftest import Vigo

pytestmark = pytest.mark.timeout(180)

_WAIT_S = 60


def _until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + _WAIT_S
    while not condition():
        assert time.monotonic() < deadline, f"never came: {what}"
        time.sleep(0.05)


def _running(mark: str) -> list[int]:
    """Return the processes on this machine that have the mark in their arguments."""
    pids = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if mark.encode() in entry.read_bytes():
                pids.append(int(entry.parent.name))
        except OSError:
            continue
    return pids


@contextmanager
def _started(vigo: Vigo, *args: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        vigo.command("task", "run", *args),
        env=vigo.env, cwd=vigo.home, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def _in_flight(vigo: Vigo, count: int) -> Callable[[], bool]:
    return lambda: (
        vigo("task", "status").out.count("[running]") >= count if vigo("task", "list").out.count("\n") > 1 else False
    )


@pytest.fixture
def door() -> Iterator[Path]:
    """Return a path that commands on lab hosts can wait for; make the file, and they go on."""
    with tempfile.TemporaryDirectory(prefix="vigo-door-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "open"


def _until_open(door: Path) -> str:
    return f"until [ -e {door} ]; do sleep 0.1; done"


def test_status_tells_from_another_terminal_while_it_runs(lab: Vigo) -> None:
    """`task status` says running and which hosts have ended, while the run goes on."""
    command = "case $(hostname) in web-01*) echo early;; *) sleep 60;; esac"
    with _started(lab, command, "--target", "*.web.*") as run:
        _until(lambda: "early" in lab("task", "status").out if (lab.home / "data").exists() else False, "first result")
        status = lab("task", "status")
        assert "Status:   running\n" in status.out
        assert "--- web-01.example.com [complete]" in status.out
        assert "--- web-02.example.com [running]" in status.out
        assert "running" in lab("task", "list").out
        run.send_signal(signal.SIGTERM)
        assert run.wait(timeout=_WAIT_S) == 143


def test_the_first_interrupt_lets_running_hosts_finish(lab: Vigo, door: Path) -> None:
    """Nothing more starts, what runs completes, the rest is skipped; exit 130 and status cancelled."""
    with _started(lab, _until_open(door), "--target", "*.web.*", "--batch-size", "2") as run:
        _until(_in_flight(lab, 2), "two running hosts")
        run.send_signal(signal.SIGINT)
        _until(lambda: any(event["kind"] == "task.cancel" for event in lab.events()), "the request on record")
        door.touch()
        out, err = run.communicate(timeout=_WAIT_S)
    assert (run.returncode, out.count("[complete]"), out.count("[skipped]")) == (130, 2, 2)
    assert "once more kills" in err
    assert "Status:   cancelled\n" in lab("task", "status").out


def test_the_second_interrupt_kills_on_the_hosts(lab: Vigo) -> None:
    """Every running host is `cancelled`, and nothing of the command is left."""
    mark = f"VIGO_T={os.getpid()}.{time.monotonic_ns()}"
    with _started(lab, f"sh -c 'sleep 600; : {mark}'", "--target", "*.web.*") as run:
        _until(_in_flight(lab, 4), "four running hosts")
        _until(lambda: _running(mark), "the command on the hosts")
        run.send_signal(signal.SIGINT)
        run.send_signal(signal.SIGINT) if run.poll() is None else None
        time.sleep(0.3)
        run.send_signal(signal.SIGINT)
        out, _ = run.communicate(timeout=_WAIT_S)
    assert (run.returncode, out.count("[cancelled]")) == (130, 4)
    _until(lambda: not _running(mark), "the end of the command on the hosts")


def test_a_run_under_nohup_outlives_its_terminal(lab: Vigo, door: Path) -> None:
    """Who started it had it ignore SIGHUP: all hosts run, where without `nohup` none would start any more."""
    words = lab.command("task", "run", _until_open(door), "--target", "*.web.*", "--batch-size", "2")
    with subprocess.Popen(
        ["nohup", *words], env=lab.env, cwd=lab.home, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as run:  # fmt: skip
        _until(_in_flight(lab, 2), "two running hosts")
        run.send_signal(signal.SIGHUP)
        door.touch()
        out, err = run.communicate(timeout=_WAIT_S)
    assert (run.returncode, out.count("[complete]")) == (0, 4), err


def test_a_killed_control_process_is_interrupted_not_running(lab: Vigo) -> None:
    """After `kill -9`: status says interrupted, verify names the task and exits 0, and the deadline holds on the hosts."""
    mark = f"VIGO_T={os.getpid()}.{time.monotonic_ns()}"
    with _started(
        lab, f"sh -c 'trap \"\" TERM; while :; do sleep 1; done; : {mark}'", "--target", "*.web.*", "--timeout", "3"
    ) as run:
        _until(_in_flight(lab, 4), "four running hosts")
        run.kill()
        run.wait()
    status = lab("task", "status")
    assert "Status:   interrupted\n" in status.out
    assert status.out.count("[lost] outcome unknown") == 4
    task = lab("task", "status", "-o", "json").json()["id"]
    verify = lab("audit", "verify")
    assert verify.code == 0
    assert f"completeness: 1 interrupted: {task}" in verify.out
    _until(lambda: not _running(mark), "the end of the command by its deadline and grace")


def test_a_closed_pipe_ends_the_output_not_the_run(lab: Vigo) -> None:
    """`| head -1` reads one line and goes; every host still has its outcome in the journal."""
    command = " ".join(map(_quoted, lab.command("task", "run", "echo x", "--target", "*.web.*", "--batch-size", "1")))
    piped = subprocess.run(
        ["sh", "-c", f"{command} | head -1"],
        env=lab.env,
        cwd=lab.home,
        capture_output=True,
        text=True,
        timeout=_WAIT_S,
        check=False,
    )
    assert piped.stdout.startswith("Task t")
    assert "Traceback" not in piped.stderr
    _until(lambda: "Status:   complete\n" in lab("task", "status").out, "the end of the run")
    assert lab("task", "status").out.count("[complete] exit=0") == 4


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_is_closed_from_the_beginning_stops_nothing(lab: Vigo, closed: str) -> None:
    """The run goes to its end, with its exit code, and what is open still gets its part."""
    words = lab.command("task", "run", "hostname", "--target", "web-01.example.com")
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *words],
        env=lab.env, cwd=lab.home, capture_output=True, text=True, timeout=_WAIT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert ("[complete]" in done.stdout) is (">&-" not in closed.replace("2>&-", ""))
    assert ("next: vigo task status" in done.stderr) is ("2>&-" not in closed)
    assert "Status:   complete\n" in lab("task", "status").out


def test_without_standard_input_nobody_can_say_yes(lab: Vigo) -> None:
    """A finding needs an answer; where none can come the task is blocked and on record."""
    words = lab.command("task", "run", "systemctl stop vigo", "--target", "web-01.example.com")
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *words],
        env=lab.env, cwd=lab.home, capture_output=True, text=True, timeout=_WAIT_S, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (6, "")
    assert "blocked" in done.stderr
    assert "Status:   blocked\n" in lab("task", "status").out


def test_what_a_failing_journal_cannot_hold_is_told(lab: Vigo, door: Path) -> None:
    """A journal that others keep locked stops the run, exit 7; how the running hosts ended stands on the terminal."""
    with _started(lab, f"{_until_open(door)}; exit 3", "--target", "*.web.*", "--batch-size", "2") as run:
        _until(_in_flight(lab, 2), "two running hosts")
        with closing(sqlite3.connect(lab.home / "data" / "journal.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            door.touch()
            out, err = run.communicate(timeout=_WAIT_S)
    assert (run.returncode, out.count("---")) == (7, 0), err
    assert all(f"web-0{number}.example.com: [failed] exit=3" in err for number in (1, 2)), err
    assert "2 hosts never started" in err


def test_a_full_standard_output_is_said_and_the_run_goes_on(lab: Vigo) -> None:
    """Exit 74 and one line on stderr; every host has its outcome in the journal."""
    for args in (["task", "run", "true", "--target", "*.web.*"], ["task", "status"], ["task", "list", "-o", "json"]):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                lab.command(*args),
                env=lab.env,
                cwd=lab.home,
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        assert done.returncode == 74, (args, done.stderr)
        assert "standard output cannot be written: No space left on device" in done.stderr
        assert "Traceback" not in done.stderr
    assert lab("task", "status").out.count("[complete] exit=0") == 4
