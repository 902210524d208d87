"""`vigo keys`: the keys that hosts show, and those that files have of them, for people and for machines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from vigo.core.values import dataclass
from vigo.render.machine import SCHEMA, dump
from vigo.render.sanitize import clean
from vigo.render.tables import columns, tsv

_GAP: Final = 2
_HEADER: Final = ("HOST", "STATE", "TYPE", "FINGERPRINT", "FROM")


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One key of one host."""

    host: str
    state: str
    """`known`, `new`, `CHANGED`, `revoked`; of what files have also `authority` and `portless`."""
    algorithm: str
    fingerprint: str
    places: tuple[str, ...] = ()
    """`file:line` of what decides the state."""


@dataclass(frozen=True, slots=True)
class KeyFailure:
    """A host whose keys could not be had."""

    host: str
    reason: str
    detail: str


def keys_text(rows: Iterable[KeyRow]) -> str:
    """Return aligned columns, one key a line; nothing for none."""
    cells = [[clean(cell) for cell in _cells(row)] for row in rows]
    if not cells:
        return ""
    widths = [max(len(row[at]) for row in (_HEADER, *cells)) + _GAP for at in range(len(_HEADER) - 1)]
    return columns(_HEADER, cells, widths)


def keys_tsv(rows: Iterable[KeyRow]) -> str:
    """Return the same as tab-separated values."""
    return tsv([name.lower() for name in _HEADER], map(_cells, rows))


def keys_json(rows: Sequence[KeyRow], failures: Iterable[KeyFailure] = ()) -> str:
    """Return one JSON object with all keys, and the hosts that showed none."""
    failed = [{"host": one.host, "reason": one.reason, "detail": one.detail} for one in failures]
    return dump({"schema": SCHEMA, "keys": [_key(row) for row in rows], "failed": failed})


def keys_jsonl(rows: Iterable[KeyRow]) -> str:
    """Return one JSON object for each key."""
    return "".join(dump(_key(row)) for row in rows)


def forgotten_json(host: str, file: str, lines: Sequence[str], left: Sequence[KeyRow]) -> str:
    """Return what was taken out of vigo's own file, and who still knows the host, as one JSON object."""
    removed = [line.strip() for line in lines]
    return dump({"schema": SCHEMA, "host": host, "file": file, "removed": removed, "left": [_key(row) for row in left]})


def _cells(row: KeyRow) -> tuple[str, ...]:
    return row.host, row.state, row.algorithm, row.fingerprint, ",".join(row.places) or "-"


def _key(row: KeyRow) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "host": row.host,
        "state": row.state,
        "type": row.algorithm,
        "fingerprint": row.fingerprint,
        "places": list(row.places),
    }
