"""What a command is given beside its text: which variables may be set, and who reads a script."""

from __future__ import annotations

import re

import pytest

from vigo.core.errors import UsageError
from vigo.core.given import Given, Input, Script, Shell, changed, parse_env, parse_shell, read_interpreter


def script(*interpreter: str, args: tuple[str, ...] = ()) -> Script:
    """Describe a script that is run by this."""
    return Script("a.sh", "/home/ops/a.sh", 9, "ab" * 32, interpreter, args)


def test_variables_are_read_as_typed() -> None:
    """A value may be empty, and hold blanks, quotes, newlines and further signs."""
    assert parse_env(["A=1", "_b2=x=y", "C=", "D=it's\n$HOME"]) == (
        ("A", "1"),
        ("_b2", "x=y"),
        ("C", ""),
        ("D", "it's\n$HOME"),
    )
    assert parse_env([]) == ()


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (["A"], "--env 'A': has no `=`; write --env NAME=VALUE"),
        (["A=1", "A=2"], "--env A: given twice"),
        (["2A=1"], "is no variable's name"),
        (["a-b=1"], "is no variable's name"),
        (["A=x\0y"], "--env A: "),
        *(([f"{name}=x"], f"--env {name}: decides what the command's words mean") for name in (
            "PATH", "IFS", "ENV", "BASH_ENV", "LD_PRELOAD", "DYLD_INSERT_LIBRARIES", "PYTHONPATH", "PYTHONSTARTUP",
            "SHELLOPTS", "BASHOPTS", "PS4",
        )),
        (["VIGO_PARAM_X=1"], "--env VIGO_PARAM_X: is vigo's own"),
        (["vigo_command=1"], "--env vigo_command: is vigo's own"),
    ],
)  # fmt: skip
def test_a_variable_that_would_blind_the_guards_is_refused(texts: list[str], told: str) -> None:
    """With its name and the reason."""
    with pytest.raises(UsageError, match=re.escape(told)):
        parse_env(texts)


def test_shells_are_those_that_hosts_have() -> None:
    """Any other is refused with the list."""
    assert [parse_shell(name) for name in ("sh", "dash", "bash", "ksh")] == list(Shell)
    with pytest.raises(UsageError, match="--shell: 'fish' is not known here; write sh, dash, bash, ksh"):
        parse_shell("fish")


@pytest.mark.parametrize(
    ("data", "interpreter"),
    [
        (b"echo hi\n", ("/bin/sh",)),
        (b"", ("/bin/sh",)),
        (b"#!/bin/bash\n", ("/bin/bash",)),
        (b"#! /usr/bin/env  python3 -u \nprint()", ("/usr/bin/env", "python3 -u")),
    ],
)
def test_the_first_line_is_read_as_a_kernel_reads_it(data: bytes, interpreter: tuple[str, ...]) -> None:
    """A path, and the rest as one word; without it, the host's shell."""
    assert read_interpreter("a", data) == interpreter


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"\x7fELF\x02", "is a program and no script"),
        (b"#!/bin/sh\r\n", "ends as on Windows"),
        (b"#!\xff\n", "is not UTF-8"),
        (b"#!python3\n", "has no absolute path"),
        (b"#!\n", "has no absolute path"),
    ],
)
def test_what_no_host_could_run_is_refused(data: bytes, told: str) -> None:
    """Before anything connects."""
    with pytest.raises(UsageError, match=told):
        read_interpreter("a", data)


@pytest.mark.parametrize(
    ("interpreter", "language", "is_shell"),
    [
        (("/bin/sh",), "sh", True),
        (("/usr/bin/env", "bash"), "bash", True),
        (("/usr/bin/env", "-S LANG=C python3 -u"), "python3", False),
        (("/bin/busybox", "ash"), "ash", True),
        (("/usr/bin/perl", "-w"), "perl", False),
        (("/usr/bin/env",), "/usr/bin/env", False),
        (("/usr/bin/awk", "-f sh"), "sh", True),
    ],
)
def test_the_language_is_that_of_whoever_reads_the_script(
    interpreter: tuple[str, ...], language: str, *, is_shell: bool
) -> None:
    """Whatever starts it; a shell anywhere in the line is taken for it, so that the guards read more and not less."""
    described = script(*interpreter)
    assert (described.language, described.is_shell) == (language, is_shell)
    assert described.remark == ("" if is_shell else f"not analysed ({language})")


def test_what_is_given_is_shown_in_one_line() -> None:
    """Words that need quotes have them; contents are not shown, their digest is."""
    assert script("/bin/sh", args=("a", "b c")).shown == f"script a.sh sha256:{'ab' * 32} a 'b c'"
    assert script("/usr/bin/perl").shown.endswith(" # not analysed (perl)")
    assert Input("-", "", 1_234, "cd" * 32).shown == f"- sha256:{'cd' * 32} 1,234 bytes"
    assert changed("a.sh", "ab" * 32, "cd" * 32) == "a.sh (sha256 cdcdcdcdcdcd…, then abababababab…)"


def test_checks_and_rollbacks_have_the_variables_and_the_shell_alone() -> None:
    """They are commands of their own."""
    given = Given((("A", "1"),), Shell.BASH, script("/bin/sh", args=("x",)), Input("-", "", 0, ""), has_terminal=True)
    assert given.beside == Given((("A", "1"),), Shell.BASH)
    assert given.fillable == ("1", "x")
    assert given.beside.fillable == ("1",)
