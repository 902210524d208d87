"""Fixtures that every part of the suite may use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sshd import Farm, farm


@pytest.fixture(scope="session")
def sshd_farm() -> Iterator[Farm]:
    """Real sshd on loopback, users and a key, for the whole session; skips, or fails under CI, where it cannot run."""
    with farm() as started:
        yield started
