"""Ending commands: at the deadline, by the operator, and when the control node is gone. Nothing of them may be left."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.badpeer import Relay, listening
from tests.sshd import Farm, Server, Sink, fresh, marker, order, survivors, until, wait_until
from vigo.core.model import Ended, Host, Kill, Limits, Outcome
from vigo.core.plan import Policy

pytestmark = pytest.mark.sshd

STUBBORN = (
    "trap '' TERM; sh -c 'trap \"\" TERM; while :; do sleep 1; done' {0} &"
    " (exec setsid sh -c 'trap \"\" TERM; while :; do sleep 1; done' {0}) &"
    " while :; do sleep 1; : {0}; done"
)
"""Ignores TERM in the command itself, in a child, and in a child of another session."""

TIGHT = Limits(timeout_ms=1500, grace_ms=500)


@pytest.fixture(scope="module")
def server(sshd_farm: Farm) -> Server:
    """Return one ordinary server for the module."""
    return sshd_farm.serve()


def run(farm: Farm, host: Host, command: str, limits: Limits = TIGHT) -> Ended:
    """Run one command."""
    return asyncio.run(farm.transport().run(order(host, command), limits, Sink(), fresh()))


@pytest.mark.parametrize(
    "shell",
    [
        "/usr/bin/dash",
        "/usr/bin/fish",
        *(pytest.param(f"/usr/bin/{name}", marks=pytest.mark.faults) for name in ("bash", "zsh", "tcsh")),
    ],
)
def test_the_deadline_leaves_nothing_of_a_stubborn_command(sshd_farm: Farm, server: Server, shell: str) -> None:
    """Children that ignore TERM and one that left the group are gone when the verdict says so."""
    mark = marker()
    result = run(sshd_farm, sshd_farm.host(server, user=sshd_farm.user(shell)), STUBBORN.format(mark)).result
    assert (result.outcome, result.kill) == (Outcome.TIMEOUT, Kill.KILLED)
    assert result.duration_ms >= TIGHT.timeout_ms
    assert not survivors(mark)


def test_the_deadline_holds_for_root(sshd_farm: Farm, server: Server) -> None:
    """For root logins sshd drops signal requests; the life line is what kills."""
    mark = marker()
    limits = Limits(timeout_ms=20_000, grace_ms=500)

    async def scenario() -> Ended:
        transport, sink = sshd_farm.transport(), Sink()
        host = sshd_farm.host(server, user="root")
        running = asyncio.create_task(
            transport.run(order(host, "echo on; " + STUBBORN.format(mark)), limits, sink, fresh())
        )
        await until(lambda: sink.written, within_s=90)
        transport.kill()
        return await running

    result = asyncio.run(scenario()).result
    assert (result.outcome, result.kill) == (Outcome.CANCELLED, Kill.KILLED)
    assert not survivors(mark)


def test_a_grandchild_that_outlives_its_parent_is_found(sshd_farm: Farm, server: Server) -> None:
    """The direct child dies of TERM at once; the one that ignores it has to be looked for."""
    mark = marker()
    command = f"(trap '' TERM; exec sh -c 'while :; do sleep 1; done' {mark}) & sleep 900"
    result = run(sshd_farm, sshd_farm.host(server), command).result
    assert (result.outcome, result.kill) == (Outcome.TIMEOUT, Kill.KILLED)
    assert not survivors(mark)


def test_a_polite_command_gets_its_grace(sshd_farm: Farm, server: Server) -> None:
    """TERM comes first, and what is written within the grace is kept."""
    limits = Limits(timeout_ms=700, grace_ms=5000)
    ended = run(sshd_farm, sshd_farm.host(server), "trap 'echo bye; exit 0' TERM; while :; do sleep 0.1; done", limits)
    assert (ended.result.outcome, ended.result.kill, ended.kept[0]) == (Outcome.TIMEOUT, Kill.KILLED, b"bye\n")
    assert ended.result.duration_ms < 5000, "it ended of itself, long before KILL"


def test_with_one_session_a_connection_the_kill_is_still_verified(sshd_farm: Farm) -> None:
    """MaxSessions 1: the look waits until the command's session is closed."""
    server, mark = sshd_farm.serve(MaxSessions="1"), marker()
    result = run(sshd_farm, sshd_farm.host(server), STUBBORN.format(mark)).result
    assert (result.outcome, result.kill) == (Outcome.TIMEOUT, Kill.KILLED)
    assert not survivors(mark)


def test_a_command_whose_login_is_slow_never_begins_after_its_deadline(sshd_farm: Farm, server: Server) -> None:
    """The start-up file takes longer than the timeout: what comes after it must not run any more."""
    user = sshd_farm.user("/bin/bash")
    home = sshd_farm.directory / user
    (home / ".bashrc").write_text("sleep 2; : > awake\n")
    (home / ".bashrc").chmod(0o644)
    result = run(sshd_farm, sshd_farm.host(server, user=user), ": > ran", Limits(timeout_ms=500, grace_ms=100)).result
    assert (result.outcome, result.kill, "never will" in result.detail) == (Outcome.TIMEOUT, Kill.KILLED, True)
    wait_until((home / "awake").exists, what="the start-up file ends")
    wait_until(lambda: not _processes_of(home), what="the login shell ends")
    assert not (home / "ran").exists()


