"""How hosts are reached: which of flag, inventory, ssh_config and default says it, through which hops, at what cost."""

from __future__ import annotations

import asyncio
import random
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.sshd import wait_until
from vigo.adapters.ssh_config import ConfigFile
from vigo.adapters.ssh_errors import Unreached
from vigo.adapters.ssh_hostkeys import HostKeys, Known
from vigo.adapters.ssh_options import Preparation, algorithms, for_connection
from vigo.adapters.ssh_settings import Settler
from vigo.adapters.ssh_settings_read import SettingsError
from vigo.adapters.ssh_settings_show import effective
from vigo.core.inventory import Inventory
from vigo.core.model import Hop, Host, HostKeyRule, Overrides, Reason, SshSettings

NONE = Overrides()


def settler(tmp_path: Path, text: str = "", overrides: Overrides = NONE) -> Settler:
    """Prepare to decide by this ssh_config."""
    path = tmp_path / "config"
    path.write_text(text)
    return Settler.make((ConfigFile(path),), overrides, "me")


def prepared(tmp_path: Path, text: str = "", overrides: Overrides = NONE, *, accept_new: bool = False) -> Preparation:
    """Prepare a run by this ssh_config."""
    path = tmp_path / "config"
    path.write_text(text)
    return Preparation.make(path, HostKeys(tmp_path / "own", accept_new), "me", overrides)


def test_each_value_names_who_says_it(tmp_path: Path) -> None:
    """Flag before --ssh-option, before the inventory, before ssh_config, before the default."""
    text = "Port 1\nUser conf\nConnectTimeout 9\nIdentityFile /k/one\nIdentityFile /k/two\nServerAliveInterval 9\n"
    flags = Overrides(user="flag", options=(("User", "second"), ("Port", "7"), ("Ciphers", "aes256-gcm@openssh.com")))
    host = Host("web-01", "u", ssh=SshSettings(user="inv", port=3, keepalive_ms=0))
    found = settler(tmp_path, text, flags).settle(host)
    told = [(row.key, row.value, row.layer, row.place) for row in effective(found, Inventory((host,)))[0][1]]
    config = tmp_path / "config"
    for expected in (
        ("user", "flag", "flag", "--user"),
        ("port", 7, "flag", "--ssh-option Port"),
        ("ciphers", "aes256-gcm@openssh.com", "flag", "--ssh-option Ciphers"),
        ("keepalive", "0", "inventory", ""),
        ("connect_timeout", "9", "ssh_config", f"{config}:3"),
        ("identity", "/k/one", "ssh_config", f"{config}:4"),
        ("identity", "/k/two", "ssh_config", f"{config}:5"),
        ("address", "web-01", "default", ""),
        ("keepalive_count", 3, "default", ""),
    ):
        assert expected in told


def test_the_inventorys_settings_reach_the_endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each key in its own field, whatever ssh_config says of it."""
    monkeypatch.setenv("SSH_AUTH_SOCK", "/env.sock")
    text = (
        "Port 1\nForwardAgent no\nHostKeyAlias conf\nIdentityAgent none\nStrictHostKeyChecking yes\nConnectTimeout 1\n"
    )
    ssh = SshSettings(
        certificate="/c", host_key_alias="Alias", host_keys=HostKeyRule.INSECURE, agent="/a.sock",
        forward_agent=True, keepalive_ms=5_000, ciphers=("aes256-ctr",), connect_timeout_ms=4_000,
    )  # fmt: skip
    endpoint = prepared(tmp_path, text, accept_new=True).endpoint(Host("web-01", "u", ssh=ssh))
    assert (endpoint.host_keys, endpoint.host_key_names) == (HostKeyRule.INSECURE, ("alias",))
    assert (endpoint.forward_agent, endpoint.connect_timeout_ms) == ("/a.sock", 4_000)
    options = for_connection(endpoint, Known())
    assert (options.agent_forward_path, options.keepalive_interval, options.encryption_algs) == (
        "/a.sock",
        5,
        [b"aes256-ctr"],
    )
    plain = prepared(tmp_path, accept_new=True).endpoint(Host("web-01", "u", ssh=SshSettings(agent=True)))
    assert (plain.host_keys, plain.forward_agent) == (HostKeyRule.ACCEPT_NEW, None)
    assert for_connection(plain, Known()).agent_forward_path is None


def test_which_agent_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SSH_AUTH_SOCK's, another variable's, a path with tokens, or none."""
    monkeypatch.setenv("SSH_AUTH_SOCK", "/env.sock")
    monkeypatch.setenv("OTHER_SOCK", "/other.sock")
    for text, expected in (
        ("", "/env.sock"),
        ("IdentityAgent none\n", None),
        ("IdentityAgent SSH_AUTH_SOCK\n", "/env.sock"),
        ("IdentityAgent $OTHER_SOCK\n", "/other.sock"),
        ("IdentityAgent $NOT_SET_SOCK\n", None),
        ("IdentityAgent /run/%r.sock\n", "/run/me.sock"),
    ):
        assert settler(tmp_path, text).settle(Host("a", "u")).agent == expected
    assert settler(tmp_path).settle(Host("a", "u", ssh=SshSettings(agent=False))).agent is None
    forward = settler(tmp_path, "ForwardAgent $OTHER_SOCK\n").settle(Host("a", "u"))
    assert forward.forward_agent == "/other.sock"


