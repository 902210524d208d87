"""Variables, shells, scripts and input, as an operator gives them to a fleet."""

from __future__ import annotations

import hashlib
import subprocess

import pytest

from tests.cli.conftest import Vigo


def outputs(vigo: Vigo, *args: str, stdin: str = "") -> dict[str, tuple[str, str]]:
    """Run and return each host's outcome and standard output."""
    done = vigo("task", "run", "-o", "json", *args, stdin=stdin)
    return {host["host"]: (host["outcome"], host["stdout"]["text"]) for host in done.json()["hosts"]}


def test_a_script_runs_by_its_first_line_and_leaves_nothing(lab: Vigo) -> None:
    """With arguments, variables and its exit code, in the shell and in Python; the file on the host is gone."""
    (lab.home / "a.sh").write_text('echo "$# $2 $WHO"; ls "$0"; exit 3\n')
    got = outputs(
        lab, "--script", "a.sh", "--target", "*.web.*", "--env", "WHO=it's {{ host }}", "--expand", "--", "x", "y z"
    )
    for host, (outcome, text) in got.items():
        said, left = text.splitlines()
        assert (outcome, said) == ("failed", f"2 y z it's {host}")
        assert outputs(lab, f"ls {left} || echo gone", "--target", host)[host][1] == "gone\n"
    (lab.home / "a.py").write_text("#!/usr/bin/env python3\nimport sys\nprint(sys.argv[1:])\n")
    dry = lab("task", "run", "--script", "a.py", "--target", "web-01*", "--dry-run", "--no-probe", "--", "x")
    assert "# not analysed (python3)" in dry.err
    assert outputs(lab, "--script", "a.py", "--target", "web-01*", "--", "x") == {
        "web-01.example.com": ("complete", "['x']\n")
    }


def test_every_host_gets_the_same_input(lab: Vigo) -> None:
    """A megabyte from a file, and what comes through a pipe; a command that does not read it ends all the same."""
    data = b"".join(b"%d\n" % number for number in range(150_000))
    (lab.home / "in").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    got = outputs(lab, "sha256sum", "--stdin", "in", "--target", "*.web.*")
    assert set(got.values()) == {("complete", f"{digest}  -\n")}
    assert outputs(lab, "cat", "--stdin", "-", "--target", "web-01*", stdin="hi\n")["web-01.example.com"][1] == "hi\n"
    assert outputs(lab, "echo done", "--stdin", "in", "--target", "web-01*")["web-01.example.com"] == (
        "complete",
        "done\n",
    )
    assert (
        outputs(lab, "echo ${BASH_VERSION:+bash}", "--shell", "bash", "--target", "web-01*")["web-01.example.com"][1]
        == "bash\n"
    )


def test_a_program_that_insists_gets_a_terminal(lab: Vigo) -> None:
    """Both streams are one, the exit code is the command's, and the deadline ends what runs in it."""
    dry = lab("task", "run", "top", "--pty", "--target", "web-01*", "--dry-run", "--no-probe")
    assert "in a terminal: what it writes to stderr comes with stdout (--pty)" in dry.err
    done = lab(
        "task", "run", "test -t 0 && echo out; echo err >&2; exit 3", "--pty", "--target", "web-01*", "-o", "json"
    )
    [host] = done.json()["hosts"]
    assert (host["exit_code"], host["stdout"]["text"], host["stderr"]["text"]) == (3, "out\nerr\n", "")
    late = lab("task", "run", "sleep 600", "--pty", "--timeout", "1", "--target", "web-01*", "-o", "json")
    [host] = late.json()["hosts"]
    assert (host["outcome"], host["kill"]) == ("timeout", "killed")
    both = lab("task", "run", "cat", "--pty", "--stdin", "-", "--target", "web-01*", stdin="x")
    assert (both.code, "--pty: goes without --stdin" in both.err) == (2, True), both.err


@pytest.mark.parametrize(
    ("args", "files"),
    [
        (("--script", "f"), "systemctl stop vigo\n"),
        (("sh", "--stdin", "f"), "systemctl stop vigo\n"),
        (("systemctl stop $A", "--env", "A=vigo"), ""),
        (("systemctl stop vigo", "--shell", "bash"), ""),
        (("--script", "f"), "#!/usr/bin/python3\nimport shutil\nshutil.rmtree('/srv/vigo')\n"),
    ],
)
def test_no_input_is_a_way_past_the_guards(lab: Vigo, args: tuple[str, ...], files: str) -> None:
    """Blocked without a terminal to ask on, and rejected on each host with --force."""
    (lab.home / "f").write_text(files)
    blocked = lab("task", "run", *args, "--target", "web-01*")
    assert blocked.code == 6, blocked.err
    forced = lab("task", "run", *args, "--target", "web-01*", "--force")
    assert (forced.code, "web-01.example.com [rejected]" in forced.out) == (1, True), forced


def test_a_rerun_needs_the_same_bytes_again(lab: Vigo) -> None:
    """Another script is another task; input from a pipe cannot be had again."""
    script = lab.home / "a.sh"
    script.write_text("exit 1\n")
    assert lab("task", "run", "--script", "a.sh", "--target", "web-01*").code == 1
    again = lab("task", "rerun", lab.events()[-1]["task"], "--only", "failed")  # type: ignore[arg-type]
    assert (again.code, "[failed] exit=1" in again.out) == (1, True), again.err
    task = str(lab.events()[-1]["task"])
    script.write_text("exit 0\n")
    other = lab("task", "rerun", task, "--only", "failed")
    assert (other.code, "is not the file that the task was given" in other.err) == (2, True), other.err
    assert lab("task", "run", "cat; exit 1", "--stdin", "-", "--target", "web-01*", stdin="x").code == 1
    gone = lab("task", "rerun", str(lab.events()[-1]["task"]), "--only", "failed")
    assert (gone.code, "is not kept" in gone.err) == (2, True), gone.err


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("true", "--env", "PATH=/x"), "decides what the command's words mean"),
        (("--script", "gone.sh"), "--script gone.sh: cannot be read: No such file"),
        (("--script", "a.sh", "--stdin", "a.sh"), "--stdin: goes with a command and not with --script"),
        (("true", "--shell", "fish"), "fish"),
        ((), "there is no command; write one, a task's name, or --script FILE"),
    ],
)
def test_what_cannot_be_given_is_refused_with_the_way_out(lab: Vigo, args: tuple[str, ...], told: str) -> None:
    """Exit 2, and nothing on record."""
    (lab.home / "a.sh").write_text("true\n")
    done = lab("task", "run", *args, "--target", "web-01*")
    assert (done.code, told in done.err) == (2, True), done.err
    assert lab.events() == []


def test_a_terminal_is_no_input(lab: Vigo) -> None:
    """Nobody types a fleet's input."""
    with lab.on_a_terminal("task", "run", "cat", "--stdin", "-", "--target", "web-01*") as child:
        child.expect_exact("standard input is the terminal; name a file, or use a pipe")


def test_a_loop_that_pipes_a_list_is_not_read_without_the_flag(lab: Vigo) -> None:
    """Only --stdin - takes vigo's own input."""
    words = lab.command("task", "run", "cat; echo end", "--target", "web-01*")
    done = subprocess.run(words, input="mine\n", env=lab.env, cwd=lab.home, capture_output=True, text=True, check=False)
    assert ("end" in done.stdout, "mine" in done.stdout) == (True, False)
