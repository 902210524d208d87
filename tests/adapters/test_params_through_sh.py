"""Values through real shells: each arrives as exactly one word, whatever is in it, and nothing in it is ever run."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.adapters.shell_texts import COMMANDS, FILE_NAMES, NASTY, SOUPS, VALUES
from vigo.core.binding import adhoc, render
from vigo.core.command import wrap
from vigo.core.model import Host, Limits
from vigo.core.params import VALUE_BYTES_MAX
from vigo.core.placeholders import Template, fill_command, read_command


def _installed(*shells: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return the shells that are here, each once: `sh` may be another one's name."""
    real = {(Path(path).resolve(), shell[1:]): shell for shell in shells if (path := shutil.which(shell[0]))}
    return list(real.values())


SHELLS = _installed(("sh",), ("dash",), ("bash",), ("bash", "--posix"), ("busybox", "sh"), ("ksh",))
LOGIN_SHELLS = [shell for (shell,) in _installed(("dash",), ("bash",), ("fish",), ("tcsh",), ("zsh",))]
CANARY = "canary"
MARKER = "Zb9"
"""A value of plain characters: what a command does with it, it must do with any other."""

END_OF_CALL = "--- end of call ---"
SHOW = 'printf \'%s\\001\' "$#" "$1"'
PLACES = [
    f"set -- {{{{ x }}}}; {SHOW}",
    f"set -- ''{{{{ x }}}}'' \n{SHOW}",
    f'a={{{{ x }}}} b=c; set -- "$a"; {SHOW}',
    f'for i in {{{{ x }}}}; do set -- "$i"; done; {SHOW}',
    f"case {{{{ x }}}} in {{{{ x }}}}) set -- {{{{ x }}}};; esac; {SHOW}",
    f'set -- "$(printf %s. {{{{ x }}}})"; set -- "${{1%.}}"; {SHOW}',
    f"f() {{ {SHOW}; }}; if f {{{{ x }}}}; then :; fi",
    f"cat <<EOF >f\n$(echo a) it's\nEOF\nset -- {{{{ x }}}} # it's\n{SHOW}",
]
QUIET = settings(deadline=None, suppress_health_check=list(HealthCheck), database=None)


@dataclass(frozen=True, slots=True)
class Bench:
    """A folder to run shells in."""

    folder: Path

    def run(
        self, argv: Sequence[str], stdin: bytes = b"", *, to_the_end: bool = False, stays_open: bool = False
    ) -> bytes:
        """Run one command in an empty folder and return what it printed; `to_the_end` waits for all that it started.

        With `stays_open` the standard input does not end before the command: to the wrapper an end is a lost connection.
        """
        work = self.folder / "work"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        environ = {"PATH": f"{self.folder}/bin:{os.environ['PATH']}", "HOME": str(self.folder), "LC_ALL": "C.UTF-8"}
        environ |= {"LOG": str(self.folder / "log"), "y": "Y", "TIMEFORMAT": ""}
        ended, held = os.pipe()
        source, sink = os.pipe()
        writing = threading.Thread(target=_write, args=(sink, stdin, stays_open))
        writing.start()
        with open(ended, "rb") as end:  # noqa: PTH123 - a descriptor
            try:
                done = subprocess.run(
                    argv,
                    cwd=work,
                    stdin=source,
                    capture_output=True,
                    timeout=60,
                    check=False,
                    env=environ,
                    pass_fds=[held],
                )
            finally:
                os.close(held)
                os.close(source)
                writing.join()
                if stays_open:
                    os.close(sink)
            if to_the_end:
                end.read()  # it ends when nothing is left that could write, also of what no shell waited for
        assert not (work / CANARY).exists(), argv
        return done.stdout

    def trace(self, shell: tuple[str, ...], command: str) -> tuple[list[str], list[str]]:
        """Run a command and return the words of each `w` in it and the files that it made, both sorted."""
        log = self.folder / "log"
        log.write_bytes(b"")
        self.run([*shell, "-c", command, "sh"], to_the_end=True)
        calls = log.read_bytes().decode(errors="surrogateescape").split(f"{END_OF_CALL}\n")
        return sorted(calls), sorted(path.name for path in (self.folder / "work").iterdir())


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Return a bench with the command `w`, which writes down its words in one piece."""
    folder = tmp_path_factory.mktemp("shells")
    stub = folder / "bin" / "w"
    stub.parent.mkdir()
    stub.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" '{END_OF_CALL}' >>\"$LOG\"\n")
    timed = stub.with_name("time")
    timed.write_text('#!/bin/sh\n"$@"\n')
    for path in (stub, timed):
        path.chmod(0o755)
    yield Bench(folder)
    shutil.rmtree(folder, ignore_errors=True)


def filled(command: str, value: str) -> str:
    """Put one value into every placeholder."""
    template = read_command(command)
    assert isinstance(template, Template), template
    return fill_command(template, {"x": value})


def arrive(bench: Bench, values: Sequence[str], place: str) -> None:
    """Send values through every shell, one subshell for each."""
    command = "\n".join(filled(f"( {place}\n)", value) for value in values)
    expected = b"".join(b"1\1%s\1" % value.encode() for value in values)
    for shell in SHELLS:
        assert bench.run([*shell, "-c", command, "sh"]) == expected, shell


def _write(sink: int, data: bytes, stays_open: bool) -> None:  # noqa: FBT001 - a thread's argument
    with suppress(BrokenPipeError), open(sink, "wb", closefd=not stays_open) as pipe:
        pipe.write(data)


def arrive_wrapped(bench: Bench, value: str) -> None:
    """Send a value as text and as a secret through the wrapper, under every login shell."""
    secret = f".{value}"
    command = adhoc(f'set -- {{{{ trait.x }}}}; {SHOW}; printf %s "$VIGO_PARAM_X"', expand=True)
    text = render(command, Host("h", "u", traits={"x": value}))
    wire = wrap(text.wire, (("VIGO_PARAM_X", secret),), Limits(), "r1")
    for shell in LOGIN_SHELLS:
        shown = bench.run([shell, "-c", wire.exec_string], wire.stdin, stays_open=True)
        assert shown == b"1\1%s\1%s" % (value.encode(), secret.encode()), shell


@pytest.mark.parametrize("place", PLACES)
def test_the_worst_values_arrive_at_every_place(bench: Bench, place: str) -> None:
    """Quotes, expansions, newlines, options, reserved words, control characters."""
    arrive(bench, NASTY, place)


@pytest.mark.parametrize("value", ["x" * VALUE_BYTES_MAX, "'" * 10_000, "é\n" * 5_000])
def test_a_long_value_arrives(bench: Bench, value: str) -> None:
    """Up to the bound on a value, and to that on a text."""
    arrive(bench, [value], PLACES[0])


_MANY = st.lists(VALUES, min_size=25, max_size=25)
_PLACE = st.sampled_from(PLACES)
_THAT_FIT = VALUES.filter(lambda value: value.count("'") <= 1_000)
"""A quote takes 65 bytes on the wire."""


@settings(QUIET, max_examples=20)
@given(values=_MANY, place=_PLACE)
def test_a_value_arrives_as_exactly_one_word(bench: Bench, values: list[str], place: str) -> None:
    """Five hundred of them, through each shell's own parser."""
    arrive(bench, values, place)


