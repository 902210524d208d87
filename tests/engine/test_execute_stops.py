"""Cancels and gates: when the operator or a service says no, nothing more is touched."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tests.engine.fakes import ScriptedProbe, settled, until
from tests.engine.rig import FAILED, PATTERN, URL, Clock, Rig
from vigo.core.events import (
    CancelRequested,
    Event,
    GateChecked,
    GateOpened,
    GateProbed,
    HostFinished,
    PauseEnded,
    TaskFinished,
    TaskPaused,
    TaskStatus,
)
from vigo.core.gate import GatePolicy
from vigo.core.model import Ended, HostResult, Limits, Outcome
from vigo.core.plan import OnStop, Policy
from vigo.core.quantity import Quantity

OK, BAD = True, False
"""Answers."""


# --- cancel


def test_a_cancel_starts_nothing_more_and_lets_running_hosts_finish() -> None:
    """The verdict is `cancelled` and says who asked; nothing is killed."""
    rig = Rig((("a", "b", "c"), ("d",)), Policy(fanout=2, gate=GatePolicy((URL,))))

    async def script() -> None:
        await rig.transport.until_running("a", "b")
        rig.execution.cancel("SIGTERM", now=False)
        await settled()
        rig.transport.end("b")
        await settled()
        assert rig.transport.seen == ("a", "b")
        rig.transport.end("a", FAILED)

    rig.play(script)
    assert rig.run.finished == TaskFinished(TaskStatus.CANCELLED, "cancelled by SIGTERM")
    assert rig.transport.kills == 0
    assert rig.probe.asked == []
    expected = {"a": Outcome.FAILED, "b": Outcome.COMPLETE, "c": Outcome.SKIPPED, "d": Outcome.SKIPPED}
    assert rig.outcomes() == expected


def test_a_cancel_that_kills_is_recorded_first() -> None:
    """The journal knows why hosts end before they are told to."""
    rig = Rig((("a", "b", "c"),), Policy(fanout=2))
    kills_when_recorded: list[int] = []

    def on_append(events: Sequence[Event]) -> None:
        if CancelRequested("SIGINT", now=True) in events:
            kills_when_recorded.append(rig.transport.kills)

    rig.journal.on_append = on_append

    async def script() -> None:
        await rig.transport.until_running("a", "b")
        rig.execution.cancel("SIGINT", now=True)

    rig.play(script)
    assert kills_when_recorded == [0]
    assert rig.transport.kills == 1
    assert rig.run.counts() == {Outcome.CANCELLED: 2, Outcome.SKIPPED: 1}
    assert rig.run.status is TaskStatus.CANCELLED


def test_a_first_cancel_drains_and_a_second_kills() -> None:
    """Both are on record; the first reason stands."""
    rig = Rig((("a", "b"),))

    async def script() -> None:
        await rig.transport.until_running("a", "b")
        rig.execution.cancel("SIGINT", now=False)
        await settled()
        rig.transport.end("a")
        await settled()
        rig.execution.cancel("SIGINT", now=True)

    rig.play(script)
    assert rig.events_of(CancelRequested) == [CancelRequested("SIGINT"), CancelRequested("SIGINT", now=True)]
    assert rig.outcomes() == {"a": Outcome.COMPLETE, "b": Outcome.CANCELLED}


def test_a_cancel_before_the_first_step_touches_no_host() -> None:
    """Also one that kills: there is nothing to kill, and nothing starts."""
    rig = Rig((("a",),))

    async def script() -> None:
        rig.execution.cancel("SIGHUP", now=True)
        await rig.let_all_complete()

    rig.play(script)
    assert rig.transport.orders == []
    assert rig.outcomes() == {"a": Outcome.SKIPPED}
    assert [type(event) for event in rig.journal.events] == [CancelRequested, TaskFinished]


def test_a_cancel_ends_the_pause_between_batches() -> None:
    """At once: nobody waits for the rest of an hour to see the prompt again."""
    rig = Rig((("a",), ("b",)), Policy(pause_ms=3_600_000))

    async def script() -> None:
        await rig.transport.until_running("a")
        rig.transport.end("a")
        await settled()
        assert rig.run.finished is None
        assert rig.transport.seen == ("a",)
        rig.execution.cancel("SIGINT", now=False)

    rig.play(script)
    assert rig.run.finished == TaskFinished(TaskStatus.CANCELLED, "cancelled by SIGINT")
    assert rig.events_of(PauseEnded) == []
    assert rig.transport.seen == ("a",)


def test_a_pause_is_between_batches_and_as_long_as_asked(clock: Clock) -> None:
    """Not before the first and not after the last; it is on record when it is over, before the next start."""
    rig = Rig((("a",), ("b",), ("c",)), Policy(pause_ms=30_000))
    rig.play(rig.let_all_complete)
    assert clock.slept == [30_000, 30_000]
    kinds = [event.kind for event in rig.journal.events]
    assert kinds == [
        *("host.started", "host.finished", "pause.ended") * 2,
        *("host.started", "host.finished", "task.finished"),
    ]


# --- gates


def test_a_gate_that_fails_stops_the_task() -> None:
    """The next batch is never started (C3); what was asked and what it said is on record."""
    rig = Rig((("a",), ("b",), ("c",)), Policy(gate=GatePolicy((URL,))), probe=ScriptedProbe(OK, BAD))
    rig.play(rig.let_all_complete)
    assert rig.transport.seen == ("a", "b")
    opened, probed, checked, verdict = rig.journal.events[-4:]
    assert opened == GateOpened(1)
    assert probed == GateProbed(1, URL, passed=False, detail="HTTP 503", duration_ms=3)
    assert isinstance(checked, GateChecked)
    assert (checked.passed, checked.detail) == (False, "HTTP 503")
    assert verdict == TaskFinished(TaskStatus.ABORTED, "the health check after batch 1 failed: HTTP 503")
    assert rig.run.outcome("c") is Outcome.SKIPPED


def test_a_gate_that_fails_can_leave_the_task_for_a_resume() -> None:
    """The same stop, and nothing is skipped for good."""
    policy = Policy(gate=GatePolicy((URL,)), on_stop=OnStop.PAUSE)
    rig = Rig((("a",), ("b",)), policy, probe=ScriptedProbe(BAD))
    rig.play(rig.let_all_complete)
    assert rig.run.paused == TaskPaused("the health check after batch 0 failed: HTTP 503")
    assert rig.transport.seen == ("a",)


def test_a_sick_service_is_not_touched_with_a_baseline() -> None:
    """The gate is asked before the first host; the questions per host are for the first batch."""
    policy = Policy(gate=GatePolicy((URL,), tcp_port=80, baseline=True))
    rig = Rig((("a", "b"), ("c",)), policy, probe=ScriptedProbe(OK, OK, BAD))
    rig.play(rig.let_all_complete)
    assert rig.transport.orders == []
    assert rig.probe.asked == [URL, "tcp a:80", "tcp b:80"]
    assert rig.run.finished == TaskFinished(
        TaskStatus.ABORTED, "the health check before the first batch failed: tcp b:80: HTTP 503"
    )


def checked(rig: Rig) -> GateChecked:
    """Return the one decision of a gate."""
    (event,) = rig.events_of(GateChecked)
    assert isinstance(event, GateChecked)
    return event


def gate(**settings: object) -> Policy:
    """Make a policy with a gate on a URL."""
    return Policy(gate=GatePolicy((URL,), interval_ms=2_000, **settings))  # type: ignore[arg-type]


def test_with_a_deadline_rounds_go_on_until_it_is_healthy(clock: Clock) -> None:
    """200 after three tries; each answer is on record, the intervals are kept, and nothing runs in between."""
    rig = Rig((("a",),), gate(deadline_ms=60_000), probe=ScriptedProbe(BAD, BAD, OK))
    rig.play(rig.let_all_complete)
    assert clock.slept == [2_000, 2_000]
    assert len(rig.events_of(GateProbed)) == 3
    assert (checked(rig).passed, checked(rig).duration_ms) == (True, 4_000)
    assert checked(rig).detail == "HTTP 200 (3 rounds in 4000ms)"
    assert rig.run.status is TaskStatus.COMPLETE


def test_at_the_deadline_an_unhealthy_gate_fails(clock: Clock) -> None:
    """The last round is at the deadline, not an interval later."""
    rig = Rig((("a",), ("b",)), gate(deadline_ms=5_000), probe=ScriptedProbe(*[BAD] * 9))
    rig.play(rig.let_all_complete)
    assert clock.slept == [2_000, 2_000, 1_000]
    assert (checked(rig).passed, checked(rig).duration_ms) == (False, 5_000)
    assert rig.transport.seen == ("a",)


def test_a_gate_has_to_be_healthy_without_a_break(clock: Clock) -> None:
    """One bad answer begins the time anew (C4: it flips after a good one)."""
    answers = [OK, OK, BAD, OK, OK, OK]
    rig = Rig((("a",),), gate(deadline_ms=60_000, stable_ms=4_000), probe=ScriptedProbe(*answers))
    rig.play(rig.let_all_complete)
    assert clock.now_ms == 10_000
    assert (checked(rig).passed, len(rig.probe.asked)) == (True, 6)


def test_a_gate_that_flips_is_found_at_the_next_one() -> None:
    """C4: healthy after the first batch and 503 a moment later: the second batch ran, the third does not."""
    rig = Rig((("a",), ("b",), ("c",)), gate(), probe=ScriptedProbe(OK, BAD))
    rig.play(rig.let_all_complete)
    assert rig.transport.seen == ("a", "b")
    assert rig.run.status is TaskStatus.ABORTED


def test_each_round_asks_everything_side_by_side() -> None:
    """All URLs and ports at once, within the fan-out; one bad answer is enough, and all of them are on record."""
    hosts = tuple(f"h{number}" for number in range(6))
    policy = Policy(fanout=4, gate=GatePolicy((URL,), tcp_port=80))
    rig = Rig((hosts,), policy, probe=ScriptedProbe(OK, OK, OK, BAD))
    rig.play(rig.let_all_complete)
    assert rig.probe.at_once_most == 4
    assert rig.probe.asked == [URL, *(f"tcp {host}:80" for host in hosts)]
    assert [event.passed for event in rig.events_of(GateProbed) if isinstance(event, GateProbed)] == [
        *(OK, OK, OK, BAD),
        *(OK, OK, OK),
    ]
    assert not checked(rig).passed


def test_questions_per_host_are_for_hosts_that_completed() -> None:
    """A batch that failed everywhere has nobody to ask, and passes."""
    rig = Rig((("a", "b"), ("c",)), Policy(gate=GatePolicy(tcp_port=80)))

    async def script() -> None:
        await rig.transport.until_running("a", "b")
        rig.transport.end("a", FAILED)
        rig.transport.end("b")
        await rig.transport.until_running("c")
        rig.transport.end("c", FAILED)

    rig.play(script)
    assert rig.probe.asked == ["tcp b:80"]
    last = rig.events_of(GateChecked)[-1]
    assert last == GateChecked(
        1, passed=True, detail="no host of the batch completed, nothing was asked", duration_ms=0
    )


COMMAND = Policy(gate=GatePolicy(command="check", timeout_ms=3_000))


def test_check_commands_go_through_the_transport_with_orders_of_their_own() -> None:
    """Their own text, limits and mark; what they print and how they exit is the answer."""
    rig = Rig((("a", "b"),), COMMAND)

    async def script() -> None:
        await rig.transport.until_running("a", "b")
        rig.transport.end("a")
        rig.transport.end("b")
        await until(lambda: len(rig.transport.orders) == 4)
        rig.transport.end("a")
        rig.transport.end("b", Ended(HostResult(Outcome.FAILED, 9, exit_code=3), (b"not\n ready \xff",)))

    rig.play(script)
    assert rig.orders == [("a", "uptime"), ("b", "uptime"), ("a", "check"), ("b", "check")]
    assert rig.transport.limits[2:] == [Limits(timeout_ms=3_000, grace_ms=1_000, kill_on_disconnect=True)] * 2
    assert rig.transport.marks == ["m1", "m2", "m3", "m4"]
    assert rig.events_of(GateProbed) == [
        GateProbed(0, "command on a", passed=True, detail="exit 0", duration_ms=42),
        GateProbed(0, "command on b", passed=False, detail="exit 3: not ready \ufffd", duration_ms=9),
    ]
    assert not checked(rig).passed
    assert rig.outcomes() == {"a": Outcome.COMPLETE, "b": Outcome.COMPLETE}


def test_a_check_is_on_record_before_its_order_goes_out() -> None:
    """That a gate was opened says that commands may have run."""
    rig = Rig((("a",),), COMMAND)
    seen: list[bool] = []
    rig.transport._on_order = lambda order: seen.append(order.wire == "check" and GateOpened(0) in rig.journal.events)
    rig.play(rig.let_all_complete)
    assert seen == [False, True]


def test_a_refused_check_command_fails_the_gate_and_reaches_no_host() -> None:
    """The hard guard reads it for each host."""
    rig = Rig((("a", "b"), ("c",)), COMMAND, refused_checks=frozenset({"b"}))
    rig.play(rig.let_all_complete)
    assert rig.orders == [("a", "uptime"), ("b", "uptime"), ("a", "check")]
    assert not checked(rig).passed
    assert checked(rig).detail == f"command on b: rejected: {PATTERN}"


ENDS: list[tuple[HostResult, str]] = [
    (HostResult(Outcome.TIMEOUT, 3_000), "timeout"),
    (HostResult(Outcome.LOST, 3, detail="the connection died"), "lost: the connection died"),
    (HostResult(Outcome.FAILED, 3, signal="KILL"), "signal KILL"),
    (HostResult(Outcome.CANCELLED, 3), "cancelled"),
    (HostResult(Outcome.FAILED, 3, exit_code=255), "exit 255"),
]


@pytest.mark.parametrize(("result", "told"), ENDS)
def test_a_check_passes_with_exit_code_zero_and_with_nothing_else(result: HostResult, told: str) -> None:
    """Also where the task itself accepts other exit codes."""
    rig = Rig((("a",), ("b",)), Policy(accept_exit=(0, 255), gate=GatePolicy(command="check")))

    async def script() -> None:
        await rig.transport.until_running("a")
        rig.transport.end("a")
        await until(lambda: len(rig.transport.orders) == 2)
        rig.transport.end("a", Ended(result))

    rig.play(script)
    assert (checked(rig).passed, checked(rig).detail) == (False, told)
    assert rig.run.status is TaskStatus.ABORTED


@pytest.mark.parametrize("error", [RuntimeError("bug"), OSError("bug"), TimeoutError("bug"), asyncio.CancelledError()])
def test_a_question_that_raises_fails_the_gate_and_not_the_run(error: BaseException) -> None:
    """A bug in asking never passes a gate, and never ends the run without a verdict."""
    rig = Rig((("a",), ("b",)), gate())
    rig.probe.error = error
    rig.play(rig.let_all_complete)
    assert checked(rig).detail == f"internal error: {error!r}"
    assert rig.run.status is TaskStatus.ABORTED


# --- a gate that is disturbed


@pytest.mark.parametrize("now", [False, True])
def test_a_cancel_during_a_round_gives_it_up_at_once(now: bool) -> None:  # noqa: FBT001 - a table's column
    """No answer is waited for, none is recorded, and nothing is decided."""
    rig = Rig((("a",), ("b",)), gate())
    rig.probe.hold = asyncio.Event()
    still_asking: list[int] = []

    def on_append(events: Sequence[Event]) -> None:
        still_asking.extend(rig.probe.at_once for event in events if isinstance(event, CancelRequested))

    rig.journal.on_append = on_append

    async def script() -> None:
        await rig.transport.until_running("a")
        rig.transport.end("a")
        await until(lambda: rig.probe.at_once == 1)
        rig.execution.cancel("SIGINT", now=now)

    rig.play(script)
    assert still_asking == [0], "given up before anything else is done"
    assert rig.events_of(GateProbed) == []
    assert rig.events_of(GateChecked) == []
    assert rig.run.finished == TaskFinished(TaskStatus.CANCELLED, "cancelled by SIGINT")
    assert rig.transport.seen == ("a",)
    assert rig.transport.kills == int(now)


def test_a_cancel_gives_check_commands_up_too() -> None:
    """They are not awaited; their limits have them end with the connection."""
    rig = Rig((("a", "b"),), COMMAND)

    async def script() -> None:
        await rig.transport.until_running("a", "b")
        rig.transport.end("a")
        rig.transport.end("b")
        await until(lambda: len(rig.transport.orders) == 4)
        rig.execution.cancel("SIGINT", now=False)

    rig.play(script)
    assert sorted(rig.transport.given_up) == ["a", "b"]
    assert rig.outcomes() == {"a": Outcome.COMPLETE, "b": Outcome.COMPLETE}
    assert rig.run.status is TaskStatus.CANCELLED


def test_a_cancel_between_two_rounds_ends_the_waiting() -> None:
    """The interval may be an hour."""
    policy = Policy(gate=GatePolicy((URL,), interval_ms=3_600_000, deadline_ms=7_200_000))
    rig = Rig((("a",), ("b",)), policy, probe=ScriptedProbe(BAD))

    async def script() -> None:
        await rig.transport.until_running("a")
        rig.transport.end("a")
        await until(lambda: bool(rig.events_of(GateProbed)))
        await settled()
        rig.execution.cancel("SIGHUP", now=False)

    rig.play(script)
    assert rig.run.finished == TaskFinished(TaskStatus.CANCELLED, "cancelled by SIGHUP")
    assert rig.events_of(GateChecked) == []


@pytest.mark.parametrize("answers", [(OK,), (BAD,)])
def test_a_cancel_that_comes_with_the_last_answer_still_counts(answers: Sequence[bool]) -> None:
    """Whichever of the two is taken first, no further batch starts."""
    rig = Rig((("a",), ("b",)), gate(), probe=ScriptedProbe(*answers))
    rig.probe.on_ask = lambda: rig.execution.cancel("SIGINT", now=False)
    rig.play(rig.let_all_complete)
    assert rig.transport.seen == ("a",)
    assert rig.run.status is TaskStatus.CANCELLED or not answers[0]


# --- C1


KINDS: dict[str, HostResult] = {
    "exit 1": HostResult(Outcome.FAILED, 1, exit_code=1),
    "signal": HostResult(Outcome.FAILED, 1, signal="KILL"),
    "timeout": HostResult(Outcome.TIMEOUT, 1),
    "unreachable": HostResult(Outcome.UNREACHABLE, 1),
    "lost": HostResult(Outcome.LOST, 1),
}


@pytest.mark.parametrize("allowed", [0, 1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_c1_not_one_host_starts_after_the_failure_too_many_is_on_record(kind: str, allowed: int) -> None:
    """30 hosts in batches of 5, failures planted, counted at the journal: from that event on nothing starts."""
    hosts = tuple(f"h{number:02}" for number in range(30))
    batches = tuple(hosts[start : start + 5] for start in range(0, 30, 5))
    bad = {"h02", "h06", "h07", "h13", "h21"}
    rig = Rig(batches, Policy(fanout=3, failures_max=Quantity(allowed)))
    seen_when_stopped: list[int] = []

    def on_append(events: Sequence[Event]) -> None:
        failed = [event for event in (*rig.journal.events, *events) if is_bad(event)]
        if len(failed) > allowed and not seen_when_stopped:
            seen_when_stopped.append(len(rig.transport.orders))

    def is_bad(event: Event) -> bool:
        return isinstance(event, HostFinished) and event.result.outcome is not Outcome.COMPLETE

    rig.journal.on_append = on_append

    def end_one(running: tuple[str, ...]) -> None:
        rig.transport.end(running[0], *([Ended(KINDS[kind])] if running[0] in bad else []))

    rig.play(lambda: rig.act_until_over(end_one))
    assert seen_when_stopped == [len(rig.transport.orders)], "0 hosts started after it"
    assert rig.run.status is TaskStatus.ABORTED
    failed = sorted(host for host, result in rig.run.results.items() if result.outcome is not Outcome.COMPLETE)
    assert failed[: allowed + 1] == sorted(bad)[: allowed + 1]
    assert set(failed) <= set(rig.transport.seen), "what ran at that moment was awaited"
