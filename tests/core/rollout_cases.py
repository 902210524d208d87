"""Random cases for the rollout: a plan, what happens on each host and in which order, and who interferes when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from hypothesis import strategies as st

ENDS = {
    **dict.fromkeys("abcdegh", "complete"),
    "f": "failed",
    "l": "lost",
    "r": "rejected",
    "t": "timeout",
    "u": "unreachable",
}
"""A letter for each host's end."""


@dataclass(frozen=True)
class Case:
    """A task's plan and everything that will happen to it. A turn is one step of the loop, whatever the step is."""

    batches: tuple[tuple[str, ...], ...]
    ends: Mapping[str, str]
    fanout: int = 100
    failures: str | None = None
    unreachable: str | None = None
    gated: bool = False
    answers: tuple[bool, ...] = ()
    """What the gates find, in the order of asking; healthy after the last one."""
    baseline: bool = False
    pause: bool = False
    stop_after: int | None = None
    when_stopped: str = "aborted"
    """Or `paused`: what a budget or a gate does to the task."""
    picks: tuple[int, ...] = (0,)
    """Which of the running hosts ends, turn by turn, over and over."""
    acts: Mapping[int, str] = field(default_factory=dict)
    """Turn -> `cancelled`, or `interrupted` (the control process dies), before the step of that turn is done."""
    resumes: tuple[tuple[bool, int | None], ...] = ()
    """For each resume: whether hosts that were in flight start again, and its `stop_after`."""


def names(count: int, first: int = 0) -> tuple[str, ...]:
    """Return host names in plan order."""
    return tuple(f"h{number}" for number in range(first, first + count))


def case_of(*batches: tuple[str, ...], **settings: object) -> Case:
    """Make a case in which every host completes unless `ends` says otherwise."""
    ends = {host: "complete" for batch in batches for host in batch}
    ends.update(settings.pop("ends", {}))  # type: ignore[call-overload]
    return Case(batches, ends, **settings)  # type: ignore[arg-type]


# Texts and bytes are one draw each, however long: a case costs a third of what lists would.
_BATCHES = st.lists(st.text(tuple(ENDS), min_size=1, max_size=6), max_size=6)
_BUDGET = st.none() | st.integers(0, 5).map(str) | st.integers(0, 100).map("{}%".format)
_LEG = st.none() | st.integers(1, 4)
_ACT = st.sampled_from(("cancelled", "interrupted", "interrupted", "interrupted"))
_SETTINGS = st.fixed_dictionaries(
    {
        "fanout": st.integers(1, 8),
        "failures": _BUDGET,
        "unreachable": _BUDGET,
        "gated": st.booleans(),
        "answers": st.binary(max_size=9).map(lambda drawn: tuple(byte % 4 != 3 for byte in drawn)),
        "baseline": st.booleans(),
        "pause": st.booleans(),
        "stop_after": _LEG,
        "when_stopped": st.sampled_from(("aborted", "paused")),
        "picks": st.binary(min_size=1, max_size=8).map(tuple),
    }
)
_DISTURBED = st.fixed_dictionaries(
    {
        "acts": st.just({}) | st.dictionaries(st.integers(0, 24), _ACT, min_size=1, max_size=4),
        "resumes": st.lists(st.tuples(st.booleans(), _LEG), max_size=5).map(tuple),
    }
)


def cases(*, undisturbed: bool = False) -> st.SearchStrategy[Case]:
    """Return cases of up to six batches of six hosts, more than half of which complete.

    Half of the cases are left alone; `undisturbed` leaves all of them alone: no cancel, no crash, no resume.
    """
    return st.builds(_case, _BATCHES, _SETTINGS, st.just({}) if undisturbed else _DISTURBED)


def _case(batches: list[str], settings: dict[str, Any], disturbance: dict[str, Any]) -> Case:
    starts = [sum(map(len, batches[:number])) for number in range(len(batches))]
    hosts = tuple(names(len(ends), start) for start, ends in zip(starts, batches, strict=True))
    return Case(
        hosts,
        dict(zip(chain(*hosts), (ENDS[letter] for letter in chain(*batches)), strict=True)),
        **settings,
        **disturbance,
    )
