"""One order on one host: connect, execute once, watch the deadline, kill, look, tell.

Rule 1: the open channel is the border. Before it the host is `unreachable` and nothing ran; after it a connection that dies
is `lost`, and nothing is ever tried again.
Rule 2: at the deadline the host is told to kill, and a second session looks for what is left: `killed` is never assumed.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import field

from vigo.adapters.ssh_channel import Link, end, open_channel
from vigo.adapters.ssh_connect import Connection, Connector, Progress, close
from vigo.adapters.ssh_errors import Unreached
from vigo.adapters.ssh_look import ask
from vigo.adapters.ssh_options import Endpoint
from vigo.adapters.ssh_session import CommandSession, Recording
from vigo.adapters.ssh_sudo import Rights
from vigo.core.command import Found, Wire
from vigo.core.model import Ended, HostResult, Kill, Limits, Outcome, Reason, Stream
from vigo.core.values import dataclass

_MS_PER_S = 1000
_IDLE_S = 1.0
"""After the exit, output that a background process holds open is awaited this long since its last byte."""
_AFTER_GRACE_S = 4.0
"""For the host's rounds of KILL and for the look at what is left, on top of the grace."""
_KILL_S = 1.0
"""How long after the grace the exit may take; a host that is silent then is asked over a new connection."""
_CHANNEL_CLOSE_S = 1.0
_LOOK_PAUSE_S = 0.2


