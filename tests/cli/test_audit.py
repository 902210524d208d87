"""`vigo audit` as an operator meets it: lines, exit codes, forms."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer

from vigo.adapters.store import Store
from vigo.cli.audit import app, read_time
from vigo.core.errors import VigoError
from vigo.core.events import HostFinished, HostStarted, TaskBlocked, TaskDispatched, TaskFinished, TaskStatus
from vigo.core.model import HostResult, Outcome, Output

KEPT = b"up 45 days\n"
DIGEST = hashlib.sha256(KEPT).hexdigest()
NO_ANCHOR = "a full rewrite cannot be excluded without an off-host anchor\n"


@dataclass(frozen=True, slots=True)
class Said:
    """What the program answered."""

    code: int
    out: str
    err: str


Vigo = Callable[..., Said]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Name a data folder that does not exist yet."""
    return tmp_path / "vigo"


@pytest.fixture
def journal(folder: Path) -> Path:
    """Make a journal of a task that ran, and one that was blocked."""
    output = Output(len(KEPT), DIGEST, len(KEPT), DIGEST, len(KEPT))
    with Store(folder, new_id=iter(["taaaaaaa", "tbbbbbbb"]).__next__) as store:
        record, lock = store.dispatch(TaskDispatched("anna", "uptime", "@db", (("db-01", "db-02"),)))
        for host in ("db-01", "db-02"):
            store.append(record.task, [HostStarted(host, 0)])
            store.append(record.task, [HostFinished(host, HostResult(Outcome.COMPLETE, 42, 0, stdout=output))], [KEPT])
        store.append(record.task, [TaskFinished(TaskStatus.COMPLETE)])
        lock.release()
        store.block(TaskBlocked("bert", "reboot \x1b[2J", "all", "reboot", "f", "reboots", ("db-01",)))
    return folder


