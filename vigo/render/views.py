"""Results on standard output: a block for each host, lines as they come, equal output gathered, or counts alone.

The same text comes from a run that goes on and from the journal. What is shown is chosen by outcome and by name; what is
left out is on record all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import field
from enum import StrEnum
from typing import TextIO, assert_never

from vigo.core.events import HostFinished, Record, TaskDispatched, TaskFinished, TaskPaused, TaskResumed
from vigo.core.model import HostResult, Outcome, Stream
from vigo.core.ranges import fold, glob
from vigo.core.rollout import Run
from vigo.core.values import dataclass
from vigo.render.blocks import Kept, ending, host_block, printed
from vigo.render.gather import Group, alike_but_for, difference, ended_alike, groups_of, mask
from vigo.render.sanitize import clean, clean_block

_LINE_BYTES_MAX = 8 * 1024
"""A line that is longer is shown in pieces: what waits for its end is held for each host."""


class View(StrEnum):
    """Forms of results."""

    HOSTS = "hosts"
    """A block for each host, in plan order, as soon as its batch has ended."""
    STREAM = "stream"
    """Each line as it arrives, behind its host's name."""
    GATHER = "gather"
    """Hosts that printed the same in one group, the biggest first; others as a difference from it."""
    SUMMARY = "summary"
    """How many hosts ended how."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Which results are shown, and how."""

    view: View = View.HOSTS
    only: frozenset[Outcome] = frozenset()
    """Outcomes to show; empty for all."""
    hosts: tuple[str, ...] = ()
    """Names, ranges and globs of hosts to show; empty for all."""
    ignored: tuple[re.Pattern[bytes], ...] = ()
    """What does not count when output is compared."""
    _names: tuple[re.Pattern[str], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Read the names once."""
        object.__setattr__(self, "_names", tuple(map(glob, self.hosts)))

    def names(self, host: str) -> bool:
        """Tell whether a host is wanted by its name."""
        return not self.hosts or any(name.fullmatch(host) for name in self._names)

    def wants(self, host: str, outcome: Outcome | None) -> bool:
        """Tell whether a host's result is wanted; one that still runs has no outcome."""
        return self.names(host) and (not self.only or outcome in self.only)


WHOLE = Wish()
"""The page's form: every host, a block each."""


def shown(run: Run, kept: Kept, wish: Wish, hosts: Iterable[str], *, interrupted: bool = False) -> Iterator[str]:
    """Yield the text for those of the hosts that are wanted, piece by piece."""
    outcomes = {host: run.outcome(host, interrupted=interrupted) for host in hosts}
    wanted = [host for host, outcome in outcomes.items() if wish.wants(host, outcome)]
    match wish.view:
        case View.HOSTS:
            for host in wanted:
                yield host_block(run, host, kept, interrupted=interrupted)
        case View.STREAM:
            for host in wanted:
                result = run.results.get(host)
                yield "" if result is None else _prefixed(host, printed(result, kept))
        case View.GATHER:
            yield from gathered(run, wanted, kept, wish, interrupted=interrupted)
        case View.SUMMARY:
            yield counted((host, outcomes[host]) for host in wanted)
        case _:
            assert_never(wish.view)


def gathered(run: Run, hosts: list[str], kept: Kept, wish: Wish, *, interrupted: bool = False) -> Iterator[str]:
    """Yield a piece for each group of hosts that ended alike and printed the same, the biggest first."""
    alike = alike_but_for(wish.ignored, kept) if wish.ignored else ended_alike
    groups = groups_of(run, hosts, alike)
    usual = groups[0] if groups and len(groups[0].hosts) > 1 and groups[0].result.stdout.total_bytes else None
    for group in groups:
        text = None if usual is None or group is usual else _different(usual, group, kept, wish)
        if text is None:
            text = _details(run, group) + printed(group.result, kept)
        yield f"{_title(group.hosts, ending(group.result))}\n{text}\n"
    rest: dict[str, list[str]] = {}
    for host in hosts:
        if host not in run.results:
            outcome = run.outcome(host, interrupted=interrupted)
            word = outcome or ("running" if host in run.in_flight else "waiting")
            rest.setdefault(f"[{word}]", []).append(host)
    for said, names in rest.items():
        yield f"{_title(names, said)}\n\n"


def counted(outcomes: Iterable[tuple[str, Outcome | None]]) -> str:
    """Return a line for each outcome: how many hosts, and which."""
    hosts: dict[str, list[str]] = {}
    for host, outcome in outcomes:
        hosts.setdefault(outcome or "not ended", []).append(host)
    width = len(str(max(map(len, hosts.values()), default=0)))
    order = [*Outcome, "not ended"]
    return "".join(
        f"{len(names):>{width}} {outcome:<11} {clean(fold(names))}\n"
        for outcome, names in sorted(hosts.items(), key=lambda entry: order.index(entry[0]))
    )


class WholePrinter:
    """Prints the page's first line, and the results of this leg of the run when it has ended."""

    def __init__(self, out: TextIO, kept: Kept, wish: Wish, run: Run) -> None:
        self._out = out
        self._kept = kept
        self._wish = wish
        self._before = set(run.results)

    def on_record(self, record: Record, run: Run) -> None:
        """Announce the run, or print what it came to."""
        match record.event:
            case TaskDispatched() | TaskResumed():
                announce(self._out, record)
            case TaskFinished() | TaskPaused():
                new = [host for host in run.hosts if host not in self._before]
                self._out.writelines(shown(run, self._kept, self._wish, new))
                self._out.flush()
            case _:
                pass


class StreamPrinter:
    """Prints the page's first line, and then each line of output as it arrives, behind its host's name.

    Both streams of a host go to standard output; each line is one of them. It is a sink for live output and an observer.
    """

    def __init__(self, out: TextIO, wish: Wish) -> None:
        self._out = out
        self._wish = wish
        self._waiting: dict[tuple[str, Stream], bytes] = {}

    def write(self, host: str, stream: Stream, data: bytes) -> None:
        """Take the next bytes of one stream of one host."""
        if not self._wish.names(host):
            return
        whole, newline, rest = (self._waiting.pop((host, stream), b"") + data).rpartition(b"\n")
        while len(rest) > _LINE_BYTES_MAX:
            whole, newline, rest = whole + newline + rest[:_LINE_BYTES_MAX], b"\n", rest[_LINE_BYTES_MAX:]
        if rest:
            self._waiting[host, stream] = rest
        if newline:
            self._print(host, whole + newline)

    def on_record(self, record: Record, run: Run) -> None:  # noqa: ARG002 - the observer's form
        """Announce the run; print what a host that has ended left without a line end."""
        match event := record.event:
            case TaskDispatched() | TaskResumed():
                announce(self._out, record)
            case HostFinished():
                for stream in Stream:
                    rest = self._waiting.pop((event.host, stream), b"")
                    if rest:
                        self._print(event.host, rest)
            case _:
                pass

    def _print(self, host: str, data: bytes) -> None:
        self._out.write(_prefixed(host, clean_block(data)))
        self._out.flush()


def announce(out: TextIO, record: Record) -> None:
    """Print the page's first line."""
    verb = "resumed" if isinstance(record.event, TaskResumed) else "dispatched"
    out.write(f"Task {record.task} {verb}\n")
    out.flush()


def _prefixed(host: str, text: str) -> str:
    name = clean(host)
    return "".join(f"{name}: {line}\n" for line in text.removesuffix("\n").split("\n")) if text else ""


def _title(hosts: Iterable[str], said: str) -> str:
    names = list(hosts)
    return f"{clean(fold(names))}  {len(names)} {'host' if len(names) == 1 else 'hosts'}  {said}"


def _details(run: Run, group: Group) -> str:
    """Return what is known of each host of a group beside its output, each saying once."""
    hosts: dict[str, list[str]] = {}
    for host in group.hosts:
        detail = run.results[host].detail
        if detail:
            hosts.setdefault(detail, []).append(host)
    if len(hosts) == 1 and len(group.hosts) == sum(map(len, hosts.values())):
        return f"{clean(next(iter(hosts)))}\n"
    return "".join(f"{clean(fold(names))}: {clean(detail)}\n" for detail, names in hosts.items())


def _different(usual: Group, group: Group, kept: Kept, wish: Wish) -> str | None:
    """Return how a group's output differs from the usual one; None where its output itself tells more."""
    sides = [_comparable(result, kept, wish) for result in (usual.result, group.result)]
    if sides[0] is None or sides[1] is None or sides[0] == sides[1] or not sides[1]:
        return None
    lines = difference(sides[0], sides[1])
    if lines is None:
        return None
    errors = printed(group.result, kept, Stream.STDERR)
    head = f"(what differs from the {len(usual.hosts)} hosts above)\n"
    return head + "".join(f"{clean_block(line.encode())}\n" for line in lines) + errors


def _comparable(result: HostResult, kept: Kept, wish: Wish) -> bytes | None:
    if result.stdout.is_cut:
        return None
    data = kept(result.stdout.kept_sha256) if result.stdout.total_bytes else b""
    return None if data is None else mask(data, wish.ignored)
