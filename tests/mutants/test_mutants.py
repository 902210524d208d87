"""Breaks the program on purpose, one rule at a time, and sees the tests of that rule fail."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.mutants.mutation import Mutant, StaleError

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MUTANTS = [Mutant.read(path) for path in sorted(HERE.glob("*.patch"))]
SELECTIONS = sorted({mutant.caught_by for mutant in MUTANTS})
PROPERTY = "tests/core/test_rollout.py::any_run"
PASSED, FAILED = 0, 1

Job: TypeAlias = tuple[Path, str]
"""A folder and what is selected of the tests in it."""

# Fixed draws, and no search for a smaller example: that it fails is enough.
_CONFTEST = """
from hypothesis import Phase, settings
settings.register_profile("mutants", deadline=None, derandomize=True, database=None, phases=[Phase.{phase}])
settings.load_profile("mutants")
"""
_CONFIG = "[pytest]\naddopts = -q --import-mode=importlib\npythonpath = .\nmarkers =\n  faults\n  timeout\n"


@dataclass(frozen=True)
class Outcome:
    """How a selection of tests ended on one copy of the package."""

    code: int
    said: str


def copy(to: Path, phase: str = "explicit") -> Path:
    """Lay the package and its tests out in a folder; properties are tried with what stands in their `@example`s."""
    shutil.copytree(
        ROOT / "vigo", to / "vigo", ignore=shutil.ignore_patterns("__pycache__", "adapters", "cli", "lab", "render")
    )
    for part in ("core", "engine"):
        (to / "tests" / part).mkdir(parents=True)
        for path in (ROOT / "tests" / part).glob("*.py"):
            shutil.copy(path, to / "tests" / part)
    (to / "tests" / "conftest.py").write_text(_CONFTEST.format(phase=phase))
    (to / "pytest.ini").write_text(_CONFIG)
    return to


def run(jobs: Sequence[Job]) -> list[Outcome]:
    """Run each selection in its folder."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.mutants.run_all"],
        input=json.dumps([(str(folder), *selection.split("::")) for folder, selection in jobs]),
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        text=True,
        check=True,
    )
    return [Outcome(*ended) for ended in json.loads(ran.stdout)]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Outcome]:
    """Run the tests on every mutant whose patch applies, and on a copy that nobody touched."""
    whole = copy(tmp_path_factory.mktemp("whole"))
    jobs: dict[str, Job] = {selection: (whole, selection) for selection in SELECTIONS}
    for mutant in MUTANTS:
        folder = copy(tmp_path_factory.mktemp(mutant.name))
        with suppress(StaleError):  # the patch's own test says so
            mutant.apply(folder)
            jobs[mutant.name] = folder, mutant.caught_by
    return dict(zip(jobs, run(list(jobs.values())), strict=True))


@pytest.mark.parametrize("selection", SELECTIONS)
def test_the_selections_pass_on_what_nobody_broke(selection: str, outcomes: Mapping[str, Outcome]) -> None:
    """Otherwise their failing below would say nothing."""
    assert outcomes[selection].code == PASSED, outcomes[selection].said


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_is_caught(mutant: Mutant, outcomes: Mapping[str, Outcome], tmp_path: Path) -> None:
    """Its tests run and fail; a patch that no longer applies is a failure of its own."""
    if mutant.name not in outcomes:
        mutant.apply(copy(tmp_path))
    found = outcomes[mutant.name]
    assert found.code == FAILED, f"nobody noticed: {mutant.breaks}\n{found.said}"


@pytest.mark.faults
@pytest.mark.timeout(1_800)
def test_random_cases_alone_find_each_mutant_of_the_rollout(tmp_path: Path) -> None:
    """Nobody has to think of the case: five thousand drawn ones hold at least one that tells the mutant apart."""
    judged = [mutant for mutant in MUTANTS if mutant.caught_by == PROPERTY]
    jobs: list[Job] = []
    for mutant in judged:
        folder = copy(tmp_path / mutant.name, "generate")
        mutant.apply(folder)
        jobs.append((folder, "tests/core/test_rollout.py::five_thousand"))
    assert {mutant.name: found.code for mutant, found in zip(judged, run(jobs), strict=True)} == dict.fromkeys(
        (mutant.name for mutant in judged), FAILED
    )


def test_a_stale_patch_says_so(tmp_path: Path) -> None:
    """The package moved on: the patch has to as well."""
    mutant = replace(MUTANTS[0], patch=MUTANTS[0].patch.replace("\n-  ", "\n-not "))
    with pytest.raises(StaleError, match=rf"{mutant.name}\.patch is stale"):
        mutant.apply(copy(tmp_path))
