from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vigo.render.tables import columns, tsv

HEADER = ("ID", "COMMAND", "TARGET", "STATUS", "TARGETS", "CREATED")
WIDTHS = (12, 19, 12, 11, 9)


def test_the_page_s_list_to_the_byte() -> None:
    """The columns stand where the reference page has them."""
    rows = [
        ("t1a2b3c4", "uptime", "*.web.*", "complete", "4", "2026-03-13 12:30"),
        ("t5e6f7g8", "systemctl resta...", "*.web.*", "complete", "4", "2026-03-13 11:00"),
    ]
    assert columns(HEADER, rows, WIDTHS) == (
        "ID          COMMAND            TARGET      STATUS     TARGETS  CREATED\n"
        "t1a2b3c4    uptime             *.web.*     complete   4        2026-03-13 12:30\n"
        "t5e6f7g8    systemctl resta... *.web.*     complete   4        2026-03-13 11:00\n"
    )


def test_a_wider_cell_pushes_its_column_and_is_never_cut() -> None:
    """Off a terminal nothing is shortened; one blank at least stays between two cells."""
    rows = [("t1a2b3c4", "x" * 40, "all", "complete", "4", "now"), ("t2", "y", "all", "complete", "4", "now")]
    lines = columns(HEADER, rows, WIDTHS).splitlines()
    assert lines[1] == f"t1a2b3c4    {'x' * 40} all         complete   4        now"
    assert [line.index("all") for line in lines[1:]] == [lines[0].index("TARGET")] * 2


def test_lines_end_without_blanks() -> None:
    """Empty cells at the end leave nothing to copy by mistake."""
    assert columns(("A", "B"), [("x", "")], (5,)) == "A    B\nx\n"


def test_no_rows_are_a_header() -> None:
    """An empty list is still a list."""
    assert columns(HEADER, [], WIDTHS).splitlines() == [
        "ID          COMMAND            TARGET      STATUS     TARGETS  CREATED"
    ]
    assert tsv(("A", "B"), []) == "A\tB\n"


@pytest.mark.parametrize("evil", ["a\tb", "a\nb", "a\r\nb", "\x1b[2J", "\x9b2J", "\u202e", "\u2028"])
def test_a_cell_cannot_leave_its_place(evil: str) -> None:
    """Neither another column nor another line, nor the terminal."""
    assert tsv(("A", "B"), [(evil, "x")]).count("\t") == 2
    for text in (tsv(("A", "B"), [(evil, "x")]), columns(("A", "B"), [(evil, "x")], (4,))):
        assert len(text.splitlines()) == 2
        assert all(char.isprintable() or char in "\t\n" for char in text)


@settings(deadline=None)
@given(st.lists(st.tuples(st.text(), st.text(), st.text()), max_size=5))
def test_tab_separated_values_keep_their_shape(rows: list[tuple[str, str, str]]) -> None:
    """As many lines and cells as were given, whatever is in them."""
    lines = tsv(("A", "B", "C"), rows).split("\n")
    assert len(lines) == len(rows) + 2
    assert all(line.count("\t") == 2 for line in lines[:-1])
