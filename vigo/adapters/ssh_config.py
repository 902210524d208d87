"""ssh_config files, read once a run into sections with the place of every line; Include is followed here.

Which sections speak of a host is asked of `ssh_config_match`. Files are read whole and strictly: a line that ssh would
not take is an error with file and line, in a section for another host too. No host name is looked up, nothing is run.
"""

from __future__ import annotations

import glob
import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from vigo.adapters.ssh_config_keywords import (
    ALIASES,
    FOLLOWED,
    PASSED_OVER,
    STRUCTURE,
    Value,
    did_you_mean,
    read_value,
)
from vigo.adapters.ssh_config_words import (
    BadLine,
    Matcher,
    any_of,
    arguments,
    keyword_of,
    next_word,
    pattern_list,
)
from vigo.core.errors import ConfigError
from vigo.core.model import Hop
from vigo.core.values import dataclass

FORWARDED_SOCKET: Final = "forwardagent path"
"""Where a path after ForwardAgent is kept: ssh has it beside yes and no, which decide."""
_DEPTH_MAX: Final = 16
_FILES_MAX: Final = 1_000
_BYTES_MAX: Final = 4 * 1024 * 1024
_VARIABLE: Final = re.compile(r"\$\{([^}]*)\}")
_ALONE: Final = ("all", "canonical", "final")


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """One file to begin with."""

    path: Path
    is_system: bool = False
    """Whether a relative Include is meant below /etc/ssh and not below ~/.ssh."""
    is_checked: bool = False
    """Whether it must be writable by its owner alone, as ssh wants of ~/.ssh/config."""


@dataclass(frozen=True, slots=True)
class Found:
    """One value and where it was said."""

    value: Value | tuple[Hop, ...]
    origin: str
    """A flag, `inventory`, `file:line` or `default`."""


Values: TypeAlias = dict[str, tuple[Found, ...]]
"""Keyword in lower case -> its value; several for the keywords of which every line counts."""


@dataclass(frozen=True, slots=True)
class ValueLine:
    """`Keyword value`."""

    keyword: str
    found: tuple[Found]
    """One object for all hosts it speaks of, by which equal settings are known as such."""


@dataclass(frozen=True, slots=True)
class UnknownLine:
    """A keyword that nobody knows: an error unless IgnoreUnknown speaks of it."""

    place: str
    keyword: str


@dataclass(frozen=True, slots=True)
class IncludeLine:
    """The sections of other files, read in this place."""

    files: tuple[tuple[Section, ...], ...]


@dataclass(frozen=True, slots=True)
class Criterion:
    """One criterion of a Match line."""

    name: str
    is_negated: bool
    matches: Matcher | None = None
    """For those that compare a name."""
    command: str = ""
    """For `exec`."""


@dataclass(frozen=True, slots=True)
class HostCondition:
    """`Host pattern…`."""

    matches: Matcher


@dataclass(frozen=True, slots=True)
class MatchCondition:
    """`Match criterion…`; all must hold, none at all (`Match all`) always does."""

    place: str
    criteria: tuple[Criterion, ...]


Line: TypeAlias = ValueLine | UnknownLine | IncludeLine


@dataclass(frozen=True, slots=True)
class Section:
    """What stands below one Host or Match line; without one, what a file says before the first."""

    condition: HostCondition | MatchCondition | None
    lines: tuple[Line, ...]
    has_unknown: bool
    """Whether it has to be looked at for unknown keywords though it speaks of another host."""


@dataclass(frozen=True, slots=True)
class SshConfig:
    """All files of a run, parsed."""

    files: tuple[tuple[Section, ...], ...] = ()
    has_final: bool = False
    """Whether some line says `Match final`, which has everything read a second time."""

    @classmethod
    def read(cls, files: Sequence[ConfigFile], home: Path | None) -> SshConfig:
        """Read the files and what they include; one that is not there says nothing. Raises ConfigError."""
        reader = _Reader(home)
        read = tuple(reader.file(file.path, file.is_system, is_checked=file.is_checked, depth=0) for file in files)
        return cls(read, reader.has_final)


