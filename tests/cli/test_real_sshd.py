"""The whole program against OpenSSH's own server."""

from __future__ import annotations

import hashlib
import socket
from pathlib import Path

import pytest

from bench.fanout import compare, write_fleet
from tests.cli.conftest import Vigo
from tests.sshd import Farm, free_port, marker, survivors, wait_until

pytestmark = [pytest.mark.sshd, pytest.mark.timeout(300)]

_GOOD = 20


def _fleet(vigo: Vigo, farm: Farm, hosts: str) -> None:
    """Write an inventory with these hosts; known_hosts is the farm's."""
    (vigo.home / "inventory.yaml").write_text(
        f"defaults: {{ssh: {{user: {farm.plain_user}, identity: {farm.key}, known_hosts: {farm.known_hosts}}}}}\n"
        f"hosts:\n{hosts}"
    )


def test_four_kinds_of_bad_host_do_not_disturb_twenty_good_ones(vigo: Vigo, sshd_farm: Farm) -> None:
    """20 complete, four unreachable with the right reasons, exit 1, and `task status` says the same afterwards."""
    good = sshd_farm.serve(("0.0.0.0",))
    changed = sshd_farm.serve(("127.0.3.2",))
    known = sshd_farm.directory / "known_hosts.cli"
    known.write_text(
        "".join(f"[127.0.3.{100 + n}]:{good.port} {good.host_key}\n" for n in range(1, _GOOD + 1))
        + f"[127.0.3.2]:{changed.port} {good.host_key}\n"  # not its own key
    )
    with socket.create_server(("127.0.3.3", 0)) as silent:
        (vigo.home / "inventory.yaml").write_text(
            f"defaults: {{ssh: {{user: {sshd_farm.plain_user}, identity: {sshd_farm.key}, known_hosts: {known}}}}}\n"
            "hosts:\n"
            f"  good-[01-{_GOOD}]: {{address: '127.0.3.[101-{100 + _GOOD}]', ssh: {{port: {good.port}}}}}\n"
            f"  silent: {{address: 127.0.3.3, ssh: {{port: {silent.getsockname()[1]}, connect_timeout: 3}}}}\n"
            f"  refuses: {{address: 127.0.3.3, ssh: {{port: {free_port('127.0.3.3')}}}}}\n"
            f"  changed: {{address: 127.0.3.2, ssh: {{port: {changed.port}}}}}\n"
            f"  stranger: {{address: 127.0.3.101, ssh: {{port: {good.port}, user: nobody-we-know}}}}\n"
        )
        result = vigo("task", "run", "echo here", "--target", "all", "-i", "inventory.yaml", "-o", "json")
    assert result.code == 1, result.err
    hosts = {host["host"]: host for host in result.json()["hosts"]}
    assert [hosts[f"good-{n:02}"]["outcome"] for n in range(1, _GOOD + 1)] == ["complete"] * _GOOD
    assert {name: hosts[name]["reason"] for name in ("silent", "refuses", "changed", "stranger")} == {
        "silent": "banner",
        "refuses": "refused",
        "changed": "host_key_changed",
        "stranger": "auth",
    }
    assert max(hosts[f"good-{n:02}"]["duration_ms"] for n in range(1, _GOOD + 1)) < hosts["silent"]["duration_ms"]
    assert vigo("task", "status", "-o", "json").json()["hosts"] == result.json()["hosts"]
    assert f"{_GOOD} complete" in result.err
    assert "4 unreachable" in result.err
    assert vigo("audit", "verify").code == 0


def test_first_contact_is_recorded_only_when_asked(vigo: Vigo, sshd_farm: Farm) -> None:
    """Strict by default; with the flag the key is kept in vigo's own known_hosts, 0600, and counts from then on."""
    server = sshd_farm.serve(("127.0.3.4",))
    (vigo.home / "inventory.yaml").write_text(
        f"hosts: {{new: {{address: 127.0.3.4, ssh: {{user: {sshd_farm.plain_user}, port: {server.port}, "
        f"identity: {sshd_farm.key}}}}}}}\n"
    )
    run = ["task", "run", "true", "--target", "new", "-i", "inventory.yaml"]
    strict = vigo(*run)
    accepting = vigo(*run, "--accept-new-host-keys")
    afterwards = vigo(*run)
    known = Path(vigo.env["VIGO_DATA_DIR"]) / "known_hosts"
    assert (strict.code, accepting.code, afterwards.code) == (1, 0, 0), (strict, accepting, afterwards)
    assert "[unreachable] host_key_unknown: " in strict.out
    assert "--accept-new-host-keys" in strict.out
    assert (known.stat().st_mode & 0o777, known.read_text()) == (
        0o600,
        f"[127.0.3.4]:{server.port} {server.host_key}\n",
    )


