"""The fault catalogue's part B on what commands print, on slow ways, and on accounts that greet strangely."""

from __future__ import annotations

import asyncio
import hashlib
import random
import shlex
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import asyncssh
import psutil
import pytest

from tests.badpeer import Relay, listening
from tests.sshd import Farm, Server, Sink, fresh, order
from vigo.adapters.ssh import SshTransport
from vigo.core.model import Ended, Host, Limits, Outcome, Reason, Stream
from vigo.core.plan import Policy

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]
MIB = 1024 * 1024
Result = TypeVar("Result")


class Nothing(Sink):
    """Forgets live output: what grows in these tests is to be vigo's memory alone."""

    def write(self, host: str, stream: Stream, data: bytes) -> None:
        """Take the next bytes."""


@pytest.fixture(scope="module")
def server(sshd_farm: Farm) -> Server:
    """One plain server."""
    return sshd_farm.serve()


async def beside(work: Awaitable[Result]) -> tuple[Result, float, float]:
    """Do the work; return its result, the longest gap between two turns of the loop (s) and the growth of RSS (MiB)."""
    process = psutil.Process()
    before = process.memory_info().rss
    worst_gap, most = 0.0, before

    async def beat() -> None:
        nonlocal worst_gap, most
        last = time.monotonic()
        while True:
            await asyncio.sleep(0.02)
            now = time.monotonic()
            worst_gap, last = max(worst_gap, now - last - 0.02), now
            most = max(most, process.memory_info().rss)

    beating = asyncio.create_task(beat())
    try:
        return await work, worst_gap, (most - before) / MIB
    finally:
        beating.cancel()


async def at_once(transport: SshTransport, hosts: Sequence[Host], command: str, limits: Limits) -> list[Ended]:
    """Run one command on all of the hosts."""
    return list(await asyncio.gather(*(transport.run(order(h, command), limits, Nothing(), fresh()) for h in hosts)))


def run(farm: Farm, host: Host, command: str, limits: Limits | None = None, policy: Policy | None = None) -> Ended:
    """Run one command."""
    running = farm.transport(policy).run(order(host, command), limits or Limits(), Nothing(), fresh())
    return asyncio.run(running)


# --- what commands print


@pytest.mark.parametrize("command", ["yes", "cat /dev/zero"])
def test_b17_output_without_end_is_cut_and_ends_at_the_deadline(sshd_farm: Farm, server: Server, command: str) -> None:
    """Ten hosts for five seconds: memory stays below 100 MB and ten bounds, and the loop goes on turning."""
    hosts, policy = [sshd_farm.host(server) for _ in range(10)], Policy()
    begin = time.monotonic()
    running = at_once(sshd_farm.transport(policy), hosts, command, Limits(timeout_ms=5_000, grace_ms=1_000))
    ended, gap_s, grown_mib = asyncio.run(beside(running))
    took_s = time.monotonic() - begin
    printed = sum(one.result.stdout.total_bytes for one in ended) // MIB
    print(f"B17 {command}: {printed} MiB in {took_s:.1f} s, RSS + {grown_mib:.0f} MiB, gap {gap_s * 1000:.0f} ms")
    assert {one.result.outcome for one in ended} == {Outcome.TIMEOUT}
    assert all(one.result.stdout.is_cut and len(one.kept[0]) <= policy.kept_bytes for one in ended)
    assert grown_mib <= 100 + 10 * policy.kept_bytes / MIB


