"""Folds hosts that ended alike and printed the same, and says how an output differs from that of most hosts.

Rule 1: every host that has something to tell is in exactly one group; the biggest group comes first, equals in plan order.
Rule 2: output counts by the digest of all of its bytes, kept or not, unless something in it is to be ignored.
Rule 3: a difference is shown only where it tells more than the output itself, and within bounds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from vigo.core.errors import UsageError
from vigo.core.model import HostResult, Output
from vigo.core.rollout import Run
from vigo.core.values import dataclass
from vigo.render.blocks import Kept

DIFF_BYTES_MAX = 16 * 1024
DIFF_LINES_MAX = 400
_IGNORED = b"*"
"""Stands for what `--gather-ignore` names."""


@dataclass(frozen=True, slots=True)
class Group:
    """Hosts that ended alike and printed the same."""

    number: int
    """From 1, the biggest group first."""
    hosts: tuple[str, ...]
    result: HostResult
    """The first host's."""


def ended_alike(result: HostResult) -> tuple[object, ...]:
    """Return what hosts of one group have in common: how the command ended, and every byte that it printed."""
    return (*_ended(result), result.stdout.sha256, result.stderr.sha256)


def alike_but_for(ignored: Sequence[re.Pattern[bytes]], kept: Kept) -> Callable[[HostResult], tuple[object, ...]]:
    """Return the same for output in which what a pattern matches does not count.

    Output that is kept in part, or no longer, counts by its digest as ever.
    """
    masked: dict[str, bytes] = {}

    def printed(output: Output) -> object:
        if output.is_cut:
            return output.sha256
        if output.kept_sha256 not in masked:
            data = kept(output.kept_sha256) if output.total_bytes else b""
            masked[output.kept_sha256] = output.sha256.encode() if data is None else mask(data, ignored)
        return masked[output.kept_sha256]

    return lambda result: (*_ended(result), printed(result.stdout), printed(result.stderr))


def mask(data: bytes, ignored: Iterable[re.Pattern[bytes]]) -> bytes:
    """Return output with a star in the place of what is ignored."""
    for pattern in ignored:
        data = pattern.sub(_IGNORED, data)
    return data


def read_ignored(patterns: Iterable[str], flag: str) -> tuple[re.Pattern[bytes], ...]:
    """Compile regular expressions as they were typed. Raises UsageError for one that is none."""
    compiled = []
    for text in patterns:
        try:
            compiled.append(re.compile(text.encode(), re.MULTILINE))
        except re.error as error:
            raise UsageError(f"{flag}: {text[:60]!r} is no regular expression: {error}") from None
    return tuple(compiled)


def groups_of(
    run: Run, hosts: Iterable[str], alike: Callable[[HostResult], tuple[object, ...]] = ended_alike
) -> list[Group]:
    """Fold those of the hosts that have a result."""
    found: dict[tuple[object, ...], list[str]] = {}
    for host in hosts:
        result = run.results.get(host)
        if result is not None:
            found.setdefault(alike(result), []).append(host)
    ordered = sorted(found.values(), key=len, reverse=True)
    return [Group(number, tuple(names), run.results[names[0]]) for number, names in enumerate(ordered, start=1)]


def difference(usual: bytes, other: bytes) -> list[str] | None:
    """Return the lines of a unified diff, without its head; None where the other output itself tells more."""
    if max(len(usual), len(other)) > DIFF_BYTES_MAX:
        return None
    old, new = usual.splitlines(), other.splitlines()
    if max(len(old), len(new)) > DIFF_LINES_MAX:
        return None
    import difflib  # noqa: PLC0415 - nothing else that lists results needs it

    lines = [
        line.decode("utf-8", "backslashreplace")
        for line in difflib.diff_bytes(difflib.unified_diff, old, new, n=1, lineterm=b"")
    ][2:]
    added, same = (sum(line.startswith(sign) for line in lines) for sign in "+ ")
    return None if same < added else lines


def _ended(result: HostResult) -> tuple[object, ...]:
    return (result.outcome, result.exit_code, result.signal, result.reason, result.kill)
