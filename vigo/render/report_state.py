"""What a report tells of: one task as the journal has it, and the look and the word of each state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from vigo.core.events import Record, TaskStatus
from vigo.core.history import Task
from vigo.core.model import Outcome
from vigo.core.rollout import Run
from vigo.core.values import dataclass
from vigo.render.blocks import Kept
from vigo.render.html import Html, tag


@dataclass(frozen=True, slots=True)
class Look:
    """How a state is shown: the glyph and the word say it, the tone repeats it."""

    glyph: str
    word: str
    tone: str


@dataclass(frozen=True, slots=True)
class Story:
    """Everything that a report is made of. `made_at` is the journal's form of now."""

    task: Task
    status: TaskStatus
    records: tuple[Record, ...]
    """The task's records, in order."""
    kept: Kept
    chain: str
    """The verdict on the journal's chain, in one line."""
    is_sound: bool
    """Whether the chain holds."""
    made_at: str
    version: str

    @property
    def run(self) -> Run | None:
        """The run, or None for a task that was blocked."""
        return self.task.run


_LOOKS = {
    Outcome.COMPLETE: ("✔", "ok"),
    Outcome.FAILED: ("✖", "bad"),
    Outcome.TIMEOUT: ("⧖", "bad"),
    Outcome.UNREACHABLE: ("⊘", "bad"),
    Outcome.REJECTED: ("⛨", "warn"),
    Outcome.LOST: ("?", "warn"),
    Outcome.CANCELLED: ("■", "warn"),
    Outcome.SKIPPED: ("○", "off"),
}
_VERDICTS = {
    TaskStatus.RUNNING: ("▶", "run"),
    TaskStatus.COMPLETE: ("✔", "ok"),
    TaskStatus.ABORTED: ("✖", "bad"),
    TaskStatus.BLOCKED: ("⛨", "warn"),
    TaskStatus.CANCELLED: ("■", "warn"),
    TaskStatus.PAUSED: ("‖", "warn"),
    TaskStatus.INTERRUPTED: ("?", "warn"),
}
RUNNING = Look("▶", "running", "run")
WAITING = Look("·", "waiting", "off")
_ORDER = (*Outcome, RUNNING.word, WAITING.word)


def look_of(run: Run, host: str, *, interrupted: bool) -> Look:
    """Return the state of a host as it is shown."""
    outcome = run.outcome(host, interrupted=interrupted)
    if outcome is not None:
        return outcome_look(outcome)
    return RUNNING if host in run.in_flight else WAITING


def outcome_look(outcome: Outcome) -> Look:
    """Return how an outcome is shown."""
    glyph, tone = _LOOKS[outcome]
    return Look(glyph, outcome.value, tone)


def verdict_look(status: TaskStatus, *, all_complete: bool) -> Look:
    """Return the state of the task; one that ran through and yet has hosts that failed is not shown as good."""
    glyph, tone = _VERDICTS[status]
    if status is TaskStatus.COMPLETE and not all_complete:
        return Look("!", status.value, "warn")
    return Look(glyph, status.value, tone)


def tally(looks: Iterable[Look]) -> list[tuple[Look, int]]:
    """Return how many there are of each, in the order of the outcomes."""
    counted = Counter(looks)
    return sorted(counted.items(), key=lambda item: _ORDER.index(item[0].word))


def mark(look: Look) -> Html:
    """Return the glyph alone; the word stands beside it."""
    return tag("span", look.glyph, class_=f"g {look.tone}", aria_hidden="true")


def hosts(count: int) -> str:
    """Return `1 host`, `2 hosts`."""
    return f"{count:,} host" if count == 1 else f"{count:,} hosts"
