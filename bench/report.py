"""The figures as a page: what was measured, on what, and which bounds were kept."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.bounds import Bound, cpu, peak, ratio, wall
from bench.rows import Table

_HEAD = """# Benchmarks

vigo beside its peers, on one machine that plays all hosts: real `sshd` behind many loopback addresses, or a cheap server
that starts no processes. Everybody runs `uptime` with a fan-out of 64, as a whole process from its start to its end, in
turn, round after round; what each of them printed is checked for every host. Figures are medians over the rounds; ratios
are medians of the ratios round by round. CPU is the client's, with all processes that it started and waited for; memory
is the peak of its largest process. The machine serves and asks at once: wall time is shared between both sides.

The *bare loop* is the limit: asyncssh with options built once, the fastest cipher and key exchange, and nothing else:
no plan, guard, journal, deadline, kill or output. *Same text* sends what vigo sends: the wrapper that bounds the command
on its host, and its input.
"""


@dataclass(frozen=True, slots=True)
class Counted:
    """Instructions of one program, and the budget."""

    name: str
    instructions: int
    budget: int | None


def page(
    tables: Iterable[Table], bounds: Sequence[Bound], counted: Sequence[Counted], versions: Mapping[str, str],
    troubles: Sequence[str],
) -> str:  # fmt: skip
    """Return the page."""
    parts = [_HEAD, *_machine(versions), "## Bounds\n", *_bounds(bounds)]
    for table in tables:
        parts += [f"## {table.row.title}\n", *_table(table)]
    if counted:
        parts += [f"## Instructions\n\nOf CPython {platform.python_version()}, by callgrind; the budget stands in `bench/instructions.json`.\n", *_counted(counted)]  # fmt: skip
    if troubles:
        parts += ["## Missing here\n", *(f"- {trouble}" for trouble in troubles), ""]
    return "\n".join(parts).rstrip() + "\n"


def _machine(versions: Mapping[str, str]) -> Iterable[str]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    kernel = platform.release().split("-")[0]
    yield f"Machine: {os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GB, Linux {kernel}.\n"
    yield "Versions: " + ", ".join(f"{name} {version}" for name, version in versions.items()) + ".\n"


def _bounds(bounds: Sequence[Bound]) -> Iterable[str]:
    yield "| what | measured | bound | | the bare loop in vigo's place |\n|---|--:|--:|---|--:|"
    for bound in bounds:
        sign = "≤" if bound.at_most else "≥"
        floor = "" if bound.floor is None else f"{bound.floor:.{bound.digits}f}"
        measured = "not measured" if bound.value is None else f"{bound.value:.{bound.digits}f}{bound.unit}"
        yield f"| {bound.what} | {measured} | {sign} {bound.limit:g}{bound.unit} | {bound.verdict} | {floor} |"
    yield ""


def _table(table: Table) -> Iterable[str]:
    yield "| | wall s | to vigo's | CPU s | to vigo's | peak MB | rounds |\n|---|--:|--:|--:|--:|--:|--:|"
    ours = table.series["vigo"]
    for contender in table.row.contenders:
        series = table.series[contender.name]
        name = f"{contender.name} ({contender.note})" if contender.note else contender.name
        if not series.measured:
            yield f"| {name} | {series.trouble or 'not run'} | | | | | 0 |"
            continue
        figures = [f"{series.median(wall):.2f}", _times(ratio(series, ours, wall)), f"{series.median(cpu):.2f}"]
        figures += [_times(ratio(series, ours, cpu)), f"{series.median(peak):.0f}", str(len(series.measured))]
        trouble = f" ({series.trouble})" if series.trouble else ""
        yield f"| {name} | {' | '.join(figures)}{trouble} |"
    yield ""


def _counted(counted: Sequence[Counted]) -> Iterable[str]:
    yield "| program | instructions, millions | budget | |\n|---|--:|--:|---|"
    for count in counted:
        budget = "none for this Python" if count.budget is None else f"{count.budget / 1e6:,.0f}"
        verdict = "" if count.budget is None else "kept" if count.instructions <= count.budget else "MISSED"
        yield f"| {count.name} | {count.instructions / 1e6:,.0f} | {budget} | {verdict} |"
    yield ""


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def write(path: Path, text: str) -> None:
    """Write the page."""
    path.write_text(text, encoding="utf-8")
