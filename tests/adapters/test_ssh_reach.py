"""Hosts that are not reached: each with its own reason and way out, in time, and never at the expense of the others."""

from __future__ import annotations

import asyncio
import os
import pty
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.badpeer import Relay, listening, saying, silence
from tests.sshd import Farm, Server, Sink, free_port, fresh, make_key, order
from vigo.adapters.ssh_resolve import Resolver
from vigo.core.model import Ended, Host, Limits, Outcome, Reason
from vigo.core.plan import Policy

pytestmark = pytest.mark.sshd

SHORT = Policy(connect_timeout_ms=1500)


@pytest.fixture(scope="module")
def server(sshd_farm: Farm) -> Server:
    """Return one ordinary server for the module."""
    return sshd_farm.serve([f"127.0.30.{number}" for number in range(1, 17)])


async def attempt(farm: Farm, host: Host, policy: Policy = SHORT) -> Ended:
    """Try to run something."""
    return await farm.transport(policy).run(order(host, "echo hi"), Limits(), Sink(), fresh())


def reason(farm: Farm, host: Host, policy: Policy = SHORT) -> Reason | None:
    """Try a host that has to be unreachable and return the reason."""
    result = asyncio.run(attempt(farm, host, policy)).result
    assert result.outcome is Outcome.UNREACHABLE, result
    assert result.detail, "every reason comes with words"
    assert "\n" not in result.detail
    return result.reason


def test_bad_hosts_are_told_apart_and_good_ones_are_not_delayed(sshd_farm: Farm, server: Server) -> None:
    """Twenty good ones beside one that refuses, one that says nothing, one with another key, one that takes no login."""
    good = [sshd_farm.host(server, address=f"127.0.30.{1 + number % 16}") for number in range(20)]
    stranger = make_key(sshd_farm.directory / "stranger")
    forged = sshd_farm.directory / "forged"
    forged.write_text(f"[127.0.30.1]:{server.port} {' '.join(_public(stranger).split()[:2])}\n")

    async def scenario() -> tuple[list[Ended], Mapping[str, Ended], float]:
        transport = sshd_farm.transport(SHORT)

        async def run(host: Host) -> Ended:
            return await transport.run(order(host, "echo hi"), Limits(), Sink(), fresh())

        async with listening(silence) as silent:
            bad = {
                "refused": sshd_farm.host(server, port=free_port()),
                "silent": sshd_farm.host(server, address="127.0.0.1", port=silent),
                "forged": sshd_farm.host(server, known_hosts=str(forged)),
                "login": sshd_farm.host(server, identity=str(stranger)),
            }
            failing = {name: asyncio.create_task(run(host)) for name, host in bad.items()}
            began = time.monotonic()
            done = await asyncio.gather(*map(run, good))
            good_s = time.monotonic() - began
            return done, {name: await task for name, task in failing.items()}, good_s

    done, failed, _ = asyncio.run(scenario())
    assert [ended.result.outcome for ended in done] == [Outcome.COMPLETE] * 20
    assert {name: ended.result.reason for name, ended in failed.items()} == {
        "refused": Reason.REFUSED,
        "silent": Reason.BANNER,
        "forged": Reason.HOST_KEY_CHANGED,
        "login": Reason.AUTH,
    }


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", Reason.PROTOCOL),
        (b"SSH-1.5-old\r\n", Reason.PROTOCOL),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", Reason.PROTOCOL),
        (os.urandom(1 << 20), Reason.PROTOCOL),
        (b"SSH-2.0-x\r\n" + b"\xff" * 64, Reason.KEX),
        (b"Exceeded MaxStartups\r\n", Reason.THROTTLED),
        (b"", Reason.THROTTLED),
    ],
    ids=["http", "ssh1", "tls", "noise", "kex", "maxstartups", "hang-up"],
)
def test_what_is_no_ssh_server_is_named(sshd_farm: Farm, server: Server, words: bytes, expected: Reason) -> None:
    """Garbage ends at once; a server that sheds load is tried again until the connect deadline."""

    async def scenario() -> Ended:
        async with listening(saying(words)) as port:
            return await attempt(sshd_farm, sshd_farm.host(server, address="127.0.0.1", port=port))

    result = asyncio.run(scenario()).result
    assert result.reason in {expected, Reason.PROTOCOL if expected is Reason.KEX else expected}, result


