"""Draws a command's skeleton in one pass: what the parser may see of it, and whether it may see it at all.

The skeleton has the text's length. Reserved words and operators stand where they stood; every other word is a run of
`x`, here-documents and comments are blank. So nothing inside quotes can confuse the parser, offsets stay true, and the
parser, which cannot be interrupted, gets only texts that are known to be small and shallow. Bounds are counts, never
time: a verdict must be the same on every machine.
"""

from __future__ import annotations

import re
from dataclasses import field
from enum import Enum, auto

from vigo.core.guard.pieces import ASSIGNMENT, DEPTH_MAX, SIMPLE, OverBudget, Pieces
from vigo.core.values import dataclass

CHARS_MAX = 65_536
OPERATOR_RUN_MAX = 12
WORDS_MAX = 2_048


@dataclass(frozen=True, slots=True)
class HereDoc:
    """The body of a here-document: `text[start:end]`."""

    start: int
    end: int
    literal: bool
    """The delimiter was quoted: nothing in the body is expanded."""
    tabs: bool
    """`<<-`: leading tabs are dropped."""


@dataclass(frozen=True, slots=True)
class Skeleton:
    """A text of the same length as the command's, made of operators, reserved words, `x` and blanks."""

    text: str
    here_docs: dict[int, HereDoc]
    """By the offset of their delimiter word."""
    here_strings: frozenset[int]
    """The offsets of `<<<`."""
    broken: int
    """Where a quote or bracket was left open, or -1."""
    size: int = 0
    """Words and their pieces, as a count of work."""


class _Place(Enum):
    START = auto()
    PREFIX = auto()
    ARGUMENT = auto()
    FOR_NAME = auto()
    FOR_IN = auto()
    CASE_WORD = auto()
    CASE_IN = auto()
    PATTERN = auto()
    FUNCTION = auto()

    __hash__ = object.__hash__  # a member is itself and nothing else; the one that is inherited costs a call each time


@dataclass(slots=True)
class _Pending:
    at: int
    delimiter: str
    literal: bool
    tabs: bool


@dataclass(slots=True)
class _Level:
    """One command text: the whole, or the inside of one `$( )`."""

    closer: str
    painted: bool
    place: _Place = _Place.START
    target: bool = False
    """The next word belongs to a redirection."""
    cases: int = 0
    parens: list[int] = field(default_factory=list)
    """For each open subshell, the number of `case`s that were open around it."""
    pending: list[_Pending] = field(default_factory=list)


_OPENING = frozenset({"if", "then", "elif", "else", "do", "while", "until", "{"})
_CLOSING = frozenset({"fi", "done", "}"})
_SILENT = frozenset({"!", "time", "coproc"})
_OPERATOR = re.compile(r"&>>|&>|&&|\|\||\|&|;;&|;;|;&|<<<|<<-|<<|<>|<&|>>|>&|>\||[;&|<>\n]")
_OPERATOR_RUN = re.compile(r"[;&|<>(){}!\s]*")
_BLANK = re.compile(r"[ \t\r\f\v]+")
_LINES = re.compile(r"\n[ \t\n]*")
_RUN_WORD = re.compile(rf"(?!#|\\\n){SIMPLE}++(?=[\s;)]|$)")
_RUN = re.compile(rf"{_RUN_WORD.pattern}(?:[ \t]++{_RUN_WORD.pattern})*+")
_BRACKETS = re.compile(r"[ \t]*\([ \t]*\)")
_CONDITION_END = re.compile(r"(?:^|\s)\]\](?=[\s;&|)]|$)")


def scan(text: str) -> Skeleton:
    """Draw the skeleton of a command; `OverBudget` when it is larger than the guard reads."""
    if len(text) > CHARS_MAX:
        raise OverBudget(f"longer than {CHARS_MAX} characters")
    return _Scanner(text).run()


def expansion_end(text: str, i: int, *, quoted: bool) -> int:
    """Return where the expansion, quotation or group that starts at `text[i]` ends."""
    return _Scanner(text).piece_end(i, quoted=quoted)


