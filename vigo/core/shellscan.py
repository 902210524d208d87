"""Says where in a shell command a quoted word may be put. Reads the text once, from left to right, and never runs it.

Rule 1: a place is good only when sh, dash, bash, busybox and ksh agree that a quoted word standing there is, or is part
of, exactly one word and is not evaluated. Inside quotes, backticks, `${…}`, `$((…))`, here-documents and comments none is.
Rule 2: what shells read differently (`[[`, `((`, `<(…)`, `$[…]`, arrays, …) ends the reading: from there on no place is good.
Rule 3: the answer depends on the text alone, never on the value that will stand there.

The grammar is that of POSIX.1-2017, Shell Command Language, 2.2-2.10, as far as it decides about context.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple, TypeAlias

from vigo.core.heredoc import Heredoc, body_end, is_certain, read_opening

_QUOTES_WAY_OUT = "write it outside the quotes, each value is quoted by vigo: 'app '{{ name }}"
_WORD_WAY_OUT = "give it a word of its own"
_READ_DIFFERENTLY = "stands after {}, which shells read differently"

_SAFE = re.compile(r"[A-Za-z0-9_./:@%+,=-]+")
"""Literal text beside which an unquoted plain value means the same as a quoted one."""
_IN_QUOTES = re.compile(r"[^\"\\$`'{}()\n]+")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=", re.ASCII)
_DIGITS = re.compile(r"[0-9]+")
_FUNCTION = re.compile(r"\([ \t]*\)")
_DEPTH_MAX = 50
_REDIRECT = re.compile(r"<<<|<&|>&|<>|>>|>\||<(?!<)|>")
_CASE_ENDING = re.compile(r";;&?|;&")
_IN_BACKTICKS = re.compile(r"[\\'\"#]")
_OPENS_OTHER = frozenset((" ", "\t", "\n", "|"))
_STAYS_COMMAND = frozenset(("if", "then", "else", "elif", "fi", "while", "until", "do", "done", "!", "{", "}", "time"))
_SHELLS_DIFFER = {
    "[[": "write [ … ], the command runs under sh",
    "function": "write name() { …; }",
    "select": "leave it out, the command has no terminal",
    "coproc": "leave it out, the command runs under sh",
    "alias": "leave it out, an alias can change what any later word means",
}
_RESERVED = _STAYS_COMMAND | _SHELLS_DIFFER.keys() | {"for", "case", "esac", "in"}


class Fault(NamedTuple):
    """Why no value can stand in a place."""

    reason: str
    """Continues "{{ name }} …"."""
    way_out: str


@dataclass(frozen=True, slots=True)
class Place:
    """The judgement on one placeholder's place."""

    fault: Fault | None = None
    bare: bool = False
    """Whether a value of plain characters may stay unquoted there without meaning something else."""


def scan(text: str, holes: Sequence[tuple[int, int]]) -> tuple[Place, ...]:
    """Judge the places of `holes`: ascending, disjoint (start, end) offsets without quotes or newlines between them.

    Linear in the length of the text. Never raises.
    """
    return _Scan(text, holes).run()


class _Where(Enum):
    """Which word of a command comes next."""

    COMMAND = auto()
    """The first one; reserved words are recognised."""
    PREFIX = auto()
    """The first one, but after an assignment or a redirection: shells differ on reserved words here."""
    ARGUMENT = auto()
    FOR_NAME = auto()
    FOR_NEXT = auto()
    FOR_WORD = auto()
    CASE_WORD = auto()
    CASE_IN = auto()
    PATTERN = auto()


_BEGINS = {"for": _Where.FOR_NAME, "case": _Where.CASE_WORD}
_SIMPLE = (_Where.COMMAND, _Where.PREFIX, _Where.ARGUMENT, _Where.FOR_WORD)


class _Target(Enum):
    """What the next word is to a redirection."""

    NONE = auto()
    FILE = auto()
    DESCRIPTOR = auto()


