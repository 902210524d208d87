"""Results in other forms than blocks: folded, line by line, counted; nothing is lost and nothing is shown twice."""

from __future__ import annotations

import hashlib
import io
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigo.core.events import HostFinished, HostStarted, Record, TaskDispatched, TaskFinished, TaskResumed, TaskStatus
from vigo.core.model import HostResult, Outcome, Output, Reason, Stream
from vigo.core.ranges import expand
from vigo.core.rollout import Run
from vigo.render.gather import alike_but_for, difference, groups_of
from vigo.render.views import StreamPrinter, View, WholePrinter, Wish, counted, shown

KEPT: dict[str, bytes] = {}


def output(data: bytes) -> Output:
    """Describe output that was kept whole."""
    digest = hashlib.sha256(data).hexdigest()
    KEPT[digest] = data
    return Output(len(data), digest, len(data), digest, len(data))


def complete(data: bytes, errors: bytes = b"", code: int = 0) -> HostResult:
    """Describe a host that ended by itself."""
    outcome = Outcome.FAILED if code else Outcome.COMPLETE
    return HostResult(outcome, 40, exit_code=code, stdout=output(data), stderr=output(errors))


def run_of(results: dict[str, HostResult], waiting: tuple[str, ...] = ()) -> Run:
    """Make a run in which these hosts ended and the others wait."""
    run = Run(TaskDispatched("admin", "uptime", "all", ((*results, *waiting),)))
    for host, result in results.items():
        run.apply(HostStarted(host, 0))
        run.apply(HostFinished(host, result))
    return run


def text(run: Run, wish: Wish, *, interrupted: bool = False) -> str:
    """Return the whole text."""
    return "".join(shown(run, KEPT.get, wish, run.hosts, interrupted=interrupted))


GATHER = Wish(View.GATHER)


def test_equal_output_is_shown_once_the_biggest_group_first_and_others_as_a_difference() -> None:
    """Seventeen hosts, one that differs in a line, one that failed, one that could not be reached."""
    usual = b"".join(b"line %d\n" % number for number in range(9))
    results = {f"web-{number:02}": complete(usual) for number in range(1, 18)}
    results["web-18"] = complete(usual.replace(b"line 4", b"line four"))
    results["web-19"] = complete(b"no such unit\n", b"sorry\n", code=3)
    results["web-20"] = HostResult(Outcome.UNREACHABLE, reason=Reason.REFUSED, detail="10.0.0.20:22 refused")
    results["web-21"] = HostResult(Outcome.UNREACHABLE, reason=Reason.REFUSED, detail="10.0.0.21:22 refused")
    assert text(run_of(results, waiting=("web-22",)), GATHER) == (
        "web-[01-17]  17 hosts  [complete] exit=0\n" + usual.decode() + "\n"
        "web-[20-21]  2 hosts  [unreachable] refused\n"
        "web-20: 10.0.0.20:22 refused\n"
        "web-21: 10.0.0.21:22 refused\n\n"
        "web-18  1 host  [complete] exit=0\n"
        "(what differs from the 17 hosts above)\n"
        "@@ -4,3 +4,3 @@\n line 3\n-line 4\n+line four\n line 5\n\n"
        "web-19  1 host  [failed] exit=3\nno such unit\nsorry\n\n"
        "web-22  1 host  [waiting]\n\n"
    )


def test_what_is_ignored_does_not_part_hosts() -> None:
    """Pids and times; the first host's own output is shown."""
    results = {f"h{number}": complete(b"pid %d started\n" % (100 + number)) for number in range(5)}
    assert text(run_of(results), GATHER).count("1 host ") == 5
    wish = replace(GATHER, ignored=(re.compile(rb"pid \d+"),))
    assert text(run_of(results), wish) == "h[0-4]  5 hosts  [complete] exit=0\npid 100 started\n\n"


def test_output_that_is_cut_or_gone_counts_by_its_digest() -> None:
    """Two outputs of which the same is kept are not the same."""
    cut = replace(output(b"head"), total_bytes=10, sha256="1" * 64)
    gone = Output(3, "2" * 64, 3, "3" * 64, 3)
    results = {"a": cut, "b": replace(cut, sha256="4" * 64), "c": gone, "d": gone}
    run = run_of({name: replace(complete(b""), stdout=printed) for name, printed in results.items()})
    ignored = alike_but_for([re.compile(b"head")], KEPT.get)
    assert [group.hosts for group in groups_of(run, run.hosts, ignored)] == [("c", "d"), ("a",), ("b",)]
    assert "no longer kept" in text(run, GATHER)


OUTPUTS = st.sampled_from([b"", b"a\n", b"b\n", b"a\nb\n"])


@given(st.lists(st.tuples(OUTPUTS, OUTPUTS, st.integers(0, 2)), max_size=30))
def test_every_host_is_in_exactly_one_group_with_its_like(said: list[tuple[bytes, bytes, int]]) -> None:
    """Sizes fall, hosts keep the plan's order, and two hosts share a group exactly when they ended and printed the same."""
    results = {f"h{at}": complete(*each) for at, each in enumerate(said)}
    groups = groups_of(run_of(results), results)
    assert sorted(name for group in groups for name in group.hosts) == sorted(results)
    assert [len(group.hosts) for group in groups] == sorted((len(group.hosts) for group in groups), reverse=True)
    assert len(groups) == len(set(said))
    for group in groups:
        assert list(group.hosts) == [
            name for name, each in zip(results, said, strict=True) if each == said[int(group.hosts[0][1:])]
        ]


