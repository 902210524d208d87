"""What a host says of itself in a check-up, and what that means."""

from __future__ import annotations

import pytest

from vigo.core.doctor import FACTS, FOOTER, HEADER, SCRIPT, Check, CheckState, judge_facts, passed, read_facts
from vigo.core.guard import Order, Text, clear
from vigo.core.model import Host

GOOD = {
    "user": "ops",
    "uid": "1000",
    "login": "/bin/bash",
    "sh": "/usr/bin/dash",
    "clock": "1000",
    "tmp": "/dev/my disk 264212084 23511700 82879212 23% /",
    "sudo": "yes",
}


def answer(*, noise: str = "", has: tuple[str, ...] = ("nice", "ionice", "sudo"), **values: str | None) -> bytes:
    """Return what the script prints on a host that is well, but for these values."""
    told = [f"{name}={value}" for name, value in {**GOOD, **values}.items() if value is not None]
    lines = (HEADER, *told, *(f"has={name}" for name in has), FOOTER)
    return (noise + "".join(f"{line}\n" for line in lines)).encode()


def judged(stdout: bytes, sent_s: float = 1000.2, heard_s: float = 1000.4) -> dict[str, Check]:
    """Return the checks by name."""
    facts = read_facts(stdout)
    assert facts is not None
    return {check.name: check for check in judge_facts(facts, sent_s, heard_s)}


def test_a_host_that_is_well() -> None:
    """Every check has its line, and none has a word of warning."""
    checks = judged(answer())
    assert tuple(checks) == tuple(FACTS)
    assert {check.state for check in checks.values()} == {CheckState.OK}
    assert checks["sh"].found == "/bin/sh is /usr/bin/dash, the login shell of ops is /bin/bash"
    assert checks["disk"].found == "80,936 MiB free in /tmp"
    assert passed(checks.values())


@pytest.mark.parametrize(
    ("name", "stdout", "words"),
    [
        ("output", answer(noise="hello\nthere\n"), "prints 12 bytes before every command's output: 'hello there'"),
        ("nice", answer(has=("nice",)), "no ionice there"),
        ("nice", answer(has=()), "no nice and no ionice there"),
        ("clock", answer(clock="1010"), "10 s ahead of ours"),
        ("clock", answer(clock="900"), "99 s behind ours"),
        ("clock", answer(clock="%s"), "does not tell its time"),
        ("disk", answer(tmp="x 1 1 10239 100% /"), "9 MiB free in /tmp: "),
        ("disk", answer(tmp=""), "is not told"),
        ("disk", answer(tmp="a b c d e f"), "is not told"),
        ("sudo", answer(sudo="sudo: a password is required"), "needs a password"),
        ("sudo", answer(sudo="ops may not run sudo on web-01."), "does not work: ops may not run sudo"),
        ("sudo", answer(sudo=None), "not there"),
    ],
)
def test_what_a_run_can_do_without_is_a_warning(name: str, stdout: bytes, words: str) -> None:
    """It says what is so and what to do; the check-up passes."""
    checks = judged(stdout)
    assert checks[name].state is CheckState.WARNING
    assert words in checks[name].found
    assert {check.state for other, check in checks.items() if other != name} == {CheckState.OK}
    assert passed(checks.values())


def test_root_needs_no_sudo_and_what_is_not_told_is_not_made_up() -> None:
    """Whether it works or not."""
    checks = judged(answer(uid="0", sudo="sudo: a password is required", user="", login="", sh=""))
    assert checks["sudo"] == Check("sudo", CheckState.OK, "not needed: the login is root's")
    assert checks["sh"].found == "/bin/sh is /bin/sh, the login shell of this user is not told"


@pytest.mark.parametrize("stdout", [b"", b"noise", answer()[:-5], answer().replace(HEADER.encode(), b"other")])
def test_an_answer_that_is_not_whole_is_none(stdout: bytes) -> None:
    """Neither a beginning nor something else."""
    assert read_facts(stdout) is None


def test_the_clocks_may_differ_by_what_the_question_took() -> None:
    """A slow answer proves nothing about a clock."""
    assert judged(answer(clock="1010"), 1000.0, 1010.0)["clock"].state is CheckState.OK


def test_a_failed_check_fails_the_check_up() -> None:
    """A skipped one alone does not, but it never comes alone."""
    assert not passed([Check("a", CheckState.OK, ""), Check("b", CheckState.FAILED, "")])
    assert passed([Check("a", CheckState.WARNING, ""), Check("b", CheckState.SKIPPED, "")])


def test_the_guard_lets_the_script_through() -> None:
    """It only reads."""
    assert isinstance(clear(Host("a", ""), Text(SCRIPT)), Order)
