"""An open channel on a connection: the border after which nothing is ever tried again."""

from __future__ import annotations

import asyncio
from typing import Any

from vigo.adapters.ssh_connect import Connection
from vigo.adapters.ssh_errors import Unreached
from vigo.adapters.ssh_session import CommandSession
from vigo.core.model import Reason
from vigo.core.values import dataclass


@dataclass(frozen=True, slots=True)
class Link:
    """An open channel: its connection, and the task that waits for the reply to the exec request."""

    connection: Connection
    execution: asyncio.Task[str | None]


async def open_channel(connection: Connection, place: str, exec_string: str, session: CommandSession) -> Link:
    """Open a channel and send the exec request. Raises Unreached when the server opens none; unbounded in time."""
    execution = asyncio.create_task(_execute(connection, exec_string, session))
    try:
        events: set[asyncio.Future[Any]] = {execution, session.opened}
        await asyncio.wait(events, return_when=asyncio.FIRST_COMPLETED)
    except BaseException:
        await end(execution)
        raise
    if not session.opened.done():
        refusal = execution.result() or "closed"
        raise Unreached(Reason.CHANNEL, f"{place} opens no session: {refusal}; see its log")
    return Link(connection, execution)


async def end(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait for its end."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()


async def _execute(connection: Connection, exec_string: str, session: CommandSession) -> str | None:
    """Send the exec request; None when it was accepted, else what the server or the wire said."""
    try:
        await connection.create_session(lambda: session, exec_string, encoding=None, request_pty=False)
    except Exception as error:  # noqa: BLE001 - a hostile peer can make asyncssh raise anything; foreign errors end here
        return str(error) or type(error).__name__
    return None
