"""The check-up of a host: every step told in order, the first that fails with the way out, the rest skipped."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from tests.sshd import Farm, free_port, make_key
from vigo.adapters.ssh_errors import Unreached
from vigo.adapters.ssh_examine import Examination, agent_keys
from vigo.adapters.ssh_hostkeys import HostKeys
from vigo.adapters.ssh_scan import Scanner, offered_keys
from vigo.core.doctor import Check, CheckState
from vigo.core.inventory import Inventory
from vigo.core.model import Hop, Host, HostKeyRule, Overrides

STEPS = ["settings", "name", "tcp", "banner", "kex", "host key", "login", "channel", "shell"]
FACTS = ["output", "sh", "nice", "clock", "disk", "sudo"]


def examine(farm: Farm, host: Host, known_hosts: Path | None = None, *, timeout_ms: int = 10_000) -> list[Check]:
    """Return the checks of one host."""
    scanner = Scanner.make(known_hosts or farm.known_hosts, (), Overrides(), timeout_ms)
    checks: list[Check] = []

    async def carry_out() -> None:
        await Examination(scanner, Inventory((host,)), host, checks.append).carry_out()
        await scanner.close()

    asyncio.run(carry_out())
    return checks


def named(checks: list[Check], name: str) -> Check:
    """Return the one check of this name."""
    (found,) = [check for check in checks if check.name == name]
    return found


def assert_stops(checks: list[Check], name: str, words: str) -> None:
    """All is well before the check of this name, which fails with these words; the rest is skipped for it."""
    names = [check.name for check in checks]
    at = names.index(name)
    assert all(check.state in (CheckState.OK, CheckState.WARNING) for check in checks[:at]), checks
    assert checks[at].state is CheckState.FAILED
    assert words in checks[at].found
    assert {check.state for check in checks[at + 1 :]} == {CheckState.SKIPPED}
    assert {check.found for check in checks[at + 1 :]} == {f"because {name} failed"}
    assert names == STEPS + FACTS


@pytest.mark.sshd
def test_a_host_that_is_well_passes_every_check(sshd_farm: Farm) -> None:
    """In order, each that was waited for with its time; nothing of it stays on the host."""
    server = sshd_farm.serve()
    checks = examine(sshd_farm, sshd_farm.host(server, name="web-01"))
    assert [check.name for check in checks] == STEPS + FACTS
    assert {check.state for check in checks if check.name not in ("sudo", "nice")} == {CheckState.OK}, checks
    assert all(named(checks, name).duration_ms is not None for name in STEPS if name != "host key")
    assert "OpenSSH" in named(checks, "banner").found
    assert f"known by {sshd_farm.directory}/known_hosts:" in named(checks, "host key").found
    assert f"took ssh-ed25519 of {sshd_farm.key}" in named(checks, "login").found
    assert "publickey" in named(checks, "login").found
    assert named(checks, "sudo").state is CheckState.WARNING  # a user whom no sudoers file knows


@pytest.mark.sshd
def test_a_start_up_file_that_prints_is_worth_a_look(sshd_farm: Farm) -> None:
    """What it prints stands before every command's output."""
    user = sshd_farm.user("/bin/bash")
    (sshd_farm.directory / user / ".bashrc").write_text("echo hello there\n")
    checks = examine(sshd_farm, sshd_farm.host(sshd_farm.serve(), user=user))
    noise = named(checks, "output")
    assert (noise.state, "12 bytes" in noise.found, "hello there" in noise.found) == (CheckState.WARNING, True, True)
    assert named(checks, "sh").state is CheckState.OK


