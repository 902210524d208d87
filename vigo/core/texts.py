"""What a task sends to its hosts: each text once, and one digest over all, by which a resume knows that nothing has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from vigo.core.guard import Act, Placement


def texts_digest(texts: Mapping[str, Act]) -> str:
    """Return the hex SHA-256 over each host's name and what travels to it, in order; no secret is in it.

    The name goes in with its length before it and the text as its own SHA-256, so that no two mappings read alike.
    """
    whole = hashlib.sha256()
    told = {id(text): hashlib.sha256(_told(text).encode()).digest() for text in each_once(texts.values())}
    for host, text in texts.items():
        name = host.encode()
        whole.update(b"%d:%b" % (len(name), name) + told[id(text)])
    return whole.hexdigest()


def each_once(acts: Iterable[Act]) -> list[Act]:
    """Return the acts without those that are one object: hosts whose texts do not differ share it, and all said of it."""
    return list({id(act): act for act in acts}.values())


def judged_once(acts: Iterable[Act]) -> list[str]:
    """Return what the guards read of the acts, in their order and each text once."""
    return list(dict.fromkeys(act.judged for act in each_once(acts)))


def _told(act: Act) -> str:
    """Return the text that travels, and the digest of what goes with it."""
    if isinstance(act, Placement):
        return act.wire
    given = act.given.script or act.given.stdin
    return act.wire if given is None else f"{act.wire}\0{given.sha256}"
