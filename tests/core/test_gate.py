"""When a health check passes: rounds, deadlines, stability, and the story that is told of them."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vigo.core.gate import (
    Answer,
    Ask,
    AskCommand,
    AskTcp,
    AskUrl,
    Decision,
    GatePolicy,
    Watch,
    is_healthy,
    nothing_to_ask,
)

URL = AskUrl("http://lb.example.com/health")
OK, SICK = Answer(passed=True, detail="HTTP 200", duration_ms=3), Answer(passed=False, detail="HTTP 503", duration_ms=4)
HEALTHY, UNHEALTHY = True, False


def decisions(policy: GatePolicy, *rounds: tuple[bool, int]) -> list[Decision]:
    """Let rounds end as told, each at its time."""
    watch = Watch(policy)
    return [watch.decide(healthy=healthy, at_ms=at_ms) for healthy, at_ms in rounds]


# --- what follows from the rounds


@pytest.mark.parametrize(("healthy", "decided"), [(HEALTHY, Decision.PASSED), (UNHEALTHY, Decision.FAILED)])
def test_without_a_deadline_one_round_decides(healthy: bool, decided: Decision) -> None:  # noqa: FBT001 - a table's column
    """As it always was: one probe, yes or no."""
    assert decisions(GatePolicy(), (healthy, 12)) == [decided]


def test_with_a_deadline_rounds_go_on_until_one_is_healthy() -> None:
    """A service that needs a moment to come back is given it."""
    waits = GatePolicy(deadline_ms=10_000)
    told = decisions(waits, (UNHEALTHY, 10), (UNHEALTHY, 9_999), (HEALTHY, 12_000))
    assert told == [Decision.AGAIN, Decision.AGAIN, Decision.PASSED]


def test_an_unhealthy_round_at_the_deadline_is_the_last_one() -> None:
    """The deadline itself is too late."""
    assert decisions(GatePolicy(deadline_ms=10_000), (UNHEALTHY, 10_000)) == [Decision.FAILED]


def test_stable_means_without_a_break_from_the_first_healthy_round_to_the_last() -> None:
    """A break begins the time anew."""
    policy = GatePolicy(deadline_ms=60_000, stable_ms=5_000)
    rounds = [
        (HEALTHY, 1_000),
        (HEALTHY, 5_999),
        (UNHEALTHY, 6_500),
        (HEALTHY, 7_000),
        (HEALTHY, 11_999),
        (HEALTHY, 12_000),
    ]
    assert decisions(policy, *rounds) == [Decision.AGAIN] * 5 + [Decision.PASSED]


def test_stability_without_a_deadline_fails_at_the_first_unhealthy_round() -> None:
    """No deadline is no waiting for health; the watch over it still lasts as long as was asked for."""
    policy = GatePolicy(stable_ms=5_000)
    assert decisions(policy, (HEALTHY, 10), (HEALTHY, 4_000), (UNHEALTHY, 4_500)) == [
        *(Decision.AGAIN, Decision.AGAIN, Decision.FAILED),
    ]
    assert decisions(policy, (HEALTHY, 10), (HEALTHY, 5_010)) == [Decision.AGAIN, Decision.PASSED]


def test_a_service_that_is_healthy_too_late_to_be_stable_fails_at_the_deadline() -> None:
    """The whole watch has to fit, unless its end and the deadline fall together."""
    policy = GatePolicy(deadline_ms=10_000, stable_ms=5_000)
    assert decisions(policy, (UNHEALTHY, 0), (HEALTHY, 6_000), (HEALTHY, 10_000))[-1] is Decision.FAILED
    assert decisions(policy, (UNHEALTHY, 0), (HEALTHY, 5_000), (HEALTHY, 10_000))[-1] is Decision.PASSED


WATCHES = [
    GatePolicy(deadline_ms=deadline, stable_ms=stable, interval_ms=interval)
    for deadline, stable, interval in product((0, 10, 30), (0, 10, 40), (0, 1, 7))
]


@pytest.mark.parametrize(
    "policy", WATCHES, ids=lambda p: f"deadline {p.deadline_ms} stable {p.stable_ms} every {p.interval_ms}"
)
@settings(max_examples=30)
@given(st.data())
def test_every_watch_keeps_the_rules_and_ends(policy: GatePolicy, data: st.DataObject) -> None:
    """Rules 2 and 3, told again from the list of rounds alone; the pauses lead to no deadline that is passed asleep."""
    watch = Watch(policy)
    at_ms, seen = 0, list[tuple[bool, int]]()
    for _ in range(200):
        at_ms += data.draw(st.integers(1, 9), "how long the round takes")
        seen.append((data.draw(st.booleans() | st.just(HEALTHY), "healthy"), at_ms))
        decision = watch.decide(healthy=seen[-1][0], at_ms=at_ms)
        assert decision is judged(policy, seen)
        if decision is not Decision.AGAIN:
            return
        rest_ms = watch.pause_ms(at_ms)
        assert 0 <= rest_ms <= policy.interval_ms
        if policy.deadline_ms:
            assert at_ms + rest_ms <= policy.deadline_ms
        at_ms += rest_ms
    raise AssertionError("no decision in two hundred rounds")


def judged(policy: GatePolicy, seen: list[tuple[bool, int]]) -> Decision:
    """Judge all rounds so far at once, by the words of the rules."""
    healthy, now_ms = seen[-1]
    unbroken = [at_ms for index, (_, at_ms) in enumerate(seen) if all(passed for passed, _ in seen[index:])]
    if healthy and unbroken[-1] - unbroken[0] >= policy.stable_ms:
        return Decision.PASSED
    if policy.deadline_ms == 0:
        return Decision.AGAIN if healthy else Decision.FAILED
    return Decision.AGAIN if now_ms < policy.deadline_ms else Decision.FAILED


# --- how long it waits


def test_the_next_round_comes_after_the_interval() -> None:
    """Nothing is due earlier."""
    watch = Watch(GatePolicy(interval_ms=2_000, deadline_ms=60_000))
    watch.decide(healthy=False, at_ms=500)
    assert watch.pause_ms(500) == 2_000


def test_the_last_round_before_the_deadline_comes_at_the_deadline() -> None:
    """A whole interval would pass it."""
    watch = Watch(GatePolicy(interval_ms=2_000, deadline_ms=10_000))
    watch.decide(healthy=False, at_ms=9_000)
    assert watch.pause_ms(9_000) == 1_000
    assert watch.pause_ms(10_400) == 0


def test_the_round_that_ends_the_stable_time_comes_when_it_is_over() -> None:
    """No second is waited for that was not asked for."""
    watch = Watch(GatePolicy(interval_ms=2_000, stable_ms=3_000))
    watch.decide(healthy=True, at_ms=1_000)
    assert watch.pause_ms(1_000) == 2_000
    watch.decide(healthy=True, at_ms=3_200)
    assert watch.pause_ms(3_200) == 800


# --- what is asked, and what is told


@pytest.mark.parametrize(
    ("policy", "is_set"),
    [
        (GatePolicy(), False),
        (GatePolicy(baseline=True, deadline_ms=9), False),
        (GatePolicy(("http://a/",)), True),
        (GatePolicy(command="true"), True),
        (GatePolicy(tcp_port=80), True),
    ],
)
def test_a_gate_is_set_once_it_has_anything_to_ask(policy: GatePolicy, *, is_set: bool) -> None:
    """How often and how long is no question of its own."""
    assert policy.is_set is is_set


@pytest.mark.parametrize(
    ("ask", "shown"),
    [
        (URL, "http://lb.example.com/health"),
        (AskTcp("web-01", "192.168.56.11", 8080), "tcp web-01:8080"),
        (AskCommand("web-01"), "command on web-01"),
    ],
)
def test_a_question_is_shown_with_the_name_of_its_host(ask: Ask, shown: str) -> None:
    """An address would have to be looked up."""
    assert ask.shown == shown


def test_a_round_is_healthy_when_every_answer_is() -> None:
    """Rule 1; a round of nothing is, and is told as what it was."""
    assert is_healthy([OK, OK])
    assert not is_healthy([OK, SICK])
    assert is_healthy([])
    assert nothing_to_ask() == "no host of the batch completed, nothing was asked"


def story(policy: GatePolicy, *rounds: tuple[list[tuple[Ask, Answer]], int]) -> str:
    """Tell the last of these rounds."""
    watch = Watch(policy)
    for asked, at_ms in rounds:
        watch.decide(healthy=is_healthy(answer for _, answer in asked), at_ms=at_ms)
    return watch.story(*rounds[-1])


def commands(*answers: Answer) -> list[tuple[Ask, Answer]]:
    """Ask one host after the other."""
    return [(AskCommand(f"web-{number:02}"), answer) for number, answer in enumerate(answers, 1)]


def test_one_answer_is_told_in_its_own_words() -> None:
    """What was asked stands in the plan."""
    assert story(GatePolicy(), ([(URL, OK)], 3)) == "HTTP 200"
    assert story(GatePolicy(), ([(URL, SICK)], 3)) == "HTTP 503"


def test_of_many_answers_the_unhealthy_ones_are_named() -> None:
    """Up to three of them, then how many more; healthy ones are counted."""
    assert story(GatePolicy(), (commands(OK, OK, OK), 9)) == "3 healthy answers"
    assert story(GatePolicy(), (commands(OK, SICK), 9)) == "command on web-02: HTTP 503"
    told = story(GatePolicy(), (commands(SICK, SICK, SICK, SICK, SICK), 9))
    assert told == "; ".join(f"command on web-{n:02}: HTTP 503" for n in (1, 2, 3)) + "; and 2 more"


def test_a_story_of_several_rounds_says_how_many_and_for_how_long() -> None:
    """Whether it came at once or just in time is worth knowing."""
    policy = GatePolicy(deadline_ms=10_000)
    assert story(policy, ([(URL, SICK)], 100), ([(URL, OK)], 4_000)) == "HTTP 200 (2 rounds in 4000ms)"
    assert story(policy, ([(URL, SICK)], 100), ([(URL, SICK)], 10_000)) == "HTTP 503 (2 rounds in 10.0s)"


def test_a_service_that_was_not_stable_in_time_is_told_as_such() -> None:
    """The last answer was healthy: it alone would explain nothing."""
    policy = GatePolicy(deadline_ms=10_000, stable_ms=5_000)
    told = story(policy, ([(URL, SICK)], 100), ([(URL, OK)], 7_000), ([(URL, OK)], 10_000))
    assert told == "healthy, but not for 5000ms without a break (3 rounds in 10.0s)"
