"""How a command is put on the wire: pure text, so most of it is checked by reading it back."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigo.core.command import EXEC_BYTES_MAX, Wire, check, greeting, look, read_look, wrap
from vigo.core.errors import UsageError
from vigo.core.model import Limits

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1).filter(str.strip)
MARK = "t0000001.0123456789abcdef"


def decoded(exec_string: str) -> str:
    """Undo the encoding, by the rule that stands in the page about it."""
    payload = exec_string[exec_string.index("vigo '") + len("vigo '") : -1]
    found = re.sub(
        rb"%n|%0([0-7]{3})", lambda code: b"\n" if code[1] is None else bytes([int(code[1], 8)]), payload.encode()
    )
    return found.decode()


def wrapped(text: str, **limits: int | bool) -> Wire:
    """Wrap a command without secrets."""
    return wrap(text, [], Limits(**limits), MARK)  # type: ignore[arg-type]


@given(text=TEXTS)
def test_the_exec_string_has_nothing_that_login_shells_read_differently(text: str) -> None:
    """Printable ASCII; between the outer single quotes no quote, backslash, exclamation mark or bare percent sign."""
    exec_string = wrapped(text).exec_string
    assert re.fullmatch(r"[ -~]+", exec_string)
    payload = exec_string[exec_string.index("vigo '") + len("vigo '") : -1]
    assert not re.search(r"['\\!]|%(?!n|0[0-7]{3})", payload)


@given(text=TEXTS)
def test_the_command_is_in_it_quoted_for_sh(text: str) -> None:
    """Decoded, the command is one single-quoted word."""
    assert "\nc='" + text.replace("'", "'\\''") + "'\n" in decoded(wrapped(text).exec_string)


def test_a_plain_command_stays_readable_in_the_process_list() -> None:
    """An operator who runs ps on the host sees what runs."""
    assert "systemctl restart nginx" in wrapped("systemctl restart nginx").exec_string


@pytest.mark.parametrize(("timeout_ms", "seconds"), [(1, 1), (1000, 1), (1001, 2), (60_000, 60)])
def test_the_deadline_on_the_host_is_in_whole_seconds_and_never_early(timeout_ms: int, seconds: int) -> None:
    """The control node's own clock is exact; the host's is the one that must not strike first."""
    assert f" t={seconds} " in decoded(wrapped("true", timeout_ms=timeout_ms).exec_string)


@pytest.mark.parametrize(("grace_ms", "ticks"), [(0, 1), (100, 10), (101, 11), (5000, 500)])
def test_the_grace_is_in_hundredths_of_a_second(grace_ms: int, ticks: int) -> None:
    """TERM always comes some time before KILL."""
    assert f" k={ticks}\n" in decoded(wrapped("true", grace_ms=grace_ms).exec_string)


def test_what_a_dropped_connection_does_is_told_to_the_host() -> None:
    """By default the command is left to its deadline."""
    assert " d=0 " in decoded(wrapped("true").exec_string)
    assert " d=1 " in decoded(wrapped("true", kill_on_disconnect=True).exec_string)


@pytest.mark.parametrize(("nice", "io"), [(1, "-c 2 -n 7"), (14, "-c 2 -n 7"), (15, "-c 3"), (19, "-c 3")])
def test_niceness_lowers_processor_and_disk(nice: int, io: str) -> None:
    """From 15 on the disk is used only when nobody else does."""
    script = decoded(wrapped("true", nice=nice).exec_string)
    assert f"nice -n {nice}\n" in script
    assert f"ionice {io} -p $$" in script
    assert "ionice" not in decoded(wrapped("true").exec_string)


def test_secrets_travel_on_stdin_alone() -> None:
    """One encoded line each, in order, then the word to go."""
    wire = wrap('echo "$VIGO_PARAM_A"', [("VIGO_PARAM_A", "it's\n%"), ("VIGO_PARAM_B", "")], Limits(), MARK)
    assert wire.stdin == b"it%0047s%n%0045.\n.\ngo\n"
    assert "secret VIGO_PARAM_A\nsecret VIGO_PARAM_B\n" in decoded(wire.exec_string)
    assert "it" not in repr(wire).partition("stdin")[2]
    assert wrapped("true").stdin == b"go\n"


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
    assert len(wrapped("x" * 100_000).exec_string) <= EXEC_BYTES_MAX


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
    assert (found := greeting(MARK).search(b"motd\nvigo:%s:4711\nrest" % MARK.encode())) is not None
    assert found[1] == b"4711"
    assert greeting(MARK).search(b"vigo:t0000002.0123456789abcdef:4711\n") is None


@pytest.mark.parametrize(
    ("answer", "pids"),
    [("vigo-left:{0}:.", ()), ("noise\nvigo-left:{0}: 12 345.\n", (12, 345)), ("vigo-left:{0}: 12", None), ("", None)],
)
def test_a_look_is_read_whole_or_not_at_all(answer: str, pids: tuple[int, ...] | None) -> None:
    """An answer that was cut off is no answer: nobody may read `killed` out of it."""
    assert read_look(MARK, answer.format(MARK).encode()) == pids


def test_a_look_is_told_mark_and_group() -> None:
    """And it is a fixed text otherwise."""
    assert decoded(look(MARK, 4711)).startswith(f"unset IFS\nset +f\ni={MARK} g=4711\n")
