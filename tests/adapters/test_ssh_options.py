"""How a host is reached: what the inventory says, else ssh_config, else the defaults; with which keys."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.sshd import Farm, Server, Sink, fresh, make_key, order, until, wait_until
from vigo.adapters.ssh_errors import Unreached
from vigo.adapters.ssh_hostkeys import Entry, HostKeys, Known
from vigo.adapters.ssh_options import Preparation, for_connection, host_key_algorithms
from vigo.core.model import Host, HostResult, Limits, Outcome, Reason, SshSettings


def prepared(tmp_path: Path, config: str = "") -> Preparation:
    """Prepare a run with this ssh_config."""
    path = tmp_path / "config"
    path.write_text(config)
    return Preparation.make(path, HostKeys(tmp_path / "own", accept_new=False), "operator")


def host(name: str = "web-01", address: str | None = None, **ssh: str | int) -> Host:
    """Describe a host."""
    return Host(name, "u", address, ssh=SshSettings(**ssh))  # type: ignore[arg-type]


def test_the_inventory_wins_over_ssh_config_and_that_over_the_defaults(tmp_path: Path) -> None:
    """User, port and address, each from the highest place that names it."""
    config = "Host web-*\n User conf\n Port 2200\n HostName 10.0.0.%n\nHost *\n Port 9\n"
    preparation = prepared(tmp_path, config.replace("%n", "9"))

    def reached(target: Host) -> tuple[str, str, int]:
        endpoint = preparation.endpoint(target)
        return endpoint.user, endpoint.name, endpoint.port

    assert reached(host()) == ("conf", "10.0.0.9", 2200)
    assert reached(host(address="127.0.0.2", user="inv", port=22)) == ("inv", "127.0.0.2", 22)
    assert reached(host("db-01")) == ("operator", "db-01", 9)


def test_without_ssh_config_there_is_none(tmp_path: Path) -> None:
    """None, and a file that is not there, are the same."""
    for path in (None, tmp_path / "nowhere"):
        preparation = Preparation.make(path, HostKeys(tmp_path / "own", accept_new=False), "operator")
        endpoint = preparation.endpoint(host())
        assert (endpoint.user, endpoint.name, endpoint.port, endpoint.place) == (
            "operator",
            "web-01",
            22,
            "operator@web-01",
        )


def nobody_knows_us(monkeypatch: pytest.MonkeyPatch) -> None:
    """Become a uid without a line in passwd and without a HOME, as in many a container."""
    for name in ("HOME", "LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 54_321)
    monkeypatch.setattr("pwd.getpwuid", _no_such_uid)


def _no_such_uid(uid: int) -> object:
    raise KeyError(uid)


def test_a_uid_that_passwd_does_not_know_reaches_hosts_that_name_a_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of ours is needed but a user for the host; where none is named, that is said."""
    nobody_knows_us(monkeypatch)
    preparation = Preparation.make(None, HostKeys(tmp_path / "own", accept_new=False), None)
    endpoint = preparation.endpoint(host(user="ops"))
    assert for_connection(endpoint, Known()).username == "ops"
    assert endpoint.place == "ops@web-01"
    assert tmp_path / "own" in endpoint.known_hosts
    with pytest.raises(Unreached, match=r"54321 has no login name.*set `user`"):
        preparation.endpoint(host())


def test_a_path_in_a_home_that_is_not_there_leads_nowhere(tmp_path: Path) -> None:
    """It is a reason, or a word in the story of the keys, and not a bug of ours that looks like a lost host."""
    path = "~no-such-user/file"
    with pytest.raises(Unreached, match=path) as refusal:
        prepared(tmp_path).endpoint(host(known_hosts=path))
    assert refusal.value.reason is Reason.LOCAL
    assert f"{path} (nowhere" in prepared(tmp_path).endpoint(host(identity=path)).identity.story()


