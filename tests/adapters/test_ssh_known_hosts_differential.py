"""Whom vigo trusts beside whom the installed ssh trusts with `StrictHostKeyChecking=yes`, on the same known_hosts files."""

from __future__ import annotations

import asyncio
import base64
import random
import subprocess
import time
from pathlib import Path

import pytest

from tests.adapters.test_ssh_hostkeys import hashed
from tests.sshd import Farm, Server, Sink, fresh, make_key, order
from vigo.adapters.ssh_hostkeys import KnownHostsFile
from vigo.core.model import Limits, Outcome


def by_ssh(farm: Farm, server: Server, known_hosts: Path) -> bool:
    """Tell whether the real ssh runs a command there."""
    argv = [
        "ssh", "-F", "none", "-p", str(server.port), "-l", farm.plain_user, "-i", str(farm.key),
        "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={known_hosts}",
        "-o", "GlobalKnownHostsFile=none", "-o", "UpdateHostKeys=no", server.addresses[0], "true",
    ]  # fmt: skip
    return subprocess.run(argv, capture_output=True, check=False, stdin=subprocess.DEVNULL).returncode == 0


def by_vigo(farm: Farm, server: Server, known_hosts: Path) -> tuple[bool, str]:
    """Tell whether vigo does, and why not."""
    target = farm.host(server, known_hosts=str(known_hosts))
    result = asyncio.run(farm.transport().run(order(target, "true"), Limits(), Sink(), fresh())).result
    return result.outcome is Outcome.COMPLETE, result.detail


def cases(server: Server, authority: str, other: str) -> dict[str, str]:
    """Return the files, each under the word for what it shows."""
    key, port = server.host_key, server.port
    name = f"[127.0.0.1]:{port}"
    good, bad = f"{name} {key}\n", f"{name} {other}\n"
    return {
        "plain": good,
        "carriage returns": good.replace("\n", "\r\n"),
        "hashed": f"{hashed(name)} {key}\n",
        "hashed, another": f"{hashed('[127.0.0.2]:22')} {key}\n",
        "without the port": f"127.0.0.1 {key}\n",
        "another port": f"[127.0.0.1]:1 {key}\n",
        "port 22 spelled out": f"[127.0.0.1]:22 {key}\n",
        "pattern": f"[127.0.0.?]:* {key}\n",
        "negated": f"[127.0.0.*]:*,!{name} {key}\n",
        "list": f"web-01,{name},10.0.0.1 {key} a comment\n",
        "changed": bad,
        "changed, then known": bad + good,
        "changed without the port": f"127.0.0.1 {other}\n",
        "revoked": good + f"@revoked * {key}\n",
        "revoked first": f"@revoked {name} {key}\n" + good,
        "another revoked": good + f"@revoked * {other}\n",
        "authority for a plain key": f"@cert-authority {name} {authority}\n",
        "garbage around": f"garbage\n\n# {good}|1|short x y\n{name} ssh-ed25519 !!!\n@wrong {good}{good}garbage",
        "no newline at the end": good.rstrip(),
        "blanks before": f"  \t{good}",
        "torn key": good[: len(good) // 2] + "\n",
        "empty": "",
        "another algorithm": f"{name} ssh-rsa {other.split()[1]}\n",
        "a NUL": f"\0{good}",
        "not UTF-8": f"caf\udce9 {key}\n" + good,
    }


@pytest.mark.faults
@pytest.mark.sshd
@pytest.mark.timeout(300)
def test_vigo_trusts_whom_ssh_trusts(sshd_farm: Farm, tmp_path: Path) -> None:
    """A16: the same decision in every case, and one where vigo is the stricter is written down."""
    server = sshd_farm.serve()
    authority, other = (
        " ".join(Path(f"{make_key(tmp_path / name)}.pub").read_text().split()[:2]) for name in ("ca", "other")
    )
    stricter = {"changed without the port"}
    differing = []
    for word, text in cases(server, authority, other).items():
        file = tmp_path / "known_hosts"
        file.write_text(text, errors="surrogateescape")
        ssh, (vigo, detail) = by_ssh(sshd_farm, server, file), by_vigo(sshd_farm, server, file)
        if ssh != vigo and not (word in stricter and not vigo):
            differing.append(f"{word}: ssh {ssh}, vigo {vigo}: {detail}")
    print(f"A16: {len(cases(server, authority, other))} files, {len(differing)} decisions differ: {differing}")
    assert differing == []
    nowhere = tmp_path / "nowhere"
    assert not by_ssh(sshd_farm, server, nowhere)
    assert not by_vigo(sshd_farm, server, nowhere)[0]
    assert not by_vigo(sshd_farm, server, tmp_path)[0], "a file that cannot be read is not an empty one"


@pytest.mark.faults
@pytest.mark.sshd
def test_certified_host_keys_are_trusted_as_ssh_trusts_them(sshd_farm: Farm, tmp_path: Path) -> None:
    """A16: the authority's line for this name, for another one, and revoked."""
    authority, key = make_key(tmp_path / "ca"), make_key(tmp_path / "host")
    argv = ["ssh-keygen", "-q", "-s", str(authority), "-h", "-I", "x", "-n", "127.0.0.1", f"{key}.pub"]
    subprocess.run(argv, check=True, capture_output=True)
    server = sshd_farm.serve(HostCertificate=f"{key}-cert.pub", Banner=f"none\nHostKey {key}")
    public = " ".join(Path(f"{authority}.pub").read_text().split()[:2])
    name = f"[127.0.0.1]:{server.port}"
    for text in (
        f"@cert-authority {name} {public}\n",
        f"@cert-authority * {public}\n",
        f"@cert-authority 127.0.0.1 {public}\n",
        f"@cert-authority [127.0.0.9]:{server.port} {public}\n",
        f"@cert-authority {name} {public}\n@revoked * {public}\n",
        f"@cert-authority {hashed(name)} {public}\n",
    ):
        file = tmp_path / "known_hosts"
        file.write_text(text)
        vigo, detail = by_vigo(sshd_farm, server, file)
        assert by_ssh(sshd_farm, server, file) == vigo, f"{text}: {detail}"


@pytest.mark.faults
def test_a_hundred_thousand_lines_are_read_within_a_second(tmp_path: Path) -> None:
    """A16: parsed once a run, plain names found without a search."""
    chance = random.Random(1)
    blobs = [base64.b64encode(chance.randbytes(51)).decode() for _ in range(100)]
    file = tmp_path / "known_hosts"
    file.write_text("".join(f"host-{n}.example.com ssh-ed25519 {blobs[n % 100]}\n" for n in range(100_000)))
    spent = []
    for _ in range(3):
        began = time.process_time()
        assert len(list(KnownHostsFile(file).find("host-99999.example.com"))) == 1
        spent.append(time.process_time() - began)
    print(f"A16: 100,000 lines in {min(spent) * 1000:.0f} ms")
    assert min(spent) <= 1
