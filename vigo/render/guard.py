"""`vigo guard`: a judgement and the table of rules, for people and for machines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from vigo.core.guard import Finding, Judgement, Layer, Rule, rules
from vigo.render.machine import SCHEMA
from vigo.render.sanitize import clean
from vigo.render.tables import tsv

_SHOWN_MAX = 100
_LEAD = 30
_INTRODUCTION = """\
Both guards read a command as a shell would and ask what the command that finally runs would do. Rules of the layer
`hard` belong to both guards and nothing passes them; rules of the layer `dispatch` belong to the dispatch guard, which
`--force` or a `y` at the prompt passes. A finding whose deciding word has an unknown part (`rm -rf /srv/$x`) belongs to
the dispatch guard, whatever its rule.
"""


def judgement_text(command: str, judgement: Judgement) -> str:
    """Return a judgement for people: verdict, rule, the words that matched, what was resolved."""
    finding = judgement.finding
    if finding is None:
        return "verdict:  allow\n  both guards let this command pass\n"
    lines = [
        f"verdict:  {judgement.verdict}",
        f"rule:     {finding.rule}",
        f"pattern:  {clean(finding.pattern)}",
        f"reason:   {_reason(finding)}",
        *_pointed(command, finding),
        *(f"resolved: {clean(note)}" for note in judgement.notes),
        _layers(finding),
    ]
    return "".join(f"{line}\n" for line in lines)


def _reason(finding: Finding) -> str:
    """Say why: the rule's own sentence, or for what cannot be analysed what was in the way."""
    if finding.rule == "cannot-analyse":
        return finding.reason
    return next((rule.reason for rule in rules() if rule.name == finding.rule), finding.reason)


def _layers(finding: Finding) -> str:
    if finding.layer is Layer.HARD:
        return "guards:   refused by the dispatch guard; with --force still rejected on every host by the hard guard"
    return "guards:   refused by the dispatch guard; --force passes it, the hard guard has nothing to say"


def _pointed(command: str, finding: Finding) -> tuple[str, str]:
    """Return the command's line with the matched words, and carets under them."""
    start, end = finding.span
    line_start = command.rfind("\n", 0, start) + 1
    line_end = command.find("\n", start)
    line_end = len(command) if line_end < 0 else line_end
    first = max(line_start, start - _LEAD) if line_end - line_start > _SHOWN_MAX else line_start
    last = min(line_end, first + _SHOWN_MAX)
    end = max(start, min(end, last))
    lead, marked, rest = (clean(command[a:b]) for a, b in ((first, start), (start, end), (end, last)))
    return f"  {lead}{marked}{rest}", f"  {' ' * len(lead)}{'^' * max(1, len(marked))}"


def judgement_json(
    command: str, judgement: Judgement, identity: object = None, *, identified: bool = False
) -> dict[str, Any]:
    """Return a judgement as one object; `identity` is echoed when the question had one."""
    finding = judgement.finding
    start, end = finding.span if finding else (0, 0)
    return {
        "schema": SCHEMA,
        **({"id": identity} if identified else {}),
        "cmd": command,
        "verdict": judgement.verdict,
        "rule": finding and finding.rule,
        "match": finding and command[start:end],
        "pattern": finding and finding.pattern,
        "reason": finding and _reason(finding),
        "span": finding and [start, end],
        "resolved": list(judgement.notes),
    }


def judgement_tsv(judgement: Judgement) -> str:
    """Return a judgement as a header and one line of tab-separated values; empty where nothing was found."""
    found = judgement.finding
    said = ("", "", "") if found is None else (found.rule, found.pattern, _reason(found))
    return tsv(("verdict", "rule", "pattern", "reason"), [(judgement.verdict, *said)])


def rules_text(table: Iterable[Rule]) -> str:
    """Return the table of rules for people."""
    lines = []
    for rule in table:
        lines.append(f"{rule.name:<16} {rule.layer:<9} {rule.reason}")
        lines.append(f"{'':<26} refused: {rule.example}")
        lines.append(f"{'':<26} allowed: {rule.allowed}")
    return "".join(f"{line}\n" for line in lines)


def rule_json(rule: Rule) -> dict[str, Any]:
    """Return a rule as one object."""
    return {
        "schema": SCHEMA,
        "rule": rule.name,
        "layer": rule.layer.value,
        "pattern": rule.pattern,
        "reason": rule.reason,
        "refused": rule.example,
        "allowed": rule.allowed,
    }


def rules_tsv(table: Iterable[Rule]) -> str:
    """Return the table of rules as tab-separated lines."""
    return tsv(("rule", "layer", "pattern", "reason"), ((r.name, r.layer, r.pattern, r.reason) for r in table))


def rules_page(table: Iterable[Rule]) -> str:
    """Return the reference page of the rules; `docs/reference/guard-rules.md` is this text."""
    found = tuple(table)
    parts = [
        "# The guard's rules\n",
        _INTRODUCTION,
        '`vigo guard rules` prints this table, `vigo guard check "COMMAND"` judges one command.\n',
        "| rule | layer | canonical form | why | refused | allowed |",
        "|---|---|---|---|---|---|",
        *(
            f"| `{r.name}` | {r.layer} | `{_cell(r.pattern)}` | {r.reason} | `{_cell(r.example)}` | `{_cell(r.allowed)}` |"
            for r in found
        ),
    ]
    return "\n".join(parts) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
