"""Ansible's inventories, from real files to an inventory that vigo's own loader reads."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from vigo.adapters.import_ansible import import_ansible
from vigo.adapters.inventory_yaml import load
from vigo.core.errors import ConfigError
from vigo.core.imports.document import Imported
from vigo.core.imports.writing import write
from vigo.core.inventory import Inventory, lineage
from vigo.core.inventory_check import check
from vigo.core.model import Host, HostKeyRule

INI = """\
bastion.example.com ansible_host=203.0.113.7 ansible_user=jump   # not in a group
localhost ansible_connection=local

[web]
web-[01:03].example.com:2222 rack=r1
[db]
db-[a:c].example.com version=1.10 on=yes flag=True tags="['a', 'b', 1]"
[cache]
db-a.example.com

[prod:children]
web
db
[fra:children]
web

[fra:vars]
site=fra
tier=low
[prod:vars]
tier=high
ansible_user=ops
ansible_become=true
db_password=geheim
greeting="{{ site }}"
[all:vars]
ntp=pool.ntp.org
"""

YAML = """\
all:
  vars: {ntp: pool.ntp.org}
  hosts:
    bastion.example.com: {ansible_host: 203.0.113.7, ansible_user: jump}
    localhost: {ansible_connection: local}
  children:
    prod:
      vars: {tier: high, ansible_user: ops, ansible_become: true, db_password: geheim, greeting: "{{ site }}"}
      children:
        web:
          hosts:
            web-[01:03].example.com: {ansible_port: 2222, rack: r1}
        db:
          hosts:
            db-[a:c].example.com: &db {version: 1.10, "on": "yes", flag: yes, tags: [a, b, 1]}
    fra:
      vars: {site: fra, tier: low}
      children:
        web:
    cache:
      hosts: {db-a.example.com: }
"""

GROUP_VARS = """\
---
role: web
installed: 2026-03-13
mode: 0644
nothing:
limits: {cpu: 1}
api_token: geheim
key: !vault |
  $ANSIBLE_VAULT;1.1;AES256
  61386134
"""


def made(imported: Imported, folder: Path) -> Inventory:
    """Write what was imported and read it back, as strictly as any inventory."""
    path = folder / "made.yaml"
    path.write_text(write(imported.document, "a test"), encoding="utf-8")
    inventory = load(path)
    check(inventory)
    return inventory


def group_names(host: Host) -> set[str]:
    """Return the groups that a host is in, by their own names."""
    return {path.rpartition(".")[2] for path in lineage(host.groups)}


@pytest.mark.parametrize(
    ("name", "text"), [("hosts.ini", INI), ("hosts.yml", YAML), ("hosts", INI), ("inventory", YAML)]
)
def test_one_fleet_in_either_form_is_the_same_inventory(name: str, text: str, tmp_path: Path) -> None:
    """Hosts, groups, settings and traits are those that Ansible would have, precedence included."""
    (tmp_path / name).write_text(text)
    imported = import_ansible(str(tmp_path / name))
    fleet = made(imported, tmp_path)
    assert [host.name for host in fleet.hosts] == [
        "bastion.example.com",
        *(f"web-{number}.example.com" for number in ("01", "02", "03")),
        *(f"db-{letter}.example.com" for letter in "abc"),
    ]
    bastion, web, db = (fleet.require(f"{host}.example.com") for host in ("bastion", "web-01", "db-a"))
    assert (bastion.address, bastion.ssh.user, bastion.groups) == ("203.0.113.7", "jump", ())
    assert (web.ssh.user, web.ssh.port, web.address) == ("ops", 2222, None)
    assert group_names(web) == {"prod", "web", "fra"}
    assert group_names(db) == {"prod", "db", "cache"}
    assert dict(web.traits) == {"ntp": "pool.ntp.org", "site": "fra", "tier": "high", "rack": "r1"}
    assert dict(db.traits) == {
        "ntp": "pool.ntp.org",
        "tier": "high",
        "version": "1.10",
        "on": "yes",
        "flag": True,
        "tags": ("a", "b", 1),
    }
    notes = "\n".join(imported.notes)
    for left in ("host localhost", "ansible_become", "db_password", "greeting"):
        assert f"left out: {left}" in notes
    assert "geheim" not in write(imported.document, "a test") + notes


def test_variables_beside_the_inventory_win_as_they_do_in_ansible(tmp_path: Path) -> None:
    """`group_vars/` over the inventory file, `host_vars/` over the host's own line, folders of files in their order."""
    (tmp_path / "hosts.ini").write_text(
        "[web]\nw1 role=line own=line\nw2\n[web:vars]\nrole=inline\n[top:children]\nweb\n"
    )
    (tmp_path / "group_vars/top").mkdir(parents=True)
    (tmp_path / "group_vars/top/10.yml").write_text("role: ten\nten: 10\n")
    (tmp_path / "group_vars/top/20").write_text("role: top\n")
    (tmp_path / "group_vars/top/.hidden.yml").write_text("role: hidden\n")
    (tmp_path / "group_vars/top/notes.md").write_text("no variables\n")
    (tmp_path / "group_vars/all.json").write_text('{"everywhere": 1}')
    (tmp_path / "group_vars/nobody.yml").write_text("role: nobody\n")
    (tmp_path / "host_vars").mkdir()
    (tmp_path / "host_vars/w1.yaml").write_text("own: file\n")
    imported = import_ansible(str(tmp_path / "hosts.ini"))
    fleet = made(imported, tmp_path)
    assert dict(fleet.require("w1").traits) == {"role": "line", "own": "file", "everywhere": 1, "ten": 10}
    assert dict(fleet.require("w2").traits) == {"role": "top", "everywhere": 1, "ten": 10}, "a file beats the inventory"
    notes = "\n".join(imported.notes)
    assert "left out: nobody.yml: speaks of no group of the inventory" in notes
    assert "left out: notes.md" in notes


