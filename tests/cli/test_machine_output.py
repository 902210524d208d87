"""`-o jsonl`, `-o json` and `-o junit` of real runs: the same while it runs and afterwards, and as the schemas say."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

from jsonschema import Draft202012Validator

from tests.cli.conftest import Vigo

_SCHEMAS = Path(__file__).parents[2] / "docs/reference/schema"


def _validate(name: str, value: object) -> None:
    Draft202012Validator(json.loads((_SCHEMAS / f"{name}.json").read_text())).validate(value)


def test_forms_of_a_run_and_of_history_are_the_same_and_valid(lab: Vigo) -> None:
    """Byte for byte, for a run that a budget stopped, with output that is not text."""
    command = "printf 'x\\377\\033[31m'; case $(hostname) in web-02*) exit 3;; esac"
    flags = ("--target", "*.web.*", "--batch-size", "2", "--max-failures", "0")
    live = lab("task", "run", command, *flags, "-o", "jsonl")
    assert live.code == 3, live.err
    assert lab("task", "status", "-o", "jsonl").out == live.out
    events = [json.loads(line) for line in live.out.splitlines()]
    for event in events:
        _validate("event", event)
    assert (events[0]["event"], events[-1]["data"]["status"]) == ("task.dispatch", "aborted")
    _validate("task", lab("task", "status", "-o", "json").json())
    _validate("tasks", lab("task", "list", "-o", "json").json())
    _validate("plan", lab("task", "run", command, *flags, "--dry-run", "-o", "json").json())
    ended = lab("task", "run", command, *flags, "-o", "junit")
    assert (ended.code, lab("task", "status", "-o", "junit").out) == (3, ended.out)
    root = ET.fromstring(ended.out)
    assert {name: root.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "5",
        "failures": "1",
        "errors": "1",
        "skipped": "2",
    }
    assert root.findtext(".//failure") == "x\\xff\\x1b[31m\n"


def test_an_event_is_there_when_it_happens(lab: Vigo) -> None:
    """The start is read while the command runs; `status` in the same form agrees, and the end comes last."""
    words = lab.command("task", "run", "sleep 30", "--target", "web-01*", "-o", "jsonl")
    with subprocess.Popen(
        words, env=lab.env, cwd=lab.home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        first = [run.stdout.readline() for _ in range(2)]
        assert [json.loads(line)["event"] for line in first] == ["task.dispatch", "host.started"]
        assert lab("task", "status", "-o", "jsonl").out == "".join(first)
        run.terminate()
        rest, err = run.communicate(timeout=60)
    assert (run.returncode, json.loads(rest.splitlines()[-1])["event"]) == (143, "task.finished"), err


def _piped(lab: Vigo, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        lab.command(*words), env=lab.env, cwd=lab.home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_whoever_watches_reads_each_event_as_it_is_written(lab: Vigo) -> None:
    """The same bytes as live and from history; Ctrl-C and a reader who goes away end the watching and nothing else."""
    watch = ("task", "status", "--watch", "-o", "jsonl")
    with _piped(lab, "task", "run", "echo hi; sleep 60", "--target", "*.web.*", "-o", "jsonl") as run:
        assert run.stdout is not None
        begun = [run.stdout.readline() for _ in range(5)]
        with _piped(lab, *watch) as whole, _piped(lab, *watch) as stopped, _piped(lab, *watch) as left:
            for one in (whole, stopped, left):
                assert one.stdout is not None
                assert [one.stdout.readline() for _ in range(5)] == begun
            stopped.send_signal(signal.SIGINT)
            _, told = stopped.communicate(timeout=60)
            assert (stopped.returncode, "goes on: vigo task status t" in told) == (130, True), told
            assert left.stdout is not None
            left.stdout.close()
            assert left.stderr is not None
            assert (left.wait(60), left.stderr.read()) == (0, "")
            assert (run.poll(), whole.poll()) == (None, None)
            run.terminate()
            live = [*begun, *run.communicate(timeout=60)[0].splitlines(keepends=True)]
            seen, told = whole.communicate(timeout=60)
        assert (whole.returncode, told) == (0, "")
    assert [*begun, *seen.splitlines(keepends=True)] == live
    assert json.loads(live[-1])["event"] == "task.finished"
    assert lab("task", "status", "-o", "jsonl").out == "".join(live)
    assert lab(*watch).out == "".join(live)


def test_watching_ends_with_the_control_process(lab: Vigo) -> None:
    """No end is on record then: the stream stops, and standard error says why and what to do."""
    words = ("task", "run", "sleep 60", "--target", "web-01*", "--kill-on-disconnect", "-o", "jsonl")
    with _piped(lab, *words) as run:
        assert run.stdout is not None
        begun = [run.stdout.readline() for _ in range(2)]
        with _piped(lab, "task", "status", "--watch", "-o", "jsonl") as watching:
            assert watching.stdout is not None
            assert [watching.stdout.readline() for _ in range(2)] == begun
            run.kill()
            rest, told = watching.communicate(timeout=60)
    assert (watching.returncode, rest) == (0, "")
    assert "is interrupted: its control process is gone; vigo task resume t" in told


def test_a_reader_of_one_event_ends_nothing(lab: Vigo) -> None:
    """`| head -1`: the run goes on to its recorded end and keeps its own exit code, with no complaint."""
    words = lab.command("task", "run", "exit 3", "--target", "*.web.*", "--batch-size", "1", "-o", "jsonl")
    with subprocess.Popen(
        words, env=lab.env, cwd=lab.home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        assert json.loads(run.stdout.readline())["event"] == "task.dispatch"
        run.stdout.close()
        assert run.stderr is not None
        err = run.stderr.read()
        assert run.wait(60) == 1, err
    assert "Traceback" not in err
    assert "Broken" not in err
    history = lab("task", "status", "-o", "jsonl").out.splitlines()
    assert [json.loads(line)["event"] for line in history].count("host.finished") == 4


def test_a_closed_terminal_loses_no_event(lab: Vigo) -> None:
    """The terminal goes while hosts run: they finish, the rest is skipped, and the exit code is a documented one."""
    words = lab.command("task", "run", "sleep 1", "--target", "*.web.*", "--batch-size", "2", "-o", "jsonl")
    terminal, inner = pty.openpty()
    with subprocess.Popen(
        # `setsid --ctty` makes the pty its terminal, so that closing it is a hangup
        ["setsid", "--ctty", *words],
        env=lab.env,
        cwd=lab.home,
        stdin=inner,
        stdout=inner,
        stderr=inner,
    ) as run:
        os.close(inner)
        read = b""
        while b"host.started" not in read:
            read += os.read(terminal, 65_536)
        os.close(terminal)
        assert run.wait(60) in (74, 130)
    events = [json.loads(line) for line in lab("task", "status", "-o", "jsonl").out.splitlines()]
    kinds = [event["event"] for event in events]
    assert (kinds.count("host.started"), kinds.count("host.finished"), kinds[-1]) == (2, 2, "task.finished")
    assert next(event["data"]["cause"] for event in events if event["event"] == "task.cancel") == "SIGHUP"


def test_junit_is_refused_where_there_are_no_results(lab: Vigo) -> None:
    """With the way out."""
    done = lab("task", "run", "true", "--target", "web-01*", "--dry-run", "-o", "junit")
    assert (done.code, "take --output json" in done.err) == (2, True)
    done = lab("task", "status", "--look", "-o", "junit")
    assert (done.code, "leave --output junit out" in done.err) == (2, True)
