"""Ranges in names: expanding, matching without expanding, and folding back."""

from __future__ import annotations

import re
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigo.core.ranges import RangeError, Span, expand, fold, glob, has_range, members, parse, size


def test_padding_is_kept() -> None:
    """Numbers have at least as many digits as the first one is written with."""
    assert expand("web-[08-11]") == ("web-08", "web-09", "web-10", "web-11")
    assert expand("web-[8-11]") == ("web-8", "web-9", "web-10", "web-11")
    assert expand("web-[98-101]") == ("web-98", "web-99", "web-100", "web-101")
    assert expand("w[0-1]") == ("w0", "w1")


def test_several_brackets_count_like_an_odometer() -> None:
    """The last one counts fastest; a text without brackets stands for itself."""
    assert expand("r[1-2]n[01-02]") == ("r1n01", "r1n02", "r2n01", "r2n02")
    assert expand("db-01") == ("db-01",)
    assert not has_range("db-01")


@pytest.mark.parametrize(
    ("text", "reason", "offset"),
    [
        ("a[1-", "no range", 1),
        ("a]", "no range", 1),
        ("a[]", "no range", 1),
        ("a[1]", "no range", 1),
        ("a[1,2]", "no range", 1),
        ("a[a-c]", "no range", 1),
        ("a[-1-2]", "no range", 1),
        ("a[1-2]b[", "no range", 7),
        ("a[1-1234567890]", "no range", 1),
        ("a[\u0660-\u0663]", "no range", 1),
        ("a[3-1]", "backwards", 1),
        ("a[1-010]", "unevenly", 1),
        ("a[001-10]", "unevenly", 1),
        ("a[1-2][3-4]", "side by side", 0),
        ("[1-2]a[1-2]b[1-2]c[1-2]d[1-2]", "more than 4", 0),
    ],
)
def test_a_bracket_that_is_no_range_is_refused(text: str, reason: str, offset: int) -> None:
    """With the place, the reason and the way out; nothing is taken literally by mistake."""
    with pytest.raises(RangeError, match=reason) as caught:
        expand(text)
    assert caught.value.offset == offset
    assert str(caught.value) == f"{caught.value.reason}; {caught.value.way_out}"


def test_a_range_too_large_is_refused_before_it_is_expanded() -> None:
    """Its size is computed; its members come one by one."""
    huge = parse("a[0-999999999]b[0-999999999]")
    assert size(huge) == 10**18
    assert list(islice(members(huge), 2)) == ["a0b0", "a0b1"]
    with pytest.raises(RangeError, match="stands for 1000000000000000000 names, at most 100000 are allowed"):
        expand("a[0-999999999]b[0-999999999]")


spans = st.builds(
    lambda ends, width: Span(min(ends), max(ends), width if len(str(min(ends))) < width else 1),
    st.tuples(st.integers(0, 2_000), st.integers(0, 2_000)),
    st.integers(1, 5),
)


@given(spans, st.integers(0, 2_100), st.integers(1, 5))
def test_the_regular_expression_of_a_span_is_its_members(span: Span, number: int, width: int) -> None:
    """It matches a number if and only if the span has it, written that way."""
    written = f"{number:0{width}d}"
    assert bool(re.fullmatch(span.regex(), written)) == (written in set(span))


names = st.text(alphabet="ab01.-", min_size=1, max_size=8)
patterns = st.lists(st.sampled_from(["a", "b", "-", "0", "1", "*", "?", "**"]), max_size=7).map("".join)


def matches_slowly(pattern: str, text: str) -> bool:
    """Match star by star, the way it is defined."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(matches_slowly(pattern[1:], text[at:]) for at in range(len(text) + 1))
    return bool(text) and pattern[0] in {"?", text[0]} and matches_slowly(pattern[1:], text[1:])


@given(patterns, names)
def test_a_glob_matches_what_it_says(pattern: str, name: str) -> None:
    """`*` is any run of characters and `?` is one; nothing else has a meaning."""
    assert bool(glob(pattern).fullmatch(name)) == matches_slowly(pattern, name)


@given(
    st.sampled_from(["*", "", "a*", "?"]),
    spans.filter(lambda span: span.size <= 200),
    st.sampled_from(["*", "", "-*", "?*", "*0"]),
    st.text(alphabet="a01259-", max_size=7),
)
def test_a_range_in_a_glob_matches_the_whole_numbers_it_spans(before: str, span: Span, after: str, name: str) -> None:
    """Matching never expands, and yet it is the same."""
    first, last = f"{span.first:0{span.width}d}", f"{span.last:0{span.width}d}"
    expected = any(
        name[start:end] in set(span)
        and matches_slowly(before, name[:start])
        and matches_slowly(after, name[end:])
        and not (before.endswith("*") and name[:start][-1:].isdigit())
        and not (after.startswith("*") and name[end:][:1].isdigit())
        for start in range(len(name))
        for end in range(start + 1, len(name) + 1)
    )
    assert bool(glob(f"{before}[{first}-{last}]{after}").fullmatch(name)) == expected


def test_next_to_a_star_a_range_is_a_whole_number() -> None:
    """`web-[1-2]*` is not for `web-10`: what is typed must not reach further than it reads."""
    assert glob("web-[1-2]*").fullmatch("web-2.example.com")
    assert not glob("web-[1-2]*").fullmatch("web-10.example.com")
    assert not glob("*[1-2]").fullmatch("web-12")
    assert glob("web1[1-2]").fullmatch("web12")


def test_case_is_ignored_unless_asked_otherwise() -> None:
    """Host names have no case; trait values have."""
    assert glob("WEB-*").fullmatch("web-01")
    assert not glob("WEB-*", ignore_case=False).fullmatch("web-01")


def test_many_stars_do_not_take_long() -> None:
    """A pattern of a hundred stars is decided at once; a naive matcher would not end."""
    assert not glob("*a" * 100 + "b").fullmatch("a" * 253)
    assert not glob("*[1-5]*[1-5]*b").fullmatch("1" * 253)


def test_stars_before_many_ranges_are_refused() -> None:
    """The bound on brackets holds for the whole pattern."""
    with pytest.raises(RangeError, match="more than 4"):
        glob("*[1-2]*[1-2]*[1-2]*[1-2]*[1-2]")


def test_equal_names_fold() -> None:
    """Runs of consecutive numbers become ranges; gaps, other padding and other forms stay apart."""
    assert fold(["web-01.example.com", "web-02.example.com"]) == "web-[01-02].example.com"
    assert fold(["web-01", "web-02", "db-01", "web-04"]) == "web-[01-02], web-04, db-01"
    assert fold(["n9", "n10", "n11", "n011"]) == "n[9-11], n011"
    assert fold(["r1n1", "r1n2", "r2n1", "r2n2"]) in {"r1n[1-2], r2n[1-2]", "r[1-2]n1, r[1-2]n2"}
    assert fold(["a-", "a-1", "lonely"]) == "a-, a-1, lonely"
    assert fold(["x", "x"]) == "x"
    assert fold([]) == ""


@given(st.lists(st.from_regex(r"[ab]{0,2}-?[0-9]{0,3}(\.[ab][0-9]{1,2})?", fullmatch=True).filter(bool), max_size=30))
def test_folding_is_undone_by_expanding(hosts: list[str]) -> None:
    """Nothing is lost, nothing is added, nothing is named twice."""
    expanded = [name for part in filter(None, fold(hosts).split(", ")) for name in expand(part)]
    assert sorted(expanded) == sorted(set(hosts))
