"""One round of a health check: everything is asked side by side, and every question gets an answer.

What the answers mean together stands in `core/gate.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeAlias

from vigo.core.gate import Answer, Ask, AskCommand
from vigo.core.guard import Order, Refusal
from vigo.core.model import Ended, HostResult, Limits, Outcome, Stream
from vigo.engine.ports import Probe, Transport

_DETAIL_MAX = 200

ClearCheck: TypeAlias = Callable[[str], Order | Refusal]
"""Host name -> what the hard guard says about the health check command for that host."""


class Gatekeeper:
    """Asks the questions of one task's gates, at most `at_once` at a time."""

    def __init__(
        self,
        probe: Probe,
        transport: Transport,
        clear: ClearCheck,
        mark: Callable[[], str],
        timeout_ms: int,
        at_once: int,
    ) -> None:
        self._probe = probe
        self._transport = transport
        self._clear = clear
        self._mark = mark
        # The control node's end, or a cancelled round, must not leave a check running on a host.
        self._limits = Limits(timeout_ms=timeout_ms, grace_ms=1_000, kill_on_disconnect=True)
        self._room = asyncio.Semaphore(at_once)

    async def round(self, asks: Sequence[Ask]) -> list[tuple[Ask, Answer]]:
        """Ask everything and return each question with its answer, in their order."""
        return list(zip(asks, await asyncio.gather(*map(self._answer, asks)), strict=True))

    async def _answer(self, ask: Ask) -> Answer:
        async with self._room:
            try:
                return await (self._run(ask.host) if isinstance(ask, AskCommand) else self._probe.ask(ask))
            # A library's own cancellation would look like the end of the whole run; ours, `gather` remembers.
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - a bug must fail the gate, not the run
                return Answer(passed=False, detail=f"internal error: {error!r}", duration_ms=0)

    async def _run(self, host: str) -> Answer:
        order = self._clear(host)
        if not isinstance(order, Order):
            return Answer(passed=False, detail=f"rejected: {order.finding.pattern}", duration_ms=0)
        ended = await self._transport.run(order, self._limits, _Silence(), self._mark())
        return Answer(ended.result.outcome is Outcome.COMPLETE, _told(ended), ended.result.duration_ms)


class _Silence:
    """Live output that nobody watches."""

    def write(self, host: str, stream: Stream, data: bytes) -> None:
        """Drop the bytes."""


def _told(ended: Ended) -> str:
    """Say in one line how a check ended, with the beginning of what it printed."""
    words = " ".join(b" ".join(ended.kept)[: 2 * _DETAIL_MAX].decode("utf-8", "replace").split())[:_DETAIL_MAX]
    return f"{_ending(ended.result)}{': ' if words else ''}{words}"


def _ending(result: HostResult) -> str:
    if result.exit_code is not None:
        return f"exit {result.exit_code}"
    if result.signal is not None:
        return f"signal {result.signal}"
    return f"{result.outcome}{': ' if result.detail else ''}{result.detail}"
