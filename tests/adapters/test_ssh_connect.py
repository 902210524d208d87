"""Servers that stall, flood, cut or refuse on the way to a session: each is named, in time, and costs nobody else."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.badpeer import PacketRelay, Relay, _Talk, flooding, listening, saying, silence
from tests.sshd import Farm, Server, Sink, free_port, fresh, make_key, order
from vigo.core.model import Ended, Host, Limits, Outcome, Reason
from vigo.core.plan import Policy

pytestmark = pytest.mark.sshd

SHORT = Policy(connect_timeout_ms=1500)
FULL = Policy()
LATE_MS = 500
"""How far past the connect deadline a host may be told unreachable."""


@pytest.fixture(scope="module")
def server(sshd_farm: Farm) -> Server:
    """Return one ordinary server for the module."""
    return sshd_farm.serve([f"127.0.32.{number}" for number in range(1, 11)])


async def attempt(farm: Farm, host: Host, command: str = "echo hi", policy: Policy = SHORT) -> Ended:
    """Run a command once."""
    transport = farm.transport(policy)
    try:
        return await transport.run(order(host, command), Limits(), Sink(), fresh())
    finally:
        await transport.close()


def by_way_of(
    farm: Farm, server: Server, talk: _Talk, command: str = "echo hi", policy: Policy = SHORT
) -> tuple[Ended, float]:
    """Run a command on a host whose port is played by `talk`; return how it ended and after how many seconds."""

    async def scenario() -> tuple[Ended, float]:
        async with listening(talk) as port:
            known = farm.directory / "relayed"
            known.write_text(f"[127.0.0.1]:{port} {server.host_key}\n")
            host = farm.host(server, address="127.0.0.1", port=port, known_hosts=str(known))
            began = time.monotonic()
            return await attempt(farm, host, command, policy), time.monotonic() - began

    return asyncio.run(scenario())


def after_login(server: Server) -> Callable[[int], bool]:
    """Return the question whether the server has let another one in since the connection began."""
    before = 0

    def now(number: int) -> bool:
        nonlocal before
        accepted = server.log.count("Accepted publickey")
        before = accepted if number <= 0 else before
        return accepted > before

    return now


def test_a_connection_reset_after_the_login_is_made_once_more(sshd_farm: Farm, server: Server) -> None:
    """B13: nothing had run, so it is connected again, and the command runs once."""
    count = sshd_farm.directory / sshd_farm.plain_user / "b13"
    relay = PacketRelay(server.port, "127.0.32.1", after_login(server), resets=True, times=1)
    ended, _ = by_way_of(sshd_farm, server, relay.talk, f"echo >> {count}")
    assert (ended.result.outcome, relay.connections) == (Outcome.COMPLETE, 2), ended
    assert count.read_text() == "\n"


def test_a_connection_that_is_always_reset_after_the_login_is_given_up(sshd_farm: Farm, server: Server) -> None:
    """Twice is enough."""
    relay = PacketRelay(server.port, "127.0.32.1", after_login(server), resets=True)
    ended, _ = by_way_of(sshd_farm, server, relay.talk)
    assert (ended.result.reason, relay.connections) == (Reason.CHANNEL, 2), ended


def test_a_login_that_breaks_off_is_not_tried_again(sshd_farm: Farm, server: Server) -> None:
    """It may have been refused, and the next one would be counted against us."""
    relay = PacketRelay(server.port, "127.0.32.1", lambda number: number == 2, resets=True)
    ended, _ = by_way_of(sshd_farm, server, relay.talk)
    assert (ended.result.reason, relay.connections) == (Reason.AUTH, 1)


@pytest.mark.faults
@pytest.mark.timeout(600)
@pytest.mark.parametrize("case", ["A3", "A4", "A7", "A8", "A8-keys", "A9"])
def test_a_stall_ends_at_the_deadline_and_is_named_by_its_phase(sshd_farm: Farm, server: Server, case: str) -> None:
    """A3 no banner, A4 a dripping one, A7 key exchange, A8 login, A9 channel: each at 10 s, within half a second."""

    async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in b"SSH-2.0-x\r\n" * 9:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(2)

    def stalled(now: Callable[[int], bool]) -> _Talk:
        return PacketRelay(target.port, target.addresses[0], now).talk

    target = server
    if case == "A8-keys":
        target = sshd_farm.serve(
            AuthorizedKeysFile="none", AuthorizedKeysCommand="/bin/sleep 300", AuthorizedKeysCommandUser="root"
        )
    cases: dict[str, tuple[_Talk, Reason]] = {
        "A3": (silence, Reason.BANNER),
        "A4": (drip, Reason.BANNER),
        "A7": (stalled(lambda _number: True), Reason.KEX),
        "A8": (stalled(lambda number: number == 2), Reason.AUTH),
        "A8-keys": (Relay(target.port, target.addresses[0]).talk, Reason.AUTH),
        "A9": (stalled(after_login(server)), Reason.CHANNEL),
    }
    talk, expected = cases[case]
    worst = 0.0
    for _ in range(5):
        ended, _ = by_way_of(sshd_farm, target, talk, policy=FULL)
        assert ended.result.reason is expected, ended
        worst = max(worst, abs(ended.result.duration_ms - FULL.connect_timeout_ms))
    print(f"{case}: {worst:.0f} ms from the deadline at worst")
    assert worst <= LATE_MS


@pytest.mark.faults
@pytest.mark.timeout(600)
def test_one_refused_host_is_told_at_once_and_delays_nobody(sshd_farm: Farm, server: Server) -> None:
    """A1: one port without a listener beside nine good hosts."""

    async def scenario(*, bad: bool) -> tuple[float, float]:
        transport = sshd_farm.transport(FULL)
        good = [sshd_farm.host(server, address=address) for address in server.addresses[:9]]

        async def run(host: Host) -> Ended:
            return await transport.run(order(host, "true"), Limits(), Sink(), fresh())

        refused = asyncio.create_task(run(sshd_farm.host(server, port=free_port()))) if bad else None
        began = time.monotonic()
        done = await asyncio.gather(*map(run, good))
        took_s = time.monotonic() - began
        assert {ended.result.outcome for ended in done} == {Outcome.COMPLETE}
        if refused is None:
            return took_s, 0
        result = (await refused).result
        assert result.reason is Reason.REFUSED
        return took_s, result.duration_ms

    runs = [(asyncio.run(scenario(bad=False))[0], asyncio.run(scenario(bad=True))) for _ in range(9)]
    alone_s = sorted(alone for alone, _ in runs)[4]
    beside_s = sorted(beside for _, (beside, _) in runs)[4]
    worst_ms = max(told for _, (_, told) in runs)
    print(f"A1: told after {worst_ms} ms at worst; nine good hosts {alone_s:.3f} s alone, {beside_s:.3f} s beside it")
    assert worst_ms <= 500


@pytest.mark.faults
@pytest.mark.timeout(600)
def test_packets_that_vanish_are_a_timeout(sshd_farm: Farm, server: Server) -> None:
    """A2: no answer to the first packet: a listener whose queue is full drops it, as a firewall does."""
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.32.20", 0))
        full.listen(0)
        for sock in (first, second):
            sock.setblocking(False)  # noqa: FBT003 - the socket module's own signature
            sock.connect_ex(full.getsockname())
        host = sshd_farm.host(server, address="127.0.32.20", port=full.getsockname()[1])
        worst = 0
        for _ in range(5):
            result = asyncio.run(attempt(sshd_farm, host, policy=FULL)).result
            assert result.reason is Reason.CONNECT_TIMEOUT, result
            worst = max(worst, abs(result.duration_ms - FULL.connect_timeout_ms))
    print(f"A2: {worst} ms from the deadline at worst")
    assert worst <= LATE_MS


@pytest.mark.faults
@pytest.mark.timeout(600)
def test_garbage_of_any_size_ends_at_once(sshd_farm: Farm, server: Server) -> None:
    """A5: 100 MB of noise, HTTP, SSH 1, TLS: within two seconds each, in a few megabytes."""
    noise = os.urandom(1 << 20)
    cases: dict[str, _Talk] = {
        "noise": flooding(noise, 100),
        "http": saying(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        "ssh1": saying(b"SSH-1.5-old\r\n"),
        "tls": saying(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"),
    }
    before = _peak_kib()
    for name, talk in cases.items():
        worst = 0.0
        for _ in range(5):
            ended, took_s = by_way_of(sshd_farm, server, talk, policy=FULL)
            assert ended.result.reason is Reason.PROTOCOL, ended
            worst = max(worst, took_s)
        print(f"A5 {name}: {worst:.2f} s at worst")
        assert worst <= 2
    grown_mib = (_peak_kib() - before) / 1024
    print(f"A5: peak memory grew by {grown_mib:.1f} MiB")
    assert grown_mib <= 16


@pytest.mark.faults
@pytest.mark.timeout(600)
def test_a_flood_before_the_version_stays_bounded(sshd_farm: Farm, server: Server) -> None:
    """A6: 1,023 lines of 8,191 bytes, from twenty hosts at once: in 10 MB a host, over at the deadline."""
    line = b"x" * 8189 + b"\r\n"

    async def scenario() -> tuple[list[Ended], float]:
        async with listening(flooding(line, 1023)) as port:
            hosts = [sshd_farm.host(server, address=f"127.0.0.{n + 1}", port=port) for n in range(1)]
            hosts *= 20
            began = time.monotonic()
            done = await asyncio.gather(*(attempt(sshd_farm, host, policy=FULL) for host in hosts))
            return list(done), time.monotonic() - began

    before = _peak_kib()
    for _ in range(5):
        done, took_s = asyncio.run(scenario())
        assert {ended.result.reason for ended in done} <= {Reason.BANNER, Reason.PROTOCOL}, done
        assert took_s <= FULL.connect_timeout_ms / 1000 + LATE_MS / 1000
    grown_mib = (_peak_kib() - before) / 1024
    print(f"A6: peak memory grew by {grown_mib:.1f} MiB for 20 hosts")
    assert grown_mib <= 200


@pytest.mark.faults
@pytest.mark.timeout(600)
def test_the_good_key_is_used_whatever_the_agent_does(
    sshd_farm: Farm, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A21: an agent that never answers, one that is gone; the command sees no agent."""
    dead = tmp_path / "dead"
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(dead))
        mute.listen(1)
        worst = 0.0
        for path in (dead, tmp_path / "gone", tmp_path):
            monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
            for _ in range(5):
                host = sshd_farm.host(server)
                began = time.monotonic()
                ended = asyncio.run(attempt(sshd_farm, host, 'echo "[$SSH_AUTH_SOCK]"', policy=FULL))
                worst = max(worst, time.monotonic() - began)
                assert ended.kept == (b"[]\n",), ended
    print(f"A21: {worst:.2f} s at worst")
    assert worst <= 2


