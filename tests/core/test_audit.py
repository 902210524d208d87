"""Verdicts on the journal: what is tampering, what is a crash, and who did what."""

from __future__ import annotations

import json

import pytest

from vigo.core.audit import (
    AnchorReport,
    Audit,
    DamagedOutput,
    Entry,
    HeadReport,
    HeadState,
    Question,
    entries,
    judge_head,
    kept_digests,
)
from vigo.core.chain import ChainReport, Point, canonical
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
from vigo.core.model import HostResult, Outcome, Output, Reason, Stream
from vigo.core.payload import to_payload

WHOLE = ChainReport(9, Point(9, "a" * 64))
FINE = HeadReport(HeadState.OK)
DISPATCHED = TaskDispatched("anna", "reboot", "@db", (("db-01", "db-02"),), forced=True, pattern="reboot")
BLOCKED = TaskBlocked("bert", "mkfs /dev/sda", "all", "mkfs", "f", "formats", ("db-01", "web-01"))
HISTORY: list[tuple[str, Event]] = [
    ("t1", DISPATCHED),
    ("t1", HostStarted("db-01", 0)),
    ("t2", BLOCKED),
    ("t1", HostFinished("db-01", HostResult(Outcome.FAILED, 42, 3))),
    ("t1", GateChecked(0, passed=False, detail="HTTP 503", duration_ms=1)),
    ("t1", CancelRequested("SIGINT", now=True)),
    ("t1", TaskFinished(TaskStatus.CANCELLED, "cancelled by SIGINT")),
    ("", OutputPruned("carl", 5, 2)),
]


def history() -> list[Entry]:
    """Join the events above, one a minute."""
    records = [Record(n, f"2026-03-13T12:{n:02}:00.000Z", task, event) for n, (task, event) in enumerate(HISTORY, 1)]
    return list(entries(iter(records)))


@pytest.mark.parametrize(
    ("audit", "tampered"),
    [
        (Audit(WHOLE, FINE), False),
        (Audit(WHOLE, HeadReport(HeadState.BEHIND, 3), interrupted=("t1",), running=("t2",)), False),
        (Audit(WHOLE, FINE, storage=("wrong # of entries in index",)), False),
        (Audit(WHOLE, FINE, anchors=(AnchorReport(Point(9, "a" * 64), fits=True),)), False),
        (Audit(ChainReport(9, None, 1, "gone"), FINE), True),
        (Audit(WHOLE, HeadReport(HeadState.MISMATCH, cause="ahead")), True),
        (Audit(WHOLE, FINE, anchors=(AnchorReport(Point(9, "b" * 64), fits=False),)), True),
        (Audit(WHOLE, FINE, outputs=(DamagedOutput(4, "t1", "db-01", Stream.STDOUT, "missing"),)), True),
        (Audit(WHOLE, FINE, schema=("trigger hide",)), True),
    ],
)
def test_tampering_is_told_from_what_a_crash_leaves(audit: Audit, *, tampered: bool) -> None:
    """Rules 1 and 2."""
    assert audit.is_tampered is tampered


def test_a_head_is_ok_behind_missing_or_a_mismatch() -> None:
    """A head that is missing is explained by a crash at the first event alone."""
    point = Point(7, "a" * 64)
    assert judge_head(point, "a" * 64, 7, only_openings=False) == HeadReport(HeadState.OK)
    assert judge_head(point, "a" * 64, 9, only_openings=False) == HeadReport(HeadState.BEHIND, 2)
    assert judge_head(None, None, 1, only_openings=True) == HeadReport(HeadState.MISSING)
    gone = judge_head(None, None, 9, only_openings=False)
    assert gone.state is HeadState.MISSING
    assert gone.cause
    ahead, other = judge_head(point, None, 5, only_openings=False), judge_head(point, "b" * 64, 9, only_openings=False)
    assert ahead.state is other.state is HeadState.MISMATCH
    assert "2 events are missing" in ahead.cause
    assert "event 7 is not the one" in other.cause


def test_the_kept_output_of_a_row_is_read_from_its_text() -> None:
    """What was empty or not kept names nothing."""
    out, err = Output(9, "a" * 64, 9, "b" * 64, 9), Output(9, "c" * 64, 0)
    result = HostResult(Outcome.COMPLETE, stdout=out, stderr=err)
    text = canonical(to_payload(HostFinished("db-01", result))).decode()
    assert list(kept_digests(text)) == [(Stream.STDOUT, "b" * 64)]
    quiet = json.dumps(to_payload(HostFinished("db-01", HostResult(Outcome.COMPLETE))))
    assert list(kept_digests(quiet)) == []


