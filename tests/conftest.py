"""Fixtures that every part of the suite may use, and the promise that nothing is skipped where all must run."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator

import pytest
from hypothesis import settings

from tests.sshd import Farm, farm

# A busy machine is no failure, and a red CI is to be red again when it is looked at.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "here")


@pytest.fixture(scope="session")
def sshd_farm() -> Iterator[Farm]:
    """Real sshd on loopback, users and a key, for the whole session; skips, or fails under CI, where it cannot run."""
    with farm() as started:
        yield started


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure under CI=true: there, everything that the tests need can be installed."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"skipped under CI=true: {report.longrepr}"
    return report
