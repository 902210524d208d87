"""Another user's rights, as an operator asks for them: the flags, what the plan says, and a password that is found nowhere."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Vigo
from tests.sshd import Farm
from vigo.cli.request import Request, policy_of
from vigo.cli.ssh_flags import Reach, Wanted
from vigo.core.errors import UsageError
from vigo.core.plan import Policy

RIGHT, WRONG = "r1ght-cl1-canary", "wr0ng-cl1-canary"
PROMPT = "sudo password on the targets (not shown): "
RUN = ("task", "run", "id -un", "--target", "all", "-i", "inventory.yaml", "--sudo")
needs_sudo = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("sudo") is None, reason="makes users and sudoers files: needs root and sudo"
)


@pytest.fixture
def fleet(vigo: Vigo, sshd_farm: Farm) -> Iterator[Vigo]:
    """Return the program with one host, whose user may do everything with the password; that and a wrong one are files."""
    user, server = sshd_farm.user(password=RIGHT), sshd_farm.serve(["127.0.39.1"])
    rule = Path(f"/etc/sudoers.d/{user}")
    rule.touch(0o440)
    rule.write_text(f"{user} ALL=(ALL) ALL\n")
    (vigo.home / "inventory.yaml").write_text(
        f"defaults: {{ssh: {{user: {user}, port: {server.port}, identity: {sshd_farm.key},"
        f" known_hosts: {sshd_farm.known_hosts}}}}}\n"
        "hosts: {web-01: {address: 127.0.39.1}}\n"
    )
    vigo.env["VIGO_DEBUG"] = "1"  # what that prints is searched for the secrets too
    for name, secret in (("right", RIGHT), ("wrong", WRONG)):
        (vigo.home / name).write_text(secret + "\n")
        (vigo.home / name).chmod(0o600)
    try:
        yield vigo
    finally:
        rule.unlink()


def stored(fleet: Vigo) -> bytes:
    """Return every byte that the program keeps."""
    return b"".join(path.read_bytes() for path in (fleet.home / "data").rglob("*") if path.is_file())


@needs_sudo
@pytest.mark.sshd
def test_the_password_is_given_and_nothing_keeps_it(fleet: Vigo) -> None:
    """From a file; a rerun keeps the rights and wants the password again; a wrong one is told and kept nowhere either."""
    done = fleet(*RUN, "--sudo-password-file", "right")
    assert (done.code, "web-01 [complete]" in done.out) == (0, True), done
    assert "runs as root (sudo)" in done.err
    [task] = [event["task"] for event in fleet.events() if event["kind"] == "task.dispatch"]
    again = fleet("task", "rerun", str(task), "--only", "complete")
    assert (again.code, "--sudo-password-file" in again.err) == (2, True), again
    wrong = fleet("task", "rerun", str(task), "--only", "complete", "--sudo-password-file", "wrong")
    assert (wrong.code, "refused the password" in wrong.out + wrong.err) == (1, True), wrong
    shown = "".join(one.out + one.err for one in (done, again, wrong))
    for secret in (RIGHT, WRONG):
        assert secret not in shown
        assert secret.encode() not in stored(fleet)


@needs_sudo
@pytest.mark.sshd
def test_the_password_is_asked_for_before_the_dispatch_and_not_shown(fleet: Vigo) -> None:
    """On a terminal, once."""
    with fleet.on_a_terminal(*RUN, "--ask-sudo-password") as child:
        child.expect_exact(PROMPT)
        assert "dispatched" not in (child.before or "")
        child.sendline(RIGHT)
        child.expect_exact("web-01 [complete]")
        assert RIGHT not in (child.before or "")
        child.expect_exact("1 complete")


@needs_sudo
@pytest.mark.sshd
def test_a_dry_run_says_whose_rights_and_asks_for_nothing(fleet: Vigo) -> None:
    """By which program too."""
    done = fleet(*RUN, "--sudo-user", "nobody", "--ask-sudo-password", "--dry-run", "--no-probe")
    assert (done.code, "runs as nobody (sudo)" in done.err) == (0, True), done


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (Request(sudo=True, doas=True), "--sudo and --doas"),
        (Request(sudo_user="a b"), "--sudo-user: 'a b' is no user name"),
        (Request(ask_sudo_password=True), "add --sudo"),
        (Request(doas=True, sudo_password_fd=3), "doas takes a password from a terminal alone"),
    ],
)
def test_what_cannot_be_meant_is_refused(request_: Request, told: str) -> None:
    """Before anything is asked or connected."""
    with pytest.raises(UsageError, match=told):
        policy_of(request_, Policy())


def test_a_flag_wins_over_the_tasks_own_program() -> None:
    """And a task keeps its user where the flag names none."""
    assert str(policy_of(Request(doas=True), Policy(sudo=True, sudo_user="app")).privilege) == "app (doas)"
    assert str(policy_of(Request(sudo=True), Policy(doas=True)).privilege) == "root (sudo)"


def test_a_recorded_task_asks_for_the_password_again() -> None:
    """On record is that there was one; a flag that names its place asks nobody."""
    reach = Reach(has_sudo_password=True)
    assert reach.record() == (("sudo_password", "asked"),)
    assert Reach.recorded(reach.record()) == reach
    assert Wanted().again(reach) == Wanted(ask_sudo_password=True)
    assert Wanted(sudo_password_fd=3).again(reach) == Wanted(sudo_password_fd=3)


def test_two_secrets_come_from_two_descriptors() -> None:
    """The first would be read to its end."""
    with pytest.raises(UsageError, match="is read to its end by --password-fd"):
        Wanted(password_fd=3, sudo_password_fd=3).check()
