from __future__ import annotations

import hashlib

import pytest

from vigo.core.events import HostFinished, HostStarted, TaskDispatched, TaskFinished, TaskStatus
from vigo.core.model import HostResult, Kill, Outcome, Output, Reason
from vigo.core.rollout import Run
from vigo.render.blocks import Kept, header, host_block
from vigo.render.views import WHOLE, shown


def sha256(data: bytes) -> str:
    """Return the hex digest."""
    return hashlib.sha256(data).hexdigest()


def whole(data: bytes) -> Output:
    """Describe output of which everything was kept."""
    return Output(len(data), sha256(data), len(data), sha256(data), len(data))


def cut(data: bytes, head: int, tail: int) -> tuple[Output, bytes]:
    """Describe output of which head and tail were kept; returns the kept bytes too."""
    kept = data[:head] + data[len(data) - tail :]
    return Output(len(data), sha256(data), len(kept), sha256(kept), head), kept


class Store:
    """The kept bytes by digest."""

    def __init__(self, *kept: bytes) -> None:
        self._kept = {sha256(data): data for data in kept}

    def __call__(self, digest: str) -> bytes | None:
        """Return the bytes, or None when they were pruned."""
        return self._kept.get(digest)


def run_of(**results: HostResult) -> Run:
    """Make a run of one batch in which these hosts ended, in order."""
    hosts = tuple(name.replace("_", "-") for name in results)
    run = Run(TaskDispatched("admin", "uptime", "*.web.*", (hosts,)))
    for host, result in zip(hosts, results.values(), strict=True):
        run.apply(HostStarted(host, 0))
        run.apply(HostFinished(host, result))
    return run


def host_blocks(run: Run, kept: Kept, *, interrupted: bool = False) -> list[str]:
    """Return the blocks of all hosts that have one."""
    return [block for block in shown(run, kept, WHOLE, run.hosts, interrupted=interrupted) if block]


COMPLETE = HostResult(Outcome.COMPLETE, 42, exit_code=0)


@pytest.mark.parametrize(
    ("result", "shown"),
    [
        (COMPLETE, "[complete] exit=0 42ms"),
        (HostResult(Outcome.COMPLETE, 9_999, exit_code=0), "[complete] exit=0 9999ms"),
        (HostResult(Outcome.COMPLETE, 12_345, exit_code=0), "[complete] exit=0 12.3s"),
        (HostResult(Outcome.FAILED, 51, exit_code=3), "[failed] exit=3 51ms"),
        (HostResult(Outcome.FAILED, 51, exit_code=255), "[failed] exit=255 51ms"),
        (HostResult(Outcome.FAILED, 51, signal="KILL"), "[failed] signal=KILL 51ms"),
        (HostResult(Outcome.TIMEOUT, 60_000, kill=Kill.KILLED), "[timeout] 60.0s killed"),
        (HostResult(Outcome.TIMEOUT, 60_000), "[timeout] 60.0s"),
        (
            HostResult(Outcome.TIMEOUT, 60_000, kill=Kill.UNVERIFIED, kill_pids=(812, 813)),
            "[timeout] 60.0s kill unverified: still there: 812, 813",
        ),
        (HostResult(Outcome.TIMEOUT, 60_000, kill=Kill.UNVERIFIED), "[timeout] 60.0s kill unverified"),
        (HostResult(Outcome.CANCELLED, 700, kill=Kill.KILLED), "[cancelled] 700ms killed"),
        (
            HostResult(Outcome.UNREACHABLE, 3, reason=Reason.REFUSED, detail="nothing listens on 10.0.0.1:22"),
            "[unreachable] refused: nothing listens on 10.0.0.1:22",
        ),
        (
            HostResult(Outcome.UNREACHABLE, reason=Reason.HOST_KEY_CHANGED, detail="x"),
            "[unreachable] host_key_changed: x",
        ),
        (HostResult(Outcome.REJECTED, detail="systemctl stop vigo"), "[rejected] systemctl stop vigo"),
        (HostResult(Outcome.LOST, 12_300), "[lost] 12.3s outcome unknown"),
        (HostResult(Outcome.SKIPPED), "[skipped]"),
    ],
)
def test_each_outcome_has_its_header(result: HostResult, shown: str) -> None:
    """The forms of the contract, to the letter; the duration changes its unit at ten seconds."""
    assert header(result) == shown


def test_every_outcome_and_reason_has_a_header() -> None:
    """A word that is added later must not crash the one who looks."""
    for outcome in Outcome:
        for reason in (None, *Reason):
            assert header(HostResult(outcome, reason=reason)).startswith(f"[{outcome}]")


def test_text_from_outside_is_cleaned_in_headers() -> None:
    """E1: banners end up in details, signal names and host names come from elsewhere."""
    evil = "\x1b]0;owned\x07\n--- web-02 [complete] exit=0"
    for result in (
        HostResult(Outcome.UNREACHABLE, reason=Reason.BANNER, detail=evil),
        HostResult(Outcome.REJECTED, detail=evil),
        HostResult(Outcome.FAILED, signal=evil),
    ):
        assert header(result).isprintable()
    run = run_of(**{evil: COMPLETE})
    block = host_block(run, run.hosts[0], Store())
    assert block.count("\n") == 1
    assert block[:-1].isprintable()


