"""The Vagrantfile and the inventory speak of the same machines."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from vigo.adapters.inventory_yaml import load

_REPOSITORY = Path(__file__).parents[1]
_VAGRANTFILE = _REPOSITORY / "Vagrantfile"
_ROW = re.compile(r'\{ name: "(?P<name>[^"]+)", +address: "(?P<address>[^"]+)"')

# A stand-in for Vagrant: it takes whatever is set, and prints what each machine came to.
_RECORDER = """
require "json"
class Recorder
  attr_reader :said, :nodes
  def initialize; @said = {}; @nodes = []; end
  def vm; self; end
  def define(name); node = Recorder.new; node.said["define"] = name; yield node; @nodes << node.said; end
  def provider(name); (@said["providers"] ||= []) << name; machine = Recorder.new; yield machine; @said[name] = machine.said; end
  def network(kind, ip:); @said["network"] = [kind, ip]; end
  def provision(name, **rest); (@said["provision"] ||= {})[name] = rest[:inline]; end
  def synced_folder(*, **); end
  def method_missing(name, *values); @said[name.to_s.chomp("=")] = values.first; end
  def respond_to_missing?(*) = true
end
module Vagrant
  def self.configure(_version); top = Recorder.new; yield top; puts JSON.generate(top: top.said, nodes: top.nodes); end
end
load ARGV[0]
"""

needs_ruby = pytest.mark.skipif(shutil.which("ruby") is None, reason="ruby is not installed")


def _played(**environment: str) -> dict[str, object]:
    done = subprocess.run(
        ["ruby", "-e", _RECORDER, str(_VAGRANTFILE)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    played: dict[str, object] = json.loads(done.stdout)
    return played


def test_names_and_addresses_are_those_of_the_inventory() -> None:
    """Each host of inventory/ is a machine at its address, in the same order, and there is no other."""
    rows = [(row["name"], row["address"]) for row in _ROW.finditer(_VAGRANTFILE.read_text())]
    assert rows == [(host.name, host.address) for host in load(_REPOSITORY / "inventory").hosts]


def test_the_inventory_logs_in_as_the_boxes_user() -> None:
    """Boxes have the user vagrant."""
    assert {host.ssh.user for host in load(_REPOSITORY / "inventory").hosts} == {"vagrant"}


@needs_ruby
def test_ruby_takes_the_file() -> None:
    """`ruby -c` finds no fault in it."""
    subprocess.run(["ruby", "-wc", str(_VAGRANTFILE)], check=True, capture_output=True)


@needs_ruby
def test_the_machines_are_what_the_table_says() -> None:
    """Run with a stand-in for Vagrant: hostname, private network, and a box that fits the host's traits."""
    nodes = _played()["nodes"]
    assert isinstance(nodes, list)
    hosts = load(_REPOSITORY / "inventory").hosts
    assert [(n["define"], n["hostname"], n["network"]) for n in nodes] == [
        (host.name, host.name, ["private_network", host.address]) for host in hosts
    ]
    assert [("ubuntu" in n["box"], "web" in n.get("provision", {})) for n in nodes] == [
        (host.traits["os.distro"] == "ubuntu", host.traits["role"] == "web") for host in hosts
    ]


@needs_ruby
def test_sizes_box_and_key_come_from_the_environment(tmp_path: Path) -> None:
    """Both providers get the same size; the operator's key is read from the file that was named."""
    key = tmp_path / "key.pub"
    key.write_text("ssh-ed25519 AAAA operator\n")
    played = _played(VIGO_VM_MEMORY="2048", VIGO_VM_CPUS="3", VIGO_VM_BOX="some/box", VIGO_VM_KEY=str(key))
    top, nodes = played["top"], played["nodes"]
    assert isinstance(top, dict)
    assert isinstance(nodes, list)
    assert top["providers"] == ["virtualbox", "libvirt"]
    assert all((top[provider]["memory"], top[provider]["cpus"]) == (2048, 3) for provider in top["providers"])
    assert {node["box"] for node in nodes} == {"some/box"}
    assert "key" in top["provision"]
    assert "post_up_message" not in top


@needs_ruby
def test_without_a_key_the_operator_is_told(tmp_path: Path) -> None:
    """No key, no login: said after `vagrant up`, not found out later."""
    top = _played(HOME=str(tmp_path))["top"]
    assert isinstance(top, dict)
    assert "VIGO_VM_KEY" in top["post_up_message"]


@needs_ruby
def test_the_provisioning_scripts_are_shell() -> None:
    """`sh -n` reads each of them, and the here-documents in them end where they should."""
    played = _played()
    top, nodes = played["top"], played["nodes"]
    assert isinstance(top, dict)
    assert isinstance(nodes, list)
    scripts = {**top["provision"], **nodes[0]["provision"]}
    assert set(scripts) >= {"units", "web"}
    for script in scripts.values():
        done = subprocess.run(["sh", "-n"], input=script, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        for word in re.findall(r"<<'(\w+)'", script):
            assert f"\n{word}\n" in script
