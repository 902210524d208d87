"""The chain: one text for each value, one digest for each row, and a break that names its place."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vigo.core.chain import (
    DEPTH_MAX,
    GENESIS,
    INTEGER_MAX,
    Point,
    Row,
    canonical,
    link,
    parse_point,
    verify,
)
from vigo.core.errors import UsageError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PLAIN = st.none() | st.booleans() | st.integers(-INTEGER_MAX, INTEGER_MAX) | TEXT
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4))

ODD = PLAIN | st.floats() | st.integers(2**53 - 2, 2**53 + 2) | st.text(max_size=20)
"""What an entry may hold, and now and then what none may: floats, integers beyond 2^53 - 1, lone surrogates."""
ENTRIES = st.recursive(ODD, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4))


def chain_of(count: int) -> list[list[Any]]:
    """Return rows as a journal holds them, made with nothing but hashlib and json."""
    rows: list[list[Any]] = []
    previous = "0" * 64
    for seq in range(1, count + 1):
        columns = [seq, f"2026-03-13T12:30:{seq:02}.000Z", "t1a2b3c4", "host.started", f"web-{seq}", f'{{"n":{seq}}}']
        text = json.dumps(columns, ensure_ascii=False, separators=(",", ":"))
        previous = hashlib.sha256(f"vigo-journal-v1\n{previous}\n{text}".encode()).hexdigest()
        rows.append([*columns, previous])
    return rows


def as_rows(rows: list[list[Any]]) -> Iterator[Row]:
    """Give lists as the tuples that a database yields."""
    return ((r[0], r[1], r[2], r[3], r[4], r[5], r[6]) for r in rows)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        ([True, False], "[true,false]"),
        ([], "[]"),
        ({}, "{}"),
        ((1, -2, 0), "[1,-2,0]"),
        (INTEGER_MAX, "9007199254740991"),
        ("é\u2028/", '"é\u2028/"'),
        ('\x00\x1f\b\t\n\f\r"\\\x7f', '"\\u0000\\u001f\\b\\t\\n\\f\\r\\"\\\\\x7f"'),
        ({"b": [{"d": 1, "c": 2}], "a": ""}, '{"a":"","b":[{"c":2,"d":1}]}'),
    ],
)
def test_values_have_the_text_that_rfc_8785_gives_them(value: object, text: str) -> None:
    """Keys sorted, no blanks, the short escapes, everything else as itself in UTF-8."""
    assert canonical(value) == text.encode()


def test_keys_are_sorted_by_utf16_code_units() -> None:
    """The RFC's own example: an astral character stands before U+FB33, which code points would not give."""
    keys = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\u0080": 6, "\u00f6": 7}
    assert list(json.loads(canonical(keys)).values()) == [2, 4, 6, 7, 1, 5, 3]


@given(VALUES)
def test_a_canonical_text_is_its_own_canonical_text(value: object) -> None:
    """canon(parse(canon(x))) = canon(x)."""
    text = canonical(value)
    assert canonical(json.loads(text)) == text


@given(VALUES, VALUES)
def test_different_values_have_different_texts(left: object, right: object) -> None:
    """Two values share a text only when JSON cannot tell them apart, types included."""
    assert (canonical(left) == canonical(right)) == (repr_json(left) == repr_json(right))


