"""Targets behind jump hosts: one connection for each hop, and a hop that fails is named by those behind it."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
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


def test_a_chain_of_hops_is_gone_along_hop_by_hop(sshd_farm: Farm, bastion: Server, inside: Server) -> None:
    """Each opened once, also where other targets go a part of the same way; the login on the target comes from the last."""
    second = sshd_farm.serve(["127.0.31.2"], PermitOpen=f"127.0.31.11:{inside.port}")
    way = (hop(sshd_farm, bastion), hop(sshd_farm, second, "second"))
    before = logins(bastion)
    hosts = [sshd_farm.host(inside, jump=way) for _ in range(4)]
    hosts += [sshd_farm.host(inside, address="127.0.31.12", jump=way[:1]) for _ in range(4)]
    done = run_all(sshd_farm, hosts)
    assert [ended.kept for ended in done] == [(b"hi\n",)] * 8, done
    assert (logins(bastion) - before, logins(second)) == (1, 1)
    assert second.log.count("127.0.31.1 port") or second.log.count("127.0.0.1 port"), "reached from the first hop"


def test_two_hops_of_ssh_config(sshd_farm: Farm, bastion: Server, inside: Server, tmp_path: Path) -> None:
    """ProxyJump a,b with settings of their own in the file."""
    second = sshd_farm.serve(["127.0.31.3"])
    config = tmp_path / "config"
    common = f"User {sshd_farm.plain_user}\n IdentityFile {sshd_farm.key}\n"
    config.write_text(
        f"Host hop-a\n HostName 127.0.31.1\n Port {bastion.port}\n {common}"
        f"Host hop-b\n HostName 127.0.31.3\n Port {second.port}\n {common}"
        "Host web\n ProxyJump hop-a,hop-b\n"
    )

    async def scenario() -> Ended:
        transport = sshd_farm.transport(ssh_config=config)
        try:
            assert transport.first_stop(host) == ("127.0.31.1", bastion.port)
            return await transport.run(order(host, "echo hi"), Limits(), Sink(), fresh())
        finally:
            await transport.close()

    host = sshd_farm.host(inside, name="web")
    assert asyncio.run(scenario()).kept == (b"hi\n",)
    assert logins(second) == 1


def test_a_dead_hop_fails_all_behind_it_at_once_and_names_itself(sshd_farm: Farm, inside: Server) -> None:
    """A port that refuses."""
    dead = Hop("bastion.example.com", "127.0.0.1", SshSettings(user="nobody", port=free_port()))
    done = run_all(sshd_farm, [sshd_farm.host(inside, jump=(dead,)) for _ in range(10)], policy=SHORT)
    assert {ended.result.reason for ended in done} == {Reason.HOP}
    assert {ended.result.detail.split(": 127")[0] for ended in done} == {"hop bastion.example.com: refused"}


def test_a_silent_hop_is_waited_for_twice_at_most(sshd_farm: Farm, inside: Server) -> None:
    """Forty targets, ten at a time: two connect deadlines, not four, and two connections."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(reader)
        await silence(reader, writer)

    async def scenario() -> list[Ended]:
        transport = sshd_farm.transport(SHORT)
        room = asyncio.Semaphore(10)
        async with listening(talk) as port:
            mute = Hop("bastion.example.com", "127.0.0.1", SshSettings(user="nobody", port=port))

            async def one() -> Ended:
                async with room:
                    host = sshd_farm.host(inside, jump=(mute,))
                    return await transport.run(order(host, "echo hi"), Limits(), Sink(), fresh())

            done = await asyncio.gather(*(one() for _ in range(40)))
            await transport.close()
            return done

    connections: list[asyncio.StreamReader] = []
    began = time.monotonic()
    done = asyncio.run(scenario())
    deadlines = (time.monotonic() - began) / SHORT.connect_timeout_ms * 1000
    assert len(connections) == 2
    assert deadlines < 3
    assert {(ended.result.reason, ended.result.detail.split("; is")[0]) for ended in done} == {
        (
            Reason.HOP,
            "hop bastion.example.com: banner: no connection within 1.5 s: the port accepts connections but sends no SSH banner",
        )
    }


