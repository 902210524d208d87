"""One command about to run, as the rules see it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import field

from vigo.core.guard.options import Arity, Options, split
from vigo.core.guard.session import Hit
from vigo.core.guard.words import HOLE, Value, Word
from vigo.core.values import dataclass

PATHS_MAX = 8
_ROOTED = re.compile(r"^/proc/[^/]+/(?:root|cwd)(?=/|$)")
_ALIASES = (("/lib/systemd", "/usr/lib/systemd"), ("/var/run/", "/run/"), ("/etc/rc.d/init.d", "/etc/init.d"))


@dataclass(frozen=True, slots=True)
class Call:
    """A command's name, its arguments and what it runs in."""

    name: str
    head: Word
    args: tuple[Word, ...]
    cwd: Value
    stdin: Value | None = None
    links: dict[str, str] = field(default_factory=dict)
    """Symbolic links made on the way: path -> target."""

    def options(self, short: str = "", long: str = "", *, permutes: bool = True) -> Options:
        """Sort the arguments by the options' arity."""
        return split(self.args, Arity(short, frozenset(long.split()), permutes=permutes))

    def paths(self, word: Word) -> tuple[str, ...]:
        """Resolve a word as a path; one result for each working directory that is possible."""
        found = dict.fromkeys(resolve(word.text, cwd) for cwd in self.cwd[:PATHS_MAX])
        return tuple(self._follow(path) for path in found)

    def _follow(self, path: str) -> str:
        for link, target in self.links.items():
            if path.startswith(link + "/"):
                return resolve(path[len(link) + 1 :], target)
        return path


Rule = Callable[[Call], Iterator[Hit]]


def resolve(text: str, cwd: str) -> str:
    """Make a path absolute and drop `.`, `..` and doubled slashes, without looking at any disk."""
    entry = text == HOLE and cwd.strip("/") != ""
    full = text if text.startswith(("/", HOLE)) and not entry else f"{cwd}/{text}"
    lead = HOLE if full.startswith(HOLE) else ""
    if lead:
        full = full.lstrip(HOLE)
        if not full.startswith("/"):
            return text
    done: list[str] = []
    for part in full.split("/"):
        if part == "..":
            if done:
                done.pop()
        elif part not in {"", "."}:
            done.append(part)
    path = _ROOTED.sub("", "/" + "/".join(done)) or "/"
    for alias, meant in _ALIASES:
        if path.startswith(alias):
            path = meant + path[len(alias) :]
    return lead + path
