from __future__ import annotations

import json
from pathlib import Path

import pytest

from vigo.core.guard import explain, rules

CASES = [json.loads(line) for line in (Path(__file__).parent / "cases.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("case", CASES, ids=[case["cmd"][:60] for case in CASES])
def test_a_command_is_judged_by_what_it_would_do(case: dict[str, str]) -> None:
    """Each form of a dangerous command is refused by the right guard, each harmless relation of one is allowed."""
    assert explain(case["cmd"]).verdict == case["verdict"], explain(case["cmd"])


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.name)
def test_a_rule_refuses_its_example_and_allows_the_near_relation(rule: object) -> None:
    """The table of rules is true: its examples are judged as it says, by the rule that it says."""
    (table_rule,) = (known for known in rules() if known is rule)
    judgement = explain(table_rule.example)
    assert judgement.finding is not None
    assert (judgement.finding.rule, judgement.finding.layer) == (table_rule.name, table_rule.layer)
    assert explain(table_rule.allowed).finding is None


@pytest.mark.parametrize(
    ("command", "pattern", "words"),
    [
        ("sudo systemctl stop vigo.service", "systemctl stop vigo", "systemctl stop vigo.service"),
        ("cd /srv && rm -rf vigo", "rm /srv/vigo", "rm -rf vigo"),
        ("ls; pkill -9 vigo; ls", "pkill vigo", "pkill -9 vigo"),
        ("sh -c 'true; systemctl stop vigo'", "systemctl stop vigo", "systemctl stop vigo"),
        ('X=vigo; systemctl stop "$X"', "systemctl stop vigo", 'systemctl stop "$X"'),
        ("echo hi > /srv/vigo/db", "> /srv/vigo/db", "/srv/vigo/db"),
        ("sudo rm -rf /srv/vigo/../vigo/x", "rm /srv/vigo/x", "rm -rf /srv/vigo/../vigo/x"),
        ("systemctl stop vi$x", "systemctl stop vi…", "systemctl stop vi$x"),
        ("echo c3lzdGVtY3RsIHN0b3Agdmlnbw== | base64 -d | sh", "systemctl stop vigo", None),
    ],
)
def test_a_finding_names_the_resolved_words_and_points_at_the_written_ones(
    command: str, pattern: str, words: str | None
) -> None:
    """The pattern is the canonical form; the span is where the deciding words stand in the text that was judged."""
    finding = explain(command).finding
    assert finding is not None
    assert finding.pattern == pattern
    start, end = finding.span
    assert words is None or command[start:end] == words
