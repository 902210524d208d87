"""From the text of a target to its terms. Precedence: not > and > or.

    target = and-part (("or" | "|" | ",") and-part)*
    and-part = not-part (("and" | "&") not-part)*
    not-part = ("not" | "!") not-part | "(" target ")" | term
    term = HOSTNAME | GLOB | RANGE | UUID | @GROUP | TRAIT OP VALUE | all | run:ID[:outcome[+outcome]]

Words and signs are told apart first; whatever is wrong is a UsageError that shows the text with a caret under the place.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum, auto
from typing import Final, NamedTuple

from vigo.core.errors import UsageError
from vigo.core.inventory_names import did_you_mean
from vigo.core.model import Outcome
from vigo.core.ranges import RangeError, glob, has_range
from vigo.core.ranges import parse as parse_range
from vigo.core.target_terms import All, And, Comparison, Glob, Group, Name, Not, Operator, Or, Ran, Range, Term, Uuid
from vigo.core.traits import compile_regex

TEXT_MAX: Final = 4 * 1024 * 1024
"""Characters in one target: 100,000 names fit."""
WORD_MAX: Final = 1_000
DEPTH_MAX: Final = 50
"""Parentheses and `not` within each other."""
_SHOWN: Final = 60
_TOKEN: Final = re.compile(
    r"""(?P<string>"(?:\\.|[^"\\])*") | (?P<operator>=~|!~|!=|<=|>=|=|<|>) | (?P<sign>[()&|,!])
      | (?P<word>[^\s"()&|,!=<>~]+) | (?P<blank>\s+) | (?P<wrong>.)""",
    re.VERBOSE | re.DOTALL,
)
_TRAIT: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_][A-Za-z0-9_-]*)*", re.ASCII)
_OUTCOMES: Final = [outcome.value for outcome in Outcome]
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_RUN: Final = re.compile(r"run:(?P<task>[0-9a-z]{1,32})(?::(?P<outcomes>[a-z+]+))?", re.IGNORECASE | re.ASCII)


class Kind(Enum):
    """What a token is."""

    WORD = auto()
    STRING = auto()
    OPERATOR = auto()
    OPEN = auto()
    CLOSE = auto()
    AND = auto()
    OR = auto()
    NOT = auto()
    END = auto()


_SIGNS: Final = {"(": Kind.OPEN, ")": Kind.CLOSE, "&": Kind.AND, "|": Kind.OR, ",": Kind.OR, "!": Kind.NOT}
_WORDS: Final = {"and": Kind.AND, "or": Kind.OR, "not": Kind.NOT}


class Token(NamedTuple):
    """One word or sign."""

    kind: Kind
    text: str
    start: int


def parse(text: str) -> Term:
    """Return the term that a target text means. Raises UsageError with a caret under what is wrong."""
    if len(text) > TEXT_MAX:
        raise UsageError(
            f"the target has {len(text):,} characters, at most {TEXT_MAX:,} are read; use a range or a group"
        )
    return _Parser(text).target()


def complain(text: str, start: int, reason: str, way_out: str) -> UsageError:
    """Return the error for one place in a target, with a caret under it."""
    left, right = max(0, start - _SHOWN), start + _SHOWN
    before = _plain(("…" if left else "") + text[left:start])
    after = _plain(text[start:right] + ("…" if right < len(text) else ""))
    return UsageError(f"target: {reason}; {way_out}\n  {before}{after}\n  {' ' * len(before)}^")


