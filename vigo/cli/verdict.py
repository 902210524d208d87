"""The decision whether a task is dispatched: the guard's finding, the site's bounds, and what the operator answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from vigo.cli.console import Console
from vigo.core.events import TaskBlocked, TaskDispatched
from vigo.core.guard import Finding, Layer, review
from vigo.core.plan import Plan
from vigo.core.policy import SitePolicy
from vigo.core.values import dataclass
from vigo.render.plan import warning_text

if TYPE_CHECKING:
    from vigo.adapters.store import Store

_YES = frozenset({"y", "yes"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the guard and the site say about a task, and what the operator said beforehand."""

    finding: Finding | None
    too_many: Finding | None
    unconfirmed: Finding | None
    total: int
    force: bool
    confirm: int | None

    @classmethod
    def of(cls, judged: Sequence[str], plan: Plan, site: SitePolicy, *, force: bool, confirm: int | None) -> Self:
        """Ask the guard about everything that the task may run on hosts, and the site about its size."""
        return cls(find(judged, site), site.refuse(plan), site.unconfirmed(plan, confirm), plan.total, force, confirm)

    @property
    def refuses_dry_run(self) -> bool:
        """Whether the same flags without `--dry-run` would be refused, a prompt aside."""
        guarded = self.finding is not None and not self.force
        miscounted = self.unconfirmed is not None and self.confirm is not None
        return guarded or self.too_many is not None or miscounted


@dataclass(frozen=True, slots=True)
class _Blocked:
    """Why a task is not dispatched, and what the operator is told last."""

    finding: Finding
    word: str


def find(texts: Sequence[str], site: SitePolicy) -> Finding | None:
    """Ask the guard, then the site: what nothing can pass is told before what the site has a reason for."""
    found = review(texts)
    return found if found is not None and found.layer is Layer.HARD else site.review(texts) or found


def decide(verdict: Verdict, opening: TaskDispatched, store: Store, console: Console) -> bool | None:
    """Return whether a finding is forced; None when the task is blocked, which is then on record."""
    blocked = _too_many(verdict) or _guarded(verdict, console) or _unconfirmed(verdict, console)
    if blocked is None:
        return verdict.finding is not None
    store.block(
        TaskBlocked(
            operator=opening.operator,
            command=opening.command,
            target=opening.target,
            pattern=blocked.finding.pattern,
            rule=blocked.finding.rule,
            reason=blocked.finding.reason,
            hosts=tuple(host for batch in opening.batches for host in batch),
        )
    )
    console.say(f"blocked: {blocked.word}")
    return None


def _too_many(verdict: Verdict) -> _Blocked | None:
    if verdict.too_many is None:
        return None
    return _Blocked(verdict.too_many, f"{verdict.too_many.reason}; cut it into batches with --batch-size")


def _guarded(verdict: Verdict, console: Console) -> _Blocked | None:
    """Ask about a finding, unless `--force` says that there is nothing to ask."""
    finding = verdict.finding
    if finding is None:
        return None
    if verdict.force:
        console.say(f"--force: passing over the dispatch guard's finding: {finding.pattern}")
        return None
    console.err.write(warning_text(finding))
    if not console.can_ask:
        return _Blocked(finding, "there is no terminal to ask on; --force runs it without asking")
    if agrees("Proceed anyway? [y/N] ", console):
        return None
    return _Blocked(finding, "not confirmed")


def _unconfirmed(verdict: Verdict, console: Console) -> _Blocked | None:
    """Have the number of hosts typed where the site wants it; `--force` is no number."""
    finding = verdict.unconfirmed
    if finding is None:
        return None
    if verdict.confirm is not None:
        return _Blocked(finding, f"{finding.reason}; look at the plan with --dry-run")
    if not console.can_ask:
        return _Blocked(finding, f"{finding.reason}, and there is no terminal to ask on; add --confirm {verdict.total}")
    console.say(finding.reason)
    if answer("Type the number of hosts to run it: ", console) == str(verdict.total):
        return None
    return _Blocked(finding, "that is not the number of hosts")


def answer(question: str, console: Console) -> str:
    """Ask on the terminal; Ctrl-C is an empty answer."""
    try:
        return console.ask(question)
    except KeyboardInterrupt:
        console.say("")
        return ""


def agrees(question: str, console: Console) -> bool:
    """Ask a question that only `y` or `yes` agrees to."""
    return answer(question, console).lower() in _YES
