"""SFTP for a lab host: its scratch home stands for the whole machine, and nothing outside of it can be reached.

A session becomes a command or a file service by what the client asks for; what OpenSSH's server does is the measure.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import asyncssh
from asyncssh.channel import SSHChannel
from asyncssh.stream import SSHServerStreamSession

from vigo.lab.command import Children, Command, Place
from vigo.lab.faults import SLOW_MS, Fault, FaultKind
from vigo.lab.places import make_home

_SFTP = "sftp"
_SFTP_VERSION = 3
_OUTSIDE = "it lies outside of the lab host's home"
_LIKE_A_MACHINE = ("etc", "opt", "srv", "tmp", "var")
"""Directories that a machine has, so that an absolute path leads somewhere."""


class Files(asyncssh.SFTPServer):
    """The files of one host. `/etc/motd` is `etc/motd` in its home; a path that is in its home already stays as it is."""

    def __init__(self, chan: asyncssh.SSHServerChannel[bytes], home: str) -> None:
        super().__init__(chan)
        self._home = os.fsencode(Path(home).resolve())

    def map_path(self, path: bytes) -> bytes:
        """Return where a path leads here; one that a link leads out of the home is refused."""
        absolute = os.path.normpath(os.path.join(self._home, path))  # noqa: PTH118 - bytes: names need not be text
        if not self._is_home(absolute):
            absolute = self._home + absolute if absolute != b"/" else self._home
        if absolute != self._home and not self._is_home(os.path.realpath(os.path.dirname(absolute))):  # noqa: PTH120 - likewise
            raise asyncssh.SFTPPermissionDenied(_OUTSIDE)
        return absolute

    def reverse_map_path(self, path: bytes) -> bytes:
        """Return a path as the client knows it: as it is, for the host's commands call it so too."""
        if not self._is_home(path):
            raise asyncssh.SFTPPermissionDenied(_OUTSIDE)
        return path

    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
        """Open a file, unless a link leads out of the home."""
        if not self._is_home(os.path.realpath(self.map_path(path))):
            raise asyncssh.SFTPPermissionDenied(_OUTSIDE)
        return super().open(path, pflags, attrs)

    def _is_home(self, path: bytes) -> bool:
        return path == self._home or path.startswith(self._home + b"/")


class Session(Command):
    """A session that runs a command or serves files."""

    _files: asyncssh.SSHServerSession[bytes] | None = None

    def __init__(self, place: Place, fault: Callable[[], Fault | None], children: Children) -> None:
        super().__init__(place, fault, children)
        self._home = place.home

    def subsystem_requested(self, subsystem: str) -> bool:
        """Agree to serve files, and to nothing else by that way."""
        if subsystem != _SFTP:
            return False
        make_home(self._home)
        for name in _LIKE_A_MACHINE:
            Path(self._home, name).mkdir(exist_ok=True)
        self._files = SSHServerStreamSession(None, self._open_files, _SFTP_VERSION)
        self._files.connection_made(self._channel)
        return True

    def _open_files(self, chan: SSHChannel[bytes]) -> asyncssh.SFTPServer:
        del chan  # it is the session's own
        return Files(self._channel, self._home)

    def session_started(self) -> None:
        """Start to serve, or play the host's fault."""
        if self._files is None:
            super().session_started()
            return
        match self._fault():
            case Fault(FaultKind.EXIT, int(exit_code)):
                self._channel.exit(exit_code)
            case Fault(FaultKind.SLOW):
                self._loop.call_later(SLOW_MS / 1000, self._serve)
            case _:
                self._serve()

    def _serve(self) -> None:
        if self._files is not None and not self._gone:
            self._files.session_started()

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """Hand on what the client sends."""
        if self._files is None:
            super().data_received(data, datatype)
        else:
            self._files.data_received(data, datatype)

    def eof_received(self) -> bool:
        """Hand on that the client sends nothing more."""
        return super().eof_received() if self._files is None else bool(self._files.eof_received())

    def pause_writing(self) -> None:
        """Hand on that the client is behind."""
        if self._files is None:
            super().pause_writing()
        else:
            self._files.pause_writing()

    def resume_writing(self) -> None:
        """Hand on that the client has caught up."""
        if self._files is None:
            super().resume_writing()
        else:
            self._files.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Hand on that the client is gone."""
        super().connection_lost(exc)
        if self._files is not None:
            self._files.connection_lost(exc)
