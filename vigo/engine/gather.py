"""Reads the answers of a run of the gathering script: what each host that completed is known to have.

The run is an ordinary task, so this is a reading of what is on record; a task that was cut short gives what it has.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from vigo.core.facts import Answer, read_answer
from vigo.core.model import HostResult, Outcome
from vigo.core.rollout import Run
from vigo.core.values import dataclass


@dataclass(frozen=True, slots=True)
class Learned:
    """What one host of the task gave."""

    host: str
    outcome: Outcome | None
    """None: it has none, because the task was interrupted before."""
    answer: Answer | None = None
    fault: str = ""
    """Why there is no answer although the script ran to its end."""


def learn(run: Run, kept: Callable[[str], bytes | None], sites: Collection[str]) -> Iterator[Learned]:
    """Yield what each host of a run gave, in plan order; `kept` gives kept output by its digest.

    `sites` are the names of the site scripts that were sent along.
    """
    for host in run.hosts:
        result = run.results.get(host)
        if result is None or result.outcome is not Outcome.COMPLETE:
            yield Learned(host, None if result is None else result.outcome)
            continue
        try:
            yield Learned(host, result.outcome, read_answer(_stdout(result, kept), sites))
        except ValueError as error:
            yield Learned(host, result.outcome, fault=str(error))


def _stdout(result: HostResult, kept: Callable[[str], bytes | None]) -> bytes:
    if result.stdout.is_cut:
        raise ValueError("it is longer than what is kept of a host's output")
    data = kept(result.stdout.kept_sha256) if result.stdout.kept_bytes else b""
    if data is None:
        raise ValueError("it is no longer kept")
    return data
