"""`vigo lab` as an operator types it: results on stdout, the rest on stderr, documented exit codes, no traceback."""

from __future__ import annotations

import json
import socket
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from vigo.adapters.inventory_yaml import load
from vigo.cli.main import main

Vigo = Callable[..., "Done"]


@dataclass(frozen=True, slots=True)
class Done:
    """How one call of the program ended."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def vigo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Vigo]:
    """Run `vigo lab …` with a lab folder of the test's own, and end that lab afterwards."""
    monkeypatch.setenv("VIGO_LAB_DIR", str(tmp_path / "lab"))

    def run(*words: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["vigo", "lab", *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return Done(int(ended.value.code or 0), said.out, said.err)

    yield run
    assert run("down").returncode == 0
    assert not (tmp_path / "lab").exists()


def report(vigo: Vigo) -> dict[str, object]:
    """Return `lab status -o json`."""
    parsed: dict[str, object] = json.loads(vigo("status", "-o", "json").stdout)
    return parsed


def test_up_says_what_it_does_and_where_everything_is(vigo: Vigo, tmp_path: Path) -> None:
    """Stdout holds inventory, health URL and hosts; stderr says on which machine and as whom commands run."""
    done = vigo("up")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0] == f"inventory: {tmp_path / 'lab' / 'inventory'}"
    assert lines[1].startswith("health:    http://127.0.0.1:")
    assert [line.split()[0] for line in lines[2:]] == [
        *(f"web-0{n}.example.com" for n in range(1, 5)),
        "db-01.example.com",
    ]
    assert "run on this machine, as" in done.stderr
    assert "next: vigo task run" in done.stderr


def test_up_again_says_that_it_is_up_already(vigo: Vigo) -> None:
    """The same lab is shown again; asking for another one is an error."""
    first, second = vigo("up", "--hosts", "3"), vigo("up")
    assert (second.returncode, second.stdout) == (0, first.stdout)
    assert "already up" in second.stderr
    other = vigo("up", "--hosts", "4")
    assert other.returncode == 1
    assert "vigo lab down" in other.stderr


def test_the_lab_is_an_inventory_with_the_fleets_groups_traits_and_tasks(vigo: Vigo, tmp_path: Path) -> None:
    """What was written is read back by vigo's own loader, with a port and a key for each host."""
    vigo("up", "--hosts", "7")
    inventory = load(tmp_path / "lab" / "inventory")
    assert [host.name for host in inventory.hosts][-2:] == ["web-05.example.com", "web-06.example.com"]
    assert all(host.groups == (("prod.db",) if "db" in host.name else ("prod.web",)) for host in inventory.hosts)
    assert {host.traits["os.distro"] for host in inventory.hosts} == {"ubuntu", "debian"}
    assert len({host.ssh.port for host in inventory.hosts}) == 7
    assert set(load(Path(__file__).parents[2] / "inventory").tasks) == set(inventory.tasks)


def test_like_takes_another_inventorys_fleet(vigo: Vigo, tmp_path: Path) -> None:
    """Names, groups, traits and tasks are the inventory's own; how its hosts were reached is not."""
    (tmp_path / "own.yaml").write_text(
        "defaults: {ssh: {user: ops, port: 2222}}\n"
        "groups: {emea: {groups: {cache: {traits: {tier: 2}}}}}\n"
        "hosts:\n  cache-[08-09].corp: {address: '10.0.0.[1-2]', groups: [emea.cache], traits: {tags: [a, b]}}\n"
        "tasks:\n  warm: {command: 'echo {{ n }}', params: {n: {type: int, default: 3}}}\n"
    )
    assert vigo("up", "--like", str(tmp_path / "own.yaml"), "--hosts", "3").returncode == 0
    inventory = load(tmp_path / "lab" / "inventory")
    assert [host.name for host in inventory.hosts] == ["cache-08.corp", "cache-09.corp", "cache-10.corp"]
    assert all(host.address == "127.0.0.1" and host.ssh.user != "ops" for host in inventory.hosts)
    assert all(dict(host.traits) == {"tier": 2, "tags": ("a", "b")} for host in inventory.hosts)
    assert "warm" in inventory.tasks


def test_faults_and_health_are_set_shown_and_healed(vigo: Vigo) -> None:
    """`status` tells each host's fault; the health URL really answers."""
    vigo("up", "--hosts", "2")
    assert vigo("break", "WEB-02.example.com", "exit:3").stdout == "web-02.example.com exit:3\n"
    assert vigo("break", "web-01.example.com", "refuse").returncode == 0
    status = report(vigo)
    assert status["schema"] == 1
    hosts = status["hosts"]
    assert isinstance(hosts, list)
    assert [host["fault"] for host in hosts] == ["refuse", "exit:3"]
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", hosts[0]["port"])):
        pass
    assert "exit:3" in vigo("status").stdout
    assert vigo("health", "down").stdout == f"{status['health_url']} down\n"
    with pytest.raises(urllib.error.HTTPError, match="503") as refused:
        urllib.request.urlopen(str(status["health_url"]))
    refused.value.close()
    assert vigo("health", "up").returncode == 0
    for host in ("web-01.example.com", "web-02.example.com"):
        assert vigo("heal", host).stdout == f"{host} well\n"
    healed = report(vigo)
    assert healed["health"] == "up"
    assert [host["fault"] for host in healed["hosts"] if isinstance(healed["hosts"], list)] == [None, None]  # type: ignore[attr-defined]


def test_bad_input_is_named_and_changes_nothing(vigo: Vigo) -> None:
    """Usage errors are 2, unknown hosts 4 with the nearest names, bad inventories 5."""
    for words in (("up", "--hosts", "0"), ("up", "--hosts", "many"), ("up", "--hosts", "20001"), ("health", "ill")):
        assert vigo(*words).returncode == 2, words
    missing = vigo("up", "--like", "/nowhere/at/all")
    assert (missing.returncode, "/nowhere/at/all" in missing.stderr) == (5, True)
    vigo("up", "--hosts", "2")
    fault = vigo("break", "web-01.example.com", "explode")
    assert (fault.returncode, "refuse, hang, slow or exit:N" in fault.stderr) == (2, True)
    for word in ("web-1", "web-01.exmple.com"):
        unknown = vigo("break", word, "slow")
        assert (unknown.returncode, "did you mean web-01.example.com" in unknown.stderr) == (4, True), word
    assert vigo("heal", "zebra").returncode == 4
    assert "slow" not in vigo("status").stdout


def test_without_a_lab_everything_says_so(vigo: Vigo) -> None:
    """Nothing is up: exit 4 and the command that changes that; `down` alone is content."""
    for words in (("status",), ("status", "-o", "json"), ("health", "up"), ("break", "web-01", "slow"), ("heal", "x")):
        done = vigo(*words)
        assert (done.returncode, done.stdout) == (4, ""), words
        assert "vigo lab up" in done.stderr
    assert vigo("down").returncode == 0


def test_a_large_lab_is_not_listed_whole_on_its_start(vigo: Vigo) -> None:
    """Two hundred lines would hide the two that matter; `status` has them all."""
    done = vigo("up", "--hosts", "200")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) < 20
    assert "… and 190 more" in done.stdout
    assert len(vigo("status").stdout.splitlines()) == 202