def test_b18_a_line_of_a_gibibyte_is_counted_and_digested(sshd_farm: Farm, server: Server) -> None:
    """Without one newline: every byte counts, few are kept, and memory stays bounded."""
    size, policy = 1024 * MIB, Policy()
    expected = hashlib.sha256()
    for _ in range(1024):
        expected.update(b"a" * MIB)
    host, limits = sshd_farm.host(server), Limits(timeout_ms=400_000)
    ended, _, grown_mib = asyncio.run(
        beside(at_once(sshd_farm.transport(policy), [host], f"head -c {size} /dev/zero | tr '\\0' a", limits))
    )
    stdout = ended[0].result.stdout
    print(f"B18: {ended[0].result.duration_ms / 1000:.0f} s, RSS + {grown_mib:.0f} MiB")
    assert (ended[0].result.outcome, stdout.total_bytes) == (Outcome.COMPLETE, size)
    assert stdout.sha256 == expected.hexdigest()
    assert stdout.is_cut
    assert grown_mib <= 100 + policy.kept_bytes / MIB


def test_b19_what_one_stream_says_after_the_other_has_closed_is_kept(sshd_farm: Farm, server: Server) -> None:
    """Interleaved, and stderr after the end of stdout: nothing is lost, twenty times over."""
    host = sshd_farm.host(server)
    for _ in range(20):
        late = run(sshd_farm, host, "echo out; exec >&-; sleep 0.1; seq 20000 >&2")
        assert late.kept == (b"out\n", "".join(f"{n}\n" for n in range(1, 20_001)).encode())
        mixed = run(sshd_farm, host, "for i in $(seq 2000); do echo $i; echo $i >&2; done")
        lines = "".join(f"{n}\n" for n in range(1, 2_001)).encode()
        assert mixed.kept == (lines, lines)
    print("B19: 0 of 3,200,000 bytes lost")


def test_b22_every_byte_a_thousand_times(sshd_farm: Farm, server: Server) -> None:
    """All 256 values, written one at a time or in one piece, and characters cut anywhere: what arrives is what was sent."""
    sent = bytes(range(256)) * 1_000
    whole = "import sys; sys.stdout.buffer.write(bytes(range(256)) * 1000)"
    single = "import os\nfor i in range(25600): os.write(1, bytes([i % 256]))"
    cut = "import os\nfor b in '\\u6f22\\U0001f389'.encode() * 2000: os.write(1, bytes([b]))"
    cases = {whole: sent, single: sent[:25_600], cut: "漢🎉".encode() * 2_000}
    for program, expected in cases.items():
        ended = run(sshd_farm, sshd_farm.host(server), f"python3 -c {shlex.quote(program)}")
        stdout = ended.result.stdout
        assert (stdout.total_bytes, stdout.sha256) == (len(expected), hashlib.sha256(expected).hexdigest())
        assert stdout.is_cut or ended.kept == (expected,)
    print(f"B22: {sum(map(len, cases.values())):,} bytes, 0 differ")


def test_b23_new_keys_in_the_middle_of_output_lose_nothing(sshd_farm: Farm) -> None:
    """`RekeyLimit 1M` and 50 MB: the server asks for new keys about fifty times."""
    server = sshd_farm.serve(RekeyLimit="1M", LogLevel="DEBUG1")
    ended = run(sshd_farm, sshd_farm.host(server), "seq 6600000", Limits(timeout_ms=300_000))
    everything = hashlib.sha256()
    for start in range(1, 6_600_001, 100_000):
        everything.update("".join(f"{n}\n" for n in range(start, start + 100_000)).encode())
    times = server.log.count("SSH2_MSG_NEWKEYS received")
    print(f"B23: {ended.result.stdout.total_bytes:,} bytes, keys exchanged {times} times")
    assert ended.result.outcome is Outcome.COMPLETE, ended
    assert ended.result.stdout.sha256 == everything.hexdigest()
    assert times > 20


async def without_a_status(process: asyncssh.SSHServerProcess[bytes]) -> None:
    """Carry a command out as a server does, and close its channel without a word on how it ended."""
    pipe = asyncio.subprocess.PIPE
    assert process.command is not None
    child = await asyncio.create_subprocess_shell(process.command, stdin=pipe, stdout=pipe, stderr=pipe)
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stderr is not None
    feeding = asyncio.create_task(_pass_on(process.stdin, child.stdin))
    await asyncio.gather(_pass_on(child.stdout, process.stdout), _pass_on(child.stderr, process.stderr))
    await child.wait()
    feeding.cancel()
    process.close()


