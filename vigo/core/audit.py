"""What an audit of the journal found, and what that means.

Rule 1: a break in the chain, a head the journal does not reach, an anchor that does not fit, kept output that does not
        have its digest and a changed schema are tampering.
Rule 2: a head that is behind, and a task without an end, are what a crash leaves behind: no tampering.
Rule 3: a head that is missing though it must have been written is tampering: it hides a cut tail.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import assert_never

from vigo.core.chain import ChainReport, Point
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
)
from vigo.core.model import Stream
from vigo.core.values import dataclass


class HeadState(StrEnum):
    """How the head file stands to the journal."""

    OK = "ok"
    BEHIND = "behind"
    """Events were written after it; a running task, or a crash."""
    MISSING = "missing"
    MISMATCH = "MISMATCH"
    """The journal does not hold the event that the head vouches for."""


@dataclass(frozen=True, slots=True)
class HeadReport:
    """What the head file tells of the end of the journal."""

    state: HeadState
    behind: int = 0
    """Events written after it."""
    cause: str = ""
    """What is wrong, in words; empty when nothing is."""


@dataclass(frozen=True, slots=True)
class AnchorReport:
    """Whether the journal still holds what was noted elsewhere."""

    point: Point
    fits: bool


@dataclass(frozen=True, slots=True)
class DamagedOutput:
    """Kept output that is not what the event says, and that no pruning explains."""

    seq: int
    task: str
    host: str
    stream: Stream
    what: str
    """`changed` or `missing`."""


@dataclass(frozen=True, slots=True)
class Audit:
    """Everything that `audit verify` looked at."""

    chain: ChainReport
    head: HeadReport
    anchors: tuple[AnchorReport, ...] = ()
    outputs: tuple[DamagedOutput, ...] = ()
    schema: tuple[str, ...] = ()
    """Tables, indexes or triggers that are not vigo's."""
    storage: tuple[str, ...] = ()
    """What SQLite finds wrong with its own file, in its words."""
    interrupted: tuple[str, ...] = ()
    running: tuple[str, ...] = ()

    @property
    def is_tampered(self) -> bool:
        """Whether something was changed that vigo did not change."""
        return bool(
            self.chain.broken_at is not None
            or self.head.cause
            or self.outputs
            or self.schema
            or any(not anchor.fits for anchor in self.anchors)
        )


def judge_head(head: Point | None, digest_there: str | None, end_seq: int, *, only_openings: bool) -> HeadReport:
    """Compare the head with the journal.

    `digest_there` is the digest of the row with the head's seq, None when there is no such row; `end_seq` the last
    seq, 0 for an empty journal; `only_openings` whether nothing but opening events is there, after the first of which
    a crash may have left no head.
    """
    if head is None:
        explained = (
            "" if only_openings else "the head file is gone, and with it what tells a cut tail from a whole journal"
        )
        return HeadReport(HeadState.MISSING, cause=explained)
    if digest_there is None:
        cause = f"the head file vouches for event {head.seq}, the journal ends at {end_seq}"
        return HeadReport(HeadState.MISMATCH, cause=f"{cause}: {head.seq - end_seq} events are missing from its end")
    if digest_there != head.digest:
        return HeadReport(HeadState.MISMATCH, cause=f"event {head.seq} is not the one that the head file vouches for")
    behind = end_seq - head.seq
    return HeadReport(HeadState.BEHIND if behind else HeadState.OK, behind)


def kept_digests(data: object) -> Iterator[tuple[Stream, str]]:
    """Yield the kept output that a `host.finished` row names, from its stored text.

    Raises ValueError for text that vigo did not write.
    """
    try:
        payload = json.loads(data)  # type: ignore[arg-type]  # a tampered column may hold anything
        outputs = [(stream, payload[stream.value]) for stream in Stream]
        yield from [(stream, str(output[3])) for stream, output in outputs if output is not None and output[2]]
    except (TypeError, KeyError, IndexError, RecursionError) as error:
        raise ValueError(f"a host.finished event cannot be read: {error!r}") from error


