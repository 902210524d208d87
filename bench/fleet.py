"""The hosts that everybody runs on: a real sshd, a cheap server, or sshd behind a slow road; and the files that each peer reads."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.sshd import Farm, Server, farm, make_key
from vigo.core.command import TAKEN_LINE, wrap
from vigo.core.model import Limits

FANOUT = 64
COMMAND = "uptime"
_A_BLOCK = 250
"""Addresses in 127.A.B.1 to 127.A.B.250."""
_PROGRAMS = Path(__file__).parent / "programs"


@dataclass(frozen=True, slots=True)
class Place:
    """Where logins go: the same on every loopback address."""

    port: int
    user: str
    key: Path
    host_key: str
    """Algorithm and base64."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """So many hosts at one place, and a folder with the files about them."""

    place: Place
    folder: Path
    addresses: tuple[str, ...]

    @classmethod
    def make(cls, place: Place, folder: Path, count: int) -> Fleet:
        """Write the files for the first `count` addresses."""
        folder.mkdir()
        fleet = cls(place, folder, tuple(address for block in _blocks(count) for address in block))
        port, user, key = place.port, place.user, place.key
        lines = "\n".join(fleet.addresses) + "\n"
        fleet.file("addresses").write_text(lines)
        fleet.file("known_hosts").write_text("".join(f"[{a}]:{port} {place.host_key}\n" for a in fleet.addresses))
        fleet.file("inventory.yaml").write_text(
            f"defaults: {{ssh: {{user: {user}, port: {port}, identity: {key}, known_hosts: {fleet.file('known_hosts')}}}}}\n"
            "hosts:\n" + "".join(f"  host-{n:03}-[001-{len(b):03}]: {{address: {_range(b)}}}\n" for n, b in enumerate(_blocks(count)))
        )  # fmt: skip
        fleet.file("ssh_config").write_text(
            f"Host *\n  User {user}\n  Port {port}\n  IdentityFile {key}\n  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {fleet.file('known_hosts')}\n  StrictHostKeyChecking yes\n  ControlMaster no\n"
        )
        fleet.file("pyinfra_hosts.py").write_text(
            "from pathlib import Path\n"
            f"hosts = (Path({str(fleet.file('addresses'))!r}).read_text().split(), {{'ssh_user': {user!r}, 'ssh_port': {port},"
            f" 'ssh_key': {str(key)!r}, 'ssh_known_hosts_file': {str(fleet.file('known_hosts'))!r},"
            " 'ssh_strict_host_key_checking': 'yes', 'ssh_allow_agent': False, 'ssh_look_for_keys': False})\n"
        )
        fleet._write_settings("plain", COMMAND, "")
        wire = wrap(COMMAND, (), Limits(), "@MARK@".strip("@"))
        fleet._write_settings(
            "wrapped", wire.exec_string.replace("i=MARK ", "i=@MARK@ "), (wire.stdin + TAKEN_LINE).decode()
        )
        return fleet

    def file(self, name: str) -> Path:
        """Return the place of a file of this fleet."""
        return self.folder / name

    def _write_settings(self, name: str, text: str, stdin: str) -> None:
        settings = {
            "user": self.place.user, "port": str(self.place.port), "key": str(self.place.key), "fanout": str(FANOUT),
            "known_hosts": str(self.file("known_hosts")), "addresses": str(self.file("addresses")),
            "text": text, "stdin": stdin,
        }  # fmt: skip
        self.file(f"{name}.json").write_text(json.dumps(settings))


@dataclass(slots=True)
class Ground:
    """All places of one run; they are gone when the `with` block ends."""

    farm: Farm
    sshd: Place
    cheap: Place
    slow: Place
    """sshd, with every byte 50 ms late in each direction."""

    def fleet(self, place: Place, count: int) -> Fleet:
        """Return the first `count` hosts of a place."""
        folder = self.farm.directory / f"fleet-{place.port}-{count}"
        return Fleet.make(place, folder, count) if not folder.exists() else Fleet(place, folder, _first(count))


@contextmanager
def ground(python: str) -> Iterator[Ground]:
    """Start the servers, ours with this Python; root is needed to log in as another user."""
    with farm() as running:
        server = running.serve(("0.0.0.0",), LogLevel="ERROR", AllowUsers="*@127.0.0.0/8")
        sshd = Place(server.port, running.plain_user, running.key, server.host_key)
        key = make_key(running.directory / "cheap_host_key")
        public = " ".join(key.with_suffix(".pub").read_text().split()[:2])
        cheap = [python, str(_PROGRAMS / "server.py"), str(key), str(running.key.with_suffix(".pub"))]
        slow = [python, str(_PROGRAMS / "delay.py"), str(server.port), "50"]
        with _serving(cheap) as cheap_port, _serving(slow) as slow_port:
            yield Ground(
                running,
                sshd,
                Place(cheap_port, running.plain_user, running.key, public),
                Place(slow_port, running.plain_user, running.key, _key_of(server)),
            )


@contextmanager
def _serving(argv: list[str]) -> Iterator[int]:
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.strip().isdigit():
            raise SystemExit(f"{Path(argv[1]).name} did not start; its reason stands above")
        try:
            yield int(line)
        finally:
            process.terminate()


def _key_of(server: Server) -> str:
    return server.host_key


def _first(count: int) -> tuple[str, ...]:
    return tuple(address for block in _blocks(count) for address in block)


def _blocks(count: int) -> list[list[str]]:
    """Cut the first `count` addresses from 127.0.1.1 on into blocks of 250."""
    return [
        [f"127.{1 + n // _A_BLOCK // 250}.{1 + n // _A_BLOCK % 250}.{1 + k % _A_BLOCK}" for k in range(n, min(n + _A_BLOCK, count))]
        for n in range(0, count, _A_BLOCK)
    ]  # fmt: skip


def _range(block: list[str]) -> str:
    return f"'{block[0].rpartition('.')[0]}.[1-{len(block)}]'"


def own_python() -> str:
    """Return the Python that runs this."""
    return sys.executable
