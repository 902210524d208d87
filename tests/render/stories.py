"""Tasks for reports, as a journal in memory would have them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from vigo.core.events import (
    Event,
    GateChecked,
    GateOpened,
    HostFinished,
    HostStarted,
    Record,
    TaskBlocked,
    TaskDispatched,
    TaskFinished,
    TaskStatus,
)
from vigo.core.gate import GatePolicy
from vigo.core.history import read_task
from vigo.core.model import HostResult, Outcome, Output
from vigo.core.plan import Policy
from vigo.core.quantity import Quantity
from vigo.render.report_state import Story

_BEGIN = datetime(2026, 3, 13, 12, 30, tzinfo=UTC)


def output(data: bytes) -> Output:
    """Return what is known of output that is kept whole."""
    digest = hashlib.sha256(data).hexdigest()
    return Output(len(data), digest, len(data), digest, len(data))


def told(
    events: Iterable[Event], kept: Mapping[str, bytes], *, alive: bool = False, chain: str = "ok, verified up to 9:ab"
) -> Story:
    """Return the story of a task whose events came 40 ms apart."""
    records = tuple(
        Record(n, _at(40 * n), "t1a2b3c4", event, hashlib.sha256(str(n).encode()).hexdigest())
        for n, event in enumerate(events, start=1)
    )
    task = read_task(records)
    return Story(
        task, task.status(alive=alive), records, kept.get, chain, is_sound=True, made_at=_at(900_000), version="1.0"
    )


def _at(ms: int) -> str:
    return (_BEGIN + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def stopped_at_a_gate(total: int = 200, size: int = 25, batches: int = 4, data: bytes = b"nginx restarted\n") -> Story:
    """Return a run that the gate after its last begun batch stopped; one host in 20 failed, with output of its own."""
    names = [f"web-{n:05d}.example.com" for n in range(1, total + 1)]
    cut = tuple(tuple(names[at : at + size]) for at in range(0, total, size))
    gate = GatePolicy(urls=("http://shop.example.com/health",))
    policy = Policy(fanout=size, batch_sizes=(Quantity(size),), failures_max=Quantity(10, percent=True), gate=gate)
    events: list[Event] = [
        TaskDispatched("ops", "systemctl restart nginx", "*.web.*", cut, policy, inventory="/home/ops/fleet")
    ]
    kept = {hashlib.sha256(data).hexdigest(): data}
    for number, batch in enumerate(cut[:batches]):
        events += [HostStarted(host, number) for host in batch]
        for index, host in enumerate(batch):
            result = HostResult(Outcome.COMPLETE, 42 + index, 0, stdout=output(data))
            if index % 20 == number:
                own = f"Job for nginx.service failed on {host}\n".encode() + data
                kept[hashlib.sha256(own).hexdigest()] = own
                result = HostResult(Outcome.FAILED, 51, 1, stderr=output(own))
            events.append(HostFinished(host, result))
        passed = number < batches - 1
        detail = "HTTP 200" if passed else "http://shop.example.com/health: HTTP 503"
        events += [GateOpened(number), GateChecked(number, passed, detail, 40)]
    events.append(TaskFinished(TaskStatus.ABORTED, f"health check after batch {batches - 1} failed: HTTP 503"))
    return told(events, kept)


def one_host(data: bytes, *, command: str = "uptime", host: str = "web-01", detail: str = "") -> Story:
    """Return a run on one host that printed this."""
    result = HostResult(Outcome.FAILED, 42, 3, detail=detail, stdout=output(data), stderr=output(data[::-1]))
    events: list[Event] = [
        TaskDispatched(command, command, command, ((host,),), inventory=command),
        HostStarted(host, 0),
        HostFinished(host, result),
        TaskFinished(TaskStatus.COMPLETE, detail),
    ]
    return told(events, {hashlib.sha256(part).hexdigest(): part for part in (data, data[::-1])})


def blocked() -> Story:
    """Return a task that the dispatch guard refused."""
    return told(
        [TaskBlocked("ops", "sudo systemctl stop vigo", "all", "systemctl stop vigo", "stop", "stops vigo", ("a",))], {}
    )
