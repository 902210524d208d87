"""Reads an Ansible inventory: a file or a folder of files, with `group_vars/` and `host_vars/` beside it.

Nothing is run: a program, and the configuration of an inventory plugin, is what `ansible-inventory --list` is for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Final

from vigo.adapters import import_yaml
from vigo.adapters.import_files import STDIN, STDIN_NAME, read_json, read_stdin, read_text, unreadable
from vigo.core.errors import ConfigError
from vigo.core.imports.ansible import convert
from vigo.core.imports.ansible_ini import looks_like_yaml, read_ini
from vigo.core.imports.ansible_maps import is_list_output, read_groups, read_list, read_variables
from vigo.core.imports.ansible_source import Fleet, Group, Machine, Variable
from vigo.core.imports.document import Imported, Notes, path_mark
from vigo.core.values import dataclass

_YAML: Final = (".yaml", ".yml")
_VARIABLES: Final = ("", ".yml", ".yaml", ".json")
"""What may end the name of a file of variables, in the order in which Ansible looks; the first one counts."""
_PASSED_OVER: Final = (".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst", ".orig", ".cfg", ".retry")
_FOLDERS: Final = ("group_vars", "host_vars")
_BY_LIST: Final = "run `ansible-inventory -i {} --list` and import what it prints"


def import_ansible(path: str) -> Imported:
    """Return what an inventory of Ansible's says; `-` reads standard input. Raises ConfigError."""
    reading = _Reading()
    if path == STDIN:
        reading.text(read_stdin(), STDIN_NAME, "")
        return convert(reading.fleet, reading.notes)
    place = Path(path)
    folder = place if place.is_dir() else place.parent
    for file in _files(place, reading.notes):
        reading.file(file, is_alone=file == place)
    if not reading.files:
        raise ConfigError(f"{path}: holds no file that is an inventory; name one")
    reading.variables(folder)
    return convert(reading.fleet, reading.notes)


def _files(place: Path, notes: Notes) -> Iterator[Path]:
    """Yield the files of an inventory in Ansible's order."""
    if not place.is_dir():
        yield place
        return
    for file in _listed(place):
        if file.name.startswith(".") or file.name.endswith(_PASSED_OVER) or file.name in _FOLDERS:
            continue
        if file.is_dir():
            notes.leave_out(file.name, "is a folder in a folder; import it by itself", path_mark(str(file)))
        else:
            yield file


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise unreadable(folder, error) from error


@dataclass(slots=True)
class _Reading:
    """Fills a fleet from files."""

    fleet: Fleet = field(default_factory=Fleet)
    notes: Notes = field(default_factory=Notes)
    files: int = 0

    def file(self, path: Path, *, is_alone: bool) -> None:
        """Read one inventory file; one of several that is none is left out, a single one is an error."""
        text = read_text(path)
        refused = _refusal(path, text)
        if refused and not is_alone:
            self.notes.leave_out(path.name, refused, path_mark(str(path)))
            return
        if refused:
            raise ConfigError(f"{path}: {refused}")
        self.text(text, str(path), path.suffix)

    def text(self, text: str, source: str, suffix: str) -> None:
        """Read one inventory in whichever form it is."""
        self.files += 1
        if text.lstrip().startswith("{"):
            document = read_json(text, source)
            if is_list_output(document):
                read_list(document, source, self.fleet)
                return
        if suffix in (*_YAML, ".json") or (not suffix and looks_like_yaml(text.splitlines())):
            read_groups(import_yaml.parse(text, source), self.fleet, self.notes)
        else:
            read_ini(text, source, self.fleet)

    def variables(self, folder: Path) -> None:
        """Read `group_vars/` and `host_vars/`."""
        groups: Mapping[str, Group | Machine] = self.fleet.groups
        for name, known in (("group_vars", groups), ("host_vars", self.fleet.hosts)):
            entries = _entries(folder / name)
            for owner, item in known.items():
                for path in _found(entries, owner, self.notes):
                    item.filed.update(self._read(path))
            for path in (path for paths in entries.values() for path in paths):
                noun = "group" if name == "group_vars" else "host"
                self.notes.leave_out(path.name, f"speaks of no {noun} of the inventory", path_mark(str(path)))

    def _read(self, path: Path) -> dict[str, Variable]:
        """Return the variables of a file, or of the files of a folder, later ones winning."""
        if path.is_dir():
            return {name: variable for inner in self._inside(path) for name, variable in self._read(inner).items()}
        text = read_text(path)
        if import_yaml.is_encrypted(text):
            self.notes.leave_out(path.name, "is encrypted with ansible-vault as a whole", path_mark(str(path)))
            return {}
        return read_variables(import_yaml.parse(text, str(path)))

    def _inside(self, folder: Path) -> Iterator[Path]:
        """Yield what Ansible reads of a folder of variables."""
        for path in _listed(folder):
            if path.name.startswith(".") or path.name.endswith("~"):
                continue
            if not path.suffix or (path.suffix in _VARIABLES and not path.is_dir()):
                yield path
            else:
                self.notes.leave_out(path.name, "has a name that Ansible does not read", path_mark(str(path)))


def _entries(folder: Path) -> dict[str, list[Path]]:
    """Return what stands in a folder of variables, by the name of its owner."""
    found: dict[str, list[Path]] = {}
    for path in _listed(folder) if folder.is_dir() else ():
        if path.name.startswith(".") or path.name.endswith("~"):
            continue
        owner = path.name.removesuffix(path.suffix) if path.suffix in _VARIABLES else path.name
        found.setdefault(owner, []).append(path)
    return found


def _found(entries: dict[str, list[Path]], owner: str, notes: Notes) -> list[Path]:
    """Take the entry of a group or host out of `entries`: of several, the one that Ansible would read."""
    paths = entries.pop(owner, [])
    paths.sort(key=lambda path: _VARIABLES.index(path.name.removeprefix(owner)))
    for path in paths[1:]:
        notes.leave_out(path.name, f"Ansible reads {paths[0].name} and nothing else of this name", path_mark(str(path)))
    return paths[:1]


def _refusal(path: Path, text: str) -> str:
    """Return why a file is not read; empty when it is."""
    if text.startswith("#!"):
        return f"is a program, which is not run; {_BY_LIST.format(path)}"
    if import_yaml.is_encrypted(text):
        return f"is encrypted with ansible-vault; {_BY_LIST.format(path)}"
    if path.suffix == ".toml":
        return f"is TOML; {_BY_LIST.format(path)}"
    if path.suffix in _YAML and _is_plugin(text):
        return f"is the configuration of an inventory plugin; {_BY_LIST.format(path)}"
    return ""


def _is_plugin(text: str) -> bool:
    return any(line.startswith("plugin:") for line in text.splitlines())
