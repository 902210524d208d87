"""The whole analysis of one command: walk it, take the gravest finding, and answer for what could not be read."""

from __future__ import annotations

import re

from vigo.core.guard.calls import Calls
from vigo.core.guard.effects import EFFECTS
from vigo.core.guard.evaluate import Evaluator
from vigo.core.guard.finding import Finding, Layer
from vigo.core.guard.judge import Judgement
from vigo.core.guard.pieces import OverBudget
from vigo.core.guard.prescan import CHARS_MAX
from vigo.core.guard.protected import WORD
from vigo.core.guard.rules import RULES
from vigo.core.guard.session import Found, Session
from vigo.core.guard.state import Source, State
from vigo.core.guard.words import purify

NEAR = 256
"""How far from a place that the grammar does not know a word is still suspicious, in characters."""

_LAYERS = {rule.name: rule.layer for rule in RULES}
_COMMENT = re.compile(r"(?m)^[ \t]*#.*$")
_TOKEN = re.compile(r"[A-Za-z][A-Za-z0-9.+-]*")
_QUIET = frozenset(
    {
        "sed",
        "git",
        "perl",
        "cp",
        "sort",
        "curl",
        "wget",
        "tar",
        "tee",
        "ln",
        "ip",
        "ed",
        "ex",
        "stop",
        "install",
        "route",
    }
)
_SUSPICIOUS = frozenset(EFFECTS) - _QUIET


def analyse(text: str) -> Judgement:
    """Judge one command text and tell what was resolved on the way."""
    if len(text) > CHARS_MAX:
        return Judgement(_unread(text, f"longer than {CHARS_MAX} characters", (0, len(text))))
    session = Session(text, _LAYERS, may_haste=not _is_named(_COMMENT.sub("", text)))
    finding: Finding | None = None
    try:
        clean = purify(text)
        session.judged = clean
        source = Source(clean, 0, (0, len(clean)))
        Evaluator(session, Calls(), source, State.at_login(), 0).run()
    except Found:
        finding = session.findings[-1]
    except OverBudget as over:
        finding = _unread(text, str(over), (0, len(text)))
    graver = finding is not None and finding.layer is Layer.HARD
    if not graver and session.breaks:
        finding = _broken(text, session.breaks) or finding
    if (finding is None or finding.layer is Layer.DISPATCH) and session.findings:
        finding = finding if finding and finding.layer is Layer.HARD else session.findings[0]
    return Judgement(finding, tuple(session.notes))


def _is_named(text: str) -> bool:
    """Tell whether something protected is named; looking for four letters first costs next to nothing."""
    return "vigo" in text.lower() and WORD.search(text) is not None


def _unread(text: str, reason: str, span: tuple[int, int]) -> Finding:
    layer = Layer.HARD if _is_named(text) else Layer.DISPATCH
    return Finding(layer, "cannot-analyse", "cannot analyse", f"the guard cannot read this command: {reason}", span)


def _broken(text: str, breaks: list[int]) -> Finding | None:
    """Judge a text that is no correct shell: refused when a suspicious word stands near the place."""
    for at in breaks:
        near = text[max(0, at - NEAR) : at + NEAR]
        if WORD.search(near) or not _SUSPICIOUS.isdisjoint(_TOKEN.findall(near)):
            return _unread(text, "it is not correct shell", (min(at, len(text)), len(text)))
    return None
