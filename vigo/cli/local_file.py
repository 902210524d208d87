"""The local file of a push that is on record, read again for a rerun or a resume."""

from __future__ import annotations

from dataclasses import replace

from vigo.core.binding import Bound
from vigo.core.errors import UsageError


def with_file(bound: Bound) -> Bound:
    """Give a push that comes from the journal its bytes; a command stays as it is.

    Raises UsageError when the file is gone or is another one: one task brings one file to all of its hosts.
    """
    push = bound.push
    if push is None:
        return bound
    from vigo.adapters.local_file import read_local

    found = read_local(push.source)
    if found.sha256 != push.sha256:
        raise UsageError(
            f"{push.source}: is not the file that the task pushed (sha256 {found.sha256[:12]}…, then {push.sha256[:12]}…);"
            f" put that one back, or push this one to the same hosts with: vigo task push {push.local} {push.remote}"
            " --target run:ID:OUTCOME"
        )
    return replace(bound, content=found)
