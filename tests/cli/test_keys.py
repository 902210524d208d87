"""`vigo keys`: what hosts show, what is known of them, and how one is forgotten; against OpenSSH's own server."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Vigo
from tests.sshd import Farm, Server, free_port, make_key

pytestmark = pytest.mark.sshd


def own(vigo: Vigo) -> Path:
    """Return vigo's own known_hosts."""
    return Path(vigo.env["VIGO_DATA_DIR"]) / "known_hosts"


def public(path: Path) -> str:
    """Return algorithm and base64 of a key pair's public half."""
    return " ".join(Path(f"{path}.pub").read_text().split()[:2])


def fingerprint(path: Path) -> str:
    """Return a key's fingerprint as ssh-keygen tells it."""
    return subprocess.run(["ssh-keygen", "-lf", str(path)], check=True, capture_output=True, text=True).stdout.split()[
        1
    ]


def states(found: Any) -> dict[str, dict[str, str]]:
    """Return the state of each kind of key of each host."""
    told: dict[str, dict[str, str]] = {}
    for row in found["keys"]:
        told.setdefault(row["host"], {})[row["type"]] = row["state"]
    return told


def serve(farm: Farm, addresses: tuple[str, ...], *keys: Path, **settings: str) -> Server:
    """Start a server with these host keys."""
    return farm.serve(addresses, HostKey="\nHostKey ".join(map(str, keys)), **settings)


def write_fleet(vigo: Vigo, hosts: dict[str, tuple[str, int]], ssh: str = "") -> None:
    """Write an inventory of addresses and ports."""
    rows = "".join(
        f"  {name}: {{address: {address}, ssh: {{port: {port}}}}}\n" for name, (address, port) in hosts.items()
    )
    (vigo.home / "inventory.yaml").write_text(f"defaults: {{ssh: {{{ssh}}}}}\nhosts:\n{rows}")


def test_keys_are_scanned_recorded_shown_and_forgotten(vigo: Vigo, sshd_farm: Farm, tmp_path: Path) -> None:
    """Every kind of key a server has, beside what each file says; a changed one is never written."""
    ecdsa, key, forged = (make_key(tmp_path / name, kind=kind) for name, kind in
                        (("ecdsa", "ecdsa"), ("key", "ed25519"), ("forged", "ed25519")))  # fmt: skip
    authority = make_key(tmp_path / "authority")
    sign = ["ssh-keygen", "-q", "-s", str(authority), "-I", "host", "-h", "-n", "127.0.5.5", f"{key}.pub"]
    subprocess.run(sign, check=True)
    server = serve(sshd_farm, tuple(f"127.0.5.{number}" for number in range(1, 5)), ecdsa, key)
    vouched = serve(sshd_farm, ("127.0.5.5",), key, HostCertificate=f"{key}-cert.pub")
    hosts = {"known": 1, "new": 2, "changed": 3, "revoked": 4}
    places = {name: (f"127.0.5.{number}", server.port) for name, number in hosts.items()}
    write_fleet(vigo, places | {"vouched": ("127.0.5.5", vouched.port), "gone": ("127.0.5.1", free_port())})
    ssh = vigo.home / ".ssh"
    ssh.mkdir()
    ssh.joinpath("known_hosts").write_text(
        f"[127.0.5.1]:{server.port} {public(key)}\n[127.0.5.3]:{server.port} {public(forged)}\n"
        f"@revoked [127.0.5.4]:{server.port} {public(key)}\n@cert-authority *127.0.5.5* {public(authority)}\n"
    )
    before = server.log

    done = vigo("keys", "scan", "--write", "-o", "json")
    assert done.code == 1, done.err
    found = done.json()
    assert states(found) == {
        "known": {"ssh-ed25519": "known", "ecdsa-sha2-nistp256": "new"},
        "new": {"ssh-ed25519": "new", "ecdsa-sha2-nistp256": "new"},
        "changed": {"ssh-ed25519": "CHANGED", "ecdsa-sha2-nistp256": "CHANGED"},
        "revoked": {"ssh-ed25519": "revoked", "ecdsa-sha2-nistp256": "new"},
        "vouched": {"ssh-ed25519": "known"},
    }
    assert [(one["host"], one["reason"]) for one in found["failed"]] == [("gone", "refused")]
    row = next(row for row in found["keys"] if (row["host"], row["type"]) == ("known", "ssh-ed25519"))
    assert row["fingerprint"] == fingerprint(key)
    assert row["places"] == [f"{ssh}/known_hosts:1"]
    assert "2 known, 4 new, 2 CHANGED, 1 revoked, 1 not scanned" in done.err
    assert "publickey" not in server.log[len(before) :]  # nobody tried to log in
    lines = own(vigo).read_text().splitlines()
    assert sorted(line.split()[0] + " " + line.split()[1] for line in lines) == sorted(
        [
            f"[127.0.5.1]:{server.port} ecdsa-sha2-nistp256",
            f"[127.0.5.2]:{server.port} ssh-ed25519",
            f"[127.0.5.2]:{server.port} ecdsa-sha2-nistp256",
            f"[127.0.5.4]:{server.port} ecdsa-sha2-nistp256",
        ]
    )
    assert stat.S_IMODE(own(vigo).stat().st_mode) == 0o600

    shown = vigo("keys", "show", "known", "-o", "tsv")
    assert [line.split("\t")[::2] for line in shown.out.splitlines()[1:]] == [
        ["known", "ssh-ed25519", f"{ssh}/known_hosts:1"],
        [
            "known",
            "ecdsa-sha2-nistp256",
            next(f"{own(vigo)}:{at}" for at, line in enumerate(lines, 1) if "5.1]" in line),
        ],
    ]

    gone = vigo("keys", "forget", "known")
    assert gone.code == 0
    assert gone.out == f"{own(vigo)}: 1 line of known removed\n"
    assert f"known is still known by {ssh}/known_hosts:1" in gone.err
    assert vigo("keys", "forget", f"[127.0.5.2]:{server.port}", "-o", "json").json()["removed"] == [
        line for line in lines if "5.2]" in line
    ]
    assert [line.split()[0] for line in own(vigo).read_text().splitlines()] == [f"[127.0.5.4]:{server.port}"]
    nobody = vigo("keys", "forget", "knwon")
    assert (nobody.code, "did you mean known?" in nobody.err) == (4, True), nobody.err