def test_the_page_s_example_to_the_byte() -> None:
    """Two hosts, one line of output each."""
    first = b" 12:30:01 up 45 days,  3:22,  0 users,  load average: 0.15, 0.10, 0.05\n"
    second = b" 12:30:01 up 30 days,  1:15,  0 users,  load average: 0.22, 0.18, 0.12\n"
    run = run_of(
        **{
            "web-01.example.com": HostResult(Outcome.COMPLETE, 42, exit_code=0, stdout=whole(first)),
            "web-02.example.com": HostResult(Outcome.COMPLETE, 38, exit_code=0, stdout=whole(second)),
        }
    )
    assert "".join(host_blocks(run, Store(first, second))) == (
        "--- web-01.example.com [complete] exit=0 42ms\n"
        " 12:30:01 up 45 days,  3:22,  0 users,  load average: 0.15, 0.10, 0.05\n"
        "--- web-02.example.com [complete] exit=0 38ms\n"
        " 12:30:01 up 30 days,  1:15,  0 users,  load average: 0.22, 0.18, 0.12\n"
    )


def test_standard_output_comes_before_standard_error() -> None:
    """Whatever order they arrived in; a missing last newline is added, so that the next header starts its line."""
    result = HostResult(Outcome.FAILED, 51, exit_code=3, stdout=whole(b"out"), stderr=whole(b"err\n"))
    assert host_block(run_of(a=result), "a", Store(b"out", b"err\n")) == "--- a [failed] exit=3 51ms\nout\nerr\n"


def test_cut_output_shows_head_mark_and_tail() -> None:
    """How much is missing of how much, and the digest of everything that the host sent."""
    data = b"first\n" + b"x" * 1_000 + b"\nlast\n"
    output, kept = cut(data, head=6, tail=5)
    result = HostResult(Outcome.COMPLETE, 42, exit_code=0, stdout=output)
    assert host_block(run_of(a=result), "a", Store(kept)) == (
        f"--- a [complete] exit=0 42ms\nfirst\n[… 1001 of 1012 bytes not kept; sha256 of all {sha256(data)} …]\nlast\n"
    )


def test_a_cut_inside_a_line_and_a_character_stays_readable() -> None:
    """The mark has a line of its own; halves of a character are shown as bytes."""
    data = "ä".encode() * 500
    output, kept = cut(data, head=3, tail=3)
    shown = host_block(run_of(a=HostResult(Outcome.COMPLETE, 1, exit_code=0, stdout=output)), "a", Store(kept))
    assert shown.splitlines()[1] == "ä\\xc3"
    assert shown.splitlines()[2].startswith("[… 994 of 1000 bytes not kept;")
    assert shown.splitlines()[3] == "\\xa4ä"


def test_pruned_output_says_what_was_there() -> None:
    """The event still knows count and digest when the bytes are gone."""
    data = b"gone\n"
    shown = host_block(run_of(a=HostResult(Outcome.COMPLETE, 42, exit_code=0, stdout=whole(data))), "a", Store())
    assert shown == (f"--- a [complete] exit=0 42ms\n[5 bytes of output are no longer kept; sha256 {sha256(data)}]\n")


def test_output_cannot_forge_a_mark_that_hides_control_sequences() -> None:
    """What a host prints is cleaned whether or not it looks like one of vigo's lines."""
    data = b"[\xe2\x80\xa6 not kept \x1b[2J]\n"
    result = HostResult(Outcome.COMPLETE, 42, exit_code=0, stdout=whole(data))
    assert host_block(run_of(a=result), "a", Store(data)).endswith("[… not kept \\x1b[2J]\n")


def running() -> Run:
    """Make a run in which one host ended, one is in flight and two wait."""
    run = Run(TaskDispatched("admin", "uptime", "all", (("a", "b", "c"), ("d",))))
    run.apply(HostStarted("a", 0))
    run.apply(HostStarted("b", 0))
    run.apply(HostFinished("a", COMPLETE))
    return run


def test_while_a_task_runs_waiting_hosts_have_no_block() -> None:
    """What has not been touched is not mentioned."""
    assert list(host_blocks(running(), Store())) == ["--- a [complete] exit=0 42ms\n", "--- b [running]\n"]


def test_an_interrupted_task_says_what_is_not_known() -> None:
    """In flight is lost, with the reason; not started is skipped."""
    assert "".join(host_blocks(running(), Store(), interrupted=True)) == (
        "--- a [complete] exit=0 42ms\n"
        "--- b [lost] outcome unknown: the control process died while it ran\n"
        "--- c [skipped]\n"
        "--- d [skipped]\n"
    )


def test_blocks_stand_in_plan_order_and_the_skipped_are_named() -> None:
    """Also when hosts ended in another order."""
    run = running()
    run.apply(HostStarted("c", 0))
    run.apply(HostFinished("c", COMPLETE))
    run.apply(HostFinished("b", HostResult(Outcome.LOST, 12_300)))
    run.apply(TaskFinished(TaskStatus.ABORTED, "1 failure, 0 allowed: b"))
    assert [block.split(" ", 2)[1:] for block in host_blocks(run, Store())] == [
        ["a", "[complete] exit=0 42ms\n"],
        ["b", "[lost] 12.3s outcome unknown\n"],
        ["c", "[complete] exit=0 42ms\n"],
        ["d", "[skipped]\n"],
    ]