def test_a_hop_that_refuses_the_login_is_not_tried_again(sshd_farm: Farm, inside: Server) -> None:
    """A key that is wrong is wrong for all behind it; each further try would count against us."""
    closed = sshd_farm.serve(["127.0.31.4"])
    way = (hop(sshd_farm, closed, identity=str(make_key(sshd_farm.directory / "not-for-hops"))),)
    hosts = [sshd_farm.host(inside, jump=way) for _ in range(12)]
    done = run_all(sshd_farm, hosts, fanout=3)
    assert {ended.result.reason for ended in done} == {Reason.HOP}
    assert all(ended.result.detail.startswith("hop bastion.example.com: auth: ") for ended in done)
    assert closed.log.count("Connection from") == 1 + 1, "the test's own look at the port, and one login"


def test_host_keys_of_hop_and_target_are_checked_apart(
    sshd_farm: Farm, bastion: Server, inside: Server, tmp_path: Path
) -> None:
    """A hop that nobody knows is the hop's failure; a target whose key has changed is the target's, through a good hop."""
    empty, forged = tmp_path / "empty", tmp_path / "forged"
    empty.write_text("")
    forged.write_text(f"[127.0.31.11]:{inside.port} {bastion.host_key}\n")
    before = logins(inside)
    stranger = (hop(sshd_farm, bastion, known_hosts=str(empty)),)
    good = (hop(sshd_farm, bastion),)
    hosts = [
        sshd_farm.host(inside, jump=stranger),
        sshd_farm.host(inside, jump=good, known_hosts=str(forged)),
        sshd_farm.host(inside, jump=good),
    ]
    unknown, changed, fine = (ended.result for ended in run_all(sshd_farm, hosts))
    assert (unknown.reason, changed.reason, fine.outcome) == (Reason.HOP, Reason.HOST_KEY_CHANGED, Outcome.COMPLETE)
    assert unknown.detail.startswith("hop bastion.example.com: host_key_unknown: ")
    assert logins(inside) - before == 1, "nobody logs in where the key is wrong"


