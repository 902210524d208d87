"""Fixtures for the tests of the loop."""

from __future__ import annotations

import pytest

from tests.engine.rig import PATTERN, Clock
from vigo.core.guard import Finding, Layer


@pytest.fixture(autouse=True)
def _guard_that_refuses_danger(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in for the analyser: these tests are about what happens to a finding, not about finding it."""

    def judge(text: str) -> Finding | None:
        return Finding(Layer.HARD, "unit-stop", PATTERN) if "danger" in text else None

    monkeypatch.setattr("vigo.core.guard.order.judge", judge)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Give the engine a time of its own; asyncio keeps the real one."""
    clock = Clock()
    monkeypatch.setattr("vigo.engine.execute.time", clock)
    monkeypatch.setattr("vigo.engine.execute._sleep", clock.sleep)
    return clock
