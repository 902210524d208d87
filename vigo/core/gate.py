"""When a health check passes: what is asked after a batch, how often, and what the answers mean together.

Rule 1: a round asks everything side by side; it is healthy when every answer is.
Rule 2: without a deadline the first unhealthy round fails the gate; with one, rounds go on until it has passed.
Rule 3: the gate passes once it was healthy without a break for `stable_ms`, from the end of the first healthy round to
        the end of the last; with no time to be stable for, the first healthy round passes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import TypeAlias

from vigo.core.quantity import format_duration
from vigo.core.values import dataclass

_NAMED_MAX = 3


@dataclass(frozen=True, slots=True)
class GatePolicy:
    """What stands between two batches; nothing asked is no gate."""

    urls: tuple[str, ...] = ()
    """http or https. Named tasks fill params in before; `{{ host }}` and the like stay and are filled in per host."""
    command: str | None = None
    """Run on each host of the batch that completed; exit code 0 is healthy."""
    tcp_port: int | None = None
    """Connected to on each host of the batch that completed."""
    timeout_ms: int = 5_000
    """Total bound on one probe."""
    interval_ms: int = 2_000
    """From the end of one round to the beginning of the next."""
    deadline_ms: int = 0
    """How long to wait for healthy answers; 0 is not at all: one probe decides."""
    stable_ms: int = 0
    expect: tuple[tuple[int, int], ...] = ((200, 299),)
    """Ranges of HTTP status codes that are healthy, both ends included."""
    baseline: bool = False
    """Whether the first batch waits for a healthy answer too."""

    @property
    def is_set(self) -> bool:
        """Whether there is anything to ask."""
        return bool(self.urls or self.command is not None or self.tcp_port is not None)


@dataclass(frozen=True, slots=True)
class AskUrl:
    """Ask a URL."""

    url: str

    @property
    def shown(self) -> str:
        """What is asked, as it is recorded."""
        return self.url


@dataclass(frozen=True, slots=True)
class AskTcp:
    """See whether a port of a host accepts a connection."""

    host: str
    address: str
    port: int

    @property
    def shown(self) -> str:
        """What is asked, as it is recorded."""
        return f"tcp {self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class AskCommand:
    """Run the health check command on a host."""

    host: str

    @property
    def shown(self) -> str:
        """What is asked, as it is recorded."""
        return f"command on {self.host}"


Ask: TypeAlias = AskUrl | AskTcp | AskCommand


@dataclass(frozen=True, slots=True)
class Answer:
    """What one probe found."""

    passed: bool
    detail: str
    """One line: `HTTP 503`, `no answer within 5s`."""
    duration_ms: int


class Decision(StrEnum):
    """What follows from the rounds so far."""

    PASSED = "passed"
    FAILED = "failed"
    AGAIN = "again"


class Watch:
    """The rounds of one gate so far. Times are milliseconds since it was opened, from a clock that nobody sets back."""

    def __init__(self, policy: GatePolicy) -> None:
        self._policy = policy
        self._rounds = 0
        self._healthy_since_ms: int | None = None

    def decide(self, *, healthy: bool, at_ms: int) -> Decision:
        """Take in a round that ended at `at_ms`."""
        self._rounds += 1
        if not healthy:
            self._healthy_since_ms = None
            return Decision.AGAIN if at_ms < self._policy.deadline_ms else Decision.FAILED
        since_ms = self._healthy_since_ms = at_ms if self._healthy_since_ms is None else self._healthy_since_ms
        if at_ms - since_ms >= self._policy.stable_ms:
            return Decision.PASSED
        overdue = self._policy.deadline_ms and at_ms >= self._policy.deadline_ms
        return Decision.FAILED if overdue else Decision.AGAIN

    def pause_ms(self, at_ms: int) -> int:
        """Return how long to wait before the next round: the interval, less where the decision is due earlier."""
        policy = self._policy
        due = [policy.interval_ms]
        if policy.deadline_ms:
            due.append(policy.deadline_ms - at_ms)
        if self._healthy_since_ms is not None:
            due.append(self._healthy_since_ms + policy.stable_ms - at_ms)
        return max(0, min(due))

    def story(self, asked: Sequence[tuple[Ask, Answer]], at_ms: int) -> str:
        """Tell the last round in one line: what was unhealthy, and how long it was watched."""
        bad = [(ask, answer) for ask, answer in asked if not answer.passed]
        if bad:
            told = _told(bad, alone=len(asked) == 1)
        elif self._healthy_since_ms is not None and at_ms - self._healthy_since_ms < self._policy.stable_ms:
            told = f"healthy, but not for {format_duration(self._policy.stable_ms)} without a break"
        else:
            told = _told(asked, alone=True) if len(asked) == 1 else f"{len(asked)} healthy answers"
        return told if self._rounds == 1 else f"{told} ({self._rounds} rounds in {format_duration(at_ms)})"


def nothing_to_ask() -> str:
    """Return the story of a gate whose batch has no host to ask."""
    return "no host of the batch completed, nothing was asked"


def is_healthy(answers: Iterable[Answer]) -> bool:
    """Whether every answer passed."""
    return all(answer.passed for answer in answers)


def _told(asked: Sequence[tuple[Ask, Answer]], *, alone: bool) -> str:
    if alone:
        return asked[0][1].detail
    named = "; ".join(f"{ask.shown}: {answer.detail}" for ask, answer in asked[:_NAMED_MAX])
    return named + (f"; and {len(asked) - _NAMED_MAX} more" if len(asked) > _NAMED_MAX else "")
