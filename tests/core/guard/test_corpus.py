"""The corpus, written from the rules by somebody who had not seen the analyser, and the share of it that is met."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from vigo.core.guard import explain

CORPUS = Path(__file__).parent / "corpus"
EXACT = frozenset({"plain", "wrapped"})
Row = dict[str, str]


def _rows(verdict: str) -> list[Row]:
    return [json.loads(line) for line in (CORPUS / f"{verdict}.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def judged() -> list[tuple[Row, str]]:
    """Every row with the verdict of the analyser."""
    return [(row, explain(row["cmd"]).verdict) for verdict in ("hard", "dispatch", "allow") for row in _rows(verdict)]


def _shares(judged: list[tuple[Row, str]], *, refuse: bool) -> dict[str, float]:
    """By class, the share of refuse rows that were allowed, or of allow rows that were refused."""
    total: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    for row, verdict in judged:
        if (row["verdict"] != "allow") == refuse:
            total[row["class"]] += 1
            wrong[row["class"]] += (verdict == "allow") == refuse
    return {name: wrong[name] / total[name] for name in total}


def test_plain_and_wrapped_dangers_are_all_refused(judged: list[tuple[Row, str]]) -> None:
    """No plain or wrapped form passes; of the forms that need working out at most one in twenty does."""
    missed = _shares(judged, refuse=True)
    print("missed by class:", missed)
    assert all(missed[name] == 0 for name in EXACT & missed.keys())
    assert all(share <= 0.05 for share in missed.values())


def test_plain_and_wrapped_work_is_never_refused(judged: list[tuple[Row, str]]) -> None:
    """No harmless plain or wrapped command is refused; of the others at most two in a hundred are."""
    refused = _shares(judged, refuse=False)
    print("refused by class:", refused)
    assert all(refused[name] == 0 for name in EXACT & refused.keys())
    assert all(share <= 0.02 for share in refused.values())


def test_the_hard_guard_stops_what_is_hard_and_leaves_the_rest_to_the_dispatch_guard(
    judged: list[tuple[Row, str]],
) -> None:
    """The layer is right as well: what nothing may pass is hard, what a person may decide is not."""
    wrong = [row["cmd"] for row, verdict in judged if verdict != "allow" and verdict != row["verdict"]]
    assert len(wrong) <= len(judged) // 100, wrong
