"""Looks on a host for what is left of a command; reads and changes nothing there."""

from __future__ import annotations

import asyncio
import contextlib

from vigo.adapters.ssh_channel import end, open_channel
from vigo.adapters.ssh_connect import Connection, Connector, Progress, close
from vigo.adapters.ssh_errors import Unreached
from vigo.adapters.ssh_options import Endpoint
from vigo.adapters.ssh_session import CommandSession, Recording
from vigo.adapters.ssh_sudo import Rights
from vigo.core.command import Found, look, read_look
from vigo.core.model import Remains, RemainsState, Stream
from vigo.core.values import dataclass

_LOOK_S = 2.0
_LOOK_BYTES_MAX = 64 * 1024


@dataclass(frozen=True, slots=True)
class Look:
    """One look at one host, over a connection of its own."""

    connector: Connector
    endpoint: Endpoint
    mark: str
    rights: Rights | None = None
    """Those that the command had."""

    async def carry_out(self, timeout_ms: int) -> Remains:
        """Connect within the deadline, look, and say what was found. Raises Unreached when nobody could look."""
        progress = Progress()
        async with self.connector.deadline(timeout_ms, progress):
            connection = await self.connector.connect(self.endpoint, progress)
        try:
            found = await ask(connection, self.endpoint, self.mark, 0, self.rights)
        finally:
            await close(connection)
        if found is None:
            return Remains(RemainsState.UNREACHABLE, detail=f"{self.endpoint.place} gave no answer to the look")
        return _remains(found)


async def ask(
    connection: Connection, endpoint: Endpoint, mark: str, group: int, rights: Rights | None = None
) -> Found | None:
    """Return what is left of the command, or None if nobody could look within two seconds."""
    prompt = b"" if rights is None else rights.prompt(mark)
    recording = Recording(_LOOK_BYTES_MAX, mark, lambda _stream, _data: None, prompt=prompt)
    session = CommandSession(b"", recording)
    exec_string = look(mark, group, None if rights is None else rights.privilege, has_password=bool(prompt))

    def answered() -> bool:
        return session.exit_code == 0 or bool(recording.kept(Stream.STDOUT))

    with contextlib.suppress(TimeoutError, Unreached):
        async with asyncio.timeout(_LOOK_S):
            link = await open_channel(connection, endpoint.place, exec_string, session)
            try:
                if rights is not None:
                    await rights.obtain(session, endpoint, session.opened_at + _LOOK_S, answered)
                await asyncio.wait({session.drained})
            finally:
                session.close()
                await end(link.execution)
    return read_look(mark, recording.kept(Stream.STDOUT))


def _remains(found: Found) -> Remains:
    if found.exit_code is not None or found.signal is not None:
        return Remains(RemainsState.ENDED, found.exit_code, found.signal, found.pids)
    if found.is_running:
        return Remains(RemainsState.RUNNING, pids=found.pids)
    if found.is_ending:
        return Remains(RemainsState.RUNNING, pids=found.pids, detail="its time was up; it is being killed now")
    if found.pids:
        return Remains(
            RemainsState.RUNNING, pids=found.pids, detail="its wrapper is gone; these of its processes are left"
        )
    record = "no folder there is writable for one" if found.keeps_no_record else "it is kept until the deadline"
    return Remains(RemainsState.NOTHING, detail=f"no process and no record of it; {record}")
