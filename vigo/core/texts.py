"""One digest over everything that a task sends to its hosts, by which a resume knows that nothing has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from vigo.core.guard import Act, Placement


def texts_digest(texts: Mapping[str, Act]) -> str:
    """Return the hex SHA-256 over each host's name and what travels to it, in order; no secret is in it.

    The name goes in with its length before it and the text as its own SHA-256, so that no two mappings read alike.
    """
    whole = hashlib.sha256()
    seen: dict[str, bytes] = {}
    for host, text in texts.items():
        name = host.encode()
        told = _told(text)
        if told not in seen:
            seen[told] = hashlib.sha256(told.encode()).digest()
        whole.update(b"%d:%b" % (len(name), name) + seen[told])
    return whole.hexdigest()


def _told(act: Act) -> str:
    """Return the text that travels, and the digest of what goes with it."""
    if isinstance(act, Placement):
        return act.wire
    given = act.given.script or act.given.stdin
    return act.wire if given is None else f"{act.wire}\0{given.sha256}"
