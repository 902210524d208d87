"""What is left of commands whose control process lost them, one line a host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vigo.core.model import Remains, RemainsState
from vigo.render.sanitize import clean


def remains_text(found: Mapping[str, Remains]) -> str:
    """Return one line a host: still running with its pids, ended and how, or why it cannot be told."""
    return "".join(f"{clean(host)}: {_said(remains)}\n" for host, remains in found.items())


def remains_json(found: Mapping[str, Remains]) -> list[dict[str, Any]]:
    """Return one object a host, for machines."""
    return [
        {
            "host": host,
            "state": remains.state.value,
            "exit_code": remains.exit_code,
            "signal": remains.signal,
            "pids": list(remains.pids),
            "detail": remains.detail,
        }
        for host, remains in found.items()
    ]


def _said(remains: Remains) -> str:
    words = [remains.state.value]
    if remains.state is RemainsState.RUNNING and remains.pids:
        words.append(f"pid {', '.join(map(str, remains.pids))}")
    if remains.exit_code is not None:
        words.append(f"exit={remains.exit_code}")
    if remains.signal is not None:
        words.append(f"signal={clean(remains.signal)}")
    return " ".join(words) + (f" ({clean(remains.detail)})" if remains.detail else "")