@pytest.fixture
def audit(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Vigo:
    """Run `vigo audit …` in this process."""
    monkeypatch.setenv("VIGO_DATA_DIR", str(folder))

    def run(*words: str) -> Said:
        try:
            code = int(
                typer.main.get_command(app).main(list(words), prog_name="vigo audit", standalone_mode=False) or 0
            )
        except VigoError as error:
            code, message = int(error.exit_code), str(error)
            assert len(message.splitlines()) == 1
            return Said(code, capsys.readouterr().out, message)
        return Said(code, *capsys.readouterr())

    return run


def change(folder: Path, statement: str) -> None:
    """Do as somebody with a SQLite shell does."""
    connection = sqlite3.connect(folder / "journal.db")
    with connection:
        connection.execute(statement)
    connection.close()


def test_verify_says_that_nothing_is_wrong(audit: Vigo, journal: Path) -> None:
    """Four lines, exit 0, nothing on stderr."""
    said = audit("verify")
    assert said == Said(0, f"chain: ok\nhead: ok\ncompleteness: all ended\n{NO_ANCHOR}", "")
    assert journal.exists()


def test_verify_of_no_journal_says_so(audit: Vigo, folder: Path) -> None:
    """There is nothing wrong with nothing, but it is said where vigo looked."""
    said = audit("verify")
    assert (said.code, said.out.splitlines()[:2]) == (0, ["chain: ok", "head: missing"])
    assert str(folder / "journal.db") in said.err
    assert not folder.exists()


def test_verify_names_interrupted_and_running_tasks(audit: Vigo, journal: Path) -> None:
    """Neither is tampering."""
    with Store(journal, new_id=iter(["tccccccc", "tddddddd", "teeeeeee"]).__next__) as store:
        for _ in range(2):
            store.dispatch(TaskDispatched("anna", "uptime", "@db", (("db-01",),)))[1].release()
        with store.dispatch(TaskDispatched("anna", "uptime", "@db", (("db-01",),)))[1]:
            said = audit("verify")
    assert said.code == 0
    assert "completeness: 2 interrupted: tccccccc tddddddd; 1 running: teeeeeee\n" in said.out


def test_verify_counts_how_far_the_head_is_behind(audit: Vigo, journal: Path) -> None:
    """What a crash between event and head leaves."""
    with Store(journal) as store:
        record, lock = store.dispatch(TaskDispatched("anna", "uptime", "@db", (("db-01",),)))
        store.append(record.task, [HostStarted("db-01", 0)])
        lock.release()
    said = audit("verify")
    assert said.code == 0
    assert "head: behind by 1\n" in said.out


@pytest.mark.parametrize(
    ("statement", "line", "place"),
    [
        ("UPDATE events SET at = at || 'x' WHERE seq = 3", "chain: BROKEN at seq 3", "event 3"),
        ("DELETE FROM events WHERE seq = 4", "chain: BROKEN at seq 4", "event 4 is missing"),
        ("DELETE FROM events WHERE seq > 5", "head: MISMATCH", "2 events are missing"),
        ("UPDATE output SET data = x'00'", "chain: ok", "task taaaaaaa, host db-01, stdout is changed (event 3)"),
        ("DELETE FROM output", "chain: ok", "task taaaaaaa, host db-02, stdout is missing (event 5)"),
    ],
)
def test_verify_exits_8_and_names_the_place(audit: Vigo, journal: Path, statement: str, line: str, place: str) -> None:
    """The lines on stdout, the place on stderr."""
    change(journal, statement)
    said = audit("verify")
    assert said.code == 8
    assert line in said.out.splitlines()
    assert place in said.err


def test_verify_exits_7_when_it_cannot_read(audit: Vigo, journal: Path) -> None:
    """A file that is no journal."""
    (journal / "journal.db").write_text("hello")
    assert audit("verify").code == 7


def test_an_anchor_kept_elsewhere_finds_a_rewrite(audit: Vigo, journal: Path, tmp_path: Path) -> None:
    """Given as text or as a file of several."""
    anchor = audit("anchor").out
    assert re.fullmatch(r"7:[0-9a-f]{64}\n", anchor)
    file = tmp_path / "anchors"
    file.write_text(f"# kept on another machine\n\n{anchor}{anchor}")
    for given in (anchor.strip(), str(file)):
        assert audit("verify", "--anchor", given).out.endswith("\nanchor: ok\n")
    forged = f"7:{'0' * 64}"
    said = audit("verify", "--anchor", str(file), "--anchor", forged)
    assert (said.code, said.out.splitlines()[-1]) == (8, "anchor: MISMATCH at seq 7")
    beyond = audit("verify", "--anchor", f"70:{'0' * 64}")
    assert (beyond.code, "event 70" in beyond.err) == (8, True)
    assert json.loads(audit("anchor", "-o", "json").out) == {"schema": 1, "seq": 7, "digest": anchor.strip()[2:]}
    assert journal.exists()


def test_anchors_that_are_none_are_refused(audit: Vigo, journal: Path, tmp_path: Path) -> None:
    """2 for a text that is no anchor, 7 for a file that cannot be read."""
    (tmp_path / "empty").write_text("# nothing\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for given, code in ((tmp_path / "empty", 2), ("7:xyz", 2), (tmp_path / "binary", 7), (tmp_path / "missing", 7)):
        assert audit("verify", "--anchor", str(given)).code == code
    assert journal.exists()


def test_a_broken_or_empty_journal_is_not_anchored(audit: Vigo, folder: Path) -> None:
    """To vouch for it would help the one who broke it."""
    assert audit("anchor").code == 4
    with Store(folder) as store:
        store.block(TaskBlocked("bert", "reboot", "all", "reboot", "f", "reboots"))
    change(folder, "UPDATE events SET at = 'x'")
    assert audit("anchor").code == 8


def test_verify_answers_machines(audit: Vigo, journal: Path) -> None:
    """One object with everything that the lines say."""
    change(journal, "DELETE FROM output")
    said = audit("verify", "-o", "json")
    answer = json.loads(said.out)
    assert said.code == 8
    assert (answer["schema"], answer["tampered"], answer["broken_seq"], answer["head"]) == (1, True, None, "ok")
    first = {"seq": 3, "task": "taaaaaaa", "host": "db-01", "stream": "stdout", "what": "missing"}
    assert answer["outputs"][0] == first
    assert audit("verify", "-o", "tsv").out == audit("verify").out


def test_show_answers_who_did_what_where(audit: Vigo, journal: Path) -> None:
    """By host, operator, task, event; what came from outside cannot drive the terminal."""
    lines = audit("show", "--host", "db-01").out.splitlines()
    assert [line.split()[0] for line in lines] == ["1", "2", "3", "7"]
    assert "anna" in lines[2]
    assert "complete exit=0 uptime" in lines[2]
    assert "\x1b" not in lines[3]
    assert "reboot \\x1b[2J" in lines[3]
    assert len(audit("show", "--operator", "bert").out.splitlines()) == 1
    assert len(audit("show", "--task", "ta", "--event", "host.*").out.splitlines()) == 4
    assert audit("show", "--since", "1h", "--until", "2999-01-01").out.count("\n") == 7
    assert audit("show", "--until", "90d").out == ""
    assert journal.exists()


def test_show_has_forms_for_machines(audit: Vigo, journal: Path) -> None:
    """Tab-separated with a header, jsonl and json with the schema, times in UTC."""
    tsv = audit("show", "-o", "tsv").out.splitlines()
    assert tsv[0] == "seq\tat\ttask\toperator\tevent\thost\twhat"
    assert {line.count("\t") for line in tsv} == {6}
    lines = [json.loads(line) for line in audit("show", "-o", "jsonl").out.splitlines()]
    assert [line["seq"] for line in lines] == list(range(1, 8))
    assert {line["schema"] for line in lines} == {1}
    assert lines[6]["data"]["command"] == "reboot \x1b[2J"
    assert json.loads(audit("show", "-o", "json").out) == {"schema": 1, "events": lines}
    assert journal.exists()


def test_export_is_every_row_with_its_digest(audit: Vigo, journal: Path) -> None:
    """In jsonl or json; other forms are refused with a hint."""
    lines: list[dict[str, Any]] = [json.loads(line) for line in audit("export").out.splitlines()]
    assert [line["seq"] for line in lines] == list(range(1, 8))
    assert set(lines[0]) == {"schema", "seq", "at", "task", "kind", "host", "data", "digest"}
    assert json.loads(audit("export", "-o", "json").out)["events"] == lines
    assert audit("export", "-o", "text").code == 2
    change(journal, "UPDATE events SET data = '{' WHERE seq = 2")
    assert audit("export").code == 7


def test_prune_drops_old_output_and_no_event(audit: Vigo, journal: Path) -> None:
    """It is recorded, and verify is content."""
    assert "0 kept outputs older than 90d dropped" in audit("prune", "--older-than", "90d").err
    assert audit("show", "--event", "output.pruned").out == ""
    assert "1 kept output older than 1ms dropped" in audit("prune", "--older-than", "1ms", "--operator", "carl").err
    shown = audit("show", "--event", "output.pruned").out
    assert "carl" in shown
    assert audit("verify").code == 0
    with Store(journal) as store:
        assert store.kept(DIGEST) is None


def test_prune_of_no_journal_makes_none(audit: Vigo, folder: Path) -> None:
    """There is nothing to drop."""
    assert audit("prune", "--older-than", "90d").code == 0
    assert not folder.exists()


@pytest.mark.parametrize("text", ["", "yesterday", "90w", "2026-13-01", "999999999999h", "-1d"])
def test_times_that_are_none_are_refused(audit: Vigo, text: str) -> None:
    """With the flag in the message, exit 2."""
    for words in (["show", "--since", text], ["show", "--until", text], ["prune", "--older-than", text]):
        said = audit(*words)
        assert (said.code, words[1] in said.err) == (2, True)


def test_local_times_become_utc() -> None:
    """Dates, times with and without a zone."""
    assert read_time("2026-03-13T12:30:00+02:00", flag="--since") == "2026-03-13T10:30:00.000Z"
    assert re.fullmatch(r"2026-03-1[234]T\d\d:\d\d:00\.000Z", read_time("2026-03-13", flag="--since"))
