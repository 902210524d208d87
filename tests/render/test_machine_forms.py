"""What machines read is what the schemas in the reference say, and JUnit XML is XML whatever a host prints."""

from __future__ import annotations

import io
import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests.render.stories import one_host, output, stopped_at_a_gate, told
from vigo.core.audit import Entry
from vigo.core.doctor import Check, CheckState
from vigo.core.events import (
    CancelRequested,
    Event,
    GateChecked,
    GateOpened,
    GateProbed,
    HostFinished,
    HostStarted,
    OutputPruned,
    PauseEnded,
    Record,
    TaskBlocked,
    TaskDispatched,
    TaskFinished,
    TaskPaused,
    TaskResumed,
    TaskStatus,
)
from vigo.core.model import HostResult, Kill, Outcome, Reason, Remains, RemainsState
from vigo.core.push import Push
from vigo.core.rollout import Run
from vigo.engine.gather import Learned
from vigo.render.audit import entry_json
from vigo.render.blocks import printed
from vigo.render.doctor import checks_json
from vigo.render.jsonl import EventPrinter, event_json
from vigo.render.junit import junit
from vigo.render.keys import KeyFailure, KeyRow, keys_json
from vigo.render.machine import SCHEMA, dump
from vigo.render.remains import remains_json
from vigo.render.report_state import Story
from vigo.render.reports import task_json
from vigo.render.traits import gathered_json

_SCHEMAS = Path(__file__).parents[2] / "docs/reference/schema"
_PUSH = Push("a", "/a", "/etc/a", 0o644, 3, "0" * 64)
_OPENING = TaskDispatched("ops", "uptime", "all", (("a", "b"),), push=_PUSH)
KEY_STATES = ("known", "new", "CHANGED", "revoked", "authority", "portless")
_DATA = b"out\xff\n"
_RESULTS = [
    HostResult(Outcome.COMPLETE, 42, 0, stdout=output(_DATA)),
    HostResult(Outcome.FAILED, 42, signal="KILL", stderr=output(b"text\n")),
    HostResult(Outcome.TIMEOUT, 60_000, kill=Kill.UNVERIFIED, kill_pids=(4, 5)),
    *(HostResult(Outcome.UNREACHABLE, reason=reason, detail="why") for reason in Reason),
    *(HostResult(outcome) for outcome in Outcome),
]
_EVENTS: list[Event] = [
    _OPENING,
    TaskBlocked("ops", "rm -rf /", "all", "rm -rf /", "rule", "reason", ("a",)),
    HostStarted("a", 0, "mark"),
    *(HostFinished("a", result) for result in _RESULTS),
    GateOpened(None),
    GateProbed(None, "tcp a:80", passed=True, detail="open", duration_ms=1),
    GateChecked(0, passed=False, detail="closed", duration_ms=1),
    PauseEnded(1),
    CancelRequested("SIGINT", now=True),
    TaskPaused("2 failed"),
    TaskResumed("ops", ("a",), ("b",), 2),
    TaskFinished(TaskStatus.ABORTED, "2 failed"),
]


