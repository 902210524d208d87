"""`vigo inventory show HOST --ssh`: each effective value, and the file, line or flag that says it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.cli.conftest import Vigo

FILE = """\
defaults:
  ssh: {jump: bastion, keepalive: 30s}
hosts:
  bastion: {address: 10.0.0.1, ssh: {port: 2222, user: gate}}
  web-01:
    ssh: {port: 2200, host_keys: accept-new}
  db-01:
    ssh: {jump: [{host: bastion, user: other}, {host: inner}]}
"""
CONFIG = """\
Host web-*
    User ops
    IdentityFile ~/.ssh/web
    IdentityFile ~/.ssh/%r
Host *
    ConnectTimeout 5
    StrictHostKeyChecking no
"""


@pytest.fixture
def fleet(vigo: Vigo) -> Vigo:
    """Return the program beside an inventory, in a home with an ssh_config."""
    (vigo.home / "inventory.yaml").write_text(FILE)
    (vigo.home / ".ssh").mkdir(exist_ok=True)
    config = vigo.home / ".ssh/config"
    config.write_text(CONFIG)
    config.chmod(0o600)
    return vigo


def rows(text: str) -> list[list[str]]:
    """Return the words of each line."""
    return [line.split() for line in text.splitlines()]


def test_each_value_stands_beside_its_place(fleet: Vigo) -> None:
    """Flags, the inventory's file and line, ssh_config's, and the defaults; then the same of every hop."""
    done = fleet("inventory", "show", "web-01", "--ssh", "--identity", "~/.ssh/mine")
    assert done.code == 0
    own, _, hop = done.out.partition("Hop 1:")
    home = fleet.home
    for row in (
        ["port", "2200", "inventory.yaml:6:11"],
        ["user", "ops", "~/.ssh/config:2"],
        ["identity", f"{home}/.ssh/mine", "--identity"],
        ["jump", "gate@bastion:2222", "inventory.yaml:2:9"],
        ["connect_timeout", "5", "~/.ssh/config:6"],
        ["keepalive", "30", "inventory.yaml:2:24"],
        ["host_keys", "accept-new", "inventory.yaml:6:23"],
        ["address", "web-01", "default"],
    ):
        assert row in rows(own)
    for row in (["bastion"], ["address", "10.0.0.1", "inventory.yaml:4:13"], ["port", "2222", "inventory.yaml:4:38"]):
        assert row in rows(hop)
    assert "StrictHostKeyChecking no is not followed" in done.err


def test_what_is_written_beside_a_hop_stands_where_the_way_does(fleet: Vigo) -> None:
    """And a hop behind another one has no way of its own."""
    found = fleet("inventory", "show", "db-01", "--ssh", "-o", "json").json()
    assert (found["schema"], found["host"], [hop["host"] for hop in found["hops"]]) == (
        1,
        "db-01",
        ["bastion", "inner"],
    )
    first = {row["key"]: row for row in found["hops"][0]["ssh"]}
    assert first["user"] == {"key": "user", "value": "other", "layer": "inventory", "place": "inventory.yaml:8:11"}
    assert first["port"]["place"] == "inventory.yaml:4:38"
    second = {row["key"]: row for row in found["hops"][1]["ssh"]}
    assert (second["jump"]["value"], second["jump"]["layer"]) == ("none", "hop")


def test_several_lines_are_several_rows(fleet: Vigo) -> None:
    """Each identity file with the line that names it."""
    found = rows(fleet("inventory", "show", "web-01", "--ssh", "--user", "me").out)
    assert ["identity", f"{fleet.home}/.ssh/web", "~/.ssh/config:3"] in found
    assert ["identity", f"{fleet.home}/.ssh/me", "~/.ssh/config:4"] in found


def test_another_file_or_none(fleet: Vigo) -> None:
    """`--ssh-config`; a way and options by flag."""
    none = rows(fleet("inventory", "show", "web-01", "--ssh", "--ssh-config", "none", "--jump", "none").out)
    assert ["jump", "none", "--jump"] in none
    assert ["connect_timeout", "10", "default"] in none
    (fleet.home / "other").write_text("ConnectTimeout 7\n")
    other = fleet(
        "inventory", "show", "web-01", "--ssh", "--ssh-config", "other", "--ssh-option", "User=x", "--port", "9"
    )
    assert ["connect_timeout", "7", "other:1"] in rows(other.out)
    assert ["user", "x", "--ssh-option", "User"] in rows(other.out)
    assert ["port", "9", "--port"] in rows(other.out)


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["--ssh-config", "nowhere"], 5, "there is no such file"),
        (["--ssh-option", "Prot=2"], 2, "did you mean 'Port'?"),
        (["--ssh-option", "StrictHostKeyChecking=no"], 2, "no flag switches the check of host keys off"),
        (["--jump", "a b"], 2, "is no way to a host"),
        (["--user", "a b"], 2, "is no user name"),
        (["--identity", ""], 2, "names no file"),
    ],
)
def test_a_flag_that_cannot_be_used(fleet: Vigo, args: list[str], code: int, words: str) -> None:
    """Refused with the reason, and nothing on stdout."""
    done = fleet("inventory", "show", "web-01", "--ssh", *args)
    assert (done.code, done.out) == (code, "")
    assert words in done.err


def test_flags_about_ssh_need_the_view_of_it(fleet: Vigo) -> None:
    """They would change nothing else, and nothing is ignored."""
    done = fleet("inventory", "show", "web-01", "--user", "x")
    assert (done.code, "add --ssh" in done.err) == (2, True)


def test_a_mistake_in_ssh_config_is_named_with_its_line(fleet: Vigo) -> None:
    """Exit 5."""
    config = fleet.home / ".ssh/config"
    config.write_text(CONFIG + "ProxyJmp x\n")
    done = fleet("inventory", "show", "web-01", "--ssh")
    assert (done.code, done.out) == (5, "")
    assert "~/.ssh/config:8: proxyjmp: unknown keyword; did you mean 'ProxyJump'?" in done.err


def test_no_ssh_library_is_loaded_for_it(fleet: Vigo) -> None:
    """Settings are decided without asyncssh."""
    program = (
        "import atexit, json, sys\nfrom vigo.cli.main import main\n"
        "atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))\n"
        "sys.argv = ['vigo', 'inventory', 'show', 'web-01', '--ssh']\nmain()\n"
    )
    argv = [sys.executable, "-c", program]
    done = subprocess.run(argv, env=fleet.env, cwd=fleet.home, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert set(json.loads(done.stderr.splitlines()[-1])).isdisjoint({"asyncssh", "cryptography"})
