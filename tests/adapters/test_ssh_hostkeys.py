"""Whom vigo trusts: known_hosts as ssh reads it, first contacts recorded once, a changed key always fatal."""

from __future__ import annotations

import asyncio
import base64
import hmac
import multiprocessing
import os
import stat
import subprocess
from pathlib import Path

import pytest

from tests.sshd import Farm, Server, Sink, fresh, make_key, order
from vigo.adapters.ssh_errors import Unreached
from vigo.adapters.ssh_hostkeys import HostKeys, KnownHostsFile
from vigo.core.model import HostResult, Limits, Outcome, Reason

ALGORITHM = "ssh-ed25519"
BLOB, OTHER = b"key one", b"key two"


def line(names: str, blob: bytes = BLOB, *, marker: str = "", algorithm: str = ALGORITHM) -> str:
    """Write one line of a known_hosts file."""
    return f"{marker} {names} {algorithm} {base64.b64encode(blob).decode()} comment\n".lstrip()


def hashed(name: str) -> str:
    """Hash a name as `ssh-keygen -H` does."""
    salt = os.urandom(20)
    digest = hmac.digest(salt, name.encode(), "sha1")
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


def verdict(
    text: str, tmp_path: Path, *, name: str = "web-01", port: int = 22, accept_new: bool = False
) -> Reason | None:
    """Judge a server that shows BLOB against a file with this text; None is trust."""
    file = tmp_path / "known_hosts"
    file.write_text(text)
    host_keys = HostKeys(tmp_path / "own", accept_new)
    known = host_keys.known([name], port, [file])
    try:
        host_keys.judge(known, name, port, ALGORITHM, BLOB, may_record=True)
    except Unreached as refusal:
        return refusal.reason
    return None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (line("web-01"), None),
        (line("WEB-01"), None),
        (line("other,web-01,10.0.0.1"), None),
        (line("web-*"), None),
        (line("web-0?"), None),
        (line("*,!web-01"), Reason.HOST_KEY_UNKNOWN),
        (line("!db-*,web-*"), None),
        (line(hashed("web-01")), None),
        (line(hashed("web-02")), Reason.HOST_KEY_UNKNOWN),
        (line("web-01").replace("\n", "\r\n"), None),
        ("# web-01\n\n\n" + line("web-01"), None),
        ("garbage\n@nonsense " + line("web-01", OTHER) + line("web-01"), None),
        ("web-01 ssh-ed25519 !!!notbase64\n" + line("web-01"), None),
        ("|1|short " + line("x"), Reason.HOST_KEY_UNKNOWN),
        (line("web-01", OTHER), Reason.HOST_KEY_CHANGED),
        (line("web-01", OTHER) + line("web-01"), None),
        (line("web-01", OTHER, algorithm="ssh-rsa"), Reason.HOST_KEY_CHANGED),
        (line("web-01") + line("*", marker="@revoked"), Reason.HOST_KEY_REVOKED),
        (line("web-01") + line("*", OTHER, marker="@revoked"), None),
        (line("web-01", marker="@cert-authority"), Reason.HOST_KEY_UNKNOWN),
        ("", Reason.HOST_KEY_UNKNOWN),
    ],
)
def test_known_hosts_is_read_as_ssh_reads_it(text: str, expected: Reason | None, tmp_path: Path) -> None:
    """Names, lists, patterns, negation, hashes, markers, carriage returns, and lines that make no sense."""
    assert verdict(text, tmp_path) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (line("[web-01]:2222"), None),
        (line("web-01"), None),
        (line("web-01", OTHER), Reason.HOST_KEY_UNKNOWN),
        (line("[web-01]:2222", OTHER) + line("web-01"), None),
        (line("[web-01]:2222", OTHER), Reason.HOST_KEY_CHANGED),
        (line("[web-01]:22"), Reason.HOST_KEY_UNKNOWN),
        (line("[web-*]:2222"), None),
    ],
)
def test_a_port_of_its_own_has_a_name_of_its_own(text: str, expected: Reason | None, tmp_path: Path) -> None:
    """The plain name's key is good enough to accept, and no ground to speak of a change."""
    assert verdict(text, tmp_path, port=2222) is expected


def test_a_refusal_names_file_line_and_the_way_out(tmp_path: Path) -> None:
    """Verify, then remove exactly that entry."""
    file = tmp_path / "known_hosts"
    file.write_text("\n" + line("[web-01]:2222", OTHER))
    host_keys = HostKeys(tmp_path / "own", accept_new=True)
    with pytest.raises(Unreached) as refusal:
        host_keys.judge(host_keys.known(["web-01"], 2222, [file]), "web-01", 2222, ALGORITHM, BLOB, may_record=True)
    assert f"{file}:2 " in refusal.value.detail
    assert f"ssh-keygen -f {file} -R '[web-01]:2222'" in refusal.value.detail


def test_an_unreadable_file_is_not_an_empty_one(tmp_path: Path) -> None:
    """What cannot be checked is not trusted."""
    with pytest.raises(Unreached, match="cannot read"):
        KnownHostsFile(tmp_path)


def test_the_first_contact_is_recorded_and_a_second_key_is_refused(tmp_path: Path) -> None:
    """One whole line, mode 0600, in a folder of mode 0700; then it is known."""
    own = tmp_path / "vigo" / "known_hosts"
    host_keys = HostKeys(own, accept_new=True)
    for _ in range(2):
        known = host_keys.known(["web-01"], 2222, [own])
        host_keys.judge(known, "web-01", 2222, ALGORITHM, BLOB, may_record=True)
    assert own.read_text() == f"[web-01]:2222 {ALGORITHM} {base64.b64encode(BLOB).decode()}\n"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (own, own.parent)] == [0o600, 0o700]
    with pytest.raises(Unreached) as refusal:
        host_keys.judge(host_keys.known(["web-01"], 2222, [own]), "web-01", 2222, ALGORITHM, OTHER, may_record=True)
    assert refusal.value.reason is Reason.HOST_KEY_CHANGED


