"""The steps that bring a file to its place on one host, over an SFTP session that is open.

Nothing here knows deadlines: whoever waits for it may cancel it at any time, ask what has been begun, and clear away.
"""

from __future__ import annotations

import asyncio
import hashlib
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import cast

import asyncssh
from asyncssh.constants import FXF_CREAT, FXF_EXCL, FXF_READ, FXF_WRITE

from vigo.core.guard import FileOrder, Finding, Placement, Refusal
from vigo.core.push import join, split
from vigo.core.values import dataclass

_PACKET_BYTES = 255 * 1024
"""What OpenSSH's server takes in one write; a server that says less gets less."""
_IN_FLIGHT_BYTES = 1024 * 1024
"""Sent and not yet answered: the bound on what one host takes of our memory."""
_IN_FLIGHT_MAX = 64
_READ_BYTES = 255 * 1024
_PRIVATE = 0o600
_TEMPORARY = ".vigo-"
_WORDS_MAX = 160


class Failed(Exception):  # noqa: N818 - it is a finding about a host on its way to a HostResult
    """The host answered, and the file cannot be brought to its place; the message is one line for the operator."""


class Refused(Exception):  # noqa: N818 - likewise
    """The path leads to a place that the hard guard protects."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.pattern)
        self.finding = finding


@dataclass(slots=True, eq=False)
class Placing:
    """One file being brought to its place."""

    sftp: asyncssh.SFTPClient
    order: FileOrder
    mark: str
    is_renaming: bool = False
    """Whether the file was asked to get its name, and no answer has come: nobody can know whether it has it."""
    temporary: str | None = None
    """The path that holds the bytes until then; None before it was asked for and after it is gone."""

    async def carry_out(self) -> None:
        """Bring the file there, whole.

        Raises Failed or Refused; then the temporary file may still be there. Whatever else it raises says that the
        connection is of no use any more.
        """
        file = await self._resolved()
        stands_there = await self._look(file)
        directory, _ = split(file.path)
        self.temporary = join(directory, f"{_TEMPORARY}{self.mark}")
        await self._write(file, self.temporary)
        await self._rename(file, self.temporary, stands_there=stands_there)
        self.temporary = None

    async def clear_away(self) -> bool:
        """Remove the temporary file; whether none is left. Unbounded in time."""
        if self.temporary is None:
            return True
        try:
            await self.sftp.remove(self.temporary)
        except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
            pass
        except (asyncssh.Error, OSError):
            return False
        self.temporary = None
        return True

    async def _resolved(self) -> Placement:
        """Return the file with its place as the host knows it, if the hard guard lets it go there."""
        directory, name = split(self.order.file.path)
        with _saying(f"cannot look at {directory}", directory):
            found = await self.sftp.realpath(directory)
        order = self.order.at(join(found, name))
        if isinstance(order, Refusal):
            raise Refused(order.finding)
        return order.file

    async def _look(self, file: Placement) -> bool:
        """Say whether something stands at the place; raises Failed when it cannot be replaced by a file."""
        with _saying(f"cannot look at {file.path}", split(file.path)[0]):
            try:
                mode = (await self.sftp.lstat(file.path)).permissions
            except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
                return False
        if not file.replaces:
            raise Failed(f"{file.path} is there already, and --no-replace was given")
        if mode is not None and stat.S_ISDIR(mode):
            raise Failed(f"{file.path} is a directory; end REMOTE with / to put the file into it")
        if mode is not None and stat.S_IFMT(mode) and not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
            raise Failed(f"{file.path} is a device, a pipe or a socket, and no file")
        return True

    async def _write(self, file: Placement, path: str) -> None:
        """Make the temporary file, private at first, with its mode before its content, and all of it on disk."""
        directory, _ = split(path)
        try:
            with _saying(f"cannot make a file in {directory}", directory):
                flags = FXF_READ | FXF_WRITE | FXF_CREAT | FXF_EXCL
                there = await self.sftp.open(
                    path, flags, asyncssh.SFTPAttrs(permissions=_PRIVATE), encoding=None, block_size=0
                )
        except Failed:
            self.temporary = None  # what may stand there is not ours
            raise
        with _saying(f"cannot set mode {file.mode:04o} in {directory}", directory):
            await there.setstat(asyncssh.SFTPAttrs(permissions=file.mode))
        try:
            with _saying(f"cannot write in {directory}", directory):
                await self._fill(there, file)
        except Failed:
            await self._blame_the_disk(directory, file)
            raise

    async def _fill(self, there: asyncssh.SFTPClientFile, file: Placement) -> None:
        """Have every byte in the file and on the host's disk; raises Failed when it is not what was sent."""
        await self._send(there, file)
        with suppress(asyncssh.SFTPOpUnsupported):
            await there.fsync()
        size = (await there.stat()).size
        if size != file.size_bytes:
            raise Failed(f"the host holds {size} bytes of the {file.size_bytes} that it said it has written")
        if file.verifies and await _digest(there, file.size_bytes) != file.sha256:
            raise Failed("what was read back is not what was sent; is the host's disk or memory failing?")
        await there.close()

    async def _send(self, there: asyncssh.SFTPClientFile, file: Placement) -> None:
        """Write every byte, several packets under way at a time."""
        content = file.content
        if content is None:
            raise ValueError("a file order without its file")
        packet = _packet_bytes(self.sftp.limits.max_write_len)
        offsets = iter(range(0, file.size_bytes, packet))

        async def write_some() -> None:
            for offset in offsets:
                await there.write(content.read(offset, min(packet, file.size_bytes - offset)), offset)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(max(1, min(_IN_FLIGHT_BYTES // packet, _IN_FLIGHT_MAX))):
                    group.create_task(write_some())
        except BaseExceptionGroup as errors:  # one reason is enough, and the callers know single errors
            raise errors.exceptions[0] from None

    async def _blame_the_disk(self, directory: str, file: Placement) -> None:
        """Raise Failed if the host has no room: SFTP itself has no word for that."""
        with suppress(asyncssh.Error, OSError):
            found = await self.sftp.statvfs(directory)
            free_bytes = found.bavail * found.frsize
            if free_bytes < file.size_bytes:
                raise Failed(
                    f"no space left in {directory}: {free_bytes:,} bytes are free, the file has {file.size_bytes:,}"
                )

    async def _rename(self, file: Placement, temporary: str, *, stands_there: bool) -> None:
        """Give the file its name: the one request after which the destination may be another file."""
        self.is_renaming = True
        try:
            with _saying(f"cannot give the file its name {file.path}", split(file.path)[0]):
                try:
                    await self._rename_once(file, temporary, stands_there=stands_there)
                except asyncssh.SFTPBadMessage as error:  # an answer that nobody can read is none
                    raise asyncssh.SFTPConnectionLost(error.reason) from None
        except Failed:
            self.is_renaming = False
            if not file.replaces:
                await self._look(file)
            raise
        self.is_renaming = False

    async def _rename_once(self, file: Placement, temporary: str, *, stands_there: bool) -> None:
        if file.replaces:
            try:
                await self.sftp.posix_rename(temporary, file.path)
            except asyncssh.SFTPOpUnsupported:
                if stands_there:
                    raise Failed(
                        f"the server cannot replace {file.path} in one step (it has no posix-rename@openssh.com);"
                        " remove that file by a command first, or choose another name"
                    ) from None
            else:
                return
        await self.sftp.rename(temporary, file.path)  # which replaces nothing


def _packet_bytes(most: int) -> int:
    return min(most or _PACKET_BYTES, _PACKET_BYTES)


async def _digest(there: asyncssh.SFTPClientFile, size_bytes: int) -> str:
    """Return the hex SHA-256 of what a file on the host holds now."""
    digest = hashlib.sha256()
    at = 0
    while at < size_bytes:
        data = cast("bytes", await there.read(_READ_BYTES, at))
        if not data:
            break
        digest.update(data)
        at += len(data)
    return digest.hexdigest()


@contextmanager
def _saying(what: str, directory: str) -> Iterator[None]:
    """Turn an answer of the server that says no into Failed; a connection that is gone stays what it is."""
    try:
        yield
    except (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection):
        raise
    except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath, asyncssh.SFTPNotADirectory):
        raise Failed(f"no such directory: {directory}; make it by a command first") from None
    except (asyncssh.SFTPPermissionDenied, asyncssh.SFTPWriteProtect):
        raise Failed(f"{what}: permission denied to this login") from None
    except (asyncssh.SFTPNoSpaceOnFilesystem, asyncssh.SFTPQuotaExceeded):
        raise Failed(f"{what}: no space left there") from None
    except asyncssh.SFTPError as error:
        words = " ".join(error.reason.split())[:_WORDS_MAX]
        raise Failed(f"{what}: the server says {words!r}") from None
