"""Folds 100,000 events of one task: what callgrind counts."""

from __future__ import annotations

from vigo.core.events import HostFinished, HostStarted, TaskDispatched, TaskFinished, TaskStatus
from vigo.core.model import HostResult, Outcome
from vigo.core.plan import Policy
from vigo.core.rollout import Run

EVENTS = 100_000


def main() -> None:
    """Fold the events and see that the run is over."""
    hosts = tuple(f"host-{n:05}" for n in range(EVENTS // 2))
    run = Run(TaskDispatched("ops", "uptime", "all", (hosts,), Policy(fanout=64)))
    result = HostResult(Outcome.COMPLETE, 42, exit_code=0)
    for host in hosts:
        run.apply(HostStarted(host, 0))
        run.apply(HostFinished(host, result))
    run.apply(TaskFinished(TaskStatus.COMPLETE, ""))
    assert run.is_over


if __name__ == "__main__":
    main()
