"""What the journal tells of a task: its times, its run and where it stands.

Nothing here is stored. `running` and `interrupted` look the same in the journal; whether the control process still
lives is told from outside (its kernel lock), as `alive`.
"""

from __future__ import annotations

from collections.abc import Iterable

from vigo.core.events import (
    Event,
    HostStarted,
    Record,
    TaskBlocked,
    TaskDispatched,
    TaskFinished,
    TaskPaused,
    TaskStatus,
)
from vigo.core.rollout import Run
from vigo.core.values import dataclass


@dataclass(frozen=True, slots=True)
class Task:
    """One task, folded from its records. Times are the journal's: UTC, `2026-03-13T12:30:01.042Z`."""

    id: str
    created_at: str
    origin: Run | TaskBlocked
    """The run, or the refusal when nothing was dispatched."""
    started_at: str | None = None
    """When the first host started."""
    finished_at: str | None = None
    last_seq: int = 0
    """The last record that was folded; `records_after` continues from here."""

    @property
    def run(self) -> Run | None:
        """The run, or None for a blocked task."""
        return self.origin if isinstance(self.origin, Run) else None

    @property
    def blocked(self) -> TaskBlocked | None:
        """The refusal, or None for a task that was dispatched."""
        return self.origin if isinstance(self.origin, TaskBlocked) else None

    @property
    def request(self) -> TaskDispatched | TaskBlocked:
        """The event that opened the task: operator, command and target."""
        return self.origin.dispatched if isinstance(self.origin, Run) else self.origin

    @property
    def hosts(self) -> tuple[str, ...]:
        """The targets, in plan order."""
        return self.origin.hosts

    def status(self, *, alive: bool) -> TaskStatus:
        """Say where the task stands; `alive` is whether its control process still holds its lock."""
        if isinstance(self.origin, TaskBlocked):
            return TaskStatus.BLOCKED
        return observed(self.origin.status, alive=alive)


@dataclass(frozen=True, slots=True)
class TaskSummary:
    """One line of the list of tasks, read from the task's first and last event alone."""

    id: str
    command: str
    target: str
    operator: str
    status: TaskStatus | None
    """None when the task's events cannot be read; `vigo audit verify` says where."""
    targets: int
    """The number of targets."""
    created_at: str
    finished_at: str | None = None

    @property
    def status_word(self) -> str:
        """The status as it is shown."""
        return "unreadable" if self.status is None else self.status.value


def observed(status: TaskStatus, *, alive: bool) -> TaskStatus:
    """Tell a running task from one whose control process is gone; a paused one needs none."""
    return TaskStatus.INTERRUPTED if status is TaskStatus.RUNNING and not alive else status


def read_task(records: Iterable[Record]) -> Task:
    """Fold the records of one task, in their order.

    Raises ValueError for records that no run can have written.
    """
    rest = iter(records)
    first = next(rest, None)
    if first is None:
        raise ValueError("a task has at least one event")
    match first.event:
        case TaskBlocked():
            return Task(first.task, first.at, first.event, last_seq=first.seq)
        case TaskDispatched():
            return _replay(first, Run(first.event), rest)
        case _:
            raise ValueError(f"event {first.seq}: a task begins with task.dispatch or task.blocked")


def summarise(opening: Record, closing: Record | None, *, alive: bool) -> TaskSummary:
    """Make the list's line from a task's opening event and its last one, where that is its verdict or a pause."""
    request, end = opening.event, None if closing is None else closing.event
    match request:
        case TaskDispatched():
            status, targets = observed(_last_status(end), alive=alive), sum(map(len, request.batches))
        case TaskBlocked():
            status, targets = TaskStatus.BLOCKED, len(request.hosts)
        case _:
            raise ValueError(f"event {opening.seq}: a task begins with task.dispatch or task.blocked")
    return TaskSummary(
        id=opening.task,
        command=request.command,
        target=request.target,
        operator=request.operator,
        status=status,
        targets=targets,
        created_at=opening.at,
        finished_at=closing.at if closing is not None and isinstance(end, TaskFinished) else None,
    )


def _last_status(last: Event | None) -> TaskStatus:
    match last:
        case TaskFinished():
            return last.status
        case TaskPaused():
            return TaskStatus.PAUSED
        case _:
            return TaskStatus.RUNNING


def _replay(first: Record, run: Run, rest: Iterable[Record]) -> Task:
    started_at = finished_at = None
    last = first
    for last in rest:
        try:
            run.apply(last.event)
        except ValueError as error:
            raise ValueError(f"event {last.seq}: {error}") from error
        if started_at is None and isinstance(last.event, HostStarted):
            started_at = last.at
        if isinstance(last.event, TaskFinished):
            finished_at = last.at
    return Task(first.task, first.at, run, started_at, finished_at, last.seq)