@pytest.mark.faults
@pytest.mark.timeout(600)
def test_twenty_thousand_entries_are_written_alike_or_refused() -> None:
    """The full count: each text is its own canonical text, no two different values share one, and the rest is refused."""
    figures = Counter[str]()
    texts: dict[bytes, str] = {}

    @settings(max_examples=20_000, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(ENTRIES)
    def write(value: object) -> None:
        try:
            text = canonical(value)
        except ValueError:
            figures["refused"] += 1
            return
        figures["written"] += 1
        assert canonical(json.loads(text)) == text
        assert texts.setdefault(text, repr_json(value)) == repr_json(value)

    write()
    print(dict(figures), "different texts:", len(texts))
    assert figures["written"] + figures["refused"] >= 20_000
    assert figures["refused"] > 0


def repr_json(value: object) -> str:
    """Return an independent rendering to compare with."""
    return json.dumps(value, sort_keys=True)


@pytest.mark.parametrize(
    "value",
    [
        0.0,
        -0.0,
        1.5,
        float("nan"),
        INTEGER_MAX + 1,
        -INTEGER_MAX - 1,
        "\ud800",
        {"\udc80": 1},
        {1: 1},
        {None: 1},
        b"bytes",
        {1, 2},
        object(),
    ],
)
def test_what_has_no_single_text_is_refused(value: object) -> None:
    """Floats, big integers, lone surrogates, keys that are no text, and everything that is not JSON."""
    with pytest.raises(ValueError, match=r"."):
        canonical({"a": [value]})


def test_depth_is_bounded() -> None:
    """Nesting that a recursive reader could not follow is refused, not met with a RecursionError."""
    value: object = 1
    for _ in range(DEPTH_MAX):
        value = [value]
    assert canonical(value)
    with pytest.raises(ValueError, match="levels"):
        canonical([value])


def test_a_digest_covers_the_domain_the_predecessor_and_the_columns() -> None:
    """The recipe that the reference gives, done by hand."""
    by_hand = hashlib.sha256(b"vigo-journal-v1\n" + GENESIS.encode() + b'\n[1,"a",null]').hexdigest()
    assert link(GENESIS, (1, "a", None)) == by_hand
    assert link(by_hand, (1, "a", None)) != by_hand


def test_a_whole_chain_is_ok_and_gives_its_end() -> None:
    """Made by hand, found good."""
    rows = chain_of(5)
    report = verify(as_rows(rows))
    assert (report.rows, report.broken_at, report.end) == (5, None, Point(5, rows[-1][6]))
    assert verify(iter(())).end is None


@pytest.mark.parametrize("column", range(7))
@pytest.mark.parametrize("index", [0, 3, 9])
@pytest.mark.parametrize("value", [None, 1.0, "x", b"x", 77, "\udc80"])
def test_any_changed_cell_breaks_the_chain_at_its_row(column: int, index: int, value: object) -> None:
    """Whatever is put in the place of whatever."""
    rows = chain_of(10)
    rows[index][column] = value
    report = verify(as_rows(rows))
    assert report.broken_at == index + 1
    assert report.cause
    assert report.rows == 10


MOVES: dict[str, Callable[[list[list[Any]]], Any]] = {
    "delete": lambda rows: rows.pop(4),
    "delete and renumber": lambda rows: rows.__setitem__(slice(None), renumbered([*rows[:4], *rows[5:]])),
    "swap contents": lambda rows: swap(rows, slice(1, 6)),
    "swap contents and digests": lambda rows: swap(rows, slice(1, 7)),
    "insert a copy": lambda rows: rows.__setitem__(slice(None), renumbered([*rows[:5], *rows[4:]])),
    "shift": lambda rows: [row.__setitem__(0, row[0] + 1) for row in rows[4:]],
}


def renumbered(rows: list[list[Any]]) -> list[list[Any]]:
    """Return the rows with seqs without gaps, everything else as it was."""
    return [[seq, *row[1:]] for seq, row in enumerate(rows, 1)]


def swap(rows: list[list[Any]], cells: slice) -> None:
    """Exchange cells of the fifth row and the eighth."""
    rows[4][cells], rows[7][cells] = rows[7][cells], rows[4][cells]


@pytest.mark.parametrize("move", MOVES)
def test_rows_that_are_gone_moved_or_added_break_the_chain_there(move: str) -> None:
    """The place is the first seq that is not as it was: 5, or 6 for a copy that stands behind its original."""
    rows = chain_of(10)
    MOVES[move](rows)
    assert verify(as_rows(rows)).broken_at == (6 if move == "insert a copy" else 5)


def test_a_duplicate_at_the_end_breaks_the_chain_there() -> None:
    """A row that was valid in its own place is not in another one."""
    rows = chain_of(4)
    assert verify(as_rows([*rows, [5, *rows[2][1:]]])).broken_at == 5


@settings(max_examples=50)
@given(st.data())
def test_a_chain_without_its_tail_is_still_a_chain(data: st.DataObject) -> None:
    """That is why there is a head file: a prefix of a good chain is good."""
    rows = chain_of(6)
    kept = data.draw(st.integers(0, 6))
    report = verify(as_rows(rows[:kept]))
    assert report.broken_at is None
    assert (report.end.seq if report.end else 0) == kept


def test_a_point_is_written_and_read() -> None:
    """`seq:digest`, and nothing else."""
    point = Point(40, "ab" * 32)
    assert parse_point(f" {point}\n") == point
    for text in ("", "40", "0:" + "a" * 64, "40:" + "A" * 64, "40:abc", "-1:" + "a" * 64, "9" * 17 + ":" + "a" * 64):
        with pytest.raises(UsageError, match="seq:digest"):
            parse_point(text)
