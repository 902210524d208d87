"""`vigo inventory`: list, show, check, as an operator types them."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Vigo

FILE = """\
defaults:
  ssh: {user: ops}
groups:
  prod:
    groups:
      web: {traits: {role: web}}
      db: {}
hosts:
  web-[01-02].example.com:
    address: 10.0.0.[1-2]
    groups: [prod.web]
    traits: {os: {distro: ubuntu}, note: "tab\\there", tags: [a, b]}
  db-01.example.com: {address: 10.0.0.1}
tasks:
  up: {command: uptime}
"""


@pytest.fixture
def fleet(vigo: Vigo) -> Vigo:
    """Return the program beside an `inventory.yaml`."""
    (vigo.home / "inventory.yaml").write_text(FILE)
    return vigo


def test_list_shows_hosts_in_aligned_columns(fleet: Vigo) -> None:
    """In the file's order, nothing cut, nothing drawn; which inventory it is stands on stderr."""
    done = fleet("inventory", "list")
    assert done.code == 0
    assert done.out == (
        "HOST                ADDRESS   GROUPS    TRAITS\n"
        "web-01.example.com  10.0.0.1  prod.web  note=tab\\there os.distro=ubuntu role=web tags=a,b\n"
        "web-02.example.com  10.0.0.2  prod.web  note=tab\\there os.distro=ubuntu role=web tags=a,b\n"
        "db-01.example.com   10.0.0.1  -         -\n"
    )
    assert "inventory.yaml" in done.err


def test_list_takes_the_targets_of_a_run(fleet: Vigo) -> None:
    """And its exit codes: 4 when nothing matches, 2 for a slip, with a caret."""
    names = fleet("inventory", "list", "--target", "*.web.*", "--exclude", "web-01.example.com", "-o", "tsv").out
    assert [line.split("\t")[0] for line in names.splitlines()] == ["host", "web-02.example.com"]
    assert fleet("inventory", "list", "--exclude", "@prod", "-o", "tsv").out.splitlines()[1].startswith("db-01")
    nobody = fleet("inventory", "list", "--target", "web-03.example.com")
    assert (nobody.code, nobody.out) == (4, "")
    assert "did you mean" in nobody.err
    slip = fleet("inventory", "list", "--target", "(web-*")
    assert (slip.code, slip.out) == (2, "")
    assert "\n  ^\n" in slip.err


def test_lists_are_also_for_machines(fleet: Vigo) -> None:
    """Every JSON object says which schema it has; TSV keeps one host in one line."""
    whole = fleet("inventory", "list", "-o", "json").json()
    lines = [json.loads(line) for line in fleet("inventory", "list", "-o", "jsonl").out.splitlines()]
    assert (whole["schema"], whole["inventory"]) == (1, "inventory.yaml")
    assert lines == whole["hosts"]
    assert whole["hosts"][0]["traits"] == {
        "note": "tab\there",
        "os.distro": "ubuntu",
        "role": "web",
        "tags": ["a", "b"],
    }
    assert whole["hosts"][0]["ssh"] == {"user": "ops"}
    table = [line.split("\t") for line in fleet("inventory", "list", "-o", "tsv").out.splitlines()]
    assert table[0] == ["host", "address", "groups", "traits"]
    assert {len(row) for row in table} == {4}


def test_show_names_the_origin_of_each_value(fleet: Vigo) -> None:
    """Layer, file, line and column."""
    done = fleet("inventory", "show", "WEB-01.example.com")
    assert done.code == 0
    rows = {line.split()[0]: line.split()[1:] for line in done.out.splitlines() if line}
    assert rows["Host:"] == ["web-01.example.com"]
    assert rows["ssh.user"] == ["ops", "defaults", "inventory.yaml:2:9"]
    assert rows["traits.role"] == ["web", "group", "prod.web", "inventory.yaml:6:22"]
    assert rows["traits.os.distro"] == ["ubuntu", "host", "inventory.yaml:12:19"]
    found = fleet("inventory", "show", "web-01.example.com", "-o", "json").json()
    assert found["schema"] == 1
    assert {"key": "ssh.user", "value": "ops", "layer": "defaults", "place": "inventory.yaml:2:9"} in found["origins"]


def test_show_of_no_host_names_the_nearest(fleet: Vigo) -> None:
    """Exit 4; a form that does not fit is exit 2."""
    done = fleet("inventory", "show", "web-01")
    assert done.code == 4
    assert "did you mean web-01.example.com?" in done.err
    assert fleet("inventory", "show", "db-01.example.com", "-o", "tsv").code == 2


def test_check_counts_and_warns(fleet: Vigo) -> None:
    """Warnings go to stderr and change nothing about the exit code."""
    done = fleet("inventory", "check")
    assert (done.code, done.out) == (0, "3 hosts, 3 groups, 1 task: 2 warnings\n")
    assert "warning: 2 hosts share 10.0.0.1 port 22: web-01.example.com, db-01.example.com" in done.err
    assert fleet("inventory", "check", "-o", "json").json()["warnings"][1] == "group prod.db has no host"


def test_check_refuses_what_cannot_be_used(fleet: Vigo) -> None:
    """Exit 5 with the place, and nothing on stdout."""
    path = fleet.home / "inventory.yaml"
    path.write_text(FILE.replace("command: uptime", "commnd: uptime"))
    done = fleet("inventory", "check")
    assert (done.code, done.out) == (5, "")
    assert "inventory.yaml:15:8: commnd: unknown key; did you mean 'command'?" in done.err
    path.write_text("hosts: {a: {address: no}}\n")
    assert fleet("inventory", "list").code == 5
    path.write_text('hosts: {a: {traits: {x: "\\u202e"}}}\n')
    assert "x=\\u202e" in fleet("inventory", "list").out