def test_a_hop_that_forwards_as_much_as_it_should_is_logged_in_to_once_more(
    sshd_farm: Farm, bastion: Server, inside: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A descriptor of sshd is needed for each connection; connections that have ended make room."""
    monkeypatch.setattr("vigo.adapters.ssh_hops._USERS_MAX", 3)
    before = logins(bastion)
    way = (hop(sshd_farm, bastion),)
    hosts = [sshd_farm.host(inside, jump=way) for _ in range(7)]
    assert [ended.kept for ended in run_all(sshd_farm, hosts)] == [(b"hi\n",)] * 7
    assert logins(bastion) - before == 3, "seven at once, three for each login"
    before = logins(bastion)
    assert [ended.kept for ended in run_all(sshd_farm, hosts, fanout=3)] == [(b"hi\n",)] * 7
    assert logins(bastion) - before == 1, "never more than three at once"


def test_what_a_hop_cannot_reach_is_the_targets_failure_and_what_it_forbids_is_its_own(
    sshd_farm: Farm, bastion: Server, inside: Server
) -> None:
    """As seen from there."""
    strict = sshd_farm.serve(["127.0.31.5"], AllowTcpForwarding="no")
    way = (hop(sshd_farm, bastion),)
    hosts = [
        sshd_farm.host(inside, jump=way, port=free_port("127.0.31.11")),
        sshd_farm.host(inside, jump=way, address="no-such-name.invalid"),
        sshd_farm.host(inside, jump=(hop(sshd_farm, strict),)),
        sshd_farm.host(inside, jump=way),
    ]
    refused, unnamed, forbidden, fine = (ended.result for ended in run_all(sshd_farm, hosts))
    assert (refused.reason, unnamed.reason, forbidden.reason) == (Reason.REFUSED, Reason.DNS, Reason.HOP)
    assert "seen from hop bastion.example.com" in refused.detail
    assert "AllowTcpForwarding" in forbidden.detail
    assert fine.outcome is Outcome.COMPLETE


def test_a_hop_that_dies_takes_what_runs_behind_it_and_nothing_else(
    sshd_farm: Farm, bastion: Server, inside: Server
) -> None:
    """A19: commands behind it are lost, those elsewhere go on, and who comes later goes through a new connection."""
    lost_s, _ = _hop_dies(sshd_farm, bastion, inside, timeout_ms=60_000)
    assert lost_s < 5


@pytest.mark.faults
@pytest.mark.timeout(600)
def test_a19_a_hop_that_dies_five_times(sshd_farm: Farm, bastion: Server, inside: Server) -> None:
    """A19: lost within five seconds, and what is left behind ends by its deadline and grace."""
    runs = [_hop_dies(sshd_farm, bastion, inside, timeout_ms=5_000) for _ in range(5)]
    print(
        f"A19: lost {max(lost for lost, _ in runs):.2f} s after the hop died; gone after {max(g for _, g in runs):.1f} s"
    )
    assert max(lost for lost, _ in runs) <= 5


def test_a_hop_that_dies_again_and_again_is_opened_again_as_long_as_it_forwards(
    sshd_farm: Farm, bastion: Server, inside: Server
) -> None:
    """What counts is how often it failed since it last did its work."""
    before = set(bastion.children())

    async def scenario() -> list[Ended]:
        transport = sshd_farm.transport()
        way, done = (hop(sshd_farm, bastion),), []
        for _ in range(4):
            host = sshd_farm.host(inside, jump=way)
            done.append(await transport.run(order(host, "echo hi"), Limits(), Sink(), fresh()))
            await until(lambda: not _kill(set(bastion.children()) - before), what="the hop is dead")
        await transport.close()
        return done

    assert [ended.kept for ended in asyncio.run(scenario())] == [(b"hi\n",)] * 4


def _hop_dies(farm: Farm, bastion: Server, inside: Server, *, timeout_ms: int) -> tuple[float, float]:
    """Kill the hop's process under two of three commands; return when they were lost, and when a short deadline ended them."""
    behind, beside = [marker(), marker()], marker()
    before = set(bastion.children())

    async def scenario() -> tuple[float, list[Ended]]:
        transport = farm.transport()
        way = (hop(farm, bastion),)

        def start(host: Host, text: str) -> asyncio.Task[Ended]:
            limits = Limits(timeout_ms=timeout_ms, grace_ms=500)
            return asyncio.create_task(transport.run(order(host, text), limits, Sink(), fresh()))

        try:
            doomed = [start(farm.host(inside, jump=way), f"sh -c 'sleep 60; :' {mark}") for mark in behind]
            other = start(farm.host(inside), f"sh -c 'sleep 1; echo fine' {beside}")
            await until(lambda: all(map(survivors, (*behind, beside))), what="the commands run")
            began = time.monotonic()
            await until(lambda: not _kill(set(bastion.children()) - before), what="the hop is dead")
            lost = await asyncio.gather(*doomed)
            lost_s = time.monotonic() - began
            return lost_s, [*lost, await other, await start(farm.host(inside, jump=way), "echo later")]
        finally:
            await transport.close()

    began = time.monotonic()
    lost_s, (*lost, fine, later) = asyncio.run(scenario())
    assert [ended.result.outcome for ended in lost] == [Outcome.LOST] * 2, lost
    assert (fine.kept, later.kept) == ((b"fine\n",), (b"later\n",)), (fine, later)
    if timeout_ms > 10_000:
        for pid in itertools.chain.from_iterable(map(survivors, behind)):
            os.kill(pid, signal.SIGKILL)
    gone = until(lambda: not any(map(survivors, behind)), within_s=15, what="the deadline ends them on the host")
    asyncio.run(gone)
    return lost_s, time.monotonic() - began


def _kill(monitors: Collection[int]) -> int:
    """Kill processes of sshd and their children, without whom the connection would stay up; return how many there were."""
    for monitor in monitors:
        with suppress(FileNotFoundError, ProcessLookupError):
            children = Path(f"/proc/{monitor}/task/{monitor}/children").read_text().split()
            for pid in (*map(int, children), monitor):
                os.kill(pid, signal.SIGKILL)
    return len(monitors)