def test_a_changed_key_is_refused_before_any_login_whatever_is_forced(
    vigo: Vigo, sshd_farm: Farm, tmp_path: Path
) -> None:
    """A14: `host_key_changed` on record and no key shown to the stranger; only the inventory takes it, and that is said."""
    server = sshd_farm.serve(("127.0.5.7", "127.0.5.8"))
    forged = make_key(tmp_path / "forged")
    own(vigo).parent.mkdir()
    own(vigo).write_text("".join(f"[127.0.5.{n}]:{server.port} {public(forged)}\n" for n in (7, 8)))
    ssh = f"user: {sshd_farm.plain_user}, identity: {sshd_farm.key}"
    write_fleet(vigo, {"web-01": ("127.0.5.7", server.port)}, ssh)
    done = vigo("task", "run", "true", "--target", "all", "--force", "--accept-new-host-keys")
    assert done.code == 1
    assert "[unreachable] host_key_changed: " in done.out
    assert "vigo keys forget '[127.0.5.7]:" in done.out
    assert "publickey" not in server.log
    finished = [event for event in vigo.events() if event["kind"] == "host.finished"]
    assert "host_key_changed" in str(finished)
    with (vigo.home / "inventory.yaml").open("a") as file:
        file.write(f"  lab-01: {{address: 127.0.5.8, ssh: {{port: {server.port}, host_keys: insecure}}}}\n")
    taken = vigo("task", "run", "true", "--target", "all")
    assert "1 complete    lab-01" in taken.err
    line = "host keys of lab-01 are not checked (host_keys: insecure in the inventory)\n"
    assert (taken.code, taken.err.count(line), done.err.count("not checked")) == (1, 1, 0)


@pytest.mark.faults
def test_fifty_first_contacts_by_two_programs_at_once_are_fifty_lines(vigo: Vigo, sshd_farm: Farm) -> None:
    """A15: `accept-new` in the inventory, an empty file, the same hosts twice at once: each once, whole, and 0600."""
    places: dict[str, tuple[str, int]] = {}
    for part in range(5):
        addresses = tuple(f"127.0.6.{10 * part + number}" for number in range(1, 11))
        server = sshd_farm.serve(addresses)
        places |= {f"h-{10 * part + at:02}": (address, server.port) for at, address in enumerate(addresses)}
    ssh = f"user: {sshd_farm.plain_user}, identity: {sshd_farm.key}, host_keys: accept-new"
    write_fleet(vigo, places, ssh)
    command = vigo.command("task", "run", "true", "--target", "all")
    running = [
        subprocess.Popen(
            command, cwd=vigo.home, env=vigo.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    ended = [(process.communicate(timeout=100), process.returncode) for process in running]
    assert [code for _, code in ended] == [0, 0], ended
    lines = own(vigo).read_text().splitlines()
    print(f"A15: 50 hosts, two programs at once: {len(lines)} lines")
    assert sorted(line.split()[0] for line in lines) == sorted(f"[{name}]:{port}" for name, port in places.values())
    assert {len(line.split()) for line in lines} == {3}
    assert stat.S_IMODE(own(vigo).stat().st_mode) == 0o600
