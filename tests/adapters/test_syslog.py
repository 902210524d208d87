"""The head line for the system's log, through a real datagram socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from vigo.adapters.store import Store
from vigo.adapters.store_audit import audit
from vigo.adapters.syslog import tell_head
from vigo.core.chain import Point
from vigo.core.events import HostStarted, TaskBlocked, TaskDispatched, TaskFinished, TaskStatus

LOG = Path("log")  # relative: the path of a socket must be short
BLOCKED = TaskBlocked("admin", "reboot", "all", "reboot", "f", "reboots", ("web-01",))


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def log() -> Iterator[socket.socket]:
    """Listen as a syslog daemon does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(os.fspath(LOG))
        listener.settimeout(0)
        yield listener


def heard(log: socket.socket) -> list[str]:
    """Return what has arrived."""
    lines = []
    with suppress(BlockingIOError):
        while True:
            lines.append(log.recv(65_536).decode())
    return lines


def test_each_head_is_told(log: socket.socket, tmp_path: Path) -> None:
    """A dispatch, an end and a block, with the digest of their rows; what only lies between them is not told."""
    with Store(tmp_path / "vigo", log=LOG) as store:
        first, lock = store.dispatch(TaskDispatched("admin", "uptime", "all", (("web-01",),)))
        store.append(first.task, [HostStarted("web-01", 0)])
        (end,) = store.append(first.task, [TaskFinished(TaskStatus.COMPLETE)])
        lock.release()
        block = store.block(BLOCKED)
    line = f"<85>vigo[{os.getpid()}]: journal head"
    assert heard(log) == [f"{line} {record.seq} {record.digest}" for record in (first, end, block)]
    assert [first.seq, end.seq, block.seq] == [1, 3, 4]


def test_the_line_comes_after_the_file(log: socket.socket, tmp_path: Path) -> None:
    """A head that could not be written is not told: the log vouches for nothing that a crash could take back."""
    with Store(tmp_path / "vigo", log=LOG) as store:
        store.block(BLOCKED)
        told = heard(log)
        (tmp_path / "vigo" / "head.json.new").mkdir()
        with pytest.raises(Exception, match=r"head\.json"):
            store.block(BLOCKED)
        assert (len(told), heard(log)) == (1, [])


def test_a_log_that_nobody_reads_delays_nothing(log: socket.socket, tmp_path: Path) -> None:
    """A full queue takes no more lines; the journal does not wait for it."""
    point = Point(1, "0" * 64)
    for _ in range(5_000):
        tell_head(point, LOG)
    with Store(tmp_path / "vigo", log=LOG) as store:
        store.block(BLOCKED)
        assert not audit(store).is_tampered
    assert 0 < len(heard(log)) < 5_000


@pytest.mark.parametrize("kind", ["nothing", "file", "folder", "stream", "deserted", "too long"])
def test_where_no_log_listens_nothing_is_said(kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The event and its head are on disk all the same, without a word."""
    place = LOG
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM if kind == "stream" else socket.SOCK_DGRAM) as listener:
        match kind:
            case "file":
                LOG.write_text("")
            case "folder":
                LOG.mkdir()
            case "stream" | "deserted":
                listener.bind(os.fspath(LOG))
            case "too long":
                place = Path("x" * 200)
            case _:
                pass
        if kind == "deserted":
            listener.close()
        with Store(tmp_path / "vigo", log=place) as store:
            store.block(BLOCKED)
            assert audit(store).head.state.value == "ok"
    assert capfd.readouterr() == ("", "")
