"""A task as JUnit XML, for CI: a test case for each host and gate, and one for the task if it did not end complete.

All text is cleaned first, which leaves nothing that XML 1.0 cannot hold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from vigo.core.events import GateChecked, TaskStatus
from vigo.core.history import Task
from vigo.core.model import Outcome, Stream
from vigo.core.rollout import Run
from vigo.render.blocks import Kept, ending, printed
from vigo.render.sanitize import clean

_TAGS = {
    Outcome.FAILED: "failure",
    Outcome.TIMEOUT: "failure",
    Outcome.REJECTED: "failure",
    Outcome.UNREACHABLE: "error",
    Outcome.LOST: "error",
    Outcome.CANCELLED: "skipped",
    Outcome.SKIPPED: "skipped",
}
"""How a host is told that did not complete: the command failed there, nobody knows, or it was left out."""
_NO_RESULT = "skipped"


def junit(task: Task, status: TaskStatus, kept: Kept) -> str:
    """Return the whole document, with a newline at its end."""
    named = None if task.run is None else task.run.dispatched.task_name
    name = clean(named or task.request.command)
    cases = list(_cases(task, status, kept))
    for case in cases:
        case.set("classname", name)
    suite = Element("testsuite", {"name": name, **_counts(cases)})
    if task.created_at is not None:
        suite.set("timestamp", task.created_at[:19])  # the form has no place for a zone: UTC
    facts = SubElement(suite, "properties")
    for key, value in (
        ("task", task.id),
        ("target", task.request.target),
        ("operator", task.request.operator),
        ("status", status.value),
        ("reason", _reason(task)),
    ):
        SubElement(facts, "property", name=key, value=clean(value))
    suite.extend(cases)
    root = Element("testsuites", {"name": "vigo", **_counts(cases)})
    root.append(suite)
    indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(root, encoding="unicode")}\n'


def _cases(task: Task, status: TaskStatus, kept: Kept) -> Iterator[Element]:
    run = task.run
    if run is None:
        yield from (_case(host, 0, _NO_RESULT, status.value) for host in task.hosts)
    else:
        for host in run.hosts:
            yield _host(run, host, kept, interrupted=status is TaskStatus.INTERRUPTED)
        yield from map(_gate, run.gates)
    is_as_asked = status is TaskStatus.PAUSED and run is not None and run.halted is None
    if status is not TaskStatus.COMPLETE and not is_as_asked:
        yield _case("task", 0, "error", f"{status}: {_reason(task)}".removesuffix(": "))


def _host(run: Run, host: str, kept: Kept, *, interrupted: bool) -> Element:
    outcome = run.outcome(host, interrupted=interrupted)
    result = run.results.get(host)
    if result is None:
        word = outcome or ("running" if host in run.in_flight else "waiting")
        return _case(host, 0, _NO_RESULT if outcome is None else _TAGS[outcome], f"[{word}]")
    said = f"{ending(result)}{f': {result.detail}' if result.detail else ''}"
    tag = _TAGS.get(result.outcome)
    case = _case(host, result.duration_ms, tag, said)
    if tag in ("failure", "error"):  # what the host printed stands where CI shows it first
        case[0].text = printed(result, kept) or None
        return case
    for stream, name in ((Stream.STDOUT, "system-out"), (Stream.STDERR, "system-err")):
        text = printed(result, kept, stream)
        if text:
            SubElement(case, name).text = text
    return case


def _gate(gate: GateChecked) -> Element:
    after = "before the first batch" if gate.batch is None else f"after batch {gate.batch}"
    return _case(f"health check {after}", gate.duration_ms, None if gate.passed else "failure", gate.detail)


def _case(name: str, duration_ms: int, tag: str | None, said: str) -> Element:
    case = Element("testcase", name=clean(name), time=f"{duration_ms / 1000:.3f}")
    if tag is not None:
        SubElement(case, tag, message=clean(said))
    return case


def _counts(cases: list[Element]) -> dict[str, str]:
    tags = Counter(told.tag for case in cases for told in case)
    time_s = sum(float(case.get("time", "0")) for case in cases)
    return {
        "tests": str(len(cases)),
        "failures": str(tags["failure"]),
        "errors": str(tags["error"]),
        "skipped": str(tags["skipped"]),
        "time": f"{time_s:.3f}",
    }


def _reason(task: Task) -> str:
    if task.blocked is not None:
        return f"{task.blocked.reason}: {task.blocked.pattern}"
    return "" if task.run is None else task.run.reason