@dataclass(frozen=True, slots=True)
class Entry:
    """One record with the request of its task: who asked for it, and for what."""

    record: Record
    request: TaskDispatched | TaskBlocked | None = None
    """None for a record that belongs to no task, or whose task's opening was not read."""

    @property
    def operator(self) -> str:
        """Who caused it."""
        own = self.record.event
        if isinstance(own, OutputPruned | TaskResumed):
            return own.operator
        return "" if self.request is None else self.request.operator

    @property
    def host(self) -> str:
        """The host it is about; empty when it is about a whole task."""
        own = self.record.event
        return own.host if isinstance(own, HostStarted | HostFinished) else ""

    @property
    def text(self) -> str:
        """What happened, in one line. May hold text from outside."""
        return _text(self.record.event, "" if self.request is None else self.request.command)


@dataclass(frozen=True, slots=True)
class Question:
    """Which records are asked for; what is left out matches everything. Globs are allowed for hosts and operators."""

    host: str | None = None
    operator: str | None = None
    task: str | None = None
    """The beginning of a task id."""
    kind: str | None = None
    since: str | None = None
    """UTC, `2026-03-13T12:30:01.042Z`, inclusive."""
    until: str | None = None
    """UTC, exclusive."""

    def matches(self, entry: Entry) -> bool:
        """Say whether a record answers the question."""
        record = entry.record
        return (
            (self.task is None or record.task.startswith(self.task))
            and (self.kind is None or fnmatchcase(record.event.kind, self.kind))
            and (self.since is None or record.at >= self.since)
            and (self.until is None or record.at < self.until)
            and (self.operator is None or fnmatchcase(entry.operator, self.operator))
            and (self.host is None or any(fnmatchcase(host.lower(), self.host.lower()) for host in _hosts(entry)))
        )


def entries(records: Iterator[Record]) -> Iterator[Entry]:
    """Join records, in their order, with the request of their task."""
    requests: dict[str, TaskDispatched | TaskBlocked] = {}
    for record in records:
        if isinstance(record.event, TaskDispatched | TaskBlocked):
            requests[record.task] = record.event
        yield Entry(record, requests.get(record.task))
        if isinstance(record.event, TaskFinished | TaskBlocked):
            requests.pop(record.task, None)  # nothing follows an end: what is kept is bounded by the tasks that run


def _hosts(entry: Entry) -> tuple[str, ...]:
    match entry.record.event:
        case TaskDispatched(batches=batches):
            return tuple(host for batch in batches for host in batch)
        case TaskBlocked(hosts=hosts):
            return hosts
        case TaskResumed(lost=lost, again=again):
            return lost + again
        case _:
            return (entry.host,) if entry.host else ()


def _text(event: Event, command: str) -> str:
    match event:
        case TaskDispatched():
            forced = f" (forced: {event.pattern})" if event.forced else ""
            return f"{event.command} -> {event.target}{forced}"
        case TaskBlocked():
            return f"{event.command} -> {event.target} (blocked: {event.pattern})"
        case HostStarted():
            return command
        case HostFinished(result=result):
            exits = {"exit": result.exit_code, "signal": result.signal, "reason": result.reason}
            return " ".join((result.outcome.value, *_named(exits), command))
        case GateOpened() | GateProbed() | GateChecked():
            return _gate_text(event)
        case PauseEnded():
            return f"the pause before batch {event.batch} ended"
        case CancelRequested() | TaskPaused() | TaskResumed() | TaskFinished():
            return _turn_text(event)
        case OutputPruned():
            return f"{event.outputs} kept outputs named before event {event.before_seq} were dropped"
        case _:
            assert_never(event)


def _gate_text(event: GateOpened | GateProbed | GateChecked) -> str:
    place = "before the first batch" if event.batch is None else f"batch {event.batch}"
    if isinstance(event, GateOpened):
        return f"{place}: the health check began"
    asked = f"{event.ask}: " if isinstance(event, GateProbed) else ""
    return f"{place}: {asked}{'passed' if event.passed else 'failed'}: {event.detail}"


def _turn_text(event: CancelRequested | TaskPaused | TaskResumed | TaskFinished) -> str:
    match event:
        case CancelRequested():
            return f"cancelled by {event.cause}{' at once' if event.now else ''}"
        case TaskPaused():
            return f"paused: {event.reason}"
        case TaskResumed():
            hosts = {"lost": ",".join(event.lost) or None, "again": ",".join(event.again) or None}
            return " ".join((f"resumed by {event.operator}", *_named({**hosts, "stop_after": event.stop_after})))
        case TaskFinished():
            return f"{event.status.value}{event.reason and f': {event.reason}'}"
        case _:
            assert_never(event)


def _named(values: Mapping[str, object]) -> Iterator[str]:
    return (f"{name}={value}" for name, value in values.items() if value is not None)
