"""What a lab host's files are to a client: its home stands for the machine, and nothing else can be reached."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncssh
import pytest

from tests.lab.labkit import ask, connect, home_of
from vigo.lab.state import RunningLab

_T = TypeVar("_T")
WEB = "web-01.example.com"


def with_files(lab: RunningLab, use: Callable[[asyncssh.SFTPClient], Awaitable[_T]]) -> _T:
    """Open an SFTP session on one host and use it."""

    async def session() -> _T:
        async with connect(lab, WEB) as connection, connection.start_sftp_client() as sftp:
            return await use(sftp)

    return asyncio.run(session())


def test_files_lie_where_commands_find_them(lab: RunningLab) -> None:
    """A relative path in the home, an absolute one below it; a path that is in the home already as it is."""
    home = home_of(lab, WEB)

    async def write(sftp: asyncssh.SFTPClient) -> list[str]:
        names = ("plain", "/etc/absolute", f"{home}/whole")
        for name in names:
            async with sftp.open(name, "w") as file:
                await file.write(name)
        return [str(await sftp.realpath(name)) for name in (".", *names)]

    places = [f"{home}/{name}" for name in ("plain", "etc/absolute", "whole")]
    assert with_files(lab, write) == [str(home), *places]
    assert ask(lab, WEB, "cat plain etc/absolute whole").stdout.decode() == f"plain/etc/absolute{home}/whole"


def test_nothing_outside_of_the_home_can_be_reached(lab: RunningLab) -> None:
    """Neither by dots nor by a link that leads out, such as the one to the stand-ins that all hosts share."""
    ask(lab, WEB, "ln -sfn / out; ln -sfn /etc/hostname name")

    async def try_out(sftp: asyncssh.SFTPClient) -> str:
        for path in ("out/etc/x", "bin/systemctl", "out/../../x", "name"):
            with pytest.raises((asyncssh.SFTPPermissionDenied, asyncssh.SFTPNoSuchFile)):
                async with sftp.open(path, "w") as file:
                    await file.write("x")
        with pytest.raises(asyncssh.SFTPPermissionDenied):
            await sftp.realpath("bin")
        return str(await sftp.realpath("../../../../.."))

    assert with_files(lab, try_out) == str(home_of(lab, WEB))


def test_commands_run_beside_files_as_before(lab: RunningLab) -> None:
    """On one connection, and a subsystem that is no file service is refused."""

    async def both() -> tuple[bytes, int]:
        async with connect(lab, WEB) as connection, connection.start_sftp_client() as sftp:
            done = await connection.run("printf 12 >two; cat two", encoding=None)
            mode = (await sftp.stat("two")).permissions
            with pytest.raises(asyncssh.ChannelOpenError):
                await connection.open_session(subsystem="netconf")
            assert isinstance(done.stdout, bytes)
            assert mode is not None
            return done.stdout, stat.S_IFMT(mode)

    assert asyncio.run(both()) == (b"12", stat.S_IFREG)
