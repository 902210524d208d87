from __future__ import annotations

from typing import Any

import pytest

from vigo.core.errors import ConfigError
from vigo.core.imports.ansible_source import Variable
from vigo.core.imports.ansible_values import other_connection, read_values
from vigo.core.imports.document import Notes
from vigo.core.nodes import Mark

MARK = Mark("hosts", 3, 1)


def read(**variables: Any) -> tuple[dict[str, Any], list[str]]:
    """Return the values of variables, and what was said of them."""
    notes = Notes()
    values = read_values({name: Variable(value, MARK) for name, value in variables.items()}, notes)
    return values, list(notes.lines())


def test_settings_are_taken_under_either_of_their_names() -> None:
    """Of two the one with `ssh` in it wins, as with Ansible; an empty one says nothing."""
    values, notes = read(
        ansible_host="10.0.0.1",
        ansible_ssh_host="10.0.0.2",
        ansible_port=22,
        ansible_user="ops",
        ansible_ssh_user="",
        ansible_ssh_private_key_file="~/.ssh/fleet",
        ansible_connection="ssh",
    )
    assert values == {"address": "10.0.0.2", "ssh.port": 22, "ssh.user": "ops", "ssh.identity": "~/.ssh/fleet"}
    assert notes == []
    for name, value in (("ansible_port", "many"), ("ansible_port", [22]), ("ansible_user", ["a", "b"])):
        with pytest.raises(ConfigError, match=r"^hosts:3:1: (port|user): is no "):
            read(**{name: value})


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("db_password", "geheim", "looks like a secret"),
        ("ansible_ssh_pass", "geheim", "looks like a secret"),
        ("ansible_become_pass", "geheim", "looks like a secret"),
        ("API_KEY", "geheim", "looks like a secret"),
        ("token_x", 1, "looks like a secret"),
        ("client_secrets", ["geheim"], "looks like a secret"),
        ("cert", "-----BEGIN RSA PRIVATE KEY-----\ngeheim", "looks like a secret"),
        ("x", "$ANSIBLE_VAULT;geheim", "is encrypted with ansible-vault"),
        ("x", ["a", "$ANSIBLE_VAULT;geheim"], "is encrypted with ansible-vault"),
        ("x", "{{ geheim }}", "is a template"),
        ("x", ["{% geheim %}"], "is a template"),
        ("ansible_host", "{{ geheim }}", "is a template"),
        ("ansible_python_interpreter", "geheim", "is a setting of Ansible's that vigo has no use for"),
        ("ansible_become_user", "geheim", "raising privileges is asked for with each run (--sudo)"),
        ("ansible_group_priority", 5, "counts in the inventory file alone"),
        ("x", None, "has no value"),
        ("x", {"geheim": 1}, "is a map, and a trait is one value or a list"),
        ("x", [["geheim"]], "is a list that holds lists or maps"),
        ("x", "geheim\x1b", "holds a control character"),
        ("a.b", "geheim", "is no trait's key"),
        ("ansible_ssh_args", "'geheim", "has quotes that do not end"),
    ],
)
def test_what_stays_behind_has_a_reason_and_keeps_its_value(name: str, value: Any, reason: str) -> None:
    """The name and the place are said, the value never."""
    values, notes = read(**{name: value})
    assert values == {}
    (note,) = notes
    assert note.startswith(f"left out: {name}: ")
    assert reason in note
    assert note.endswith("(hosts:3:1)")
    assert "geheim" not in note


def test_names_that_only_look_like_secrets_are_traits() -> None:
    """`bypass` is no pass, and `authorized_keys` are public."""
    values, _ = read(bypass=True, compass="n", authorized_keys=["ssh-ed25519 A"])
    assert values == {"traits.bypass": True, "traits.compass": "n", "traits.authorized_keys": ("ssh-ed25519 A",)}


def test_the_arguments_for_ssh_are_read_in_the_order_in_which_ssh_gets_them() -> None:
    """The first value of an option counts, and none of Ansible's own settings is overruled."""
    values, notes = read(
        ansible_ssh_extra_args="-J third",
        ansible_ssh_common_args="-o ProxyJump=second -o 'ProxyCommand nc %h %p'",
        ansible_ssh_args="-Jfirst -o ControlPersist=60s -C -i ~/.ssh/x",
    )
    assert [str(hop) for hop in values.pop("ssh.jump")] == ["first"]
    assert values == {}, "a proxy that comes after a jump does not count"
    assert [note.partition(" (")[0] for note in notes] == [
        "left out: ansible_ssh_args: controlpersist: vigo shares connections by itself",
        "left out: ansible_ssh_args: -C: has no place in an inventory; ~/.ssh/config can say it, and vigo reads that",
        "left out: ansible_ssh_args: -i: has no place in an inventory; ~/.ssh/config can say it, and vigo reads that",
    ]


def test_unchecked_keys_are_taken_as_far_as_they_may_be() -> None:
    """Ansible's switch stands for StrictHostKeyChecking=no, which takes new keys."""
    assert read(ansible_host_key_checking=False)[0] == {"ssh.host_keys": "accept-new"}
    assert read(ansible_ssh_host_key_checking="no")[0] == {"ssh.host_keys": "accept-new"}
    assert read(ansible_host_key_checking=True)[0] == {}
    arguments = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
    assert read(ansible_ssh_common_args=arguments, ansible_host_key_checking=False)[0] == {"ssh.host_keys": "insecure"}


def test_hosts_that_ansible_reaches_otherwise_are_known() -> None:
    """By the connection's name; a template is no name."""
    for value, other in (
        ("local", "local"),
        ("ansible.builtin.docker", "docker"),
        ("paramiko", None),
        ("{{ x }}", None),
        (1, None),
    ):
        found = other_connection({"ansible_connection": Variable(value, MARK)})
        assert (None if found is None else found[0]) == other
    assert other_connection({}) is None
