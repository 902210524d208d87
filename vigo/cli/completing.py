"""What could stand where the cursor is: asked by a shell at each press of a key, so nothing heavy is loaded for it.

Commands and flags come from a table that is made from the program, names from an index in the cache folder.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence

from vigo.adapters.name_index import Names, identity, store, stored
from vigo.adapters.places import cache_folder
from vigo.cli.completion_table import TABLE
from vigo.core.errors import VigoError

SHOWN_MAX = 1_000
_RUNS_MAX = 20
_OUTCOMES = ("complete", "failed", "timeout", "unreachable", "rejected", "lost", "cancelled", "skipped")
_TERM = re.compile(r"(?:.*[,&|!() ])?", re.DOTALL)
"""What stands before the last term of a target."""
_FLAG_KINDS = {
    "--target": "target", "--exclude": "target", "--host": "host", "--only": "outcome", "--batch-by": "trait",
    "--spread": "trait",
}  # fmt: skip
_WORD_KINDS = {
    "task run": "task", "task status": "run", "task resume": "run", "task rerun": "run", "task rollback": "run",
    "task cancel": "run", "task report": "run", "inventory show": "host", "traits show": "host", "doctor": "host",
    "query": "trait", "keys show": "host", "keys scan": "host", "keys forget": "host",
}  # fmt: skip


def complete(args: Sequence[str]) -> int:
    """Print the candidates for the last word, one a line. Whatever goes wrong, there are none.

    `args` is the shell's name, then for bash the text that it is going to replace and the line up to the cursor, for
    others the words.
    """
    shell, *rest = args or [""]
    words = list(rest)
    replaced = words[-1] if words else ""
    if shell == "bash":
        replaced, line = (*rest, "", "")[:2]
        words = split(line)[1:]
    try:
        found = list(candidates(words or [""]))[:SHOWN_MAX]
    except VigoError:
        found = []
    cut = _cut(words[-1] if words else "", replaced)
    sys.stdout.write("".join(f"{word[cut:]}\n" for word in found if "\n" not in word))
    return 0


def candidates(words: Sequence[str]) -> Iterator[str]:
    """Yield what the last of the words could become; the words are those behind `vigo`."""
    *before, current = words
    path, awaited, inventory = "", "", None
    for word in before:
        flags, children = TABLE[path]
        if awaited:
            inventory = word if awaited in ("-i", "--inventory") else inventory
            awaited = ""
        elif word.startswith("-"):
            awaited = word if flags.get(word) is not None else ""
        elif word in children:
            path = f"{path} {word}".strip()
    flags, children = TABLE[path]
    flag, equals, value = current.partition("=")
    if awaited:
        yield from _values(awaited, flags.get(awaited) or "", current, inventory)
    elif current.startswith("--") and equals and flags.get(flag) is not None:
        yield from (f"{flag}={found}" for found in _values(flag, flags[flag] or "", value, inventory))
    elif current.startswith("-"):
        yield from _beginning(current, flags)
    elif children:
        yield from _beginning(current, children)
    else:
        yield from _of_kind(_WORD_KINDS.get(path, ""), current, inventory)


def split(line: str) -> list[str]:
    """Split a command line up to the cursor into words, the last of them perhaps empty; an open quote ends with the line."""
    words, word, quote, is_open = [], "", "", False
    signs = iter(line)
    for sign in signs:
        if quote:
            quote, word = ("", word) if sign == quote else (quote, word + sign)
        elif sign in "'\"":
            quote, is_open = sign, True
        elif sign == "\\":
            word, is_open = word + next(signs, ""), True
        elif sign.isspace():
            words.extend([word] if word or is_open else [])
            word, is_open = "", False
        else:
            word += sign
    return [*words, word]


def _cut(word: str, replaced: str) -> int:
    """Return how much of the word stands before what bash is going to replace: after a sign it breaks at, or a quote."""
    return len(word) - len(replaced) if word.endswith(replaced) else 0


def _values(flag: str, kind: str, current: str, inventory: str | None) -> Iterator[str]:
    if kind:
        return _beginning(current, kind.split("|"))
    return _of_kind(_FLAG_KINDS.get(flag, ""), current, inventory)


def _of_kind(kind: str, current: str, inventory: str | None) -> Iterator[str]:
    match kind:
        case "outcome":
            head = current[: current.rfind(",") + 1]
            return (f"{head}{word}" for word in _beginning(current[len(head) :], _OUTCOMES))
        case "run":
            return _beginning(current, _runs())
        case "host":
            return _beginning(current, _names(inventory).hosts)
        case "task":
            return _beginning(current, _names(inventory).tasks)
        case "trait":
            return _beginning(current, _names(inventory).traits)
        case "target":
            return _terms(current, _names(inventory))
        case _:
            return iter(())


def _terms(current: str, names: Names) -> Iterator[str]:
    """Yield targets whose last term begins as the current one does."""
    found = _TERM.match(current)
    head = found[0] if found else ""
    term = current[len(head) :]
    path, equals, _ = term.partition("=")
    if equals and path in names.traits:
        terms: Iterable[str] = (f"{path}={value}" for value in names.traits[path])
    elif term.startswith("@"):
        terms = (f"@{group}" for group in names.groups)
    elif term.startswith("run:"):
        terms = (f"run:{run}" for run in _runs())
    else:
        terms = (*names.hosts, *(f"{path}=" for path in names.traits), "all")
    return (f"{head}{found}" for found in _beginning(term, terms))


def _beginning(current: str, words: Iterable[str]) -> Iterator[str]:
    return (word for word in words if word.startswith(current))


def _names(inventory: str | None) -> Names:
    from vigo.cli.wiring import find_inventory

    path, _ = find_inventory(inventory)
    cache = cache_folder()
    known = stored(path, cache)
    if known is None:
        from vigo.cli.naming import names_of

        before = identity(
            path
        )  # of the files as they are now: a change while they are read makes the index a stale one
        known = names_of(path)
        store(path, cache, known, before)
    return known


def _runs() -> Iterator[str]:
    from vigo.adapters.store_read import Reading
    from vigo.cli.wiring import journal_folder

    if not os.path.exists(journal_folder() / "journal.db"):  # noqa: PTH110 - pathlib is loaded anyway; this is one call
        return
    with Reading(journal_folder()) as store:
        yield from (task.id for task in store.tasks(_RUNS_MAX))
