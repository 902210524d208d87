"""A local file is read once: what is sent later is what was read, whatever becomes of the file."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

import pytest

from vigo.adapters.local_file import read_local
from vigo.core.errors import UsageError, VigoError
from vigo.core.push import SIZE_BYTES_MAX


@pytest.mark.parametrize("size", [0, 1, 3_000_001])
def test_the_bytes_are_those_that_were_read(tmp_path: Path, size: int) -> None:
    """Also after the file was overwritten in place, cut or removed."""
    path = tmp_path / "file"
    data = os.urandom(size)
    path.write_bytes(data)
    path.chmod(0o4750)
    found = read_local(str(path))
    path.write_bytes(b"another")
    path.unlink()
    assert (found.size_bytes, found.sha256) == (size, hashlib.sha256(data).hexdigest())
    assert found.mode & 0o7777 == 0o4750
    assert found.read(0, size + 1) == data
    assert found.read(size // 2, 10) == data[size // 2 : size // 2 + 10]


def test_what_is_no_plain_file_is_refused_with_the_way_out(tmp_path: Path) -> None:
    """A directory, a pipe that nobody writes to, nothing at all; none of them is waited for."""
    os.mkfifo(tmp_path / "pipe")
    for name, words in ((".", "tar -czf"), ("pipe", "is no plain file"), ("gone", "No such file")):
        with pytest.raises(UsageError, match=words):
            read_local(str(tmp_path / name))


def test_a_file_beyond_the_bound_is_not_read(tmp_path: Path) -> None:
    """Its size is enough to say so."""
    path = tmp_path / "large"
    path.touch()
    os.truncate(path, SIZE_BYTES_MAX + 1)
    with pytest.raises(UsageError, match="at most 268,435,456 are pushed"):
        read_local(str(path))


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of one version and half of another is no version; nobody waits for the end of something that grows."""
    path = tmp_path / "log"
    path.write_bytes(b"x" * 100)
    read = os.read

    def read_and_append(descriptor: int, size: int) -> bytes:
        with path.open("ab") as file:
            file.write(b"y")
        return read(descriptor, size)

    monkeypatch.setattr(os, "read", read_and_append)
    with pytest.raises(UsageError, match="changed while it was read"):
        read_local(str(path))


def test_no_room_for_the_copy_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the folder that is meant, which is not the file's."""
    (tmp_path / "file").write_text("x")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(VigoError, match="No such file or directory; make room, or set TMPDIR"):
        read_local(str(tmp_path / "file"))
