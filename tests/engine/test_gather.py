"""Traits are a reading of a run that is on record: whatever became of it, each host gives what it has."""

from __future__ import annotations

import hashlib

from vigo.core.events import HostFinished, HostStarted, TaskDispatched
from vigo.core.model import HostResult, Outcome, Output
from vigo.core.plan import Policy
from vigo.core.rollout import Run
from vigo.engine.gather import Learned, learn

GOOD = b"host-traits 1\ncpus=2\nend\n"


def printed(data: bytes, *, cut: bool = False) -> HostResult:
    """Return the result of a host that printed this."""
    digest = hashlib.sha256(data).hexdigest()
    total = len(data) + (1 if cut else 0)
    return HostResult(Outcome.COMPLETE, 5, exit_code=0, stdout=Output(total, digest, len(data), digest, len(data)))


def test_each_host_gives_an_answer_a_fault_or_its_outcome() -> None:
    """In plan order; one that has no outcome yet, because the task was cut short, has none."""
    results = {
        "good": printed(GOOD),
        "cut": printed(GOOD[:20]),
        "flood": printed(GOOD, cut=True),
        "mute": printed(b""),
        "pruned": printed(GOOD + b"\n"),
        "away": HostResult(Outcome.UNREACHABLE),
    }
    run = Run(TaskDispatched("me", "x", "all", ((*results, "late"),), Policy()))
    for name, result in results.items():
        run.apply(HostStarted(name, 0))
        run.apply(HostFinished(name, result))
    kept = {hashlib.sha256(data).hexdigest(): data for data in (GOOD, GOOD[:20])}
    learned = list(learn(run, kept.get, []))
    assert [(one.host, one.outcome) for one in learned] == [
        *((name, result.outcome) for name, result in results.items()),
        ("late", None),
    ]
    assert learned[0].answer is not None
    assert learned[0].answer.traits == {"hardware.cpus": 2}
    assert [one.fault[:20] for one in learned[1:5]] == [
        "it is not whole: its",
        "it is longer than wh",
        "it is not whole: its",
        "it is no longer kept",
    ]
    assert learned[5:] == [Learned("away", Outcome.UNREACHABLE), Learned("late", None)]