def _plain(text: str) -> str:
    """Return text of the same length that fits in a line: what is not printable becomes U+FFFD."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in text)


def _tokens(text: str) -> list[Token]:
    """Cut the text into words and signs, and mark its end."""
    tokens: list[Token] = []
    for found in _TOKEN.finditer(text):
        part, start = found[0], found.start()
        match found.lastgroup:
            case "string":
                tokens.append(Token(Kind.STRING, part[1:-1].replace('\\"', '"'), start))
            case "operator":
                tokens.append(Token(Kind.OPERATOR, part, start))
            case "sign":
                tokens.append(Token(_SIGNS[part], part, start))
            case "word":
                tokens.append(Token(_WORDS.get(part.lower(), Kind.WORD), part, start))
                if len(part) > WORD_MAX:
                    raise complain(text, start, f"a word has more than {WORD_MAX:,} characters", "shorten it")
            case "wrong" if part == '"':
                raise complain(text, start, "this quote is not closed", 'add a "')
            case "wrong":
                raise complain(text, start, f"{part} does not belong here", "quote it if it is part of a value")
            case _:
                pass
    tokens.append(Token(Kind.END, "", len(text)))
    return tokens


class _Parser:
    """Reads tokens from left to right; each method takes what its name says and leaves the rest."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._at = 0
        self._depth = 0

    def target(self) -> Term:
        """Read the whole text."""
        term = self._any()
        token = self._tokens[self._at]
        if token.kind is Kind.CLOSE:
            raise self._complain(token, "this parenthesis was not opened", "remove it, or add a ( before")
        if token.kind is not Kind.END:
            raise self._complain(token, "two terms stand side by side", "join them with `and`, `or` or a comma")
        return term

    def _any(self) -> Term:
        return self._joined(self._every, Kind.OR, Or)

    def _every(self) -> Term:
        return self._joined(self._negated, Kind.AND, And)

    def _joined(self, read: Callable[[], Term], kind: Kind, make: Callable[[tuple[Term, ...]], Term]) -> Term:
        terms = [read()]
        while self._take(kind) is not None:
            terms.append(read())
        return terms[0] if len(terms) == 1 else make(tuple(terms))

    def _negated(self) -> Term:
        token = self._tokens[self._at]
        if token.kind not in {Kind.NOT, Kind.OPEN}:
            return self._term()
        self._at += 1
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise self._complain(token, f"this is nested deeper than {DEPTH_MAX} levels", "write it more simply")
        term = Not(self._negated()) if token.kind is Kind.NOT else self._bracketed(token)
        self._depth -= 1
        return term

    def _bracketed(self, opened: Token) -> Term:
        term = self._any()
        if self._take(Kind.CLOSE) is None:
            token = self._tokens[self._at]
            if token.kind is Kind.END:
                raise self._complain(opened, "this parenthesis is not closed", "add a )")
            raise self._complain(token, "two terms stand side by side", "join them with `and`, `or` or a comma")
        return term

    def _term(self) -> Term:
        token = self._take(Kind.WORD)
        if token is None:
            found = self._tokens[self._at]
            if found.kind is Kind.STRING:
                raise self._complain(found, "only a trait's value is quoted", "write names without quotes")
            way_out = "write a host, a glob, @group, a trait comparison, or all"
            raise self._complain(found, "a term is missing here", way_out)
        operator = self._take(Kind.OPERATOR)
        return self._hosts(token) if operator is None else self._comparison(token, operator)

    def _comparison(self, trait: Token, operator: Token) -> Term:
        if _TRAIT.fullmatch(trait.text) is None:
            raise self._complain(trait, f"{trait.text[:_SHOWN]!r} is no trait", "write a dotted path such as os.distro")
        value = self._take(Kind.STRING) or self._take(Kind.WORD)
        if value is None:
            raise self._complain(
                self._tokens[self._at], "a value is missing here", 'write one, quoted if need be: "and"'
            )
        sort = Operator(operator.text)
        return Comparison(trait.text, sort, value.text, self._value_regex(sort, value))

    def _value_regex(self, operator: Operator, value: Token) -> re.Pattern[str] | None:
        if operator in {Operator.LIKE, Operator.NOT_LIKE}:
            try:
                return compile_regex(value.text)
            except ValueError as error:
                raise self._complain(value, *_halves(error)) from error
        if operator in {Operator.EQUAL, Operator.NOT_EQUAL} and _is_pattern(value.text):
            return self._glob(value, value.text, ignore_case=False)
        return None

    def _hosts(self, token: Token) -> Term:
        text = token.text
        if text.lower() == "all":
            return All()
        if text.startswith("@"):
            return self._group(token)
        if text.lower().startswith("run:"):
            return self._ran(token)
        if "*" in text or "?" in text:
            return Glob(self._glob(token, text))
        if has_range(text):
            self._glob(token, text)
            return Range(parse_range(text))
        return Uuid(text) if _UUID.fullmatch(text) else Name(text)

    def _group(self, token: Token) -> Term:
        path = token.text[1:]
        if not path:
            raise self._complain(token, "a group is missing after @", "write one, such as @prod.web")
        return Group(path, self._glob(token, path) if _is_pattern(path) else None)

    def _ran(self, token: Token) -> Term:
        found = _RUN.fullmatch(token.text)
        if found is None:
            raise self._complain(token, "this is no earlier run", "write run:ID or run:ID:failed+timeout")
        words = found["outcomes"].lower().split("+") if found["outcomes"] else []
        for word in words:
            if word not in _OUTCOMES:
                way_out = did_you_mean(word, _OUTCOMES) or f"outcomes are {', '.join(_OUTCOMES)}"
                raise self._complain(token, f"{word!r} is no outcome", way_out)
        return Ran(found["task"].lower(), frozenset(map(Outcome, words)))

    def _glob(self, token: Token, text: str, *, ignore_case: bool = True) -> re.Pattern[str]:
        try:
            return glob(text, ignore_case=ignore_case)
        except RangeError as error:
            start = token.start + len(token.text) - len(text) + error.offset
            raise complain(self._text, start, error.reason, error.way_out) from error

    def _take(self, kind: Kind) -> Token | None:
        """Return the next token and step over it, if it is of this kind."""
        token = self._tokens[self._at]
        if token.kind is not kind:
            return None
        self._at += 1
        return token

    def _complain(self, token: Token, reason: str, way_out: str) -> UsageError:
        return complain(self._text, token.start, reason, way_out)


def _is_pattern(text: str) -> bool:
    return "*" in text or "?" in text or has_range(text)


def _halves(error: ValueError) -> tuple[str, str]:
    reason, _, way_out = str(error).partition("; ")
    return reason, way_out
