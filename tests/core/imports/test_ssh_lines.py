from __future__ import annotations

from typing import cast

import pytest

from vigo.core.errors import ConfigError
from vigo.core.imports.ssh_lines import host_names, read_lines, read_vagrant
from vigo.core.model import Hop

RECORDED = """\
Host web-01
  HostName 127.0.0.1
  User vagrant
  Port 2222
  UserKnownHostsFile /dev/null
  StrictHostKeyChecking no
  PasswordAuthentication no
  IdentityFile "/home/op/my vms/.vagrant/machines/web-01/virtualbox/private_key"
  IdentitiesOnly yes
  LogLevel FATAL
  PubkeyAcceptedKeyTypes +ssh-rsa
  HostKeyAlgorithms +ssh-rsa

Host db-01
  HostName 192.168.121.17
  User vagrant
  Port 22
  UserKnownHostsFile /dev/null
  StrictHostKeyChecking no
  PasswordAuthentication no
  IdentityFile /home/op/.vagrant.d/insecure_private_key
  IdentityFile /home/op/.vagrant.d/insecure_private_keys/vagrant.key.ed25519
  IdentitiesOnly yes
  LogLevel FATAL
  ForwardAgent yes
  ProxyCommand ssh 'libvirt.example.com' -l 'ops' -W %h:%p
"""


def test_what_vagrant_prints_becomes_hosts() -> None:
    """Address, user, port and key; keys that Vagrant has nobody check are an explicit choice for each host, and said."""
    made = read_vagrant(RECORDED, "recorded")
    web, db = made.document.hosts
    assert web.values == {
        "address": "127.0.0.1",
        "ssh.user": "vagrant",
        "ssh.port": 2222,
        "ssh.identity": "/home/op/my vms/.vagrant/machines/web-01/virtualbox/private_key",
        "ssh.host_keys": "insecure",
    }
    assert db.values["ssh.identity"] == "/home/op/.vagrant.d/insecure_private_key"
    assert [str(hop) for hop in cast("tuple[Hop, ...]", db.values["ssh.jump"])] == ["ops@libvirt.example.com"]
    assert made.document.groups == {}
    said = "\n".join(made.notes)
    assert "warning: 2 hosts with host_keys: insecure" in said
    for left in (
        "passwordauthentication",
        "identitiesonly",
        "loglevel",
        "hostkeyalgorithms",
        "forwardagent",
        "identityfile",
    ):
        assert f"left out: {left}: " in said
    assert "recorded:10:3 and 1 more" in said


def test_lines_are_read_as_ssh_reads_them() -> None:
    """Equal signs, quotes and comments; Host lines have names and patterns."""
    lines = list(read_lines('# no\n\nHost=a "b c" w-* !d ?\n  User = ops  \r\n!odd\nPort', "config"))
    assert [(line.keyword, line.words, line.rest) for line in lines] == [
        ("host", ("a", "b c", "w-*", "!d", "?"), 'a "b c" w-* !d ?'),
        ("user", ("ops",), "ops"),
        ("port", (), ""),
    ]
    assert str(lines[1].mark) == "config:4:3"
    assert list(host_names(lines[0])) == ["a", "b c"]


def test_a_first_way_to_a_host_counts() -> None:
    """As for ssh: a proxy after a jump says nothing."""
    (host,) = read_vagrant("Host a\n ProxyJump gate\n ProxyCommand nc %h %p\n", "x").document.hosts
    assert list(host.values) == ["ssh.jump"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "x:1:1: Host: is nowhere; give what `vagrant ssh-config` prints"),
        ("User a\n", "x:1:1: Host: is nowhere"),
        ("Host a b\n", "x:1:1: Host: has 2 names, must have one"),
        ("Host a\nHost a\n", "x:2:1: a: is listed twice, first at x:1:1"),
        ('Host "a b"\n', "x:1:1: a b: holds a blank"),
        ("Host a\n  Port x\n", "x:2:3: Port: is no port"),
        ("Host a\n  HostName\n", "x:2:3: address:  is no name"),
    ],
)
def test_what_vagrant_would_not_print_is_refused(text: str, said: str) -> None:
    """With file, line and column."""
    with pytest.raises(ConfigError) as caught:
        read_vagrant(text, "x")
    assert said in str(caught.value)


def test_what_stands_before_the_first_host_is_said() -> None:
    """It belongs to nobody."""
    assert read_vagrant("User a\nHost b\n", "x").notes == ("left out: user: stands before the first Host (x:1:1)",)
