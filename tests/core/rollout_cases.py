"""Random cases for the rollout: a plan, what happens on each host, and in which order."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.core.rollout_model import Case

ENDS = ("complete", "failed", "timeout", "unreachable", "rejected", "lost")


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw a case of up to six batches of six hosts, more than half of which complete."""
    sizes = draw(st.lists(st.integers(1, 6), max_size=6))
    hosts = tuple(f"h{number}" for number in range(sum(sizes)))
    starts = [sum(sizes[:index]) for index in range(len(sizes))]
    batches = tuple(hosts[start : start + size] for start, size in zip(starts, sizes, strict=True))
    ends = draw(st.lists(st.sampled_from(("complete",) * 6 + ENDS), min_size=len(hosts), max_size=len(hosts)))
    budget = st.none() | st.integers(0, 5).map(str) | st.integers(0, 100).map("{}%".format)
    passes = st.tuples(*[st.sampled_from((True, True, True, False)) for _ in batches])
    return Case(
        batches=batches,
        ends=dict(zip(hosts, ends, strict=True)),
        fanout=draw(st.integers(1, 8)),
        failures=draw(budget),
        unreachable=draw(budget),
        gates=draw(st.none() | passes),
        picks=tuple(draw(st.lists(st.integers(0, 7), min_size=1, max_size=8))),
        cancel_at=draw(st.just(-1) | st.integers(0, 30)),
    )