def test_ways_to_log_in_are_those_that_are_left(tmp_path: Path) -> None:
    """In the order that is preferred, without those that are switched off or that vigo has not."""
    text = "PreferredAuthentications gssapi-with-mic,password,publickey\nPasswordAuthentication no\n"
    assert settler(tmp_path, text).settle(Host("a", "u")).authentications == ("publickey",)
    text = "PubkeyAuthentication no\n"
    endpoint = prepared(tmp_path, text).endpoint(Host("a", "u"))
    assert endpoint.authentications == ("keyboard-interactive", "password")
    assert not for_connection(endpoint, Known()).public_key_auth


def test_hops_of_ssh_config_have_settings_of_their_own(tmp_path: Path) -> None:
    """The first may have a way of its own; those behind it have not; a port and a user beside the name win."""
    text = (
        "Host web\n ProxyJump ops@mid:2200,last-%h\nHost mid\n ProxyJump outer\n User wrong\n HostName 10.0.0.2\n"
        "Host outer\n User out\n ProxyCommand nc %h %p\nHost last-*\n ProxyCommand never\n Port 5\n"
    )
    found = settler(tmp_path, text).settle(Host("web", "u"))
    assert [(hop.asked, hop.name, hop.user, hop.port, hop.proxy_command) for hop in found.jump] == [
        ("outer", "outer", "out", 22, "nc outer 22"),
        ("mid", "10.0.0.2", "ops", 2200, None),
        ("last-web", "last-web", "me", 5, None),
    ]
    assert (found.proxy_command, found.jump[1].jump) == (None, ())


def test_a_flag_says_another_way_and_is_not_for_the_hops(tmp_path: Path) -> None:
    """`--user` is for targets; a target that is a hop itself is reached by those before it."""
    hops = (Hop("out", "10.0.0.1", SshSettings(user="o")), Hop("gate"))
    decide = settler(tmp_path, "ProxyCommand never\nHost out\n ProxyJump none\n", Overrides(user="flag", jump=hops))
    web = decide.settle(Host("web", "u", ssh=SshSettings(proxy_command="no")))
    assert [(hop.name, hop.user) for hop in web.jump] == [("10.0.0.1", "o"), ("gate", "me")]
    assert (web.user, web.proxy_command) == ("flag", None)
    assert web.jump[0].proxy_command == "never", "ProxyJump none leaves ProxyCommand open, as in ssh"
    assert [hop.asked for hop in decide.settle(Host("GATE", "u")).jump] == ["out"]
    assert decide.settle(Host("out", "u")).jump == ()
    direct = settler(tmp_path, "ProxyCommand x\n", Overrides(jump=())).settle(Host("web", "u"))
    assert (direct.jump, direct.proxy_command) == ((), None)
    command = settler(tmp_path, "", Overrides(options=(("ProxyCommand", "nc %n"),)))
    assert command.settle(Host("web", "u", ssh=SshSettings(jump=hops))).proxy_command == "nc web"


