"""Reads what is outside quotes: words, reserved words, operators, redirections, here-documents and comments."""

from __future__ import annotations

import re

from vigo.core.shell.heredoc import Heredoc, body_end, is_certain, read_opening
from vigo.core.shell.places import (
    AS_DESCRIPTOR,
    AS_FUNCTION,
    AS_NAME,
    HEREDOC_UNSURE,
    IN_BRACES,
    IN_BRACKETS,
    INSIDE,
    Place,
    UnsureError,
    differ,
    misplaced,
)
from vigo.core.shell.quotes import backticks, dollar, escape, skip_quotes
from vigo.core.shell.reading import SIMPLE, Code, Quoted, Reading, Target, Where, Word

_SAFE = re.compile(r"[A-Za-z0-9_./:@%+,=-]+")
"""Literal text beside which an unquoted plain value means the same as a quoted one."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=", re.ASCII)
_DIGITS = re.compile(r"[0-9]+")
_FUNCTION = re.compile(r"\([ \t]*\)")
_REDIRECT = re.compile(r"<<<|<&|>&|<>|>>|>\||<(?!<)|>")
_CASE_ENDING = re.compile(r";;&?|;&")
_STAYS_COMMAND = frozenset(("if", "then", "else", "elif", "fi", "while", "until", "do", "done", "!", "{", "}", "time"))
_BEGINS = {"for": Where.FOR_NAME, "case": Where.CASE_WORD}
_SHELLS_DIFFER = {
    "[[": "write [ … ], the command runs under sh",
    "function": "write name() { …; }",
    "select": "leave it out, the command has no terminal",
    "coproc": "leave it out, the command runs under sh",
    "alias": "leave it out, an alias can change what any later word means",
}
_RESERVED = _STAYS_COMMAND | _SHELLS_DIFFER.keys() | _BEGINS.keys() | {"esac", "in"}


def step_in_code(reading: Reading, code: Code) -> None:
    """Take the next placeholder, blank, operator, comment or piece of a word. Raises UnsureError."""
    hole = reading.starts.get(reading.at)
    if hole is not None:
        _hole(reading, code, hole)
        return
    run = _SAFE.match(reading.text, reading.at)
    if run:
        code.open_word().literal.append(run[0])
        reading.at = run.end()
        return
    match reading.text[reading.at]:
        case " " | "\t":
            end_word(reading, code)
            reading.at += 1
        case "\n":
            _newline(reading, code)
        case ";" | "&" | "|":
            _separator(reading, code)
        case "(":
            _open(reading, code)
        case ")":
            _close(reading, code)
        case "<" | ">":
            _redirect(reading, code)
        case "#" if code.word is None:
            _comment(reading, code)
        case _:
            _in_word(reading, code)


def _in_word(reading: Reading, code: Code) -> None:
    """Take one character, or one quoted or expanded part, of a word."""
    char = reading.text[reading.at]
    if reading.text.startswith("\\\n", reading.at):
        if code.word is not None:
            code.word.is_plain = code.word.is_safe = False
        reading.at += 2
        return
    word = code.open_word()
    word.is_safe = False
    if char in "\\'\"$`":
        word.add_other()
    match char:
        case "\\":
            escape(reading)
        case "'":
            skip_quotes(reading, "'")
        case '"':
            reading.push(Quoted('"'), 1)
        case "$":
            dollar(reading)
        case "`":
            backticks(reading)
        case _:
            word.literal.append(char)
            word.has_brace |= char == "{"
            word.has_bracket |= char == "["
            reading.at += 1


def _hole(reading: Reading, code: Code, hole: int) -> None:
    word = code.open_word()
    word.add_other()
    word.holes.append(hole)
    enclosing = [frame.opener for frame in reading.stack if isinstance(frame, Quoted) and frame.opener != '"']
    if enclosing:
        reading.refuse(hole, INSIDE[enclosing[0]])
    elif word.has_bracket:
        reading.refuse(hole, IN_BRACKETS)
    reading.at = reading.holes[hole][1]


def end_word(reading: Reading, code: Code, *, before_operator: bool = False) -> None:
    """Judge the word that ends here and say what the next one will be."""
    word, code.word = code.word, None
    if word is None:
        return
    target, code.target = code.target, Target.NONE
    simple = code.where is Where.ARGUMENT or target is Target.FILE
    place = Place(bare=simple and word.is_safe and not before_operator)
    if word.has_brace:
        place = Place(IN_BRACES)
    elif target is Target.DESCRIPTOR:
        place = Place(AS_DESCRIPTOR)
    elif target is Target.NONE and code.where is Where.FOR_NAME:
        place = Place(AS_NAME)
    for hole in word.holes:
        reading.places.setdefault(hole, place)
    if target is Target.NONE:
        _advance(code, "".join(word.literal), word)
    elif code.where is Where.COMMAND:
        code.where = Where.PREFIX


def _advance(code: Code, literal: str, word: Word) -> None:
    """Move on to the word after this one, which is no redirection's target."""
    code.words += 1
    plain = literal if word.is_plain else ""
    match code.where:
        case Where.COMMAND | Where.PREFIX:
            _first_word(code, literal, word)
        case Where.FOR_NAME if word.holes or _NAME.fullmatch(plain):
            code.where = Where.FOR_NEXT
        case Where.FOR_NEXT if plain in ("in", "do"):
            code.where = Where.FOR_WORD if plain == "in" else Where.COMMAND
        case Where.CASE_WORD:
            code.where = Where.CASE_IN
        case Where.CASE_IN if plain == "in":
            code.cases += 1
            _new_pattern(code)
        case Where.PATTERN if literal == "esac":
            _end_case(code, certain=word.is_plain and code.words == 1 and not code.parenthesis)
        case Where.PATTERN | Where.ARGUMENT | Where.FOR_WORD:
            pass
        case _:
            raise misplaced("`for` or `case`")