def test_what_no_trait_can_hold_is_left_out_and_said(tmp_path: Path) -> None:
    """Secrets, encrypted values, templates, maps and empty values, each with the line where it stands; never the value."""
    (tmp_path / "hosts").write_text("[web]\nw1 nothing=kept\n")
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars/web.yml").write_text(GROUP_VARS)
    (tmp_path / "group_vars/all.yml").write_text("$ANSIBLE_VAULT;1.1;AES256\n6138\n")
    imported = import_ansible(str(tmp_path / "hosts"))
    fleet = made(imported, tmp_path)
    traits = {"role": "web", "installed": "2026-03-13", "mode": "0644", "nothing": "kept"}
    assert dict(fleet.require("w1").traits) == traits
    notes = "\n".join(imported.notes)
    for left, line in (("api_token", 7), ("key", 8), ("limits", 6), ("nothing", 5)):
        assert f"left out: {left}: " in notes
        assert f"group_vars/web.yml:{line}:" in notes
    assert "all.yml: is encrypted with ansible-vault as a whole" in notes
    assert "geheim" not in notes


def test_ways_to_a_host_are_taken_over(tmp_path: Path) -> None:
    """Jumps, proxies, keys and the checking of host keys; what else stands in the arguments for ssh is said."""
    (tmp_path / "hosts").write_text(
        "jumped ansible_ssh_private_key_file=~/.ssh/fleet ansible_ssh_common_args='-J ops@gate:2200,inner -o ControlMaster=auto'\n"
        """proxied ansible_ssh_common_args='-o ProxyCommand="nc -X 5 %h %p" -o StrictHostKeyChecking=accept-new'\n"""
        """walked ansible_ssh_common_args='-o ProxyCommand="ssh -q -W %h:%p ops@gate"'\n"""
        "open ansible_ssh_extra_args='-o StrictHostKeyChecking=no -oUserKnownHostsFile=/dev/null -4'\n"
        "trusting ansible_host_key_checking=false\n"
    )
    imported = import_ansible(str(tmp_path / "hosts"))
    fleet = made(imported, tmp_path)
    ssh = {host.name: host.ssh for host in fleet.hosts}
    assert ssh["jumped"].identity == "~/.ssh/fleet"
    assert [str(hop) for hop in ssh["jumped"].jump or ()] == ["ops@gate:2200", "inner"]
    assert (ssh["proxied"].proxy_command, ssh["proxied"].host_keys) == ("nc -X 5 %h %p", HostKeyRule.ACCEPT_NEW)
    assert [str(hop) for hop in ssh["walked"].jump or ()] == ["ops@gate"]
    assert ssh["open"].host_keys is HostKeyRule.INSECURE
    assert ssh["trusting"].host_keys is HostKeyRule.ACCEPT_NEW
    notes = "\n".join(imported.notes)
    assert "warning: 1 host with host_keys: insecure, their keys are not checked at all: open" in notes
    assert "left out: ansible_ssh_extra_args: -4" in notes
    assert "left out: ansible_ssh_common_args: controlmaster" in notes


