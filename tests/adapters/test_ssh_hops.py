"""Targets behind jump hosts: one connection for each hop, and a hop that fails is named by those behind it."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.badpeer import listening, silence
from tests.sshd import Farm, Server, Sink, free_port, fresh, make_key, marker, order, survivors, until
from vigo.core.model import Ended, Hop, Host, Limits, Outcome, Reason, SshSettings
from vigo.core.plan import Policy

pytestmark = pytest.mark.sshd

SHORT = Policy(connect_timeout_ms=1500)


@pytest.fixture(scope="module")
def bastion(sshd_farm: Farm) -> Server:
    """Return a server that targets are reached through."""
    return sshd_farm.serve(["127.0.31.1"])


@pytest.fixture(scope="module")
def inside(sshd_farm: Farm) -> Server:
    """Return a server behind it."""
    return sshd_farm.serve([f"127.0.31.{number}" for number in range(11, 19)])


def hop(farm: Farm, server: Server, name: str = "bastion.example.com", **settings: object) -> Hop:
    """Describe a server as a jump host."""
    said = {"user": farm.plain_user, "port": server.port, "identity": str(farm.key), **settings}
    return Hop(name, server.addresses[0], SshSettings(**said))  # type: ignore[arg-type]  # names of its fields


def run_all(
    farm: Farm, hosts: Sequence[Host], command: str = "echo hi", policy: Policy | None = None, fanout: int = 100
) -> list[Ended]:
    """Run a command everywhere, close the transport, and see that nothing of it is left."""

    async def scenario() -> list[Ended]:
        transport = farm.transport(policy)
        room = asyncio.Semaphore(fanout)

        async def one(host: Host) -> Ended:
            async with room:
                return await transport.run(order(host, command), Limits(), Sink(), fresh())

        try:
            return await asyncio.gather(*map(one, hosts))
        finally:
            await transport.close()
            assert asyncio.all_tasks() == {asyncio.current_task()}

    return asyncio.run(scenario())


def logins(server: Server) -> int:
    """Count the logins that a server has seen."""
    return server.log.count("Accepted publickey")


def test_many_targets_share_one_connection_to_their_hop(sshd_farm: Farm, bastion: Server, inside: Server) -> None:
    """Twenty targets at once: one login on the hop, one on the target for each, every command once."""
    before, behind = logins(bastion), logins(inside)
    way = (hop(sshd_farm, bastion),)
    count = sshd_farm.directory / sshd_farm.plain_user / "shared"
    hosts = [sshd_farm.host(inside, address=inside.addresses[number % 8], jump=way) for number in range(20)]
    done = run_all(sshd_farm, hosts, f"echo $$ >> {count}; echo $SSH_CONNECTION")
    assert [ended.result.outcome for ended in done] == [Outcome.COMPLETE] * 20, done
    assert {ended.kept[0].split()[0] for ended in done} <= {
        b"127.0.0.1",
        b"127.0.31.1",
        *(a.encode() for a in inside.addresses),
    }
    assert (logins(bastion) - before, logins(inside) - behind) == (1, 20)
    assert len(count.read_text().splitlines()) == 20
