from __future__ import annotations

from typing import cast

import pytest

from vigo.core.errors import ConfigError
from vigo.core.imports.settings import (
    read_address,
    read_host_keys,
    read_jump,
    read_port,
    read_proxy,
    read_user,
    read_word,
)
from vigo.core.model import Hop
from vigo.core.nodes import Mark

MARK = Mark("hosts", 3, 1)


def hops(text: str) -> tuple[Hop, ...]:
    """Return the hops of a jump."""
    return cast("tuple[Hop, ...]", read_jump(text, "x", MARK)["ssh.jump"])


def test_a_jump_is_read_as_ssh_reads_it() -> None:
    """Users, ports, IPv6 in brackets, URLs, several hops; `none` is the direct way."""
    assert [str(hop) for hop in hops("ops@gate:2200, [2001:db8::1]:22,inner")] == [
        "ops@gate:2200",
        "[2001:db8::1]:22",
        "inner",
    ]
    assert [str(hop) for hop in hops("ssh://ops@gate:2200/")] == ["ops@gate:2200"]
    assert read_jump("None", "x", MARK) == {"ssh.jump": "none"}
    for text in ("", "a:b:c", "gate:0", "gate:x", "o ps@gate", "ga te", "-x"):
        with pytest.raises(ConfigError, match=r"hosts:3:1: "):
            read_jump(text, "ProxyJump", MARK)


@pytest.mark.parametrize(
    ("command", "hop", "identity"),
    [
        ("ssh -W %h:%p gate", "gate", None),
        ("/usr/bin/ssh -q -p 2200 -l ops -i ~/.ssh/gate -W %h:%p gate", "ops@gate:2200", "~/.ssh/gate"),
        ("ssh ops@gate:2200 -W [%h]:%p", "ops@gate:2200", None),
    ],
)
def test_a_proxy_that_is_a_plain_jump_becomes_one(command: str, hop: str, identity: str | None) -> None:
    """Vigo then shares one connection to it."""
    (read,) = cast("tuple[Hop, ...]", read_proxy(command, "x", MARK)["ssh.jump"])
    assert (str(read), read.ssh.identity) == (hop, identity)


@pytest.mark.parametrize(
    "command",
    [
        "nc -X 5 -x proxy:1080 %h %p",
        "ssh gate nc %h %p",
        "ssh -o StrictHostKeyChecking=no -W %h:%p gate",
        "ssh -W %h:22 gate",
        "ssh -W %h:%p",
        "ssh -W %h:%p a b",
        "ssh -W %h:%p a:b:c",
        "ssh -W",
        "ssh 'open",
        "env ssh -W %h:%p gate",
    ],
)
def test_any_other_proxy_stays_the_command_that_it_is(command: str) -> None:
    """Word for word."""
    assert read_proxy(command, "x", MARK) == {"ssh.proxy_command": command}


def test_no_proxy_is_the_direct_way() -> None:
    """Written in any case; and a command with a control character is refused."""
    assert read_proxy("None", "x", MARK) == {"ssh.proxy_command": "none"}
    with pytest.raises(ConfigError, match="control character"):
        read_proxy("nc\x1b", "x", MARK)
    with pytest.raises(ConfigError, match="is empty"):
        read_proxy("", "x", MARK)


@pytest.mark.parametrize(
    ("strict", "file", "values"),
    [
        (None, None, {}),
        ("yes", None, {}),
        ("ask", "~/.ssh/fleet", {"ssh.known_hosts": "~/.ssh/fleet"}),
        ("no", "/dev/null", {"ssh.host_keys": "insecure"}),
        ("No", None, {"ssh.host_keys": "accept-new"}),
        ("off", "/k", {"ssh.known_hosts": "/k", "ssh.host_keys": "accept-new"}),
        ("accept-new", "/dev/null", {"ssh.host_keys": "accept-new"}),
        (None, "/dev/null", {}),
    ],
)
def test_only_what_checks_nothing_is_insecure(strict: str | None, file: str | None, values: dict[str, str]) -> None:
    """`no` alone takes new keys; with /dev/null nothing is ever known."""
    assert read_host_keys(strict, file, MARK) == values


def test_values_that_are_none_are_refused_with_their_place() -> None:
    """Never guessed at."""
    assert read_port("22", "port", MARK) == 22
    assert read_user("ops", "user", MARK) == "ops"
    assert read_address("[2001:db8::1]", MARK) == "2001:db8::1"
    assert read_word("~/.ssh/id", "identity", MARK) == "~/.ssh/id"
    for text in ("0", "65536", "x", "", "1234567"):
        with pytest.raises(ConfigError, match="hosts:3:1: port: is no port; write 1-65535"):
            read_port(text, "port", MARK)
    for text in ("a b", "a@b", "-x", ""):
        with pytest.raises(ConfigError, match="hosts:3:1: user: "):
            read_user(text, "user", MARK)
    with pytest.raises(ConfigError, match="hosts:3:1: address: a b holds a blank"):
        read_address("a b", MARK)
    with pytest.raises(ConfigError, match="StrictHostKeyChecking: is none of yes, no, ask, accept-new"):
        read_host_keys("maybe", None, MARK)