def test_a_folder_is_read_file_by_file(tmp_path: Path) -> None:
    """In the order of their names, the later file winning; what is no inventory is left out and said."""
    (tmp_path / "10-hosts").write_text("[web]\nw1 role=first\n")
    (tmp_path / "20-more.yml").write_text("web: {hosts: {w1: {role: second}, w2: }}\n")
    (tmp_path / "aws_ec2.yml").write_text("plugin: amazon.aws.aws_ec2\n")
    (tmp_path / "script").write_text("#!/bin/sh\necho {}\n")
    (tmp_path / "README.md").write_text("about\n")
    (tmp_path / ".hidden").write_text("hidden\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars/web").write_text("site: fra\n")
    imported = import_ansible(str(tmp_path))
    assert {host.name: dict(host.traits) for host in made(imported, tmp_path).hosts} == {
        "w1": {"role": "second", "site": "fra"},
        "w2": {"site": "fra"},
    }
    notes = "\n".join(imported.notes)
    for name in ("aws_ec2.yml", "script", "sub"):
        assert f"left out: {name}: " in notes
    assert "README" not in notes


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("hosts", "web one=1\nhost name\n", "hosts:2:1: host: is followed by something that is no variable"),
        ("hosts", "ho$t\n", "hosts:1:1: ho$t: holds $, which no name may"),
        ("hosts", "[a b]\nx\n", "hosts:1:1: [a b]: is no section"),
        ("hosts", "w1\nW1\n", "hosts:2:1: W1: differs only in case from 'w1' at"),
        ("hosts", "w1 ansible_port=many\n", "hosts:1:1: port: is no port; write 1-65535"),
        ("hosts", "[a.b]\nw1\n", "hosts:1:1: a.b: is no name for a group"),
        ("hosts", "#!/usr/bin/env python\n", "is a program, which is not run; run `ansible-inventory -i"),
        ("hosts", "$ANSIBLE_VAULT;1.1;AES256\n", "is encrypted with ansible-vault"),
        ("hosts.toml", "[web]\n", "is TOML"),
        ("ec2.yml", "plugin: aws_ec2\n", "is the configuration of an inventory plugin"),
        ("hosts.yml", "web: {hosts: {w1: , w1: }}\n", "hosts.yml:1:21: w1: is listed twice, first at"),
        ("hosts.yml", "web: {hosts: [w1]}\n", "hosts.yml:1:14: hosts: is a list, must be a map"),
        ("hosts.yml", "- w1\n", "hosts.yml:1:1: document: is a list, must be a map"),
        ("hosts.yml", "web: {hosts: {w1: {a: *nothing}}}\n", "*nothing: stands for nothing"),
        ("hosts.yml", "a: [\n", "hosts.yml:2:1: YAML: "),
        ("list.json", '{"web": {"hosts": ["ho st"]}}', ".web: ho st: holds a blank, which no name may"),
        ("list.json", '{"_meta": {"hostvars": ', "JSON: "),
        ("list.json", '{"_meta": {}, "_meta": {}}', "_meta: stands twice in one object"),
    ],
)
def test_what_cannot_be_taken_is_named_with_its_place(name: str, text: str, said: str, tmp_path: Path) -> None:
    """An error, not a guess, and nothing is written."""
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError) as caught:
        import_ansible(str(tmp_path / name))
    assert said in str(caught.value)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A missing file, a device, a folder without inventories, text in another encoding, a file that is too large."""
    (tmp_path / "latin").write_bytes(b"w1\nh\xf6st\n")
    (tmp_path / "empty").mkdir()
    (tmp_path / "large").write_bytes(b"#" * (16 * 1024 * 1024 + 1))
    for path, said in (
        (str(tmp_path / "nothing"), "cannot be read: No such file"),
        ("/dev/null", "is not a regular file"),
        (str(tmp_path / "empty"), "holds no file that is an inventory"),
        (str(tmp_path / "latin"), "latin:2: byte 0xf6 is not UTF-8"),
        (str(tmp_path / "large"), "is larger than 16 MiB"),
    ):
        with pytest.raises(ConfigError) as caught:
            import_ansible(path)
        assert said in str(caught.value)


def test_aliases_and_merges_are_followed_within_bounds(tmp_path: Path) -> None:
    """As Ansible's own reader does; a bomb of aliases is refused before it goes off."""
    (tmp_path / "hosts.yml").write_text(
        "web:\n  hosts:\n    w1: &own {role: web, site: fra}\n    w2: *own\n    w3: {<<: [*own, {site: ams, x: 1}], role: own}\n"
    )
    fleet = made(import_ansible(str(tmp_path / "hosts.yml")), tmp_path)
    assert fleet.require("w1").traits == fleet.require("w2").traits == {"role": "web", "site": "fra"}
    assert fleet.require("w3").traits == {"role": "own", "site": "fra", "x": 1}
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    (tmp_path / "bomb.yml").write_text("\n".join(lines))
    (tmp_path / "deep.yml").write_text("a: " + "[" * 100_000)
    for name, said in (("bomb.yml", "more than 1,000,000 values"), ("deep.yml", "nested deeper than 50 levels")):
        with pytest.raises(ConfigError, match=said):
            import_ansible(str(tmp_path / name))


# --- against Ansible itself


ANSIBLE = shutil.which("ansible-inventory")


