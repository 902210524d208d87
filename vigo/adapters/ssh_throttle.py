"""How many logins may be under way at one place, so that its sshd does not begin to shed connections.

Rule 1: at most `LOGINS_MAX` at once, from the TCP connect to the end of the login: sshd's default `MaxStartups 10:30:100`
sheds from the tenth on. A place that sheds nevertheless gets fewer, and more again as logins succeed.
Rule 2: whoever waits for a turn waits as long as others get in. Where nobody got in for a whole connect deadline, those
who wait give up: behind a place that is dead, a run ends.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import field
from typing import Final

from vigo.adapters.ssh_errors import Unreached
from vigo.adapters.ssh_login import Progress
from vigo.core.model import Reason
from vigo.core.values import dataclass

LOGINS_MAX: Final = 8
_MS_PER_S: Final = 1000


@dataclass(slots=True, eq=False)
class Door:
    """The logins at one place: those under way and those that wait for their turn, first come, first served."""

    name: str
    """The place, as an error names it."""
    room: int = LOGINS_MAX
    """How many may be under way at once; from 1 to `LOGINS_MAX`."""
    _inside: int = 0
    _waiting: deque[asyncio.Future[None]] = field(default_factory=deque)
    _in_a_row: int = 0
    """Logins that succeeded since the last sign of shedding, or since there is more room."""
    _times_narrowed: int = 0
    _moved_at: float = 0.0
    """When somebody last got in."""
    _failure: str = ""
    """Why the last one who did not get in did not."""

    @asynccontextmanager
    async def turn(self, progress: Progress) -> AsyncIterator[None]:
        """Wait for a turn and have it as long as the block lasts. Raises Unreached (`throttled`) when none comes."""
        await self._enter(progress)
        narrowed = self._times_narrowed
        try:
            yield
            self._let_in()
        except Unreached as refusal:
            self._failure = refusal.detail
            if refusal.shed and narrowed == self._times_narrowed:
                self._narrow()
            raise
        finally:
            self._inside -= 1
            self._admit()

    async def _enter(self, progress: Progress) -> None:
        if self._inside < self.room and not self._waiting:
            self._inside += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            with progress.off_the_clock():
                await self._stand_in_line(turn, progress.timeout_ms / _MS_PER_S)
        except BaseException:
            if turn.done():
                self._inside -= 1
                self._admit()
            else:
                self._waiting.remove(turn)
            raise

    async def _stand_in_line(self, turn: asyncio.Future[None], patience_s: float) -> None:
        came_at = time.monotonic()
        while not turn.done():
            left_s = max(came_at, self._moved_at) + patience_s - time.monotonic()
            if left_s <= 0:
                failure = f" (the last one did not: {self._failure})" if self._failure else ""
                raise Unreached(
                    Reason.THROTTLED,
                    f"no turn to log in: others were before it at {self.name}, and none of them got in for"
                    f" {patience_s:g} s{failure}; is that server overloaded?",
                )
            await asyncio.wait({turn}, timeout=left_s)

    def _admit(self) -> None:
        while self._waiting and self._inside < self.room:
            self._inside += 1
            self._waiting.popleft().set_result(None)

    def _let_in(self) -> None:
        self._moved_at = time.monotonic()
        self._in_a_row += 1
        if self._in_a_row >= self.room and self.room < LOGINS_MAX:
            self.room += 1
            self._in_a_row = 0

    def _narrow(self) -> None:
        """Halve the room, once for all logins that were under way together."""
        self.room = max(1, self.room // 2)
        self._times_narrowed += 1
        self._in_a_row = 0
