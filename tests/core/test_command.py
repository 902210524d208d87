"""How a command is put on the wire: pure text, so most of it is checked by reading it back."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigo.core.command import (
    EXEC_BYTES_MAX,
    Found,
    Wire,
    check,
    greeting,
    input_wanted,
    look,
    read_look,
    result_kept,
    wrap,
)
from vigo.core.errors import UsageError
from vigo.core.model import Limits

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1).filter(str.strip)
MARK = "t0000001.0123456789abcdef"


def wrapped(text: str, **limits: int | bool) -> Wire:
    """Wrap a command without secrets."""
    return wrap(text, [], Limits(**limits), MARK)  # type: ignore[arg-type]


@given(text=TEXTS)
def test_the_exec_string_has_nothing_that_login_shells_read_differently(text: str) -> None:
    """Printable ASCII; between single quotes no backslash and no exclamation mark; nothing of the command."""
    exec_string = wrapped(text).exec_string
    assert re.fullmatch(r"[ -~]+", exec_string)
    assert not any(set("\\!") & set(quoted) for quoted in re.sub(r"\\.", "", exec_string).split("'")[1::2])
    assert exec_string.replace(f"text {text.count(chr(10)) + 1};", "") == wrapped("true").exec_string.replace(
        "text 1;", ""
    )


@given(text=TEXTS)
def test_the_command_follows_the_word_to_go_as_it_is(text: str) -> None:
    """Nothing is encoded; the host is told how many lines there are."""
    wire = wrapped(text)
    assert wire.stdin == b"go\n" + text.encode() + b"\n"
    assert f"text {text.count(chr(10)) + 1}; c=$l;" in wire.exec_string


@pytest.mark.parametrize(("timeout_ms", "seconds"), [(1, 1), (1000, 1), (1001, 2), (60_000, 60)])
def test_the_deadline_on_the_host_is_in_whole_seconds_and_never_early(timeout_ms: int, seconds: int) -> None:
    """The control node's own clock is exact; the host's is the one that must not strike first."""
    assert f" t={seconds} " in (wrapped("true", timeout_ms=timeout_ms).exec_string)


@pytest.mark.parametrize(("grace_ms", "ticks"), [(0, 1), (100, 10), (101, 11), (5000, 500)])
def test_the_grace_is_in_hundredths_of_a_second(grace_ms: int, ticks: int) -> None:
    """TERM always comes some time before KILL."""
    assert f" k={ticks};" in (wrapped("true", grace_ms=grace_ms).exec_string)


def test_what_a_dropped_connection_does_is_told_to_the_host() -> None:
    """By default the command is left to its deadline."""
    assert " d=0 " in (wrapped("true").exec_string)
    assert " d=1 " in (wrapped("true", kill_on_disconnect=True).exec_string)


@pytest.mark.parametrize(("nice", "io"), [(1, "-c 2 -n 7"), (14, "-c 2 -n 7"), (15, "-c 3"), (19, "-c 3")])
def test_niceness_lowers_processor_and_disk(nice: int, io: str) -> None:
    """From 15 on the disk is used only when nobody else does."""
    script = wrapped("true", nice=nice).exec_string
    assert f"nice -n {nice};" in script
    assert f"ionice {io} -p $$" in script
    assert "ionice" not in (wrapped("true").exec_string)


def test_secrets_travel_on_stdin_alone() -> None:
    """As they are, after the command; the host knows how many lines each has."""
    wire = wrap('echo "$VIGO_PARAM_A"', [("VIGO_PARAM_A", "it's\n%"), ("VIGO_PARAM_B", "")], Limits(), MARK)
    assert wire.stdin == b'go\necho "$VIGO_PARAM_A"\nit\'s\n%\n\n'
    assert 'text 2; export VIGO_PARAM_A="$l"; text 1; export VIGO_PARAM_B="$l";' in wire.exec_string
    assert "it" not in repr(wire).partition("stdin")[2]


@pytest.mark.parametrize("text", ["", " \n\t", "a\0b", "a\ud800b"])
def test_what_cannot_be_a_command_is_refused(text: str) -> None:
    """Empty, blank, with NUL, with half a character: never a silent cut."""
    with pytest.raises(UsageError):
        check(text)
    with pytest.raises(UsageError):
        wrapped(text)


def test_a_command_that_does_not_fit_is_refused_with_both_figures() -> None:
    """The message gives the size, the bound and another way."""
    with pytest.raises(UsageError, match=r"1\d\d,\d{3} bytes.*120,000.*script"):
        wrapped("x" * 130_000)
    with pytest.raises(UsageError):
        wrapped("x" * (2 << 20))
    assert wrapped("x" * EXEC_BYTES_MAX).stdin


@pytest.mark.parametrize("value", ["a\0", "\ud800"])
def test_a_secret_that_no_environment_can_carry_is_refused_without_telling_it(value: str) -> None:
    """The variable is named, the value is not."""
    with pytest.raises(UsageError, match="VIGO_PARAM_X") as refusal:
        wrap("true", [("VIGO_PARAM_X", "hush" + value)], Limits(), MARK)
    assert "hush" not in str(refusal.value)


@pytest.mark.parametrize("name", ["", "1A", "A B", "A;reboot"])
def test_a_variable_that_is_no_name_is_a_fault_of_ours(name: str) -> None:
    """It would become part of the script."""
    with pytest.raises(ValueError, match="environment variable"):
        wrap("true", [(name, "x")], Limits(), MARK)


@pytest.mark.parametrize("mark", ["", "a b", "x;y", "é", "x" * 65])
def test_a_mark_that_is_no_word_is_a_fault_of_ours(mark: str) -> None:
    """It would become part of the script."""
    with pytest.raises(ValueError, match="mark a run"):
        wrap("true", [], Limits(), mark)
    with pytest.raises(ValueError, match="mark a run"):
        look(mark, 1)


def test_the_greeting_is_found_for_its_own_run_alone() -> None:
    """Another run's greeting, or a text like it, is output."""
    own = b"vigo:%s:4711\n" % MARK.encode()
    for before in (b"", b"motd\n", b"vigo:t0000002.0123456789abcdef:1\n", b"vigo:", b"vigo:vigo:"):
        found = greeting(MARK, before + own + b"rest")
        assert found is not None
        assert (found.start(), found["pid"]) == (len(before), b"4711")
    assert greeting(MARK, b"vigo:t0000002.0123456789abcdef:4711\n") is None


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("vigo-left:{0}:::.", Found()),
        ("noise\nvigo-left:{0}:running:: 12 345.\n", Found(pids=(12, 345), is_running=True)),
        ("vigo-left:{0}:running:exit 3:.", Found(is_running=True, exit_code=3)),
        ("vigo-left:{0}::signal KILL: 7 0.", Found(signal="KILL", pids=(7,), is_partial=True)),
        ("vigo-left:{0}:ending::.", Found(is_ending=True)),
        ("vigo-left:{0}::none:.", Found(keeps_no_record=True)),
        ("vigo-left:{0}:: 12", None),
        ("", None),
    ],
)
def test_a_look_is_read_whole_or_not_at_all(answer: str, found: Found | None) -> None:
    """An answer that was cut off is no answer: nobody may read `killed` out of it."""
    assert read_look(MARK, answer.format(MARK).encode()) == found


def test_a_look_is_told_mark_and_group() -> None:
    """And it is a fixed text otherwise."""
    assert look(MARK, 4711).startswith(f"exec /bin/sh -c 'i={MARK} g=4711; ")
    assert look(MARK, 0).startswith(f"exec /bin/sh -c 'i={MARK} g=x; ")


def test_a_host_asks_for_a_receipt_by_the_mark() -> None:
    """Which the command cannot guess."""
    assert result_kept(MARK) == b"vigo:%s:end\n" % MARK.encode()


def test_a_commands_input_is_asked_for_and_told_from_output() -> None:
    """The wrapper asks with its mark; without input it asks for nothing."""
    wire = wrap("cat", [], Limits(), MARK, data=b"12345")
    assert wire.data == b"12345"
    assert "head -c 5" in wire.exec_string
    assert input_wanted(MARK) == f"vigo:{MARK}:in\n".encode()
    assert "head -c" not in wrap("cat", [], Limits(), MARK).exec_string
