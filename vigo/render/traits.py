"""`vigo traits` and `vigo query`: what was gathered, where each value comes from, which hosts have which value.

What hosts say is shown cleaned for terminals, and escaped for machines.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from vigo.core.facts_age import age
from vigo.core.inventory import Gathered, Origin
from vigo.core.model import Host, Outcome, Scalar, TraitValue
from vigo.core.ranges import fold
from vigo.core.traits import natural, text, texts
from vigo.engine.gather import Learned
from vigo.render.machine import SCHEMA, dump
from vigo.render.reports import local_time
from vigo.render.sanitize import clean
from vigo.render.tables import columns, tsv

_GAP: Final = 2
_TRAITS: Final = "traits."
GATHERED: Final = "gathered"


def gathered_text(learned: Sequence[Learned]) -> str:
    """Return the one line of a gathering: `50 hosts: 48 gathered, 2 unreachable: db-[01-02]`."""
    done = sum(1 for one in learned if one.answer is not None)
    missed = [f"{len(names)} {word}: {clean(fold(names))}" for word, names in _missed(learned).items()]
    return f"{_hosts(len(learned))}: {'; '.join([', '.join([f'{done:,} gathered', *missed[:1]]), *missed[1:]])}\n"


def _missed(learned: Iterable[Learned]) -> dict[str, list[str]]:
    """Return the hosts that gave nothing, by outcome in the order of outcomes; an unusable answer is the first of them."""
    words = dict.fromkeys(["not understood", *Outcome, "interrupted"])
    found: dict[str, list[str]] = {word: [] for word in words}
    for one in learned:
        if one.fault:
            found["not understood"].append(one.host)
        elif one.answer is None:
            found[one.outcome or "interrupted"].append(one.host)
    return {word: names for word, names in found.items() if names}


def gathering_warnings(learned: Iterable[Learned], task: str) -> Iterator[str]:
    """Yield one line for each thing that went wrong in answers, with all hosts where it did."""
    where: dict[str, list[str]] = {}
    for one in learned:
        for said in _faults(one):
            where.setdefault(said, []).append(one.host)
    for said, names in where.items():
        yield f"warning: {fold(names)}: {said}; see `vigo task status {task}`"


def _faults(one: Learned) -> Iterator[str]:
    if one.fault:
        yield f"the answer cannot be used: {one.fault}"
    if one.answer is not None:
        yield from (f"site script {name} failed: {fault}" for name, fault in one.answer.failed)
        if one.answer.unknown:
            lines = "1 line" if one.answer.unknown == 1 else f"{one.answer.unknown:,} lines"
            yield f"{lines} of the answer not understood"


def gathered_json(learned: Sequence[Learned], task: str, at: str) -> dict[str, Any]:
    """Return a gathering as one JSON object."""
    return {
        "schema": SCHEMA,
        "task": task,
        "gathered_at": at,
        "targets": len(learned),
        "gathered": sum(1 for one in learned if one.answer is not None),
        "hosts": [learned_json(one) for one in learned],
    }


def learned_json(one: Learned) -> dict[str, Any]:
    """Return what one host gave as one JSON object."""
    answer = one.answer
    return {
        "schema": SCHEMA,
        "host": one.host,
        "outcome": one.outcome,
        "traits": None if answer is None else {path: _plain(value) for path, value in answer.traits.items()},
        "failed_scripts": {} if answer is None else dict(answer.failed),
        "unknown_lines": 0 if answer is None else answer.unknown,
        "fault": one.fault or None,
    }


def gathered_tsv(learned: Iterable[Learned]) -> str:
    """Return one tab-separated line for each host: its outcome, the number of its traits, what was wrong."""
    rows = (
        (
            one.host,
            one.outcome or "interrupted",
            str(len(one.answer.traits) if one.answer else 0),
            "; ".join(_faults(one)),
        )
        for one in learned
    )
    return tsv(("host", "outcome", "traits", "wrong"), rows)


def host_text(host: Host, origins: Sequence[Origin], known: Gathered | None, now: datetime) -> str:
    """Return the traits of a host, each with the place it comes from or the time since it was gathered."""
    when = "never" if known is None else f"{age(known.at, now)} ago ({local_time(known.at)}, task {clean(known.task)})"
    rows = [(_path(origin), _value(origin.value), origin_text(origin, now)) for origin in _traits(origins)]
    widths = [max((len(clean(row[at])) for row in rows), default=0) + _GAP for at in range(2)]
    head = f"Host:     {clean(host.name)}\nGathered: {when}\n\n"
    return head + columns(("TRAIT", "VALUE", "FROM"), rows, widths)


def origin_text(origin: Origin, now: datetime) -> str:
    """Return where a value comes from: `group prod.web hosts.yaml:7:14`, `gathered 3h ago`."""
    if origin.layer == GATHERED and origin.place:
        return f"{GATHERED} {age(origin.place, now)} ago"
    return f"{origin.layer} {origin.place}".strip()


def host_json(host: Host, origins: Iterable[Origin], known: Gathered | None, now: datetime) -> dict[str, Any]:
    """Return the traits of a host as one JSON object."""
    seen = None
    if known is not None:
        seconds = int((now - datetime.fromisoformat(known.at)).total_seconds())
        seen = {"at": known.at, "task": known.task, "age_s": max(0, seconds)}
    return {"schema": SCHEMA, "host": host.name, "gathered": seen, "traits": list(map(origin_json, _traits(origins)))}


def origin_json(origin: Origin) -> dict[str, Any]:
    """Return one trait with its origin as one JSON object."""
    return {
        "path": _path(origin),
        "value": _plain(origin.value),
        "layer": origin.layer,
        "place": None if origin.layer == GATHERED else origin.place or None,
        "gathered_at": origin.place or None if origin.layer == GATHERED else None,
    }


def host_jsonl(host: Host, origins: Iterable[Origin]) -> str:
    """Return one JSON object for each trait of a host."""
    return "".join(dump({"schema": SCHEMA, "host": host.name, **origin_json(one)}) for one in _traits(origins))


def host_tsv(origins: Iterable[Origin]) -> str:
    """Return one tab-separated line for each trait of a host."""
    rows = ((_path(one), _value(one.value), one.layer, one.place) for one in _traits(origins))
    return tsv(("trait", "value", "layer", "place"), rows)


def values_text(values: Mapping[str, TraitValue]) -> str:
    """Return aligned columns: each host and its value."""
    rows = [(name, _value(value)) for name, value in values.items()]
    return columns(("HOST", "VALUE"), rows, [max(len(clean(name)) for name, _ in rows) + _GAP])


def counts_text(values: Mapping[str, TraitValue]) -> str:
    """Return aligned columns: how many hosts have a value, the most frequent one first."""
    return columns(("HOSTS", "VALUE"), [(f"{count}", text(value)) for value, count in counted(values)], [7])


def values_tsv(values: Mapping[str, TraitValue]) -> str:
    """Return one tab-separated line for each host."""
    return tsv(("host", "value"), ((name, _value(value)) for name, value in values.items()))


def counts_tsv(values: Mapping[str, TraitValue]) -> str:
    """Return one tab-separated line for each value."""
    return tsv(("hosts", "value"), ((str(count), text(value)) for value, count in counted(values)))


def values_json(path: str, values: Mapping[str, TraitValue], without: Sequence[str]) -> dict[str, Any]:
    """Return the values of a trait as one JSON object."""
    hosts = [{"host": name, "value": _plain(value)} for name, value in values.items()]
    return {"schema": SCHEMA, "path": path, "hosts": hosts, "without": list(without)}


def counts_json(path: str, values: Mapping[str, TraitValue], without: Sequence[str]) -> dict[str, Any]:
    """Return how often a trait has which value as one JSON object."""
    counts = [{"value": value, "hosts": count} for value, count in counted(values)]
    return {"schema": SCHEMA, "path": path, "counts": counts, "without": list(without)}


def rows_jsonl(path: str, rows: Iterable[Mapping[str, Any]]) -> str:
    """Return one JSON object for each row of a query."""
    return "".join(dump({"schema": SCHEMA, "path": path, **row}) for row in rows)


def counted(values: Mapping[str, TraitValue]) -> list[tuple[Scalar, int]]:
    """Return the values with the number of hosts that have each; a host with a list counts for each of its items."""
    found: Counter[str] = Counter()
    first: dict[str, Scalar] = {}
    for value in values.values():
        for item in dict.fromkeys(value) if isinstance(value, tuple) else (value,):
            first.setdefault(text(item), item)
            found[text(item)] += 1
    order: Callable[[str], Any] = lambda word: (-found[word], natural(word), word)  # noqa: E731 - a key with a type
    return [(first[word], found[word]) for word in sorted(found, key=order)]


def _traits(origins: Iterable[Origin]) -> Iterator[Origin]:
    return (origin for origin in origins if origin.key.startswith(_TRAITS))


def _path(origin: Origin) -> str:
    return origin.key.removeprefix(_TRAITS)


def _plain(value: TraitValue) -> object:
    return list(value) if isinstance(value, tuple) else value


def _value(value: TraitValue) -> str:
    return ",".join(texts(value))


def _hosts(count: int) -> str:
    return f"{count:,} host{'' if count == 1 else 's'}"
