from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vigo.core.errors import UsageError
from vigo.core.quantity import Quantity, format_duration, parse_duration_ms, parse_quantities, parse_quantity


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5", Quantity(5)),
        ("0", Quantity(0)),
        ("25%", Quantity(25, percent=True)),
        ("100%", Quantity(100, percent=True)),
        ("0%", Quantity(0, percent=True)),
        (" 7 ", Quantity(7)),
        ("007", Quantity(7)),
        ("999999999", Quantity(999_999_999)),
    ],
)
def test_counts_and_percentages_are_read(text: str, expected: Quantity) -> None:
    """A quantity is a whole number of hosts or a whole percentage of them."""
    assert parse_quantity(text, flag="--max-failures") == expected


@pytest.mark.parametrize(
    "text",
    ["", " ", "-1", "+1", "2.5", "1e9", "1_000", "101%", "1000%", "5 %", "%", "%5", "five", "0x5", "\N{ARABIC-INDIC DIGIT FIVE}", "\N{SUPERSCRIPT TWO}", "1000000000", "1,2", "5%%", "5\n6"],
)  # fmt: skip
def test_anything_else_is_a_usage_error_that_names_flag_and_text(text: str) -> None:
    """C10: the operator reads which flag, what was given and what could be given instead."""
    with pytest.raises(UsageError) as caught:
        parse_quantity(text, flag="--max-failures")
    assert str(caught.value).startswith(f"--max-failures: {text!r} ")
    assert "write" in str(caught.value)


@pytest.mark.parametrize("text", ["0", "0%", "000"])
def test_a_batch_of_nobody_is_refused(text: str) -> None:
    """Where zero makes no sense the least is told in the unit that was used."""
    with pytest.raises(UsageError, match=r"the least is 1%?$"):
        parse_quantity(text, flag="--batch-size", least=1)


def test_a_list_of_batch_sizes_is_read_in_order() -> None:
    """`1,10%,50%` with or without blanks."""
    expected = (Quantity(1), Quantity(10, percent=True), Quantity(50, percent=True))
    assert parse_quantities("1,10%,50%", flag="--batch-size") == expected
    assert parse_quantities("1, 10%, 50%", flag="--batch-size") == expected
    assert parse_quantities("5", flag="--batch-size") == (Quantity(5),)


@pytest.mark.parametrize("text", ["", ",", "1,,2", "1,", "1,0", "1,101%", "1;2"])
def test_a_list_with_one_bad_size_is_refused_whole(text: str) -> None:
    """No size is dropped or guessed."""
    with pytest.raises(UsageError, match="--batch-size"):
        parse_quantities(text, flag="--batch-size")


@settings(deadline=None)
@given(st.integers(0, 100), st.integers(0, 100_000))
def test_a_percentage_is_rounded_down(percent: int, total: int) -> None:
    """Never more than the share, and less by under one host."""
    share = Fraction(percent, 100) * total
    meant = Quantity(percent, percent=True).of(total)
    assert meant <= share < meant + 1


@settings(deadline=None)
@given(st.integers(0, 999_999_999), st.booleans())
def test_a_quantity_reads_back_from_its_text(number: int, percent: bool) -> None:  # noqa: FBT001 - drawn
    """What is shown can be typed again."""
    quantity = Quantity(number % 101 if percent else number, percent)
    assert parse_quantity(str(quantity), flag="--max-failures") == quantity
    if not percent:
        assert quantity.of(3) == number


@pytest.mark.parametrize(
    ("text", "duration_ms"),
    [("60", 60_000), ("60s", 60_000), ("500ms", 500), ("2m", 120_000), ("1h", 3_600_000), ("1.5", 1_500),
     ("0.5s", 500), ("1.5m", 90_000), ("0.001", 1), (" 3s ", 3_000), ("0.1h", 360_000)],
)  # fmt: skip
def test_a_bare_number_is_seconds_and_units_are_ms_s_m_h(text: str, duration_ms: int) -> None:
    """One grammar for every duration."""
    assert parse_duration_ms(text, flag="--timeout") == duration_ms


@pytest.mark.parametrize(
    "text",
    [
        "",
        "s",
        "-1",
        "+1s",
        "1d",
        "1 s",
        "1S",
        "1m30s",
        ".5",
        "5.",
        "1e3",
        "inf",
        "nan",
        "0.0001",
        "\N{DEVANAGARI DIGIT ONE}s",
        "1ms ms",
    ],
)
def test_another_form_is_a_usage_error(text: str) -> None:
    """The way out names a plain number and units."""
    with pytest.raises(UsageError, match=r"--timeout: .* is not a duration; write seconds \(60\) or a unit"):
        parse_duration_ms(text, flag="--timeout")


@pytest.mark.parametrize("text", ["0", "0ms", "0h", "0.4ms"])
def test_no_time_at_all_is_refused(text: str) -> None:
    """A deadline of zero is never "no deadline"."""
    with pytest.raises(UsageError, match=r"is too short; the least is 1ms"):
        parse_duration_ms(text, flag="--timeout")


def test_the_least_can_be_zero_or_longer() -> None:
    """Settings differ in their least duration."""
    assert parse_duration_ms("0", flag="--grace", least_ms=0) == 0
    with pytest.raises(UsageError, match=r"the least is 12\.0s"):
        parse_duration_ms("11s", flag="--grace", least_ms=12_000)


@pytest.mark.parametrize(
    ("duration_ms", "shown"),
    [(0, "0ms"), (42, "42ms"), (9_999, "9999ms"), (10_000, "10.0s"), (12_345, "12.3s"), (60_000, "60.0s"), (3_600_000, "3600.0s")],
)  # fmt: skip
def test_durations_are_milliseconds_below_ten_seconds_then_tenths(duration_ms: int, shown: str) -> None:
    """`42ms`, then `12.3s`, as in the headers of host blocks."""
    assert format_duration(duration_ms) == shown
