"""Whose rights a command gets: how sudo and doas are called, and which names may stand in that call."""

from __future__ import annotations

import pytest

from tests.core.nodekit import node
from vigo.core.command import look, wrap
from vigo.core.errors import ConfigError, UsageError
from vigo.core.guard.judge import judge
from vigo.core.model import Limits
from vigo.core.plan import Policy
from vigo.core.privilege import Elevation, Privilege, parse_user, prompt, read_user

BAD = ["", "-u", "a b", "a;id", "$(id)", "a\n", "#0", "ü", "a" * 65]


@pytest.mark.parametrize(
    ("policy", "privilege"),
    [
        (Policy(), None),
        (Policy(sudo=True), Privilege("root", Elevation.SUDO)),
        (Policy(sudo_user="app"), Privilege("app", Elevation.SUDO)),
        (Policy(doas=True), Privilege("root", Elevation.DOAS)),
        (Policy(sudo=True, sudo_user="app", doas=True), Privilege("app", Elevation.DOAS)),
    ],
)
def test_the_policy_says_whose_rights(policy: Policy, privilege: Privilege | None) -> None:
    """A user alone means sudo; nothing leaves the login's own."""
    assert policy.privilege == privilege


def test_it_asks_only_where_somebody_answers() -> None:
    """Without a password sudo never asks; doas never does, because it would ask a terminal."""
    assert Privilege().call("m", has_password=False) == "sudo -n -u root -- "
    assert Privilege("app").call("m", has_password=True) == f"sudo -k -S -p {prompt('m')} -u app -- "
    assert Privilege(by=Elevation.DOAS).call("m", has_password=True) == "doas -n -u root -- "
    assert str(Privilege("app")) == "app (sudo)"


def test_the_whole_wrapper_and_the_look_have_the_rights() -> None:
    """What kills has the rights of what is killed; what looks, those of what is looked at."""
    own, root = wrap("id", (), Limits(), "m"), wrap("id", (), Limits(), "m", Privilege())
    assert root.exec_string == own.exec_string.replace("exec ", "exec sudo -n -u root -- ", 1)
    assert root.stdin == own.stdin
    assert look("m", 7, Privilege()).startswith("exec sudo -n -u root -- /bin/sh -c ")


@pytest.mark.parametrize("name", BAD)
def test_a_name_that_is_more_than_one_word_is_refused(name: str) -> None:
    """From a flag, from a file and from a record: it is a part of what the host's shell reads."""
    with pytest.raises(UsageError, match=r"--sudo-user: .* is no user name"):
        parse_user(name, flag="--sudo-user")
    with pytest.raises(ValueError, match="cannot name a user"):
        Privilege(name).call("m", has_password=False)


def test_a_file_is_read_as_the_flag_is() -> None:
    """With the place of what is wrong."""
    assert parse_user("www-data", flag="--sudo-user") == read_user(node("www-data"), "sudo_user")
    with pytest.raises(ConfigError, match=r"tasks.yaml:7:3: .*no user name"):
        read_user(node("a b"), "sudo_user")


@pytest.mark.parametrize("command", ["rm -rf /", "systemctl stop vigo", "mkfs.ext4 /dev/sda", "cat /etc/os-release"])
def test_the_guard_judges_as_it_does_what_sudo_is_written_before(command: str) -> None:
    """The flag must not say less than the word in the command does."""
    assert (judge(command) is None) == (judge(f"sudo -n -u root -- {command}") is None)
