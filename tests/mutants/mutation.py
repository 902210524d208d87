"""A mutant: a small unified diff against the package, with a first line that says what it breaks.

The form is that of `patch -p1`. Places are found by the text alone, not by line numbers, so that a patch stays good
while other lines of the file move, and is stale as soon as its own lines change.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FILE = re.compile(r"^--- a/(\S+)\n\+\+\+ b/\1\n", re.MULTILINE)
_HUNK = re.compile(r"^@@ .*@@.*\n", re.MULTILINE)


class StaleError(AssertionError):
    """The package no longer holds what a patch would change."""


@dataclass(frozen=True)
class Mutant:
    """What is broken, the tests that must see it, and the patch."""

    name: str
    breaks: str
    caught_by: str
    """A test file, and after `::` the part of a test's name that is selected."""
    patch: str

    @classmethod
    def read(cls, path: Path) -> Mutant:
        """Read a patch; its preamble is `Breaks: …` and `Caught by: …`."""
        text = path.read_text(encoding="utf-8")
        told = dict(re.findall(r"^(Breaks|Caught by): (.+)$", text, re.MULTILINE))
        return cls(path.stem, told["Breaks"], told["Caught by"], text)

    def apply(self, root: Path) -> None:
        """Change the package below `root`. Raises StaleError."""
        _, *parts = _FILE.split(self.patch)
        for name, body in zip(parts[::2], parts[1::2], strict=True):
            target = root / name
            text = target.read_text(encoding="utf-8")
            for old, new in _changes(body):
                if text.count(old) != 1:
                    raise StaleError(
                        f"tests/mutants/{self.name}.patch is stale: {name} holds its lines {text.count(old)} times, not once;"
                        f" write the patch anew\n{old}"
                    )
                text = text.replace(old, new)
            target.write_text(text, encoding="utf-8")


def _changes(body: str) -> Iterator[tuple[str, str]]:
    """Yield each hunk as the text before and the text after."""
    for hunk in _HUNK.split(body)[1:]:
        lines = hunk.splitlines(keepends=True)
        yield (
            "".join(line[1:] for line in lines if line[0] in " -"),
            "".join(line[1:] for line in lines if line[0] in " +"),
        )