def test_cancelling_ends_what_runs_and_what_comes_later(sshd_farm: Farm, server: Server) -> None:
    """One running, one still connecting, one that is asked for afterwards: all cancelled, nothing left."""
    mark = marker()

    async def scenario() -> list[Ended]:
        transport, sink = sshd_farm.transport(), Sink()

        async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            await reader.read()

        async with listening(silent) as port:
            command = f"echo on; sh -c 'sleep 900; :' {mark}"
            running = asyncio.create_task(
                transport.run(order(sshd_farm.host(server), command), Limits(), sink, fresh())
            )
            stuck = sshd_farm.host(server, address="127.0.0.1", port=port)
            connecting = asyncio.create_task(transport.run(order(stuck, command), Limits(), sink, fresh()))
            await until(lambda: sink.written)
            transport.kill()
            transport.kill()
            later = transport.run(order(sshd_farm.host(server), command), Limits(), sink, fresh())
            return list(await asyncio.gather(running, connecting, later))

    results = [ended.result for ended in asyncio.run(scenario())]
    assert [result.outcome for result in results] == [Outcome.CANCELLED] * 3
    assert [result.kill for result in results] == [Kill.KILLED, None, None]
    assert not survivors(mark)


def test_a_reset_in_mid_command_is_lost_and_it_ran_once(sshd_farm: Farm, server: Server) -> None:
    """The outcome is unknown, says so, and nothing is tried again."""
    user = sshd_farm.user()
    counter = sshd_farm.directory / user / "runs"

    async def scenario() -> Ended:
        relay = Relay(server.port)
        async with listening(relay.talk) as port:
            host = sshd_farm.host(server, user=user, port=port, known_hosts=str(known_as(sshd_farm, server, port)))
            command = f"echo run >> {counter}; sleep 3"
            running = asyncio.create_task(sshd_farm.transport().run(order(host, command), TIGHT, Sink(), fresh()))
            await until(counter.exists)
            relay.reset()
            return await running

    result = asyncio.run(scenario()).result
    assert (result.outcome, result.reason) == (Outcome.LOST, None)
    assert counter.read_text() == "run\n"


@pytest.mark.parametrize("at_once", [pytest.param(False, marks=pytest.mark.faults), True])
def test_when_the_control_node_is_gone_the_host_ends_the_command(
    sshd_farm: Farm, server: Server, *, at_once: bool
) -> None:
    """SIGKILL for the control process: by the deadline plus the grace nothing is left, with kill_on_disconnect at once."""
    mark, host = marker(), sshd_farm.host(server)
    timeout_ms = 600_000 if at_once else 4000
    program = f"""
import asyncio
from pathlib import Path
from tests.sshd import Sink, fresh, order
from vigo.adapters.ssh import SshTransport
from vigo.core.model import *
from vigo.core.plan import Policy
async def main():
    transport = SshTransport(policy=Policy(), known_hosts=Path({str(sshd_farm.known_hosts)!r}), accept_new=False,
                             ssh_config=None)
    limits = Limits(timeout_ms={timeout_ms}, grace_ms=500, kill_on_disconnect={at_once})
    await transport.run(order({host!r}, {STUBBORN.format(mark)!r}), limits, Sink(), fresh())
asyncio.run(main())
"""
    control = subprocess.Popen([sys.executable, "-c", program], cwd=Path(__file__).parents[2])
    wait_until(lambda: len(survivors(mark)) >= 3 + 1, what="the command and its children run (and the control program)")
    control.send_signal(signal.SIGKILL)
    control.wait()
    if not at_once:
        assert survivors(mark), "a dropped connection leaves the command to its deadline"
    wait_until(lambda: not survivors(mark), within_s=15, what="nothing of the command is left")


def test_a_frozen_connection_ends_as_lost_by_keepalive(sshd_farm: Farm, server: Server) -> None:
    """Half open: the peer neither answers nor closes."""

    async def scenario() -> Ended:
        relay = Relay(server.port)
        async with listening(relay.talk) as port:
            config = sshd_farm.directory / "keepalive"
            config.write_text("ServerAliveInterval 1\nServerAliveCountMax 1\n")
            host = sshd_farm.host(server, port=port, known_hosts=str(known_as(sshd_farm, server, port)))
            sink = Sink()
            transport = sshd_farm.transport(Policy(), ssh_config=config)
            running = asyncio.create_task(transport.run(order(host, "echo on; sleep 3"), Limits(), sink, fresh()))
            await until(lambda: sink.written)
            relay.freeze()
            return await running

    assert asyncio.run(scenario()).result.outcome is Outcome.LOST


def test_a_kill_behind_a_frozen_connection_is_verified_over_a_new_one(sshd_farm: Farm, server: Server) -> None:
    """The word to kill does not arrive; the host's own deadline does its work, and a second login sees it."""
    mark = marker()

    async def scenario() -> Ended:
        relay = Relay(server.port)
        async with listening(relay.talk) as port:
            host = sshd_farm.host(server, port=port, known_hosts=str(known_as(sshd_farm, server, port)))
            sink = Sink()
            command = f"echo on; sh -c 'sleep 900; :' {mark}"
            running = asyncio.create_task(sshd_farm.transport().run(order(host, command), TIGHT, sink, fresh()))
            await until(lambda: sink.written)
            relay.freeze()
            return await running

    result = asyncio.run(scenario()).result
    assert (result.outcome, result.kill) == (Outcome.TIMEOUT, Kill.KILLED)
    assert not survivors(mark)


def known_as(farm: Farm, server: Server, port: int) -> Path:
    """Write a known_hosts file that knows the server under another port."""
    path = farm.directory / f"known_{port}"
    path.write_text(f"[127.0.0.1]:{port} {server.host_key}\n")
    return path


def _processes_of(home: Path) -> list[str]:
    found = subprocess.run(["pgrep", "-u", home.name], capture_output=True, text=True, check=False)
    return found.stdout.split()