def test_a_banner_that_drips_does_not_extend_the_deadline(sshd_farm: Farm, server: Server) -> None:
    """One byte now and then is no progress."""

    async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(100):
            writer.write(b"S")
            await writer.drain()
            await asyncio.sleep(0.3)

    async def scenario() -> Ended:
        async with listening(drip) as port:
            return await attempt(sshd_farm, sshd_farm.host(server, address="127.0.0.1", port=port))

    result = asyncio.run(scenario()).result
    assert (result.reason, result.duration_ms < 3 * SHORT.connect_timeout_ms) == (Reason.BANNER, True)


@pytest.mark.parametrize("passed", [b"SSH-", b"\x14"], ids=["banner", "kex"])
def test_a_stall_is_named_by_its_phase(sshd_farm: Farm, server: Server, passed: bytes) -> None:
    """A relay that stops passing on: before the version, and after the server's key exchange began."""

    async def scenario() -> Ended:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            far_reader, far_writer = await asyncio.open_connection("127.0.30.1", server.port)
            try:
                if passed != b"SSH-":
                    writer.write(await far_reader.readline())
                await reader.read()
            finally:
                far_writer.transport.abort()

        async with listening(talk) as port:
            return await attempt(sshd_farm, sshd_farm.host(server, address="127.0.0.1", port=port))

    expected = Reason.BANNER if passed == b"SSH-" else Reason.KEX
    assert asyncio.run(scenario()).result.reason is expected


def test_a_login_that_stalls_is_named(sshd_farm: Farm) -> None:
    """The server looks the keys up for ever."""
    sleeper = sshd_farm.directory / "sleeper"
    sleeper.write_text("#!/bin/sh\nexec sleep 30\n")
    sleeper.chmod(0o755)
    server = sshd_farm.serve(
        AuthorizedKeysFile="none", AuthorizedKeysCommand="/bin/sleep 30", AuthorizedKeysCommandUser="root"
    )
    assert reason(sshd_farm, sshd_farm.host(server)) is Reason.AUTH


def test_a_server_that_sheds_is_tried_again_and_the_command_runs_once(sshd_farm: Farm, server: Server) -> None:
    """The first three connections are dropped before a word."""

    async def scenario() -> tuple[Ended, int]:
        relay = Relay(server.port, "127.0.30.1", refusals=3)
        async with listening(relay.talk) as port:
            known = sshd_farm.directory / "shed"
            known.write_text(f"[127.0.0.1]:{port} {server.host_key}\n")
            host = sshd_farm.host(server, address="127.0.0.1", port=port, known_hosts=str(known))
            return await attempt(sshd_farm, host, Policy()), relay.connections

    ended, connections = asyncio.run(scenario())
    assert (ended.result.outcome, ended.kept, connections) == (Outcome.COMPLETE, (b"hi\n",), 4)


def test_a_failed_login_is_never_tried_again(sshd_farm: Farm) -> None:
    """One connection in the server's log, and words about what was tried."""
    server = sshd_farm.serve()
    wrong = make_key(sshd_farm.directory / "wrong")
    result = asyncio.run(attempt(sshd_farm, sshd_farm.host(server, identity=str(wrong)))).result
    assert result.reason is Reason.AUTH
    assert str(wrong) in result.detail
    assert server.log.count("Connection from") == 1 + 1, "the test's own look at the port, and one login"


