"""Results as an operator asks for them, and a standard output that nobody reads."""

from __future__ import annotations

import io
import os
import subprocess
import threading
from collections.abc import Iterator

import pytest

from tests.cli.conftest import Vigo
from tests.sshd import wait_until
from vigo.cli.outlet import WAITING_MAX, Outlet
from vigo.cli.results import Results, Tee
from vigo.core.errors import UsageError
from vigo.core.model import Stream


def test_views_of_a_run_and_of_history_agree(lab: Vigo) -> None:
    """Gathered, counted and line by line; the files hold the bytes."""
    command = "echo same; case $(hostname) in web-03*) echo extra; exit 4;; esac; printf 'no end' >&2"
    run = lab("task", "run", command, "--target", "*.web.*", "--view", "gather", "--output-dir", "files")
    assert run.code == 1, run.err
    first, gathered = run.out.split("\n", 1)
    assert first.endswith("dispatched")
    assert "web-[01-02].example.com, web-04.example.com  3 hosts  [complete] exit=0\nsame\nno end\n\n" in gathered
    assert "web-03.example.com  1 host  [failed] exit=4\n" in gathered
    assert lab("task", "status", "--view", "gather").out.split("\n\n", 1)[1] == gathered
    assert lab("task", "status", "--view", "summary").out.split("\n\n", 1)[1] == (
        "3 complete    web-[01-02].example.com, web-04.example.com\n1 failed      web-03.example.com\n"
    )
    lines = lab("task", "status", "--view", "stream", "--host", "web-0[2-3]*").out.split("\n\n", 1)[1]
    assert lines == (
        "web-02.example.com: same\nweb-02.example.com: no end\nweb-03.example.com: same\nweb-03.example.com: extra\n"
    )
    only = lab("task", "status", "--only", "failed").out.split("\n\n", 1)[1]
    assert [line.split()[1] for line in only.splitlines() if line.startswith("---")] == ["web-03.example.com"]
    folder = lab.home / "files"
    assert (folder / "web-01.example.com.stderr").read_bytes() == b"no end"
    assert sorted(path.name for path in folder.iterdir() if "03" in path.name) == ["web-03.example.com.stdout"]
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    again = lab("task", "run", "true", "--target", "web-01*", "--output-dir", "files")
    assert (again.code, "is not empty" in again.err, again.out) == (2, True, "")