def config_files(option: str | None, home: Path | None) -> tuple[ConfigFile, ...]:
    """Return the files that `--ssh-config` stands for: one, `none`, or as ssh has it, the user's and the machine's.

    Raises ConfigError for a file that is not there.
    """
    if option is None:
        own = () if home is None else (ConfigFile(home / ".ssh/config", is_checked=True),)
        return (*own, ConfigFile(Path("/etc/ssh/ssh_config"), is_system=True))
    if option.lower() == "none":
        return ()
    path = Path(option)
    if not path.exists():
        raise ConfigError(f"--ssh-config {option}: there is no such file; name another, or none")
    return (ConfigFile(path),)


class _Reader:
    """Reads files into sections; remembers how many, and whether one says `Match final`."""

    def __init__(self, home: Path | None) -> None:
        self._home = home
        self._count = 0
        self.has_final = False

    def file(self, path: Path, is_system: bool, *, is_checked: bool, depth: int) -> tuple[Section, ...]:  # noqa: FBT001 - of the file
        shown = self._shown(path)
        text = _text(path, shown, is_checked=is_checked)
        self._count += 1
        if self._count > _FILES_MAX:
            raise ConfigError(f"{shown}: more than {_FILES_MAX:,} files are included; include fewer")
        sections: list[Section] = []
        condition: HostCondition | MatchCondition | None = None
        lines: list[Line] = []
        for number, line in enumerate(text.split("\n"), 1):
            place = f"{shown}:{number}"
            word, rest = keyword_of(line)
            if not word:
                continue
            try:
                if word in ("host", "match"):
                    sections.append(_section(condition, lines))
                    condition, lines = self._condition(word, rest, place), []
                elif word == "include":
                    lines.append(self._include(rest, is_system, depth))
                elif (read := _line(word, rest, place)) is not None:
                    lines.append(read)
            except BadLine as error:
                raise ConfigError(f"{place}: {_name(word)} {error}") from None
        sections.append(_section(condition, lines))
        return tuple(section for section in sections if section.lines)

    def _condition(self, word: str, rest: str, place: str) -> HostCondition | MatchCondition:
        if not rest:
            raise BadLine("has no value; write one")
        words = arguments(rest)
        if word == "host":
            if not words or not all(words):
                raise BadLine("has an empty pattern; write a name, or *")
            return HostCondition(any_of(words))
        condition = MatchCondition(place, tuple(_criteria(rest)))
        self.has_final = self.has_final or any(criterion.name == "final" for criterion in condition.criteria)
        return condition

    def _include(self, rest: str, is_system: bool, depth: int) -> IncludeLine:  # noqa: FBT001 - of the file
        patterns = arguments(rest)
        if not patterns or not all(patterns):
            raise BadLine("has no value; write a path")
        if depth == _DEPTH_MAX:
            raise BadLine(f"is nested more than {_DEPTH_MAX} deep; does a file include itself?")
        paths = [path for pattern in patterns for path in self._paths(pattern, is_system)]
        return IncludeLine(tuple(self.file(path, is_system, is_checked=True, depth=depth + 1) for path in paths))

    def _paths(self, pattern: str, is_system: bool) -> Iterator[Path]:  # noqa: FBT001 - of the file
        if "%" in pattern:
            raise BadLine("with a % token is not supported; write the path")
        pattern = expand_variables(pattern)
        if pattern.startswith("~") and not is_system:
            try:
                pattern = str(Path(pattern).expanduser())
            except RuntimeError:
                raise BadLine(f"{pattern}: there is no such home; write the whole path") from None
        elif not pattern.startswith("/"):
            folder = "/etc/ssh" if is_system else None if self._home is None else str(self._home / ".ssh")
            if folder is None:
                return
            pattern = f"{folder}/{pattern}"
        yield from map(Path, sorted(glob.glob(pattern)))  # noqa: PTH207 - Path.glob takes no absolute pattern

    def _shown(self, path: Path) -> str:
        if self._home is not None and path.is_relative_to(self._home):
            return f"~/{path.relative_to(self._home)}"
        return str(path)


