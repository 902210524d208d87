"""When what happened: the batches, gates and pauses of a run as a drawing, and the same as a table.

Time is drawn to scale, but for the waits before a resume: these may last for days and are drawn as a gap.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field
from datetime import datetime

from vigo.core.events import (
    CancelRequested,
    Event,
    GateChecked,
    GateOpened,
    HostFinished,
    HostStarted,
    PauseEnded,
    Record,
    TaskDispatched,
    TaskFinished,
    TaskPaused,
    TaskResumed,
)
from vigo.core.model import Outcome
from vigo.core.quantity import format_duration
from vigo.core.rollout import Run
from vigo.core.values import dataclass
from vigo.render.html import Html, join, tag
from vigo.render.report_state import hosts

BARS_MAX = 60
_ROWS_MAX = 400
_WIDTH, _LEFT, _RIGHT, _ROW = 1000, 90, 70, 26
_GAP = 40
_BAR = 14
_MS = 1000
_TICKS = 5


@dataclass(slots=True)
class Span:
    """Something that lasted: times are milliseconds of the clock."""

    kind: str
    """`batch`, `gate` or `pause`."""
    batch: int | None
    start: int
    end: int
    said: str = ""
    tone: str = "ok"
    bad_share: float = 0.0
    """Of a batch's hosts, those that ended and did not complete."""


@dataclass(slots=True)
class Timeline:
    """What can be drawn of a run."""

    start: int
    end: int
    spans: list[Span] = field(default_factory=list)
    marks: list[tuple[int, str]] = field(default_factory=list)
    gaps: list[tuple[int, int]] = field(default_factory=list)
    """Waits before a resume."""


def timeline(records: Sequence[Record]) -> Timeline:
    """Read out of a task's records what lasted, and what happened at one moment."""
    start, end = millis(records[0].at), millis(records[-1].at)
    line = Timeline(start, max(end, start + 1))
    opened = last = start
    for record in records:
        at = millis(record.at)
        match event := record.event:
            case GateOpened():
                opened = at
            case GateChecked():
                tone, word = ("ok", "passed") if event.passed else ("bad", "FAILED")
                line.spans.append(Span("gate", event.batch, opened, at, f"{word}: {event.detail}", tone))
            case PauseEnded():
                line.spans.append(Span("pause", event.batch, last, at, "pause", "off"))
            case TaskResumed():
                line.gaps.append((last, at))
        if said := _moment(record.event):
            line.marks.append((at, said))
        last = at
    line.spans += _batches(records)
    line.spans.sort(key=lambda span: (span.start, span.end))
    return line


def _moment(event: Event) -> str:
    """Return what is said of an event that has no length; empty for the others."""
    match event:
        case TaskDispatched():
            return f"dispatched by {event.operator}"
        case TaskResumed():
            return f"resumed by {event.operator}"
        case CancelRequested():
            return f"cancel: {event.cause}{', now' if event.now else ''}"
        case TaskPaused():
            return f"paused: {event.reason}"
        case TaskFinished():
            return f"{event.status}{f': {event.reason}' if event.reason else ''}"
        case _:
            return ""


def _batches(records: Sequence[Record]) -> Iterable[Span]:
    """Return the batches that began, each from its first start to its last end."""
    spans: dict[int, Span] = {}
    where: dict[str, int] = {}
    bad: Counter[int] = Counter()
    ended: Counter[int] = Counter()
    for record in records:
        at, event = millis(record.at), record.event
        if isinstance(event, HostStarted):
            where[event.host] = event.batch
            spans.setdefault(event.batch, Span("batch", event.batch, at, at))
        elif isinstance(event, HostFinished) and event.host in where:
            batch = where[event.host]
            spans[batch].end = max(at, spans[batch].end)
            ended[batch] += 1
            bad[batch] += event.result.outcome is not Outcome.COMPLETE
    for batch, span in spans.items():
        if bad[batch]:
            span.said = f"{bad[batch]} did not complete"
            span.bad_share = bad[batch] / ended[batch]
    return spans.values()


def millis(at: str) -> int:
    """Return a journal time as milliseconds."""
    return round(datetime.fromisoformat(at).timestamp() * _MS)


def drawing(line: Timeline, run: Run) -> Html:
    """Return the picture: a row for each batch that began, its gate and the pause before it in the same row."""
    rows = sorted({span.batch for span in line.spans}, key=lambda batch: -1 if batch is None else batch)
    shown = rows if len(rows) <= BARS_MAX else [*rows[: BARS_MAX - 10], *rows[-10:]]
    places = {batch: 30 + _ROW * row for row, batch in enumerate(shown)}
    height = 30 + _ROW * len(shown) + 24
    scale = _Scale(line)
    parts = [*_axis(scale, height), *_gaps(scale, height)]
    for batch, top in places.items():
        name = "before" if batch is None else f"batch {batch}"
        parts.append(tag("text", name, x=0, y=top + 14))
    parts += [_bar(span, scale, places[span.batch], run) for span in line.spans if span.batch in places]
    parts += [_mark(at, said, scale, height) for at, said in line.marks]
    left_out = len(rows) - len(shown)
    note = tag("p", f"{left_out} batches in the middle are not drawn.", class_="soft") if left_out else ""
    label = f"Timeline of {len(rows)} batches; the table below says the same in words."
    return join((tag("svg", *parts, viewBox=f"0 0 {_WIDTH} {height}", role="img", aria_label=label), note))


