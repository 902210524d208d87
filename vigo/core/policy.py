"""The site's own policy: what `policy.yaml` says, and what follows from it for one task.

Rule 1: it only adds, and only to the dispatch guard: no built-in rule is weakened by it, the hard guard never sees it.
Rule 2: `--force` passes its patterns as it passes the guard's. It does not pass the bounds on the number of hosts:
        `confirm_above` wants that very number, `refuse_above` wants batches.
Rule 3: a protected host is reached by its own name or UUID written out, and by nothing else.
Rule 4: the file is read strictly: what is wrong with it is an error (exit 5) and never ignored.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import TypeVar

from vigo.core import target_parse
from vigo.core.errors import ConfigError, NoMatchError, UsageError
from vigo.core.guard import Finding, Layer
from vigo.core.guard.commands import commands
from vigo.core.guard.patterns import Pattern, PatternError
from vigo.core.inventory import Inventory
from vigo.core.model import Host
from vigo.core.nodes import MapNode, Mark, Node, read_int, read_list, read_map, read_text, refuse_unknown, shown, wrong
from vigo.core.plan import Plan
from vigo.core.ranges import Piece, fold
from vigo.core.target import Target
from vigo.core.target_terms import And, Glob, Name, Not, Or, Ran, Range, Scope, Term, Uuid
from vigo.core.values import dataclass

PATTERNS_MAX = 500
PROTECTED_MAX = 500
HOSTS_MAX = 100_000

_KEYS = ("patterns", "confirm_above", "refuse_above", "protected")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}", re.ASCII)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class SitePattern:
    """A command that the site does not want to be run."""

    rule: str
    """`site:` and its name, or its number in the file from 1."""
    pattern: Pattern
    reason: str


@dataclass(frozen=True, slots=True)
class Protection:
    """Hosts that only their own names reach."""

    mark: Mark
    text: str
    """The target expression, as written."""
    term: Term
    reason: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Protected hosts that a target would have reached."""

    hosts: tuple[str, ...]
    reason: str

    def __str__(self) -> str:
        return f"{fold(self.hosts)} ({self.reason})"


@dataclass(frozen=True, slots=True)
class SitePolicy:
    """What the site adds to the dispatch guard; nothing, where there is no `policy.yaml`."""

    patterns: tuple[SitePattern, ...] = ()
    confirm_above: int | None = None
    """Tasks on more hosts than this need their number confirmed."""
    refuse_above: int | None = None
    """Tasks on more hosts than this need more than one batch."""
    protected: tuple[Protection, ...] = ()
    source: str = ""
    """What operators call it: the file's name."""

    def review(self, texts: Iterable[str]) -> Finding | None:
        """Ask the site's patterns about a task's distinct final texts; the first finding."""
        if not self.patterns:
            return None
        return next((finding for text in dict.fromkeys(texts) for finding in self._findings(text)), None)

    def _findings(self, text: str) -> Iterator[Finding]:
        found = commands(text)
        for site in self.patterns:
            span = site.pattern.find(found, text)
            if span is not None:
                yield Finding(Layer.DISPATCH, site.rule, site.pattern.text, site.reason, span)

    def refuse(self, plan: Plan) -> Finding | None:
        """Return why a plan is too large to run as one batch, if it is."""
        if self.refuse_above is None or plan.total <= self.refuse_above or len(plan.batches) > 1:
            return None
        reason = f"{plan.total} hosts in one batch are more than the {self.refuse_above} that {self.source} allows"
        return Finding(Layer.DISPATCH, "refuse-above", f"refuse_above: {self.refuse_above}", reason)

    def unconfirmed(self, plan: Plan, confirmed: int | None) -> Finding | None:
        """Return why a plan's number of hosts is not confirmed; `confirmed` is the number given with `--confirm`.

        A number that was given must be the right one, whether or not the policy asks for it.
        """
        if confirmed is not None:
            if confirmed == plan.total:
                return None
            reason = f"the task has {plan.total} hosts, not {confirmed}"
            return Finding(Layer.DISPATCH, "confirm-above", f"--confirm {confirmed}", reason)
        if self.confirm_above is None or plan.total <= self.confirm_above:
            return None
        reason = f"{plan.total} hosts are more than the {self.confirm_above} that {self.source} allows unconfirmed"
        return Finding(Layer.DISPATCH, "confirm-above", f"confirm_above: {self.confirm_above}", reason)

    def spare(
        self, target: Target, hosts: Sequence[Host], inventory: Inventory
    ) -> tuple[tuple[Host, ...], tuple[LeftOut, ...]]:
        """Return the selected hosts without the protected ones that are not written out, and those with the reasons.

        Raises NoMatchError when no host is left.
        """
        why = self._reasons(inventory)
        if why:
            for name in _written_out(target.root, Scope(inventory)):
                why.pop(name, None)
        kept = tuple(host for host in hosts if host.name not in why)
        reasons: dict[str, list[str]] = {}
        for host in hosts:
            if host.name in why:
                reasons.setdefault(why[host.name], []).append(host.name)
        left_out = tuple(LeftOut(tuple(names), reason) for reason, names in reasons.items())
        if not kept:
            named = "; ".join(map(str, left_out))
            raise NoMatchError(
                f"target {shown(target.text)!r}: {self.source} protects every host of it: {named}; "
                "write a host's own name to reach it"
            )
        return kept, left_out

    def unknown(self, inventory: Inventory) -> Iterator[str]:
        """Yield a line for each name that is protected and not in the inventory: a typo protects nothing."""
        scope = Scope(inventory)
        for protection in self.protected:
            before = len(scope.missing)
            protection.term.select(scope)
            for missing in scope.missing[before:]:
                yield f"{protection.mark}: {missing.noun} {shown(missing.word)}: not in {inventory.source}; not protected"

    def _reasons(self, inventory: Inventory) -> dict[str, str]:
        """Return each protected host with the first reason for it."""
        scope = Scope(inventory)
        why: dict[str, str] = {}
        for protection in self.protected:
            for place in protection.term.select(scope):
                why.setdefault(inventory.hosts[place].name, protection.reason)
        return why


