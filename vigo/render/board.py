"""Draws one frame of the board: lines of styled text that fit a screen, made from a `BoardState`.

Rule 1: the work is bounded by the screen: of ten thousand hosts only those that are shown are looked at.
Rule 2: a state is a glyph and a word, its colour comes on top.
Rule 3: all text from outside goes through `sanitize`, and no line is wider than the screen.
Rule 4: when there is not room for all, what the operator may have to act on stays: the state, the failures, Ctrl-C.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, islice

from vigo.core.events import TaskStatus
from vigo.core.model import HostResult
from vigo.core.values import dataclass
from vigo.render.blocks import header
from vigo.render.board_state import LINE_BYTES_MAX, BoardState, Budget, State
from vigo.render.line import Line
from vigo.render.sanitize import clean

_STYLES = {
    State.WAITING: "dim",
    State.RUNNING: "cyan",
    State.COMPLETE: "green",
    State.FAILED: "bold red",
    State.TIMEOUT: "bold red",
    State.UNREACHABLE: "bold magenta",
    State.REJECTED: "bold magenta",
    State.LOST: "bold yellow",
    State.CANCELLED: "yellow",
    State.SKIPPED: "dim",
}
_LETTERS = {
    State.WAITING: ".",
    State.TIMEOUT: "T",
    State.UNREACHABLE: "U",
    State.REJECTED: "R",
    State.LOST: "?",
    State.CANCELLED: "C",
    State.SKIPPED: "-",
}
_UNICODE = {**_LETTERS, State.RUNNING: "▸", State.COMPLETE: "✓", State.FAILED: "✗"}
_ASCII = {**_LETTERS, State.RUNNING: ">", State.COMPLETE: "+", State.FAILED: "X"}
_STATUS_STYLES = {TaskStatus.RUNNING: "bold cyan", TaskStatus.COMPLETE: "bold green"}
_LABEL = 12
_BAR_MAX = 30
_GRID_SHARE = 2
"""Of the lines that are left for grid and rows, the grid has at most one in so many while there are rows to show."""
_HEAD_LINES = 7
_TEXT_MAX = 4
"""Characters of outside text that are looked at, for each column of the screen."""
_S_MS, _MIN_S, _HOUR_S = 1000, 60, 3600


@dataclass(frozen=True, slots=True)
class Look:
    """How a terminal is drawn on: `plain` has ASCII alone, `hints` say what Ctrl-C does, and the next one after it."""

    hints: tuple[str, str]
    plain: bool = False

    def glyph(self, state: State) -> str:
        """Return the sign of a state."""
        return (_ASCII if self.plain else _UNICODE)[state]

    @property
    def dots(self) -> str:
        """What stands for what is left out."""
        return "..." if self.plain else "…"


def frame(state: BoardState, now_ms: int, width: int, height: int, look: Look) -> list[Line]:
    """Return at most `height` lines, each at most `width` cells wide."""
    head = [_title(state, now_ms, width), *_small(state, now_ms, width, look)]
    hint = _hint(state, look)
    if height >= _HEAD_LINES + len(hint):
        head = [*head[:1], _command(state, width), *_strip(state, width, look), *head[1:], *_budgets(state, width)]
    room = height - len(head) - len(hint)
    body = _body(state, now_ms, width, room, look) if room > 0 else []
    lines = [*head[: max(1, height - len(hint))], *body, *hint][: max(height, 1)]
    for line in lines:
        line.cut(width, "" if look.plain else look.dots)
    return lines


def clock(duration_ms: int) -> str:
    """Show a running time in whole seconds: `7s`, `1m 07s`, `2h 03m`."""
    seconds = max(0, duration_ms) // _S_MS
    if seconds < _MIN_S:
        return f"{seconds}s"
    if seconds < _HOUR_S:
        return f"{seconds // _MIN_S}m {seconds % _MIN_S:02}s"
    return f"{seconds // _HOUR_S}h {seconds % _HOUR_S // _MIN_S:02}m"


def last_line(data: bytes) -> str:
    """Return the last line of output that has anything in it, cleaned; what a carriage return hid stays hidden."""
    lines = data[-LINE_BYTES_MAX:].replace(b"\r", b"\n").split(b"\n")
    said = next((line for line in reversed(lines) if line.strip()), b"")
    if said is lines[0] and len(data) >= LINE_BYTES_MAX:
        said = said.lstrip(bytes(range(0x80, 0xC0)))  # the cut may have gone through a character
    return clean(said.strip().decode("utf-8", "backslashreplace"))


def _hint(state: BoardState, look: Look) -> list[Line]:
    if state.status is not TaskStatus.RUNNING:
        return []
    was_signal = state.cancel is not None and state.cancel.cause.startswith("SIG")
    return [Line((look.hints[was_signal], "dim"))]


def _title(state: BoardState, now_ms: int, width: int) -> Line:
    until_ms = now_ms if state.status is TaskStatus.RUNNING else state.last_at_ms
    line = Line((f"task {clean(state.task)} ", "bold"))
    line.append(f"{state.status}", _STATUS_STYLES.get(state.status, "bold red"))
    line.append(f" {clock(until_ms - state.begun_at_ms)}")
    if state.reason:
        line.append(f": {_outside(state.reason, width)}")
    return line


def _command(state: BoardState, width: int) -> Line:
    return _label("command").append(_outside(state.dispatched.command, width))


def _small(state: BoardState, now_ms: int, width: int, look: Look) -> Iterator[Line]:
    """Yield what a screen of a few lines still has: what happens now, and the counts."""
    now = _now(state, now_ms, width)
    if now is not None:
        yield now
    yield from _counts(state, width, look)


def _now(state: BoardState, now_ms: int, width: int) -> Line | None:
    if state.status is not TaskStatus.RUNNING:
        return None
    label = _label("now")
    running = _hosts(len(state.running))
    if state.cancel is not None and state.cancel.now:
        return label.append(f"killing the command on {running} ({clean(state.cancel.cause)})", "bold red")
    if state.halted is not None:
        return label.append(f"stopping, {running} to finish: {_outside(state.halted, width)}", "bold yellow")
    if state.gate is not None:
        return label.append(_gate(state, now_ms, width), "bold")
    if state.pausing is not None:
        left_ms = state.pausing.begun_at_ms + state.pausing.duration_ms - now_ms
        return label.append(f"pause before batch {state.pausing.batch}: {clock(left_ms + 999)} left", "bold")
    if state.batch == len(state.batches):
        return label.append("done")
    size = len(state.batches[state.batch])
    ended = f"{state.ended(state.batch)} of {size} ended"
    return label.append(f"batch {state.batch} ({state.batch + 1} of {len(state.batches)}): {ended}")


def _gate(state: BoardState, now_ms: int, width: int) -> str:
    gate, policy = state.gate, state.dispatched.policy.gate
    if gate is None:
        return ""
    where = "before the first batch" if gate.batch is None else f"after batch {gate.batch}"
    words = f"health check {where}"
    if policy.deadline_ms:
        words += f": {clock(gate.opened_at_ms + policy.deadline_ms - now_ms + 999)} left"
    return f"{words}, {_outside(gate.answer, width)}" if gate.answer else words


def _counts(state: BoardState, width: int, look: Look) -> Iterator[Line]:
    """Yield the counts; one that has no room begins another line, because half a number is another number."""
    line = _label("hosts").append(f"{len(state.cells)}:")
    for each in State:
        if state.counts[each]:
            said = f"{look.glyph(each)} {state.counts[each]} {each}"
            if line.cells + 2 + len(said) > width:
                yield line
                line = _label("")
            line.append("  ").append(said, _STYLES[each])
    yield line


def _strip(state: BoardState, width: int, look: Look) -> list[Line]:
    """Draw the batches that fit, the current one among them; `|` is a gate to come, `=` one that passed."""
    if len(state.batches) == 1 and not state.dispatched.policy.gate.is_set:
        return []
    cell = len(str(len(state.batches))) + (5 if state.dispatched.policy.gate.is_set else 3)
    fit = max(1, (width - _LABEL - 5) // cell)
    first = min(max(0, state.batch - fit // 2), max(0, len(state.batches) - fit))
    line = _label("batches")
    if first:
        line.append(f"{look.dots} ")
    _append_gate(line, state, None)
    for number in range(first, min(first + fit, len(state.batches))):
        stands = _batch_state(state, number)
        line.append(f"{look.glyph(stands)} {number}", _STYLES[stands])
        line.append(" ")
        _append_gate(line, state, number)
    if first + fit < len(state.batches):
        line.append(look.dots)
    return [line]


def _append_gate(line: Line, state: BoardState, batch: int | None) -> None:
    gate = state.dispatched.policy.gate
    if not gate.is_set or (batch is None and not gate.baseline):
        return
    passed = state.gates.get(batch)
    sign = {None: ("| ", "dim"), True: ("= ", "green"), False: ("! ", "bold red")}[passed]
    line.append(*sign)


def _batch_state(state: BoardState, number: int) -> State:
    if state.ended(number) == len(state.batches[number]):
        return State.COMPLETE if state.is_clean(number) else State.FAILED
    if number == state.batch and state.status is TaskStatus.RUNNING:
        return State.RUNNING
    return State.SKIPPED if state.status is not TaskStatus.RUNNING else State.WAITING


def _budgets(state: BoardState, width: int) -> Iterator[Line]:
    for budget in state.budgets:
        yield _bar(budget, width)


def _bar(budget: Budget, width: int) -> Line:
    line = _label(budget.noun)
    if budget.allowed is None:
        line.append(f"{budget.spent}, no limit")
        return line
    cells = max(4, min(_BAR_MAX, width - 40))
    full = cells if budget.spent > budget.allowed else cells * budget.spent // (budget.allowed + 1)
    style = "bold red" if budget.spent > budget.allowed else "yellow" if budget.spent else "green"
    line.append(f"[{'#' * full}{'.' * (cells - full)}]", style)
    over = budget.spent - budget.allowed
    word = "used" if over <= 0 else f"spent, {'one' if over == 1 else over} too many"
    line.append(f" {budget.spent} of {budget.allowed} {word}")
    return line


def _body(state: BoardState, now_ms: int, width: int, room: int, look: Look) -> list[Line]:
    rows_wanted = len(state.missed) + len(state.running)
    columns = max(1, width)
    grid_wanted = -(-len(state.cells) // columns)
    grid_room = min(grid_wanted, max(room // _GRID_SHARE, room - rows_wanted))
    grid = list(_grid(state, columns, grid_room, look)) if len(state.cells) > 1 else []
    return [*grid, *_rows(state, now_ms, width, room - len(grid), look)]


def _grid(state: BoardState, columns: int, lines: int, look: Look) -> Iterator[Line]:
    """Draw a sign for each host, as many as fit, beginning a line before the current batch."""
    total = -(-len(state.cells) // columns)
    first = max(0, min(state.frontier // columns - 1, total - lines))
    if first > 0 or total > lines:
        lines -= 1
        if lines < 1:
            return
        until = min((first + lines) * columns, len(state.cells))
        yield Line((f"hosts {first * columns + 1} to {until} of {len(state.cells)}", "dim"))
    glyphs = {stands: look.glyph(stands) for stands in State}
    for number in range(first, first + lines):
        cells = state.cells[number * columns : (number + 1) * columns]
        # Equal neighbours are one piece: a line of a quiet fleet is one.
        yield Line(*((glyphs[stands] * len(list(run)), _STYLES[stands]) for stands, run in groupby(cells)))


def _rows(state: BoardState, now_ms: int, width: int, room: int, look: Look) -> Iterator[Line]:
    """Draw the hosts that did not complete, the latest first, and those that run longest."""
    if room <= 0:
        return
    running_kept = min(len(state.running), max(1, room // 2)) if room > 1 else 0
    missed = list(islice(reversed(state.missed), room - running_kept))
    for host, result in missed:
        yield _missed(state, host, result, width, look)
    for host, since_ms in islice(state.running.items(), room - len(missed)):
        line = Line((f"{look.glyph(State.RUNNING)} ", _STYLES[State.RUNNING]))
        line.append(f"{_outside(host, width)} ")
        line.append(f"running {clock(now_ms - since_ms)} ", "cyan")
        line.append(last_line(state.tail(host)), "dim")
        yield line


def _missed(state: BoardState, host: str, result: HostResult, width: int, look: Look) -> Line:
    stands = State(result.outcome)
    line = Line((f"{look.glyph(stands)} ", _STYLES[stands]))
    line.append(f"{_outside(host, width)} ")
    line.append(f"{_outside(header(result), width)} ")
    said = last_line(state.tail(host))
    if said:
        line.append(said, "dim")
    return line


def _label(word: str) -> Line:
    return Line((f"{word:<{_LABEL}}", "dim"))


def _outside(text: str, width: int) -> str:
    """Clean as much of a text from outside as can be seen."""
    return clean(text[: width * _TEXT_MAX])


def _hosts(count: int) -> str:
    return f"{count} host" if count == 1 else f"{count} hosts"
