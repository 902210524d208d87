"""Events and their form in the journal: what is written is what is read, and nothing else is read."""

from __future__ import annotations

import json
from dataclasses import MISSING, fields, is_dataclass, replace
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vigo.core.chain import INTEGER_MAX, canonical
from vigo.core.events import Event, TaskDispatched
from vigo.core.gate import GatePolicy
from vigo.core.model import Limits
from vigo.core.payload import from_payload, to_payload
from vigo.core.plan import Policy
from vigo.core.shape import Shape

KINDS: tuple[type[Event], ...] = get_args(Event)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)


def any_of(hint: Any) -> st.SearchStrategy[Any]:
    """Return values of a field's type: a field that is added is tried without a word here."""
    plain = {str: TEXT, int: st.integers(0, INTEGER_MAX), bool: st.booleans(), NoneType: st.none()}
    if hint in plain:
        return plain[hint]
    if get_origin(hint) in {Union, UnionType}:
        return st.one_of(*map(any_of, get_args(hint)))
    if get_origin(hint) is tuple:
        first, *others = get_args(hint)
        return (
            st.lists(any_of(first), max_size=2).map(tuple)
            if others == [...]
            else st.tuples(*map(any_of, get_args(hint)))
        )
    if isinstance(hint, type) and is_dataclass(hint):
        hints = get_type_hints(hint)
        built: st.SearchStrategy[Any] = st.builds(
            hint, **{part.name: any_of(hints[part.name]) for part in fields(hint)}
        )
        has_defaults = all(part.default is not MISSING for part in fields(hint))
        return st.just(hint()) | built if has_defaults else built
    assert issubclass(hint, Enum), f"no idea how to make a {hint}"
    return st.sampled_from(hint)


def events() -> st.SearchStrategy[Event]:
    """Return events of every kind. Params are names with a value each, so they are sorted here, and there once."""
    return st.one_of(*map(any_of, KINDS)).map(
        lambda event: (
            replace(event, params=tuple(sorted(dict(event.params).items())))
            if isinstance(event, TaskDispatched)
            else event
        )
    )


EVENTS = events()


@settings(max_examples=150)
@given(EVENTS)
def test_an_event_survives_the_journal(event: Event) -> None:
    """Written canonically, parsed, rebuilt: the same value; params come back sorted by name."""
    assert from_payload(event.kind, json.loads(canonical(to_payload(event)))) == event


@pytest.mark.faults
@settings(max_examples=10_000)
@given(EVENTS)
def test_ten_thousand_events_survive_the_journal(event: Event) -> None:
    """The same property with a larger count."""
    assert from_payload(event.kind, json.loads(canonical(to_payload(event)))) == event


@settings(max_examples=50)
@given(any_of(Policy))
def test_every_bound_that_the_operator_set_is_on_record(policy: Policy) -> None:
    """Each field of the policy, and of what it is made of, has a place of its own."""
    dispatched = TaskDispatched("ops", "uptime", "all", (), policy)
    written = to_payload(dispatched)["policy"]
    assert {part.name for part in fields(Shape)} == written["shape"].keys()
    assert {part.name for part in fields(GatePolicy)} == written["gate"].keys()
    own = {part.name for part in fields(Policy)} - {"limits"} | {part.name for part in fields(Limits)}
    assert written.keys() == own
    assert from_payload(dispatched.kind, to_payload(dispatched)) == dispatched


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, Any]:
    """Draw a kind and a payload of it in which one value was changed, dropped or added."""
    event = draw(EVENTS)
    payload = root = json.loads(canonical(to_payload(event)))
    while True:
        key = draw(st.sampled_from([*payload] if isinstance(payload, dict) else range(len(payload))))
        if isinstance(payload[key], dict | list) and payload[key] and draw(st.booleans()):
            payload = payload[key]
        elif draw(st.booleans()):
            payload[key] = draw(JSON)
            return event.kind, root
        elif isinstance(payload, dict) and draw(st.booleans()):
            payload[draw(TEXT)] = draw(JSON)
            return event.kind, root
        else:
            del payload[key]
            return event.kind, root


@settings(max_examples=200)
@given(damaged())
def test_a_damaged_payload_is_read_or_refused_in_three_words(told: tuple[str, Any]) -> None:
    """ValueError, KeyError, TypeError and no other: the store puts them in words for the operator."""
    kind, payload = told
    try:
        read = from_payload(kind, payload)
    except (ValueError, KeyError, TypeError):
        return
    assert read.kind == kind


@pytest.mark.parametrize("kind", [kind.kind for kind in KINDS])
@pytest.mark.parametrize("payload", [{}, {"surprise": 1}, [], ["host"], "text", 7, None], ids=repr)
def test_a_payload_that_was_never_written_is_refused(kind: str, payload: Any) -> None:
    """Missing and unknown fields, and JSON that is no map."""
    with pytest.raises((ValueError, KeyError, TypeError)):
        from_payload(kind, payload)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("limits", {}),
        ("failures_max", 3),
        ("failures_max", "3.5"),
        ("batch_sizes", ["5", None]),
        ("on_stop", "explode"),
        ("shape", []),
        ("gate", {"urls": []}),
        ("gate", None),
        ("health_check_url", "http://lb/"),
    ],
)
def test_a_policy_of_another_form_is_refused(field: str, value: object) -> None:
    """A bound that nobody can read must not become a default."""
    payload = to_payload(TaskDispatched("ops", "uptime", "all", (("a",),)))
    payload["policy"][field] = value
    with pytest.raises((ValueError, KeyError, TypeError)):
        from_payload(TaskDispatched.kind, payload)


def test_an_unknown_kind_is_refused() -> None:
    """A newer vigo may have written it: better no reading than half a one."""
    with pytest.raises(ValueError, match="newer vigo"):
        from_payload("task.teleported", {})


def test_each_kind_has_a_name_of_its_own() -> None:
    """The name in the journal is what tells events apart."""
    assert len({kind.kind for kind in KINDS}) == len(KINDS)


def test_what_permits_an_act_or_ends_one_is_durable() -> None:
    """Answers and outcomes may be lost with the power; decisions, starts and ends may not."""
    lazy = {kind.kind for kind in KINDS if not kind.durable}
    assert lazy == {"host.finished", "gate.probed", "gate.checked", "pause.ended"}
