"""A lab for the tests of one module, with the proof at its end that nothing is left of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.labkit import MEMBERS, is_alive
from vigo.lab import lifecycle
from vigo.lab.state import RunningLab


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    """Five hosts, up for one test module."""
    folder = tmp_path_factory.mktemp("lab") / "lab"
    running = lifecycle.up(folder, MEMBERS, "")
    yield running
    assert lifecycle.down(folder)
    assert not folder.exists()
    assert not is_alive(running.pid)