def test_a_way_of_the_inventory_wins_over_ssh_config(tmp_path: Path) -> None:
    """Also when it is the direct one."""
    decide = settler(tmp_path, "Host web\n ProxyJump conf\n")
    assert decide.settle(Host("web", "u")).jump[0].asked == "conf"
    assert decide.settle(Host("web", "u", ssh=SshSettings(jump=()))).jump == ()
    assert decide.settle(Host("web", "u", ssh=SshSettings(jump=(Hop("inv"),)))).jump[0].asked == "inv"
    none = decide.settle(Host("web", "u", ssh=SshSettings(proxy_command="none")))
    assert (none.jump, none.proxy_command) == ((), None)


def test_ways_in_a_circle_are_refused(tmp_path: Path) -> None:
    """Ssh would start itself for ever."""
    for text in ("Host a\n ProxyJump b\nHost b\n ProxyJump a\n", "Host *\n ProxyJump b\n"):
        with pytest.raises(SettingsError, match=r"config:2: the way leads in a circle|circle: a > b > ") as refusal:
            settler(tmp_path, text).settle(Host("a", "u"))
        assert refusal.value.reason is Reason.HOP


def test_targets_behind_one_hop_share_its_endpoint(tmp_path: Path) -> None:
    """By which the connector knows that one connection will do for all of them."""
    preparation = prepared(tmp_path, "Host web-*\n ProxyJump hop\n")
    ends = [preparation._endpoint(preparation.settler.settle(Host(f"web-{n}", "u"))) for n in range(3)]
    assert len({id(end.jump[0]) for end in ends}) == 1
    assert ends[0].first_stop == ("hop", 22)


def test_where_tcp_goes_first(tmp_path: Path) -> None:
    """To the host, to the first hop, or nowhere that a probe could reach."""
    for text, expected in (("", ("web", 22)), ("Host web\n ProxyJump a:5,b\n", ("a", 5)), ("ProxyCommand x\n", None)):
        preparation = prepared(tmp_path, text)
        assert preparation._endpoint(preparation.settler.settle(Host("web", "u"))).first_stop == expected


def test_switched_off_host_keys_are_not_followed_and_said_once(tmp_path: Path) -> None:
    """With the way out, for however many hosts."""
    preparation = prepared(tmp_path, "\nStrictHostKeyChecking no\n")
    rules = {preparation.endpoint(Host(f"h{n}", "u")).host_keys for n in range(9)}
    assert rules == {HostKeyRule.STRICT}
    assert len(preparation.remarks) == 1
    assert f"{tmp_path}/config:2: StrictHostKeyChecking no is not followed" in preparation.remarks[0]
    assert "host_keys: insecure" in preparation.remarks[0]
    assert prepared(tmp_path, "StrictHostKeyChecking accept-new\n").endpoint(Host("a", "u")).host_keys == "accept-new"


def test_algorithms_are_read_as_ssh_reads_them() -> None:
    """A list, what is added, taken away or put first; names that are unknown here are passed over."""
    known, default = ("a1", "a2", "b1", "b2"), ("a1", "b1")
    for text, expected in (
        ("b2,a1,nope", ["b2", "a1"]),
        ("+b2", ["a1", "b1", "b2"]),
        ("-b*", ["a1"]),
        ("^b1,b2", ["b1", "b2", "a1"]),
        ("nope", []),
    ):
        assert algorithms(text, known, default) == expected


def test_a_list_of_algorithms_of_which_none_is_known_is_refused(tmp_path: Path) -> None:
    """With the line that says it and what there is."""
    for keyword in ("Ciphers", "MACs", "KexAlgorithms", "HostKeyAlgorithms", "PubkeyAcceptedAlgorithms"):
        with pytest.raises(Unreached, match=rf"config:1: {keyword} nope: vigo knows none of these; name one of \w+"):
            prepared(tmp_path, f"{keyword} nope\n").endpoint(Host("a", "u"))
    endpoint = prepared(tmp_path, "HostKeyAlgorithms ssh-ed25519,nope\n").endpoint(Host("a", "u"))
    assert for_connection(endpoint, Known()).server_host_key_algs == ["ssh-ed25519"]


