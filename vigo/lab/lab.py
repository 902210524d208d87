"""The running lab: every host opened, its whereabouts written down, and the orders it takes while it runs."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import cast

import asyncssh

from vigo.core.errors import VigoError
from vigo.lab.account import lab_account
from vigo.lab.command import Children, Place
from vigo.lab.faults import parse_fault
from vigo.lab.fleet import Access, Member, Trait, inventory_text
from vigo.lab.health import Health
from vigo.lab.hosts import LOOPBACK, LabHost, Login
from vigo.lab.places import environment, homes_of
from vigo.lab.processes import MARK_VARIABLE, descendants, end_all
from vigo.lab.state import FLEET, MARK, SOCKET, Json, read_json

_REQUEST_BYTES_MAX = 65_536


class Lab:
    """The running lab: its hosts, its health, and what it can be told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.account = lab_account()
        facts = read_json(folder / MARK)
        self._ground = Path(str(facts["ground"]))
        self._mark = (MARK_VARIABLE, str(facts["token"]))
        self.members = _members(folder)
        self.health = Health()
        self.children = Children()
        self.hosts: dict[str, LabHost] = {}
        self.ending = asyncio.Event()

    async def open(self) -> None:
        """Open every host and the health endpoint, and write down how to reach them."""
        identity = asyncssh.generate_private_key("ssh-ed25519", comment="vigo lab")
        key_file = self.folder / "client_key"
        identity.write_private_key(key_file)
        login = Login(self.account.name, identity.public_data)
        names = [member.name for member in self.members]
        for name, home in zip(names, homes_of(self._ground, names), strict=True):
            place = Place(str(home), environment(home, name, self.account, self._mark))
            host = LabHost(name, place, login, self.children)
            self.hosts[name] = host
            await host.set_fault(None)
        await self.health.open(LOOPBACK)
        known_hosts = self.folder / "known_hosts"
        known_hosts.write_text("".join(_known_host(host) for host in self.hosts.values()), encoding="ascii")
        access = Access(self.account.name, str(key_file), str(known_hosts), LOOPBACK)
        ports = [host.port for host in self.hosts.values()]
        (self.folder / "inventory" / "hosts.yaml").write_text(
            inventory_text(self.members, ports, access), encoding="utf-8"
        )

    async def listen(self) -> None:
        """Take orders on the folder's socket, which only its owner can open."""
        os.chdir(self.folder)  # a socket's path is at most 107 bytes long; a relative one always fits
        await asyncio.start_unix_server(self._order, SOCKET, limit=_REQUEST_BYTES_MAX)
        os.chdir("/")

    def describe(self) -> dict[str, object]:
        """Return what `running.json` holds."""
        return {
            "pid": os.getpid(),
            "runs_as": self.account.name,
            "health_url": f"http://{LOOPBACK}:{self.health.port}/health",
            "hosts": [[host.name, host.port] for host in self.hosts.values()],
        }

    async def _order(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read one order, obey it, answer with one line of JSON."""
        try:
            order = json.loads(await reader.readline())
            try:
                answer = await self._obey(order)
            except VigoError as error:
                answer = {"error": str(error)}
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        except (ValueError, OSError):
            pass  # whoever asked is gone, or is not vigo
        finally:
            writer.close()

    async def _obey(self, order: dict[str, Json]) -> Json:
        match order:
            case {"do": "faults"}:
                faults: dict[str, Json] = {host.name: str(host.fault) for host in self.hosts.values() if host.fault}
                return {"up": self.health.up, "faults": faults}
            case {"do": "health", "up": bool(up)}:
                self.health.up = up
                return {}
            case {"do": "fault", "host": str(name), "fault": str(fault)} if name in self.hosts:
                await self.hosts[name].set_fault(parse_fault(fault) if fault else None)
                return {}
            case {"do": "down"}:
                for host in self.hosts.values():
                    host.close()
                left = end_all(lambda: descendants(os.getpid()))
                self.ending.set()
                return {"left": [*left]}
            case _:
                return {"error": "the lab does not know that order"}


def _members(folder: Path) -> list[Member]:
    """Read who is to be in the lab, as `vigo lab up` wrote it."""
    rows = cast("list[tuple[str, list[str], dict[str, Trait]]]", read_json(folder / FLEET)["members"])
    return [Member(name, tuple(groups), traits) for name, groups, traits in rows]


def _known_host(host: LabHost) -> str:
    return f"[{LOOPBACK}]:{host.port} {host.key.export_public_key().decode('ascii').strip()}\n"
