"""Events and their form in the journal: what is written is what is read."""

from __future__ import annotations

import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigo.core.chain import INTEGER_MAX, canonical
from vigo.core.events import (
    CancelRequested,
    Event,
    GateChecked,
    HostFinished,
    HostStarted,
    OutputPruned,
    TaskBlocked,
    TaskDispatched,
    TaskFinished,
    TaskStatus,
    from_payload,
    to_payload,
)
from vigo.core.model import HostResult, Kill, Limits, Outcome, Output, Reason
from vigo.core.plan import Policy
from vigo.core.quantity import Quantity

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
COUNT = st.integers(0, INTEGER_MAX)
QUANTITY = st.builds(Quantity, st.integers(0, 100), st.booleans())
DIGEST = st.text("0123456789abcdef", min_size=64, max_size=64)
OUTPUT = st.just(Output()) | st.builds(Output, COUNT, DIGEST, COUNT, DIGEST, COUNT)
LIMITS = st.builds(Limits, COUNT, COUNT, st.integers(0, 19), st.booleans())
POLICY = st.builds(
    Policy,
    LIMITS,
    COUNT,
    COUNT,
    st.lists(QUANTITY, max_size=3).map(tuple),
    st.none() | QUANTITY,
    st.none() | QUANTITY,
    st.none() | TEXT,
    COUNT,
    COUNT,
)
RESULT = st.builds(
    HostResult,
    st.sampled_from(Outcome),
    COUNT,
    st.none() | COUNT,
    st.none() | TEXT,
    st.none() | st.sampled_from(Reason),
    TEXT,
    st.none() | st.sampled_from(Kill),
    st.lists(COUNT, max_size=3).map(tuple),
    OUTPUT,
    OUTPUT,
)
HOSTS = st.lists(TEXT, max_size=3).map(tuple)
PARAMS = st.dictionaries(TEXT, TEXT, max_size=3).map(lambda params: tuple(sorted(params.items())))
EVENTS = st.one_of(
    st.builds(
        TaskDispatched, TEXT, TEXT, TEXT, st.lists(HOSTS, max_size=3).map(tuple), POLICY, st.booleans(),
        st.none() | TEXT, st.none() | TEXT, PARAMS, TEXT,
    ),
    st.builds(TaskBlocked, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT, HOSTS),
    st.builds(HostStarted, TEXT, COUNT),
    st.builds(HostFinished, TEXT, RESULT),
    st.builds(GateChecked, COUNT, st.booleans(), TEXT, COUNT),
    st.builds(CancelRequested, TEXT, st.booleans()),
    st.builds(TaskFinished, st.sampled_from(TaskStatus), TEXT),
    st.builds(OutputPruned, TEXT, COUNT, COUNT),
)  # fmt: skip


@given(EVENTS)
def test_an_event_survives_the_journal(event: Event) -> None:
    """Written canonically, parsed, rebuilt: the same value; params come back sorted by name."""
    assert from_payload(event.kind, json.loads(canonical(to_payload(event)))) == event


def test_each_kind_has_a_name_of_its_own() -> None:
    """The name in the journal is what tells events apart."""
    kinds = [kind.kind for kind in get_args(Event)]
    assert len(set(kinds)) == len(kinds)


def test_what_permits_an_act_or_ends_one_is_durable() -> None:
    """Outcomes of hosts and gates may be lost with the power; decisions, starts and ends may not."""
    lazy = {kind.kind for kind in get_args(Event) if not kind.durable}
    assert lazy == {"host.finished", "gate.checked"}


def test_an_unknown_kind_is_refused() -> None:
    """A newer vigo may have written it: better no reading than half a one."""
    with pytest.raises(ValueError, match="newer vigo"):
        from_payload("task.teleported", {})


@pytest.mark.parametrize("kind", [kind.kind for kind in get_args(Event)])
def test_a_payload_that_was_never_written_is_refused(kind: str) -> None:
    """Missing and unknown fields are errors of one of three types, for the store to put in words."""
    for payload in ({}, {"surprise": 1}):
        with pytest.raises((ValueError, KeyError, TypeError)):
            from_payload(kind, payload)