def test_an_own_user_is_the_first_that_says_it_and_tokens_in_it_are_expanded(tmp_path: Path) -> None:
    """A token that would need the user itself is refused."""
    assert settler(tmp_path, "User x-%u-%n\n").settle(Host("web", "u")).user.endswith("-web")
    with pytest.raises(SettingsError, match=r"config:1: User has %r"):
        settler(tmp_path, "User %r\n").settle(Host("web", "u"))


@pytest.mark.alone
def test_ten_thousand_hosts_are_decided_in_a_moment(tmp_path: Path) -> None:
    """Files are read once and equal settings decided once: four times the hosts cost four times as much, no more."""
    text = "".join(f"Host dev{n}\n HostName 10.0.0.{n}\n User u\n" for n in range(20))
    text += "Host web-*.example.com !web-0.*\n User ops\n IdentityFile ~/.ssh/ops\nHost *\n ServerAliveInterval 30\n"
    ssh = SshSettings(port=2222)

    def cost(count: int) -> float:
        preparation = prepared(tmp_path, text)
        hosts = [Host(f"web-{n}.example.com", "u", ssh=ssh) for n in range(count)]
        began = time.process_time()
        endpoints = [preparation.endpoint(host) for host in hosts]
        spent = time.process_time() - began
        assert len({id(endpoint.options) for endpoint in endpoints}) == 1
        assert len({id(endpoint.known_hosts) for endpoint in endpoints}) == 2, "web-0 has another user and no key"
        return spent

    cost(100)
    small, large = min(cost(1_000) for _ in range(3)), min(cost(4_000) for _ in range(3))
    assert large < 8 * small, f"{small * 1000:.0f} ms for 1,000, {large * 1000:.0f} ms for 4,000"
    print(f"endpoints of 4,000 hosts: {large * 1000:.0f} ms")


def test_deciding_for_a_host_does_not_hold_the_event_loop(tmp_path: Path) -> None:
    """A Match exec that takes its time lets everything else go on."""

    async def scenario() -> int:
        preparation = prepared(tmp_path, 'Match host slow exec "sleep 0.3"\n Port 5\n')
        pending = asyncio.create_task(preparation.prepared(Host("slow", "u")))
        beats = 0
        while not pending.done():
            await asyncio.sleep(0.01)
            beats += 1
        assert pending.result().port == 5
        return beats

    assert asyncio.run(scenario()) >= 5


@pytest.mark.faults
@pytest.mark.skipif(shutil.which("ssh") is None, reason="needs OpenSSH's client")
def test_a_proxy_command_is_expanded_as_ssh_does_it(tmp_path: Path) -> None:
    """The real ssh runs the command; what its shell was given is what vigo would run."""
    chance = random.Random(7)
    script, out = tmp_path / "script", tmp_path / "out"
    script.write_text(f"#!/bin/sh\ntrap '' HUP TERM PIPE\nprintf '%s\\n' \"$@\" > {out}.new && mv {out}.new {out}\n")
    script.chmod(0o755)

    def said() -> str:
        wait_until(out.exists, what="the command said what it was given")
        text = out.read_text()
        out.unlink()
        return text

    for _ in range(60):
        words = " ".join(chance.sample(("%h", "%p", "%r", "%n", "%%h", "%k", "a%%", "'%h %p'", '"%n"'), 5))
        lines = [f"ProxyCommand {script} {words}", "HostName %h.internal", "Port 2200"]
        lines += chance.sample(("HostKeyAlias Alias", "User ops", "# nothing"), 2)
        config = tmp_path / "c"
        config.write_text("\n".join(lines) + "\n")
        argv = ["ssh", "-F", str(config), "-o", "BatchMode=yes", "Web-01", "true"]
        subprocess.run(argv, capture_output=True, check=False, stdin=subprocess.DEVNULL)
        by_ssh = said()
        command = Settler.make((ConfigFile(config),), Overrides(), None).settle(Host("Web-01", "u")).proxy_command
        assert command is not None
        subprocess.run(["/bin/sh", "-c", command], check=False)
        assert said() == by_ssh, words