async def _pass_on(reader: Any, writer: Any) -> None:
    while data := await reader.read(65_536):
        writer.write(data)


def test_b16_a_session_that_ends_without_a_status_is_lost(sshd_farm: Farm, server: Server, tmp_path: Path) -> None:
    """The command ran and nobody says how it ended: `lost`, never `complete`, and it ran once; twenty times."""
    count, alias = tmp_path / "runs", f"[127.0.0.1]:{server.port}"

    async def scenario() -> list[Ended]:
        serving = await asyncssh.listen(
            "127.0.0.1", 0, server_host_keys=[str(server.directory / "host_key")],
            authorized_client_keys=f"{sshd_farm.key}.pub", process_factory=without_a_status, encoding=None,
        )  # fmt: skip
        async with serving:
            host = sshd_farm.host(server, port=serving.get_port(), host_key_alias=alias)
            limits = Limits(timeout_ms=20_000)
            told = [await at_once(sshd_farm.transport(), [host], f"echo >> {count}", limits) for _ in range(20)]
        return [ended for [ended] in told]

    ended = asyncio.run(scenario())
    print(f"B16 no status: {Counter(str(one.result.outcome) for one in ended)}, ran {_lines(count)} times")
    assert {one.result.outcome for one in ended} == {Outcome.LOST}, ended[0]
    assert _lines(count) == 20


# --- slow ways


