"""The board's model and its frames, without a terminal."""

from __future__ import annotations

import unicodedata
from collections import Counter
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vigo.core.events import (
    CancelRequested,
    Event,
    GateChecked,
    GateOpened,
    GateProbed,
    HostFinished,
    HostStarted,
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
from vigo.core.quantity import Quantity
from vigo.core.rollout import Run
from vigo.render import board
from vigo.render.board import Look, clock, frame, last_line
from vigo.render.board_state import BoardState, State, epoch_ms
from vigo.render.line import Line

DONE = HostResult(Outcome.COMPLETE, 42, exit_code=0)
FAILED = HostResult(Outcome.FAILED, 51, exit_code=3)
LOOK = Look(("first Ctrl-C", "second Ctrl-C"))
AT = "2026-03-13T12:30:01.000Z"
ZERO_MS = epoch_ms(AT)
HOSTILE = "x\x1b]0;t\x07\x1b[2J\x9b6n\u202ey\rz\u200b\udc80" + "a" + "\u0301" * 50 + "[bold][/foo]\n"


class Told:
    """A run whose records a board has seen."""

    def __init__(self, *batches: tuple[str, ...], policy: Policy | None = None, command: str = "uptime") -> None:
        self.run = Run(TaskDispatched("admin", command, "all", batches, policy or Policy()))
        self.state = BoardState("t1a2b3c4", self.run, ZERO_MS)

    def tell(self, *events: Event) -> Told:
        """Apply the events and tell the board."""
        for event in events:
            self.run.apply(event)
            self.state.on_record(Record(1, AT, "t1a2b3c4", event), self.run)
        return self

    def screen(self, width: int = 79, height: int = 23, after_ms: int = 0, look: Look = LOOK) -> list[str]:
        """Return a frame's lines, so many milliseconds after the records."""
        return [line.plain.rstrip() for line in frame(self.state, ZERO_MS + after_ms, width, height, look)]


def names(count: int, first: int = 0) -> tuple[str, ...]:
    """Return host names."""
    return tuple(f"web-{number:05}" for number in range(first, first + count))


def middle() -> Told:
    """Return a rollout in the middle of its second batch."""
    gate = GatePolicy(urls=("http://lb/health",), deadline_ms=30_000)
    policy = Policy(failures_max=Quantity(2), gate=gate, fanout=5)
    told = Told(names(2), names(3, 2), names(3, 5), policy=policy, command="systemctl restart nginx")
    told.tell(*(HostStarted(host, 0) for host in names(2)), HostFinished("web-00000", DONE))
    told.tell(HostFinished("web-00001", FAILED), GateOpened(0), GateChecked(0, True, "HTTP 200", 3))  # noqa: FBT003
    told.tell(*(HostStarted(host, 1) for host in names(3, 2)))
    told.state.hear("web-00002", b"stopping\nsta")
    told.state.hear("web-00002", b"rting\n")
    return told


def test_a_stressed_operator_sees_all_of_it_at_once() -> None:
    """State, command, batches with their gates, what happens now, counts, budget, hosts, and what Ctrl-C does."""
    assert middle().screen(after_ms=67_000) == [
        "task t1a2b3c4 running 1m 07s",
        "command     systemctl restart nginx",
        "batches     ✗ 0 = ▸ 1 | . 2 |",
        "now         batch 1 (2 of 3): 0 of 3 ended",
        "hosts       8:  . 3 waiting  ▸ 3 running  ✓ 1 complete  ✗ 1 failed",
        "failures    [##########....................] 1 of 2 used",
        "✓✗▸▸▸...",
        "✗ web-00001 [failed] exit=3 51ms",
        "▸ web-00002 running 1m 07s starting",
        "▸ web-00003 running 1m 07s",
        "▸ web-00004 running 1m 07s",
        "first Ctrl-C",
    ]


def test_a_gate_and_a_pause_count_down() -> None:
    """With what the service said last."""
    told = middle().tell(*(HostFinished(host, DONE) for host in names(3, 2)), GateOpened(1))
    told.tell(GateProbed(1, "http://lb/health", passed=False, detail="HTTP 503", duration_ms=2))
    assert (
        told.screen(after_ms=12_000)[3]
        == "now         health check after batch 1: 18s left, http://lb/health: HTTP 503"
    )
    told = Told(names(1), names(1, 1), policy=Policy(pause_ms=30_000))
    told.tell(HostStarted("web-00000", 0), HostFinished("web-00000", DONE))
    assert told.screen(after_ms=1_500)[3] == "now         pause before batch 1: 29s left"


def test_what_ctrl_c_does_is_told_before_and_after_it() -> None:
    """The first lets hosts finish, and the board says what it waits for and what the next one does."""
    told = middle().tell(CancelRequested("SIGINT"))
    assert told.screen()[3] == "now         stopping, 3 hosts to finish: cancelled by SIGINT"
    assert told.screen()[-1] == "second Ctrl-C"
    assert told.tell(CancelRequested("SIGINT", now=True)).screen()[3] == (
        "now         killing the command on 3 hosts (SIGINT)"
    )


def test_the_last_frame_says_how_it_ended() -> None:
    """What never started was skipped, and nothing is said of Ctrl-C any more."""
    told = middle().tell(CancelRequested("operator"), *(HostFinished(host, DONE) for host in names(3, 2)))
    screen = told.tell(TaskFinished(TaskStatus.CANCELLED, "cancelled by operator")).screen(after_ms=99_000)
    assert screen[0] == "task t1a2b3c4 cancelled 0s: cancelled by operator"
    assert "- 3 skipped" in screen[3]
    assert not any("Ctrl-C" in line for line in screen)


def test_a_resumed_task_has_a_new_budget_and_remembers_its_hosts() -> None:
    """As the budget itself counts; a board that saw the first leg and one that begins with the second agree."""
    first = Told(names(2), names(2, 2), policy=Policy(failures_max=Quantity(1), stop_after=1))
    first.tell(*(HostStarted(host, 0) for host in names(2)), HostFinished("web-00000", FAILED))
    first.tell(HostFinished("web-00001", DONE), TaskPaused("1 of 2 batches ran, as asked"))
    assert first.screen()[0] == "task t1a2b3c4 paused 0s: 1 of 2 batches ran, as asked"
    first.tell(TaskResumed("admin"))
    again = BoardState("t1a2b3c4", first.run, ZERO_MS)
    for state in (first.state, again):
        assert (state.budgets[0].spent, state.counts[State.FAILED], state.ended(0)) == (0, 1, 2)
    assert again.cells == first.state.cells


def test_a_dead_control_process_leaves_lost_and_skipped_hosts() -> None:
    """As `task status` tells it."""
    told = middle()
    told.state.interrupt()
    assert told.state.counts[State.LOST] == 3
    assert told.screen()[0].startswith("task t1a2b3c4 interrupted")
    assert sum(told.state.counts.values()) == 8


@pytest.mark.parametrize(("width", "height"), [(20, 24), (80, 5), (10, 2), (1, 1), (140, 50)])
def test_every_screen_is_kept_to(width: int, height: int) -> None:
    """No line too wide and none too many; the state is always there."""
    lines = frame(middle().state, ZERO_MS, width, height, LOOK)
    assert len(lines) <= height
    assert all(line.cells <= width for line in lines)
    assert lines[0].plain.startswith("task t1a2b3c4 running"[: width - 1])


def test_five_lines_have_state_now_counts_and_ctrl_c() -> None:
    """Rule 4: what the operator may have to act on stays."""
    assert middle().screen(79, 4) == [
        "task t1a2b3c4 running 0s",
        "now         batch 1 (2 of 3): 0 of 3 ended",
        "hosts       8:  . 3 waiting  ▸ 3 running  ✓ 1 complete  ✗ 1 failed",
        "first Ctrl-C",
    ]


def test_a_terminal_without_unicode_gets_letters() -> None:
    """And each state has a sign of its own in either alphabet."""
    assert "".join(middle().screen(look=Look(("", ""), plain=True))).isascii()
    for plain in (True, False):
        assert len({Look(("", ""), plain).glyph(state) for state in State}) == len(State)


def test_a_state_is_told_by_a_word_beside_its_sign() -> None:
    """The counts are the legend of the grid."""
    told = Told(names(len(Outcome)))
    for host, outcome in zip(names(len(Outcome)), Outcome, strict=True):
        told.state._set(host, State(outcome))
    screen = told.screen(200)
    assert all(f"1 {outcome}" in screen[3] for outcome in Outcome)


def test_no_count_is_cut_where_the_screen_ends() -> None:
    """Half a number is another number: what has no room stands on the next line."""
    told = Told(names(150))
    for host, outcome in zip(names(len(Outcome)), Outcome, strict=True):
        told.state._set(host, State(outcome))
    assert [line.rstrip() for line in told.screen(60)[3:6]] == [
        "hosts       150:  . 142 waiting  ✓ 1 complete  ✗ 1 failed",
        "              T 1 timeout  U 1 unreachable  R 1 rejected",
        "              ? 1 lost  C 1 cancelled  - 1 skipped",
    ]


def test_a_budget_that_is_overspent_says_by_how_much() -> None:
    """Hosts that ran when it stopped may fail too."""
    told = Told(names(6), policy=Policy(failures_max=Quantity(2), fanout=6))
    told.tell(*(HostStarted(host, 0) for host in names(6)), *(HostFinished(host, FAILED) for host in names(3)))
    assert told.screen()[4].endswith(" 3 of 2 spent, one too many")
    told.tell(*(HostFinished(host, FAILED) for host in names(3, 3)))
    assert any(line.endswith(" 6 of 2 spent, 4 too many") for line in told.screen())


def test_the_strip_of_many_batches_shows_whole_ones_and_the_current_among_them() -> None:
    """On any width, with gates."""
    gate = GatePolicy(urls=("http://lb/",), baseline=True)
    told = Told(*((name,) for name in names(120)), policy=Policy(gate=gate))
    told.tell(GateOpened(None), GateChecked(None, True, "HTTP 200", 3))  # noqa: FBT003
    for number, name in enumerate(names(60)):
        told.tell(HostStarted(name, number), HostFinished(name, DONE), GateOpened(number))
        told.tell(GateChecked(number, True, "HTTP 200", 3))  # noqa: FBT003
    told.tell(HostStarted("web-00060", 60))
    for width in range(40, 200, 7):
        strip = next(line for line in told.screen(width) if line.startswith("batches"))
        assert len(strip) <= width
        assert "▸ 60 | " in strip
        assert strip.endswith("| …")


# --- text from outside


@pytest.mark.parametrize("field", ["host", "command", "detail", "output", "answer", "cause", "reason", "task"])
def test_nothing_from_outside_drives_the_terminal(field: str) -> None:
    """E1: each field that somebody else fills, filled with what would."""
    host = HOSTILE if field == "host" else "a"
    gate = GatePolicy(urls=("http://lb/",), deadline_ms=1000)
    told = Told((host, "b"), ("c",), policy=Policy(gate=gate), command=HOSTILE if field == "command" else "uptime")
    screens = [told.screen()]
    if field == "task":
        told.state.task = HOSTILE
    told.tell(HostStarted(host, 0), HostStarted("b", 0))
    if field == "output":
        told.state.hear("b", b"\xff\xfe\x9b2J" + HOSTILE.encode("utf-8", "surrogatepass"))
    screens.append(told.screen(500))
    evil = HostResult(Outcome.UNREACHABLE, reason=Reason.BANNER, detail=HOSTILE if field == "detail" else "no")
    told.tell(HostFinished(host, evil), HostFinished("b", FAILED), GateOpened(0))
    told.tell(GateProbed(0, "ask", passed=False, detail=HOSTILE if field == "answer" else "no", duration_ms=1))
    screens.append(told.screen(500))
    told.tell(CancelRequested(HOSTILE if field == "cause" else "operator"))
    screens.append(told.screen(500))
    told.tell(TaskFinished(TaskStatus.CANCELLED, HOSTILE if field == "reason" else "enough"))
    screens.append(told.screen(500))
    text = "".join(line for screen in screens for line in screen)
    assert not [char for char in text if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}]
    assert "\\u200b" in text


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"", ""),
        (b"one\ntwo\n\n", "two"),
        (b"10%\r20%\r30%\r", "30%"),
        (b"x" * 2000, "x" * 512),
        ("é".encode() * 400, "é" * 256),
        (b"a\x1b[2Jb\n", "a\\x1b[2Jb"),
    ],
)
def test_the_latest_line_is_the_last_one_that_says_something(data: bytes, line: str) -> None:
    """Progress bars show where they are; of an endless line its end is kept."""
    assert last_line(data[-512:]) == line


