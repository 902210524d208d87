"""Targets behind a program: its standard streams are the connection, its last words the reason, and it never outlives it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from tests.sshd import Farm, Server, Sink, fresh, marker, order, survivors, until, wait_until
from vigo.core.model import Ended, Hop, Host, Limits, Outcome, Reason, SshSettings
from vigo.core.plan import Policy

pytestmark = pytest.mark.sshd

SHORT = Policy(connect_timeout_ms=1500)


@pytest.fixture(scope="module")
def server(sshd_farm: Farm) -> Server:
    """Return one ordinary server for the module."""
    return sshd_farm.serve(["127.0.33.1", "127.0.33.2"])


@pytest.fixture(scope="module")
def relay(sshd_farm: Farm) -> Path:
    """Return a program that carries bytes between its streams and an address, as netcat does."""
    path = sshd_farm.directory / "relay"
    path.write_text(
        "#!/usr/bin/python3\nimport os, select, socket, sys\n"
        "far = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
        "while True:\n"
        "    for ready in select.select([0, far], [], [])[0]:\n"
        "        data = os.read(0, 65536) if ready == 0 else far.recv(65536)\n"
        "        if not data: sys.exit(0)\n"
        "        far.sendall(data) if ready == 0 else os.write(1, data)\n"
    )
    path.chmod(0o755)
    return path


def run(farm: Farm, host: Host, command: str = "echo hi", policy: Policy = SHORT) -> Ended:
    """Run a command once, close the transport, and see that nothing of it is left."""

    async def scenario() -> Ended:
        transport = farm.transport(policy)
        try:
            assert transport.first_stop(host) is None or host.ssh.jump
            return await transport.run(order(host, command), Limits(), Sink(), fresh())
        finally:
            await transport.close()
            assert asyncio.all_tasks() == {asyncio.current_task()}

    return asyncio.run(scenario())


def test_a_program_carries_the_connection_and_ends_with_it(sshd_farm: Farm, server: Server, relay: Path) -> None:
    """Through its standard streams, megabytes and all; ssh's tokens are expanded; nothing of it is left."""
    mark = marker()
    host = sshd_farm.host(server, proxy_command=f"{relay} %h %p {mark}")
    ended = run(sshd_farm, host, "head -c 3000000 /dev/zero", Policy())
    assert (ended.result.outcome, ended.result.stdout.total_bytes) == (Outcome.COMPLETE, 3_000_000), ended
    assert survivors(mark) == []


def test_a_program_has_no_terminal_and_no_descriptors_of_ours(
    sshd_farm: Farm, server: Server, relay: Path, tmp_path: Path
) -> None:
    """It is in a session of its own, with its three streams and nothing else."""
    seen = tmp_path / "seen"
    look = f"(ls /proc/self/fd | wc -l; ps -o sid= -p $$) > {seen}"
    host = sshd_farm.host(server, proxy_command=f"sh -c '{look}; exec {relay} %h %p'")
    with (tmp_path / "ours").open("wb") as ours:
        os.set_inheritable(ours.fileno(), True)  # noqa: FBT003 - the os module's own signature
        assert run(sshd_farm, host, policy=Policy()).kept == (b"hi\n",)
    descriptors, session = map(int, seen.read_text().split())
    assert descriptors == 4, "three streams, and the folder that ls itself reads"
    assert session != os.getsid(0)


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (
            "echo 'first' >&2; echo 'cannot open the tunnel' >&2; exit 3",
            "exit code 3 before a word of the host: cannot open",
        ),
        ("true", "exit code 0 before a word of the host; it said nothing on standard error"),
        ("kill -KILL $$", "signal 9 before a word of the host"),
        ("no-such-program-anywhere", "exit code 127 before a word of the host"),
    ],
)
def test_the_last_words_of_a_program_that_fails_are_the_reason(
    sshd_farm: Farm, server: Server, command: str, told: str
) -> None:
    """At once, and without a second try."""
    result = run(
        sshd_farm, sshd_farm.host(server, proxy_command=f"sh -c '{command.replace(chr(39), '')}'"), policy=Policy()
    ).result
    assert (result.outcome, result.reason) == (Outcome.UNREACHABLE, Reason.PROXY), result
    assert told in result.detail, result.detail
    assert result.duration_ms < Policy().connect_timeout_ms


