"""Whom vigo trusts: known_hosts as ssh reads it, first contacts recorded once, a changed key always fatal."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import multiprocessing
import stat
import subprocess
from pathlib import Path

import pytest

from tests.sshd import Farm, Server, Sink, fresh, make_key, order
from vigo.adapters.ssh_errors import Unreached
from vigo.adapters.ssh_hostkeys import Compared, HostKeys, KeyState, KnownHostsFile, ShownKey, compare
from vigo.core.model import HostKeyRule, HostResult, Limits, Outcome, Reason

ALGORITHM = "ssh-ed25519"
BLOB, OTHER = b"key one", b"key two"
SHOWN, SHOWN_OTHER = ShownKey(ALGORITHM, BLOB), ShownKey(ALGORITHM, OTHER)
ACCEPT = HostKeyRule.ACCEPT_NEW


def line(names: str, blob: bytes = BLOB, *, marker: str = "", algorithm: str = ALGORITHM) -> str:
    """Write one line of a known_hosts file."""
    return f"{marker} {names} {algorithm} {base64.b64encode(blob).decode()} comment\n".lstrip()


def hashed(name: str) -> str:
    """Hash a name as `ssh-keygen -H` does, with a salt of its own that is the same each time."""
    salt = hashlib.sha1(name.encode(), usedforsecurity=False).digest()
    digest = hmac.digest(salt, name.encode(), "sha1")
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


def verdict(
    text: str,
    tmp_path: Path,
    *,
    name: str = "web-01",
    port: int = 22,
    rule: HostKeyRule = HostKeyRule.STRICT,
) -> Reason | None:
    """Judge a server that shows BLOB against a file with this text; None is trust."""
    file = tmp_path / "known_hosts"
    file.write_text(text)
    host_keys = HostKeys(tmp_path / "own", accept_new=False)
    known = host_keys.known([name], port, [file])
    try:
        host_keys.judge(known, name, port, SHOWN, rule=rule, may_record=True)
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
        host_keys.judge(host_keys.known(["web-01"], 2222, [file]), "web-01", 2222, SHOWN, rule=ACCEPT, may_record=True)
    assert f"{file}:2 " in refusal.value.detail
    assert f"ssh-keygen -f {file} -R '[web-01]:2222'" in refusal.value.detail


@pytest.mark.parametrize("text", [line("web-01", OTHER), "", line("web-01") + line("*", marker="@revoked")])
def test_nothing_is_checked_where_the_inventory_says_so(text: str, tmp_path: Path) -> None:
    """A changed, an unknown and a revoked key are taken, and none is recorded."""
    assert verdict(text, tmp_path, rule=HostKeyRule.INSECURE) is None
    assert not (tmp_path / "own").exists()


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
        host_keys.judge(known, "web-01", 2222, SHOWN, rule=ACCEPT, may_record=True)
    assert own.read_text() == f"[web-01]:2222 {ALGORITHM} {base64.b64encode(BLOB).decode()}\n"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (own, own.parent)] == [0o600, 0o700]
    with pytest.raises(Unreached) as refusal:
        host_keys.judge(
            host_keys.known(["web-01"], 2222, [own]), "web-01", 2222, SHOWN_OTHER, rule=ACCEPT, may_record=True
        )
    assert refusal.value.reason is Reason.HOST_KEY_CHANGED


def test_what_another_vigo_recorded_meanwhile_counts(tmp_path: Path) -> None:
    """Both read an empty file; the second to record sees the first one's line under the lock."""
    own = tmp_path / "known_hosts"
    first, second = HostKeys(own, accept_new=True), HostKeys(own, accept_new=True)
    nothing = [host_keys.known(["web-01"], 22, [own]) for host_keys in (first, second)]
    first.judge(nothing[0], "web-01", 22, SHOWN, rule=ACCEPT, may_record=True)
    with pytest.raises(Unreached) as refusal:
        second.judge(nothing[1], "web-01", 22, SHOWN_OTHER, rule=ACCEPT, may_record=True)
    assert refusal.value.reason is Reason.HOST_KEY_CHANGED
    second.judge(nothing[1], "web-01", 22, SHOWN, rule=ACCEPT, may_record=True)
    assert len(own.read_text().splitlines()) == 1


def test_a_torn_last_line_is_not_glued_to_the_next(tmp_path: Path) -> None:
    """Some editor left the file without its last newline."""
    own = tmp_path / "known_hosts"
    own.write_text(line("db-01").rstrip())
    host_keys = HostKeys(own, accept_new=True)
    host_keys.judge(host_keys.known(["web-01"], 22, [own]), "web-01", 22, SHOWN, rule=ACCEPT, may_record=True)
    assert [row.split()[0] for row in own.read_text().splitlines()] == ["db-01", "web-01"]


def _record(own: Path, names: list[str]) -> None:
    host_keys = HostKeys(own, accept_new=True)
    for name in names:
        host_keys.judge(host_keys.known([name], 22, [own]), name, 22, SHOWN, rule=ACCEPT, may_record=True)


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
def test_the_inventory_decides_host_by_host(sshd_farm: Farm, tmp_path: Path) -> None:
    """`accept-new` records, `insecure` takes even a changed key and records nothing, and no flag is needed for either."""
    server, own = sshd_farm.serve(("127.0.0.1", "127.0.0.2", "127.0.0.3")), tmp_path / "own"
    forged = " ".join(make_key(tmp_path / "forged").with_suffix(".pub").read_text().split()[:2])
    own.write_text(f"[127.0.0.2]:{server.port} {forged}\n[127.0.0.3]:{server.port} {forged}\n")
    transport = sshd_farm.transport(known_hosts=own)
    rules = {"127.0.0.1": ACCEPT, "127.0.0.2": HostKeyRule.INSECURE, "127.0.0.3": ACCEPT}

    async def run() -> list[HostResult]:
        hosts = [sshd_farm.host(server, address=address, host_keys=rule) for address, rule in rules.items()]
        return [(await transport.run(order(host, "true"), Limits(), Sink(), fresh())).result for host in hosts]

    results = asyncio.run(run())
    assert [result.reason for result in results] == [None, None, Reason.HOST_KEY_CHANGED]
    assert own.read_text().splitlines()[2:] == [f"[127.0.0.1]:{server.port} {server.host_key}"]


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


