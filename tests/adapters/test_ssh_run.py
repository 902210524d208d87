"""Commands on real sshd: what comes back is exactly what happened there."""

from __future__ import annotations

import asyncio
import hashlib
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.sshd import Farm, Server, Sink, fresh, marker, order, survivors, until
from vigo.core.guard import Text, clear
from vigo.core.guard.order import Order
from vigo.core.model import Ended, Host, Limits, Outcome, Reason, Stream
from vigo.core.plan import Policy

pytestmark = pytest.mark.sshd


@pytest.fixture(scope="module")
def server(sshd_farm: Farm) -> Server:
    """Return one ordinary server for the module."""
    return sshd_farm.serve()


def run(farm: Farm, host: Host, command: str, limits: Limits | None = None, policy: Policy | None = None) -> Ended:
    """Run one command and check that the transport leaves no task behind."""

    async def scenario() -> Ended:
        ended = await farm.transport(policy).run(order(host, command), limits or Limits(), Sink(), fresh())
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return ended

    return asyncio.run(scenario())


def test_output_exit_code_and_duration_come_back(sshd_farm: Farm, server: Server) -> None:
    """Both streams, apart, exactly as written, and told live to the sink as well."""
    host, sink = sshd_farm.host(server), Sink()
    ended = asyncio.run(sshd_farm.transport().run(order(host, "printf out; printf err >&2"), Limits(), sink, fresh()))
    assert (ended.result.outcome, ended.result.exit_code) == (Outcome.COMPLETE, 0)
    assert ended.kept == (b"out", b"err")
    assert sink.written == {(host.name, Stream.STDOUT): b"out", (host.name, Stream.STDERR): b"err"}
    assert 0 < ended.result.duration_ms < 20_000


@pytest.mark.parametrize("code", [0, 1, 2, 126, 127, 128, 137, 255])
def test_exit_codes_are_exact(sshd_farm: Farm, server: Server, code: int) -> None:
    """255 is a command's failure and not a connection's; 137 is a number and not a signal."""
    result = run(sshd_farm, sshd_farm.host(server), f"exit {code}").result
    assert (result.outcome, result.exit_code, result.signal) == (
        Outcome.FAILED if code else Outcome.COMPLETE,
        code,
        None,
    )


@pytest.mark.parametrize("name", ["SEGV", "KILL", "TERM", "HUP"])
def test_a_signal_that_ends_the_command_is_named(sshd_farm: Farm, server: Server, name: str) -> None:
    """The command is the session's own process, so sshd tells its signal."""
    result = run(sshd_farm, sshd_farm.host(server), f"kill -{name} $$").result
    assert (result.outcome, result.exit_code, result.signal) == (Outcome.FAILED, None, name)


def test_binary_output_survives_in_single_bytes(sshd_farm: Farm, server: Server) -> None:
    """All 256 bytes, each written by itself, on both streams."""
    program = "import os\nfor i in range(256):\n for fd in 1, 2: os.write(fd, bytes([i]))"
    ended = run(sshd_farm, sshd_farm.host(server), f"python3 -c {shlex.quote(program)}")
    assert ended.kept == (bytes(range(256)), bytes(range(256)))


def test_output_beyond_the_bound_is_counted_digested_and_cut_in_the_middle(sshd_farm: Farm, server: Server) -> None:
    """Head and tail are kept; count and digest are of everything."""
    everything = b"".join(b"%d\n" % number for number in range(1, 200_001))
    ended = run(sshd_farm, sshd_farm.host(server), "seq 200000", policy=Policy(kept_bytes=1000))
    stdout = ended.result.stdout
    assert (stdout.total_bytes, stdout.sha256) == (len(everything), hashlib.sha256(everything).hexdigest())
    assert ended.kept == (everything[:500] + everything[-500:],)
    assert (stdout.kept_bytes, stdout.head_bytes, stdout.is_cut) == (1000, 500, True)


def test_stdin_is_empty(sshd_farm: Farm, server: Server) -> None:
    """Greedy readers return at once, and the life line is not among the command's descriptors."""
    ended = run(sshd_farm, sshd_farm.host(server), "cat; read x; echo read=$?; wc -c; ls /proc/self/fd | wc -l")
    assert ended.kept[0].split() == [b"read=1", b"0", b"4"], "0, 1, 2 and the listing's own"


