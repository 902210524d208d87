"""Our `dataclass` makes what the standard library's makes, for every class of vigo."""

from __future__ import annotations

import copy
import dataclasses
import pkgutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import FrozenInstanceError, field, fields, replace
from importlib import import_module
from typing import Any, NamedTuple

import pytest

import vigo
from vigo.core import values


class _Pair(NamedTuple):
    """A class as ours makes it, and its twin as the standard library would have made it."""

    ours: Any
    twin: Any
    is_plain: bool
    """Whether it only keeps what it is given: nothing of its own happens when one is made."""


def _twins_of(make: Callable[..., Any], pairs: list[_Pair]) -> Callable[..., Any]:
    """Return a decorator that makes both of a class and remembers them."""

    def dataclass(**options: bool) -> Callable[[type], type]:
        standard: Any = dataclasses.dataclass(**options)

        def both(cls: type) -> type:
            body = {name: value for name, value in vars(cls).items() if name not in {"__dict__", "__weakref__"}}
            twin = standard(type(cls.__name__, cls.__bases__, body))
            made: type = make(**options)(cls)
            pairs.append(_Pair(made, twin, cls.__bases__ == (object,) and not {"__init__", "__post_init__"} & {*body}))
            return made

        return both

    return dataclass


@pytest.fixture(scope="module")
def pairs() -> Iterator[list[_Pair]]:
    """Import all of vigo once more, and hand out every class that it makes a dataclass, with its twin."""
    found: list[_Pair] = []
    known = {name: sys.modules.pop(name) for name in [*sys.modules] if name.split(".")[0] == "vigo"}
    try:
        again = import_module("vigo.core.values")
        again.dataclass = _twins_of(again.dataclass, found)  # type: ignore[attr-defined]
        for module in pkgutil.walk_packages(vigo.__path__, "vigo."):
            if not module.name.endswith("__main__"):
                import_module(module.name)
        yield found
    finally:
        for name in [*sys.modules]:
            if name.split(".")[0] == "vigo":
                del sys.modules[name]
        sys.modules.update(known)


def _plain(pairs: list[_Pair]) -> list[_Pair]:
    return [pair for pair in pairs if pair.is_plain]


def _arguments(cls: type) -> dict[str, str]:
    return {part.name: f"the {part.name}" for part in fields(cls) if part.init}


def test_it_makes_most_of_the_classes_of_vigo(pairs: list[_Pair]) -> None:
    """The comparison below is of hundreds of classes, not of none."""
    assert len(pairs) > 200
    assert len(_plain(pairs)) > 180


def test_fields_slots_and_patterns_are_the_same(pairs: list[_Pair]) -> None:
    """What can be asked of a class gets the same answer."""
    for ours, twin, _ in pairs:
        assert [str(part) for part in fields(ours)] == [str(part) for part in fields(twin)]
        assert not [part for part in fields(ours) if part.kw_only or part.hash is not None], "ours knows neither"
        assert ours.__match_args__ == twin.__match_args__
        assert ours.__slots__ == twin.__slots__
        assert (ours.__hash__ is None) == (twin.__hash__ is None), ours
        assert (ours.__eq__ is object.__eq__) == (twin.__eq__ is object.__eq__), ours


def test_values_are_shown_compared_and_replaced_alike(pairs: list[_Pair]) -> None:
    """Whatever is put into a value, both are printed, equal, different and hashable alike."""
    for ours, twin, _ in _plain(pairs):
        given = _arguments(twin)
        ones, others = ours(**given), twin(**given)
        assert _shown(ones) == _shown(others)
        assert (ones == ours(**given)) == (others == twin(**given))
        assert ones.__eq__(others) is NotImplemented
        for name in given:
            assert (replace(ones, **{name: 1}) == ones) == (replace(others, **{name: 1}) == others), (ours, name)
        if twin.__hash__ not in {None, object.__hash__}:
            assert hash(ones) == hash(ours(**given))


def test_a_copy_is_equal(pairs: list[_Pair]) -> None:
    """Also of a value that nobody may assign to."""
    for ours, twin, _ in _plain(pairs):
        one = ours(**_arguments(twin))
        assert _contents(copy.copy(one)) == _contents(one)


def test_what_is_left_out_gets_its_default_and_what_has_none_is_missed(pairs: list[_Pair]) -> None:
    """The signature is the same, and so is the complaint of who does not keep it."""
    for ours, twin, _ in _plain(pairs):
        needed = {
            name: value
            for name, value in _arguments(twin).items()
            if twin.__dataclass_fields__[name].default is dataclasses.MISSING
            and twin.__dataclass_fields__[name].default_factory is dataclasses.MISSING
        }
        ones, others = ours(**needed), twin(**needed)
        assert _contents(ones) == _contents(others)
        for arguments in ({}, {"no_such_field": 1}):
            assert _complaint(ours, arguments) == _complaint(twin, arguments)


def _contents(value: Any) -> list[str]:
    """Return what is in it; of objects with no word for themselves, their kind."""
    return [_shown(getattr(value, part.name, "unset")) for part in fields(value)]


def _shown(value: object) -> str:
    return repr(value).split(" at 0x")[0]


def _complaint(cls: type, arguments: dict[str, int]) -> str:
    try:
        cls(**arguments)
    except TypeError as error:
        return str(error).rpartition(".")[2]
    return ""


def test_a_frozen_value_stays_as_it_is(pairs: list[_Pair]) -> None:
    """Where the standard library lets nobody assign or delete, nobody can."""
    for ours, twin, _ in _plain(pairs):
        one, other = ours(**_arguments(twin)), twin(**_arguments(twin))
        for name in _arguments(twin):
            assert _refusal(setattr, one, name, 1) == _refusal(setattr, other, name, 1), ours
            assert _refusal(delattr, one, name) == _refusal(delattr, other, name), ours


def _refusal(act: Callable[..., None], *arguments: object) -> str:
    try:
        act(*arguments)
    except FrozenInstanceError as error:
        return str(error)
    return ""


def test_what_a_class_writes_itself_is_left_alone() -> None:
    """A method of the class's own goes before one that would be made."""

    @values.dataclass(frozen=True, slots=True)
    class Own:
        name: str

        def __repr__(self) -> str:
            return "mine"

    assert repr(Own("x")) == "mine"
    assert Own("x") == Own("x")


def test_what_comes_after_init_has_its_turn() -> None:
    """`__post_init__` sees the fields, and sets the one that nobody gives."""

    @values.dataclass(slots=True)
    class Doubled:
        n: int
        twice: int = field(init=False)
        made: list[int] = field(default_factory=list)
        kept: int = field(init=False, default=7)

        def __post_init__(self) -> None:
            self.twice = 2 * self.n

    assert Doubled(4).twice == 8
    assert Doubled(4).kept == 7
    assert Doubled(4).made is not Doubled(4).made


def test_a_class_without_fields_is_a_value_too() -> None:
    """Two of them are equal, and equal to nothing else."""

    @values.dataclass(frozen=True, slots=True)
    class Nothing:
        pass

    assert Nothing() == Nothing()
    assert hash(Nothing()) == hash(Nothing())
    assert Nothing().__eq__(0) is NotImplemented