def table(line: Timeline, run: Run) -> Html:
    """Return the same in words, in the order of time."""
    said = [(span.start, _words(span, run), format_duration(span.end - span.start)) for span in line.spans]
    said += [(at, mark, "") for at, mark in line.marks]
    said.sort(key=lambda row: row[0])
    rows = [
        tag("tr", tag("td", _offset(at - line.start), class_="num"), tag("td", what), tag("td", lasted, class_="num"))
        for at, what, lasted in said[:_ROWS_MAX]
    ]
    head = tag(
        "tr",
        *(tag("th", name, scope="col", class_=tone) for name, tone in (("at", "num"), ("what", None), ("took", "num"))),
    )
    note = tag("p", f"{len(said) - _ROWS_MAX} more are in the journal.") if len(said) > _ROWS_MAX else ""
    return join((tag("table", tag("thead", head), tag("tbody", *rows)), note))


class _Scale:
    """From a time to a place in the drawing; a gap has a width of its own, whatever it lasted."""

    def __init__(self, line: Timeline) -> None:
        self.start, self.end = line.start, line.end
        self.gaps = line.gaps
        lasted = self.active(line.end)
        room = max(200, _WIDTH - _LEFT - _RIGHT - _GAP * len(line.gaps))
        self.per_ms = room / max(1, lasted)
        self._gap = min(_GAP, (_WIDTH - _LEFT - _RIGHT - room) / max(1, len(line.gaps)))

    def active(self, at: int) -> int:
        """Return how much of the time up to `at` was no gap."""
        return at - self.start - sum(max(0, min(at, last) - first) for first, last in self.gaps)

    def x(self, at: int) -> float:
        """Return where a time is drawn."""
        before = sum(1 for _, last in self.gaps if last <= at)
        return round(_LEFT + self.active(at) * self.per_ms + before * self._gap, 1)


def _axis(scale: _Scale, height: int) -> Iterator[Html]:
    step = _step((scale.end - scale.start) / _TICKS) if not scale.gaps else 0
    at = 0
    while step and at <= scale.end - scale.start:
        x = scale.x(scale.start + at)
        yield tag("line", x1=x, x2=x, y1=20, y2=height - 20, class_="axis")
        anchor = "end" if x > _WIDTH - 30 else "middle"
        yield tag("text", _offset(at), x=x, y=13, text_anchor=anchor, class_="soft")
        at += step


def _step(least: float) -> int:
    """Return the next of 1, 2, 5, 10, 20, … from `least` on."""
    power = 1
    while power * 10 <= least:
        power *= 10
    return next(times * power for times in (1, 2, 5, 10) if times * power >= least)


def _gaps(scale: _Scale, height: int) -> Iterator[Html]:
    for first, last in scale.gaps:
        begin, end = scale.x(first), scale.x(last)
        yield tag("rect", x=begin, y=20, width=round(end - begin, 1), height=height - 40, class_="rest")
        middle = round((begin + end) / 2, 1)
        yield tag("text", _offset(last - first), x=middle, y=13, text_anchor="middle", class_="soft")


def _bar(span: Span, scale: _Scale, top: int, run: Run) -> Html:
    begin = scale.x(span.start)
    width = round(max(3.0, scale.x(span.end) - begin), 1)
    hint = tag("title", f"{_words(span, run)} ({format_duration(span.end - span.start)})")
    match span.kind:
        case "batch":
            bar = tag("rect", hint, x=begin, y=top + 3, width=width, height=_BAR, rx=2, class_="ok")
            if not span.bad_share:
                return bar
            part = round(max(3.0, _BAR * span.bad_share), 1)
            return join(
                (bar, tag("rect", hint, x=begin, y=top + 3 + _BAR - part, width=width, height=part, class_="bad"))
            )
        case "gate":
            glyph = "✔" if span.tone == "ok" else "✖"
            bar = tag("rect", hint, x=begin, y=top + 8, width=width, height=5, class_=span.tone)
            x = begin + width + 4
            return join((bar, tag("text", f"{glyph} gate", x=round(x, 1), y=top + 14, class_=span.tone)))
        case _:
            return tag("rect", hint, x=begin, y=top + 6, width=width, height=8, class_="rest")


def _mark(at: int, said: str, scale: _Scale, height: int) -> Html:
    x = scale.x(at)
    stroke = tag("line", tag("title", said), x1=x, x2=x, y1=20, y2=height - 18, class_="mark")
    anchor = "start" if x < _WIDTH / 4 else "end"
    name = said.split(":", 1)[0].split(" by ", 1)[0]
    return join((stroke, tag("text", name, x=x, y=height - 5, text_anchor=anchor)))


def _words(span: Span, run: Run) -> str:
    match span.kind:
        case "batch" if span.batch is not None:
            more = f"; {span.said}" if span.said else ""
            return f"batch {span.batch}, {hosts(len(run.batches[span.batch]))}{more}"
        case "gate":
            place = "before the first batch" if span.batch is None else f"after batch {span.batch}"
            return f"health check {place} {span.said}"
        case _:
            return f"pause before batch {span.batch}"


def _offset(duration_ms: int) -> str:
    """Return a time since the dispatch: `+850ms`, `+12.5s`, `+1:02:07`."""
    if duration_ms < _MS:
        return f"+{duration_ms}ms" if duration_ms else "0"
    if duration_ms < 60 * _MS:
        return f"+{duration_ms / _MS:.4g}s"
    seconds = duration_ms // _MS
    hours, rest = divmod(seconds, 3600)
    clock = f"{rest // 60:02d}:{rest % 60:02d}"
    return f"+{hours}:{clock}" if hours else f"+{clock}"
