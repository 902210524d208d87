"""`vigo task report`: from the journal to a file."""

from __future__ import annotations

import hashlib
import io
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Vigo
from vigo.adapters.store import Store
from vigo.cli.console import Console
from vigo.cli.report import report_task
from vigo.core.errors import Exit, NoMatchError, UsageError
from vigo.core.events import HostFinished, HostStarted, TaskDispatched, TaskFinished, TaskStatus
from vigo.core.model import HostResult, Outcome, Output

_DATA = b"restarted\n"
_DIGEST = hashlib.sha256(_DATA).hexdigest()
_DONE = HostResult(Outcome.COMPLETE, 42, 0, stdout=Output(len(_DATA), _DIGEST, len(_DATA), _DIGEST, len(_DATA)))


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """Return the journal that the command reads."""
    monkeypatch.setenv("VIGO_DATA_DIR", str(tmp_path / "data"))
    with Store(tmp_path / "data") as store:
        yield store


def begun(store: Store) -> str:
    """Write a task with one host that ended and one in flight, whose control process is gone."""
    record, lock = store.dispatch(TaskDispatched("ops", "restart", "all", (("web-01", "web-02"),)))
    with lock:
        store.append(record.task, [HostStarted("web-01", 0), HostStarted("web-02", 0)])
        store.append(record.task, [HostFinished("web-01", _DONE)], [_DATA])
    return record.task


def reported(task: str | None, place: str) -> tuple[Exit, str, str]:
    """Run the command and return its exit code, standard output and standard error."""
    console = Console(io.StringIO(), io.StringIO(), io.StringIO())
    code = report_task(task, place, console)
    return code, console.out.getvalue(), console.err.getvalue()  # type: ignore[attr-defined]


def test_a_report_is_written_whole_and_for_its_owner_alone(store: Store, tmp_path: Path) -> None:
    """Over an older report too; nothing else is left in the folder."""
    task, place = begun(store), tmp_path / "out" / "report.html"
    place.parent.mkdir()
    place.write_text("old")
    place.chmod(0o644)
    code, out, err = reported(task[:4], str(place))
    assert (code, out) == (Exit.OK, "")
    assert f"report of task {task} (interrupted): {place}" in err
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert list(place.parent.iterdir()) == [place]
    assert place.read_text().startswith("<!DOCTYPE html>")


def test_an_interrupted_task_is_told_as_one(store: Store) -> None:
    """What was in flight is lost, and the page says how it goes on."""
    task = begun(store)
    code, text, _ = reported(None, "-")
    assert code is Exit.OK
    assert "Its control process ended without a verdict" in text
    assert f"vigo task resume {task}" in text
    assert "web-02: lost" in text


def test_a_running_task_has_a_report_so_far(store: Store) -> None:
    """It says that it is not the end, on the page and on standard error."""
    record, lock = store.dispatch(TaskDispatched("ops", "restart", "all", (("web-01", "web-02"),)))
    with lock:
        store.append(record.task, [HostStarted("web-01", 0)])
        code, text, err = reported(record.task, "-")
    assert code is Exit.OK
    assert "It was still running when this report was made" in text
    assert "web-01: running" in text
    assert "still runs" in err


def test_a_changed_journal_gives_a_report_that_says_so(store: Store, tmp_path: Path) -> None:
    """Exit 8 for a broken chain and for kept output that is not what was kept."""
    task = begun(store)
    store.append(task, [HostFinished("web-02", _DONE), TaskFinished(TaskStatus.COMPLETE)])
    store.close()
    database = next((tmp_path / "data").glob("*.db"))
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE output SET data = ?", (b"forged",))
        connection.execute("UPDATE events SET data = replace(data, 'exit_code\":0', 'exit_code\":1') WHERE seq = 4")
    code, text, err = reported(task, "-")
    assert code is Exit.TAMPERED
    assert "chain is BROKEN at seq 4" in text
    assert "chain is BROKEN at seq 4" in err
    assert f"kept output {_DIGEST[:12]}… was changed" in err
    assert "forged" not in text


def test_what_cannot_be_reported_is_refused(store: Store, tmp_path: Path) -> None:
    """An unknown task, and a place that is a folder; nothing is written."""
    begun(store)
    with pytest.raises(NoMatchError, match="no task 'tzzz'"):
        reported("tzzz", str(tmp_path / "x.html"))
    with pytest.raises(UsageError, match="not a regular file"):
        reported(None, str(tmp_path))


def test_the_command_needs_a_place(vigo: Vigo) -> None:
    """Exit 2 without `--html`, exit 4 where there is no task."""
    assert vigo("task", "report", "t1").code == 2
    assert vigo("task", "report", "--html", "-").code == 4