def test_times_are_told_as_people_say_them() -> None:
    """Whole seconds; nothing is negative when a clock was set back."""
    assert [clock(ms) for ms in (-5, 0, 7_900, 67_000, 7_384_000)] == ["0s", "0s", "7s", "1m 07s", "2h 03m"]


# --- promises

ENDS = st.sampled_from([DONE, FAILED, HostResult(Outcome.LOST), HostResult(Outcome.UNREACHABLE, reason=Reason.DNS)])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=5), st.data())
def test_the_board_agrees_with_the_run(sizes: list[int], data: st.DataObject) -> None:
    """After any record: its counts are the run's, its cells are its counts, and each frame fits."""
    batches = [names(size, sum(sizes[:at])) for at, size in enumerate(sizes)]
    told = Told(*batches)
    for number, batch in enumerate(batches):
        told.tell(*(HostStarted(host, number) for host in batch))
        for host in data.draw(st.permutations(batch)):
            told.tell(HostFinished(host, data.draw(ENDS)))
            state, counts = told.state, told.run.counts()
            assert {o: state.counts[State(o)] for o in Outcome} == {o: counts[o] for o in Outcome}
            assert state.counts[State.RUNNING] == len(told.run.in_flight) == len(state.running)
            assert Counter(state.cells) == +state.counts
            assert state.budgets[0].spent == sum(counts.values()) - counts[Outcome.COMPLETE]
            assert len(told.screen(40, 12)) <= 12