def _schema(name: str) -> Draft202012Validator:
    schema = json.loads((_SCHEMAS / f"{name}.json").read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def _line(name: str) -> Draft202012Validator:
    schema = json.loads((_SCHEMAS / f"{name}.json").read_text())
    return Draft202012Validator({"$ref": "#/$defs/line", "$defs": schema["$defs"]})


def _kept(digest: str) -> bytes | None:
    return _DATA if digest == output(_DATA).kept_sha256 else None


def _two(*events: Event, alive: bool = False) -> Story:
    return told([TaskDispatched("ops", "uptime", "all", (("a", "b"),)), *events], {}, alive=alive)


def test_every_kind_of_event_is_what_its_schema_says() -> None:
    """Nothing is missing on either side, for every outcome and every reason."""
    schema = _schema("event")
    records = [one_host(b"x").records[0]]
    lines = [
        json.loads(dump(event_json(type(records[0])(n, records[0].at, "t1a2b3c4", event), _kept)))
        for n, event in enumerate(_EVENTS, start=1)
    ]
    for line in lines:
        schema.validate(line)
        schema.validate({**line, "data": dict(line["data"])})
        assert not schema.is_valid({**line, "data": {**line["data"], "more": 1}}), line["event"]
        for name in set(line["data"]) - {"push"}:
            assert not schema.is_valid({**line, "data": {k: v for k, v in line["data"].items() if k != name}})
    assert {line["event"] for line in lines} == set(schema.schema["properties"]["event"]["enum"])  # type: ignore[index]


def test_every_kind_of_event_is_in_the_audit_what_its_schema_says() -> None:
    """As a row with its columns, and as an entry in words; the kinds of all tasks' events, and the one of no task."""
    shown, rows = _line("audit-events"), _line("audit-rows")
    for event in (*_EVENTS, OutputPruned("ops", 7, 2)):
        record = Record(1, one_host(b"x").records[0].at, "t1a2b3c4", event, "0" * 64)
        line = json.loads(dump(entry_json(Entry(record, _OPENING))))
        shown.validate(line)
        assert not shown.is_valid({**line, "data": {**line["data"], "more": 1}}), line["event"]
        columns = {name: line[name] for name in ("schema", "seq", "at", "task", "data", "digest")}
        row = {**columns, "kind": line["event"], "host": None}
        rows.validate(row)
        assert not rows.is_valid({**row, "data": {**line["data"], "more": 1}}), line["event"]


def test_what_is_seldom_seen_is_what_its_schema_says() -> None:
    """Every state of a key, of what is left on a host, of a check; a host that gave no traits, for every outcome."""
    keys = [KeyRow("a", state, "ssh-ed25519", "SHA256:x", ("f:1",)) for state in KEY_STATES]
    failed = [KeyFailure("b", reason, "why") for reason in Reason]
    _schema("keys").validate(json.loads(keys_json(keys, failed)))
    remains = {str(n): Remains(state, 3, "KILL", (4,), "why") for n, state in enumerate(RemainsState)}
    left = json.loads(dump({"schema": SCHEMA, "task": "t1a2b3c4", "hosts": remains_json(remains)}))
    _schema("remains").validate(left)
    checks = [Check("tcp", state, "found", duration) for state in CheckState for duration in (None, 3)]
    _schema("doctor").validate(json.loads(checks_json("a", checks)))
    learned = [Learned("a", outcome, fault="cut off") for outcome in (*Outcome, None)]
    _schema("traits-gathered").validate(
        json.loads(dump(gathered_json(learned, "t1a2b3c4", "2026-03-13T12:30:00.000Z")))
    )


@pytest.mark.parametrize("path", sorted(_SCHEMAS.glob("*.json")), ids=lambda path: path.stem)
def test_no_object_of_a_schema_is_open(path: Path) -> None:
    """An object with named keys has no others, at any depth."""
    todo: list[object] = [json.loads(path.read_text())]
    while todo:
        part = todo.pop()
        if isinstance(part, dict):
            todo += [value for name, value in part.items() if name not in ("if", "then")]
            if "required" in part and "properties" in part:
                assert part["additionalProperties"] is False, part
        elif isinstance(part, list):
            todo += part


@pytest.mark.parametrize("story", [stopped_at_a_gate(40, 10, 2), one_host(b"\xff\x00")])
def test_a_task_is_what_its_schema_says(story: Story) -> None:
    """Also through JSON, and a field more or less is seen."""
    schema = _schema("task")
    task = json.loads(dump(task_json(story.task, story.status, story.kept)))
    schema.validate(task)
    assert not schema.is_valid({**task, "more": 1})
    assert not schema.is_valid({name: value for name, value in task.items() if name != "reason"})


def test_an_event_is_printed_at_once_and_as_history_tells_it() -> None:
    """One line an event, with the output of the host that ended."""
    story = one_host(b"x\n")
    out = io.StringIO()
    run = Run(_OPENING)
    printer = EventPrinter(out, story.kept)
    lines: list[str] = []
    for count, record in enumerate(story.records, start=1):
        printer.on_record(record, run)
        lines = out.getvalue().splitlines()
        assert len(lines) == count
        assert json.loads(lines[-1]) == event_json(record, story.kept)
    assert json.loads(lines[2])["data"]["stdout"]["text"] == "x\n"


@given(data=st.binary(max_size=200), text=st.text(max_size=40))
def test_junit_is_xml_whatever_a_host_prints(data: bytes, text: str) -> None:
    """Output, command, name and detail may hold anything."""
    story = one_host(data, command=text, host=f"w{text}", detail=text)
    root = ET.fromstring(junit(story.task, story.status, story.kept))
    assert root.attrib["failures"] == "1"
    told = root.findtext(".//failure") or ""
    assert told == printed(story.task.run.results[story.task.hosts[0]], story.kept)  # type: ignore[union-attr]


def test_a_host_is_a_test_case_and_a_failed_gate_is_too() -> None:
    """Red where the run stopped, with what failed hosts printed; hosts that never started are skipped."""
    story = stopped_at_a_gate(40, 10, 2)
    root = ET.fromstring(junit(story.task, story.status, story.kept))
    cases = root.findall(".//testcase")
    assert root.attrib == {**root.attrib, "tests": "43", "failures": "3", "errors": "1", "skipped": "20"}
    assert [case.get("name") for case in cases[-3:]] == [
        "health check after batch 0",
        "health check after batch 1",
        "task",
    ]
    failed = [case for case in cases if case.find("failure") is not None]
    assert failed[0].find("failure").get("message") == "[failed] exit=1"  # type: ignore[union-attr]
    assert "Job for nginx.service failed" in (failed[0].findtext("failure") or "")
    assert {case.get("classname") for case in cases} == {"systemctl restart nginx"}


@pytest.mark.parametrize(
    ("events", "alive", "tags"),
    [
        ([], True, ["skipped", "skipped", "error"]),
        ([HostStarted("a", 0)], False, ["error", "skipped", "error"]),
        ([TaskPaused("stopped after 1 batch")], False, ["skipped", "skipped"]),
        (
            [HostStarted("a", 0), HostFinished("a", HostResult(Outcome.LOST, detail="gone"))],
            True,
            ["error", "skipped", "error"],
        ),
    ],
)
def test_a_task_that_did_not_end_complete_is_no_green_build(
    events: list[Event], tags: list[str], *, alive: bool
) -> None:
    """Whatever is left without an outcome; a pause that was asked for is no failure."""
    story = _two(*events, alive=alive)
    root = ET.fromstring(junit(story.task, story.status, story.kept))
    assert [told.tag for case in root.findall(".//testcase") for told in case] == tags


def test_a_blocked_task_is_an_error_and_its_hosts_are_skipped() -> None:
    """With the pattern."""
    blocked = TaskBlocked("ops", "rm -rf /", "all", "rm -rf /", "rule", "reason", ("a",))
    story = told([blocked], {})
    root = ET.fromstring(junit(story.task, story.status, story.kept))
    assert [case.get("name") for case in root.findall(".//testcase")] == ["a", "task"]
    assert root.find(".//error").get("message") == "blocked: reason: rm -rf /"  # type: ignore[union-attr]
