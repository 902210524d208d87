from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from vigo.adapters.import_ssh_config import import_ssh_config
from vigo.core.errors import ConfigError
from vigo.core.imports.document import ImportedHost
from vigo.core.model import Hop

CONFIG = """\
Include conf.d/*.conf
Host web-* !web-09
  User ops
  Port 2222
Host web-01 "web-02"
  HostName 10.0.0.1
Host web-02
  IdentityFile ~/.ssh/a
  IdentityFile ~/.ssh/b
  ProxyJump jump@gate:2200
Host gate
  HostName %h.example.com
  StrictHostKeyChecking accept-new
  UserKnownHostsFile /k1 /k2
Host direct
  ProxyJump none
  IdentityFile ~/.ssh/%h
  ServerAliveInterval 5
Match host asked exec "false"
  User never
Host *
  Compression yes
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a home with an ssh_config of several files."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh/conf.d").mkdir(parents=True)
    (tmp_path / ".ssh/config").write_text(CONFIG)
    (tmp_path / ".ssh/conf.d/10.conf").write_text("Host included\n  User inc\nHost asked\n  Port 7\n")
    for path in tmp_path.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    return tmp_path


def test_names_are_taken_and_settings_stay_where_they_are(home: Path) -> None:
    """From included files too; patterns are no hosts, and a host that is named twice is one."""
    imported = import_ssh_config(None, all_settings=False)
    names = ["included", "asked", "web-01", "web-02", "gate", "direct"]
    assert imported.document.hosts == tuple(map(ImportedHost, names))
    assert imported.notes == ("note: patterns of Host lines are no names (3); ssh_config itself applies them",)
    elsewhere = import_ssh_config(str(home / ".ssh/config"), all_settings=False)
    assert elsewhere.document == imported.document
    assert any("run vigo with --ssh-config" in note for note in elsewhere.notes)


@pytest.mark.usefixtures("home")
def test_all_settings_are_what_the_file_comes_to_for_each_host() -> None:
    """The first value of a keyword wins, patterns counted in; what cannot be copied is said, and no command is run."""
    imported = import_ssh_config(None, all_settings=True)
    hosts = {host.name: dict(host.values) for host in imported.document.hosts}
    jump = hosts["web-02"].pop("ssh.jump")
    assert [str(hop) for hop in cast("tuple[Hop, ...]", jump)] == ["jump@gate:2200"]
    web = {"address": "10.0.0.1", "ssh.user": "ops", "ssh.port": 2222}
    assert hosts == {
        "included": {"ssh.user": "inc"},
        "asked": {},
        "web-01": web,
        "web-02": {**web, "ssh.identity": "~/.ssh/a"},
        "gate": {"address": "gate.example.com", "ssh.known_hosts": "/k1", "ssh.host_keys": "accept-new"},
        "direct": {"ssh.jump": "none"},
    }
    notes = "\n".join(imported.notes)
    assert "left out: asked: settings: Match exec at ~/.ssh/config:19 is not run" in notes
    assert "left out: IdentityFile: has several values" in notes
    assert "left out: IdentityFile: has % tokens" in notes
    assert "left out: UserKnownHostsFile: has several values" in notes
    assert "left out: serveraliveinterval: has no place in an inventory" in notes
    assert "warning: 1 host with host_keys: accept-new" in notes


def test_what_cannot_be_read_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing file, a file that includes itself, a name that vigo refuses, no home at all."""
    (home / "loop").write_text(f"Include {home}/loop\n")
    (home / "odd").write_text('Host ok "a b"\n')
    (home / "twice").write_text("Host ok\nHost OK\n")
    (home / "nobody").write_text("Include ~no-such-user-here/x\n")
    for name, said in (
        ("nothing", "nothing: cannot be read: No such file"),
        ("loop", "does a file include itself?"),
        ("odd", "odd:1:1: a b: holds a blank"),
        ("twice", "twice:2:1: OK: differs only in case from 'ok'"),
        ("nobody", "nobody:1:1: Include: there is no such home"),
    ):
        with pytest.raises(ConfigError) as caught:
            import_ssh_config(str(home / name), all_settings=False)
        assert said in str(caught.value)
    monkeypatch.setattr("vigo.adapters.import_ssh_config.home_folder", lambda: None)
    with pytest.raises(ConfigError, match="there is no home folder; name the file"):
        import_ssh_config(None, all_settings=False)
