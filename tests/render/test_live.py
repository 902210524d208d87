from __future__ import annotations

import io

import pytest

from vigo.core.events import (
    CancelRequested,
    Event,
    GateChecked,
    GateOpened,
    GateProbed,
    HostFinished,
    HostStarted,
    PauseEnded,
    Record,
    TaskDispatched,
    TaskFinished,
    TaskPaused,
    TaskResumed,
    TaskStatus,
)
from vigo.core.gate import GatePolicy
from vigo.core.model import HostResult, Outcome, Reason
from vigo.core.plan import Policy
from vigo.core.rollout import Run
from vigo.engine.ports import Observer
from vigo.render.live import BlockPrinter, ProgressLines, next_commands, summary

DONE = HostResult(Outcome.COMPLETE, 42, exit_code=0)
FAILED = HostResult(Outcome.FAILED, 51, exit_code=3)


class Flushed(io.StringIO):
    """A stream of which only what was flushed counts as shown."""

    def __init__(self) -> None:
        super().__init__()
        self.shown = ""

    def flush(self) -> None:
        """Show what was written so far."""
        self.shown = self.getvalue()


class Told:
    """A run whose events are told to one observer, as the engine does."""

    def __init__(self, *batches: tuple[str, ...], gated: bool = False, pause_ms: int = 0) -> None:
        self.stream = Flushed()
        gate = GatePolicy(urls=("http://lb/health",), deadline_ms=30_000) if gated else GatePolicy()
        policy = Policy(gate=gate, pause_ms=pause_ms)
        self.run = Run(TaskDispatched("admin", "uptime", "all", batches, policy))
        self.observer: Observer = ProgressLines(self.stream)
        self._seq = 0

    @classmethod
    def printing(cls, *batches: tuple[str, ...], gated: bool = False) -> Told:
        """Make one whose observer prints blocks."""
        told = cls(*batches, gated=gated)
        told.observer = BlockPrinter(told.stream, lambda _: None, told.run)
        told.announce(told.run.dispatched)
        return told

    def announce(self, event: TaskDispatched | TaskResumed) -> None:
        """Tell the observer of the record that a leg of the run begins with."""
        self.observer.on_record(Record(1, "2026-03-13T12:30:01.042Z", "t1a2b3c4", event), self.run)

    def tell(self, *events: Event) -> str:
        """Apply the events, tell the observer, and return what it showed at that."""
        before = self.stream.shown
        for event in events:
            self._seq += 1
            self.run.apply(event)
            self.observer.on_record(Record(self._seq, "2026-03-13T12:30:01.042Z", "t1a2b3c4", event), self.run)
        assert self.stream.shown == self.stream.getvalue(), "nothing is left unflushed"
        return self.stream.shown[len(before) :]


# --- blocks

FIRST = "Task t1a2b3c4 dispatched\n"


def test_the_task_is_announced_before_its_first_host_starts() -> None:
    """The operator has the id to look with before anything has happened."""
    told = Told.printing(("a", "b"))
    assert told.stream.shown == FIRST
    assert told.tell(HostStarted("a", 0), HostStarted("b", 0)) == ""


def test_a_batch_is_printed_in_plan_order_as_soon_as_it_has_ended() -> None:
    """Not before its last host, and not only at the end of the task."""
    told = Told.printing(("a", "b"), ("c",))
    assert told.tell(HostStarted("a", 0), HostStarted("b", 0), HostFinished("b", DONE)) == ""
    assert told.tell(HostFinished("a", FAILED)) == "--- a [failed] exit=3 51ms\n--- b [complete] exit=0 42ms\n"
    assert told.tell(HostStarted("c", 1)) == ""
    assert told.tell(HostFinished("c", DONE)) == "--- c [complete] exit=0 42ms\n"
    assert told.tell(TaskFinished(TaskStatus.COMPLETE)) == ""


def test_a_batch_is_printed_before_its_gate_is_asked() -> None:
    """An operator reads the output while the probe waits."""
    told = Told.printing(("a",), ("b",), gated=True)
    assert told.tell(HostStarted("a", 0), HostFinished("a", DONE)) == "--- a [complete] exit=0 42ms\n"
    gate = GateChecked(0, passed=True, detail="HTTP 200", duration_ms=3)
    assert told.tell(gate, HostStarted("b", 1), HostFinished("b", DONE)) == "--- b [complete] exit=0 42ms\n"


def test_a_task_that_stops_prints_the_rest_at_its_end() -> None:
    """Each host exactly once, the skipped ones included."""
    told = Told.printing(("a", "b", "c"), ("d",))
    assert told.tell(HostStarted("a", 0), HostStarted("b", 0), CancelRequested("SIGINT")) == ""
    assert told.tell(HostFinished("b", DONE), HostFinished("a", DONE)) == ""
    assert told.tell(TaskFinished(TaskStatus.CANCELLED, "cancelled by SIGINT")) == (
        "--- a [complete] exit=0 42ms\n--- b [complete] exit=0 42ms\n--- c [skipped]\n--- d [skipped]\n"
    )


