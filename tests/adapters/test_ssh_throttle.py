"""Logins at one place: a few at once, more gently where connections are shed, and nobody fails because of a long line."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

import pytest

from tests.badpeer import Relay, listening, silence
from tests.sshd import Farm, Server, Sink, fresh, order
from vigo.adapters.ssh_errors import Unreached
from vigo.adapters.ssh_login import Progress, deadline
from vigo.adapters.ssh_throttle import Door
from vigo.core.model import Ended, Hop, Host, Limits, Outcome, Reason, SshSettings
from vigo.core.plan import Policy

SHED = Unreached(Reason.THROTTLED, "sheds", shed=True)
_LINE = re.compile(
    r"^(Connection from|Accepted publickey|Connection (?:closed|reset)|Disconnected).*? port (\d+)", re.MULTILINE
)


def at_once(log: str) -> int:
    """Count how many connections that had not logged in a server had open at once, by its log."""
    open_now: set[str] = set()
    most = 0
    for word, port in (match.groups() for match in _LINE.finditer(log)):
        if word == "Connection from":
            open_now.add(port)
            most = max(most, len(open_now))
        else:
            open_now.discard(port)
    return most


def run_all(farm: Farm, hosts: Sequence[Host], command: str, fanout: int, policy: Policy | None = None) -> list[Ended]:
    """Run a command on all hosts, so many at a time."""

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

    return asyncio.run(scenario())


def test_so_many_at_once_and_the_next_one_when_one_has_left() -> None:
    """First come, first served."""

    async def scenario() -> tuple[int, list[int]]:
        door, inside, most, order_of_turns = Door("there"), 0, 0, []

        async def visit(number: int) -> None:
            nonlocal inside, most
            async with door.turn(Progress()):
                order_of_turns.append(number)
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0)
                inside -= 1

        await asyncio.gather(*map(visit, range(50)))
        return most, order_of_turns

    assert asyncio.run(scenario()) == (8, list(range(50)))


def test_a_place_that_sheds_gets_fewer_and_more_again_as_logins_succeed() -> None:
    """Half for one burst of shedding, however many were hit; never none."""

    async def scenario() -> list[int]:
        door = Door("there")
        rooms = []

        async def shed(together: asyncio.Barrier) -> None:
            with suppress(Unreached):
                async with door.turn(Progress()):
                    await together.wait()
                    raise SHED

        for count in (8, 4, 1, 1):
            together = asyncio.Barrier(count)
            await asyncio.gather(*(shed(together) for _ in range(count)))
            rooms.append(door.room)
        for _ in range(40):
            async with door.turn(Progress()):
                pass
        return [*rooms, door.room]

    assert asyncio.run(scenario()) == [4, 2, 1, 1, 8]


def test_whoever_gives_up_waiting_takes_nobodys_turn() -> None:
    """Cancelled in line, or in the very moment of being let in."""

    async def scenario() -> int:
        door = Door("there", room=1)
        done = 0

        async def visit() -> None:
            nonlocal done
            async with door.turn(Progress()):
                await asyncio.sleep(0)
                done += 1

        tasks = [asyncio.create_task(visit()) for _ in range(30)]
        for number in range(0, 30, 2):
            await asyncio.sleep(0)
            tasks[number].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await visit()
        assert (door._inside, list(door._waiting)) == (0, [])
        return done

    assert asyncio.run(scenario()) >= 16


def test_waiting_in_line_is_not_counted_as_long_as_others_get_in() -> None:
    """Ten logins of half a deadline each, one at a time: the last one has waited for many deadlines, and is let in."""

    async def scenario() -> int:
        door, done = Door("there", room=1), 0

        async def visit() -> None:
            nonlocal done
            progress = Progress()
            async with deadline(200, progress), door.turn(progress):
                door.room = 1
                await asyncio.sleep(0.1)
                done += 1

        await asyncio.gather(*(visit() for _ in range(10)))
        return done

    assert asyncio.run(scenario()) == 10


def test_where_nobody_gets_in_those_in_line_give_up() -> None:
    """After one connect deadline, with what happened to those before them."""

    async def scenario() -> list[Unreached]:
        door = Door("10.0.0.1 port 22", room=1)

        async def visit() -> None:
            progress = Progress()
            async with deadline(200, progress), door.turn(progress):
                await asyncio.sleep(60)

        return [error for error in await asyncio.gather(*(visit() for _ in range(20)), return_exceptions=True) if error]  # type: ignore[misc]

    began = time.monotonic()
    failures = asyncio.run(scenario())
    assert len(failures) == 20
    assert time.monotonic() - began < 20 * 0.2 / 2, "not one deadline after the other"
    assert {failure.reason for failure in failures} >= {Reason.THROTTLED}
    assert any("10.0.0.1 port 22" in failure.detail for failure in failures)


@pytest.mark.sshd
def test_many_targets_at_one_address_log_in_a_few_at_a_time(sshd_farm: Farm) -> None:
    """A10, small: a server that takes whatever comes, and one that sheds from the fourth on; every command runs once."""
    _, most = _shedding(sshd_farm, targets=24, fanout=24, limit="1000")
    assert most >= 3, "not one after the other either"
    _shedding(sshd_farm, targets=16, fanout=16)


@pytest.mark.sshd
@pytest.mark.faults
@pytest.mark.timeout(600)
def test_a10_sixty_targets_at_a_server_that_sheds(sshd_farm: Farm) -> None:
    """A10: `MaxStartups 3:50:6`, 60 targets at one address, thirty at a time."""
    took = [_shedding(sshd_farm, targets=60, fanout=30) for _ in range(5)]
    print(
        f"A10: 0 of 300 failed, {max(most for _, most in took)} logins at once at most, {max(s for s, _ in took):.1f} s"
    )


def _shedding(farm: Farm, *, targets: int, fanout: int, limit: str = "3:50:6") -> tuple[float, int]:
    server = farm.serve(["127.0.34.1"], MaxStartups=limit)
    count = farm.directory / farm.plain_user / f"a10-{server.port}"
    hosts = [farm.host(server) for _ in range(targets)]
    began = time.monotonic()
    done = run_all(farm, hosts, f"echo $$ >> {count}", fanout)
    took_s = time.monotonic() - began
    assert Counter(ended.result.outcome for ended in done) == {Outcome.COMPLETE: targets}, done
    assert len(count.read_text().splitlines()) == targets, "each command exactly once"
    assert server.log.count("Accepted publickey") == targets
    most = at_once(server.log)
    assert 1 < most <= 8
    return took_s, most


@pytest.mark.sshd
@pytest.mark.faults
@pytest.mark.timeout(600)
@pytest.mark.parametrize("where", ["bastion", "bastion and target"])
def test_sixty_targets_behind_one_bastion_that_sheds(sshd_farm: Farm, where: str) -> None:
    """`MaxStartups 3:50:6` on the bastion, and on what is behind it: 0 of 60 fail, each command runs once."""
    bastion = sshd_farm.serve(["127.0.34.2"], MaxStartups="3:50:6")
    limits = {"MaxStartups": "3:50:6"} if where != "bastion" else {}
    inside = sshd_farm.serve(["127.0.34.3"], **limits)
    settings = SshSettings(user=sshd_farm.plain_user, port=bastion.port, identity=str(sshd_farm.key))
    way = (Hop("bastion", "127.0.34.2", settings),)
    worst_s, most = 0.0, 0
    for number in range(5):
        count = sshd_farm.directory / sshd_farm.plain_user / f"behind-{number}-{inside.port}"
        hosts = [sshd_farm.host(inside, jump=way) for _ in range(60)]
        began = time.monotonic()
        done = run_all(sshd_farm, hosts, f"echo $$ >> {count}", 30)
        worst_s = max(worst_s, time.monotonic() - began)
        assert Counter(ended.result.outcome for ended in done) == {Outcome.COMPLETE: 60}, done
        assert len(count.read_text().splitlines()) == 60
        most = max(at_once(bastion.log), at_once(inside.log))
        assert most <= 8
        assert bastion.log.count("Accepted publickey") == number + 1
    print(f"60 behind one {where}: 0 of 300 failed, {most} logins at once at most, {worst_s:.1f} s at worst")


@pytest.mark.sshd
@pytest.mark.faults
@pytest.mark.timeout(600)
def test_a11_the_only_slot_is_held_by_somebody_else(sshd_farm: Farm) -> None:
    """A11: `MaxStartups 1`, held by one who never logs in until LoginGraceTime ends it: in within 15 s, or throttled."""
    outcomes = []
    for _ in range(5):
        server = sshd_farm.serve(["127.0.34.4"], MaxStartups="1", LoginGraceTime="10")

        async def scenario(server: Server = server) -> tuple[Ended, float]:
            while True:  # until the test's own look at the port is over
                held, holder = await asyncio.open_connection("127.0.34.4", server.port)
                holder.write(b"SSH-2.0-fake\r\n")
                if (await held.readline()).startswith(b"SSH-2.0"):
                    break
                holder.close()
                await asyncio.sleep(0.05)
            began = time.monotonic()
            transport = sshd_farm.transport(Policy(connect_timeout_ms=14_000))
            ended = await transport.run(order(sshd_farm.host(server), "echo hi"), Limits(), Sink(), fresh())
            await transport.close()
            holder.close()
            return ended, time.monotonic() - began

        ended, took_s = asyncio.run(scenario())
        assert ended.result.outcome is Outcome.COMPLETE or ended.result.reason is Reason.THROTTLED, ended
        assert took_s <= 15
        outcomes.append((ended.result.reason or ended.result.outcome, took_s))
        server.stop()
        sshd_farm.servers.remove(server)
    print(f"A11: {', '.join(f'{word} after {took_s:.1f} s' for word, took_s in outcomes)}")


@pytest.mark.sshd
def test_a_server_that_always_sheds_is_throttled_at_the_deadline(sshd_farm: Farm) -> None:
    """And a silent address with many targets ends after two deadlines, not after one for each eight."""
    server = sshd_farm.serve(["127.0.34.5"])
    policy = Policy(connect_timeout_ms=800)

    async def scenario() -> tuple[list[Ended], list[Ended], float]:
        shedding = Relay(server.port, "127.0.34.5", refusals=10_000)
        transport = sshd_farm.transport(policy)

        async def all_at(port: int) -> list[Ended]:
            hosts = [sshd_farm.host(server, address="127.0.0.1", port=port) for _ in range(40)]
            runs = (transport.run(order(host, "echo hi"), Limits(), Sink(), fresh()) for host in hosts)
            return await asyncio.gather(*runs)

        async with listening(shedding.talk) as port, listening(silence) as mute:
            shed = await all_at(port)
            began = time.monotonic()
            silent = await all_at(mute)
            took_s = time.monotonic() - began
        await transport.close()
        return shed, silent, took_s

    shed, silent, took_s = asyncio.run(scenario())
    assert {ended.result.reason for ended in shed} == {Reason.THROTTLED}
    assert {ended.result.reason for ended in silent} == {Reason.BANNER, Reason.THROTTLED}
    assert took_s < 3 * 0.8, "40 targets, eight at a time, would be five deadlines"