def ansible_list(path: Path) -> dict[str, Any]:
    """Return what `ansible-inventory --list` prints."""
    assert ANSIBLE is not None
    done = subprocess.run(
        [ANSIBLE, "-i", str(path), "--list"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=path.parent,
        env={**os.environ, "ANSIBLE_INVENTORY_ENABLED": "yaml,ini", "ANSIBLE_DEPRECATION_WARNINGS": "False"},
    )
    listed: dict[str, Any] = json.loads(done.stdout)
    return listed


def memberships(listed: Mapping[str, Any]) -> dict[str, set[str]]:
    """Return each host's groups, with those above them, without `all` and `ungrouped`."""
    found: dict[str, set[str]] = {}

    def walk(name: str, above: frozenset[str]) -> None:
        group, own = listed.get(name, {}), above | {name}
        for host in group.get("hosts", ()):
            found.setdefault(host, set()).update(own - {"all", "ungrouped"})
        for child in group.get("children", ()):
            walk(child, own)

    walk("all", frozenset())
    return found


def some_inventory(seed: int, folder: Path) -> Path:
    """Write an inventory of groups in groups, with variables and priorities in every place that may have some."""
    rng = random.Random(seed)
    groups = [f"g{number}" for number in range(rng.randint(1, 9))]
    shuffled = rng.sample(groups, len(groups))
    names = ("va", "vb", "vc", "ansible_user", "ansible_port", "ansible_host")

    def variables() -> dict[str, Any]:
        made: dict[str, Any] = {}
        for name in rng.sample(names, rng.randint(0, 3)):
            number = rng.randint(1, 9)
            made[name] = number if name == "ansible_port" else rng.choice([f"t{number}", f"x{number}", True, number])
            if name in ("ansible_user", "ansible_host"):
                made[name] = f"u{number}"
        return made

    lines = ["lone"]
    for name in shuffled:
        lines.append(f"[{name}]")
        lines += [f"h{rng.randint(1, 9)} " + pairs(variables()) for _ in range(rng.randint(0, 3))]
        lines += [f"r[{rng.randint(0, 3)}:{rng.randint(3, 6)}]"] * rng.randint(0, 1)
        below = [other for other in groups if groups.index(other) > groups.index(name)]
        lines += [f"[{name}:children]", *rng.sample(below, min(len(below), rng.randint(0, 2)))]
        lines += [f"[{name}:vars]", *(f"{key}={value}" for key, value in variables().items())]
        lines += [f"ansible_group_priority={rng.randint(1, 4)}"] * rng.randint(0, 1)
    lines += ["[all:vars]", *(f"{key}={value}" for key, value in variables().items())]
    (folder / "hosts").write_text("\n".join(lines) + "\n")
    for kind, owners in (("group_vars", [*groups, "all"]), ("host_vars", ["h1", "h2", "lone"])):
        (folder / kind).mkdir()
        for owner in rng.sample(owners, rng.randint(0, len(owners))):
            (folder / kind / owner).write_text(
                "".join(f"{key}: {value}\n" for key, value in variables().items()) or "---\n"
            )
    return folder / "hosts"


def pairs(variables: Mapping[str, Any]) -> str:
    """Write variables on a host's line."""
    return " ".join(f"{key}={value}" for key, value in variables.items())


def seen(hosts: Iterable[Host]) -> dict[str, dict[str, Any]]:
    """Return each host's values under Ansible's names."""
    return {
        host.name: {
            **host.traits,
            **{
                name: value
                for name, value in (
                    ("ansible_user", host.ssh.user),
                    ("ansible_port", host.ssh.port),
                    ("ansible_host", host.address),
                )
                if value is not None
            },
        }
        for host in hosts
    }


@pytest.mark.faults
@pytest.mark.skipif(ANSIBLE is None, reason="ansible-inventory is not installed")
def test_the_result_is_that_of_ansible_itself(tmp_path: Path) -> None:
    """For random inventories, every host has the groups and the values that `ansible-inventory --list` gives it."""
    for seed in range(40):
        folder = tmp_path / str(seed)
        folder.mkdir()
        path = some_inventory(seed, folder)
        listed = ansible_list(path)
        fleet = made(import_ansible(str(path)), folder)
        groups = memberships(listed)
        hostvars = listed["_meta"]["hostvars"]
        assert {host.name: group_names(host) for host in fleet.hosts} == groups, f"seed {seed}"
        assert seen(fleet.hosts) == {name: hostvars.get(name, {}) for name in groups}, f"seed {seed}"
        (folder / "list.json").write_text(json.dumps(listed))
        again = made(import_ansible(str(folder / "list.json")), folder)
        assert seen(again.hosts) == seen(fleet.hosts), f"seed {seed}, by --list"
        assert {host.name: group_names(host) for host in again.hosts} == groups, f"seed {seed}, by --list"