def test_niceness_is_what_was_asked_for(sshd_farm: Farm, server: Server) -> None:
    """The command reads its own niceness; nothing is said when nothing went wrong."""
    ended = run(sshd_farm, sshd_farm.host(server), "cut -d' ' -f19 /proc/self/stat; ionice -p $$", Limits(nice=15))
    assert ended.kept == (b"15\nidle\n",)


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash", "/usr/bin/zsh", "/usr/bin/fish", "/usr/bin/tcsh"])
def test_every_login_shell_passes_every_byte(sshd_farm: Farm, server: Server, shell: str) -> None:
    """Any text from U+0001 to U+00FF, in quotes, reaches /bin/sh unchanged whatever the login shell does to quotes."""
    text = "".join(map(chr, range(1, 256)))
    host = sshd_farm.host(server, user=sshd_farm.user(shell))
    ended = run(sshd_farm, host, f"printf %s {shlex.quote(text)}; echo ' $0' \"$0\"")
    assert ended.result.outcome is Outcome.COMPLETE, ended
    assert ended.kept == (text.encode() + b" $0 sh\n",)


def test_secrets_arrive_in_the_environment_and_never_in_arguments(sshd_farm: Farm, server: Server) -> None:
    """Values with quotes, backslashes, percent signs and newlines; looked for in the process list while they are used."""
    word = marker()
    values = (("VIGO_PARAM_A", 'it\'s %0041 \\ "$x"\n!\n'), ("VIGO_PARAM_B", f"{word}-héé"))
    command = 'printf "%s|%s" "$VIGO_PARAM_A" "$VIGO_PARAM_B" | od -An -v -tx1; sleep 30'
    cleared = clear(sshd_farm.host(server), Text(command, values))
    assert isinstance(cleared, Order)
    seen: list[int] = []

    async def scenario() -> Ended:
        transport, sink = sshd_farm.transport(), Sink()
        running = asyncio.create_task(transport.run(cleared, Limits(), sink, fresh()))
        await until(lambda: sink.written)
        seen.extend(survivors(word))
        transport.kill()
        return await running

    [dump] = asyncio.run(scenario()).kept
    assert bytes.fromhex(dump.decode()).decode() == f"{values[0][1]}|{values[1][1]}"
    assert not seen


def test_a_background_process_that_holds_the_output_open_does_not_hold_the_run(sshd_farm: Farm, server: Server) -> None:
    """The exit counts; what the background process would still write is not waited for."""
    ended = run(sshd_farm, sshd_farm.host(server), "sleep 30 & echo $!")
    assert ended.result.outcome is Outcome.COMPLETE
    subprocess.run(["kill", ended.kept[0].decode().strip()], check=True)


def test_a_forced_command_is_not_taken_for_the_command(sshd_farm: Farm) -> None:
    """What ran was something else: nobody may read `complete` there."""
    server = sshd_farm.serve(ForceCommand="echo forced")
    result = run(sshd_farm, sshd_farm.host(server), "echo mine").result
    assert (result.outcome, result.reason) == (Outcome.UNREACHABLE, Reason.NO_SHELL)
    assert "forced command" in result.detail


@pytest.mark.parametrize("shell", ["/usr/sbin/nologin", "/bin/false"])
def test_a_login_without_a_shell_is_unreachable(sshd_farm: Farm, server: Server, shell: str) -> None:
    """Nothing ran, and the reason says why."""
    result = run(sshd_farm, sshd_farm.host(server, user=sshd_farm.user(shell)), "echo hi").result
    assert (result.outcome, result.reason) == (Outcome.UNREACHABLE, Reason.NO_SHELL)


@pytest.mark.parametrize("count", [32, pytest.param(200, marks=[pytest.mark.faults, pytest.mark.timeout(600)])])
def test_a_fleet_of_addresses_completes(sshd_farm: Farm, count: int) -> None:
    """A fleet's worth of connections at once, each its own host."""
    addresses = [f"127.0.{10 + number // 100}.{1 + number % 100}" for number in range(count)]
    servers = [sshd_farm.serve(chunk) for chunk in _chunks(addresses, 16)]
    hosts = [sshd_farm.host(server, address=address) for server in servers for address in server.addresses]
    policy = Policy(connect_timeout_ms=60_000)

    async def scenario() -> list[Ended]:
        transport, gate = sshd_farm.transport(policy), asyncio.Semaphore(policy.fanout)

        async def one(host: Host) -> Ended:
            async with gate:
                return await transport.run(order(host, f"echo {host.name}"), Limits(), Sink(), fresh())

        return await asyncio.gather(*map(one, hosts))

    for host, ended in zip(hosts, asyncio.run(scenario()), strict=True):
        assert ended.kept == (f"{host.name}\n".encode(),), ended
        assert ended.result == replace(ended.result, outcome=Outcome.COMPLETE, exit_code=0)


def _chunks(items: Sequence[str], size: int) -> list[Sequence[str]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
