"""What every Transport promises, whatever carries the order."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.sshd import Farm, Sink, fresh, order, until
from vigo.core.guard import Order
from vigo.core.model import EMPTY_SHA256, Ended, Kill, Limits, Outcome, Stream
from vigo.engine.ports import Transport


@dataclass(frozen=True, slots=True)
class Rig:
    """A transport, and orders that it can carry."""

    transport: Callable[[], Transport]
    """Makes a fresh one; called on the event loop."""
    order: Callable[[str], Order]
    unreachable: Callable[[], Order]
    """An order for a host that is not there."""


def _ssh_rig(farm: Farm) -> Rig:
    server = farm.serve()
    host, gone = farm.host(server), farm.host(server, port=1)
    return Rig(farm.transport, lambda command: order(host, command), lambda: order(gone, "true"))


@pytest.fixture(params=[pytest.param(_ssh_rig, id="ssh", marks=pytest.mark.sshd)], scope="module")
def rig(request: pytest.FixtureRequest, sshd_farm: Farm) -> Iterator[Rig]:
    """Return each implementation in turn."""
    return request.param(sshd_farm)  # type: ignore[no-any-return]


def run(rig: Rig, command: str, limits: Limits | None = None) -> tuple[Ended, Sink]:
    """Run one order on a fresh transport."""

    async def scenario() -> tuple[Ended, Sink]:
        sink = Sink()
        return await rig.transport().run(rig.order(command), limits or Limits(), sink, fresh()), sink

    return asyncio.run(scenario())


def test_exit_zero_is_complete_and_any_other_failed(rig: Rig) -> None:
    """The exit code is data and is exact."""
    for code in (0, 1, 255):
        result = run(rig, f"exit {code}")[0].result
        expected = (Outcome.FAILED if code else Outcome.COMPLETE, code, None, None, None)
        assert (result.outcome, result.exit_code, result.signal, result.reason, result.kill) == expected


def test_a_signal_is_named_without_its_prefix(rig: Rig) -> None:
    """`KILL`, and no exit code beside it."""
    result = run(rig, "kill -KILL $$")[0].result
    assert (result.outcome, result.exit_code, result.signal) == (Outcome.FAILED, None, "KILL")


def test_output_is_told_live_and_kept_under_its_digest(rig: Rig) -> None:
    """Bytes, streams apart; the results name what is kept."""
    ended, sink = run(rig, "printf 'a\\000b'; printf err >&2")
    assert set(sink.written.values()) == {b"a\0b", b"err"}
    assert {stream for _, stream in sink.written} == set(Stream)
    kept = {hashlib.sha256(data).hexdigest(): data for data in ended.kept}
    assert kept[ended.result.stdout.kept_sha256] == b"a\0b"
    assert kept[ended.result.stderr.kept_sha256] == b"err"


def test_silence_is_kept_as_nothing(rig: Rig) -> None:
    """No blob for an empty stream."""
    ended, _ = run(rig, "true")
    assert (ended.kept, ended.result.stdout.sha256, ended.result.stdout.total_bytes) == ((), EMPTY_SHA256, 0)


def test_the_deadline_is_a_timeout_with_a_verdict_on_the_remains(rig: Rig) -> None:
    """And within timeout, grace and the port's five seconds."""
    limits = Limits(timeout_ms=600, grace_ms=500)
    result = run(rig, "echo early; sleep 600", limits)[0].result
    assert (result.outcome, result.kill, result.stdout.total_bytes) == (Outcome.TIMEOUT, Kill.KILLED, 6)
    assert limits.timeout_ms <= result.duration_ms


def test_an_unreachable_host_is_a_value_with_a_reason(rig: Rig) -> None:
    """Never an exception; one line of words."""

    async def scenario() -> Ended:
        return await rig.transport().run(rig.unreachable(), Limits(), Sink(), fresh())

    result = asyncio.run(scenario()).result
    assert result.outcome is Outcome.UNREACHABLE
    assert result.reason is not None
    assert result.detail
    assert "\n" not in result.detail


def test_kill_cancels_what_runs_and_what_comes(rig: Rig) -> None:
    """It may be called again."""

    async def scenario() -> list[Outcome]:
        transport, sink = rig.transport(), Sink()
        running = asyncio.create_task(transport.run(rig.order("echo on; sleep 600"), Limits(), sink, fresh()))
        await until(lambda: sink.written)
        transport.kill()
        transport.kill()
        later = await transport.run(rig.order("true"), Limits(), sink, fresh())
        return [(await running).result.outcome, later.result.outcome]

    assert asyncio.run(scenario()) == [Outcome.CANCELLED, Outcome.CANCELLED]


def test_orders_run_side_by_side(rig: Rig) -> None:
    """The bound on how many is the engine's, not the transport's."""

    async def scenario() -> list[Ended]:
        transport = rig.transport()
        orders = [rig.order(f"echo {number}") for number in range(8)]
        return list(await asyncio.gather(*(transport.run(each, Limits(), Sink(), fresh()) for each in orders)))

    assert [ended.kept for ended in asyncio.run(scenario())] == [(f"{number}\n".encode(),) for number in range(8)]
