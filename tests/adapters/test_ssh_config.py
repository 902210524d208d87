"""ssh_config files: what is followed where, what is refused with file and line, and commands that never hold others up."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from vigo.adapters.ssh_config import ConfigFile, SshConfig, config_files
from vigo.adapters.ssh_config_keywords import read_option
from vigo.adapters.ssh_config_tokens import Here
from vigo.adapters.ssh_settings import Settler
from vigo.adapters.ssh_settings_read import Settings
from vigo.core.errors import ConfigError, UsageError
from vigo.core.model import Host, Overrides, SshSettings


def settler(home: Path, text: str, **own: str) -> Settler:
    """Prepare to decide by `~/.ssh/config` of a home; further files by their names below `~/.ssh`."""
    folder = home / ".ssh"
    folder.mkdir(exist_ok=True)
    for name, content in {"config": text, **own}.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
        path.chmod(0o600)
    here = Here("me", 1000, home, "desk.example.com")
    return Settler(SshConfig.read(config_files(None, home)[:1], home), here, default_user="me")


def settled(home: Path, text: str, name: str = "web-01", **own: str) -> Settings:
    """Decide for one host."""
    return settler(home, text, **own).settle_and_wait(Host(name, "u"))


def test_includes_are_below_the_users_ssh_folder_and_keep_the_section_they_stand_in(tmp_path: Path) -> None:
    """Relative names, globs in their order; after an Include the section goes on; what is not there says nothing."""
    text = "Host web-*\n Include conf.d_* missing\n Port 7\nHost *\n Include never\n"
    own = {"conf.d_b": "User second\n", "conf.d_a": "User first\nHost db\n Port 5\n", "never": "Host other\n Port 6\n"}
    found = settled(tmp_path, text, **own)
    assert (found.user, found.port) == ("first", 7)
    assert found.values["user"][0].origin == "~/.ssh/conf.d_a:1"
    assert found.values["port"][0].origin == "~/.ssh/config:3"


def test_environment_variables_and_tokens_are_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where ssh expands them; one that is not set is refused, because ssh would stop there too."""
    monkeypatch.setenv("VIGO_TEST_KEYS", str(tmp_path / "keys"))
    text = "IdentityFile ${VIGO_TEST_KEYS}/%h-%n-%p-%r-%u-%L-%l-%i-%%\nHostName %h.x\nUser ops\n"
    assert settled(tmp_path, text).identity_files == (
        f"{tmp_path}/keys/web-01.x-web-01-22-ops-me-desk-desk.example.com-1000-%",
    )
    with pytest.raises(ConfigError, match=r"config:1: IdentityFile names the variable NOPE_X, which is not set"):
        settled(tmp_path, "IdentityFile ${NOPE_X}\n")
    (tmp_path / "inc").write_text("Port 99\n")
    (tmp_path / "inc").chmod(0o600)
    monkeypatch.setenv("VIGO_TEST_FOLDER", str(tmp_path))
    assert settled(tmp_path, "Include ${VIGO_TEST_FOLDER}/inc\n").port == 99


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ProxyJmp x\n", r"~/\.ssh/config:1: proxyjmp: unknown keyword; did you mean 'ProxyJump'\? Else put `IgnoreUnknown"),
        ("\n\nHost other\n Qwertz 1\n", r"config:4: qwertz: unknown keyword; leave it out, or"),
        ("Port\n", "config:1: Port has no value"),
        ("Host other\n Port 0\n", r"config:2: Port '0' is no port; write 1-65535"),
        ("User a b\n", "more than one value, 'b' is too much"),
        ('User "a\n', r'config:1: User a " is not closed'),
        ("IdentitiesOnly maybe\n", "neither yes nor no"),
        ("ConnectTimeout soon\n", "is no time"),
        ("Match all host x\n", "cannot combine `all`"),
        ("Match host\n", "no value for `host`"),
        ("Match\n", "Match has no value"),
        ("Match # x\n", "has no criterion"),
        ("Match localnetwork 10.0.0.0/8\n", "Match by `localnetwork` is not supported"),
        ("Host\n", "Host has no value"),
        ("ProxyJump @\n", "is no way to a host"),
        ("ProxyJump none # no\n", "move the comment"),
        ("Include %h\n", "token is not supported"),
        ("Include config\n", "does a file include itself"),
        ("StrictHostKeyChecking perhaps\n", "write yes, ask or accept-new"),
        ("HostName %p\n", "config:1: HostName has %p, which means nothing here"),
        ("ServerAliveCountMax -1\n", "is no whole number"),
        ("CanonicalizeHostname yes\n", r"config:1: CanonicalizeHostname yes: not supported; leave it out"),
        ("ProxyUseFdpass yes\n", "not supported"),
        ("RevokedHostKeys ~/.ssh/revoked\n", "not supported"),
        ("BindInterface eth0\n", "not supported"),
        ("ProxyJump web-01\n", "the way leads in a circle: web-01 > web-01"),
        ("ProxyCommand nc %u\n", "config:1: ProxyCommand has %u, which means nothing here"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused_with_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    """And with the way out; a slip in another host's section too, as ssh does."""
    with pytest.raises(ConfigError, match=message):
        settled(tmp_path, text)


def test_what_is_not_for_us_is_passed_over_knowingly(tmp_path: Path) -> None:
    """Terminals, forwardings, multiplexing; what other hosts ask for; what IgnoreUnknown names."""
    text = (
        "IgnoreUnknown UseApple*,Frob\nUseAppleThing x\nControlMaster auto\nLocalForward 1 b:2\nUseKeychain yes\n"
        "CanonicalizeHostname no\nRevokedHostKeys none\nHost other\n CanonicalizeHostname yes\n frob 1 2\n"
    )
    assert settled(tmp_path, text).name == "web-01"


def test_a_file_that_others_may_write_to_is_refused_as_ssh_does(tmp_path: Path) -> None:
    """The user's own file and every included one; a file that was named on the command line is the caller's affair."""
    settler(tmp_path, "Port 1\n", other="Port 2\n")
    path = tmp_path / ".ssh/config"
    path.chmod(0o666)
    with pytest.raises(ConfigError, match=r"~/.ssh/config: others may write to it.*chmod go-w"):
        SshConfig.read(config_files(None, tmp_path)[:1], tmp_path)
    SshConfig.read((ConfigFile(path),), tmp_path)
    path.write_text("Include other\n")
    (tmp_path / ".ssh/other").chmod(0o666)
    with pytest.raises(ConfigError, match=r"~/.ssh/other: others may write"):
        SshConfig.read((ConfigFile(path),), tmp_path)


def test_which_files_count(tmp_path: Path) -> None:
    """As ssh has it: the user's and the machine's, or the one that is named, or none."""
    assert [file.path for file in config_files(None, tmp_path)] == [
        tmp_path / ".ssh/config",
        Path("/etc/ssh/ssh_config"),
    ]
    assert config_files("None", tmp_path) == ()
    with pytest.raises(ConfigError, match="there is no such file"):
        config_files(str(tmp_path / "nowhere"), tmp_path)
    with pytest.raises(ConfigError, match="cannot be read"):
        SshConfig.read(config_files(str(tmp_path), None), None)


def test_a_directory_full_of_files_is_bounded(tmp_path: Path) -> None:
    """A file that includes itself many times is an error and not an endless loop."""
    with pytest.raises(ConfigError, match=r"itself|more than 1,000 files"):
        settled(tmp_path, "Include config config\n")


def test_options_of_the_command_line_are_sshs_own_keywords() -> None:
    """Others are refused with the nearest; so is what would send all hosts to one place, or trust any key."""
    assert read_option("identitiesonly=yes") == ("IdentitiesOnly", "yes")
    assert read_option("ProxyCommand nc %h %p") == ("ProxyCommand", "nc %h %p")
    for text, message in (
        ("Prot=22", "did you mean 'Port'"),
        ("Port", "Port has no value"),
        ("", "unknown keyword"),
        ("Port=x", "is no port"),
        ("HostName=x", "every target to one host"),
        ("ControlMaster=auto", "does nothing with this keyword"),
        ("Host=x", "does nothing with this keyword"),
        ("StrictHostKeyChecking=no", "no flag switches the check of host keys off"),
    ):
        with pytest.raises(UsageError, match=message):
            read_option(text)


def test_match_exec_is_asked_once_for_each_command(tmp_path: Path) -> None:
    """What cannot change the outcome is not run, equal commands are run once, negation counts."""
    log = tmp_path / "log"
    text = (
        f'Match host db exec "echo skipped >> {log}"\n User wrong\nMatch exec "echo %n >> {log}"\n User asked\n'
        f'Match !exec "echo all >> {log}; false"\n Port 5\n'
    )
    decide = settler(tmp_path, text)
    for name in ("web-01", "web-01", "web-02"):
        found = decide.settle_and_wait(Host(name, "u"))
        assert (found.user, found.port) == ("asked", 5)
    assert sorted(log.read_text().split()) == ["all", "web-01", "web-02"]


def test_a_command_that_hangs_fails_its_host_alone(tmp_path: Path) -> None:
    """A18: nine hosts are decided while it hangs; the tenth is told at its connect deadline, later ones at once."""

    async def scenario() -> None:
        decide = settler(
            tmp_path, 'Match host slow*,slow exec "sleep 60"\n User x\nMatch exec "test %n = web-3"\n Port 3\n'
        )
        slow = Host("slow", "u", ssh=SshSettings(connect_timeout_ms=1_500))
        hung = asyncio.create_task(decide.settled(slow))
        ports = [
            found.port for found in await asyncio.gather(*(decide.settled(Host(f"web-{n}", "u")) for n in range(9)))
        ]
        assert ports == [22, 22, 22, 3, 22, 22, 22, 22, 22]
        assert not hung.done()
        with pytest.raises(ConfigError, match=r"config:1: Match exec 'sleep 60' has not ended within 1\.5 s"):
            await hung
        began = time.monotonic()
        with pytest.raises(ConfigError, match="has not ended"):
            await decide.settled(Host("slow2", "u"))
        assert time.monotonic() - began < 1
        with pytest.raises(ConfigError, match="has not ended"):
            decide.settle_and_wait(slow)

    asyncio.run(scenario())


def test_a_command_that_hangs_where_nothing_else_goes_on_is_ended_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `inventory show --ssh` would wait for it; and a shell that is none is told."""
    decide = settler(tmp_path, 'Match exec "sleep 60"\n Port 3\n')
    with pytest.raises(ConfigError, match=r"has not ended within 0\.2 s"):
        decide.settle_and_wait(Host("a", "u", ssh=SshSettings(connect_timeout_ms=200)))
    monkeypatch.setenv("SHELL", str(tmp_path))
    decide = settler(tmp_path, 'Match exec "true"\n Port 3\n')
    with pytest.raises(ConfigError, match=r"cannot be run.*is \$SHELL a shell"):
        decide.settle_and_wait(Host("a", "u"))
    with pytest.raises(ConfigError, match=r"cannot be run"):
        asyncio.run(decide.settled(Host("a", "u")))


def test_what_a_command_started_does_not_outlive_it(tmp_path: Path) -> None:
    """The whole group is ended at the deadline."""
    mark = tmp_path / "mark"
    decide = settler(tmp_path, f'Match exec "(sleep 1; touch {mark}) & sleep 60"\n Port 3\n')
    with pytest.raises(ConfigError, match="has not ended"):
        decide.settle_and_wait(Host("a", "u", ssh=SshSettings(connect_timeout_ms=200)))
    began = time.monotonic()
    while time.monotonic() - began < 1.2:
        time.sleep(0.1)
    assert not mark.exists()


def test_flags_win_over_files_in_match_as_well(tmp_path: Path) -> None:
    """`Match user` sees who the flag or the inventory says logs in."""
    decide = settler(tmp_path, "User file\nMatch user flag\n Port 5\nMatch user inv\n Port 6\n")
    assert decide.settle(Host("a", "u", ssh=SshSettings(user="inv"))).port == 6
    decide.overrides = Overrides(user="flag")
    assert decide.settle(Host("a", "u", ssh=SshSettings(user="inv2"))).port == 5