def test_what_another_vigo_recorded_meanwhile_counts(tmp_path: Path) -> None:
    """Both read an empty file; the second to record sees the first one's line under the lock."""
    own = tmp_path / "known_hosts"
    first, second = HostKeys(own, accept_new=True), HostKeys(own, accept_new=True)
    nothing = [host_keys.known(["web-01"], 22, [own]) for host_keys in (first, second)]
    first.judge(nothing[0], "web-01", 22, ALGORITHM, BLOB, may_record=True)
    with pytest.raises(Unreached) as refusal:
        second.judge(nothing[1], "web-01", 22, ALGORITHM, OTHER, may_record=True)
    assert refusal.value.reason is Reason.HOST_KEY_CHANGED
    second.judge(nothing[1], "web-01", 22, ALGORITHM, BLOB, may_record=True)
    assert len(own.read_text().splitlines()) == 1


def test_a_torn_last_line_is_not_glued_to_the_next(tmp_path: Path) -> None:
    """Some editor left the file without its last newline."""
    own = tmp_path / "known_hosts"
    own.write_text(line("db-01").rstrip())
    host_keys = HostKeys(own, accept_new=True)
    host_keys.judge(host_keys.known(["web-01"], 22, [own]), "web-01", 22, ALGORITHM, BLOB, may_record=True)
    assert [row.split()[0] for row in own.read_text().splitlines()] == ["db-01", "web-01"]


def _record(own: Path, names: list[str]) -> None:
    host_keys = HostKeys(own, accept_new=True)
    for name in names:
        host_keys.judge(host_keys.known([name], 22, [own]), name, 22, ALGORITHM, BLOB, may_record=True)


def test_many_at_once_leave_neither_torn_nor_doubled_lines(tmp_path: Path) -> None:
    """Three processes, the same twenty hosts, an empty file."""
    own = tmp_path / "known_hosts"
    names = [f"host-{number}" for number in range(20)]
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_record, args=(own, names)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    rows = own.read_text().splitlines()
    assert sorted(row.split()[0] for row in rows) == sorted(names)
    assert all(len(row.split()) == 3 for row in rows)


def reach(farm: Farm, server: Server, known_hosts: Path, *, accept_new: bool = False) -> HostResult:
    """Run something on the server, trusting only this file."""
    transport = farm.transport(known_hosts=known_hosts, accept_new=accept_new)
    return asyncio.run(transport.run(order(farm.host(server), "true"), Limits(), Sink(), fresh())).result


@pytest.mark.sshd
def test_real_servers_unknown_recorded_then_changed(sshd_farm: Farm, tmp_path: Path) -> None:
    """Strict; then first contact; then known; then another key, which is fatal before any login."""
    server, own = sshd_farm.serve(), tmp_path / "own"
    assert reach(sshd_farm, server, own).reason is Reason.HOST_KEY_UNKNOWN
    assert not own.exists()
    assert reach(sshd_farm, server, own, accept_new=True).outcome is Outcome.COMPLETE
    assert own.read_text() == f"[127.0.0.1]:{server.port} {server.host_key}\n"
    assert reach(sshd_farm, server, own).outcome is Outcome.COMPLETE
    forged = make_key(tmp_path / "forged")
    own.write_text(f"[127.0.0.1]:{server.port} {' '.join(forged.with_suffix('.pub').read_text().split()[:2])}\n")
    logins = server.log.count("Accepted publickey")
    for accept_new in (False, True):
        assert reach(sshd_farm, server, own, accept_new=accept_new).reason is Reason.HOST_KEY_CHANGED
    assert server.log.count("Accepted publickey") == logins
    assert "Failed publickey" not in server.log


@pytest.mark.sshd
def test_a_server_with_several_keys_shows_the_one_that_is_known(sshd_farm: Farm, tmp_path: Path) -> None:
    """Its ed25519 key is unknown, its RSA key is the one in the file: known, not changed."""
    rsa = make_key(tmp_path / "rsa", kind="rsa")
    server = sshd_farm.serve(HostKeyAlgorithms="ssh-ed25519,rsa-sha2-512,rsa-sha2-256", Banner=f"none\nHostKey {rsa}")
    own = tmp_path / "own"
    own.write_text(f"[127.0.0.1]:{server.port} {' '.join(rsa.with_suffix('.pub').read_text().split()[:2])}\n")
    assert reach(sshd_farm, server, own).outcome is Outcome.COMPLETE


@pytest.mark.sshd
def test_a_certified_host_key_is_trusted_through_its_authority(sshd_farm: Farm, tmp_path: Path) -> None:
    """`@cert-authority` trusts what it signed for this name, and nothing that is signed for another."""
    authority = make_key(tmp_path / "ca")
    for principal, expected in (("127.0.0.1", Outcome.COMPLETE), ("10.9.9.9", Outcome.UNREACHABLE)):
        key = make_key(tmp_path / f"host_{expected}")
        subprocess.run(
            ["ssh-keygen", "-q", "-s", str(authority), "-h", "-I", "x", "-n", principal, f"{key}.pub"],
            check=True,
            capture_output=True,
        )
        server = sshd_farm.serve(HostCertificate=f"{key}-cert.pub", Banner=f"none\nHostKey {key}")
        own = tmp_path / f"own_{expected}"
        public = " ".join(authority.with_suffix(".pub").read_text().split()[:2])
        own.write_text(f"@cert-authority [127.0.0.1]:{server.port} {public}\n")
        assert reach(sshd_farm, server, own).outcome is expected
