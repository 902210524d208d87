"""Names behind a label, on terminals and elsewhere."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vigo.render.listing import listed

_NAMES = st.lists(st.from_regex(r"[a-z0-9.-]{1,20}", fullmatch=True), min_size=1, max_size=40)


def test_what_goes_on_stands_below_the_first_name() -> None:
    """No name is cut; a pipe gets one line."""
    names = ["web-01", "web-02", "web-03", "db-01"]
    assert (
        listed("  2 failed ", names, 20)
        == "  2 failed web-01,\n           web-02,\n           web-03,\n           db-01"
    )
    assert listed("  2 failed ", names, 28) == "  2 failed web-01, web-02,\n           web-03, db-01"
    assert listed("  2 failed ", names, None) == "  2 failed web-01, web-02, web-03, db-01"


def test_a_few_lines_say_that_there_are_more() -> None:
    """The number before them counts all."""
    names = [f"web-{number:02}" for number in range(0, 60, 2)]
    assert listed("30 failed ", names, 40, 2).splitlines() == [
        "30 failed web-00, web-02, web-04,",
        "          web-06, web-08, web-10, ...",
    ]


@given(_NAMES, st.integers(10, 120), st.none() | st.integers(1, 4))
def test_no_line_is_too_wide_and_no_name_is_cut(names: list[str], width: int, lines_max: int | None) -> None:
    """But for a name that is wider than the terminal alone; without a bound all names are there."""
    lines = listed("n: ", names, width, lines_max).split("\n")
    found = [name for line in lines for name in line.removeprefix("n: ").strip(" ,").split(", ")]
    assert lines_max is None or len(lines) <= lines_max
    assert found == names or (found[-1] == "..." and found[:-1] == names[: len(found) - 1])
    assert found == names or lines_max is not None
    for line in lines:
        assert len(line) <= width or ", " not in line.removesuffix(", ...").strip(" ,")
