"""A task as one HTML file: for a colleague, a change ticket, an auditor, or for paper.

The page has no script and asks for nothing: its policy allows its own style sheet, by digest, and nothing else. What
came from outside (output, names, commands, answers of services) passes `render/html` and so is only ever text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby

from vigo.core.events import GateChecked, TaskDispatched, TaskResumed, TaskStatus
from vigo.core.model import Outcome
from vigo.core.quantity import format_duration
from vigo.core.rollout import Run
from vigo.render.html import Html, join, lines_of, tag
from vigo.render.report_output import anchors, groups_html, logged, logs_html, names, told_groups
from vigo.render.report_state import WAITING, Look, Story, hosts, look_of, mark, tally, verdict_look
from vigo.render.report_style import CSS, POLICY
from vigo.render.report_timeline import drawing, table, timeline
from vigo.render.retyped import command_line

CHIPS_MAX = 2_000
_BATCHES_MAX = 200
_USUAL = frozenset({"complete", "skipped", "waiting"})
"""States whose word only a screen reader is told in each cell: the batch's line and the glyph have it."""
_WORDS = {
    TaskStatus.RUNNING: "It was still running when this report was made; it tells the story so far.",
    TaskStatus.PAUSED: "It is paused and can go on: vigo task resume {}",
    TaskStatus.INTERRUPTED: "Its control process ended without a verdict; what was in flight then is lost: its outcome "
    "is unknown. It can go on: vigo task resume {}",
}


def page(story: Story) -> str:
    """Return the whole file."""
    head = (
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", name="robots", content="noindex"),
        tag("title", f"vigo task {story.task.id}: {story.status}"),
        tag("style", Html(CSS)),
    )
    body = tag("main", *_sections(story))
    return f"<!DOCTYPE html>\n{tag('html', tag('head', *head), tag('body', body), lang='en')}\n"


def _sections(story: Story) -> Iterator[Html]:
    yield _header(story)
    run = story.run
    if run is not None:
        interrupted = story.status is TaskStatus.INTERRUPTED
        looks = {host: look_of(run, host, interrupted=interrupted) for host in run.hosts}
        yield _counts(list(looks.values()))
        yield from _section("Hosts by batch", _grid(run, looks))
        line = timeline(story.records)
        said = tag("details", tag("summary", "The same as a table"), table(line, run))
        yield from _section("Timeline", tag("div", drawing(line, run), said, class_="panel"))
        groups = told_groups(run)
        yield from _section("Output, equal output folded", groups_html(story, groups))
        yield from _section("Log of each host", logs_html(story, run, groups, interrupted=interrupted))
    yield from _section("Guard and audit", _audit(story))
    if run is not None:
        yield from _section("Run it again", *_again(story, run.dispatched))
    made = f"Made by vigo {story.version} from its journal at {_time(story.made_at)}. "
    yield tag("footer", made, "This page runs no script and asks nothing of any network.")


def _section(title: str, *parts: Html) -> Iterator[Html]:
    yield tag("section", tag("h2", title), *parts)


def _header(story: Story) -> Html:
    run, task = story.run, story.task
    complete = run is not None and run.counts()[Outcome.COMPLETE] == len(run.hosts)
    look = verdict_look(story.status, all_complete=complete)
    reason = task.blocked.reason if task.blocked else run.reason if run else ""
    parts = [
        tag("h1", mark(look), f" {look.word}", tag("span", f" · task {task.id}", class_="soft")),
        *([tag("p", reason, class_="why")] if reason else []),
        *([tag("p", _WORDS[story.status].format(task.id), class_="why")] if story.status in _WORDS else []),
        tag("pre", lines_of(task.request.command)),
        tag("p", f"{hosts(len(task.hosts))} of ", tag("code", task.request.target), class_="soft"),
    ]
    return tag("header", *parts, class_=look.tone)


def _counts(looks: Sequence[Look]) -> Html:
    items = (
        tag("li", mark(look), " ", tag("b", f"{count:,}"), f" {look.word}", class_=look.tone)
        for look, count in tally(looks)
    )
    return tag("ul", *items, class_="counts", aria_label="Hosts by outcome")


def _grid(run: Run, looks: dict[str, Look]) -> Html:
    """Return the batches in order; neighbours that nothing happened in are one."""
    gates = {gate.batch: gate for gate in run.gates}
    domain = _domain(run.hosts)
    numbers, entries = anchors(run), logged(run)
    parts = [_gate(gates[None])] if None in gates else []
    chips_left, drawn = CHIPS_MAX, 0
    for idle, some in groupby(enumerate(run.batches), key=lambda pair: _is_idle(pair[1], looks)):
        for number, batch in _merged(list(some)) if idle else ((str(n), b) for n, b in some):
            drawn += 1
            if drawn > _BATCHES_MAX:
                continue
            chips_left -= len(batch)
            cells = (
                _chips(batch, looks, numbers, entries, domain)
                if chips_left >= 0
                else tag("p", names(batch), class_="say")
            )
            parts += [_batch_head(number, batch, looks), cells]
            gate = gates.get(int(number)) if number.isdigit() else None
            parts += [_gate(gate)] if gate is not None else []
    if drawn > _BATCHES_MAX:
        parts.append(tag("p", f"{drawn - _BATCHES_MAX:,} more batches are not shown here.", class_="soft"))
    return tag("div", *parts, class_="panel")


