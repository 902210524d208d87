"""The lines of an ssh_config, as far as imports need them: keywords, their words, and which hosts are named.

What the settings of an ssh_config come to for one host is not decided here; vigo asks the file itself when it connects.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from vigo.core.imports.document import Document, HostNames, Imported, ImportedHost, Notes, Value, Values, weak_keys
from vigo.core.imports.settings import (
    ELSEWHERE,
    add_way,
    read_address,
    read_host_keys,
    read_jump,
    read_port,
    read_proxy,
    read_user,
    read_word,
)
from vigo.core.nodes import Mark, wrong
from vigo.core.values import dataclass

_KEYWORD: Final = re.compile(r"\s*(\w+)(?:\s*=\s*|\s+|\Z)(.*)", re.ASCII | re.DOTALL)
_WORD: Final = re.compile(r'"([^"]*)"|([^\s"]+)')
_PATTERN: Final = frozenset("*?!")
_WAYS: Final = {"proxyjump": read_jump, "proxycommand": read_proxy}
_NO_USE: Final = frozenset({"loglevel", "passwordauthentication", "identitiesonly", "compression"})


@dataclass(frozen=True, slots=True)
class Line:
    """One setting, with its keyword in lower case."""

    keyword: str
    words: tuple[str, ...]
    rest: str
    """All that follows the keyword, as it stands; one pair of quotes around it is taken off."""
    mark: Mark


def read_lines(text: str, source: str) -> Iterator[Line]:
    """Yield each line that says something."""
    for number, whole in enumerate(text.split("\n"), start=1):
        found = _KEYWORD.fullmatch(whole.rstrip())
        if found is None or whole.lstrip().startswith("#"):
            continue
        rest = found[2].strip()
        words = tuple(quoted or plain for quoted, plain in _WORD.findall(rest))
        bare = words[0] if len(words) == 1 else rest
        yield Line(found[1].lower(), words, bare, Mark(source, number, len(whole) - len(whole.lstrip()) + 1))


def host_names(line: Line) -> Iterator[str]:
    """Yield the names on a Host line that are names and no patterns."""
    return (word for word in line.words if _PATTERN.isdisjoint(word))


def read_vagrant(text: str, source: str) -> Imported:
    """Return the machines that `vagrant ssh-config` printed. Raises ConfigError for a name or a value vigo refuses."""
    notes, names = Notes(), HostNames()
    blocks: list[tuple[str, Mark, dict[str, Line]]] = []
    for line in read_lines(text, source):
        if line.keyword == "host":
            blocks.append((_only(line, names), line.mark, {}))
        elif not blocks:
            notes.leave_out(line.keyword, "stands before the first Host", line.mark)
        elif line.keyword in blocks[-1][2]:
            notes.leave_out(line.keyword, "is said twice, and the first one counts", line.mark)
        else:
            blocks[-1][2][line.keyword] = line
    if not blocks:
        raise wrong(Mark(source, 1, 1), "Host", "is nowhere", "give what `vagrant ssh-config` prints")
    hosts = tuple(ImportedHost(name, (), read_options(lines, mark, notes)) for name, mark, lines in blocks)
    return Imported(Document(hosts), (*notes.lines(), *weak_keys(hosts)))


def read_options(lines: Mapping[str, Line], mark: Mark, notes: Notes) -> Values:
    """Return the settings that one host's options stand for; `mark` is the host's own place.

    Raises ConfigError for a value that is none of its setting.
    """
    values: dict[str, Value] = {}
    for keyword, line in lines.items():
        if keyword in _WAYS:
            add_way(values, _WAYS[keyword](line.rest, keyword, line.mark))
        else:
            values.update(_option(keyword, line, notes))
    said = {keyword: line.rest for keyword, line in lines.items()}
    values.update(read_host_keys(said.get("stricthostkeychecking"), said.get("userknownhostsfile"), mark))
    return values


def _option(keyword: str, line: Line, notes: Notes) -> Mapping[str, Value]:
    text, mark = line.rest, line.mark
    match keyword:
        case "hostname":
            return {"address": read_address(text, mark)}
        case "user":
            return {"ssh.user": read_user(text, "User", mark)}
        case "port":
            return {"ssh.port": read_port(text, "Port", mark)}
        case "identityfile":
            return {"ssh.identity": read_word(text, "IdentityFile", mark)}
        case "stricthostkeychecking" | "userknownhostsfile":
            return {}
        case "forwardagent":
            notes.leave_out(keyword, "the agent is forwarded only where you write forward_agent: true yourself", mark)
        case _ if keyword in _NO_USE:
            notes.leave_out(keyword, "vigo has no use for it", mark)
        case _:
            notes.leave_out(keyword, ELSEWHERE, mark)
    return {}


def _only(line: Line, names: HostNames) -> str:
    """Return the one name of a machine. Raises ConfigError for another number, and for a name that is taken."""
    if len(line.words) != 1:
        raise wrong(line.mark, "Host", f"has {len(line.words)} names, must have one", "give what Vagrant printed")
    names.take(line.words[0], line.mark)
    return line.words[0]
