"""The documentation as it is read: its blocks, the commands in them, and what a page says they print.

A reader types every command of a page, top to bottom, in one shell. So does the test. Beside what the reader sees there are
three comments, each on a line of its own:

    <!-- not run: REASON -->   above a block: its commands cannot be run on this machine
    <!-- file: NAME -->        above a block: it is saved as NAME in the folder where the commands run
    <!-- run: COMMAND -->      anywhere: a command that prepares what the page takes for given

A command exits with 0, or with N where `# exit N` ends it. In a `console` block a command stands after `$ ` and what it
prints below it, a line `…` standing for any number of lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SHELL_LANGUAGES = ("sh", "console")
_MARK = re.compile(r"<!-- (not run|file|run): ?(.*?) ?-->")
_EXIT = re.compile(r"  # exit (\d+)\Z")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block, with the mark right above it."""

    page: Path
    line: int
    """Line of the opening fence, from 1."""
    language: str
    lines: tuple[str, ...]
    mark: str
    """`not run`, `file`, or empty."""
    value: str

    @property
    def place(self) -> str:
        """Where it stands, as an editor understands it."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def is_shell(self) -> bool:
        """Whether a reader will type what is in it."""
        return self.language in SHELL_LANGUAGES


@dataclass(frozen=True, slots=True)
class Save:
    """A block that becomes a file."""

    place: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Command:
    """What the reader types, and what then happens."""

    place: str
    text: str
    code: int = 0
    shown: tuple[str, ...] | None = None
    """The lines it prints, or None where the page does not show them."""


@dataclass(frozen=True, slots=True)
class Page:
    """One Markdown file, read."""

    path: Path
    blocks: tuple[Block, ...]
    steps: tuple[Save | Command, ...]
    marks: int
    """Marks that belong above a block, wherever they stand."""

    @property
    def name(self) -> str:
        """Its path from the repository's root."""
        return str(self.path.relative_to(ROOT))

    @property
    def commands(self) -> tuple[Command, ...]:
        """The steps that are commands."""
        return tuple(step for step in self.steps if isinstance(step, Command))


def markdown() -> list[Path]:
    """Return every Markdown file that is part of the repository and meant for a reader."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def read(path: Path) -> Page:
    """Read one page. Raises ValueError where a fence is not closed."""
    blocks: list[Block] = []
    steps: list[Save | Command] = []
    marks = 0
    lines = enumerate(path.read_text(encoding="utf-8").split("\n"), start=1)
    mark, value = "", ""
    for number, line in lines:
        if line.startswith("```"):
            block = Block(path, number, line[3:].strip(), tuple(_inside(lines, path, number)), mark, value)
            blocks.append(block)
            steps.extend(_steps(block))
        found = _MARK.fullmatch(line)
        mark, value = (found[1], found[2]) if found else ("", "")
        if mark == "run":
            steps.append(Command(f"{path.relative_to(ROOT)}:{number}", value))
        elif mark:
            marks += 1
    return Page(path, tuple(blocks), tuple(steps), marks)


def _inside(lines: Iterator[tuple[int, str]], path: Path, number: int) -> Iterator[str]:
    for _, line in lines:
        if line == "```":
            return
        yield line
    raise ValueError(f"{path}:{number}: this fence is not closed")


def _steps(block: Block) -> Iterator[Save | Command]:
    if block.mark == "not run":
        return
    if block.mark == "file":
        yield Save(block.place, block.value, "\n".join(block.lines) + "\n")
    elif block.language == "sh":
        yield from _typed(block)
    elif block.language == "console":
        yield from _session(block)


def _typed(block: Block) -> Iterator[Command]:
    """Yield the commands of a block that shows nothing else; a line that ends with a backslash goes on."""
    whole: list[str] = []
    for number, line in enumerate(block.lines, start=block.line + 1):
        if not whole and (not line.strip() or line.startswith("#")):
            continue
        whole.append(line)
        if not line.endswith("\\"):
            yield _command(block, number + 1 - len(whole), whole, None)
            whole = []


def _session(block: Block) -> Iterator[Command]:
    """Yield the commands of a block that shows what they print."""
    prompts = [at for at, line in enumerate(block.lines) if line.startswith("$ ")]
    for at, end in zip(prompts, [*prompts[1:], len(block.lines)], strict=True):
        typed = [block.lines[at][2:]]
        while typed[-1].endswith("\\"):
            typed.append(block.lines[at + len(typed)])
        yield _command(block, block.line + 1 + at, typed, block.lines[at + len(typed) : end])


def _command(block: Block, number: int, typed: Sequence[str], shown: Sequence[str] | None) -> Command:
    text = "\n".join(typed)
    code = _EXIT.search(text)
    return Command(
        f"{block.page.relative_to(ROOT)}:{number}",
        text,
        int(code[1]) if code else 0,
        None if shown is None else tuple(shown),
    )


_VARYING = (
    (re.compile(r"\bt[0-9a-z]{7}\b"), "tIDENTIF"),
    (re.compile(r"\b\d+ms\b|\b\d+\.\d ?s\b"), "TIME"),
    (re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?\b"), "DATE"),
    (re.compile(r"\b127\.0\.0\.1:\d+"), "127.0.0.1:PORT"),
    (re.compile(r"\S+/lab/inventory\b"), "LAB"),
    (re.compile(r".*\bload average: .*"), "UPTIME"),
    (re.compile(r"(?<=machine, as )\w+|(?<=^Operator: )\w+"), "USER"),
    (re.compile(r"\s+"), " "),
)


def plain(line: str) -> str:
    """Return a line without what differs from run to run: ids, times, durations, ports, users, the width of columns."""
    for varying, name in _VARYING:
        line = varying.sub(name, line)
    return line.strip()


def agrees(shown: Sequence[str], printed: Sequence[str]) -> bool:
    """Say whether a command printed what the page shows; a line `…` in `shown` is any number of lines."""
    pattern = "".join(r"(?:.*\n)*?" if line == "…" else re.escape(plain(line)) + "\n" for line in shown)
    return re.fullmatch(pattern, "".join(f"{plain(line)}\n" for line in printed)) is not None
