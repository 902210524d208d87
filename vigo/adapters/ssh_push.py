"""One file to one place on one host, over SFTP: whole or not at all, and at most once.

Rule 1: everything happens under a temporary name in the destination's own directory; the one rename at the end is the
only thing that touches the destination. Until it is asked for, the destination is as it was, whatever goes wrong.
Rule 2: the request to rename is the border. A connection that dies between it and the answer leaves the outcome
unknown: `lost`. It is asked once.
Rule 3: the host says where the path really leads, and the hard guard judges that place too before anything is written.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import field
from typing import Any

import asyncssh
from asyncssh.constants import OPEN_REQUEST_SESSION_FAILED

from vigo.adapters.ssh_channel import end
from vigo.adapters.ssh_connect import Connection, Connector, Progress, close
from vigo.adapters.ssh_errors import Unreached
from vigo.adapters.ssh_options import Endpoint
from vigo.adapters.ssh_placing import Failed, Placing, Refused
from vigo.core.guard import FileOrder
from vigo.core.model import HostResult, Limits, Outcome, Reason
from vigo.core.values import dataclass

_MS_PER_S = 1000
_CLEAR_S = 1.0
"""How long the removal of the temporary file may take, if the grace is not shorter."""


class NoFiles(Exception):  # noqa: N818 - it is a finding about a host on its way to a HostResult
    """The host lets the login in and offers no SFTP."""


@dataclass(slots=True, eq=False)
class FilePush:
    """One file order on its way."""

    connector: Connector
    endpoint: Endpoint
    order: FileOrder
    limits: Limits
    connect_timeout_ms: int
    mark: str
    """Becomes a part of the temporary name: nobody could know it before."""
    _cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    _opening: asyncio.Task[tuple[Connection, asyncssh.SFTPClient]] | None = None

    def cancel(self) -> None:
        """Have the transfer given up, unless the file is getting its name this moment."""
        self._cancelled.set()
        if self._opening is not None:
            self._opening.cancel()

    async def carry_out(self) -> HostResult:
        """Bring the file to its place. Raises Unreached if nothing was written because the host was not reached."""
        self._opening = asyncio.create_task(self._open())
        try:
            connection, sftp = await self._opening
        except NoFiles as error:
            return HostResult(Outcome.FAILED, detail=str(error))
        except asyncio.CancelledError:
            if not self._cancelled.is_set() or not self._opening.cancelled():
                await end(self._opening)
                raise
            return HostResult(Outcome.CANCELLED, detail="cancelled while connecting; nothing was written")
        try:
            return await self._watch(Placing(sftp, self.order, self.mark), sftp)
        finally:
            await close(connection)

    async def _open(self) -> tuple[Connection, asyncssh.SFTPClient]:
        """Get as far as an SFTP session, inside the connect deadline."""
        progress = Progress()
        async with self.connector.deadline(self.connect_timeout_ms, progress):
            return await self.connector.reach(self.endpoint, progress, self._session)

    async def _session(self, connection: Connection) -> tuple[Connection, asyncssh.SFTPClient]:
        place = self.endpoint.place
        try:
            sftp = await connection.start_sftp_client(path_encoding="utf-8", path_errors="surrogateescape")
        except asyncssh.ChannelOpenError as error:
            if error.code != OPEN_REQUEST_SESSION_FAILED:
                raise Unreached(Reason.CHANNEL, f"{place} opens no session: {error.reason}; see its log") from error
        except Exception as error:  # a hostile peer can make asyncssh raise anything; foreign errors end here
            if connection.is_closed():
                raise Unreached(Reason.CHANNEL, f"{place} dropped the connection before a word of SFTP") from error
        else:
            return connection, sftp
        raise NoFiles(f"{place} offers no SFTP; add `Subsystem sftp internal-sftp` to its sshd_config")

    async def _watch(self, placing: Placing, sftp: asyncssh.SFTPClient) -> HostResult:
        """Wait for the end, the deadline, a cancel or the session's death, whichever comes first."""
        began = time.monotonic()
        work = asyncio.create_task(placing.carry_out())
        closed = asyncio.create_task(sftp.wait_closed())
        events: set[asyncio.Task[Any]] = {work, closed, asyncio.create_task(self._cancelled.wait())}
        try:
            await asyncio.wait(events, timeout=self.limits.timeout_ms / _MS_PER_S, return_when=asyncio.FIRST_COMPLETED)
            if placing.is_renaming:  # the answer is on its way, and worth more than the time
                await asyncio.wait({work}, timeout=self.limits.grace_ms / _MS_PER_S)
            outcome, detail = await self._judge(work, placing, is_closed=closed.done())
        finally:
            for event in events:
                await end(event)
        return HostResult(outcome, round((time.monotonic() - began) * _MS_PER_S), detail=_printable(detail))

    async def _judge(self, work: asyncio.Task[None], placing: Placing, *, is_closed: bool) -> tuple[Outcome, str]:
        """Say how it ended. What still works is given up, and what it has begun is cleared away."""
        error = work.exception() if work.done() else None
        if work.done() and error is None:
            return Outcome.COMPLETE, ""
        if isinstance(error, Refused):
            return Outcome.REJECTED, error.finding.pattern
        if isinstance(error, Failed):
            return Outcome.FAILED, str(error) + await self._clear(placing)
        if placing.is_renaming:
            path = self.order.file.path
            return Outcome.LOST, f"no answer when the file was to get its name: {path} is the new file or the old one"
        if self._cancelled.is_set() and not work.done():
            await end(work)
            return Outcome.CANCELLED, "given up; nothing was replaced" + await self._clear(placing)
        if work.done() or is_closed:
            return Outcome.FAILED, self._broken(error, placing)
        await end(work)
        return Outcome.TIMEOUT, "given up at the deadline; nothing was replaced" + await self._clear(placing)

    async def _clear(self, placing: Placing) -> str:
        """Clear away what is left of a file that did not get its name; what there is to say about it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(_CLEAR_S, self.limits.grace_ms / _MS_PER_S)):
                if await placing.clear_away():
                    return ""
        return f"; {placing.temporary} may be left there"

    def _broken(self, error: BaseException | None, placing: Placing) -> str:
        """Say what a connection that broke off has left. Raises Unreached if that is nothing."""
        words = f" ({type(error).__name__}: {error})" if error is not None and str(error) else ""
        if placing.temporary is None:
            raise Unreached(
                Reason.CHANNEL,
                f"{self.endpoint.place} dropped the connection before anything was written{words}; see its log",
            )
        return f"the connection broke off{words}; nothing was replaced, {placing.temporary} may be left there"


def _printable(words: str) -> str:
    """Return words of a host as text that the journal takes: names there need not be UTF-8."""
    return words.encode("utf-8", "backslashreplace").decode()
