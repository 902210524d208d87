"""What could stand where the cursor is: asked by a shell at each press of a key, so nothing heavy is loaded for it.

Commands and flags come from a table that is made from the program, names from an index in the cache folder.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from vigo.adapters.name_index import Names, identity, store, stored
from vigo.adapters.places import cache_folder, data_folder, traits_file
from vigo.cli.completion_table import TABLE
from vigo.core.errors import JournalError, VigoError

SHOWN_MAX = 1_000
_RUNS_MAX = 20
_OUTCOMES = ("complete", "failed", "timeout", "unreachable", "rejected", "lost", "cancelled", "skipped")
_PART = re.compile(
    r"""\"(?:\\.|[^"\\])*"? | =~|!~|!=|<=|>=|=|<|> | [(),&|!] | [^\s"()&|,!=<>~]+ | \s+ | .""", re.VERBOSE | re.DOTALL
)
"""What a target is made of, as its own parser cuts it; a quote may be open at the cursor."""
_PLAIN = re.compile(r"""[^\s"()&|,!=<>~*?\[\]]+""")
"""A value that needs no quotes."""
_SIGNS = frozenset("(),&|!")
_WORDS = frozenset({"and", "or", "not"})
_OPERATORS = ("and", "or", "and not")
"""What can stand behind a term; `not` alone cannot."""
_STARTS = ("all", "not")
_FLAG_KINDS = {
    "--target": "target", "--exclude": "target", "--host": "host", "--task": "run", "--only": "outcome", "--batch-by": "trait",
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
    words, quote = list(rest), "'"  # other shells quote what they are given
    replaced = words[-1] if words else ""
    if shell == "bash":
        replaced, line = (*rest, "", "")[:2]
        (_, *words), quote = _split(line)
    elif shell == "fish" and words:
        words[-1] = split(words[-1])[-1]  # it gives the quote that is open, and matches what stands behind it
    try:
        found = list(candidates(words or [""]))[:SHOWN_MAX]
    except VigoError:
        found = []
    cut = _cut(words[-1] if words else "", replaced if quote else split(replaced)[-1])
    sys.stdout.write("".join(f"{_shielded(word[cut:], quote)}\n" for word in found if "\n" not in word))
    return 0


def candidates(words: Sequence[str]) -> Iterator[str]:
    """Yield what the last of the words could become; the words are those behind `vigo`."""
    *before, current = words
    path, awaited, inventory, given, only_words = _typed(before)
    flags, children, choices = TABLE[path]
    flag, equals, value = current.partition("=")
    if awaited:
        yield from _values(awaited, flags.get(awaited) or "", current, inventory)
    elif current.startswith("--") and equals and flags.get(flag) is not None and not only_words:
        yield from (f"{flag}={found}" for found in _values(flag, flags[flag] or "", value, inventory))
    elif current.startswith("-"):
        yield from () if only_words else _beginning(current, flags)
    elif children:
        yield from _beginning(current, children)
    elif not given:
        yield from _beginning(current, choices.split("|") if choices else ())
        yield from _of_kind(_WORD_KINDS.get(path, ""), current, inventory)


def _typed(words: Sequence[str]) -> tuple[str, str, str | None, int, bool]:
    """Return what these words say: command, flag that awaits its value, inventory, count of arguments, whether `--` came."""
    path, awaited, inventory, given = "", "", None, 0
    for at, word in enumerate(words):
        flags, children, _ = TABLE[path]
        if awaited:
            inventory = word if awaited in ("-i", "--inventory") else inventory
            awaited = ""
        elif word == "--":
            return path, "", inventory, given + len(words) - at - 1, True
        elif word.startswith("-"):
            awaited = word if flags.get(word) is not None else ""
            inventory = word.partition("=")[2] if word.startswith("--inventory=") else inventory
        elif word in children:
            path = f"{path} {word}".strip()
        else:
            given += 1
    return path, awaited, inventory, given, False


def split(line: str) -> list[str]:
    """Split a command line up to the cursor into words, the last of them perhaps empty; an open quote ends with the line."""
    return _split(line)[0]


def _split(line: str) -> tuple[list[str], str]:
    """Return the words, and the quote that is open at the cursor or nothing."""
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
    return [*words, word], quote


def _shielded(text: str, quote: str) -> str:
    """Return text as bash has to find it on its line to read it unchanged, where this quote is open there."""
    if quote == "'":
        return text
    special = r'["$`\\]' if quote else r"[\s\"'$`\\|&;()<>*?!\[\]{}#]"
    return re.sub(special, r"\\\g<0>", text)


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
            return targets(current, _names(inventory))
        case _:
            return iter(())


def targets(current: str, names: Names) -> Iterator[str]:
    """Yield targets whose last term, or the operator that belongs there, begins as the current one does."""
    head, term, before = _last(current)
    path, equals, value = term.partition("=")
    if before and before[-1] in "=<>~":
        return iter(())  # blanks stand round a comparison: the term is its value
    if _ends_a_term(before):
        terms: Iterable[str] = _OPERATORS
    elif equals and path in names.traits:
        quote = '"' if value.startswith('"') else ""
        terms = (f"{path}={_quoted(value, quote)}" for value in names.traits[path])
    elif term.startswith("run:"):
        run, colon, outcomes = term.removeprefix("run:").partition(":")
        done = outcomes[: outcomes.rfind("+") + 1]
        terms = (f"run:{run}:{done}{one}" for one in _OUTCOMES) if colon else (f"run:{run}" for run in _runs())
    else:
        groups = (f"@{group}" for group in names.groups)
        terms = (*_STARTS, *groups, *(f"{path}=" for path in names.traits), *names.hosts)
    return (f"{head}{found}" for found in _beginning(term, terms))


def _last(current: str) -> tuple[str, str, str]:
    """Return what stands before the last term, that term, and the word or sign that is the last one before it."""
    head, term, before = "", "", ""
    for part in _PART.findall(current):
        if part.isspace() or part in _SIGNS:
            before = part if part in _SIGNS else term or before
            head, term = f"{head}{term}{part}", ""
        else:
            term += part
    return head, term, before


def _ends_a_term(before: str) -> bool:
    return before == ")" or (before not in _SIGNS | {""} and before.lower() not in _WORDS)


def _quoted(value: str, quote: str) -> str:
    """Return a value as a target takes it, in double quotes where it has to be or they are there already."""
    if quote or _PLAIN.fullmatch(value) is None:
        return '"' + value.replace('"', '\\"') + '"'
    return value


def _beginning(current: str, words: Iterable[str]) -> Iterator[str]:
    return (word for word in words if word.startswith(current))


def _names(inventory: str | None) -> Names:
    from vigo.cli.wiring import find_inventory

    path, _ = find_inventory(inventory)
    cache, gathered = cache_folder(), _gathered(path)
    known = stored(path, gathered, cache)
    if known is None:
        from vigo.cli.naming import names_of

        # of the files as they are now: a change while they are read makes the index a stale one
        before = identity(path, gathered)
        known = names_of(path)
        store(path, cache, known, before)
    return known


def _gathered(inventory: Path) -> Path | None:
    with suppress(JournalError):  # nowhere to keep anything
        return traits_file(data_folder(), inventory)
    return None


def _runs() -> Iterator[str]:
    from vigo.adapters.store_read import Reading
    from vigo.cli.wiring import journal_folder

    if not os.path.exists(journal_folder() / "journal.db"):  # noqa: PTH110 - pathlib is loaded anyway; this is one call
        return
    with Reading(journal_folder()) as store:
        yield from (task.id for task in store.tasks(_RUNS_MAX))