@pytest.mark.parametrize(
    "data", [None, 1, "{", "{}", "[]", '{"stdout": 1, "stderr": 1}', '{"stdout": [], "stderr": []}']
)
def test_a_row_that_was_never_written_names_no_output(data: object) -> None:
    """One kind of error, whatever stands there."""
    with pytest.raises(ValueError, match=r"."):
        list(kept_digests(data))


def test_each_record_says_who_where_and_what() -> None:
    """Joined with the request of its task."""
    assert [(entry.operator, entry.host, entry.text) for entry in history()] == [
        ("anna", "", "reboot -> @db (forced: reboot)"),
        ("anna", "db-01", "reboot"),
        ("bert", "", "mkfs /dev/sda -> all (blocked: mkfs)"),
        ("anna", "db-01", "failed exit=3 reboot"),
        ("anna", "", "batch 0: failed: HTTP 503"),
        ("anna", "", "cancelled by SIGINT at once"),
        ("anna", "", "cancelled: cancelled by SIGINT"),
        ("carl", "", "2 kept outputs named before event 5 were dropped"),
    ]


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (GateOpened(None), "before the first batch: the health check began"),
        (GateOpened(2), "batch 2: the health check began"),
        (GateProbed(2, "tcp web-01:80", passed=False, detail="refused", duration_ms=2), "batch 2: tcp web-01:80: failed: refused"),
        (GateProbed(None, "http://lb/", passed=True, detail="HTTP 200", duration_ms=2), "before the first batch: http://lb/: passed: HTTP 200"),
        (GateChecked(None, passed=True, detail="HTTP 200", duration_ms=2), "before the first batch: passed: HTTP 200"),
        (PauseEnded(1), "the pause before batch 1 ended"),
        (TaskPaused("3 failures, 2 allowed: a, b, c"), "paused: 3 failures, 2 allowed: a, b, c"),
        (TaskResumed("bert"), "resumed by bert"),
        (TaskResumed("bert", ("db-01", "db-02"), (), 2), "resumed by bert lost=db-01,db-02 stop_after=2"),
        (TaskResumed("bert", (), ("db-01",)), "resumed by bert again=db-01"),
    ],
)  # fmt: skip
def test_every_turn_of_a_task_is_one_short_line(event: Event, said: str) -> None:
    """In the words of the operator."""
    assert Entry(Record(2, "2026", "t1", event), DISPATCHED).text == said


def test_a_resume_is_the_doing_of_who_resumed_and_about_the_hosts_it_decides_on() -> None:
    """Whoever asks what happened to a host is told that somebody gave it up, or had it started again."""
    entry = Entry(Record(2, "2026", "t1", TaskResumed("bert", ("db-01",), ("db-02",))), DISPATCHED)
    assert entry.operator == "bert"
    assert [host for host in ("db-01", "db-02", "db-03") if Question(host=host).matches(entry)] == ["db-01", "db-02"]


def test_a_record_without_its_request_still_says_what_it_can() -> None:
    """Other outcomes and passes, and a task whose opening is not there."""
    unreachable = HostFinished("db-01", HostResult(Outcome.UNREACHABLE, reason=Reason.REFUSED))
    passed = GateChecked(1, passed=True, detail="HTTP 200", duration_ms=1)
    events: list[Event] = [unreachable, passed, CancelRequested("operator"), TaskFinished(TaskStatus.COMPLETE)]
    found = list(entries(Record(n, "2026", "t9", event) for n, event in enumerate(events)))
    assert [entry.text for entry in found] == [
        "unreachable reason=refused ",
        "batch 1: passed: HTTP 200",
        "cancelled by operator",
        "complete",
    ]
    assert {entry.operator for entry in found} == {""}
    plain = TaskDispatched("anna", "uptime", "all", ())
    assert Entry(Record(1, "2026", "t1", plain), plain).text == "uptime -> all"


@pytest.mark.parametrize(
    ("question", "seqs"),
    [
        (Question(), [1, 2, 3, 4, 5, 6, 7, 8]),
        (Question(host="db-01"), [1, 2, 3, 4]),
        (Question(host="DB-0?"), [1, 2, 3, 4]),
        (Question(host="web-*"), [3]),
        (Question(operator="anna"), [1, 2, 4, 5, 6, 7]),
        (Question(operator="c*"), [8]),
        (Question(task="t2"), [3]),
        (Question(kind="host.*"), [2, 4]),
        (Question(kind="task.dispatch"), [1]),
        (Question(since="2026-03-13T12:03:00.000Z", until="2026-03-13T12:05:00.000Z"), [3, 4]),
        (Question(host="db-01", operator="anna", kind="host.finished"), [4]),
    ],
)
def test_questions_are_answered_by_host_operator_task_event_and_time(question: Question, seqs: list[int]) -> None:
    """A dispatch answers for each of its hosts."""
    assert [entry.record.seq for entry in history() if question.matches(entry)] == seqs