@dataclass(slots=True)
class _Word:
    literal: list[str] = field(default_factory=list)
    """The unquoted text, with a quote for each part that is something else."""
    is_plain: bool = True
    """Nothing but unquoted literal text."""
    is_safe: bool = True
    """Nothing but characters of `_SAFE` and placeholders."""
    has_brace: bool = False
    has_bracket: bool = False
    holes: list[int] = field(default_factory=list)

    def add_other(self) -> None:
        """Note a part that is not literal text: quoted, expanded or a placeholder."""
        self.literal.append("'")
        self.is_plain = False


@dataclass(slots=True)
class _Code:
    """Where commands stand: the whole text, a subshell or a command substitution."""

    opener: str = ""
    where: _Where = _Where.COMMAND
    word: _Word | None = None
    target: _Target = _Target.NONE
    cases: int = 0
    """`case` constructs that are open here."""
    words: int = 0
    """Words of the current simple command or pattern list."""
    parenthesis: bool = False
    """Whether the current pattern list began with `(`."""
    timed: bool = False
    """Whether the last word was `time`."""
    first: _Word | None = None
    """The current simple command's first word."""


@dataclass(slots=True)
class _Quoted:
    """Where no value can stand: double quotes, `${…}`, `$((…))`."""

    opener: str
    depth: int = 0


_Frame: TypeAlias = _Code | _Quoted
_INSIDE = {
    '"': Fault("stands inside double quotes", _QUOTES_WAY_OUT),
    "'": Fault("stands inside single quotes", _QUOTES_WAY_OUT),
    "$'": Fault("stands inside $'…'", _QUOTES_WAY_OUT),
    "`": Fault("stands inside backticks", "write $(…) instead of them"),
    "${": Fault("stands inside ${…}", "give it to a variable of its own first: name={{ name }}"),
    "$((": Fault(
        "stands inside arithmetic $((…)), where a value would be evaluated",
        "give it to a command that calculates: expr {{ name }} + 1",
    ),
    "#": Fault("stands in a comment", "leave the comment out"),
    "<<": Fault("stands in a here-document", "pass it as an argument: printf '%s\\n' {{ name }} | …"),
}
_AFTER_BACKSLASH = Fault("stands after a backslash", "leave the backslash out")
_AFTER_DOLLAR = Fault("stands after a $", "leave the $ out")
_IN_BRACES = Fault("stands in a word with braces, which some shells make several words of", _WORD_WAY_OUT)
_IN_BRACKETS = Fault("stands inside […] within a word, where some shells evaluate it", _WORD_WAY_OUT)
_AS_DESCRIPTOR = Fault("stands after <& or >&, where a descriptor's number belongs", "write the number")
_AS_FUNCTION = Fault("stands where a function has its name", "write a name")
_HEREDOC_UNSURE = Fault(
    "stands after a here-document whose end shells see in different places", "write <<'EOF', outside $(…)"
)
_AS_NAME = Fault("stands where `for` has its variable", "write a name")
_UNENDED = Fault("stands in a command whose quotes, brackets or `case` do not end", "close what was opened")