@dataclass(slots=True, eq=False)
class Run:
    """One order on its way."""

    connector: Connector
    endpoint: Endpoint
    wire: Wire
    limits: Limits
    connect_timeout_ms: int
    mark: str
    recording: Recording
    rights: Rights | None = None
    """Those that the wire asks for; None leaves it those of the login."""
    _cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    _opening: asyncio.Task[Link] | None = None
    _session: CommandSession | None = None

    def cancel(self) -> None:
        """Have the command killed, or never started."""
        self._cancelled.set()
        if self._opening is not None and (self._session is None or not self._session.opened.done()):
            self._opening.cancel()
        elif self._session is not None:
            self._session.interrupt()

    async def carry_out(self) -> Ended:
        """Run the order to its end. Raises Unreached if nothing ran."""
        self._session = session = CommandSession(self.wire.stdin, self.recording, self.wire.data)
        self._opening = asyncio.create_task(self._open(session))
        try:
            link = await self._opening
        except asyncio.CancelledError:
            if not self._cancelled.is_set() or not self._opening.cancelled():
                await end(self._opening)
                raise
            return Ended(HostResult(Outcome.CANCELLED, detail="cancelled while connecting; nothing ran"))
        if self._cancelled.is_set():
            session.interrupt()
        try:
            result = await self._watch(link, session)
        finally:
            await end(link.execution)
            await close(link.connection)
        return self.recording.close(result)

    async def _open(self, session: CommandSession) -> Link:
        """Get as far as an open channel, inside the connect deadline."""
        progress = Progress()
        async with self.connector.deadline(self.connect_timeout_ms, progress):
            return await self.connector.reach(
                self.endpoint,
                progress,
                lambda connection: open_channel(connection, self.endpoint.place, self.wire.exec_string, session),
            )

    async def _watch(self, link: Link, session: CommandSession) -> HostResult:
        deadline = session.opened_at + self.limits.timeout_ms / _MS_PER_S
        if self.rights is not None:
            await self.rights.obtain(session, self.endpoint, deadline, lambda: session.begun)
        await asyncio.wait({session.ended}, timeout=max(0.0, deadline - time.monotonic()))
        if self._cancelled.is_set() and not session.has_exit:
            return await self._stop(Outcome.CANCELLED, link, session)
        if not session.ended.done():
            return await self._stop(Outcome.TIMEOUT, link, session)
        await _drain(session, deadline)
        if session.signal is not None and session.ended_at >= deadline:
            return await self._stop(Outcome.TIMEOUT, link, session)
        return await self._judge(link, session)

    async def _judge(self, link: Link, session: CommandSession) -> HostResult:
        """Turn an end that came by itself into a result."""
        duration_ms = _duration_ms(session)
        if not session.has_exit:
            return await self._judge_silence(link, duration_ms)
        if not session.begun:
            raise self._stranger(session)
        outcome = Outcome.COMPLETE if session.exit_code == 0 else Outcome.FAILED
        return HostResult(outcome, duration_ms, exit_code=session.exit_code, signal=session.signal)

    async def _judge_silence(self, link: Link, duration_ms: int) -> HostResult:
        if not link.connection.is_closed():
            await asyncio.wait({link.execution}, timeout=_CHANNEL_CLOSE_S)
            if link.execution.done() and link.execution.result() and not link.connection.is_closed():
                raise Unreached(Reason.CHANNEL, f"{self.endpoint.place} runs no commands for this login; see its log")
            return HostResult(
                Outcome.LOST, duration_ms, detail="the channel closed without an exit status; outcome unknown"
            )
        return HostResult(
            Outcome.LOST,
            duration_ms,
            detail="the connection died while the command may have run; it has until its deadline",
        )

    def _stranger(self, session: CommandSession) -> Unreached:
        """Explain an exit without the wrapper's greeting: the command was never begun, something else ended."""
        if self.rights is not None:
            self.recording.flush()
            said = self.recording.kept(Stream.STDERR).decode("utf-8", "replace")
            refusal = self.rights.explain(self.endpoint, session.exit_code, said, was_asked=bool(session.prompts))
            if refusal is not None:
                return refusal
        words = " ".join(self.recording.first_words().split())
        told = f"exit {session.exit_code}" if session.exit_code is not None else f"signal {session.signal}"
        user = self.endpoint.user
        return Unreached(
            Reason.NO_SHELL,
            f"the login of {user} took no command ({told}{': ' if words else ''}{words}): a login shell that refuses,"
            f" a forced command, or a start-up file that ends the shell; give {user} a shell that runs commands",
        )

    async def _stop(self, outcome: Outcome, link: Link, session: CommandSession) -> HostResult:
        """Have the host kill the command, wait for it, and look for what is left."""
        grace_s = self.limits.grace_ms / _MS_PER_S
        until = time.monotonic() + grace_s + _AFTER_GRACE_S
        session.stop()
        session.rearm()
        await asyncio.wait({session.ended}, timeout=grace_s + _KILL_S)
        duration_ms = _duration_ms(session)
        answered = session.has_exit
        session.close()
        if not session.begun:
            return HostResult(outcome, duration_ms, detail=_not_begun(self.rights), kill=Kill.KILLED)
        if answered:
            await asyncio.wait({session.drained}, timeout=_CHANNEL_CLOSE_S)
        kill, pids = await self._verify(link.connection if answered else None, until)
        return HostResult(outcome, duration_ms, detail=_stop_detail(kill, pids), kill=kill, kill_pids=pids)

    async def _verify(self, connection: Connection | None, until: float) -> tuple[Kill, tuple[int, ...]]:
        """Look until nothing is left or the time is up: over this connection, or once over a new one."""
        fresh: Connection | None = None
        pids: tuple[int, ...] = ()
        try:
            async with asyncio.timeout(max(_LOOK_PAUSE_S, until - time.monotonic())):
                while True:
                    found = await self._ask(connection)
                    if found is None:
                        if fresh is not None:
                            break
                        connection = fresh = await self.connector.connect(self.endpoint.again(), Progress())
                        continue
                    pids = found.pids
                    if not pids and not found.is_ending:
                        return (Kill.UNVERIFIED if found.is_partial else Kill.KILLED), ()
                    await asyncio.sleep(_LOOK_PAUSE_S)
        except (TimeoutError, Unreached):
            pass
        finally:
            if fresh is not None:
                await close(fresh)
        return Kill.UNVERIFIED, pids

    async def _ask(self, connection: Connection | None) -> Found | None:
        if connection is None:
            return None
        return await ask(connection, self.endpoint, self.mark, self.recording.pid or 0, self.rights)


async def _drain(session: CommandSession, deadline: float) -> None:
    """Wait for the rest of the output: to its end, or until a process that holds it open has been silent for long enough."""
    while not session.drained.done():
        now = time.monotonic()
        patience_s = min(max(session.heard_at, session.ended_at) + _IDLE_S, deadline) - now
        if patience_s <= 0:
            return
        await asyncio.wait({session.drained}, timeout=patience_s)


def _duration_ms(session: CommandSession) -> int:
    return round(((session.ended_at or time.monotonic()) - session.opened_at) * _MS_PER_S)


def _not_begun(rights: Rights | None) -> str:
    by = "" if rights is None else f", or {rights.privilege.by} there"
    return f"the command had not begun and never will: is a start-up file of the login shell slow{by}?"


def _stop_detail(kill: Kill, pids: tuple[int, ...]) -> str:
    if pids:
        return "processes of the command could not be killed: " + " ".join(map(str, pids))
    return "" if kill is Kill.KILLED else "nobody could look whether processes of the command are left"
