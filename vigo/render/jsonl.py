"""The journal's events as lines of JSON: the same line while the task runs and from history."""

from __future__ import annotations

from typing import Any, TextIO

from vigo.core.events import HostFinished, Record
from vigo.core.payload import to_payload
from vigo.core.rollout import Run
from vigo.render.blocks import Kept
from vigo.render.machine import SCHEMA, dump
from vigo.render.reports import output_json


def event_json(record: Record, kept: Kept) -> dict[str, Any]:
    """Return one event for machines; the end of a host comes with what it printed."""
    data = to_payload(record.event)
    if isinstance(record.event, HostFinished):
        result = record.event.result
        data |= {"stdout": output_json(result.stdout, kept), "stderr": output_json(result.stderr, kept)}
    return {
        "schema": SCHEMA,
        "seq": record.seq,
        "at": record.at,
        "task": record.task,
        "event": record.event.kind,
        "data": data,
    }


class EventPrinter:
    """Prints each event as soon as it is on record."""

    def __init__(self, out: TextIO, kept: Kept) -> None:
        self._out = out
        self._kept = kept

    def on_record(self, record: Record, run: Run) -> None:  # noqa: ARG002 - the observer's form
        """Print the event as one line."""
        self._out.write(dump(event_json(record, self._kept)))
        self._out.flush()
