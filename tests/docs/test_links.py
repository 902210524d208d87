from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, markdown

PAGES = markdown()
LINK = re.compile(r"(?<!!)\[[^\]\n]*(?:\n[^\]\n]*)?\]\(([^)\s]+)\)")
FENCE = re.compile(r"(?s)^```.*?^```$", re.MULTILINE)


def prose(page: Path) -> str:
    """Return a page without its blocks and code spans."""
    return re.sub(r"`[^`\n]*`", "`code`", FENCE.sub("", page.read_text("utf-8")))


@cache
def headings(page: Path) -> frozenset[str]:
    """Return the anchors of a page's headings, made as the forges make them."""
    found = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return frozenset(re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in found)


def links(page: Path) -> list[str]:
    """Return the relative links of a page."""
    return [link for link in LINK.findall(prose(page)) if not re.match(r"[a-z]+:", link)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_link_leads_somewhere(page: Path) -> None:
    """Each relative link names a file or folder of the repository, and a heading that the page there has."""
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link}: no such file"
        assert target.is_relative_to(ROOT), f"{link}: outside of the repository"
        assert not anchor or anchor in headings(target), f"{link}: no such heading"


def test_every_page_can_be_reached_from_the_readme() -> None:
    """Nobody finds a page that nothing links to; a link to a folder leads to the pages in it."""
    reached: set[Path] = set()
    front = [ROOT / "README.md"]
    while front:
        page = front.pop()
        if page in reached:
            continue
        reached.add(page)
        for link in links(page):
            target = (page.parent / link.partition("#")[0]).resolve()
            front.extend(sorted(target.glob("*.md")) if target.is_dir() else [target] if target.suffix == ".md" else [])
    assert set(PAGES) - reached == set()


def test_the_readme_starts_with_one_sentence_and_a_real_run() -> None:
    """The first things that a visitor sees are what vigo is and what it prints."""
    title, sentence, *rest = re.split(r"\n\n+", (ROOT / "README.md").read_text("utf-8"))
    assert title == "# vigo"
    assert sentence.count(". ") == 0
    assert sentence.endswith(".")
    assert re.sub(r"<!--.*-->\n", "", rest[0]).startswith("```console\n$ vigo task run ")


def test_the_files_that_the_security_page_names_exist() -> None:
    """Each promise names where it is kept."""
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", (ROOT / "SECURITY.md").read_text("utf-8"), re.MULTILINE)
    promises = [row for row in rows if row[0] != "promise" and not row[0].startswith("---")]
    assert len(promises) >= 5
    for promise, places in promises:
        named = re.findall(r"`([^`]+)`", places)
        assert named, promise
        assert all((ROOT / name).exists() for name in named), (promise, named)


def test_the_rooms_of_the_architecture_page_exist() -> None:
    """The map names the folders that there are, and the files on the way of a run."""
    text = (ROOT / "docs/architecture.md").read_text("utf-8")
    rooms = set(re.findall(r"^  (\w+)/ ", text, re.MULTILINE))
    assert rooms == {path.name for path in (ROOT / "vigo").iterdir() if (path / "__init__.py").exists()}
    for name in re.findall(r"`((?:core|engine|adapters|render|cli|lab)/[\w./]+)`", text):
        assert (ROOT / "vigo" / name).exists(), name


def test_the_changelog_is_kept() -> None:
    """As Keep a Changelog has it: what is unreleased first, then versions with dates, and only its six kinds of change."""
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert text.startswith("# Changelog\n")
    assert "keepachangelog.com" in text
    versions = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert versions[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", version) for version in versions[1:])
    kinds = set(re.findall(r"^### (.+)$", text, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