@pytest.mark.sshd
def test_the_first_step_that_fails_is_told_with_the_way_out(sshd_farm: Farm, tmp_path: Path) -> None:
    """Another login key, a changed and an unknown host key, no shell, nobody who listens, nothing that speaks SSH."""
    server = sshd_farm.serve()
    other, nothing = make_key(tmp_path / "other"), tmp_path / "nothing"
    good = sshd_farm.host(server, name="web-01", agent=False)

    wrong = replace(good, ssh=replace(good.ssh, identity=str(other)))
    assert_stops(examine(sshd_farm, wrong), "login", f"auth: {sshd_farm.plain_user}@127.0.0.1:{server.port}")
    changed = tmp_path / "changed"
    forged = " ".join(other.with_suffix(".pub").read_text().split()[:2])
    changed.write_text(f"[127.0.0.1]:{server.port} {forged}\n")
    assert_stops(examine(sshd_farm, good, changed), "host key", "vigo keys forget '[127.0.0.1]:")
    assert_stops(examine(sshd_farm, good, nothing), "host key", "vigo keys scan --target web-01 --write")
    assert not nothing.exists()
    no_shell = sshd_farm.host(server, user=sshd_farm.user("/usr/sbin/nologin"))
    assert_stops(examine(sshd_farm, no_shell), "shell", "no_shell: the login shell of")
    closed = replace(good, ssh=replace(good.ssh, port=free_port()))
    assert_stops(examine(sshd_farm, closed), "tcp", "refused: 127.0.0.1 port")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mute = replace(good, ssh=replace(good.ssh, port=silent.getsockname()[1]))
        assert_stops(examine(sshd_farm, mute, timeout_ms=300), "banner", "sends no SSH banner")
    nowhere = replace(good, ssh=replace(good.ssh, known_hosts="~nobody-we-know/x"))
    assert_stops(examine(sshd_farm, nowhere), "settings", "nobody-we-know")


@pytest.mark.sshd
def test_rules_about_host_keys_are_told_as_they_are(sshd_farm: Farm, tmp_path: Path) -> None:
    """`insecure` is a warning, `accept-new` records; a host behind a hop is reached through it."""
    server, own = sshd_farm.serve(), tmp_path / "own"
    insecure = examine(sshd_farm, sshd_farm.host(server, host_keys=HostKeyRule.INSECURE), own)
    assert named(insecure, "host key").state is CheckState.WARNING
    assert not own.exists()
    accepting = examine(sshd_farm, sshd_farm.host(server, host_keys=HostKeyRule.ACCEPT_NEW), own)
    assert "new; recorded at the login" in named(accepting, "host key").found
    assert own.read_text() == f"[127.0.0.1]:{server.port} {server.host_key}\n"
    hop = Hop("gate", "127.0.0.1", ssh=sshd_farm.host(server).ssh)
    behind = examine(sshd_farm, sshd_farm.host(server, jump=(hop,)), own)
    assert named(behind, "name").found == "127.0.0.1 is looked up by the last hop; open: gate"
    assert named(behind, "shell").state is CheckState.OK


def test_an_agent_that_is_not_there_or_silent_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A21: neither holds anything up for long."""
    monkeypatch.setattr("vigo.adapters.ssh_examine._AGENT_PATIENCE_S", 0.05)
    with pytest.raises(Unreached, match="cannot be used"):
        asyncio.run(agent_keys(str(tmp_path / "stale")))
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "silent"))
        silent.listen()
        with pytest.raises(Unreached, match="does not answer"):
            asyncio.run(agent_keys(str(tmp_path / "silent")))


def test_kinds_of_keys_are_read_from_the_first_packet_and_nothing_else() -> None:
    """As much as has come decides: lines before the version, a part of the packet, or another packet say nothing yet."""
    lists = b"".join(len(names).to_bytes(4, "big") + names for names in (b"kex-a,kex-b", b"ssh-ed25519,ssh-rsa"))
    payload = bytes([20]) + bytes(16) + lists
    packet = (len(payload) + 1).to_bytes(4, "big") + b"\0" + payload
    whole = b"hello\r\nSSH-2.0-x\r\n" + packet
    assert offered_keys(whole + b"more") == ("ssh-ed25519", "ssh-rsa")
    assert all(offered_keys(whole[:size]) == () for size in range(len(whole)))
    assert offered_keys(whole.replace(bytes([20]) + bytes(16), bytes([21]) + bytes(16))) == ()


def test_the_files_of_a_scanner_are_its_own(tmp_path: Path) -> None:
    """It never accepts a key by itself."""
    scanner = Scanner.make(tmp_path / "own", (), Overrides(), 1_000)
    assert scanner.host_keys == HostKeys(tmp_path / "own", accept_new=False)
