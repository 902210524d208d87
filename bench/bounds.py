"""The bounds that vigo wants to keep against the limit and against its peers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from statistics import median

from bench.measure import Measured
from bench.rows import Series, Table

_BARE = "bare loop"
_WATCHED = "vigo, with its board"
_WRAPPED = "bare loop, same text"
_LIBSSH2 = "libssh2, same text"


@dataclass(frozen=True, slots=True)
class Bound:
    """One figure and its limit."""

    what: str
    value: float | None
    """None when it was not measured."""
    limit: float
    at_most: bool = True
    unit: str = ""
    digits: int = 2
    floor: float | None = None
    """What the bare loop reaches in vigo's place: where that is over the limit, no asyncssh program keeps it here."""

    @property
    def verdict(self) -> str:
        """Say in a word whether the bound was kept."""
        if self.value is None:
            return "not measured"
        return "kept" if (self.value <= self.limit) is self.at_most or self.value == self.limit else "MISSED"


def wall(measured: Measured) -> float:
    """Return the wall time in seconds."""
    return measured.wall_s


def cpu(measured: Measured) -> float:
    """Return the client's CPU time in seconds."""
    return measured.cpu_s


def peak(measured: Measured) -> float:
    """Return the peak memory in MB."""
    return measured.peak_mb


def ratio(one: Series, other: Series, of: Callable[[Measured], float]) -> float | None:
    """Return the median of the ratios of one figure, round by round; None when either has none."""
    pairs = list(zip(one.measured, other.measured, strict=False))
    return median(of(a) / of(b) for a, b in pairs) if pairs else None


def judge(tables: Mapping[str, Table]) -> list[Bound]:
    """Return every bound that the tables have figures for."""
    bounds: list[Bound] = []
    for key, of_row in (("two-hundred", _on_sshd), ("lab-2000", _on_lab)):
        if key in tables:
            bounds += of_row(tables[key])
    return [*bounds, *_work(tables), *_scale(tables), *_bulk(tables), *_trips(tables)]


def _on_sshd(table: Table) -> Iterator[Bound]:
    ours = table.series["vigo"]
    for other, limit in ((_WRAPPED, 1.15), (_BARE, 1.3), ("clush", 0.3), ("pdsh", 0.3), ("pssh", 0.3), ("parallel-ssh", 0.6), ("pyinfra", 0.6)):  # fmt: skip
        their = table.series[other]
        floor = None if other in (_BARE, _WRAPPED) else ratio(table.series[_WRAPPED], their, wall)
        yield Bound(f"{table.row.title}: wall against {other}", ratio(ours, their, wall), limit, floor=floor)


def _work(tables: Mapping[str, Table]) -> Iterator[Bound]:
    """Compare CPU time, the start-up taken off: what one host costs is subtracted on both sides."""
    if not {"one", "two-hundred"} <= tables.keys():
        return
    many, one = tables["two-hundred"].series, tables["one"].series
    names = ("vigo", _BARE, _WRAPPED)
    if all(many[name].measured and one[name].measured for name in names):
        vigo, plain, wrapped = (many[name].median(cpu) - one[name].median(cpu) for name in names)
        yield Bound(f"{tables['two-hundred'].row.title}: CPU without start-up against {_BARE}", vigo / plain, 1.3)
        yield Bound(f"{tables['two-hundred'].row.title}: CPU without start-up against {_WRAPPED}", vigo / wrapped, 1.3)


def _on_lab(table: Table) -> Iterator[Bound]:
    ours, title = table.series["vigo"], table.row.title
    bare, libssh2 = table.series[_WRAPPED], table.series[_LIBSSH2]
    yield Bound(f"{title}: wall against {_WRAPPED}", ratio(ours, bare, wall), 1.25)
    yield Bound(f"{title}: CPU against {_WRAPPED}", ratio(ours, bare, cpu), 1.25)
    yield Bound(f"{title}: memory against {_WRAPPED}", ratio(ours, bare, peak), 1.5)
    yield Bound(f"{title}: wall against libssh2", ratio(ours, libssh2, wall), 0.85, floor=ratio(bare, libssh2, wall))
    yield Bound(f"{title}: CPU against libssh2", ratio(ours, libssh2, cpu), 1.2, floor=ratio(bare, libssh2, cpu))
    yield Bound(f"{title}: memory against libssh2", ratio(ours, libssh2, peak), 0.5, floor=ratio(bare, libssh2, peak))


def _scale(tables: Mapping[str, Table]) -> Iterator[Bound]:
    if "lab-10000" in tables:
        series, title = tables["lab-10000"].series, tables["lab-10000"].row.title
        ours = series["vigo"]
        yield Bound(f"{title}: peak memory", ours.median(peak) if ours.measured else None, 250, unit=" MB", digits=0)
        yield Bound(f"{title}: wall against {_WRAPPED}", ratio(ours, series[_WRAPPED], wall), 1.35)
        watched = series[_WATCHED]
        yield Bound(f"{title}: wall with a board against none", ratio(watched, ours, wall), 1.05)
        yield Bound(f"{title}: CPU with a board against none", ratio(watched, ours, cpu), 1.05)
    if {"lab-8000", "lab-1000"} <= tables.keys():
        many, few = tables["lab-8000"].series["vigo"], tables["lab-1000"].series["vigo"]
        value = many.median(wall) / few.median(wall) if many.measured and few.measured else None
        yield Bound("8,000 hosts against 1,000, cheap server: wall", value, 10)


def _bulk(tables: Mapping[str, Table]) -> Iterator[Bound]:
    if "bulk" not in tables:
        return
    title = tables["bulk"].row.title
    ours, ssh = tables["bulk"].series["vigo"], tables["bulk"].series["ssh"]
    yield Bound(f"{title}: throughput against ssh", ratio(ssh, ours, wall), 0.7, at_most=False)
    if "one" in tables and ours.measured and tables["one"].series["vigo"].measured:
        more = ours.median(peak) - tables["one"].series["vigo"].median(peak)
        yield Bound(f"{title}: memory above that of `uptime`", more, 30, unit=" MB", digits=0)


def _trips(tables: Mapping[str, Table]) -> Iterator[Bound]:
    """Say how many round trips of 100 ms a command takes: what the slow road adds, start-up and work being equal."""
    if not {"one", "slow-one"} <= tables.keys():
        return
    near, far = tables["one"].series["vigo"], tables["slow-one"].series["vigo"]
    if near.measured and far.measured:
        yield Bound(
            "round trips for connect, login, command", (far.median(wall) - near.median(wall)) / 0.1, 8, digits=1
        )