def test_a_frame_looks_at_no_more_hosts_than_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand hosts cost what a thousand do, counted in signs and cleaned texts."""
    seen: list[int] = []
    for count in (1_000, 10_000, 40_000):
        told = Told(names(count), policy=Policy(fanout=count))
        told.tell(*(HostStarted(host, 0) for host in names(count)))
        calls = 0

        def counted(text: str) -> str:
            nonlocal calls
            calls += 1
            return text

        monkeypatch.setattr(board, "clean", counted)
        lines = frame(told.state, ZERO_MS, 80, 24, LOOK)
        seen.append(calls)
        assert len(lines) == 24
    assert seen[0] == seen[1] < 100


@pytest.mark.parametrize(
    ("pieces", "width", "dots", "cut"),
    [
        ([("abc", "dim"), ("def", "")], 6, "…", "abcdef"),
        ([("abc", "dim"), ("def", "")], 5, "…", "abcd…"),
        ([("abc", "dim"), ("def", "")], 3, "…", "ab…"),
        ([("abc", "dim"), ("def", "")], 4, "", "abcd"),
        ([("ab", ""), ("あいう", "")], 6, "…", "abあ …"),
        ([("abc", "")], 0, "…", ""),
        ([], 3, "…", ""),
    ],
)
def test_a_line_is_cut_where_the_screen_ends(pieces: list[tuple[str, str]], width: int, dots: str, cut: str) -> None:
    """A character that is two cells wide is not cut in half."""
    line = Line(*pieces)
    line.cut(width, dots)
    assert (line.plain, line.cells <= width) == (cut, True)


@pytest.mark.faults
def test_a_frame_of_a_restless_fleet_costs_what_fits_on_the_screen() -> None:
    """A screen of 200 by 60, no two neighbours in the same state: of more hosts than it shows none is looked at."""
    took_ms = {}
    for count in (1_000, 10_000, 40_000):
        told = Told(
            *(tuple(f"web-{number:05}" for number in range(start, start + 50)) for start in range(0, count, 50))
        )
        told.state.cells = [list(State)[number % len(State)] for number in range(count)]
        best = []
        for _ in range(9):
            began = process_time()
            assert len(frame(told.state, ZERO_MS, 199, 59, LOOK)) <= 59
            best.append(process_time() - began)
        took_ms[count] = min(best) * 1000
    print(f"a frame of 200 by 60: {took_ms[1_000]:.1f} ms for 1,000 hosts, {took_ms[10_000]:.1f} ms for 10,000")
    assert took_ms[40_000] < 3 * took_ms[10_000]