@pytest.mark.faults
@pytest.mark.timeout(600)
def test_wrong_keys_are_never_offered_again(sshd_farm: Farm) -> None:
    """A12: five wrong keys for one host, then the right one, on a server that hangs up at once after a refusal."""
    server = sshd_farm.serve(["127.0.32.30"])
    wrong = make_key(sshd_farm.directory / "a12")

    async def scenario() -> tuple[list[Ended], Relay]:
        relay = Relay(server.port, "127.0.32.30")
        async with listening(relay.talk) as port:
            known = sshd_farm.directory / "a12.known"
            known.write_text(f"[127.0.0.1]:{port} {server.host_key}\n")

            def host(key: Path) -> Host:
                return sshd_farm.host(server, address="127.0.0.1", port=port, known_hosts=str(known), identity=str(key))

            done = [await attempt(sshd_farm, host(wrong), policy=FULL) for _ in range(5)]
            return [*done, await attempt(sshd_farm, host(sshd_farm.key), policy=FULL)], relay

    for _ in range(5):
        done, relay = asyncio.run(scenario())
        assert [ended.result.reason for ended in done] == [Reason.AUTH] * 5 + [None]
        assert relay.connections == 6, "one for each host, none again"
    print("A12: 0 further connections after a refused login")


_A20 = """
import asyncio, json, sys, time
from pathlib import Path
from tests.sshd import Sink, fresh, order
from vigo.adapters.ssh import SshTransport
from vigo.core.model import *
from vigo.core.plan import Policy

async def main(user, port, key, known, count):
    transport = SshTransport(policy=Policy(), known_hosts=Path(known), accept_new=False, ssh_config=None)
    ssh = SshSettings(user=user, port=port, identity=key)
    gaps = []

    def now():
        # Without the time in which other programs had the processor.
        return time.monotonic() - int(Path("/proc/self/schedstat").read_text().split()[1]) / 1e9

    async def beat():
        while True:
            began = now()
            await asyncio.sleep(0.02)
            gaps.append(now() - began - 0.02)

    room = asyncio.Semaphore(100)

    async def run(host):
        async with room:
            ended = await transport.run(order(host, "true"), Limits(), Sink(), fresh())
        return ended.result.reason or ended.result.outcome, ended.result.duration_ms, time.monotonic() - began

    names = [Host(f"n{n}", "u", f"dead{n}.example", ssh=ssh) for n in range(count)]
    addresses = [Host(f"a{n}", "u", f"127.0.32.{n + 1}", ssh=ssh) for n in range(9)]
    beating = asyncio.create_task(beat())
    began = time.monotonic()
    waiting = [asyncio.create_task(run(host)) for host in names[:91]]
    done = await asyncio.gather(*map(run, addresses))
    good_s = time.monotonic() - began
    dead = await asyncio.gather(*waiting, *map(run, names[91:]))
    beating.cancel()
    return {"good": [word for word, *_ in done], "good_s": good_s, "dead": sorted({word for word, *_ in dead}),
            "dead_ms": [min(ms for _, ms, _ in dead), max(ms for _, ms, _ in dead)], "gap_ms": max(gaps) * 1000}

began = time.monotonic()
print(json.dumps(asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5])))))
"""