def test_a_file_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    """Line numbers and lines are those of the file that is there now, also when the last line had no end."""
    path = tmp_path / "known_hosts"
    path.write_text(line("a") + line("b").rstrip())
    file = KnownHostsFile(path)
    with path.open("a") as more:
        more.write("\n" + line("c"))
    file.read_on()
    assert [entry.place for name in "abc" for entry in file.find(name)] == [f"{path}:{n}" for n in (1, 2, 3)]
    (tmp_path / "other").write_text(line("c", OTHER))
    (tmp_path / "other").replace(path)
    file.read_on()
    assert [(entry.place, entry.blob) for name in "abc" for entry in file.find(name)] == [(f"{path}:1", OTHER)]
    path.unlink()
    file.read_on()
    assert not list(file.find("c"))


def test_a_host_is_forgotten_and_the_rest_stays_as_it_is(tmp_path: Path) -> None:
    """Its names only: a line of several names keeps the others; marks, patterns, comments and foreign bytes stay."""
    own = tmp_path / "known_hosts"
    kept = [
        "# web-01 ssh-ed25519 x\n",
        line("web-*"),
        line("web-01", marker="@revoked"),
        line(hashed("web-02")),
        line("[web-01]:2222"),
        "caf\udce9\n",
    ]
    text = line("WEB-01") + "".join(kept) + line(hashed("web-01")) + line("db-01,web-01,10.0.0.1", OTHER)
    own.write_bytes(text.encode("utf-8", "surrogateescape"))
    own.chmod(0o600)
    gone = HostKeys(own, accept_new=False).forget(["web-01", "10.0.0.9"], 22)
    assert [row.split()[0] for row in gone][::2] == ["WEB-01", "db-01,web-01,10.0.0.1"]
    left = own.read_bytes().decode("utf-8", "surrogateescape")
    assert left == "".join(kept) + line("db-01,10.0.0.1", OTHER)
    assert stat.S_IMODE(own.stat().st_mode) == 0o600
    before = own.stat()
    assert HostKeys(own, accept_new=False).forget(["web-01"], 22) == ()
    assert own.stat().st_ino == before.st_ino


def test_forgetting_and_recording_at_once_lose_nothing(tmp_path: Path) -> None:
    """Whoever has the old file open when a new one takes its place writes into the new one."""
    own = tmp_path / "known_hosts"
    own.write_text("".join(line(f"old-{number}") for number in range(10)))
    context = multiprocessing.get_context("spawn")
    names = [f"host-{number}" for number in range(30)]
    recording = context.Process(target=_record, args=(own, names))
    recording.start()
    for number in range(10):
        assert len(HostKeys(own, accept_new=False).forget([f"old-{number}"], 22)) == 1
    recording.join()
    assert recording.exitcode == 0
    assert sorted(row.split()[0] for row in own.read_text().splitlines()) == sorted(names)


def test_keys_are_compared_with_what_the_files_say(tmp_path: Path) -> None:
    """A key of another kind is new beside a known one, and changed where none of the known ones is shown."""
    file = tmp_path / "known_hosts"
    file.write_text(line("a") + line("b", OTHER) + line("c") + line("*", b"bad", marker="@revoked"))
    host_keys = HostKeys(tmp_path / "own", accept_new=False)
    rsa, bad = ShownKey("ssh-rsa", b"key three"), ShownKey(ALGORITHM, b"bad")

    def states(name: str, *shown: ShownKey) -> list[Compared]:
        return list(compare(host_keys.known([name], 22, [file]), shown))

    assert states("a", SHOWN, rsa) == [Compared(SHOWN, KeyState.KNOWN, (f"{file}:1",)), Compared(rsa, KeyState.NEW)]
    changed = [Compared(key, KeyState.CHANGED, (f"{file}:2",)) for key in (SHOWN, rsa)]
    assert states("b", SHOWN, rsa) == changed
    assert states("c", bad) == [Compared(bad, KeyState.REVOKED, (f"{file}:4",))]
    assert states("d", SHOWN, bad) == [Compared(SHOWN, KeyState.NEW), Compared(bad, KeyState.REVOKED, (f"{file}:4",))]


def test_new_keys_are_recorded_once_and_changed_ones_never(tmp_path: Path) -> None:
    """Several kinds of one host are several lines; what contradicts a line is refused."""
    own = tmp_path / "known_hosts"
    rsa = ShownKey("ssh-rsa", b"key three")
    assert HostKeys(own, accept_new=False).record("a", 2222, [SHOWN, rsa]) == (SHOWN, rsa)
    assert HostKeys(own, accept_new=False).record("a", 2222, [SHOWN, rsa]) == ()
    with pytest.raises(Unreached, match=r"vigo keys forget '\[a\]:2222'"):
        HostKeys(own, accept_new=False).record("a", 2222, [SHOWN_OTHER])
    assert [row.split()[:2] for row in own.read_text().splitlines()] == [
        ["[a]:2222", ALGORITHM],
        ["[a]:2222", "ssh-rsa"],
    ]
