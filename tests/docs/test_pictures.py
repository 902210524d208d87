"""The pictures are those that the program draws today."""

from __future__ import annotations

import runpy

import pytest

from tests.docs.pages import ROOT


@pytest.mark.faults
def test_the_board_on_the_page_is_the_board_of_the_program() -> None:
    """`make docs` runs it again on a lab."""
    made = runpy.run_path(str(ROOT / "docs" / "pictures.py"))
    assert made["PICTURE"].read_text("utf-8") == made["board"]()
