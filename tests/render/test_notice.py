"""The notice and its schema say the same."""

from __future__ import annotations

import json
from pathlib import Path

from tests.render.stories import one_host, stopped_at_a_gate
from vigo.core.events import TaskStatus
from vigo.core.model import Outcome
from vigo.render.notice import NAMES_MAX, notice_json

_SCHEMA = json.loads((Path(__file__).parents[2] / "docs/reference/schema/notice.json").read_text())


def test_a_stop_at_a_gate_is_told_with_its_numbers() -> None:
    """Status, reason, hosts by outcome, the gate and what to type next."""
    story = stopped_at_a_gate(20, 10, 1)
    assert story.run is not None
    notice = notice_json(story.task.id, story.run, story.status)
    assert (notice["status"], notice["targets"]) == ("aborted", 20)
    assert notice["counts"] == {"complete": 9, "failed": 1, "skipped": 10}
    assert notice["hosts"]["skipped"] == "web-[00011-00020].example.com"
    assert notice["failed_gate"] == {"batch": 0, "detail": "http://shop.example.com/health: HTTP 503"}
    assert notice["next"][0] == "vigo task rerun t1a2b3c4 --only failed,skipped"


def test_the_schema_names_what_a_notice_has() -> None:
    """No property is missing on either side, nor an outcome, nor a status in which a control process can leave a task."""
    story = one_host(b"x\n")
    assert story.run is not None
    notice = notice_json(story.task.id, story.run, story.status)
    assert set(notice) == set(_SCHEMA["properties"]) == set(_SCHEMA["required"])
    assert set(_SCHEMA["$defs"]["outcome"]["enum"]) == set(Outcome)
    left = set(TaskStatus) - {TaskStatus.RUNNING, TaskStatus.BLOCKED}
    assert set(_SCHEMA["properties"]["status"]["enum"]) == left


def test_a_notice_stays_short() -> None:
    """Names that do not fold are cut; the counts are whole."""
    story = one_host(b"x\n", host="x" * (NAMES_MAX + 1))
    assert story.run is not None
    notice = notice_json(story.task.id, story.run, story.status)
    assert notice["hosts"]["failed"] == "x" * NAMES_MAX + "…"
    assert notice["counts"] == {"failed": 1}