@settings(QUIET, max_examples=15)
@given(value=_THAT_FIT)
def test_a_value_arrives_through_the_wrapper(bench: Bench, value: str) -> None:
    """Under each login shell, as text and over the standard input."""
    arrive_wrapped(bench, value)


def test_a_secret_that_begins_with_blanks_arrives(bench: Bench) -> None:
    """A secret loses nothing on its way."""
    wire = wrap('printf %s "$VIGO_PARAM_X"', (("VIGO_PARAM_X", "  a"),), Limits(), "r1")
    assert bench.run(["sh", "-c", wire.exec_string], wire.stdin, stays_open=True) == b"  a"


def behaves_like_the_marker(bench: Bench, command: str, value: str) -> None:
    """Compare what reaches commands, and the files made, between the marker and the value, in every shell."""
    template = read_command(command)
    assume(isinstance(template, Template) and template.slots)
    for shell in SHELLS:
        if shell == ("ksh",) and "<<" in command:
            continue  # ksh93 never returns from some here-documents that have no end
        calls, files = bench.trace(shell, filled(command, MARKER))
        seen, made = bench.trace(shell, filled(command, value))
        assert seen == sorted(call.replace(MARKER, value) for call in calls), (shell, command, value)
        assert made == sorted(file.replace(MARKER, value) for file in files), (shell, command, value)


@settings(QUIET, max_examples=20)
@given(command=COMMANDS, value=FILE_NAMES)
def test_an_accepted_place_holds_one_word_in_every_shell(bench: Bench, command: str, value: str) -> None:
    """Whatever the value is, it stays where the marker stood."""
    behaves_like_the_marker(bench, command, value)


@settings(QUIET, max_examples=20)
@given(command=SOUPS, value=FILE_NAMES)
def test_what_is_accepted_in_broken_commands_is_one_word_too(bench: Bench, command: str, value: str) -> None:
    """What the reading accepts, no shell sees otherwise, even where it is no command."""
    behaves_like_the_marker(bench, command, value)


@pytest.mark.faults
@pytest.mark.timeout(3600)
@settings(QUIET, max_examples=400)
@given(values=_MANY, place=_PLACE)
def test_ten_thousand_values_arrive(bench: Bench, values: list[str], place: str) -> None:
    """The full count."""
    arrive(bench, values, place)


@pytest.mark.faults
@pytest.mark.timeout(3600)
@settings(QUIET, max_examples=1_000)
@given(value=_THAT_FIT)
def test_a_thousand_values_arrive_through_the_wrapper(bench: Bench, value: str) -> None:
    """The full count."""
    arrive_wrapped(bench, value)


@pytest.mark.faults
@pytest.mark.timeout(3600)
@settings(QUIET, max_examples=2_000)
@given(command=st.one_of(COMMANDS, SOUPS), value=FILE_NAMES)
def test_two_thousand_accepted_commands_hold_their_words(bench: Bench, command: str, value: str) -> None:
    """The full count."""
    behaves_like_the_marker(bench, command, value)