def expand_variables(text: str) -> str:
    """Replace `${NAME}` by the environment's value. Raises BadLine for a variable that is not set, as ssh does."""

    def value(match: re.Match[str]) -> str:
        found = os.environ.get(match[1])
        if found is None:
            raise BadLine(f"names the variable {match[1]}, which is not set; set it or write the value")
        return found

    return _VARIABLE.sub(value, text)


def _text(path: Path, shown: str, *, is_checked: bool) -> str:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if is_checked and (status.st_uid not in (0, os.getuid()) or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)):
                raise ConfigError(f"{shown}: others may write to it; make it yours alone: chmod go-w {shown}")
            data = file.read(_BYTES_MAX + 1)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ConfigError(f"{shown}: cannot be read: {error.strerror}; mend it, or point vigo to another") from error
    if len(data) > _BYTES_MAX:
        raise ConfigError(f"{shown}: more than {_BYTES_MAX // 1024 // 1024} MiB; is this an ssh_config?")
    return data.decode("utf-8", "surrogateescape")


def _section(condition: HostCondition | MatchCondition | None, lines: Sequence[Line]) -> Section:
    return Section(condition, tuple(lines), any(map(_holds_unknown, lines)))


def _holds_unknown(line: Line) -> bool:
    match line:
        case UnknownLine():
            return True
        case IncludeLine(files):
            return any(section.has_unknown for file in files for section in file)
        case _:
            return False


def _line(word: str, rest: str, place: str) -> ValueLine | UnknownLine | None:
    key = ALIASES.get(word, word)
    if not rest:
        raise BadLine("has no value; write one")
    if key in FOLLOWED:
        value = read_value(key, rest)
        if key == "forwardagent" and isinstance(value, str):
            key = FORWARDED_SOCKET
        # A time of `none` is what ssh has where nothing is said: a later line may still say something.
        return None if value is None else ValueLine(key, (Found(value, place),))
    arguments(rest)
    return None if key in PASSED_OVER else UnknownLine(place, word)


def unknown(line: UnknownLine) -> ConfigError:
    """Return the error for a keyword that nobody knows."""
    hint = did_you_mean(line.keyword)
    way_out = f"{hint} Else" if hint else "leave it out, or"
    return ConfigError(
        f"{line.place}: {line.keyword}: unknown keyword; {way_out} put `IgnoreUnknown {line.keyword}` above it"
    )


def _name(word: str) -> str:
    key = ALIASES.get(word, word)
    return FOLLOWED[key][0] if key in FOLLOWED else word.capitalize() if key in STRUCTURE else word


def _criteria(rest: str | None) -> Iterator[Criterion]:
    """Read what follows Match. Raises BadLine."""
    count = 0
    while True:
        word, rest = next_word(rest)
        if not word or word.startswith("#"):
            break
        is_negated, name = word.startswith("!"), word.removeprefix("!").lower()
        if name == "all":
            after, _ = next_word(rest)
            if count > 1 or (after and not after.startswith("#")):
                raise BadLine("cannot combine `all` with other criteria; remove them")
            yield Criterion(name, is_negated)
            return
        count += 1
        if name in _ALONE:
            yield Criterion(name, is_negated)
            continue
        argument, rest = next_word(rest)
        if not argument or argument.startswith("#"):
            raise BadLine(f"has no value for `{name}`; write one")
        yield _criterion(name, argument, is_negated=is_negated)
    if not count:
        raise BadLine("has no criterion; write one, or `Match all`")


def _criterion(name: str, argument: str, *, is_negated: bool) -> Criterion:
    match name:
        case "host" | "originalhost":
            return Criterion(name, is_negated, pattern_list(argument, ignore_case=True))
        case "user" | "localuser" | "tagged":
            return Criterion(name, is_negated, pattern_list(argument))
        case "exec":
            return Criterion(name, is_negated, command=argument)
    known = "all, canonical, exec, final, host, localuser, originalhost, tagged and user"
    raise BadLine(f"by `{name[:40]}` is not supported; vigo knows {known}")