def test_lines_come_while_the_command_runs(lab: Vigo) -> None:
    """The first line is there before the command ends."""
    words = lab.command("task", "run", "echo early; sleep 30", "--target", "web-01*", "--view", "stream")
    with subprocess.Popen(
        words, env=lab.env, cwd=lab.home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline().endswith("dispatched\n")
        assert run.stdout.readline().endswith(": early\n") or run.wait() != 0
        run.terminate()
        run.communicate(timeout=60)


@pytest.mark.parametrize(
    ("results", "output", "told"),
    [
        (Results(gather_ignore=("x",)), "text", "add --view gather"),
        (Results(view="stream", only="failed"), "text", "before it is known"),
        (Results(only="faild"), "text", "'faild' is no outcome; did you mean failed"),
        (Results(hosts=("web-[1-",)), "text", "--host web-[1-"),
        (Results(only="failed"), "json", "choose from its records"),
        (Results(view="gather", gather_ignore=("(",)), "text", "is no regular expression"),
    ],
)
def test_what_says_nothing_where_it_stands_is_refused(results: Results, output: str, told: str) -> None:
    """With the flag and the way out."""
    with pytest.raises(UsageError) as refused:
        results.wish(output)
    assert told in str(refused.value)


def test_flags_for_results_are_refused_where_no_results_are_shown(lab: Vigo) -> None:
    """Not passed over."""
    for flag in ("--watch", "--look"):
        done = lab("task", "status", flag, "--only", "failed")
        assert (done.code, "shows no results to choose from" in done.err) == (2, True)


def test_a_reader_that_does_not_read_holds_nothing_up_and_loses_nothing() -> None:
    """More than a pipe holds is taken at once, and arrives in order when somebody reads."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as target:
        outlet = Outlet(target)
        outlet.writelines(f"{number}\n" for number in range(50_000))
        assert outlet.is_behind
        outlet.drain(0.1)
        assert outlet.is_behind
        read: list[str] = []
        with os.fdopen(reader) as source:
            reading = threading.Thread(target=lambda: read.extend(source))
            reading.start()
            outlet.drain()
            target.close()
            reading.join()
    assert read == [f"{number}\n" for number in range(50_000)]
    assert (outlet.failure, outlet.dropped) == (None, 0)


def test_what_waits_is_bounded_and_what_is_left_out_is_counted() -> None:
    """Nobody reads a hundred million characters."""
    gate = threading.Event()

    class Slow(io.StringIO):
        def write(self, text: str) -> int:
            gate.wait()
            return len(text)

    outlet = Outlet(Slow())
    outlet.write("x")
    wait_until(lambda: outlet.is_behind, what="it writes")
    for _ in range(5):
        outlet.write("y" * (WAITING_MAX // 4))
    assert outlet.dropped in {WAITING_MAX // 4, WAITING_MAX // 2}
    gate.set()
    outlet.drain()
    assert not outlet.is_behind


def test_what_came_before_a_failure_is_written() -> None:
    """A batch whose twentieth result cannot be read shows nineteen."""
    target = io.StringIO()
    outlet = Outlet(target)

    def results() -> Iterator[str]:
        yield from ("one\n", "two\n")
        raise RuntimeError("the third is damaged")

    with pytest.raises(RuntimeError, match="damaged"):
        outlet.writelines(results())
    outlet.writelines([])
    outlet.drain()
    assert target.getvalue() == "one\ntwo\n"


def test_a_reader_who_has_gone_ends_the_writing_and_not_the_run() -> None:
    """The failure is told to who asks; later text costs nothing."""
    reader, writer = os.pipe()
    target = os.fdopen(writer, "w")
    outlet = Outlet(target)
    os.close(reader)
    outlet.write("text")
    outlet.drain()
    assert isinstance(outlet.failure, BrokenPipeError)
    assert outlet.write("more") == 4
    assert not outlet.is_behind
    with pytest.raises(BrokenPipeError):
        target.close()


def test_ctrl_c_is_heard_while_nobody_reads(lab: Vigo) -> None:
    """B20: every batch runs although the pipe is full, and whoever interrupts is not held: also not as the run ends."""
    words = lab.command("task", "run", "seq 40000", "--target", "*.web.*", "--batch-size", "1", "--progress", "none")
    reader, writer = os.pipe()
    with subprocess.Popen(words, env=lab.env, cwd=lab.home, stdout=writer, stderr=subprocess.PIPE, text=True) as run:
        os.close(writer)
        wait_until(lambda: "Status:   complete\n" in lab("task", "status").out, within_s=60, what="all batches ran")
        assert run.poll() is None
        run.send_signal(2)
        err = run.communicate(timeout=100)[1]
    os.close(reader)
    assert (run.returncode, "nobody read all of the results" in err) == (130, True), err


class _Gone:
    """A sink whose terminal was closed."""

    def write(self, host: str, stream: Stream, data: bytes) -> None:
        raise OSError(5, f"{host} {stream} {len(data)}")


class _Heard:
    """A sink that keeps what it gets."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, host: str, stream: Stream, data: bytes) -> None:
        self.data += f"{host} {stream}: ".encode() + data


def test_output_that_cannot_be_shown_ends_neither_a_connection_nor_what_others_show() -> None:
    """With a terminal that was closed every host that printed a line would have been lost."""
    heard, said = _Heard(), list[str]()
    tee = Tee([_Gone(), heard], said.append)
    tee.write("web-01", Stream.STDOUT, b"a\n")
    tee.write("web-02", Stream.STDERR, b"b\n")
    assert heard.data == b"web-01 stdout: a\nweb-02 stderr: b\n"
    assert said == ["_Gone stopped: OSError(5, 'web-01 stdout 2'); the run goes on, see `task status`"]