def test_hosts_of_equal_settings_share_their_options(tmp_path: Path) -> None:
    """Building options costs a millisecond: ten thousand hosts must not."""
    preparation = prepared(tmp_path, "Host slow-*\n ServerAliveInterval 3\n")
    plain = {id(preparation.endpoint(host(f"web-{number}", port=number)).options) for number in range(1, 50)}
    slow = preparation.endpoint(host("slow-1")).options
    assert len(plain) == 1
    assert id(slow) not in plain
    assert slow.keepalive_interval == 3


def test_each_connection_has_its_own_host_user_and_port(tmp_path: Path) -> None:
    """Sharing must not leak one host's identity into another's connection."""
    preparation = prepared(tmp_path)
    endpoints = [preparation.endpoint(host(f"web-{number}", user=f"u{number}", port=number)) for number in (1, 2)]
    options = [for_connection(endpoint, Known()) for endpoint in endpoints]
    assert [(each.host, each.username, each.port) for each in options] == [("web-1", "u1", 1), ("web-2", "u2", 2)]
    assert not options[0].agent_forward_path
    assert options[0].encryption_algs[0] == b"aes128-gcm@openssh.com"
    assert len(options[0].encryption_algs) > 3


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ("Host *\n ProxyJump hop.example\n", Reason.HOP),
        ("ProxyCommand nc %q\n", Reason.PROXY),
        ("Ciphers nonsense\n", Reason.LOCAL),
        ("RevokedHostKeys /etc/revoked\n", Reason.LOCAL),
    ],
)
def test_what_vigo_cannot_do_is_refused_and_not_ignored(tmp_path: Path, config: str, reason: Reason) -> None:
    """A direct connection where a jump was asked for could reach another machine."""
    with pytest.raises(Unreached) as refusal:
        prepared(tmp_path, config).endpoint(host())
    assert refusal.value.reason is reason


def test_none_switches_a_jump_off(tmp_path: Path) -> None:
    """`ProxyJump none` is ssh_config's own way to say: directly."""
    assert prepared(tmp_path, "ProxyJump none\nProxyCommand none\n").endpoint(host()).name == "web-01"


def test_which_known_hosts_files_count(tmp_path: Path) -> None:
    """The inventory's replaces all others; ssh_config's replaces the user's; vigo's own comes last."""
    own = tmp_path / "own"
    configured = prepared(tmp_path, "UserKnownHostsFile /u1 /u2\nGlobalKnownHostsFile none\n").endpoint(host())
    assert configured.known_hosts == (Path("/u1"), Path("/u2"), own)
    assert configured.records
    pinned = prepared(tmp_path).endpoint(host(known_hosts="/pinned"))
    assert (pinned.known_hosts, pinned.records) == ((Path("/pinned"),), False)
    default = prepared(tmp_path).endpoint(host()).known_hosts
    assert default[0] == Path.home() / ".ssh" / "known_hosts"
    assert Path("/etc/ssh/ssh_known_hosts") in default
    assert default[-1] == own


def test_known_algorithms_come_first_and_none_is_dropped() -> None:
    """An RSA key is asked for by its modern signatures; certificates only where an authority is known."""
    rsa = Entry("", "ssh-rsa", b"", "f:1")
    plain = host_key_algorithms(Known())
    known = host_key_algorithms(Known(keys=(rsa,)))
    assert known[:2] == ["rsa-sha2-256", "rsa-sha2-512"]
    assert set(known) == set(plain)
    assert not any("cert" in algorithm for algorithm in known)
    assert "cert" in host_key_algorithms(Known(authorities=(rsa,)))[0]


@pytest.fixture(scope="module")
def server(sshd_farm: Farm) -> Server:
    """Return one server that cuts logins off after three failures, as some do."""
    return sshd_farm.serve(MaxAuthTries="3")


