"""The two guards and the value that stands between them and the transport."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from vigo.core.guard.finding import Finding, Layer
from vigo.core.guard.judge import judge
from vigo.core.model import Host
from vigo.core.placeholders import quote


@dataclass(frozen=True, slots=True)
class Text:
    """A command's final text for one host, after params and placeholders."""

    wire: str
    """What travels in argv: a secret stands as `"$VIGO_PARAM_NAME"`."""
    secrets: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Environment variable -> value, sent over the wrapper's stdin."""

    @property
    def judged(self) -> str:
        """What will really be executed, secret values included: what the guards read. Never stored, sent or shown.

        It is made of what travels and of nothing else, so no caller can have one text judged and another one sent.
        """
        if not self.secrets:
            return self.wire
        values = dict(self.secrets)
        return _SECRET_WORD.sub(lambda found: quote(values[found[1]]) if found[1] in values else found[0], self.wire)


_SEAL = object()
_SECRET_WORD = re.compile(r'"\$([A-Za-z_][A-Za-z0-9_]*)"')


@dataclass(frozen=True, slots=True, init=False)
class Order:
    """A command that the hard guard cleared for one host. Only `clear` can make one."""

    host: Host
    wire: str
    secrets: tuple[tuple[str, str], ...] = field(repr=False)

    def __init__(self, seal: object, host: Host, text: Text) -> None:
        if seal is not _SEAL:
            raise TypeError("an Order is made by vigo.core.guard.clear and by nothing else")
        object.__setattr__(self, "host", host)
        object.__setattr__(self, "wire", text.wire)
        object.__setattr__(self, "secrets", text.secrets)


@dataclass(frozen=True, slots=True)
class Refusal:
    """The hard guard's no for one host."""

    host: Host
    finding: Finding


def review(texts: Iterable[str]) -> Finding | None:
    """Ask the dispatch guard about a task's distinct final texts; the first finding, hard ones before others."""
    findings = [finding for finding in map(judge, dict.fromkeys(texts)) if finding is not None]
    return min(findings, key=lambda finding: finding.layer is not Layer.HARD, default=None)


def clear(host: Host, text: Text) -> Order | Refusal:
    """Ask the hard guard about the exact text for one host; the only way to an `Order`."""
    finding = judge(text.judged)
    if finding is not None and finding.layer is Layer.HARD:
        return Refusal(host, finding)
    return Order(_SEAL, host, text)
