"""The HTML report in a real browser without scripts: on a screen, light and dark, and on paper."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.browser import Page, browser
from tests.render.stories import stopped_at_a_gate
from vigo.render.report import page

_WEAK = """
(() => {
  const channel = value => value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const light = colour => [0.2126, 0.7152, 0.0722].reduce((sum, part, at) => sum + part * channel(colour[at] / 255), 0);
  const numbers = text => text.match(/[0-9.]+/g).map(Number);
  const ground = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = numbers(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const weak = new Set(), walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let seen = 0;
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || element.closest("style,title") || !element.getClientRects().length) continue;
    const style = getComputedStyle(element), drawn = element.closest("svg") ? style.fill : style.color;
    const [one, other] = [light(numbers(drawn)), light(ground(element))].sort((a, b) => b - a);
    const contrast = (one + 0.05) / (other + 0.05);
    seen += 1;
    if (contrast < 4.5) weak.add(`${contrast.toFixed(2)}: ${walk.currentNode.data.trim().slice(0, 40)}`);
  }
  return [seen, [...weak]];
})()
"""
"""How many pieces of text are seen, and those whose contrast to their ground is below 4.5 to 1 (WCAG 2, level AA)."""
_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
_A4_PX = 702
"""A4 less its margins of 12 mm, at 96 pixels an inch."""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """Return the report of 200 hosts that stopped at a gate, with every log open, in a browser."""
    folder = tmp_path_factory.mktemp("browser")
    path = folder / "report.html"
    path.write_text(page(stopped_at_a_gate()), "utf-8")
    with browser(folder / "profile") as opened:
        opened.open(path)
        yield opened


@pytest.mark.faults
def test_the_report_runs_nothing_asks_for_nothing_and_says_nothing(report: Page) -> None:
    """One file is loaded, and the console stays empty: its policy forbids nothing that it has."""
    assert [url.rpartition("/")[2] for url in report.requests] == ["report.html"]
    assert report.said == []
    assert report.find("document.scripts.length") == 0


@pytest.mark.faults
@pytest.mark.parametrize("look", ["light", "dark", "paper"])
def test_all_of_its_text_can_be_read(report: Page, look: str) -> None:
    """In either scheme and on paper, whichever scheme the printing browser is in; nothing is wider than the window."""
    report.find("document.querySelectorAll('details').forEach(each => each.open = true)")
    for width in (1100, 390) if look != "paper" else (_A4_PX,):
        report.see(
            width, scheme="light" if look == "light" else "dark", medium="print" if look == "paper" else "screen"
        )
        seen, weak = report.find(_WEAK)
        assert (seen > 500, weak) == (True, [])
        assert report.find(_WIDE) <= 0


@pytest.mark.faults
def test_on_paper_it_is_a_few_whole_pages(report: Page) -> None:
    """Hosts are named on a grid, logs by their first line; what is folded on the screen takes no room."""
    report.find("document.querySelectorAll('details').forEach(each => each.open = false)")
    pdf = report.printed()
    assert pdf.startswith(b"%PDF-")
    counted = re.search(rb"/Type\s*/Pages\b.*?/Count (\d+)", pdf, re.DOTALL)
    assert counted is not None
    assert 3 <= int(counted[1]) <= 8