def _is_idle(batch: Sequence[str], looks: dict[str, Look]) -> bool:
    return all(looks[host].word in ("skipped", WAITING.word) for host in batch)


def _merged(some: list[tuple[int, tuple[str, ...]]]) -> list[tuple[str, tuple[str, ...]]]:
    first, last = some[0][0], some[-1][0]
    name = str(first) if first == last else f"{first} to {last}"
    return [(name, tuple(host for _, batch in some for host in batch))]


def _batch_head(number: str, batch: Sequence[str], looks: dict[str, Look]) -> Html:
    word = "Batch" if number.isdigit() else "Batches"
    said = [join((mark(look), f" {count:,} {look.word}  ")) for look, count in tally(looks[host] for host in batch)]
    return tag(
        "div", tag("h3", f"{word} {number} · {hosts(len(batch))}"), tag("span", *said, class_="soft"), class_="batch"
    )


def _domain(names_: Sequence[str]) -> str:
    """Return what stands behind the first dot of every name, dot included; empty where that differs."""
    ends = {name.partition(".")[1] + name.partition(".")[2] for name in names_}
    return next(iter(ends)) if len(ends) == 1 else ""


def _chips(
    batch: Sequence[str], looks: dict[str, Look], numbers: dict[str, int], entries: frozenset[str], domain: str
) -> Html:
    cells = (_chip(host, domain, looks[host], f"#h{numbers[host]}" if host in entries else None) for host in batch)
    return tag("ul", *cells, class_="grid")


def _chip(host: str, domain: str, look: Look, place: str | None) -> Html:
    short = host.removesuffix(domain)
    name = short if place is None else tag("a", short, href=place)
    word = tag("span", f" {look.word}", class_="hide" if look.word in _USUAL else "soft")
    return tag("li", mark(look), " ", name, word, class_=look.tone, title=f"{host}: {look.word}")


def _gate(gate: GateChecked) -> Html:
    look = Look("✔", "passed", "ok") if gate.passed else Look("✖", "FAILED", "bad")
    place = "before the first batch" if gate.batch is None else f"after batch {gate.batch}"
    said = f" Health check {place} {look.word}: {gate.detail} ({format_duration(gate.duration_ms)})"
    return tag("p", mark(look), said, class_=f"gate {look.tone}")


def _audit(story: Story) -> Html:
    rows = [tag("tr", tag("th", name, scope="row"), tag("td", value)) for name, value in _facts(story)]
    return tag("div", tag("table", tag("tbody", *rows), class_="facts"), class_="panel")


def _facts(story: Story) -> Iterator[tuple[str, str | Html]]:
    task, request, run = story.task, story.task.request, story.run
    yield "Operator", request.operator
    for record in story.records:
        if isinstance(record.event, TaskResumed):
            yield "Resumed", f"by {record.event.operator} at {_time(record.at)}"
    yield "Dispatched" if run else "Refused", _time(task.created_at)
    yield "First host started", _time(task.started_at)
    yield "Finished", _time(task.finished_at)
    if task.blocked is not None:
        yield "Guard", f"blocked by rule {task.blocked.rule}: {task.blocked.reason}; pattern: {task.blocked.pattern}"
    if run is not None:
        yield from _run_facts(run.dispatched)
    first, last = story.records[0], story.records[-1]
    yield (
        "Events",
        tag(
            "span",
            "from ",
            tag("code", f"{first.seq}:{first.digest}"),
            " to ",
            tag("code", f"{last.seq}:{last.digest}"),
        ),
    )
    yield "Chain", story.chain


def _run_facts(opening: TaskDispatched) -> Iterator[tuple[str, str]]:
    if opening.forced:
        yield "Guard", f"FORCED: the dispatch guard's finding was passed over: {opening.pattern}"
    else:
        yield "Guard", "nothing found by the dispatch guard; nothing was forced"
    if opening.task_name:
        yield "Named task", opening.task_name
    if opening.params:
        yield "Params", ", ".join(f"{name}={value}" for name, value in opening.params)
    if opening.parent:
        yield "Origin", f"{opening.relation} of task {opening.parent}"
    if opening.rollback:
        yield "Rollback command", opening.rollback
    if opening.push is not None:
        yield "File", f"{opening.push.source}, {opening.push.size_bytes:,} bytes, sha256 {opening.push.sha256}"
    if opening.inventory:
        yield "Inventory", opening.inventory


def _again(story: Story, opening: TaskDispatched) -> Iterator[Html]:
    yield tag("pre", lines_of(command_line(opening)))
    if opening.secret_params:
        yield tag(
            "p",
            f"Secret: {', '.join(opening.secret_params)}; put a file that holds it in the place of FILE.",
            class_="say",
        )
    again = f"vigo task rerun {story.task.id}"
    yield tag(
        "p",
        "It is a new task on all of its targets. On those that did not complete: ",
        tag("code", again),
        class_="say",
    )


def _time(at: str | None) -> str:
    return "-" if at is None else f"{datetime.fromisoformat(at):%Y-%m-%d %H:%M:%S} UTC"
