"""`vigo guard` as an operator and a script meet it."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
import typer

from vigo.cli.guard import LINE_MAX, app
from vigo.core.errors import ConfigError, UsageError
from vigo.core.guard import rules


def _vigo(*args: str) -> object:
    return typer.main.get_command(app).main(list(args), standalone_mode=False)


def test_an_allowed_command_exits_with_zero(capsys: pytest.CaptureFixture[str]) -> None:
    """A script can ask before it acts."""
    assert _vigo("check", "uptime") == 0
    assert "allow" in capsys.readouterr().out


def test_a_refused_command_exits_with_six_and_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    """Verdict, rule, pattern and the words themselves."""
    assert _vigo("check", "sudo systemctl stop vigo.service") == 6
    out = capsys.readouterr().out
    assert "unit-stop" in out
    assert "pattern:  systemctl stop vigo\n" in out
    assert "^^^" in out


def test_one_command_comes_as_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    """`-o json` for machines."""
    assert _vigo("check", "reboot", "-o", "json") == 6
    answer = json.loads(capsys.readouterr().out)
    assert (answer["schema"], answer["verdict"], answer["rule"]) == (1, "dispatch", "power")


def test_json_lines_are_answered_in_order_with_their_ids(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each question has one answer; an id is echoed, whatever it is; blank lines are no questions."""
    questions = tmp_path / "questions.jsonl"
    questions.write_text(
        '{"cmd": "uptime", "id": 7}\n\n{"cmd": "pkill vigo", "id": "b"}\n{"cmd": "ls"}\n', encoding="utf-8"
    )
    assert _vigo("check", "--input", str(questions)) == 6
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(a.get("id"), a["verdict"]) for a in answers] == [(7, "allow"), ("b", "hard"), (None, "allow")]
    assert "id" not in answers[2]
    assert answers[1]["match"] == "pkill vigo"


def test_questions_come_from_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--input -` makes it a filter; all allowed is exit 0."""
    monkeypatch.setattr(sys, "stdin", io.StringIO('{"cmd": "uptime"}\n'))
    assert _vigo("check", "--input", "-") == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "allow"


@pytest.mark.parametrize("line", ["nonsense", "[]", '{"id": 1}', '{"cmd": 3}', "[" * 100_000, " " + "x" * LINE_MAX])
def test_a_bad_line_is_named_with_its_place(line: str, tmp_path: Path) -> None:
    """The file and the line, and what a question looks like."""
    questions = tmp_path / "questions.jsonl"
    questions.write_text('{"cmd": "uptime"}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"questions\.jsonl:2: "):
        _vigo("check", "--input", str(questions))


@pytest.mark.parametrize("args", [(), ("uptime", "--input", "-")])
def test_one_question_is_asked_in_one_way(args: tuple[str, ...]) -> None:
    """A command or a file, not both and not neither."""
    with pytest.raises(UsageError, match="one command in quotes"):
        _vigo("check", *args)


def test_a_file_that_cannot_be_read_is_named() -> None:
    """The file, the reason, the way out."""
    with pytest.raises(ConfigError, match="missing"):
        _vigo("check", "--input", "/missing.jsonl")


@pytest.mark.parametrize("form", ["text", "tsv", "json", "jsonl"])
def test_the_table_of_rules_is_printed(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every rule, in every form."""
    assert _vigo("rules", "-o", form) == 0
    out = capsys.readouterr().out
    assert all(rule.name in out for rule in rules())
