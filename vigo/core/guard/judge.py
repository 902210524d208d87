"""Asks what both guards ask: what would this command do to the host.

The analyser is loaded with the first question: listing, completing and looking things up must not pay for a parser.
"""

from __future__ import annotations

from functools import lru_cache

from vigo.core.guard.finding import Finding
from vigo.core.values import dataclass

REMEMBERED_MAX = 4_096
"""Of longer texts only the latest few are remembered, as a script that goes to every host is: the memory must stay small."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the guards say of a command, and what they made of it."""

    finding: Finding | None
    notes: tuple[str, ...] = ()
    """What was resolved on the way, as whole lines."""

    @property
    def verdict(self) -> str:
        """Name the verdict: `allow`, `dispatch` (the dispatch guard alone) or `hard` (both)."""
        return "allow" if self.finding is None else str(self.finding.layer)


def judge(text: str) -> Finding | None:
    """Judge one command text; the gravest finding, or None when there is none."""
    return explain(text).finding


def explain(text: str) -> Judgement:
    """Judge one command text and tell what was resolved on the way."""
    return _remembered(text) if len(text) <= REMEMBERED_MAX else _latest(text)


@lru_cache(maxsize=1024)
def _remembered(text: str) -> Judgement:
    return _analysed(text)


@lru_cache(maxsize=8)
def _latest(text: str) -> Judgement:
    return _analysed(text)


def _analysed(text: str) -> Judgement:
    from vigo.core.guard.analysis import analyse  # noqa: PLC0415 - the only door to the parser, opened by the first question

    return analyse(text)
