"""What the hosts printed, for a report: equal output folded, what differs as a diff, and a log for each host.

Rule 1: everything is bounded, in bytes of the page: a report of 10,000 hosts is no larger than one that can be opened.
Rule 2: what was cut or left out is said where it is missing, with the command that shows it whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vigo.core.model import HostResult, Outcome, Output
from vigo.core.quantity import format_duration
from vigo.core.ranges import fold
from vigo.core.rollout import Run
from vigo.render.blocks import Kept, header
from vigo.render.gather import Group, difference, groups_of
from vigo.render.html import Html, block, join, lines_of, tag
from vigo.render.report_state import Look, Story, hosts, look_of, mark, outcome_look

GROUPS_MAX = 40
LOGS_MAX = 1_500
_GROUP_BYTES = 16 * 1024
_GROUPS_BYTES = 300 * 1024
_LOG_BYTES = 16 * 1024
_LOGS_BYTES = 500 * 1024
_LEAST_BYTES = 256
_NAMES_MAX = 1_000
_QUIET = frozenset({Outcome.SKIPPED})


class Budget:
    """Bytes of the page that may still be spent on output, shared fairly among those who ask."""

    def __init__(self, total: int, sharers: int, most: int) -> None:
        self._left = total
        self._sharers = max(1, sharers)
        self._most = most

    def show(self, data: bytes, task: str) -> Html:
        """Return the output as markup; when it is longer than its share, its head and its tail with a note between."""
        share = min(self._most, max(_LEAST_BYTES, self._left // self._sharers))
        self._sharers = max(1, self._sharers - 1)
        shown, raw = block(data[: 4 * share]), share
        if len(data) > 4 * share or _size(shown) > share:
            shown = _cut(data, raw, task)
            while _size(shown) > share + _LEAST_BYTES and raw > _LEAST_BYTES // 4:
                raw //= 2
                shown = _cut(data, raw, task)
        self._left = max(0, self._left - _size(shown))
        return shown


def told_groups(run: Run) -> list[Group]:
    """Fold the hosts that ended and were not skipped, the biggest group first."""
    ended = (host for host in run.hosts if host in run.results)
    return groups_of(run, (host for host in ended if run.results[host].outcome not in _QUIET))


def groups_html(story: Story, groups: Sequence[Group]) -> Html:
    """Return the groups, each with its hosts, and its output or how that differs from most hosts' output."""
    if not groups:
        return tag("p", "No host has ended yet.", class_="soft")
    shown = groups[:GROUPS_MAX]
    budget = Budget(_GROUPS_BYTES, len(shown), _GROUP_BYTES)
    usual = groups[0] if len(groups[0].hosts) > 1 and groups[0].result.stdout.total_bytes else None
    parts = [_group(story, group, usual, budget) for group in shown]
    rest = groups[GROUPS_MAX:]
    if rest:
        count = sum(len(group.hosts) for group in rest)
        parts.append(tag("p", f"{len(rest):,} smaller groups with {hosts(count)} are not shown here.", class_="soft"))
    return join(parts)


def logs_html(story: Story, run: Run, groups: Sequence[Group], *, interrupted: bool) -> Html:
    """Return one entry a host that was started, those that did not complete first, then in plan order."""
    group_of = {host: group for group in groups for host in group.hosts}
    told = [host for host in run.hosts if host in run.results and run.results[host].outcome not in _QUIET]
    told += [host for host in run.hosts if host not in run.results and host in run.in_flight]
    told.sort(key=lambda host: host in run.results and run.results[host].outcome is Outcome.COMPLETE)
    shown = told[:LOGS_MAX]
    own = sum(1 for host in shown if host in group_of and len(group_of[host].hosts) == 1)
    budget = Budget(_LOGS_BYTES, own, _LOG_BYTES)
    numbers = anchors(run)
    parts = []
    for host in shown:
        look = look_of(run, host, interrupted=interrupted)
        body = _body(story, run.results.get(host), group_of.get(host), budget)
        parts.append(_log(run, host, numbers[host], look, body))
    if len(told) > len(shown):
        left = hosts(len(told) - len(shown))
        parts.append(tag("p", f"{left} more: ", tag("code", f"vigo task status {story.task.id}"), class_="soft"))
    return join(parts) if parts else tag("p", "No host was started.", class_="soft")


def anchors(run: Run) -> dict[str, int]:
    """Return the number that each host goes by inside the page."""
    return {host: number for number, host in enumerate(run.hosts)}


def logged(run: Run) -> frozenset[str]:
    """Return the hosts that certainly have an entry; where there are too many, nobody is pointed to one."""
    told = [host for host in run.hosts if host in run.in_flight or host in run.results]
    told = [host for host in told if host in run.in_flight or run.results[host].outcome not in _QUIET]
    return frozenset(told) if len(told) <= LOGS_MAX else frozenset()


