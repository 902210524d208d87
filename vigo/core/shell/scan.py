"""Judges every place of a command where a value is to stand.

Rule 1: a place is good only when sh, dash, bash, busybox and ksh agree that a quoted word standing there is, or is part
of, exactly one word and is not evaluated. Inside quotes, backticks, `${…}`, `$((…))`, here-documents and comments none is.
Rule 2: what shells read differently (`[[`, `((`, `<(…)`, `$[…]`, arrays, …) ends the reading: from there on no place is good.
Rule 3: the answer depends on the text alone, never on the value that will stand there.

The grammar is that of POSIX.1-2017, Shell Command Language, 2.2-2.10, as far as it decides about context.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from vigo.core.shell.commands import end_word, step_in_code
from vigo.core.shell.places import UNENDED, Fault, Place, UnsureError
from vigo.core.shell.quotes import step_in_quotes
from vigo.core.shell.reading import SIMPLE, Code, Quoted, Reading, Target


def scan(text: str, holes: Sequence[tuple[int, int]]) -> tuple[Place, ...]:
    """Judge the places of `holes`: ascending, disjoint (start, end) offsets of parts without quotes and newlines.

    Linear in the length of the text. Never raises.
    """
    reading = Reading(text, holes)
    rest = _read(reading)
    if rest is UNENDED:
        return tuple(_but_refused(reading.places.get(index)) for index in range(len(holes)))
    return tuple(reading.places.get(index, Place(rest or UNENDED)) for index in range(len(holes)))


def _but_refused(place: Place | None) -> Place:
    """Take back what was judged good: a text that is not complete is no command."""
    return place if place is not None and place.fault is not None else Place(UNENDED)


def _read(reading: Reading) -> Fault | None:
    """Read to the end, or to where nothing is certain any more; return what is wrong with the places from there on."""
    try:
        while reading.at < len(reading.text):
            match reading.stack[-1]:
                case Code() as code:
                    step_in_code(reading, code)
                case Quoted() as quoted:
                    step_in_quotes(reading, quoted)
                case frame:
                    assert_never(frame)
        _end(reading)
    except UnsureError as unsure:
        return unsure.fault
    return None


def _end(reading: Reading) -> None:
    """Finish the last word, and make sure that nothing is left open."""
    code = reading.stack[-1]
    if isinstance(code, Quoted):
        raise UnsureError(UNENDED)
    end_word(reading, code)
    if code.opener or code.cases or reading.heredocs or code.where not in SIMPLE or code.target is not Target.NONE:
        raise UnsureError(UNENDED)
