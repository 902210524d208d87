"""What `find` reaches: its starting points, its filters, and what it does to what passes them."""

from __future__ import annotations

import re
from dataclasses import field

from vigo.core.guard.call import Call
from vigo.core.guard.protected import FILES, ROOTS, Reach, aim, system_directory
from vigo.core.guard.words import HOLE, STAR, Word, globbed, pattern
from vigo.core.values import dataclass

_EXECS = frozenset({"-exec", "-execdir", "-ok", "-okdir"})
_NAMED = frozenset({"-name", "-iname", "-path", "-wholename", "-ipath", "-regex", "-iregex"})
_VALUED = frozenset(
    [
        "-mtime",
        "-mmin",
        "-atime",
        "-amin",
        "-ctime",
        "-cmin",
        "-newer",
        "-anewer",
        "-cnewer",
        "-size",
        "-user",
        "-group",
        "-uid",
        "-gid",
        "-perm",
        "-type",
        "-xtype",
        "-links",
        "-inum",
        "-maxdepth",
        "-mindepth",
        "-samefile",
        "-fstype",
        "-printf",
        "-used",
        "-newermt",
        "-lname",
        "-D",
    ]
)


@dataclass(slots=True)
class Search:
    """A `find` command line, read."""

    roots: list[Word] = field(default_factory=list)
    deletes: Word | None = None
    runs: list[tuple[Word, ...]] = field(default_factory=list)
    prints: list[Word] = field(default_factory=list)
    names: list[tuple[str, str, bool]] = field(default_factory=list)
    """Filters by name: (test, pattern, negated)."""
    types: str = ""
    maxdepth: int = 99
    mindepth: int = 0


def read(call: Call) -> Search:
    """Read `find`'s words."""
    search = Search()
    words = list(call.args)
    at = 0
    while at < len(words) and words[at].text in {"-H", "-L", "-P"}:
        at += 1
    while at < len(words) and not re.match(r"-.|[(!]$", words[at].text):
        search.roots.append(words[at])
        at += 1
    search.roots = search.roots or [Word(".", call.head.span)]
    negated = False
    while at < len(words):
        text = words[at].text
        at += 1
        follow = words[at].text if at < len(words) else ""
        if text in {"!", "-not"}:
            negated = True
            continue
        if text in _EXECS:
            at = _run(words, at, search)
        elif text == "-delete":
            search.deletes = words[at - 1]
        elif text in _NAMED:
            pruned = any(word.text == "-prune" for word in words[at : at + 3])
            search.names.append((text, follow, negated or pruned))
            at += 1
        elif text in {"-fprint", "-fls", "-fprint0", "-fprintf"} and at < len(words):
            search.prints.append(words[at])
            at += 1 + (text == "-fprintf")
        elif text in _VALUED:
            _valued(search, text, follow)
            at += 1
        negated = False
    return search


def _run(words: list[Word], at: int, search: Search) -> int:
    start = at
    while at < len(words) and words[at].text not in {";", "+"}:
        at += 1
    search.runs.append(tuple(words[start:at]))
    return at + 1


def _valued(search: Search, text: str, follow: str) -> None:
    if text == "-type":
        search.types += follow
    elif text == "-maxdepth" and follow.isdigit():
        search.maxdepth = int(follow[:3])
    elif text == "-mindepth" and follow.isdigit():
        search.mindepth = int(follow[:3])


def reached(call: Call, search: Search) -> list[Word]:
    """Name the protected paths that a search passes on: never more than a filter by name lets through."""
    found: dict[str, Word] = {}
    for root in search.roots:
        for path in call.paths(root):
            for result in _under(path, search):
                found.setdefault(result, Word(result, root.span))
    return list(found.values())


def _under(path: str, search: Search) -> list[str]:
    near = aim(path)
    if near is None:
        return [path] if system_directory(path) and not search.names and not search.types else []
    positive = [name for name in search.names if not name[2]]
    if not near.certain:
        return [path] if not positive else []
    if near.reach is not Reach.PARENT:
        whole = not search.names and search.mindepth == 0 and search.types in {"", "d"}
        return [path if whole else f"{path.rstrip('/')}/{STAR}"]
    lead = path.rstrip("/")
    depth = len([part for part in path.split("/") if part])
    if not search.names and search.mindepth == 0 and search.maxdepth > len(ROOTS) and not search.types:
        return [path]
    compiled = pattern(lead)
    results = []
    for root in ROOTS:
        steps = root.count("/") - depth
        if not compiled.match(root) or steps < 1 or not search.mindepth <= steps <= search.maxdepth:
            continue
        if _passes(root, search, named=bool(positive)):
            results.append(root)
    return results


def _passes(root: str, search: Search, *, named: bool) -> bool:
    """Tell whether a protected path passes the filters."""
    directory = root not in FILES
    for test, text, negated in search.names:
        if _matches(test, text, root) == negated:
            return False
    if "f" in search.types and "d" not in search.types and directory:
        return not named or any(test in {"-path", "-wholename", "-regex"} for test, _, _ in search.names)
    return not (search.types and set(search.types) <= {"l", "s", "p", "b", "c"}) and not (
        search.types == "d" and not directory
    )


def _matches(test: str, text: str, root: str) -> bool:
    fold = test.startswith("-i")
    kind = test.replace("-i", "-")
    if HOLE in text and not text.replace(HOLE, "").strip("*"):
        return False
    wanted = globbed(text.lower() if fold else text)
    if kind == "-name":
        return pattern(wanted).fullmatch(root.rsplit("/", 1)[-1]) is not None
    if kind == "-regex":
        return "vigo" in text
    expression = pattern(wanted.replace(STAR, HOLE), anything=".*")
    return any(expression.fullmatch(candidate) for candidate in (root, f"{root}/x", f"{root}/x/x"))


def commands(search: Search, results: list[Word]) -> list[tuple[Word, ...]]:
    """Build the commands that a search runs, with what it passes on in place of `{}`."""
    built: list[tuple[Word, ...]] = []
    for run in search.runs:
        passed = results or [Word(HOLE, run[0].span if run else (0, 0))]
        built.extend(
            tuple(Word(w.text.replace("{}", result.text), _where(w, result)) for w in run) for result in passed
        )
    return built


def _where(word: Word, result: Word) -> tuple[int, int]:
    return result.span if word.text == "{}" else word.span