class SlowRelay(Relay):
    """Passes bytes on late, in pieces, or at a rate."""

    def __init__(self, port: int, delay_s: Callable[[int], float], piece_bytes: int = 65_536) -> None:
        super().__init__(port)
        self._delay_s = delay_s
        self._piece_bytes = piece_bytes

    async def _pump(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert number <= self.connections
        while data := await reader.read(self._piece_bytes):
            await asyncio.sleep(self._delay_s(len(data)))
            writer.write(data)
            await writer.drain()
        writer.write_eof()


def test_b24_a_way_that_delays_and_loses_only_takes_longer(sshd_farm: Farm, server: Server) -> None:
    """Twenty hosts, 200 ± 50 ms a round trip, and one piece in twenty as late as a retransmission, two round trips."""
    drawn = random.Random(0)
    relay = SlowRelay(server.port, lambda _: drawn.uniform(0.075, 0.125) + 0.4 * (drawn.random() < 0.05))

    async def both() -> tuple[list[Ended], list[Ended], float, float]:
        transport = sshd_farm.transport(Policy(connect_timeout_ms=60_000))
        async with listening(relay.talk) as port:
            begin = time.monotonic()
            clean = await at_once(transport, [sshd_farm.host(server) for _ in range(20)], "seq 1000", Limits())
            middle = time.monotonic()
            slow_hosts = [sshd_farm.host(server, port=port, host_key_alias=alias) for _ in range(20)]
            slow = await at_once(transport, slow_hosts, "seq 1000", Limits())
            return clean, slow, middle - begin, time.monotonic() - middle

    alias = f"[127.0.0.1]:{server.port}"
    clean, slow, clean_s, slow_s = asyncio.run(both())
    print(f"B24: 20 of 20 complete in {slow_s:.1f} s, {clean_s:.1f} s without the relay")
    assert {one.result.outcome for one in clean + slow} == {Outcome.COMPLETE}, slow


def test_b25_a_slow_link_holds_nobody_else_up(sshd_farm: Farm, server: Server) -> None:
    """64 kbit/s and 128 KiB of output beside five hosts that run one command after the other."""
    relay = SlowRelay(server.port, lambda size: size / 8_000, piece_bytes=1_000)
    alias = f"[127.0.0.1]:{server.port}"

    async def scenario() -> tuple[Ended, int, float, float]:
        transport = sshd_farm.transport(Policy(connect_timeout_ms=60_000))
        async with listening(relay.talk) as port:
            behind = sshd_farm.host(server, port=port, host_key_alias=alias)
            text = "head -c 131072 /dev/zero | tr '\\0' a"
            slow = asyncio.create_task(transport.run(order(behind, text), Limits(), Nothing(), fresh()))

            async def others() -> tuple[int, float]:
                rounds, worst_s = 0, 0.0
                while not slow.done():
                    begin = time.monotonic()
                    ended = await at_once(transport, [sshd_farm.host(server) for _ in range(5)], "true", Limits())
                    assert {one.result.outcome for one in ended} == {Outcome.COMPLETE}
                    rounds, worst_s = rounds + 1, max(worst_s, time.monotonic() - begin)
                return rounds, worst_s

            (rounds, worst_s), gap_s, _ = await beside(others())
            return await slow, rounds, worst_s, gap_s

    ended, rounds, worst_s, gap_s = asyncio.run(scenario())
    print(
        f"B25: {ended.result.duration_ms / 1000:.0f} s; beside it {rounds} rounds of five hosts,"
        f" {worst_s:.1f} s at worst, gap {gap_s * 1000:.0f} ms"
    )
    assert (ended.result.outcome, ended.result.stdout.total_bytes) == (Outcome.COMPLETE, 131_072)
    assert rounds >= 3


# --- accounts


@pytest.mark.parametrize(
    ("start", "outcome"),
    [
        ("head -c 10000000 /dev/zero | tr '\\0' x", Outcome.COMPLETE),
        ("echo welcome; echo warning >&2", Outcome.COMPLETE),
        ("exit 7", Outcome.UNREACHABLE),
        ("exec zsh", Outcome.TIMEOUT),
    ],
    ids=["ten megabytes", "both streams", "exit 7", "exec zsh"],
)
def test_b27_whatever_a_login_says_it_ends(sshd_farm: Farm, server: Server, start: str, outcome: Outcome) -> None:
    """A noisy start-up file costs nothing; one that exits is a host that cannot be reached; one that waits ends in time."""
    user = sshd_farm.user("/bin/bash")
    home, count = sshd_farm.directory / user, sshd_farm.directory / user / "runs"
    (home / ".bashrc").write_text(start + "\n")
    ended = run(
        sshd_farm, sshd_farm.host(server, user=user), f"echo run >> {count}; echo mine", Limits(timeout_ms=15_000)
    )
    runs = _lines(count)
    print(
        f"B27 {start[:30]}: {ended.result.outcome} {ended.result.reason} {ended.result.duration_ms} ms, ran {runs} times"
    )
    assert ended.result.outcome is outcome, ended
    assert runs == (outcome is Outcome.COMPLETE)
    if outcome is Outcome.COMPLETE:
        assert ended.kept[0].endswith(b"mine\n")
    assert (ended.result.reason is Reason.NO_SHELL) == (outcome is Outcome.UNREACHABLE)


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


# --- again and again


def test_c9_thousands_of_short_runs_leave_nothing_open(sshd_farm: Farm, server: Server) -> None:
    """Five thousand connections or two minutes of them, eight at a time: 0 failures, and as many descriptors as before."""
    host, process = sshd_farm.host(server), psutil.Process()

    async def scenario() -> tuple[int, int]:
        transport, done, fds = sshd_farm.transport(), 0, 0
        end = time.monotonic() + 120
        while done < 5_000 and time.monotonic() < end:
            ended = await at_once(transport, [host] * 8, "true", Limits())
            assert {one.result.outcome for one in ended} == {Outcome.COMPLETE}, ended
            done += len(ended)
            fds = fds or process.num_fds()
        await asyncio.sleep(0)
        return done, process.num_fds() - fds

    done, leaked = asyncio.run(scenario())
    print(f"C9: {done} runs, 0 failures, {leaked} more descriptors than after the first eight")
    assert leaked <= 8
