"""How a judgement is shown, and that the page of rules is the table of rules."""

from __future__ import annotations

from pathlib import Path

from vigo.core.guard import explain, rules
from vigo.render import guard as render

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "guard-rules.md"


def test_the_page_of_rules_is_written_from_the_table() -> None:
    """The documentation cannot say anything else than the code: write the page anew when this fails."""
    assert PAGE.read_text(encoding="utf-8") == render.rules_page(rules())


def test_carets_stand_under_the_words_that_matched() -> None:
    """The operator sees which of the words it was."""
    command = "uptime; sudo systemctl stop vigo.service; ls"
    lines = render.judgement_text(command, explain(command)).splitlines()
    at = next(at for at, line in enumerate(lines) if line.strip().startswith("^"))
    start = lines[at].index("^")
    assert lines[at - 1][start : start + lines[at].count("^")] == "systemctl stop vigo.service"


def test_a_long_line_is_shown_around_the_words_that_matched() -> None:
    """A window of the line is enough, also when the command has several lines."""
    command = "true\n" + "echo " + "a" * 300 + "; pkill vigo; " + "b" * 300 + "\ntrue"
    shown = render.judgement_text(command, explain(command))
    assert "pkill vigo" in shown
    assert max(map(len, shown.splitlines())) < 120


def test_control_characters_of_a_command_reach_no_terminal() -> None:
    """What a command carries is shown escaped."""
    command = "echo '\x1b[2J'; systemctl stop vigo"
    assert "\x1b" not in render.judgement_text(command, explain(command))


def test_what_cannot_be_read_says_why() -> None:
    """The reason names what was in the way."""
    command = "rm -rf 'x"
    assert "not correct shell" in render.judgement_text(command, explain(command))


def test_dispatch_findings_say_that_force_passes_them() -> None:
    """Each guard's part is told apart."""
    assert "--force passes it" in render.judgement_text("reboot", explain("reboot"))


def test_an_allowed_command_is_one_line_for_people_and_an_object_for_machines() -> None:
    """Nothing matched: nothing is named."""
    assert "allow" in render.judgement_text("uptime", explain("uptime"))
    answer = render.judgement_json("uptime", explain("uptime"))
    assert answer == {
        "schema": 1,
        "cmd": "uptime",
        "verdict": "allow",
        "rule": None,
        "match": None,
        "pattern": None,
        "reason": None,
        "span": None,
        "resolved": [],
    }


def test_the_table_comes_in_every_form() -> None:
    """Text, tabs and objects name every rule."""
    for rule in rules():
        assert rule.name in render.rules_text(rules())
        assert rule.name in render.rules_tsv(rules())
        assert render.rule_json(rule)["rule"] == rule.name
