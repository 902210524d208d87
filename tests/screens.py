"""Screens as text files: what a terminal shows, without what differs from run to run, beside what it showed before.

A file has one screen in the forms in which it is looked at (`80`, `140 NO_COLOR`, `piped`); forms that look alike share a
section. With UPDATE_SCREENS=1 the files are written instead of compared.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable
from pathlib import Path

FOLDER = Path(__file__).parent / "cli" / "screens"
_HEAD = "=== "
_SEPARATOR = " · "
_CHANGES: tuple[tuple[str, str], ...] = (
    (r"\bt[0-9a-z]{7}\b", "t1a2b3c4"),
    (r"\b\d{4}-\d\d-\d\d \d\d:\d\d\b", "2026-03-13 12:30"),
    (r"(?<!timeout )\b(\d+m )?\d+(ms|\.\ds|s)\b", "0s"),
    (r"\b127\.0\.0\.1:\d{5}\b", "127.0.0.1:60000"),
)
_FOLDER = re.compile(r"/tmp/app-([a-z0-9_]{1,8})")
"""A folder of the test, whole or as much of its name as was not cut."""


def settled(lines: Iterable[str]) -> str:
    """Return lines without times, ids and ports; blanks at line ends and empty lines at the end are nothing to see."""
    text = "".join(f"{line.rstrip()}\n" for line in lines)
    for pattern, word in _CHANGES:
        text = re.sub(pattern, word, text)
    text = _FOLDER.sub(lambda found: "/tmp/app-" + "12345678"[: len(found[1])], text)
    return f"{text.rstrip()}\n" if text.strip() else ""


class Screens:
    """Compares screens with their files, and keeps what differs until somebody asks."""

    def __init__(self) -> None:
        self._differences: list[str] = []

    def look(self, name: str, form: str, lines: Iterable[str]) -> None:
        """Take in what a screen shows in one form."""
        path = FOLDER / f"{name}.txt"
        text = settled(lines)
        known = _read(path)
        if os.environ.get("UPDATE_SCREENS"):
            path.write_text(_written(known | {form: text}), "utf-8")
            return
        before = known.get(form, "")
        if text != before:
            change = difflib.unified_diff(
                before.splitlines(), text.splitlines(), f"{path.name}: {form}", "on the terminal", lineterm=""
            )
            self._differences.append("\n".join(change))

    @property
    def differences(self) -> str:
        """What differed, as differences of text; empty when nothing did."""
        return "\n".join(self._differences)


def _read(path: Path) -> dict[str, str]:
    """Return the screen in each of its forms."""
    forms: dict[str, str] = {}
    names: list[str] = []
    for line in path.read_text("utf-8").splitlines(keepends=True) if path.exists() else ():
        if line.startswith(_HEAD):
            names = line.removeprefix(_HEAD).rstrip("\n").split(_SEPARATOR)
            forms |= dict.fromkeys(names, "")
        else:
            forms |= {name: forms[name] + line for name in names}
    return forms


def _written(forms: dict[str, str]) -> str:
    """Return the file's text: forms that look alike in one section."""
    alike: dict[str, list[str]] = {}
    for form in sorted(forms):
        alike.setdefault(forms[form], []).append(form)
    return "".join(f"{_HEAD}{_SEPARATOR.join(names)}\n{text}" for text, names in alike.items())