def test_a_difference_that_tells_less_than_the_output_is_none() -> None:
    """Nothing in common, too long, too many lines."""
    assert difference(b"a\n", b"b\nc\n") is None
    assert difference(b"a\n" * 500, b"a\n" * 501) is None
    assert difference(b"x" * 20_000, b"x") is None
    assert difference(b"a\nb\nc\n", b"a\nb\nd\n") == ["@@ -2,2 +2,2 @@", " b", "-c", "+d"]


def test_lines_of_a_finished_run_stand_behind_their_host() -> None:
    """Standard output, then standard error; a missing line end is no new line."""
    run = run_of({"a": complete(b"1\n2", b"bad\x1b[2J\n"), "b": complete(b"")})
    assert text(run, Wish(View.STREAM)) == "a: 1\na: 2\na: bad\\x1b[2J\n"


def record(event: TaskDispatched | TaskResumed | HostFinished | TaskFinished) -> Record:
    """Put an event on record."""
    return Record(1, "2026-01-01T00:00:00.000000Z", "t1a2b3c4", event)


def test_lines_are_shown_as_they_arrive() -> None:
    """Whole lines at once, the rest when the host has ended; a line without end in pieces; hosts not asked for never."""
    out = io.StringIO()
    printer = StreamPrinter(out, Wish(View.STREAM, hosts=("a", "b")))
    run = run_of({}, waiting=("a", "b", "c"))
    printer.on_record(record(run.dispatched), run)
    printer.write("a", Stream.STDOUT, b"one\ntw")
    printer.write("b", Stream.STDERR, b"oops")
    printer.write("c", Stream.STDOUT, b"nobody asked\n")
    printer.write("a", Stream.STDOUT, b"o\nthree")
    assert out.getvalue() == "Task t1a2b3c4 dispatched\na: one\na: two\n"
    printer.on_record(record(HostFinished("a", complete(b""))), run)
    printer.on_record(record(HostFinished("b", complete(b""))), run)
    assert out.getvalue().endswith("a: three\nb: oops\n")
    printer.write("a", Stream.STDOUT, b"x" * 20_000)
    printer.on_record(record(HostFinished("a", complete(b""))), run)
    pieces = out.getvalue().splitlines()[5:]
    assert [len(piece) for piece in pieces] == [3 + 8_192, 3 + 8_192, 3 + 20_000 - 2 * 8_192]


def test_the_other_views_wait_for_the_end_and_show_this_leg_alone() -> None:
    """What ended before a resume was shown then."""
    run = run_of({"a": complete(b"1\n")}, waiting=("b",))
    out = io.StringIO()
    printer = WholePrinter(out, KEPT.get, GATHER, run)
    printer.on_record(record(TaskResumed("admin")), run)
    run.apply(HostStarted("b", 0))
    run.apply(HostFinished("b", complete(b"2\n")))
    printer.on_record(record(HostFinished("b", complete(b"2\n"))), run)
    assert out.getvalue() == "Task t1a2b3c4 resumed\n"
    finished = TaskFinished(TaskStatus.COMPLETE, "")
    run.apply(finished)
    printer.on_record(record(finished), run)
    assert out.getvalue() == "Task t1a2b3c4 resumed\nb  1 host  [complete] exit=0\n2\n\n"


@pytest.mark.parametrize(
    ("wish", "named"),
    [
        (Wish(View.SUMMARY), ["a", "b", "c1", "c2"]),
        (Wish(View.SUMMARY, only=frozenset({Outcome.FAILED})), ["b"]),
        (Wish(View.SUMMARY, hosts=("c*",)), ["c1", "c2"]),
        (Wish(View.SUMMARY, hosts=("a", "c[2-3]")), ["a", "c2"]),
    ],
)
def test_what_is_shown_is_chosen_by_outcome_and_by_name(wish: Wish, named: list[str]) -> None:
    """Together they both have to hold."""
    results = {"a": complete(b""), "b": complete(b"", code=1), "c1": complete(b""), "c2": complete(b"")}
    lines = text(run_of(results), wish).splitlines()
    assert sorted(name for line in lines for part in line.split()[2:] for name in expand(part.strip(","))) == named


def test_counts_stand_in_the_order_of_outcomes() -> None:
    """Those that have not ended come last."""
    outcomes = [("a", None), ("b", Outcome.FAILED), *((f"c{n}", Outcome.COMPLETE) for n in range(12))]
    assert counted(outcomes) == "12 complete    c[0-11]\n 1 failed      b\n 1 not ended   a\n"
    assert counted([]) == ""


@pytest.mark.parametrize("view", list(View))
@pytest.mark.parametrize("interrupted", [False, True])
def test_every_view_shows_hosts_without_a_result(view: View, *, interrupted: bool) -> None:
    """In flight, or not started; nothing fails where there is nothing yet."""
    run = run_of({}, waiting=("a", "b"))
    run.apply(HostStarted("a", 0))
    said = text(run, Wish(view), interrupted=interrupted)
    assert ("a" in said) is (view is not View.STREAM)
