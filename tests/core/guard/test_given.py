"""Scripts, input, variables and shells: what travels and what the guards read are made of the same parts."""

from __future__ import annotations

import base64
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from vigo.core.given import Given, Input, Script, Shell
from vigo.core.guard import Layer, Order, Text, clear, explain
from vigo.core.guard.given import SMALL_MAX, TEXT_MAX
from vigo.core.model import Host

STOP = b"systemctl stop vigo\n"
HOST = Host("web-01", "u")


def script(data: bytes, *interpreter: str, args: tuple[str, ...] = ()) -> Text:
    """Make the text of a script."""
    return Text("", given=Given(script=Script("a", "/a", len(data), "", interpreter or ("/bin/sh",), args)), data=data)


def fed(command: str, data: bytes, **more: object) -> Text:
    """Make the text of a command with input."""
    return Text(command, given=Given(stdin=Input("in", "/in", len(data), ""), **more), data=data)  # type: ignore[arg-type]


def is_hard(text: Text) -> bool:
    """Tell whether the hard guard refuses it."""
    refused = not isinstance(clear(HOST, text), Order)
    finding = explain(text.judged).finding
    assert refused is (finding is not None and finding.layer is Layer.HARD)
    return refused


@pytest.mark.parametrize(
    "text",
    [
        script(STOP),
        script(b"#!/bin/bash\nset -e\n" + STOP, "/bin/bash"),
        script(b'systemctl "$1" vigo\n', args=("stop",)),
        script(b"import os\nos.system('systemctl stop vigo')\n", "/usr/bin/python3"),
        script(b"unlink '/srv/vigo/db';\n", "/usr/bin/perl"),
        script(b"use std\n" * 2_000 + b"rm('/srv/vigo/x')\n", "/usr/bin/lua5.4"),
        script(b"os.remove '/srv/vigo/db'\n", "/opt/bin/elvish"),
        script(b"x END_OF_INPUT\nEND_OF_INPUT\n" + STOP),
        script(STOP.replace(b"vigo", b"vi\0go")),
        fed("sh", STOP),
        fed("cat | sh", STOP),
        fed("xargs rm -rf", b"/srv/vigo\n"),
        fed("base64 -d | sh", base64.b64encode(STOP)),
        fed("sh", b"# " + b"x" * SMALL_MAX + b"\n" + STOP),
        fed("sh", b"# " + b"x" * TEXT_MAX + b"\n" + STOP),
        fed("sh", STOP, shell=Shell.BASH),
        Text("systemctl stop $NAME", given=Given((("NAME", "vigo"),))),
        Text("systemctl stop vigo", given=Given(shell=Shell.KSH)),
        Text('eval "$DO"', given=Given((("DO", "rm -rf /srv/vigo"),))),
        Text("systemctl stop vigo", given=Given(has_terminal=True)),
        Text("rm -rf /srv/vigo", given=Given(shell=Shell.BASH, has_terminal=True)),
    ],
)
def test_nothing_that_is_given_is_a_way_past_the_hard_guard(text: Text) -> None:
    """Scripts in shell are read, others searched; input is code where something runs it."""
    assert is_hard(text)


@pytest.mark.parametrize(
    "text",
    [
        script(b"echo done\n"),
        script(b"print('hello')\n", "/usr/bin/python3"),
        script(b"print('hello')\n" * 2_000, "/usr/bin/python3"),
        fed("cat", STOP),
        fed("sha256sum", b"\xff\x00" * 100),
        fed("sha256sum", b"x" * (SMALL_MAX + 1)),
        fed("tee /tmp/x", STOP * 3_000),
        fed("sh", b"echo hello\n"),
        fed("cat", b"(" * 3_000),
        Text("uptime", given=Given((("A", "it's"),), Shell.DASH)),
    ],
)
def test_what_is_only_data_is_no_finding(text: Text) -> None:
    """Also when it speaks of vigo, is no text, or is long."""
    assert explain(text.judged).finding is None
    assert not is_hard(text)


def test_what_only_the_end_of_long_input_could_tell_is_not_trusted() -> None:
    """A shell would run all of it."""
    for data in (b"echo\n" * 20_000, b"rm x\n" * 5_000):
        finding = explain(fed("sh", data).judged).finding
        assert finding is not None
        assert finding.rule == "cannot-analyse"


def run(text: Text, stdin: bytes = b"", *, check: bool = True) -> bytes:
    """Run what travels as a host does."""
    env = {name: value for name, value in os.environ.items() if name != "TERM"}
    return subprocess.run(["/bin/sh", "-c", text.wire], input=stdin, env=env, capture_output=True, check=check).stdout


def test_what_travels_does_what_was_asked() -> None:
    """Variables as they were typed, the shell that was named, the script with its arguments and nothing left of it."""
    odd = "it's\n$HOME `x` \\"
    assert run(Text('printf %s "$A"', given=Given((("A", odd),)))) == odd.encode()
    assert run(Text("echo ${BASH_VERSION:+bash}", given=Given(shell=Shell.BASH))) == b"bash\n"
    body = b'echo "$#:$2:$A"; ls "$0"; cat\n'
    text = script(body, args=("a", "b c"))
    given = Given((("A", odd),), script=text.given.script)
    said = run(Text("", given=given, data=body), body).decode()
    assert said.startswith(f"2:b c:{odd}\n")
    left = said.splitlines()[-1]
    assert subprocess.run(["ls", left], capture_output=True, check=False).returncode != 0
    assert text.shown == "script a sha256: a 'b c'"
    assert fed("cat", b"x").shown == "cat"


def test_a_terminal_is_one_and_changes_neither_words_nor_ends() -> None:
    """Newlines stay what they are, nothing is echoed, the input is at its end, and nothing of the way there is left."""
    odd = "it's\n$HOME `x` \\"
    given = Given((("A", odd),), has_terminal=True)
    text = Text('printf "%s\\n" "$A"; cat; env | grep -ci "^vigo_"', given=given)
    assert run(text, check=False).decode() == f"{odd}\n0\n"
    assert text.shown == f"export A='it'\\''s\n$HOME `x` \\'\n{text.command}"
    assert run(Text("tty <&1 >/dev/null && tty >/dev/null && stty size && echo $TERM", given=given)) == b"24 80\ndumb\n"
    assert run(Text("echo ${BASH_VERSION:+bash}", given=replace(given, shell=Shell.BASH))) == b"bash\n"
    ended = subprocess.run(["/bin/sh", "-c", Text("exit 7", given=given).wire], check=False, stdin=subprocess.DEVNULL)
    assert ended.returncode == 7


def test_a_script_runs_in_a_terminal_too() -> None:
    """With its arguments, and it is removed after."""
    body = b'test -t 0 && test -t 1 && echo "$#:$2:${_script-gone}"; ls "$0"\n'
    text = script(body, args=("a", "b c"))
    said = run(Text("", given=replace(text.given, has_terminal=True), data=body), body).decode().splitlines()
    assert said[0] == "2:b c:gone"
    assert subprocess.run(["ls", said[1]], capture_output=True, check=False).returncode != 0


def test_a_host_that_can_make_no_terminal_says_so_and_runs_nothing(tmp_path: Path) -> None:
    """As busybox's script(1) tells no exit code, it does not do."""
    (tmp_path / "script").write_text("#!/bin/sh\necho busybox\n")
    (tmp_path / "script").chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", "-c", Text("echo ran", given=Given(has_terminal=True)).wire],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (126, "")
    assert "no script(1) of util-linux" in done.stderr
