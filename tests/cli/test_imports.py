"""`vigo inventory import`, as an operator types it."""

from __future__ import annotations

import json

from tests.cli.conftest import Vigo

HOSTS = "[web]\nweb-[01:02] ansible_user=ops db_password=geheim\n[prod:children]\nweb\n"
VAGRANT = """\
Host web-01
  HostName 127.0.0.1
  User vagrant
  Port 2222
  UserKnownHostsFile /dev/null
  StrictHostKeyChecking no
  IdentityFile "/home/op/my vms/private_key"
  LogLevel FATAL
"""


def test_what_is_imported_is_an_inventory_at_once(vigo: Vigo) -> None:
    """Printed, or written to a file that the other commands read without edits; what was left out is on stderr."""
    (vigo.home / "hosts").write_text(HOSTS)
    shown = vigo("inventory", "import", "ansible", "hosts")
    assert shown.code == 0, shown.err
    assert shown.err.splitlines() == [
        "left out: db_password: looks like a secret; vigo's inventory holds none (hosts:2:1)",
        "imported 2 hosts and 2 groups from hosts",
    ]
    written = vigo("inventory", "import", "ansible", "hosts", "--write", "inventory.yaml")
    assert (written.code, written.out) == (0, "")
    assert "vigo inventory check -i inventory.yaml" in written.err
    assert (vigo.home / "inventory.yaml").read_text() == shown.out
    checked = vigo("inventory", "check", "-o", "json").json()
    assert (checked["hosts"], checked["groups"], checked["warnings"]) == (2, 2, [])
    assert "geheim" not in shown.out + shown.err
    again = vigo("inventory", "import", "ansible", "hosts", "-w", "inventory.yaml")
    assert again.code == 2
    assert "inventory.yaml is there; add --replace, or name another file" in again.err


def test_vagrant_is_read_from_a_pipe(vigo: Vigo) -> None:
    """Its unchecked keys are the explicit choice of each host, and said."""
    done = vigo("inventory", "import", "vagrant", stdin=VAGRANT)
    assert done.code == 0, done.err
    assert "host_keys: insecure" in done.out
    assert "warning: 1 host with host_keys: insecure, their keys are not checked at all: web-01" in done.err
    assert "imported 1 host and 0 groups from standard input" in done.err
    assert done.out.startswith("# Made by `vigo inventory import` from standard input.\n")


def test_any_json_is_read_by_a_mapping(vigo: Vigo) -> None:
    """The arguments of the program are in neither the file nor the messages; slips are exit 2, the rest exit 5."""
    (vigo.home / "list.json").write_text(json.dumps({"hosts": [{"n": "a", "dc": "fra"}, {"n": "b"}]}))
    maps = ["--items", ".hosts", "--map", "name=.n", "--map", "trait.site=.dc"]
    done = vigo("inventory", "import", "command", "cat list.json", *maps)
    assert done.code == 0, done.err
    assert "traits: {site: fra}" in done.out
    assert "left out: trait.site: there is nothing under .dc (cat: .hosts[1])" in done.err
    assert "list.json" not in done.out + done.err
    assert vigo("inventory", "import", "command", "cat list.json", "--map", "n=.n").code == 2
    failed = vigo("inventory", "import", "command", "cat nothing.json", *maps)
    assert (failed.code, failed.out) == (5, "")
    assert "cat: ended with exit 1" in failed.err


def test_an_ssh_config_gives_names(vigo: Vigo) -> None:
    """The one of the user by default; --replace alone is a slip."""
    (vigo.home / ".ssh").mkdir()
    (vigo.home / ".ssh/config").write_text("Host gate web-*\n  User ops\n")
    done = vigo("inventory", "import", "ssh-config")
    assert done.code == 0, done.err
    assert done.out == "# Made by `vigo inventory import` from ~/.ssh/config.\nhosts:\n  gate: {}\n"
    assert "imported 1 host and 0 groups from ~/.ssh/config" in done.err
    slip = vigo("inventory", "import", "ssh-config", "--replace")
    assert (slip.code, slip.err) == (2, "error: --replace: there is no --write; name the file\n")