class _Scanner(Pieces):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._out: list[str] = []
        self._here_docs: dict[int, HereDoc] = {}
        self._here_strings: set[int] = set()
        self._words = 0
        self._conditions_end = True

    def _substitution(self, i: int) -> int:
        return self._commands(i, _Level(closer=")", painted=False))

    def run(self) -> Skeleton:
        level = _Level(closer="", painted=True)
        self._commands(0, level)
        return Skeleton(
            "".join(self._out),
            self._here_docs,
            frozenset(self._here_strings),
            self._broken,
            self._words + self._passes // 4,
        )

    def piece_end(self, i: int, *, quoted: bool) -> int:
        if self._text.startswith(("<(", ">("), i):
            return self._substitution(i + 2)
        if not quoted and self._text[i] in "@!?*+" and self._text.startswith("(", i + 1):
            return self._group(i + 2)
        return self._inner(i, quoted=quoted)

    # -- one command text --------------------------------------------------------------------------------------------

    def _commands(self, i: int, level: _Level) -> int:
        self._deeper()
        while i < self._end:
            char = self._text[i]
            if char == ")" and level.closer == ")" and not level.parens and level.place is not _Place.PATTERN:
                break
            i = self._one(i, char, level)
        else:
            if level.closer:
                self._left_open(self._end)
        self._depth -= 1
        return i + 1 if i < self._end else i

    def _one(self, i: int, char: str, level: _Level) -> int:
        self._passed()
        if char in " \t\r\f\v":
            blank = _BLANK.match(self._text, i)
            assert blank is not None  # noqa: S101 - its first character is one
            return self._emit(level, i, blank.end(), " ")
        if level.place is _Place.ARGUMENT and not level.target:
            run = _RUN.match(self._text, i)
            if run:
                return self._run(run, level)
        if char == "\\" and self._text.startswith("\\\n", i):
            return self._emit(level, i, i + 2, " ")
        if char == "#":
            stop = self._text.find("\n", i)
            return self._emit(level, i, self._end if stop < 0 else stop, " ")
        if char in "<>" and self._text.startswith("(", i + 1):
            return self._word(i, level)
        if char in ";&|<>\n":
            return self._operator(i, level)
        if char == "(":
            return self._open(i, level)
        if char == ")":
            return self._close(i, level)
        return self._word(i, level)

    def _run(self, run: re.Match[str], level: _Level) -> int:
        """Pass a run of plain arguments at once."""
        start, stop = run.span()
        spans = [match.span() for match in _RUN_WORD.finditer(self._text, start, stop)]
        self._count_words(len(spans))
        if level.painted:
            for first, last in spans:
                self._out.append(" " * (first - start) + "x" * (last - first))
                start = last
        return stop

    def _count_words(self, count: int) -> None:
        self._words += count
        if self._words > WORDS_MAX:
            raise OverBudget(f"more than {WORDS_MAX} words")

    def _open(self, i: int, level: _Level) -> int:
        if level.place is _Place.PATTERN:
            return self._emit(level, i, i + 1, " ")
        if self._text.startswith("((", i) and level.place in {_Place.START, _Place.FOR_NAME}:
            stop = self._arithmetic(i + 2)
            if stop > 0:
                return self._arithmetic_command(i, stop, level)
        self._opener()
        if len(level.parens) >= DEPTH_MAX:
            raise OverBudget("nested too deeply")
        level.parens.append(level.cases)
        level.cases = 0
        level.place = _Place.START
        return self._raw(level, "(", i + 1)

    def _arithmetic_command(self, i: int, stop: int, level: _Level) -> int:
        loop = level.place is _Place.FOR_NAME
        level.place = _Place.ARGUMENT
        drawn = " x in ".ljust(stop - i, "x") if loop else "x" * (stop - i)
        return self._raw(level, drawn, stop)

    def _close(self, i: int, level: _Level) -> int:
        if level.place is _Place.PATTERN:
            level.place = _Place.START
            return self._raw(level, ")", i + 1)
        level.cases = level.parens.pop() if level.parens else 0
        level.place = _Place.START
        return self._raw(level, ")", i + 1)

    def _operator(self, i: int, level: _Level) -> int:
        match = _OPERATOR.match(self._text, i)
        assert match is not None  # noqa: S101 - `_one` came here because of the first character
        operator = match.group()
        if operator == "\n":
            return self._newline(i, level)
        self._bound_run(i)
        if operator[0] in "<>" or operator in {"&>", "&>>"}:
            return self._redirect(i, operator, level)
        if operator in {";;", ";&", ";;&"}:
            level.place = _Place.PATTERN if level.cases else _Place.START
            return self._raw(level, ";;".ljust(len(operator)), i + len(operator))
        if level.place is not _Place.PATTERN:
            level.place = _Place.START
        return self._raw(level, operator, i + len(operator))

    def _bound_run(self, i: int) -> None:
        run = _OPERATOR_RUN.match(self._text, i, i + 4 * OPERATOR_RUN_MAX)
        if run and len("".join(run.group().split())) > OPERATOR_RUN_MAX:
            raise OverBudget("a long run of operators")

    def _redirect(self, i: int, operator: str, level: _Level) -> int:
        level.target = True
        if level.place is _Place.START:
            level.place = _Place.PREFIX
        stop = i + len(operator)
        if operator in {"<<", "<<-"}:
            return self._here_doc(i, stop, level)
        if operator == "<<<" and level.painted:
            self._here_strings.add(i)
        drawn = {"<>": "< ", "<<<": "<  "}.get(operator, operator)
        return self._raw(level, drawn, stop)

    def _here_doc(self, i: int, stop: int, level: _Level) -> int:
        self._raw(level, "<".ljust(stop - i), stop)
        at = stop
        while at < self._end and self._text[at] in " \t":
            at = self._emit(level, at, at + 1, " ")
        end = self._word_end(at)
        raw = self._text[at:end]
        delimiter = re.sub(r"['\"\\]", "", raw)
        level.pending.append(_Pending(at, delimiter, literal=raw != delimiter, tabs=stop - i == len("<<-")))
        level.target = False
        return self._emit(level, at, end, "x") if end > at else at

    def _newline(self, i: int, level: _Level) -> int:
        if level.place not in {_Place.PATTERN, _Place.FOR_IN, _Place.CASE_IN}:
            level.place = _Place.START
        level.target = False
        if not level.pending:
            lines = _LINES.match(self._text, i)
            return self._raw(level, lines.group(), lines.end()) if lines else i + 1
        at = self._raw(level, "\n", i + 1)
        for count, doc in enumerate(level.pending):
            at = self._body(self._emit(level, at, at + 1, " ") if count and at < self._end else at, doc, level)
        level.pending.clear()
        return at

    def _body(self, start: int, doc: _Pending, level: _Level) -> int:
        at = start
        while at < self._end:
            stop = self._text.find("\n", at)
            stop = self._end if stop < 0 else stop
            line = self._text[at:stop]
            if (line.lstrip("\t") if doc.tabs else line) == doc.delimiter:
                self._here_docs[doc.at] = HereDoc(start, at, doc.literal, doc.tabs)
                return self._emit(level, start, stop, " ")
            at = stop + 1
        self._here_docs[doc.at] = HereDoc(start, self._end, doc.literal, doc.tabs)
        return self._emit(level, start, self._end, " ")

    # -- words -------------------------------------------------------------------------------------------------------

    def _word(self, i: int, level: _Level) -> int:
        self._count_words(1)
        if level.place is _Place.START and self._text.startswith("[[", i) and self._conditions_end:
            match = _CONDITION_END.search(self._text, i)
            self._conditions_end = match is not None
            if match:
                level.place = _Place.ARGUMENT
                return self._emit(level, i, match.end(), "x")
        stop = self._word_end(i)
        raw = self._text[i:stop]
        if level.target or (raw.isascii() and raw.isdigit() and self._text[stop : stop + 1] in {"<", ">"}):
            fd = not level.target
            level.target = False
            return self._raw(level, raw, stop) if fd else self._emit(level, i, stop, "x")
        return self._placed(i, stop, raw, level)

    def _placed(self, i: int, stop: int, raw: str, level: _Level) -> int:
        place = level.place
        if place is _Place.START:
            drawn = "" if raw == "time" and self._options_follow(stop) else self._reserved(raw, level)
            if drawn:
                return self._raw(level, drawn.ljust(len(raw)), stop)
        if place in {_Place.START, _Place.PREFIX}:
            return self._leading(i, stop, raw, level)
        keep = False
        if place is _Place.FOR_NAME:
            level.place = _Place.FOR_IN
        elif place is _Place.CASE_WORD:
            level.place = _Place.CASE_IN
        elif place is _Place.FUNCTION:
            level.place = _Place.START
        else:
            keep = self._kept(raw, level)
        return self._raw(level, raw, stop) if keep else self._emit(level, i, stop, "x")

    def _kept(self, raw: str, level: _Level) -> bool:
        """Tell whether a word after `for NAME`, after `case WORD` or before a pattern is one of the grammar's own."""
        if raw == "in" and level.place in {_Place.FOR_IN, _Place.CASE_IN}:
            if level.place is _Place.CASE_IN:
                level.cases += 1
            level.place = _Place.PATTERN if level.place is _Place.CASE_IN else _Place.ARGUMENT
            return True
        if raw == "do" and level.place is _Place.FOR_IN:
            self._out[-1:] = [";" + blank[1:] for blank in self._out[-1:] if level.painted]
            level.place = _Place.START
            return True
        if raw == "esac" and level.place is _Place.PATTERN:
            level.cases -= 1
            level.place = _Place.START
            return True
        return False

    def _reserved(self, raw: str, level: _Level) -> str:
        """Draw a reserved word in command position, and move on; '' when it is none."""
        if raw in _OPENING or raw in _CLOSING:
            self._opener()
            return raw
        if raw in {"for", "select"}:
            level.place = _Place.FOR_NAME
            return "for"
        if raw == "case":
            level.place = _Place.CASE_WORD
            return raw
        if raw == "function":
            level.place = _Place.FUNCTION
            return raw
        if raw == "esac" and level.cases:
            level.cases -= 1
            return raw
        return " " if raw in _SILENT else ""

    def _options_follow(self, stop: int) -> bool:
        return self._text[stop : stop + 4 * DEPTH_MAX].lstrip(" \t").startswith("-")

    def _leading(self, i: int, stop: int, raw: str, level: _Level) -> int:
        match = ASSIGNMENT.match(raw)
        if match:
            level.place = _Place.PREFIX
            return self._raw(level, ("x" * (match.end() - 1) + "=").ljust(len(raw), "x"), stop)
        self._emit(level, i, stop, "x")
        brackets = _BRACKETS.match(self._text, stop)
        if brackets and level.place is _Place.START:
            return self._raw(level, brackets.group(), brackets.end())
        level.place = _Place.ARGUMENT
        return stop

    # -- drawing and counting ----------------------------------------------------------------------------------------

    def _raw(self, level: _Level, drawn: str, stop: int) -> int:
        if level.painted:
            self._out.append(drawn)
        return stop

    def _emit(self, level: _Level, start: int, stop: int, char: str) -> int:
        return self._raw(level, char * (stop - start), stop)