def _first_word(code: Code, literal: str, word: Word) -> None:
    """Tell reserved words from assignments and from a simple command's first word."""
    was_timed, code.timed = code.timed, False
    if _ASSIGNMENT.match(literal):
        code.where = Where.PREFIX
    elif literal in _RESERVED and not (word.is_plain and code.where is Where.COMMAND):
        raise misplaced(f"`{literal}`")
    elif literal in _SHELLS_DIFFER:
        raise differ(f"`{literal}`", _SHELLS_DIFFER[literal])
    elif literal in _STAYS_COMMAND:
        code.timed = literal == "time"
    elif literal in _BEGINS:
        code.where = _BEGINS[literal]
    elif literal == "esac":
        _end_case(code, certain=True)
    elif was_timed and literal.startswith("-"):
        raise differ("an option of `time`", "leave the option out")
    else:
        code.where, code.words, code.first = Where.ARGUMENT, 1, word


def _newline(reading: Reading, code: Code) -> None:
    end_word(reading, code)
    reading.at += 1
    for heredoc in reading.heredocs:
        _body(reading, heredoc)
    reading.heredocs.clear()
    if code.where is Where.FOR_NEXT or code.where is Where.CASE_IN:
        return
    if code.where is not Where.PATTERN or code.words or code.parenthesis:
        _new_command(reading, code)


def _separator(reading: Reading, code: Code) -> None:
    """Take `;`, `&` or `|`; of `&&`, `||` and `|&` it is called for each half."""
    end_word(reading, code)
    ending = _CASE_ENDING.match(reading.text, reading.at)
    if ending:
        if not code.cases:
            raise misplaced(f"`{ending[0]}`")
        _new_command(reading, code)
        _new_pattern(code)
        reading.at = ending.end()
        return
    if reading.text.startswith(";\\\n", reading.at):
        raise misplaced("a `;` at the end of a joined line")
    char = reading.text[reading.at]
    reading.at += 1
    if char == "|" and code.where is Where.PATTERN and code.words:
        return
    if char != ";" or code.where is not Where.FOR_NEXT:
        _new_command(reading, code)


def _open(reading: Reading, code: Code) -> None:
    """Take `(`: a subshell, the parentheses of a function's name, or a pattern's."""
    end_word(reading, code, before_operator=True)
    if reading.text.startswith("((", reading.at):
        raise differ("`((`", "write ( (…) ), or $((…)) to calculate")
    if reading.text.startswith("(\\\n", reading.at) or code.target is not Target.NONE:
        raise misplaced("`(`")
    if code.where is Where.COMMAND:
        reading.push(Code("("), 1)
    elif code.where is Where.PATTERN and not code.words and not code.parenthesis:
        code.parenthesis = True
        reading.at += 1
    else:
        _function(reading, code)