def names(some: Sequence[str]) -> str:
    """Return hosts folded into ranges, cut when even that is long."""
    folded = fold(some)
    return folded if len(folded) <= _NAMES_MAX else f"{folded[:_NAMES_MAX]}…"


def _group(story: Story, group: Group, usual: Group | None, budget: Budget) -> Html:
    look = outcome_look(group.result.outcome)
    title = join((mark(look), f" {hosts(len(group.hosts))} · {_ended(group.result)}"))
    parts = [
        tag("h3", title, id=f"g{group.number}"),
        tag("p", names(group.hosts), class_="say"),
    ]
    if group.result.detail:
        parts.append(tag("p", group.result.detail, class_="say"))
    parts += _streams(story, group, usual, budget)
    return tag("div", *parts, class_="panel")


def _streams(story: Story, group: Group, usual: Group | None, budget: Budget) -> Iterator[Html]:
    diff = None
    if usual is not None and usual is not group:
        diff = _diff(story.kept, usual.result.stdout, group.result.stdout)
    if diff is not None:
        yield tag("p", "standard output, as it differs from group 1:", class_="say")
        yield diff
        yield from _stream(story, "standard error", group.result.stderr, budget)
    else:
        yield from _output(story, group.result, budget)


def _output(story: Story, result: HostResult, budget: Budget) -> Iterator[Html]:
    if not result.stdout.total_bytes and not result.stderr.total_bytes:
        yield tag("p", "no output", class_="say")
    yield from _stream(story, "standard output", result.stdout, budget)
    yield from _stream(story, "standard error", result.stderr, budget)


def _stream(story: Story, name: str, output: Output, budget: Budget) -> Iterator[Html]:
    if not output.total_bytes:
        return
    data = story.kept(output.kept_sha256)
    size = f"{output.total_bytes:,} byte{'' if output.total_bytes == 1 else 's'}"
    if data is None:
        yield tag("p", f"{name}: {size}, no longer kept; sha256 {output.sha256}", class_="say")
        return
    yield tag("p", f"{name}, {size}", class_="say")
    if output.is_cut:
        dropped = f"\n[… {output.total_bytes - output.kept_bytes} bytes were not kept …]\n".encode()
        data = data[: output.head_bytes] + dropped + data[output.head_bytes :]
    yield tag("pre", budget.show(data, story.task.id))


def _log(run: Run, host: str, number: int, look: Look, body: Iterator[Html]) -> Html:
    result = run.results.get(host)
    said = f"[{look.word}]" if result is None else header(result)
    title = (mark(look), " ", tag("b", host), " ", tag("span", said, class_="soft"))
    return tag("details", tag("summary", *title), *body, id=f"h{number}")


def _body(story: Story, result: HostResult | None, group: Group | None, budget: Budget) -> Iterator[Html]:
    if result is None or group is None:
        yield tag("p", "It has no outcome in the journal.", class_="say")
        return
    if result.detail:
        yield tag("p", result.detail, class_="say")
    if len(group.hosts) == 1:
        yield from _output(story, result, budget)
    else:
        link = tag("a", f"group {group.number}", href=f"#g{group.number}")
        same = link if group.number <= GROUPS_MAX else f"vigo task status {story.task.id}"
        yield tag("p", f"the same as {hosts(len(group.hosts) - 1)} more: ", same, class_="say")


def _ended(result: HostResult) -> str:
    match result.outcome:
        case Outcome.COMPLETE | Outcome.FAILED if result.exit_code is not None or result.signal:
            end = f"exit={result.exit_code}" if result.signal is None else f"signal={result.signal}"
            return f"{result.outcome} {end}"
        case Outcome.UNREACHABLE:
            return f"{result.outcome}: {result.reason}"
        case Outcome.TIMEOUT:
            return f"{result.outcome} after {format_duration(result.duration_ms)}, {result.kill or ''}"
        case _:
            return result.outcome.value


def _diff(kept: Kept, usual: Output, other: Output) -> Html | None:
    """Return how an output differs from the usual one; None where the output itself tells more, or is too long."""
    if not other.total_bytes or usual.sha256 == other.sha256 or usual.is_cut or other.is_cut:
        return None
    before, after = kept(usual.kept_sha256), kept(other.kept_sha256)
    if before is None or after is None:
        return None
    lines = difference(before, after)
    if lines is None:
        return None
    tones = {"+": "add", "-": "del"}
    rows = (
        tag("span", lines_of(line), class_=tones[line[:1]]) if line[:1] in tones else lines_of(line) for line in lines
    )
    return tag("pre", Html("\n".join(rows)))


def _size(shown: Html) -> int:
    return len(shown.encode())


def _cut(data: bytes, most: int, task: str) -> Html:
    """Return the head and the tail of output; a character that the cut falls into is shown by its bytes."""
    half = max(1, most // 2)
    note = f"\n[… {max(0, len(data) - 2 * half):,} bytes are not shown here; all that is kept: vigo task status {task} …]\n"
    return join((block(data[:half]), lines_of(note), block(data[-half:])))
