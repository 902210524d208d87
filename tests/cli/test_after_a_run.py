"""What can be done with a task after, or while, it ran: pause, resume, rerun, roll back, cancel, look."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.cli.conftest import Result, Vigo

pytestmark = pytest.mark.timeout(180)

_WAIT_S = 60


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for a condition with a deadline."""
    deadline = time.monotonic() + _WAIT_S
    while not condition():
        assert time.monotonic() < deadline, f"never came: {what}"
        time.sleep(0.05)


@contextmanager
def started(vigo: Vigo, *args: str) -> Iterator[subprocess.Popen[str]]:
    """Start `vigo task run …` and leave it running."""
    process = subprocess.Popen(
        vigo.command("task", *args),
        env=vigo.env, cwd=vigo.home, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def counting(lab: Vigo, more: str = "") -> str:
    """Return a command that counts its runs on each host, in a file of this test's own."""
    return f"echo run >> runs.{lab.home.name}; {more}".rstrip("; ")


def counts(lab: Vigo) -> dict[str, int]:
    """Return how often the counting command has run on each host."""
    shown = lab("task", "run", f"cat runs.{lab.home.name} 2>/dev/null | wc -l", "--target", "all", "-o", "json").json()
    return {host["host"].split(".")[0]: int(host["stdout"]["text"]) for host in shown["hosts"]}


def task_of(result: Result) -> str:
    """Return the id that the page's first line tells."""
    return result.out.split()[1]


def status(lab: Vigo, task: str) -> dict[str, Any]:
    """Return a task as machines read it."""
    return lab("task", "status", task, "-o", "json").json()  # type: ignore[no-any-return]


def test_a_canary_runs_alone_and_the_rest_after_a_resume(lab: Vigo) -> None:
    """`--stop-after 1` leaves a paused task, exit 0; the resume runs each other host once, and no host twice."""
    canary = lab("task", "run", counting(lab), "--target", "*.web.*", "--batch-size", "1,100%", "--stop-after", "1")
    task = task_of(canary)
    assert canary.code == 0, canary.err
    assert canary.out.count("[complete]") == 1
    assert f"next: vigo task resume {task}" in canary.err
    assert status(lab, task)["status"] == "paused"
    assert "paused" in lab("task", "list").out
    resumed = lab("task", "resume", task)
    assert resumed.code == 0, resumed.err
    assert resumed.out.startswith(f"Task {task} resumed\n")
    assert resumed.out.count("[complete]") == 3
    assert status(lab, task)["status"] == "complete"
    assert counts(lab) == {"web-01": 1, "web-02": 1, "web-03": 1, "web-04": 1, "db-01": 0}


def test_a_task_that_has_ended_cannot_be_resumed(lab: Vigo) -> None:
    """Exit 2, with what can be done instead; nothing runs."""
    ended = lab("task", "run", "exit 3", "--target", "web-01.example.com")
    refused = lab("task", "resume", task_of(ended))
    assert refused.code == 2
    assert f"vigo task rerun {task_of(ended)} --only failed" in refused.err


def test_a_budget_can_pause_and_the_resume_counts_anew(lab: Vigo) -> None:
    """The operator has seen the failures: the same budget holds for what is left."""
    command = counting(lab, "case $(hostname) in web-0[12]*) exit 1;; esac")
    paused = lab(
        "task", "run", command, "--target", "*.web.*", "--batch-size", "1", "--max-failures", "0", "--on-stop", "pause"
    )
    task = task_of(paused)
    assert paused.code == 3
    assert "1 failure, 0 allowed: web-01.example.com" in paused.err
    again = lab("task", "resume", task)
    assert again.code == 3
    assert "1 failure, 0 allowed: web-02.example.com" in again.err
    last = lab("task", "resume", task)
    assert last.code == 1
    assert status(lab, task)["status"] == "complete"
    assert counts(lab) == {"web-01": 1, "web-02": 1, "web-03": 1, "web-04": 1, "db-01": 0}


def test_a_rerun_is_a_new_task_on_the_hosts_that_ended_so(lab: Vigo) -> None:
    """It names its parent, and runs the same command with the same rules."""
    command = counting(lab, f"test $(wc -l < runs.{lab.home.name}) -gt 1")
    first = lab("task", "run", command, "--target", "web-[01-02].example.com", "--timeout", "30")
    assert first.code == 1
    again = lab("task", "rerun", task_of(first), "--only", "failed")
    assert again.code == 0, again.err
    seen = status(lab, task_of(again))
    assert (seen["parent"], seen["relation"], seen["targets"]) == (task_of(first), "rerun", 2)
    assert seen["command"] == command
    none = lab("task", "rerun", task_of(first), "--only", "lost")
    assert none.code == 2
    assert "2 failed" in none.err
    typo = lab("task", "rerun", task_of(first), "--only", "faild")
    assert typo.code == 2
    assert "did you mean failed?" in typo.err


def test_a_rollback_runs_where_the_task_ran(lab: Vigo) -> None:
    """Not on hosts that were skipped; it is printed as the next command when the task stops."""
    stopped = lab(
        "task", "run", "exit 1", "--target", "*.web.*", "--batch-size", "2", "--max-failures", "1",
        "--rollback-command", counting(lab),
    )  # fmt: skip
    assert stopped.code == 3
    assert f"vigo task rollback {task_of(stopped)}" in stopped.err
    back = lab("task", "rollback", task_of(stopped))
    assert back.code == 0, back.err
    assert status(lab, task_of(back))["relation"] == "rollback"
    assert counts(lab) == {"web-01": 1, "web-02": 1, "web-03": 0, "web-04": 0, "db-01": 0}


def test_a_rollback_that_the_guard_refuses_is_found_at_the_dispatch(lab: Vigo) -> None:
    """Not in the middle of the night, when it is needed."""
    refused = lab("task", "run", "true", "--target", "all", "--rollback-command", "rm -rf /srv/vigo")
    assert refused.code == 6
    assert "/srv/vigo" in refused.err


def test_exit_codes_that_are_accepted_are_no_failure(lab: Vigo) -> None:
    """The code is kept as it is."""
    result = lab("task", "run", "exit 3", "--target", "*.web.*", "--accept-exit", "0,3", "--max-failures", "0")
    assert result.code == 0, result.err
    assert result.out.count("[complete] exit=3") == 4


def test_a_cancel_from_another_terminal_lets_running_hosts_finish(lab: Vigo) -> None:
    """The request is on record with who asked; a second one with --now kills."""
    with started(lab, "run", "sleep 600", "--target", "*.web.*", "--batch-size", "2") as run:
        until(lambda: (lab.home / "data").exists() and lab("task", "status").out.count("[running]") == 2, "two hosts")
        first = lab("task", "cancel", "t", "--operator", "alice")
        assert first.code == 0, first.err
        assert "no further host starts" in first.err
        now = lab("task", "cancel", "t", "--now", "--operator", "alice")
        assert now.code == 0, now.err
        out, err = run.communicate(timeout=_WAIT_S)
    assert run.returncode == 130
    assert "operator alice: no further host starts" in err
    assert (out.count("[cancelled]"), out.count("[skipped]")) == (2, 2)
    late = lab("task", "cancel", "t")
    assert late.code == 2
    assert "does not run: it is cancelled" in late.err


def test_hosts_in_flight_at_a_crash_are_looked_at_and_run_again_only_when_asked(lab: Vigo) -> None:
    """After `kill -9`: the look tells what runs; the resume leaves it lost; `--include-lost` starts it again."""
    command = counting(lab, "case $(hostname) in web-01*) sleep 600;; esac")
    with started(
        lab, "run", command, "--target", "*.web.*", "--batch-size", "1", "--kill-on-disconnect", "--timeout", "60"
    ) as run:
        until(lambda: (lab.home / "data").exists() and "[running]" in lab("task", "status").out, "a running host")
        until(lambda: counts(lab)["web-01"] == 1, "the command on the host")
        run.send_signal(signal.SIGKILL)
        run.wait()
    task = lab("task", "list", "-o", "json").json()["tasks"][-1]["id"]
    assert status(lab, task)["status"] == "interrupted"
    until(lambda: "running" not in lab("task", "status", task, "--look").out, "the end on disconnect")
    resumed = lab("task", "resume", task)
    assert resumed.code == 1, resumed.err
    assert "--include-lost" in resumed.err
    assert [host["outcome"] for host in status(lab, task)["hosts"]] == ["lost", "complete", "complete", "complete"]
    assert counts(lab) == {"web-01": 1, "web-02": 1, "web-03": 1, "web-04": 1, "db-01": 0}


def test_a_preflight_connects_and_does_not_run_the_command(lab: Vigo) -> None:
    """Each host has an outcome, and the counter stays where it was."""
    result = lab("task", "run", counting(lab), "--target", "all", "--preflight")
    assert result.code == 0, result.err
    assert result.out.count("[complete]") == 5
    assert set(counts(lab).values()) == {0}


def test_an_exclusive_task_waits_for_whoever_holds_its_hosts(lab: Vigo) -> None:
    """By default the overlap is told and nothing waits; `--no-wait` fails instead; a dead holder holds nothing."""
    with started(lab, "run", "sleep 600", "--target", "web-01.example.com") as holder:
        until(lambda: (lab.home / "data").exists() and "[running]" in lab("task", "status").out, "the holder")
        told = lab("task", "run", "true", "--target", "web-[01-02].example.com")
        assert told.code == 0
        assert "web-01.example.com" in next(line for line in told.err.splitlines() if "held too" in line)
        refused = lab("task", "run", "true", "--target", "*.web.*", "--exclusive", "--no-wait")
        assert refused.code == 6
        with started(lab, "run", "true", "--target", "*.web.*", "--exclusive") as waiting:
            time.sleep(1)
            assert waiting.poll() is None
            holder.send_signal(signal.SIGKILL)
            holder.wait()
            out, err = waiting.communicate(timeout=_WAIT_S)
    assert waiting.returncode == 0, err
    assert out.count("[complete]") == 4


def test_a_resume_where_fewer_files_may_be_open_takes_fewer_hosts_at_once(lab: Vigo) -> None:
    """One line says so, and each host still runs once."""
    task = task_of(
        lab("task", "run", counting(lab), "--target", "*.web.*", "--batch-size", "1,100%", "--stop-after", "1")
    )
    limited = ["sh", "-c", 'ulimit -n 48; exec "$@"', "sh", *lab.command("task", "resume", task)]
    done = subprocess.run(limited, env=lab.env, cwd=lab.home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "the limit of 48 open files allows 2 hosts at once instead of 3; ulimit -n 50 allows all" in done.stderr
    assert counts(lab) == {"web-01": 1, "web-02": 1, "web-03": 1, "web-04": 1, "db-01": 0}