@pytest.mark.parametrize("trap", ["trap : TERM", "trap 'exit 0' TERM"])
def test_a_program_that_hangs_is_ended_with_all_that_it_started(sshd_farm: Farm, server: Server, trap: str) -> None:
    """At the connect deadline, whether it hears TERM or not, and its children too; what it said until then is told."""
    mark = marker()
    child = f"sh -c \"trap '' TERM; while :; do sleep 1; done\" {mark} &"
    script = sshd_farm.directory / "hangs"
    script.write_text(f"echo looking for a way >&2\n{child}\n{trap}\nwhile :; do sleep 0.1; done\n")
    policy = Policy(connect_timeout_ms=700)
    result = run(sshd_farm, sshd_farm.host(server, proxy_command=f"sh {script} {mark}"), policy=policy).result
    assert (result.reason, result.duration_ms >= policy.connect_timeout_ms) == (Reason.PROXY, True), result
    assert result.detail.endswith("within 0.7 s: looking for a way"), result.detail
    wait_until(lambda: not survivors(mark), within_s=2, what="what was killed dies")


def test_a_program_that_dies_under_a_command_leaves_it_lost(sshd_farm: Farm, server: Server, relay: Path) -> None:
    """As any connection that dies."""
    mark, program = marker(), marker()

    async def scenario() -> Ended:
        transport = sshd_farm.transport()
        host = sshd_farm.host(server, proxy_command=f"{relay} %h %p {program}")
        limits = Limits(timeout_ms=2_000, grace_ms=500)
        running = asyncio.create_task(
            transport.run(order(host, f"sh -c 'sleep 60; :' {mark}"), limits, Sink(), fresh())
        )
        await until(lambda: survivors(mark), what="the command runs")
        for pid in survivors(program):
            os.kill(pid, 9)
        ended = await running
        await transport.close()
        return ended

    assert asyncio.run(scenario()).result.outcome is Outcome.LOST
    asyncio.run(until(lambda: not survivors(mark), what="its deadline ends the command"))


def test_the_first_hop_may_lie_behind_a_program(sshd_farm: Farm, server: Server, relay: Path) -> None:
    """One program for all that go through the hop."""
    mark = marker()
    inside = sshd_farm.serve(["127.0.33.5"])
    gate = SshSettings(
        user=sshd_farm.plain_user, port=server.port, identity=str(sshd_farm.key), proxy_command=f"{relay} %h %p {mark}"
    )
    way = (Hop("gate", "127.0.33.1", gate),)

    async def scenario() -> tuple[list[Ended], int]:
        transport = sshd_farm.transport()
        hosts = [sshd_farm.host(inside, jump=way) for _ in range(5)]
        done = await asyncio.gather(
            *(transport.run(order(host, "echo hi"), Limits(), Sink(), fresh()) for host in hosts)
        )
        running = len(survivors(mark))
        await transport.close()
        return done, running

    done, running = asyncio.run(scenario())
    assert [ended.kept for ended in done] == [(b"hi\n",)] * 5
    assert running == 1
    assert survivors(mark) == []


def test_the_shell_is_the_users_own(
    sshd_farm: Farm, server: Server, relay: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with ssh; a shell that is not there is named."""
    monkeypatch.setenv("SHELL", "/bin/bash")
    host = sshd_farm.host(server, proxy_command=f"{relay} $([[ 1 == 1 ]] && echo %h) %p")
    assert run(sshd_farm, host, policy=Policy()).kept == (b"hi\n",)
    monkeypatch.setenv("SHELL", "/no/such/shell")
    result = run(sshd_farm, host).result
    assert result.reason is Reason.PROXY
    assert "/no/such/shell" in result.detail
