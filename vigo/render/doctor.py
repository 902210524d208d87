"""`vigo doctor`: one line for each check, for people and for machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vigo.core.doctor import Check, passed
from vigo.render.machine import SCHEMA, dump
from vigo.render.sanitize import clean
from vigo.render.tables import tsv


def check_line(check: Check) -> str:
    """Return one line: state, name, how long it took, what was found."""
    took = "" if check.duration_ms is None else f"{check.duration_ms}ms"
    return f"{check.state:<9}{check.name:<12}{took:>7}  {clean(check.found)}\n"


def checks_json(host: str | None, checks: Sequence[Check]) -> str:
    """Return all checks as one JSON object; `host` is null where this machine was looked at."""
    told = [_check(check) for check in checks]
    return dump({"schema": SCHEMA, "host": host, "passed": passed(checks), "checks": told})


def checks_jsonl(checks: Sequence[Check]) -> str:
    """Return one JSON object for each check."""
    return "".join(dump(_check(check)) for check in checks)


def checks_tsv(checks: Sequence[Check]) -> str:
    """Return the same as tab-separated values."""
    took = ["" if check.duration_ms is None else str(check.duration_ms) for check in checks]
    rows = ((one.name, one.state, ms, one.found) for one, ms in zip(checks, took, strict=True))
    return tsv(("check", "state", "duration_ms", "found"), rows)


def _check(check: Check) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "check": check.name,
        "state": check.state,
        "duration_ms": check.duration_ms,
        "found": check.found,
    }