class _UnsureError(Exception):
    """Nothing is certain from here on."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.reason)
        self.fault = fault


def _differ(what: str, way_out: str) -> _UnsureError:
    return _UnsureError(Fault(_READ_DIFFERENTLY.format(what), way_out))


def _misplaced(what: str) -> _UnsureError:
    return _UnsureError(Fault(f"stands after {what} where vigo's reading of the command ends", "simplify the command"))


class _Scan:
    """One reading of one text."""

    def __init__(self, text: str, holes: Sequence[tuple[int, int]]) -> None:
        self.text = text
        self.at = 0
        self.holes = holes
        self.starts = {start: index for index, (start, _) in enumerate(holes)}
        self.stack: list[_Frame] = [_Code()]
        self.heredocs: list[Heredoc] = []
        self.places: dict[int, Place] = {}
        self.next_hole = 0

    def run(self) -> tuple[Place, ...]:
        rest = self._read()
        if rest is _UNENDED:
            self.places = {index: place for index, place in self.places.items() if place.fault}
        return tuple(self.places.get(index, Place(rest or _UNENDED)) for index in range(len(self.holes)))

    def _read(self) -> Fault | None:
        """Read to the end, or to where nothing is certain any more; return what is wrong with the places from there on."""
        try:
            while self.at < len(self.text):
                match self.stack[-1]:
                    case _Code() as code:
                        self._step(code)
                    case _Quoted() as quoted:
                        self._step_quoted(quoted)
            self._end()
        except _UnsureError as unsure:
            return unsure.fault
        return None

    def _end(self) -> None:
        """Finish the last word. A text that is not complete takes back all that was judged good."""
        code = self.stack[-1]
        if isinstance(code, _Quoted):
            raise _UnsureError(_UNENDED)
        self._end_word(code)
        if code.opener or code.cases or self.heredocs or code.where not in _SIMPLE or code.target is not _Target.NONE:
            raise _UnsureError(_UNENDED)

    # Commands.

    def _step(self, code: _Code) -> None:
        hole = self.starts.get(self.at)
        if hole is not None:
            self._hole(code, hole)
            return
        run = _SAFE.match(self.text, self.at)
        if run:
            self._word(code).literal.append(run[0])
            self.at = run.end()
            return
        match self.text[self.at]:
            case " " | "\t":
                self._end_word(code)
                self.at += 1
            case "\n":
                self._newline(code)
            case ";" | "&" | "|":
                self._separator(code)
            case "(":
                self._open(code)
            case ")":
                self._close(code)
            case "<" | ">":
                self._redirect(code)
            case "#" if code.word is None:
                self._comment(code)
            case _:
                self._in_word(code)

    def _in_word(self, code: _Code) -> None:
        """Take one character, or one quoted or expanded part, of a word."""
        char = self.text[self.at]
        if self.text.startswith("\\\n", self.at):
            if code.word is not None:
                code.word.is_plain = code.word.is_safe = False
            self.at += 2
            return
        word = self._word(code)
        word.is_safe = False
        if char in "\\'\"$`":
            word.add_other()
        match char:
            case "\\":
                self._escape()
            case "'":
                self._skip_quotes("'")
            case '"':
                self._push(_Quoted('"'), 1)
            case "$":
                self._dollar()
            case "`":
                self._backticks()
            case _:
                word.literal.append(char)
                word.has_brace |= char == "{"
                word.has_bracket |= char == "["
                self.at += 1

    def _hole(self, code: _Code, hole: int) -> None:
        word = self._word(code)
        word.is_plain = False
        word.holes.append(hole)
        if any(isinstance(frame, _Quoted) and frame.opener != '"' for frame in self.stack):
            self._refuse(
                hole, next(_INSIDE[f.opener] for f in self.stack if isinstance(f, _Quoted) and f.opener != '"')
            )
        elif word.has_bracket:
            self._refuse(hole, _IN_BRACKETS)
        self.at = self.holes[hole][1]

    def _word(self, code: _Code) -> _Word:
        if code.word is None:
            code.word = _Word()
        return code.word

    def _end_word(self, code: _Code, *, before_operator: bool = False) -> None:
        """Judge the word that ends here and say what the next one will be."""
        word, code.word = code.word, None
        if word is None:
            return
        target, code.target = code.target, _Target.NONE
        simple = code.where is _Where.ARGUMENT or target is _Target.FILE
        place = Place(bare=simple and word.is_safe and not before_operator)
        if word.has_brace:
            place = Place(_IN_BRACES)
        elif target is _Target.DESCRIPTOR:
            place = Place(_AS_DESCRIPTOR)
        elif target is _Target.NONE and code.where is _Where.FOR_NAME:
            place = Place(_AS_NAME)
        for hole in word.holes:
            self.places.setdefault(hole, place)
        if target is _Target.NONE:
            self._advance(code, "".join(word.literal), word)
        elif code.where is _Where.COMMAND:
            code.where = _Where.PREFIX

    def _advance(self, code: _Code, literal: str, word: _Word) -> None:
        """Move on to the word after this one, which is no redirection's target."""
        code.words += 1
        plain = literal if word.is_plain else ""
        match code.where:
            case _Where.COMMAND | _Where.PREFIX:
                self._first_word(code, literal, word)
            case _Where.FOR_NAME if word.holes or _NAME.fullmatch(plain):
                code.where = _Where.FOR_NEXT
            case _Where.FOR_NEXT if plain in ("in", "do"):
                code.where = _Where.FOR_WORD if plain == "in" else _Where.COMMAND
            case _Where.CASE_WORD:
                code.where = _Where.CASE_IN
            case _Where.CASE_IN if plain == "in":
                code.cases += 1
                self._new_pattern(code)
            case _Where.PATTERN if literal == "esac":
                self._end_case(code, certain=word.is_plain and code.words == 1 and not code.parenthesis)
            case _Where.PATTERN | _Where.ARGUMENT | _Where.FOR_WORD:
                pass
            case _:
                raise _misplaced("`for` or `case`")

    def _first_word(self, code: _Code, literal: str, word: _Word) -> None:
        """Tell reserved words from assignments and from a simple command's first word."""
        was_timed, code.timed = code.timed, False
        if _ASSIGNMENT.match(literal):
            code.where = _Where.PREFIX
        elif literal in _RESERVED and not (word.is_plain and code.where is _Where.COMMAND):
            raise _misplaced(f"`{literal}`")
        elif literal in _SHELLS_DIFFER:
            raise _differ(f"`{literal}`", _SHELLS_DIFFER[literal])
        elif literal in _STAYS_COMMAND:
            code.timed = literal == "time"
        elif literal in _BEGINS:
            code.where = _BEGINS[literal]
        elif literal == "esac":
            self._end_case(code, certain=True)
        elif was_timed and literal.startswith("-"):
            raise _differ("an option of `time`", "leave the option out")
        else:
            code.where, code.words, code.first = _Where.ARGUMENT, 1, word

    def _newline(self, code: _Code) -> None:
        self._end_word(code)
        self.at += 1
        for heredoc in self.heredocs:
            self._body(heredoc)
        self.heredocs.clear()
        if code.where is _Where.FOR_NEXT or code.where is _Where.CASE_IN:
            return
        if code.where is not _Where.PATTERN or code.words or code.parenthesis:
            self._new_command(code)

    def _separator(self, code: _Code) -> None:
        """Take `;`, `&` or `|`; of `&&`, `||` and `|&` it is called for each half."""
        self._end_word(code)
        ending = _CASE_ENDING.match(self.text, self.at)
        if ending:
            if not code.cases:
                raise _misplaced(f"`{ending[0]}`")
            self._new_command(code)
            self._new_pattern(code)
            self.at = ending.end()
            return
        if self.text.startswith(";\\\n", self.at):
            raise _misplaced("a `;` at the end of a joined line")
        char = self.text[self.at]
        self.at += 1
        if char == "|" and code.where is _Where.PATTERN and code.words:
            return
        if char != ";" or code.where is not _Where.FOR_NEXT:
            self._new_command(code)

    def _open(self, code: _Code) -> None:
        """Take `(`: a subshell, the parentheses of a function's name, or a pattern's."""
        self._end_word(code, before_operator=True)
        if self.text.startswith("((", self.at):
            raise _differ("`((`", "write ( (…) ), or $((…)) to calculate")
        if self.text.startswith("(\\\n", self.at) or code.target is not _Target.NONE:
            raise _misplaced("`(`")
        if code.where is _Where.COMMAND:
            self._push(_Code("("), 1)
        elif code.where is _Where.PATTERN and not code.words and not code.parenthesis:
            code.parenthesis = True
            self.at += 1
        else:
            self._function(code)

    def _function(self, code: _Code) -> None:
        """Take the `()` of `name() …`."""
        match, first = _FUNCTION.match(self.text, self.at), code.first
        if first is not None:
            self.places.update({hole: Place(_AS_FUNCTION) for hole in first.holes})
        named = first is not None and first.is_plain and _NAME.fullmatch("".join(first.literal))
        if match is None or not named or code.where is not _Where.ARGUMENT or code.words != 1:
            raise _differ("`(` within a command", "quote it")
        self.at = match.end()
        self._new_command(code)

    def _close(self, code: _Code) -> None:
        """Take `)`: the end of a pattern list, a subshell or a command substitution."""
        self._end_word(code)
        if code.where is _Where.PATTERN and code.words:
            if not code.parenthesis and self._in_substitution():
                raise _differ("a `case` pattern without its `(` inside $(…)", "write (pattern) …")
            self._new_command(code)
            self.at += 1
            return
        if not code.opener or code.cases:
            raise _misplaced("`)`")
        self._new_command(code)
        self.stack.pop()
        self.at += 1
        outer = self.stack[-1]
        if code.opener == "(" and isinstance(outer, _Code):
            self._new_command(outer)

    def _new_command(self, code: _Code) -> None:
        """Begin the next command, which is possible only where the last one may end."""
        if code.target is not _Target.NONE or code.where in (_Where.FOR_NAME, _Where.CASE_WORD):
            raise _misplaced("a redirection, `for` or `case`")
        pattern_ends = code.where is _Where.PATTERN and self.text.startswith(")", self.at)
        if code.where in (_Where.FOR_NEXT, _Where.CASE_IN) or (code.where is _Where.PATTERN and not pattern_ends):
            raise _misplaced("`for` or `case`")
        code.where, code.words, code.first, code.timed = _Where.COMMAND, 0, None, False

    def _new_pattern(self, code: _Code) -> None:
        code.where, code.words, code.parenthesis = _Where.PATTERN, 0, False

    def _end_case(self, code: _Code, *, certain: bool) -> None:
        if not certain or not code.cases:
            raise _misplaced("`esac`")
        code.cases -= 1
        code.where = _Where.COMMAND

    # Redirections and here-documents.

    def _redirect(self, code: _Code) -> None:
        word = code.word
        if word is not None and word.is_plain and _DIGITS.fullmatch("".join(word.literal)):
            code.word = None
        elif word is not None and word.has_brace:
            raise _differ("{name} before a redirection", "write a number")
        self._end_word(code, before_operator=True)
        match = _REDIRECT.match(self.text, self.at)
        operator = match[0] if match else "<<"
        after = self.text[self.at + len(operator) : self.at + len(operator) + 2]
        if after.startswith("("):
            raise _differ(f"`{operator}(`", "use a pipe")
        if after == "\\\n" or code.target is not _Target.NONE or code.where not in _SIMPLE:
            raise _misplaced(f"`{operator}`")
        if match is None:
            self._heredoc(code)
            return
        self.at = match.end()
        code.target = _Target.DESCRIPTOR if operator.endswith("&") else _Target.FILE

    def _heredoc(self, code: _Code) -> None:
        opening = None if self._in_substitution() else read_opening(self.text, self.at)
        if opening is None:
            raise _UnsureError(_HEREDOC_UNSURE)
        self.heredocs.append(opening[0])
        self.at = opening[1]
        if code.where is _Where.COMMAND:
            code.where = _Where.PREFIX

    def _body(self, heredoc: Heredoc) -> None:
        end = body_end(self.text, self.at, heredoc)
        if end is None:
            raise _UnsureError(_INSIDE["<<"])
        self._refuse_until(end, _INSIDE["<<"])
        if not is_certain(self.text[self.at : end], heredoc):
            raise _UnsureError(_HEREDOC_UNSURE)
        self.at = end

    # Quotes, expansions and comments.

    def _comment(self, code: _Code) -> None:
        end = self.text.find("\n", self.at)
        end = len(self.text) if end < 0 else end
        self._refuse_until(end, _INSIDE["#"])
        if self._in_substitution() or code.target is not _Target.NONE:
            raise _misplaced("a comment")
        self.at = end

    def _escape(self) -> None:
        hole = self.starts.get(self.at + 1)
        if hole is None:
            self.at += 2
            return
        self._refuse(hole, _AFTER_BACKSLASH)
        self.at += 1

    def _dollar(self) -> None:
        """Take a `$` and what it opens."""
        following = self.text[self.at + 1 : self.at + 3]
        hole = self.starts.get(self.at + 1)
        top = self.stack[-1]
        if hole is not None:
            self._refuse(hole, _AFTER_DOLLAR)
            self.at += 1
        elif following == "((":
            self._push(_Quoted("$(("), 3)
        elif following.startswith("("):
            self._substitution()
        elif following.startswith("{"):
            if following[1:] in _OPENS_OTHER or self.text.startswith("${\\\n", self.at):
                raise _differ(f"`${following}`", "write $(…)")
            self._push(_Quoted("${"), 2)
        elif following.startswith(("[", "\\\n")):
            raise _differ("`$[` or a `$` at the end of a line", "write $((…))")
        elif following.startswith("'") and not (isinstance(top, _Quoted) and top.opener == '"'):
            self._ansi(top)
        else:
            self.at += 1

    def _substitution(self) -> None:
        if self.heredocs or self.text.startswith("$(\\\n", self.at):
            raise _misplaced("$(…)")
        self._push(_Code("$("), 2)

    def _ansi(self, top: _Frame) -> None:
        """Take `$'…'`, which some shells read as a `$` and then a quoted text."""
        start = self.at
        self.at += 1
        self._skip_quotes("$'")
        if "\\" in self.text[start : self.at] or isinstance(top, _Quoted):
            raise _differ("$'…' with a backslash", "write '…'")

    def _skip_quotes(self, opener: str) -> None:
        """Take single quotes, or backticks, to their end."""
        end = self.text.find(opener[-1], self.at + 1)
        self._refuse_until(len(self.text) if end < 0 else end, _INSIDE[opener])
        if end < 0:
            raise _UnsureError(_UNENDED)
        if self.heredocs and "\n" in self.text[self.at : end]:
            raise _misplaced("a quote")
        self.at = end + 1

    def _backticks(self) -> None:
        start = self.at
        self._skip_quotes("`")
        if _IN_BACKTICKS.search(self.text, start + 1, self.at - 1):
            raise _differ("backticks with quotes, comments or backslashes in them", "write $(…) instead of them")

    def _step_quoted(self, quoted: _Quoted) -> None:
        hole = self.starts.get(self.at)
        run = _IN_QUOTES.match(self.text, self.at)
        if hole is not None:
            self._refuse(hole, _INSIDE[quoted.opener])
            self.at = self.holes[hole][1]
        elif run:
            self.at = run.end()
        elif self.text[self.at] == "$":
            self._dollar()
        elif self.text[self.at] == "`":
            self._backticks()
        elif self.text[self.at] == "\n" and self.heredocs:
            raise _misplaced("a quote")
        elif quoted.opener == '"':
            self._in_double_quotes()
        elif quoted.opener == "${":
            self._in_expansion()
        else:
            self._in_arithmetic(quoted)

    def _in_double_quotes(self) -> None:
        char = self.text[self.at]
        if char == "\\":
            self._escape()
            return
        self.at += 1
        if char == '"':
            self.stack.pop()

    def _in_expansion(self) -> None:
        char = self.text[self.at]
        below = self.stack[-2]
        if char == "{" or (char in "\"'" and isinstance(below, _Quoted)):
            raise _differ("quotes or braces within ${…}", "leave them out")
        if char == "'":
            self._skip_quotes("'")
        elif char == '"':
            self._push(_Quoted('"'), 1)
        elif char == "\\":
            self._escape()
        else:
            self.at += 1
            if char == "}":
                self.stack.pop()

    def _in_arithmetic(self, quoted: _Quoted) -> None:
        char = self.text[self.at]
        if char not in "()\n" or (char == ")" and not quoted.depth and not self.text.startswith("))", self.at)):
            raise _differ("what may be arithmetic or not", "write $( (…) ), or only numbers and names in $((…))")
        if char == ")" and not quoted.depth:
            self.stack.pop()
            self.at += 2
            return
        quoted.depth += {"(": 1, ")": -1, "\n": 0}[char]
        self.at += 1

    def _in_substitution(self) -> bool:
        return any(isinstance(frame, _Code) and frame.opener == "$(" for frame in self.stack)

    def _push(self, frame: _Frame, length: int) -> None:
        if len(self.stack) == _DEPTH_MAX:
            raise _misplaced("deep nesting")
        self.stack.append(frame)
        self.at += length

    def _refuse(self, hole: int, fault: Fault) -> None:
        self.places.setdefault(hole, Place(fault))

    def _refuse_until(self, end: int, fault: Fault) -> None:
        """Refuse every hole between here and `end`."""
        while self.next_hole < len(self.holes) and self.holes[self.next_hole][0] < end:
            if self.holes[self.next_hole][0] >= self.at:
                self._refuse(self.next_hole, fault)
            self.next_hole += 1