@contextmanager
def agent(path: Path, keys: list[Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run a real ssh-agent that holds these keys."""
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.DEVNULL)
    try:
        wait_until(path.exists, what="the agent listens")
        monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
        subprocess.run(["ssh-add", "-q", *map(str, keys)], check=True, capture_output=True)
        yield
    finally:
        process.terminate()
        process.wait()


def reach(farm: Farm, target: Host, *, config: Path | None = None) -> HostResult:
    """Run something on the host."""
    return asyncio.run(farm.transport(ssh_config=config).run(order(target, "true"), Limits(), Sink(), fresh())).result


@pytest.mark.sshd
def test_the_agent_opens_what_no_file_does(
    sshd_farm: Farm, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing identity file is passed over; the agent's key is good."""
    target = sshd_farm.host(server, identity=str(tmp_path / "missing"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    alone = reach(sshd_farm, target)
    assert (alone.reason, "missing" in alone.detail, "no agent" in alone.detail) == (Reason.AUTH, True, True)
    with agent(tmp_path / "agent", [sshd_farm.key], monkeypatch):
        assert reach(sshd_farm, target).outcome is Outcome.COMPLETE


@pytest.mark.sshd
def test_a_named_key_goes_before_the_agents_many(
    sshd_farm: Farm, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five wrong keys in the agent would use up the server's patience."""
    wrong = [make_key(tmp_path / f"wrong{number}") for number in range(5)]
    with agent(tmp_path / "agent", wrong, monkeypatch):
        assert reach(sshd_farm, sshd_farm.host(server)).outcome is Outcome.COMPLETE
        refused = reach(sshd_farm, sshd_farm.host(server, identity=str(wrong[0])))
    assert (refused.reason, "identity" in refused.detail) == (Reason.AUTH, True)


@pytest.mark.sshd
def test_an_agent_that_never_answers_or_is_gone_is_passed_over(
    sshd_farm: Farm, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It costs neither the login nor the connect deadline, and the words name it when nothing else opened."""

    async def scenario() -> tuple[HostResult, HostResult]:
        open_ends = 0

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal open_ends
            open_ends += 1
            await reader.read()
            writer.close()
            await writer.wait_closed()
            open_ends -= 1

        dead = await asyncio.start_unix_server(silent, tmp_path / "dead")
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "dead"))
        transport = sshd_farm.transport()
        good = await transport.run(order(sshd_farm.host(server), "true"), Limits(), Sink(), fresh())
        nothing = sshd_farm.host(server, identity=str(tmp_path / "missing"))
        bad = await transport.run(order(nothing, "true"), Limits(), Sink(), fresh())
        await until(lambda: not open_ends, what="the agent's connections are closed again")
        dead.close()
        await dead.wait_closed()
        return good.result, bad.result

    good, bad = asyncio.run(scenario())
    assert good.outcome is Outcome.COMPLETE
    assert (bad.reason, "did not answer" in bad.detail) == (Reason.AUTH, True)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "stale"))
    assert reach(sshd_farm, sshd_farm.host(server)).outcome is Outcome.COMPLETE


@pytest.mark.sshd
def test_identity_files_of_ssh_config_are_tried_and_an_encrypted_one_is_told(
    sshd_farm: Farm, server: Server, tmp_path: Path
) -> None:
    """A missing file, one with a passphrase, and the right one."""
    locked = make_key(tmp_path / "locked", passphrase="secret")
    config = tmp_path / "config"
    config.write_text(f"IdentityFile {tmp_path}/missing\nIdentityFile {locked}\nIdentityFile {sshd_farm.key}\n")
    target = sshd_farm.host(server, identity=None)
    assert reach(sshd_farm, target, config=config).outcome is Outcome.COMPLETE
    config.write_text(f"IdentityFile {locked}\nIdentitiesOnly yes\n")
    refused = reach(sshd_farm, target, config=config)
    assert refused.reason is Reason.AUTH
    assert f"{locked} (encrypted; load it with ssh-add, or have" in refused.detail
    garbage = tmp_path / "garbage"
    garbage.write_text("no key\n")
    refused = reach(sshd_farm, sshd_farm.host(server, identity=str(garbage)))
    assert (refused.reason, "garbage (not usable" in refused.detail) == (Reason.AUTH, True)


@pytest.mark.sshd
def test_a_public_key_names_the_one_of_the_agents_many_that_is_meant(
    sshd_farm: Farm, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A21: twenty wrong keys before it in the agent would use up the server's three tries."""
    wrong = [make_key(tmp_path / f"wrong{number}") for number in range(20)]
    right = make_key(tmp_path / "right", passphrase="secret")
    public = Path(f"{right}.pub")
    listed = Path(f"{sshd_farm.key}.pub")
    config = tmp_path / "config"
    config.write_text(f"IdentityFile {listed}\nIdentitiesOnly yes\n")
    target = sshd_farm.host(server, identity=None)
    with agent(tmp_path / "agent", [*wrong, sshd_farm.key], monkeypatch):
        assert reach(sshd_farm, target, config=config).outcome is Outcome.COMPLETE
        assert reach(sshd_farm, sshd_farm.host(server, identity=str(listed))).outcome is Outcome.COMPLETE
        config.write_text(f"IdentityFile {right}\nIdentityFile {public}\nIdentitiesOnly yes\n")
        refused = reach(sshd_farm, target, config=config)
    assert refused.reason is Reason.AUTH
    for told in ("right (encrypted", "right.pub (a public key", "it holds none of these; IdentitiesOnly"):
        assert told in refused.detail
    assert "no agent" in reach(sshd_farm, sshd_farm.host(server, identity=str(right), agent=False)).detail


@pytest.mark.sshd
def test_the_agent_is_forwarded_where_the_inventory_says_so_and_nowhere_else(
    sshd_farm: Farm, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A21: without it the host sees no agent at all."""

    def seen(target: Host) -> bytes:
        sink = Sink()
        text = 'echo "[$SSH_AUTH_SOCK]"; ssh-add -l'
        asyncio.run(sshd_farm.transport().run(order(target, text), Limits(), sink, fresh()))
        return b"".join(sink.written.values())

    with agent(tmp_path / "agent", [sshd_farm.key], monkeypatch):
        assert seen(sshd_farm.host(server)).startswith(b"[]")
        forwarded = seen(sshd_farm.host(server, forward_agent=True))
    assert forwarded.startswith(b"[/")
    assert b"vigo test (ED25519)" in forwarded


@pytest.mark.sshd
def test_a_certificate_logs_in_where_the_plain_key_does_not(sshd_farm: Farm, tmp_path: Path) -> None:
    """Named in the inventory or in ssh_config, beside the key it was made for; one that is missing is none."""
    authority, key = make_key(tmp_path / "ca"), make_key(tmp_path / "key")
    argv = ["ssh-keygen", "-q", "-s", str(authority), "-I", "x", "-n", sshd_farm.plain_user, f"{key}.pub"]
    subprocess.run(argv, check=True, capture_output=True)
    certificate = (tmp_path / "key-cert.pub").rename(tmp_path / "elsewhere.pub")
    trusting = sshd_farm.serve(TrustedUserCAKeys=f"{authority}.pub", AuthorizedKeysFile="none")
    assert reach(sshd_farm, sshd_farm.host(trusting, identity=str(key))).reason is Reason.AUTH
    named = sshd_farm.host(trusting, identity=str(key), certificate=str(certificate))
    assert reach(sshd_farm, named).outcome is Outcome.COMPLETE
    config = tmp_path / "config"
    config.write_text(f"CertificateFile {tmp_path}/missing\nCertificateFile {certificate}\nIdentityFile {key}\n")
    assert reach(sshd_farm, sshd_farm.host(trusting, identity=None), config=config).outcome is Outcome.COMPLETE


@pytest.mark.sshd
def test_addresses_are_of_the_family_and_from_the_place_that_ssh_config_names(
    sshd_farm: Farm, server: Server, tmp_path: Path
) -> None:
    """What cannot be had is a reason with the keyword's name."""
    config = tmp_path / "config"
    for text, expected in (
        ("AddressFamily inet\nBindAddress 127.0.0.7\n", None),
        ("AddressFamily inet6\n", "AddressFamily"),
        ("BindAddress 192.0.2.1\n", "BindAddress 192.0.2.1"),
        ("BindAddress nonsense\n", "BindAddress nonsense"),
    ):
        config.write_text(text)
        result = reach(sshd_farm, sshd_farm.host(server), config=config)
        assert (result.outcome is Outcome.COMPLETE) == (expected is None)
        assert (expected or "") in result.detail
    assert "127.0.0.7" in server.log
