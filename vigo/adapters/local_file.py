"""A local file, read once: its bytes are copied to a file without a name, so that nothing can change them any more."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
import weakref
from typing import IO

from vigo.core.errors import UsageError, VigoError
from vigo.core.push import check_size

_CHUNK_BYTES = 1024 * 1024


class LocalFile:
    """The bytes of a file as they were when it was read; on disk, whatever becomes of the file itself."""

    def __init__(self, copy: int, size_bytes: int, sha256: str, mode: int) -> None:
        """Take over the descriptor of the copy; it is closed with this object."""
        self.size_bytes = size_bytes
        self.sha256 = sha256
        self.mode = mode
        """As the system gives it, file type included."""
        self._copy = copy
        weakref.finalize(self, os.close, copy)

    def read(self, offset: int, size: int) -> bytes:
        """Return these bytes; fewer only at the end."""
        return os.pread(self._copy, size, offset)


def read_local(name: str) -> LocalFile:
    """Read a file whole. Raises UsageError for what is no plain file, is too large, or changes meanwhile."""
    try:
        # A FIFO without a writer would hold the open up for ever.
        descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK)
        try:
            return _copied(descriptor, name)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise UsageError(f"{name}: cannot be read: {error.strerror}; name a file that you can read") from error


def _copied(descriptor: int, name: str) -> LocalFile:
    before = os.fstat(descriptor)
    _check_kind(before.st_mode, name)
    check_size(before.st_size, name)
    digest = hashlib.sha256()
    size_bytes = 0
    with _nameless(name) as copy:
        while chunk := os.read(descriptor, _CHUNK_BYTES):
            size_bytes += len(chunk)
            if size_bytes > before.st_size:  # something goes on writing; it might never come to its end
                break
            digest.update(chunk)
            _write(copy, chunk, name)
        _check_unchanged(before, os.fstat(descriptor), size_bytes, name)
        return LocalFile(os.dup(copy.fileno()), size_bytes, digest.hexdigest(), before.st_mode)


def _nameless(name: str) -> IO[bytes]:
    try:
        return tempfile.TemporaryFile(prefix="vigo-", buffering=0)
    except OSError as error:
        raise _no_room(error, name) from error


def _write(copy: IO[bytes], chunk: bytes, name: str) -> None:
    rest = memoryview(chunk)
    try:
        while rest:
            rest = rest[copy.write(rest) :]
    except OSError as error:
        raise _no_room(error, name) from error


def _no_room(error: OSError, name: str) -> VigoError:
    return VigoError(
        f"{tempfile.gettempdir()}: cannot keep a copy of {name} there: {error.strerror}; make room, or set TMPDIR"
    )


def _check_kind(mode: int, name: str) -> None:
    if stat.S_ISDIR(mode):
        raise UsageError(
            f"{name}: is a directory, and one file is pushed; pack it (tar -czf it.tgz {name}), push the archive and unpack"
            " it there by a command"
        )
    if not stat.S_ISREG(mode):
        raise UsageError(f"{name}: is no plain file; copy what it gives into one and push that")


def _check_unchanged(before: os.stat_result, after: os.stat_result, size_bytes: int, name: str) -> None:
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or size_bytes != before.st_size:
        raise UsageError(f"{name}: changed while it was read; wait until whatever writes it has finished")