def test_refused_hosts_are_printed_with_their_batch() -> None:
    """They end without a start."""
    told = Told.printing(("a", "b"))
    rejected = HostResult(Outcome.REJECTED, detail="systemctl stop vigo")
    assert told.tell(HostFinished("a", rejected), HostFinished("b", rejected)) == (
        "--- a [rejected] systemctl stop vigo\n--- b [rejected] systemctl stop vigo\n"
    )


def test_a_resumed_run_prints_what_ends_from_then_on_and_what_was_lost() -> None:
    """What an earlier process has shown is not shown again."""
    earlier = Told(("a", "b", "c"), ("d",))
    earlier.tell(HostStarted("a", 0), HostStarted("b", 0), HostFinished("a", DONE))
    told = Told(("a", "b", "c"), ("d",))
    told.run = earlier.run
    resumed = TaskResumed("admin", lost=("b",))
    told.run.apply(resumed)
    told.observer = BlockPrinter(told.stream, lambda _: None, told.run)
    told.announce(resumed)
    assert told.stream.shown == "Task t1a2b3c4 resumed\n"
    assert told.tell(HostStarted("c", 0), HostFinished("c", DONE)) == (
        "--- b [lost] outcome unknown\n--- c [complete] exit=0 42ms\n"
    )
    assert told.tell(HostStarted("d", 1), HostFinished("d", DONE)) == "--- d [complete] exit=0 42ms\n"


# --- progress


def test_a_pause_between_batches_is_told_when_it_begins() -> None:
    """Once, so that nobody takes it for a hang."""
    told = Told(("a",), ("b",), pause_ms=30_000)
    told.tell(HostStarted("a", 0))
    assert told.tell(HostFinished("a", DONE)) == "pause of 30.0s before batch 1\n"
    assert told.tell(PauseEnded(1), HostStarted("b", 1)) == "batch 1: 1 host (2 of 2)\n"


def test_a_gate_that_waits_says_what_for_once_for_each_new_answer() -> None:
    """An operator who watches a service come up sees each change and no repetition."""
    told = Told(("a",), gated=True)
    told.tell(HostStarted("a", 0), HostFinished("a", DONE))
    assert told.tell(GateOpened(0)) == ""

    def answer(detail: str, *, passed: bool = False) -> str:
        return told.tell(GateProbed(0, "http://lb/health", passed, detail, 3))

    line = "health check after batch 0: waiting, http://lb/health: {}\n"
    assert answer("HTTP 503") == line.format("HTTP 503")
    assert answer("HTTP 503") == ""
    assert answer("refused") == line.format("refused")
    assert answer("HTTP 200", passed=True) == ""
    assert answer("refused") == line.format("refused")


def test_a_batch_is_announced_once_with_its_size_and_place() -> None:
    """One line a batch, however many hosts start and in however many turns."""
    told = Told(("a", "b"), ("c",))
    assert told.tell(HostStarted("a", 0), HostStarted("b", 0)) == "batch 0: 2 hosts (1 of 2)\n"
    assert told.tell(HostFinished("a", DONE), HostFinished("b", DONE)) == ""
    assert told.tell(HostStarted("c", 1)) == "batch 1: 1 host (2 of 2)\n"


def test_a_host_that_did_not_complete_has_a_line_at_once() -> None:
    """Before its batch has ended, in the words of its block; completed ones have none."""
    told = Told(("a", "b"))
    told.tell(HostStarted("a", 0), HostStarted("b", 0))
    evil = HostResult(Outcome.UNREACHABLE, reason=Reason.BANNER, detail="\x1b[2Jgo away\n")
    assert told.tell(HostFinished("a", evil)) == "a: [unreachable] banner: \\x1b[2Jgo away\\n\n"
    assert told.tell(HostFinished("b", DONE), TaskFinished(TaskStatus.COMPLETE)) == ""


@pytest.mark.parametrize(("passed", "word"), [(True, "passed"), (False, "FAILED")])
def test_a_gate_is_told_with_its_verdict(passed: bool, word: str) -> None:  # noqa: FBT001 - a table's column
    """In words, not by colour, with what the service said and how long it took."""
    told = Told(("a",), gated=True)
    told.tell(HostStarted("a", 0), HostFinished("a", DONE))
    gate = GateChecked(0, passed=passed, detail="HTTP 200\x1b[2J", duration_ms=7)
    assert told.tell(gate) == f"health check after batch 0: {word}, HTTP 200\\x1b[2J (7ms)\n"


