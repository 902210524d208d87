"""What is kept of a stream, whatever pieces it comes in."""

from __future__ import annotations

import hashlib
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from vigo.adapters.ssh_capture import Capture, Greeting

MARK = "t1.abc"
PIECES = st.lists(st.binary(max_size=40), max_size=20)


@given(pieces=PIECES, kept_max=st.integers(0, 64))
def test_head_and_tail_are_kept_and_everything_is_counted_and_digested(pieces: list[bytes], kept_max: int) -> None:
    """The pieces' borders leave no trace."""
    capture = Capture(kept_max)
    for piece in pieces:
        capture.write(piece)
    everything = b"".join(pieces)
    output, kept = capture.close()
    head = kept_max // 2
    cut = (
        everything[:head] + everything[len(everything) - (kept_max - head) :]
        if len(everything) > kept_max
        else everything
    )
    assert kept == cut
    assert (output.total_bytes, output.sha256) == (len(everything), hashlib.sha256(everything).hexdigest())
    assert (output.kept_bytes, output.kept_sha256) == (len(kept), hashlib.sha256(kept).hexdigest())
    assert output.is_cut == (len(everything) > kept_max)
    assert output.head_bytes == (head if output.is_cut else len(kept))
    assert capture.close() == (output, kept), "closing tells and changes nothing"


@given(before=st.binary(max_size=80), after=st.binary(max_size=80), cuts=st.sets(st.integers(0, 200), max_size=8))
def test_the_greeting_is_taken_out_wherever_it_is_cut(before: bytes, after: bytes, cuts: set[int]) -> None:
    """What a start-up file wrote before it and what the command writes after it come through whole."""
    told = b"vigo:t1.abc:4711\n"
    stream = before + told + after
    borders = sorted({0, *(cut for cut in cuts if cut < len(stream)), len(stream)})
    taken = Greeting(MARK)
    passed = b"".join(taken.filter(stream[start:end]) for start, end in pairwise(borders)) + taken.rest()
    assert (taken.pid, passed) == (4711, before + after)


@given(pieces=PIECES)
def test_a_stream_without_a_greeting_comes_through_whole(pieces: list[bytes]) -> None:
    """Something else ran: its words are evidence."""
    taken = Greeting(MARK)
    assert b"".join(map(taken.filter, pieces)) + taken.rest() == b"".join(pieces)
    assert taken.pid is None


def test_a_line_without_end_is_not_held_back_for_ever() -> None:
    """The bound on what waits for a newline."""
    taken = Greeting(MARK)
    assert taken.filter(b"x" * 100_000) == b"x" * 100_000
