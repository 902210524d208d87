from __future__ import annotations

from typing import Any

import pytest

from vigo.core.imports.values import NoTraitError, read_trait


@pytest.mark.parametrize(
    ("value", "trait"),
    [
        ("x", "x"),
        ("", ""),
        (7, 7),
        (True, True),
        (10**15, "1000000000000000"),
        (["a", 1, False], ("a", 1, False)),
        ([], ()),
    ],
)
def test_values_that_a_trait_can_have_are_taken(value: Any, trait: Any) -> None:
    """Long numbers as text, lists as they are."""
    assert read_trait("os.x", value) == trait
    assert type(read_trait("os.x", value)) is type(trait)


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("x", None, "has no value"),
        ("x", {"a": 1}, "is a map"),
        ("x", [[1]], "is a list that holds lists or maps"),
        ("x", [None], "has no value"),
        ("x", "\x07", "holds a control character"),
        ("x", "\ud800", "holds half a character"),
        ("x", ["a"] * 1001, "more than 1,000 items"),
        ("a b", "x", "is no trait's key"),
        ("a..b", "x", "is no trait's key"),
        ("k" * 64, "x", "is no trait's key"),
    ],
)
def test_values_that_no_trait_has_are_refused_with_the_reason(path: str, value: Any, reason: str) -> None:
    """The rules are the loader's own."""
    with pytest.raises(NoTraitError, match=reason):
        read_trait(path, value)