def _function(reading: Reading, code: Code) -> None:
    """Take the `()` of `name() …`."""
    match, first = _FUNCTION.match(reading.text, reading.at), code.first
    if first is not None:
        reading.places.update({hole: Place(AS_FUNCTION) for hole in first.holes})
    named = first is not None and first.is_plain and _NAME.fullmatch("".join(first.literal))
    if match is None or not named or code.where is not Where.ARGUMENT or code.words != 1:
        raise differ("`(` within a command", "quote it")
    reading.at = match.end()
    _new_command(reading, code)


def _close(reading: Reading, code: Code) -> None:
    """Take `)`: the end of a pattern list, a subshell or a command substitution."""
    end_word(reading, code)
    if code.where is Where.PATTERN and code.words:
        if not code.parenthesis and reading.in_substitution():
            raise differ("a `case` pattern without its `(` inside $(…)", "write (pattern) …")
        _new_command(reading, code)
        reading.at += 1
        return
    if not code.opener or code.cases:
        raise misplaced("`)`")
    _new_command(reading, code)
    reading.stack.pop()
    reading.at += 1
    outer = reading.stack[-1]
    if code.opener == "(" and isinstance(outer, Code):
        _new_command(reading, outer)


def _new_command(reading: Reading, code: Code) -> None:
    """Begin the next command, which is possible only where the last one may end."""
    if code.target is not Target.NONE or code.where in (Where.FOR_NAME, Where.CASE_WORD):
        raise misplaced("a redirection, `for` or `case`")
    pattern_ends = code.where is Where.PATTERN and reading.text.startswith(")", reading.at)
    if code.where in (Where.FOR_NEXT, Where.CASE_IN) or (code.where is Where.PATTERN and not pattern_ends):
        raise misplaced("`for` or `case`")
    code.where, code.words, code.first, code.timed = Where.COMMAND, 0, None, False


def _new_pattern(code: Code) -> None:
    code.where, code.words, code.parenthesis = Where.PATTERN, 0, False


def _end_case(code: Code, *, certain: bool) -> None:
    if not certain or not code.cases:
        raise misplaced("`esac`")
    code.cases -= 1
    code.where = Where.COMMAND


def _redirect(reading: Reading, code: Code) -> None:
    word = code.word
    if word is not None and word.is_plain and _DIGITS.fullmatch("".join(word.literal)):
        code.word = None
    elif word is not None and word.has_brace:
        raise differ("{name} before a redirection", "write a number")
    end_word(reading, code, before_operator=True)
    match = _REDIRECT.match(reading.text, reading.at)
    operator = match[0] if match else "<<"
    after = reading.text[reading.at + len(operator) : reading.at + len(operator) + 2]
    if after.startswith("("):
        raise differ(f"`{operator}(`", "use a pipe")
    if after == "\\\n" or code.target is not Target.NONE or code.where not in SIMPLE:
        raise misplaced(f"`{operator}`")
    if match is None:
        _heredoc(reading, code)
        return
    reading.at = match.end()
    code.target = Target.DESCRIPTOR if operator.endswith("&") else Target.FILE


def _heredoc(reading: Reading, code: Code) -> None:
    opening = None if reading.in_substitution() else read_opening(reading.text, reading.at)
    if opening is None:
        raise UnsureError(HEREDOC_UNSURE)
    reading.heredocs.append(opening[0])
    reading.at = opening[1]
    if code.where is Where.COMMAND:
        code.where = Where.PREFIX


def _body(reading: Reading, heredoc: Heredoc) -> None:
    end = body_end(reading.text, reading.at, heredoc)
    if end is None:
        raise UnsureError(INSIDE["<<"])
    reading.refuse_until(end, INSIDE["<<"])
    if not is_certain(reading.text[reading.at : end], heredoc):
        raise UnsureError(HEREDOC_UNSURE)
    reading.at = end


def _comment(reading: Reading, code: Code) -> None:
    end = reading.text.find("\n", reading.at)
    end = len(reading.text) if end < 0 else end
    reading.refuse_until(end, INSIDE["#"])
    if reading.in_substitution() or code.target is not Target.NONE:
        raise misplaced("a comment")
    reading.at = end
