"""`dataclass` as the standard library has it, with less to do while a program starts.

The standard decorator compiles up to six methods for each class, which takes half a millisecond on Python 3.11; with some
two hundred classes that is a fifth of a run on one host. Here the methods that are alike for all classes are closures over
the names of their fields, and `__init__` is compiled when the first value of a class is made.

Type checkers see the standard decorator, and a test compares every class of vigo with what that would have made of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

_Method: TypeAlias = Callable[..., Any]


def _made(
    cls: type,
    *,
    slots: bool,
    frozen: bool = False,
    init: bool = True,
    repr: bool = True,  # noqa: A002 - as the standard library calls it
    eq: bool = True,
    weakref_slot: bool = False,
) -> type:
    cls.__doc__ = cls.__doc__ or ""  # or the standard decorator works out a signature to stand there
    own = {*vars(cls)}
    made: type = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots, weakref_slot=weakref_slot)(cls)
    parts = dataclasses.fields(made)
    methods: dict[str, _Method | None] = {}
    if init:
        methods["__init__"] = _init_on_demand(made)
    if repr:
        methods["__repr__"] = _repr_of([part.name for part in parts if part.repr])
    if eq:
        methods |= _equality_of([part.name for part in parts if part.compare], frozen=frozen)
    if frozen:
        methods |= {"__setattr__": _refuse_to_assign, "__delattr__": _refuse_to_delete}
        methods |= _copying_of([part.name for part in parts])
    for name in methods.keys() - own:
        setattr(made, name, methods[name])
    return made


def _repr_of(names: list[str]) -> _Method:
    def represent(self: object) -> str:
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    return represent


def _equality_of(names: list[str], *, frozen: bool) -> dict[str, _Method | None]:
    values: _Method = attrgetter(*(names if len(names) > 1 else 2 * names)) if names else type

    def equal(self: object, other: object) -> bool:
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    def hash_(self: object) -> int:
        return hash(values(self))

    return {"__eq__": equal, "__hash__": hash_ if frozen else None}


def _copying_of(names: list[str]) -> dict[str, _Method | None]:
    """Give `copy` and `pickle` what they ask of a value that nobody may assign to."""

    def state(self: object) -> list[object]:
        return [getattr(self, name) for name in names]

    def restore(self: object, kept: list[object]) -> None:
        for name, value in zip(names, kept, strict=True):
            object.__setattr__(self, name, value)

    return {"__getstate__": state, "__setstate__": restore}


def _refuse_to_assign(_: object, name: str, __: object) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(_: object, name: str) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _init_on_demand(made: Any) -> _Method:  # noqa: ANN401 - a class, whose `__init__` is replaced
    def first(self: object, *args: object, **named: object) -> None:
        made.__init__ = init = _compiled(made)
        init(self, *args, **named)

    return first


def _compiled(made: type) -> _Method:
    """Compile `__init__`: it puts values into their slots directly, past `__setattr__`."""
    scope: dict[str, Any] = {}
    parameters = ["self"]
    lines = []
    for part in dataclasses.fields(made):
        name = value = part.name
        scope[f"put_{name}"] = getattr(made, name).__set__
        if part.default is not dataclasses.MISSING:
            scope[f"or_{name}"] = part.default
            value = name if part.init else f"or_{name}"
        elif part.default_factory is not dataclasses.MISSING:
            scope[f"or_{name}"] = part.default_factory
            value = f"or_{name}() if {name} is or_{name} else {name}"
        if part.init:
            parameters.append(f"{name}=or_{name}" if f"or_{name}" in scope else name)
        if part.init or f"or_{name}" in scope:
            lines.append(f"put_{name}(self, {value})")
    if hasattr(made, "__post_init__"):
        lines.append("self.__post_init__()")
    exec(f"def __init__({', '.join(parameters)}):\n " + "\n ".join(lines or ["pass"]), scope)  # noqa: S102 - of names in our own source
    init: _Method = scope["__init__"]
    init.__qualname__ = f"{made.__qualname__}.__init__"
    return init


if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass  # noqa: PLC0414 - exported
else:

    def dataclass(*, slots: bool, **options: bool) -> Callable[[type], type]:
        """Make a class a dataclass. It needs slots, and here they are asked for."""
        return partial(_made, slots=slots, **options)