def test_a_cancel_says_what_will_happen_now() -> None:
    """The first waits and tells how to kill; the second kills."""
    told = Told(("a", "b", "c"))
    told.tell(HostStarted("a", 0), HostStarted("b", 0))
    assert told.tell(CancelRequested("SIGINT")) == (
        "SIGINT: no further host starts, 2 hosts still running will finish; once more kills them\n"
    )
    told.tell(HostFinished("a", DONE))
    assert told.tell(CancelRequested("SIGINT", now=True)) == "SIGINT: killing the command on 1 host\n"


# --- summary


def ended(results: dict[str, HostResult], status: TaskStatus = TaskStatus.COMPLETE, reason: str = "") -> Run:
    """Make a finished run; one that stopped early had a batch of three more to come."""
    waiting = () if status is TaskStatus.COMPLETE else (("db-1", "db-2", "db-3"),)
    run = Run(TaskDispatched("admin", "uptime", "all", (tuple(results), *waiting)))
    for host, result in results.items():
        run.apply(HostStarted(host, 0))
        run.apply(HostFinished(host, result))
    run.apply(TaskFinished(status, reason))
    return run


def test_a_good_end_is_short() -> None:
    """Verdict, counts with folded names, and the command that shows more."""
    run = ended({"web-01": DONE, "web-02": DONE, "web-03": DONE})
    assert summary("t1a2b3c4", run).splitlines() == [
        "task t1a2b3c4 complete",
        "  3 complete    web-[01-03]",
        "next: vigo task status t1a2b3c4",
    ]


def test_a_stopped_task_says_why_and_names_those_it_missed() -> None:
    """The last line's target means exactly the hosts that did not complete."""
    run = ended({"web-01": DONE, "web-02": FAILED}, TaskStatus.ABORTED, "1 failure, 0 allowed: web-02")
    assert summary("t1a2b3c4", run).splitlines() == [
        "task t1a2b3c4 aborted: 1 failure, 0 allowed: web-02",
        "  1 complete    web-01",
        "  1 failed      web-02",
        "  3 skipped     db-[1-3]",
        "next: vigo task rerun t1a2b3c4 --only failed,skipped",
        "      vigo task status t1a2b3c4",
    ]


def test_counts_are_aligned_to_the_size_of_the_fleet() -> None:
    """Numbers stand under each other, however many hosts there are."""
    run = ended({f"web-{number:03}": FAILED if number == 7 else DONE for number in range(100)})
    assert summary("t1a2b3c4", run).splitlines()[1:3] == [
        "   99 complete    web-[000-006], web-[008-099]",
        "    1 failed      web-007",
    ]


def test_text_from_outside_is_cleaned_in_the_summary() -> None:
    """Reasons hold what a service answered, host names what an inventory said."""
    run = ended({"a\x1b]0;t\x07": DONE}, TaskStatus.ABORTED, "the health check failed: \x1b[2J\n")
    text = summary("t1a2b3c4", run)
    assert all(char.isprintable() or char == "\n" for char in text)
    assert text.splitlines()[0] == "task t1a2b3c4 aborted: the health check failed: \\x1b[2J\\n"


def test_a_paused_task_has_its_resume_and_its_rollback_as_next_commands() -> None:
    """Hosts that have not started are not counted as skipped: they may still run."""
    run = Run(TaskDispatched("admin", "uptime", "all", (("a",), ("b",)), Policy(stop_after=1), rollback="true"))
    run.apply(HostStarted("a", 0))
    run.apply(HostFinished("a", DONE))
    run.apply(TaskPaused("1 of 2 batches ran, as asked"))
    assert summary("t1a2b3c4", run).splitlines() == [
        "task t1a2b3c4 paused: 1 of 2 batches ran, as asked",
        "  1 complete    a",
        "next: vigo task resume t1a2b3c4",
        "      vigo task rollback t1a2b3c4",
        "      vigo task status t1a2b3c4",
    ]


def test_an_interrupted_task_offers_a_look_at_what_was_lost() -> None:
    """What was in flight is lost when the control process died, and not counted while it lives."""
    run = Run(TaskDispatched("admin", "uptime", "all", (("a", "b"),)))
    run.apply(HostStarted("a", 0))
    assert next_commands("t1a2b3c4", run, TaskStatus.INTERRUPTED) == [
        "vigo task status t1a2b3c4 --look",
        "vigo task resume t1a2b3c4",
        "vigo task status t1a2b3c4",
    ]
    assert next_commands("t1a2b3c4", run, TaskStatus.RUNNING) == ["vigo task status t1a2b3c4"]
    assert summary("t1a2b3c4", run).splitlines() == ["task t1a2b3c4 running", "next: vigo task status t1a2b3c4"]