def read_policy(node: MapNode, source: str) -> SitePolicy:
    """Read the policy file's one map; `source` is what to call it. Raises ConfigError with the place of what is wrong."""
    refuse_unknown(node, _KEYS)
    return SitePolicy(
        patterns=_patterns(node.get("patterns")),
        confirm_above=_optional(node, "confirm_above", lambda n, k: read_int(n, k, least=0, most=HOSTS_MAX)),
        refuse_above=_optional(node, "refuse_above", lambda n, k: read_int(n, k, least=1, most=HOSTS_MAX)),
        protected=tuple(_protection(item) for item in _entries(node.get("protected"), "protected", PROTECTED_MAX)),
        source=source,
    )


def _patterns(node: Node | None) -> tuple[SitePattern, ...]:
    found: dict[str, SitePattern] = {}
    for number, item in enumerate(_entries(node, "patterns", PATTERNS_MAX), start=1):
        entry = read_map(item, "patterns")
        refuse_unknown(entry, ("pattern", "reason", "name"))
        wanted = _needed(entry, "pattern")
        name = _optional(entry, "name", _name) or str(number)
        if name in found:
            raise wrong(entry.mark, name, "names two patterns", "give one of them another name")
        try:
            pattern = Pattern.read(read_text(wanted, "pattern"))
        except PatternError as error:
            raise wrong(wanted.mark, "pattern", error.reason, error.way_out) from error
        found[name] = SitePattern(f"site:{name}", pattern, _reason(entry))
    return tuple(found.values())


def _protection(node: Node) -> Protection:
    entry = read_map(node, "protected")
    refuse_unknown(entry, ("hosts", "reason"))
    hosts = _needed(entry, "hosts")
    text = read_text(hosts, "hosts")
    try:
        term = _standing(target_parse.parse(text))
    except UsageError as error:
        raise ConfigError(f"{hosts.mark}: hosts: {error}") from error
    return Protection(hosts.mark, text, term, _reason(entry))


def _standing(term: Term) -> Term:
    """Return a term that means the same for any inventory: a range is matched, so that it need not be there whole.

    Raises UsageError for a run, which means something else each day.
    """
    match term:
        case And(terms):
            return And(tuple(map(_standing, terms)))
        case Or(terms):
            return Or(tuple(map(_standing, terms)))
        case Not(inner):
            return Not(_standing(inner))
        case Range(pieces):
            return Glob(re.compile("".join(map(_regex, pieces)), re.IGNORECASE))
        case Ran(task):
            raise UsageError(f"run:{task} cannot be protected; name the hosts")
        case _:
            return term


def _regex(piece: Piece) -> str:
    return re.escape(piece) if isinstance(piece, str) else piece.regex()


def _written_out(term: Term, scope: Scope) -> Collection[str]:
    """Return the names of the hosts that a target names one by one, what it negates aside."""
    match term:
        case And(terms) | Or(terms):
            return {name for inner in terms for name in _written_out(inner, scope)}
        case Name() | Uuid():
            return {scope.hosts[place].name for place in term.select(scope)}
        case _:
            return ()


def _entries(node: Node | None, key: str, most: int) -> tuple[Node, ...]:
    if node is None:
        return ()
    items = read_list(node, key)
    if len(items) > most:
        raise wrong(items[most].mark, key, f"has more than {most} entries", "join some of them with * or ranges")
    return items


def _needed(entry: MapNode, key: str) -> Node:
    node = entry.get(key)
    if node is None:
        raise wrong(entry.mark, key, "is missing", f"write {key}: …")
    return node


def _reason(entry: MapNode) -> str:
    node = _needed(entry, "reason")
    reason = read_text(node, "reason").strip()
    if not reason or not reason.isprintable():
        raise wrong(node.mark, "reason", "is not one line of text", "say in one line why")
    return reason


def _name(node: Node, key: str) -> str:
    name = read_text(node, key)
    if _NAME.fullmatch(name) is None:
        raise wrong(node.mark, key, f"{shown(name)} is no name", "write a-z, 0-9 and -, beginning with a letter")
    return name


def _optional(node: MapNode, key: str, read: Callable[[Node, str], _T]) -> _T | None:
    item = node.get(key)
    return None if item is None else read(item, key)