def test_the_timeout_kills_what_ignores_term(vigo: Vigo, sshd_farm: Farm) -> None:
    """`[timeout] … killed`, and no process of the command is left."""
    server = sshd_farm.serve(("127.0.3.5",))
    _fleet(vigo, sshd_farm, f"  h: {{address: 127.0.3.5, ssh: {{port: {server.port}}}}}\n")
    mark = marker()
    command = f"(trap '' TERM; sh -c 'trap \"\" TERM; while :; do sleep 1; done; : {mark}') & wait"
    result = vigo("task", "run", command, "--target", "h", "-i", "inventory.yaml", "--timeout", "2")
    assert result.code == 1
    assert "--- h [timeout] " in result.out
    assert " killed\n" in result.out
    wait_until(lambda: not survivors(mark), what="the end of the command")


def test_a_fleet_of_addresses_completes_and_status_agrees(vigo: Vigo, sshd_farm: Farm) -> None:
    """One sshd on many addresses: every host complete, in the run and in `task status` afterwards."""
    count = 20
    server = sshd_farm.serve(("0.0.0.0",))
    write_fleet(vigo.home, sshd_farm, server, count)
    run = vigo("task", "run", "uptime", "--target", "all", "-i", "inventory.yaml")
    status = vigo("task", "status")
    assert run.code == 0, run.err
    assert run.out.count("[complete] exit=0") == status.out.count("[complete] exit=0") == count


@pytest.mark.alone
@pytest.mark.faults
def test_two_hundred_hosts_cost_little_more_than_a_bare_loop(sshd_farm: Farm) -> None:
    """200 x complete within 120 MiB and 1.5 times the wall time of a bare asyncssh loop, interleaved."""
    assert sshd_farm.users, "root and sshd are here; the comparison makes a farm of its own"
    figures = compare(200, 3)
    print(figures)
    assert figures["vigo_peak_mib"] <= 120
    assert figures["wall_ratio"] <= 1.5


def test_a_secret_is_used_on_the_host_and_seen_nowhere_else(vigo: Vigo, sshd_farm: Farm) -> None:
    """The command gets the value; argv, output, journal, status and messages do not."""
    server = sshd_farm.serve(("127.0.3.6",))
    canary = "S3cr3t heard-in-a-mine"
    (vigo.home / "token").write_text(canary + "\n")
    _fleet(vigo, sshd_farm, f"  h: {{address: 127.0.3.6, ssh: {{port: {server.port}}}}}\n")
    with (vigo.home / "inventory.yaml").open("a") as file:
        file.write(
            "tasks:\n  login:\n    params: {token: {secret: true}}\n"
            "    command: >-\n"
            "      printf '%s' {{ token }} | sha256sum; echo {{ token }}; echo {{ token }} >&2;\n"
            "      cat /proc/*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -c heard-in-a-min[e]\n"
        )
    result = vigo(
        "task", "run", "login", "--target", "h", "-i", "inventory.yaml", "--param", f"token=@{vigo.home}/token",
        "-o", "json",
    )  # fmt: skip
    [host] = result.json()["hosts"]
    digest = hashlib.sha256(canary.encode()).hexdigest()
    assert host["stdout"]["text"] == f"{digest}  -\n***\n0\n"
    assert host["stderr"]["text"] == "***\n"
    seen = result.out + result.err + vigo("task", "status").out + vigo("audit", "export", "-o", "jsonl").out
    stored = b"".join(path.read_bytes() for path in (vigo.home / "data").rglob("*") if path.is_file())
    assert "heard-in-a-mine" not in seen
    assert b"heard-in-a-mine" not in stored


def test_a_dry_run_probes_where_ssh_config_says_the_host_is(vigo: Vigo, sshd_farm: Farm) -> None:
    """HostName and Port of the user's own file count, and no SSH connection is made."""
    server = sshd_farm.serve(("127.0.3.7",))
    (vigo.home / ".ssh").mkdir()
    (vigo.home / ".ssh" / "config").write_text(f"Host there\n  HostName 127.0.3.7\n  Port {server.port}\n")
    (vigo.home / "inventory.yaml").write_text(
        f"hosts: {{there: {{}}, gone: {{address: 127.0.3.7, ssh: {{port: {free_port()}}}}}}}\n"
    )
    result = vigo("task", "run", "true", "--target", "all", "-i", "inventory.yaml", "--dry-run")
    assert result.out.endswith("1 batch(es), 2 target(s), 1 offline\n")
    assert "offline: gone\n" in result.err
    assert "Accepted" not in server.log
