"""Reads which hosts an ssh_config names, Include followed; and, if asked, what it comes to for each of them.

Nothing is run: a host for which `Match exec` would have to be asked keeps its settings in ssh_config, which vigo reads
when it connects.
"""

from __future__ import annotations

import glob
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from vigo.adapters.import_files import read_text
from vigo.adapters.ssh_config import ConfigFile, SshConfig, Values
from vigo.adapters.ssh_config_keywords import FOLLOWED
from vigo.adapters.ssh_config_match import LookUp, Unanswered
from vigo.adapters.ssh_config_tokens import Here, home_folder
from vigo.core.errors import ConfigError
from vigo.core.imports import document
from vigo.core.imports.document import Document, HostNames, Imported, ImportedHost, Notes, weak_keys
from vigo.core.imports.ssh_lines import Line, host_names, read_lines, read_options
from vigo.core.nodes import Mark

_DEPTH_MAX: Final = 16
_FILES_MAX: Final = 1_000
_TOKENED: Final = frozenset({"identityfile", "userknownhostsfile"})


def import_ssh_config(path: str | None, *, all_settings: bool) -> Imported:
    """Return the hosts that a file names, `~/.ssh/config` by default. Raises ConfigError."""
    home = home_folder()
    file = _own(home) if path is None else Path(path)
    notes, names = Notes(), HostNames()
    reader = _Names(home)
    found = {name: mark for name, mark in reader.file(file, 0) if names.add(name, mark)}
    if reader.patterns:
        notes.remark(f"note: patterns of Host lines are no names ({reader.patterns}); ssh_config itself applies them")
    if not all_settings and path is not None:
        notes.remark(f"note: the settings stay in {path}; run vigo with --ssh-config {path}, or add --all-settings")
    if not all_settings:
        return Imported(Document(tuple(map(ImportedHost, found))), tuple(notes.lines()))
    config = SshConfig.read((ConfigFile(file),), home)
    here = Here.of_process()
    hosts = tuple(ImportedHost(name, (), _settings(name, mark, config, here, notes)) for name, mark in found.items())
    return Imported(Document(hosts), (*notes.lines(), *weak_keys(hosts)))


def _own(home: Path | None) -> Path:
    if home is None:
        raise ConfigError("ssh-config: there is no home folder; name the file")
    return home / ".ssh/config"


class _Names:
    """Walks through files and collects the names of Host lines."""

    def __init__(self, home: Path | None) -> None:
        self._home = home
        self._files = 0
        self.patterns = 0
        """Words of Host lines that are patterns."""

    def file(self, path: Path, depth: int) -> Iterator[tuple[str, Mark]]:
        """Yield each name with its place. Raises ConfigError for a file that cannot be read, or too many."""
        self._files += 1
        if self._files > _FILES_MAX or depth > _DEPTH_MAX:
            raise ConfigError(f"{path}: is included too deeply, or is one file too many; does a file include itself?")
        for line in read_lines(read_text(path), str(path)):
            if line.keyword == "host":
                own = list(host_names(line))
                self.patterns += len(line.words) - len(own)
                yield from ((name, line.mark) for name in own)
            elif line.keyword == "include":
                for inner in self._included(line):
                    yield from self.file(inner, depth + 1)

    def _included(self, line: Line) -> Iterator[Path]:
        for word in line.words:
            try:
                whole = Path(word).expanduser()
            except RuntimeError as error:
                raise ConfigError(f"{line.mark}: Include: there is no such home; write the whole path") from error
            pattern = whole if self._home is None else self._home / ".ssh" / whole
            yield from map(Path, sorted(glob.glob(str(pattern))))  # noqa: PTH207 - Path.glob takes no absolute pattern


def _settings(name: str, mark: Mark, config: SshConfig, here: Here, notes: Notes) -> document.Values:
    """Return what the file comes to for one host."""
    look_up = LookUp(here, name, here.login, {}, {})
    try:
        address = look_up.through(config)
    except Unanswered as question:
        notes.leave_out(f"{name}: settings", f"Match exec at {question.place} is not run", mark)
        return {}
    lines = _lines(look_up.values, mark, notes)
    if "hostname" in look_up.values and address != name:
        lines["hostname"] = Line("hostname", (address,), address, mark)
    return read_options(lines, mark, notes)


def _lines(values: Values, mark: Mark, notes: Notes) -> dict[str, Line]:
    """Return values that were looked up as lines that say them."""
    lines: dict[str, Line] = {}
    for keyword, found in values.items():
        if keyword == "hostname":
            continue
        value = found[0].value
        text = _text(keyword, value)
        named = FOLLOWED[keyword][0]
        if len(found) > 1 or (isinstance(value, tuple) and len(value) > 1):
            notes.leave_out(named, "has several values, and vigo's inventory holds the first alone", mark)
        if keyword in _TOKENED and "%" in text:
            notes.leave_out(named, "has % tokens, which ssh_config alone can have", mark)
        else:
            lines[keyword] = Line(keyword, (text,), text, mark)
    return lines


def _text(keyword: str, value: object) -> str:
    """Return a looked-up value as ssh_config writes it."""
    match value:
        case bool():
            return "yes" if value else "no"
        case tuple():
            return str(value[0]) if value else "none"
        case "strict" | "off" if keyword == "stricthostkeychecking":
            return {"strict": "yes", "off": "no"}[value]
        case _:
            return str(value)
