"""`vigo audit`: the verdict on the journal, and its records for people and for machines.

Text from outside is cleaned for lines that a terminal shows; JSON is plain ASCII with everything else escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from vigo.core.audit import Audit, Entry, HeadState
from vigo.core.events import Record
from vigo.core.payload import to_payload
from vigo.render.machine import SCHEMA
from vigo.render.sanitize import clean
from vigo.render.tables import tsv, tsv_line

NO_ANCHOR = "a full rewrite cannot be excluded without an off-host anchor"
_NAMED_MAX = 20
_SHOWN = ("seq", "at", "task", "operator", "event", "host", "what")


def verdict_text(audit: Audit) -> str:
    """Return the lines of `audit verify`."""
    return "".join(f"{line}\n" for line in (_chain(audit), _head(audit), _completeness(audit), _anchors(audit)))


def verdict_json(audit: Audit) -> dict[str, Any]:
    """Return the verdict as one object."""
    return {
        "schema": SCHEMA,
        "tampered": audit.is_tampered,
        "events": audit.chain.rows,
        "broken_seq": audit.chain.broken_at,
        "end": audit.chain.end and str(audit.chain.end),
        "head": audit.head.state.value,
        "head_behind": audit.head.behind,
        "interrupted": list(audit.interrupted),
        "running": list(audit.running),
        "anchors": [{"anchor": str(anchor.point), "fits": anchor.fits} for anchor in audit.anchors],
        "outputs": [
            {"seq": d.seq, "task": d.task, "host": d.host, "stream": d.stream.value, "what": d.what}
            for d in audit.outputs
        ],
        "findings": list(findings(audit)),
    }


def findings(audit: Audit) -> Iterator[str]:
    """Yield one sentence for each thing that is wrong, with its place; the caller cleans them."""
    if audit.chain.cause:
        yield audit.chain.cause
    if audit.head.cause:
        yield audit.head.cause
    for anchor in audit.anchors:
        if not anchor.fits:
            yield f"event {anchor.point.seq} is not the one that the anchor vouches for, or is gone"
    for output in audit.outputs:
        yield f"kept output of task {output.task}, host {output.host}, {output.stream} is {output.what} (event {output.seq})"
    for line in audit.schema:
        yield f"the database's schema: {line}"
    for line in audit.storage:
        yield f"the database's file is damaged: {line}"


def entries_text(found: Iterable[Entry]) -> Iterator[str]:
    """Yield one line a record, times local, columns as wide as they usually are."""
    for entry in found:
        seq, _, task, operator, kind, host, what = _cells(entry)
        at = f"{datetime.fromisoformat(entry.record.at).astimezone():%Y-%m-%d %H:%M:%S}"
        yield clean(f"{seq:>6} {at} {task:<8} {operator:<10} {kind:<13} {host or '-':<20} {what}") + "\n"


def entries_tsv(found: Iterable[Entry]) -> Iterator[str]:
    """Yield tab-separated lines, times in UTC."""
    yield tsv(_SHOWN, ())
    for entry in found:
        yield tsv_line(_cells(entry))


def entry_json(entry: Entry) -> dict[str, Any]:
    """Return one record with who asked for it."""
    return {"schema": SCHEMA, **_record_json(entry.record), "operator": entry.operator, "what": entry.text}


def _record_json(record: Record) -> dict[str, Any]:
    return {
        "seq": record.seq,
        "at": record.at,
        "task": record.task,
        "event": record.event.kind,
        "data": to_payload(record.event),
        "digest": record.digest,
    }


def _cells(entry: Entry) -> tuple[str, ...]:
    record = entry.record
    return (str(record.seq), record.at, record.task, entry.operator, record.event.kind, entry.host, entry.text)


def _chain(audit: Audit) -> str:
    broken = audit.chain.broken_at
    return "chain: ok" if broken is None else f"chain: BROKEN at seq {broken}"


def _head(audit: Audit) -> str:
    behind = f" by {audit.head.behind}" if audit.head.state is HeadState.BEHIND else ""
    return f"head: {audit.head.state.value}{behind}"


def _completeness(audit: Audit) -> str:
    parts = [
        f"{len(tasks)} {word}: {_named(tasks)}"
        for word, tasks in (("interrupted", audit.interrupted), ("running", audit.running))
        if tasks
    ]
    return f"completeness: {'; '.join(parts) or 'all ended'}"


def _named(tasks: tuple[str, ...]) -> str:
    more = len(tasks) - _NAMED_MAX
    return clean(" ".join(tasks[:_NAMED_MAX])) + (f" and {more} more" if more > 0 else "")


def _anchors(audit: Audit) -> str:
    if not audit.anchors:
        return NO_ANCHOR
    bad = [anchor.point.seq for anchor in audit.anchors if not anchor.fits]
    return f"anchor: MISMATCH at seq {bad[0]}" if bad else "anchor: ok"