@pytest.mark.faults
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("case", "names"), [("silent", 1), ("silent", 200), ("unknown", 200)])
def test_a_dead_name_server_delays_only_those_who_need_it(
    sshd_farm: Farm, server: Server, tmp_path: Path, case: str, names: int
) -> None:
    """A20: the real resolver, in a mount namespace whose resolv.conf names a server that is silent, or knows nobody."""
    conf = tmp_path / "resolv.conf"
    conf.write_text("nameserver 127.0.32.53\noptions timeout:5 attempts:2\n")
    program = [sys.executable, "-c", _A20, sshd_farm.plain_user, str(server.port), str(sshd_farm.key)]
    program += [str(sshd_farm.known_hosts), str(names)]
    mounted = ["unshare", "-m", "sh", "-c", f'mount --bind {conf} /etc/resolv.conf && exec "$@"', "sh", *program]
    gaps_ms, worst_late_ms = [], 0.0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server_socket:
        server_socket.bind(("127.0.32.53", 53))
        answering = threading.Thread(target=_know_nobody, args=(server_socket, case == "unknown"), daemon=True)
        answering.start()
        for _ in range(5):
            ran = subprocess.run(mounted, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
            told = json.loads(ran.stdout)
            assert told["good"] == ["complete"] * 9
            assert told["dead"] == ["dns"]
            assert told["good_s"] < FULL.connect_timeout_ms / 2000
            gaps_ms.append(told["gap_ms"])
            worst_late_ms = max(worst_late_ms, told["dead_ms"][1] - FULL.connect_timeout_ms)
        server_socket.sendto(b"", server_socket.getsockname())
        answering.join(5)
    told = f"{min(gaps_ms):.0f}-{max(gaps_ms):.0f}"
    print(f"A20 {case}, {names} names: {worst_late_ms:.0f} ms past the deadline, heartbeat gaps of {told} ms")
    assert worst_late_ms <= LATE_MS
    assert max(gaps_ms) <= 200


def _know_nobody(server: socket.socket, answers: bool) -> None:  # noqa: FBT001 - a thread's argument
    while True:
        question, client = server.recvfrom(512)
        if not question:
            return
        if answers:
            server.sendto(question[:2] + b"\x81\x83" + question[4:12] + question[12:], client)


def _peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