def test_nothing_ever_prompts(sshd_farm: Farm) -> None:
    """A server that takes passwords only and a key with a passphrase, on a terminal: it fails at once, silently."""
    server = sshd_farm.serve(PasswordAuthentication="yes", PubkeyAuthentication="no")
    locked = make_key(sshd_farm.directory / "locked", passphrase="secret")
    host = sshd_farm.host(server, identity=str(locked))
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
    return await transport.run(order({host!r}, "echo hi"), Limits(), Sink(), fresh())
result = asyncio.run(main()).result
Path({str(sshd_farm.directory / "told")!r}).write_text(result.reason + " " + result.detail)
"""
    controller, terminal = pty.openpty()
    try:
        child = subprocess.run(
            [sys.executable, "-c", program],
            cwd=Path(__file__).parents[2],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
            check=False,
            timeout=30,
        )
        os.set_blocking(controller, False)
        assert child.returncode == 0
        with pytest.raises(BlockingIOError):
            os.read(controller, 1)
    finally:
        os.close(controller)
        os.close(terminal)
    told = (sshd_farm.directory / "told").read_text()
    assert told.startswith("auth ")
    assert "ssh-add" in told
    assert "password" in told


def test_names_that_do_not_resolve_are_named(sshd_farm: Farm, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver that says no, and one that never answers while a host given by address runs."""
    unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    monkeypatch.setattr("vigo.adapters.resolve._look_up", lambda _name: unknown)
    assert reason(sshd_farm, sshd_farm.host(server, address="no.such.example")) is Reason.DNS
    monkeypatch.setattr("vigo.adapters.resolve._look_up", lambda _name: time.sleep(30))

    async def scenario() -> tuple[Ended, Ended]:
        transport = sshd_farm.transport(SHORT)
        dead = [sshd_farm.host(server, address=f"dead{number}.example") for number in range(40)]
        waiting = [
            asyncio.create_task(transport.run(order(host, "echo hi"), Limits(), Sink(), fresh())) for host in dead
        ]
        good = await transport.run(order(sshd_farm.host(server), "echo hi"), Limits(), Sink(), fresh())
        assert not any(task.done() and task.result().result.outcome is Outcome.COMPLETE for task in waiting)
        return good, (await asyncio.gather(*waiting))[-1]

    good, dead = asyncio.run(scenario())
    assert good.result.outcome is Outcome.COMPLETE
    assert dead.result.reason is Reason.DNS


def test_real_names_resolve() -> None:
    """`localhost` is known everywhere, and an address is its own."""

    async def scenario() -> tuple[list[str], list[str]]:
        resolver = Resolver()
        names = await resolver.resolve("localhost")
        literal = await resolver.resolve("127.0.0.9")
        return [address for _, address in names], [address for _, address in literal]

    names, literal = asyncio.run(scenario())
    assert set(names) & {"127.0.0.1", "::1"}
    assert literal == ["127.0.0.9"]


def test_a_server_without_sessions_is_a_channel_failure(sshd_farm: Farm) -> None:
    """The login works, the session is refused: nothing ran."""
    server = sshd_farm.serve(MaxSessions="0")
    assert reason(sshd_farm, sshd_farm.host(server)) is Reason.CHANNEL


def test_nothing_is_left_open(sshd_farm: Farm, server: Server) -> None:
    """Descriptors and tasks are back where they were after good and bad hosts."""
    before = len(list(Path("/proc/self/fd").iterdir()))

    async def scenario() -> None:
        transport = sshd_farm.transport(SHORT)
        hosts = [
            sshd_farm.host(server),
            sshd_farm.host(server, port=free_port()),
            sshd_farm.host(server, user="nobody"),
        ]
        await asyncio.gather(*(transport.run(order(host, "echo hi"), Limits(), Sink(), fresh()) for host in hosts))
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(scenario())
    assert len(list(Path("/proc/self/fd").iterdir())) <= before


def _public(key: Path) -> str:
    return key.with_suffix(".pub").read_text()
