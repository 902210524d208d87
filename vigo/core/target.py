"""Which hosts a task is for: a target is parsed once, at the edge, and then selects hosts from an inventory.

Rule 1: hosts come in the inventory's order, each once.
Rule 2: a target that selects nothing is an error (exit 4), and so is a name written out that the inventory does not
        have. Never a warning, never success.
Rule 3: all that was given (`--target` again, `--exclude`, files) is one expression, and that one is kept on record.

`target_parse` has the grammar, `target_terms` the meaning of each term.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from vigo.core import target_parse
from vigo.core.errors import NoMatchError, UsageError
from vigo.core.inventory import Inventory
from vigo.core.inventory_names import did_you_mean, nearest
from vigo.core.model import Host
from vigo.core.quantity import Quantity
from vigo.core.shape import draw
from vigo.core.target_terms import MISSING_MAX, And, Comparison, Missing, Not, Operator, Or, Runs, Scope, Term
from vigo.core.traits import texts
from vigo.core.values import dataclass

_LIST_HINT: Final = "`vigo inventory list` shows what there is"
_SHOWN_MAX: Final = 80


@dataclass(frozen=True, slots=True)
class Target:
    """A target expression that can be used."""

    text: str
    """As it was typed; this is what the journal keeps."""
    root: Term

    def select(self, inventory: Inventory, *, runs: Runs | None = None) -> tuple[Host, ...]:
        """Return the hosts that it means, in the inventory's order; `runs` answers `run:ID` terms.

        Raises NoMatchError when that is none, or when a name written out is not in the inventory, with the nearest
        ones; UsageError for `run:ID` without `runs`.
        """
        scope = Scope(inventory, runs)
        places = self.root.select(scope)
        if scope.missing:
            raise NoMatchError(_missing(scope.missing, inventory))
        if not places:
            where = inventory.source or "the inventory"
            raise NoMatchError(
                f"target {_cut(self.text)!r}: no host of {where} matches; {_nearest(self.root, inventory)}"
            )
        return tuple(inventory.hosts[place] for place in sorted(places))


def parse(text: str) -> Target:
    """Return the target that a text means. Raises UsageError, with the text and a caret under the place."""
    return Target(text, target_parse.parse(text))


def combine(targets: Sequence[str], excludes: Sequence[str] = ()) -> str:
    """Return one expression for all targets given, without those excluded; a single target stays as it was typed.

    Lines of target files are targets too. Raises UsageError for one that cannot be used, and when there is none.
    """
    wanted = [(text.strip(), target_parse.parse(text)) for text in targets]
    unwanted = [(text.strip(), target_parse.parse(text)) for text in excludes]
    if not wanted:
        raise UsageError("no target was given; name hosts with --target, or all of them with --target all")
    if not unwanted:
        return _union(wanted)
    return f"{_bracketed(wanted)} and not {_bracketed(unwanted)}"


def limit(hosts: Sequence[Host], quantity: Quantity, seed: int | str | None = None) -> tuple[Host, ...]:
    """Return the first hosts, or with a seed a sample that is the same each time, in their order.

    A percentage is of the hosts given, rounded down and never below one. The sample is those whose names, hashed with
    the seed, come first: adding a host to the inventory changes it by one host at most.
    """
    count = max(1, quantity.of(len(hosts)))
    if seed is None:
        return tuple(hosts[:count])
    drawn = {host.name for host in sorted(hosts, key=lambda host: draw(seed, host.name))[:count]}
    return tuple(host for host in hosts if host.name in drawn)


def read_target_file(text: str) -> tuple[str, ...]:
    """Return the targets of a file, one a line; `#` at the beginning or after a blank begins a comment."""
    lines = (_without_comment(line) for line in text.removeprefix("\ufeff").splitlines())
    return tuple(line for line in lines if line)


def _missing(missing: Sequence[Missing], inventory: Inventory) -> str:
    first = missing[0]
    known = {"host": [host.name for host in inventory.hosts], "group": inventory.groups}.get(first.noun, ())
    names = ", ".join(_cut(one.word) for one in missing[:MISSING_MAX]) + (", …" if len(missing) >= MISSING_MAX else "")
    where = inventory.source or "the inventory"
    return f"{first.noun} {names}: not in {where}; {did_you_mean(first.word, known) or _LIST_HINT}"


def _nearest(root: Term, inventory: Inventory) -> str:
    """Return the way out where nothing matched: a trait or a value that was meant, else where to look."""
    known: dict[str, dict[str, None]] = {}
    for host in inventory.hosts:
        for path, value in host.traits.items():
            known.setdefault(path, {}).update(dict.fromkeys(texts(value)))
    for term in _comparisons(root):
        if term.path not in known:
            return f"none has the trait {_cut(term.path)}, {did_you_mean(term.path, known) or _LIST_HINT}"
        near = nearest(term.value, known[term.path]) if term.value not in known[term.path] else ()
        if near and term.operator is Operator.EQUAL:
            return f"did you mean {' or '.join(f'{term.path}={value}' for value in near)}?"
    return _LIST_HINT


def _comparisons(term: Term) -> Iterator[Comparison]:
    match term:
        case Comparison():
            yield term
        case Not():
            yield from _comparisons(term.term)
        case And() | Or():
            for each in term.terms:
                yield from _comparisons(each)
        case _:
            return


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_MAX else text[: _SHOWN_MAX - 1] + "…"


def _union(parts: Sequence[tuple[str, Term]]) -> str:
    if len(parts) == 1:
        return parts[0][0]
    return " or ".join(_bracketed([part]) for part in parts)


def _bracketed(parts: Sequence[tuple[str, Term]]) -> str:
    """Return the union of the parts, in parentheses unless it is a single term."""
    is_term = len(parts) == 1 and not isinstance(parts[0][1], And | Or | Not)
    return _union(parts) if is_term else f"({_union(parts)})"


def _without_comment(line: str) -> str:
    for at, sign in enumerate(line):
        if sign == "#" and (at == 0 or line[at - 1].isspace()) and line.count('"', 0, at) % 2 == 0:
            return line[:at].strip()
    return line.strip()
