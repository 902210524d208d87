from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.conftest import Played, Reader
from tests.docs.pages import ROOT, Block, Command, Page, agrees, markdown, plain, read

PAGES = [read(path) for path in markdown()]
FOLLOWED = [page for page in PAGES if page.steps]
BLOCKS = [block for page in PAGES for block in page.blocks]


def wrong(played: Played) -> str:
    """Say in what a command did otherwise than its page says; empty when in nothing."""
    step, printed = played.step, "\n".join(f"    {line}" for line in played.lines)
    head = f"{step.place}: {step.text}"
    if played.code is None:
        return f"{head}\n  the shell ended before this command had"
    if played.code != step.code:
        return f"{head}\n  exited with {played.code} instead of {step.code}:\n{printed}"
    if any("Traceback" in line for line in played.lines):
        return f"{head}\n  ended in a traceback:\n{printed}"
    if step.shown is not None and not agrees(step.shown, played.lines):
        return f"{head}\n  printed something else than the page shows:\n{printed}"
    return ""


@pytest.mark.parametrize("page", FOLLOWED, ids=[page.name for page in FOLLOWED])
def test_a_page_can_be_followed(page: Page, reader: Reader) -> None:
    """Typed from top to bottom on a lab, every command of a page ends and prints as the page says."""
    if not any(command.text.startswith("vigo lab up") for command in page.commands):
        up = reader.sh("vigo lab up")
        assert up.returncode == 0, up.stdout
    found = [text for text in map(wrong, reader.follow(page)) if text]
    assert not found, "\n\n".join(["", *found])


def test_the_documentation_has_commands_to_run() -> None:
    """A test over no pages would pass for ever."""
    names = {page.name for page in FOLLOWED}
    assert {"README.md", "docs/tutorial.md", "docs/how-to/rolling-restart.md", "docs/reference/lab.md"} <= names
    assert sum(len(page.commands) for page in FOLLOWED) >= 30


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.is_shell], ids=lambda block: block.place)
def test_a_block_of_commands_is_run_or_says_why_not(block: Block) -> None:
    """Nothing is passed over in silence: a shell block has commands that the test runs, or a mark with a reason."""
    if block.mark == "not run":
        assert len(block.value.split()) >= 3, f"{block.place}: the mark gives no reason"
        return
    inside = [
        command
        for page in PAGES
        if page.path == block.page
        for command in page.commands
        if block.line < int(command.place.rpartition(":")[2]) <= block.line + len(block.lines)
    ]
    assert inside, f"{block.place}: no command in it was found"


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_a_mark_stands_right_above_a_block(page: Page) -> None:
    """A mark that drifted away from its block would be read as prose, and its block as one to run."""
    assert page.marks == sum(1 for block in page.blocks if block.mark in ("not run", "file"))
    text = page.path.read_text("utf-8")
    assert text.count("<!--") == text.count("<!-- not run: ") + text.count("<!-- file: ") + text.count("<!-- run: ")


def test_commands_stand_in_blocks_that_are_looked_at() -> None:
    """A block of another name, or of none, hides no command from these tests."""
    typed = re.compile(r"^(\$ |vigo(cli)? |make |pipx |vagrant )")
    hidden = [
        f"{block.place}: {line}"
        for block in BLOCKS
        if not block.is_shell and block.mark != "not run"
        for line in block.lines
        if typed.match(line)
    ]
    assert hidden == []


def test_a_make_target_that_is_named_exists() -> None:
    """`make` is not run from here, but what the pages ask it for is in the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = {
        word
        for page in PAGES
        for word in re.findall(r"(?:^|`)make ([a-z]+)", page.path.read_text("utf-8"), re.MULTILINE)
    }
    assert {"demo", "test"} <= named
    assert named <= targets


# --- the reading of pages itself


def page_of(tmp_path: Path, text: str) -> Page:
    """Read a text as a page of this repository."""
    path = tmp_path / "page.md"
    path.write_text(text, encoding="utf-8")
    return read(path)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let `tmp_path` be the repository."""
    monkeypatch.setattr("tests.docs.pages.ROOT", tmp_path)
    return tmp_path


def test_commands_are_read_as_they_are_typed(elsewhere: Path) -> None:
    """Continued lines are one command, comments none; an expected exit code and shown lines belong to their command."""
    page = page_of(
        elsewhere,
        "<!-- run: a -->\n```sh\n# why\nb \\\n  c  # exit 3\n```\n\n```console\n$ d\none\n$ e\n```\n"
        "<!-- not run: because of that -->\n```sh\nf\n```\n",
    )
    assert page.steps == (
        Command("page.md:1", "a"),
        Command("page.md:4", "b \\\n  c  # exit 3", 3),
        Command("page.md:9", "d", 0, ("one",)),
        Command("page.md:11", "e", 0, ()),
    )


def test_what_a_page_shows_is_compared_without_what_varies() -> None:
    """Ids and times may differ; words, numbers and order may not."""
    shown = ["Task t1a2b3c4 dispatched", "…", "--- web-01.example.com [complete] exit=0 42ms"]
    assert agrees(shown, ["Task tzzzzzzz dispatched", "x", "--- web-01.example.com [complete] exit=0 7ms"])
    assert not agrees(shown, ["Task tzzzzzzz dispatched", "--- web-01.example.com [failed] exit=1 7ms"])
    assert not agrees(shown[:1], ["Task tzzzzzzz dispatched", "more"])
    assert plain("as 12.3s as 500ms") == "as TIME as TIME"


def test_a_command_that_does_otherwise_is_found(elsewhere: Path, reader: Reader) -> None:
    """A wrong exit code, wrong output and a shell that ends early are each told with their place."""
    page = page_of(elsewhere, "```sh\nfalse\n```\n```console\n$ echo a\nb\n$ echo c\nc\n$ exit 0\n$ true\n```\n")
    told = [wrong(played) for played in reader.follow(page)]
    assert [bool(text) for text in told] == [True, True, False, True, True]
    assert told[0].startswith("page.md:2: false\n  exited with 1 instead of 0")
