from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from vigo.adapters.import_write import write_file
from vigo.core.errors import ConfigError, UsageError


def test_a_new_file_is_written_whole_and_an_old_one_left_alone(tmp_path: Path) -> None:
    """Replacing has to be asked for; it keeps the mode and follows a link. Nothing else is left in the folder."""
    path = tmp_path / "hosts.yaml"
    write_file(path, "one\n", replace=False)
    with pytest.raises(UsageError, match=r"hosts\.yaml is there; add --replace, or name another file"):
        write_file(path, "two\n", replace=False)
    assert path.read_text() == "one\n"
    path.chmod(0o640)
    (tmp_path / "link").symlink_to(path)
    write_file(tmp_path / "link", "two\n", replace=True)
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("two\n", 0o640)
    assert (tmp_path / "link").is_symlink()
    write_file(tmp_path / "new", "x", replace=True)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["hosts.yaml", "link", "new"]


def test_what_is_no_file_is_not_written_to(tmp_path: Path) -> None:
    """A folder, a device, a place that is not there."""
    for path in (tmp_path, Path("/dev/null")):
        with pytest.raises(UsageError, match="is not a regular file"):
            write_file(path, "x", replace=True)
    with pytest.raises(ConfigError, match="cannot be written: No such file or directory"):
        write_file(tmp_path / "nowhere/hosts.yaml", "x", replace=False)


def test_a_file_that_comes_between_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither where the file system has links nor where it has none."""
    path = tmp_path / "hosts.yaml"

    def late(self: Path, *, strict: bool = False) -> None:
        del self, strict
        path.write_text("theirs")
        raise OSError(errno.EPERM, "no links here")

    link = os.link

    def later(source: Path, target: Path) -> None:
        path.write_text("theirs")
        link(source, target)

    for fake in (later, lambda *_: late(path)):
        path.unlink(missing_ok=True)
        monkeypatch.setattr(os, "link", fake)
        with pytest.raises(UsageError, match="is there"):
            write_file(path, "ours", replace=False)
        assert path.read_text() == "theirs"
        assert [entry.name for entry in tmp_path.iterdir()] == ["hosts.yaml"]


def test_a_file_system_without_links_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any other error of linking is told."""

    def refuse(number: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", lambda *_: refuse(errno.EOPNOTSUPP))
    write_file(tmp_path / "a", "x", replace=False)
    assert (tmp_path / "a").read_text() == "x"
    monkeypatch.setattr(os, "link", lambda *_: refuse(errno.EIO))
    with pytest.raises(ConfigError, match="b: cannot be written: Input/output error"):
        write_file(tmp_path / "b", "x", replace=False)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]
