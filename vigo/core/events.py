"""What happens to a task, as facts in the past tense.

Events carry no time: the journal stamps `seq` and `at` when it writes. An event that permits an act, or ends one, is
`durable`: it is on disk before the act. `core/payload.py` has their form in the journal.
"""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum
from typing import ClassVar, TypeAlias

from vigo.core.given import Given
from vigo.core.model import HostResult
from vigo.core.plan import Policy
from vigo.core.push import Push
from vigo.core.values import dataclass


class TaskStatus(StrEnum):
    """Where a task stands."""

    RUNNING = "running"
    COMPLETE = "complete"
    """Every host has an outcome, whatever it is."""
    ABORTED = "aborted"
    """Stopped by a budget or a gate."""
    BLOCKED = "blocked"
    """Refused by the dispatch guard; nothing was dispatched."""
    CANCELLED = "cancelled"
    PAUSED = "paused"
    """Stopped where it can go on: `task resume`."""
    INTERRUPTED = "interrupted"
    """The control process died. Never written, always observed: its kernel lock is free."""


@dataclass(frozen=True, slots=True)
class TaskDispatched:
    """The operator's decision, on record before the first connection."""

    kind: ClassVar[str] = "task.dispatch"
    durable: ClassVar[bool] = True

    operator: str
    command: str
    """As it was given: the template, with `***` for secret values."""
    target: str
    """The whole target as one expression."""
    batches: tuple[tuple[str, ...], ...]
    """Host names in plan order."""
    policy: Policy = Policy()
    forced: bool = False
    """Whether a finding of the dispatch guard was passed over; false when there was nothing to force."""
    pattern: str | None = None
    """What was forced."""
    task_name: str | None = None
    """The named task, if it was one."""
    params: tuple[tuple[str, str], ...] = ()
    """Name -> value as text, `***` for secrets."""
    inventory: str = ""
    """Where the inventory was read from."""
    expand: bool = False
    """Whether an ad-hoc command's placeholders are filled in."""
    rollback: str | None = None
    """The command, or the named task, that takes it back."""
    parent: str | None = None
    """The id of the task whose rerun or rollback this is."""
    relation: str = ""
    """What it is to its parent: `rerun` or `rollback`."""
    reach: tuple[tuple[str, str], ...] = ()
    """The flags that said how hosts are reached, by name, as they were typed."""
    texts_sha256: str = ""
    """Digest over every host's name and exact text, so that a resume can tell that it is still the same."""
    secret_params: tuple[str, ...] = ()
    """Names of the params that are secret: only theirs is a `***` that stands for another value."""
    push: Push | None = None
    """The file that is brought to the hosts; None for a command. With one, `command` is a line for people and is never run."""
    given: Given = Given()
    """What the command is given beside its text. With a script in it `command` is a line for people, as with `push`."""


@dataclass(frozen=True, slots=True)
class TaskBlocked:
    """The dispatch guard refused and nobody forced it."""

    kind: ClassVar[str] = "task.blocked"
    durable: ClassVar[bool] = True

    operator: str
    command: str
    target: str
    pattern: str
    rule: str
    reason: str
    hosts: tuple[str, ...] = ()
    """The targets, in plan order."""


@dataclass(frozen=True, slots=True)
class HostStarted:
    """From here on something may have happened on the host."""

    kind: ClassVar[str] = "host.started"
    durable: ClassVar[bool] = True

    host: str
    batch: int
    """Index of the batch, from 0."""
    mark: str = ""
    """What its processes on the host are known by, so that another process can look for them later."""


@dataclass(frozen=True, slots=True)
class HostFinished:
    """The host's one and only outcome."""

    kind: ClassVar[str] = "host.finished"
    durable: ClassVar[bool] = False

    host: str
    result: HostResult


@dataclass(frozen=True, slots=True)
class GateOpened:
    """The health check begins; health check commands may run on hosts from here on."""

    kind: ClassVar[str] = "gate.opened"
    durable: ClassVar[bool] = True

    batch: int | None
    """Index of the batch that it comes after; None for the one before the first batch."""


@dataclass(frozen=True, slots=True)
class GateProbed:
    """One answer to the health check."""

    kind: ClassVar[str] = "gate.probed"
    durable: ClassVar[bool] = False

    batch: int | None
    ask: str
    """What was asked: a URL, `tcp web-01:80`, `command on web-01`."""
    passed: bool
    detail: str
    duration_ms: int


@dataclass(frozen=True, slots=True)
class GateChecked:
    """What the health check decided."""

    kind: ClassVar[str] = "gate.checked"
    durable: ClassVar[bool] = False

    batch: int | None
    passed: bool
    detail: str
    duration_ms: int
    """From its opening on."""


@dataclass(frozen=True, slots=True)
class PauseEnded:
    """The pause before a batch is over."""

    kind: ClassVar[str] = "pause.ended"
    durable: ClassVar[bool] = False

    batch: int
    """Index of the batch that it came before."""


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """Nothing more starts; with `now` what runs is killed on its host."""

    kind: ClassVar[str] = "task.cancel"
    durable: ClassVar[bool] = True

    cause: str
    """Who or what asked: `SIGINT`, `SIGTERM`, `SIGHUP`, `operator`."""
    now: bool = False


@dataclass(frozen=True, slots=True)
class TaskPaused:
    """Nothing runs and nothing starts until the task is resumed."""

    kind: ClassVar[str] = "task.pause"
    durable: ClassVar[bool] = True

    reason: str


@dataclass(frozen=True, slots=True)
class TaskResumed:
    """Somebody lets a paused or interrupted task go on, having seen what went wrong: budgets count anew."""

    kind: ClassVar[str] = "task.resume"
    durable: ClassVar[bool] = True

    operator: str
    lost: tuple[str, ...] = ()
    """Hosts that were in flight when the control process died: this is their outcome."""
    again: tuple[str, ...] = ()
    """Hosts that were in flight too, and are to be started again."""
    stop_after: int | None = None
    """Batches to run before the task pauses again."""


@dataclass(frozen=True, slots=True)
class TaskFinished:
    """The task's verdict."""

    kind: ClassVar[str] = "task.finished"
    durable: ClassVar[bool] = True

    status: TaskStatus
    reason: str = ""
    """Why it stopped early, with the numbers; empty when it did not."""


@dataclass(frozen=True, slots=True)
class OutputPruned:
    """Kept output was dropped from the journal, on request. It belongs to no task."""

    kind: ClassVar[str] = "output.pruned"
    durable: ClassVar[bool] = True

    operator: str
    before_seq: int
    """Dropped was what no event from this seq on names."""
    outputs: int
    """How many were dropped."""


Event: TypeAlias = (
    TaskDispatched
    | TaskBlocked
    | HostStarted
    | HostFinished
    | GateOpened
    | GateProbed
    | GateChecked
    | PauseEnded
    | CancelRequested
    | TaskPaused
    | TaskResumed
    | TaskFinished
    | OutputPruned
)


@dataclass(frozen=True, slots=True)
class Record:
    """An event as it stands in the journal."""

    seq: int
    """Position in the journal over all tasks, from 1, without gaps."""
    at: str
    """UTC, `2026-03-13T12:30:01.042Z`."""
    task: str
    event: Event
    digest: str = field(default="", repr=False)
    """Hex SHA-256 over the previous digest and every stored column."""
