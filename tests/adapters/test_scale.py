"""What grows with the fleet grows no faster than the fleet, counted in calls and steps, not in seconds."""

from __future__ import annotations

import cProfile
import gc
import hashlib
import io
import pstats
import time
import tracemalloc
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from bench.journals import write_journal
from vigo.adapters.inventory_yaml import load
from vigo.adapters.store import Store
from vigo.adapters.store_read import Reading
from vigo.core import binding, plan, target
from vigo.core.events import (
    Event,
    GateChecked,
    GateOpened,
    GateProbed,
    HostFinished,
    HostStarted,
    Record,
    TaskDispatched,
    TaskFinished,
    TaskStatus,
)
from vigo.core.gate import GatePolicy
from vigo.core.given import Given, Script
from vigo.core.guard import Order, Refusal, clear
from vigo.core.inventory import Inventory
from vigo.core.model import Host, HostResult, Outcome
from vigo.core.plan import Plan, Policy
from vigo.core.quantity import parse_quantity
from vigo.core.rollout import Run
from vigo.core.target import parse
from vigo.render.board_state import BoardState
from vigo.render.live import ProgressLines

pytestmark = pytest.mark.timeout(600)

_HOSTS = 250
_DONE = HostResult(Outcome.COMPLETE, 42, exit_code=0)
_GROWTH_MAX = 5.0
_TIME_GROWTH_MAX = 8.0
_ROUNDS_MAX = 4
_SIZES = [1_000, pytest.param(5_000, marks=pytest.mark.faults)]
_SHAPES: dict[str, Callable[[int], str]] = {
    "one range": lambda hosts: f"hosts: {{'h-[0-{hosts - 1}]': {{traits: {{rack: r1}}}}}}\n",
    "each by itself": lambda hosts: "groups: {web: {traits: {role: web}}}\nhosts:\n"
    + "".join(f"  h-{n}: {{address: 10.0.{n // 250}.{n % 250}, groups: [web], traits: {{rack: r{n % 40}}}}}\n" for n in range(hosts)),
    "many groups": lambda hosts: "groups:\n"
    + "".join(f"  g{n}: {{traits: {{role: r{n}}}}}\n" for n in range(hosts // 4 + 1))
    + "hosts:\n"
    + "".join(f"  h-{n}: {{groups: [g{n // 4}]}}\n" for n in range(hosts)),
    "each with settings of its own behind one hop": lambda hosts: "hosts:\n  hop: {}\n"
    + "".join(f"  h-{n}: {{ssh: {{user: u{n}, jump: hop}}}}\n" for n in range(hosts)),
}  # fmt: skip
_TARGETS = (
    "all", "h-*", "*web.*", "h-*1*", "@web", "rack=r1*", "rack=~r[12].*", "rack>=r3",
    "not rack=r3 and (h-* or @web)", "h-[1-20] or rack!=r1",
)  # fmt: skip


def _inventory(folder: Path, hosts: int) -> Path:
    path = folder / f"{hosts}.yaml"
    path.write_text(f"groups: {{web: {{traits: {{role: web}}}}}}\nhosts:\n  h-[0001-{hosts:04}]: {{groups: [web]}}\n")
    return path


def _planned(inventory: Inventory) -> Plan:
    hosts = parse("role=web and not h-0001 and *").select(inventory)
    return plan.make(hosts, Policy(batch_sizes=(parse_quantity("10%", flag="--batch-size"),)))


def _folded(made: Plan) -> Run:
    text = binding.adhoc("uptime")
    cleared = [clear(host, binding.render(text, host)) for host in made.hosts]
    assert all(isinstance(answer, Order) for answer in cleared)
    names = tuple(tuple(host.name for host in batch) for batch in made.batches)
    run = Run(TaskDispatched("ops", "uptime", "all", names, made.policy))
    for batch, hosts in enumerate(names):
        for host in hosts:
            run.next_step()
            run.apply(HostStarted(host, batch))
            run.apply(HostFinished(host, _DONE))
    return run


def _calls(work: Callable[[], object]) -> int:
    profile = cProfile.Profile()
    profile.runcall(work)
    return int(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined]


def test_four_times_the_hosts_take_four_times_the_calls(tmp_path: Path) -> None:
    """Inventory, targeting, planning, guarding and folding, each by itself."""
    few, many = (_inventory(tmp_path, count) for count in (_HOSTS, 4 * _HOSTS))
    _folded(_planned(load(few)))  # what is imported and compiled once is counted for neither
    loaded = _calls(lambda: load(many)) / _calls(lambda: load(few))
    fleets = load(few), load(many)
    planned = _calls(lambda: _planned(fleets[1])) / _calls(lambda: _planned(fleets[0]))
    plans = _planned(fleets[0]), _planned(fleets[1])
    folded = _calls(lambda: _folded(plans[1])) / _calls(lambda: _folded(plans[0]))
    print(f"4 x {_HOSTS} hosts: {loaded:.2f} x to load, {planned:.2f} x to plan, {folded:.2f} x to guard and fold")
    assert max(loaded, planned, folded) <= 4.4


def _time_growth(small: Callable[[], object], big: Callable[[], object]) -> float:
    """Return how many times as much CPU time the bigger work takes; what disturbs a measurement only adds to it."""
    taken = [float("inf")] * 2
    gc.disable()  # it walks whatever pytest has made, and when it does is chance
    try:
        for _ in range(_ROUNDS_MAX):
            for which, work in enumerate((small, big)):
                began = time.process_time()
                work()
                taken[which] = min(taken[which], time.process_time() - began)
            if taken[1] <= _GROWTH_MAX * taken[0]:
                break
    finally:
        gc.enable()
    return taken[1] / taken[0]


def _is_near_linear(name: str, small: Callable[[], object], big: Callable[[], object]) -> bool:
    """Say whether work on four times as much is at most five times the work.

    Counted are calls, which noise does not touch. What a call hides (a search in a tuple, a copy) shows as CPU time, where
    the same shape of work would take sixteen times as much: half of that is allowed, since caches take their share.
    """
    calls, seconds = _calls(big) / _calls(small), _time_growth(small, big)
    print(f"four times as much, {name}: {calls:.2f} x the calls, {seconds:.2f} x the CPU time")
    return calls <= _GROWTH_MAX and seconds <= _TIME_GROWTH_MAX


@pytest.mark.parametrize("hosts", [250, *_SIZES[1:]])
def test_any_shape_of_inventory_is_read_in_near_linear_work(tmp_path: Path, hosts: int) -> None:
    """Ranges, single hosts, a group for every four, settings and hops: four times the hosts, at most five times the work."""
    for name, text in _SHAPES.items():
        paths = [tmp_path / f"{count}.yaml" for count in (hosts, 4 * hosts)]
        for path, count in zip(paths, (hosts, 4 * hosts), strict=True):
            path.write_text(text(count))
        assert _is_near_linear(name, *(partial(load, path) for path in paths)), name


@pytest.mark.parametrize("hosts", _SIZES)
def test_targets_and_plans_take_near_linear_work(tmp_path: Path, hosts: int) -> None:
    """Each kind of term, all names written out one by one, all but one taken away, and a batch for every host."""
    fleets = []
    for count in (hosts, 4 * hosts):
        path = tmp_path / f"{count}.yaml"
        path.write_text(_SHAPES["each by itself"](count))
        fleets.append(load(path))
    one_by_one = Policy(batch_sizes=(parse_quantity("1", flag="--batch-size"),))
    works: dict[str, Callable[[Inventory], object]] = {
        "targets": lambda fleet: [parse(text).select(fleet) for text in _TARGETS],
        "names": lambda fleet: parse(target.combine([host.name for host in fleet.hosts])).select(fleet),
        "exclusions": lambda fleet: parse(target.combine(["all"], [h.name for h in fleet.hosts[1:]])).select(fleet),
        "a sample": lambda fleet: target.limit(fleet.hosts, parse_quantity("50%", flag="--limit"), seed=3),
        "batches of one": lambda fleet: plan.make(fleet.hosts, one_by_one),
    }
    for name, work in works.items():
        assert _is_near_linear(name, *(partial(work, fleet) for fleet in fleets)), name


def test_what_a_script_is_costs_once_and_not_for_each_host() -> None:
    """A script of half a megabyte is cleared for the second host, and every other, as fast as a line."""

    def clears(size: int) -> Callable[[], list[Order | Refusal]]:
        data = b"echo some words\n" * (size // 16)
        given = Given(script=Script("deploy.sh", "/srv/deploy.sh", len(data), hashlib.sha256(data).hexdigest()))
        text = binding.render(binding.adhoc("", beside=given, data=data), fleet[0])
        return lambda: [clear(host, text) for host in fleet]

    fleet = [Host(f"h-{n}", str(uuid.uuid4()), None) for n in range(50)]
    line, whole = clears(16), clears(500_000)
    assert all(isinstance(answer, Order) for answer in (*line(), *whole()))
    assert _time_growth(line, whole) <= _TIME_GROWTH_MAX


def _watched(hosts: int) -> Run:
    """Carry out a run with all hosts in flight at once and a gate that asks each, before the eyes of board and lines."""
    names = tuple(f"h-{n}" for n in range(hosts))
    policy = Policy(fanout=hosts, gate=GatePolicy(tcp_port=80))
    run = Run(TaskDispatched("ops", "uptime", "all", (names,), policy))
    observers = BoardState("t0000001", run, 0), ProgressLines(io.StringIO())
    events: list[Event] = [
        *(HostStarted(name, 0) for name in names),
        *(HostFinished(name, _DONE) for name in names),
        GateOpened(0),
        *(GateProbed(0, f"tcp {name}:80", passed=True, detail="open", duration_ms=1) for name in names),
        GateChecked(0, passed=True, detail="", duration_ms=1),
    ]
    for seq, event in enumerate(events, 1):
        run.apply(event)
        for observer in observers:
            observer.on_record(Record(seq, "2026-03-13T12:30:01.042Z", "t0000001", event, ""), run)
    return run


@pytest.mark.parametrize("hosts", _SIZES)
def test_a_run_is_folded_and_watched_in_near_linear_work(hosts: int) -> None:
    """However many hosts are in flight at once and asked by a gate: an event costs the same, for those who watch as well."""
    assert _is_near_linear("hosts in flight and asked", partial(_watched, hosts), partial(_watched, 4 * hosts))


def _written(folder: Path, hosts: int) -> int:
    """Write a task as a run does, turn by turn, and count the steps of SQLite's machine, and ours, that it takes."""
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    names = tuple(f"h-{n}" for n in range(hosts))
    events = [event for name in names for event in (HostStarted(name, 0), HostFinished(name, _DONE))]
    with Store(folder, log=folder / "nobody-listens") as store:
        record, lock = store.dispatch(TaskDispatched("ops", "uptime", "all", (names,)))
        store._open_to_write().set_progress_handler(step, 1)

        def write() -> None:
            for first in range(0, len(events), 64):
                store.append(record.task, events[first : first + 64])
            store.append(record.task, [TaskFinished(TaskStatus.COMPLETE, "")])

        calls = _calls(write)
        lock.release()
    return steps + calls


@pytest.mark.parametrize("hosts", [250, *_SIZES[1:]])
def test_the_journal_is_written_and_read_in_near_linear_work(tmp_path: Path, hosts: int) -> None:
    """Four times the hosts: at most five times the steps to write a task, and to read it back."""
    counts = (hosts, 4 * hosts)
    _written(tmp_path / "before", 1)  # what is imported and compiled once is counted for neither
    few, many = (_written(tmp_path / str(count), count) for count in counts)
    one, four = (
        _steps(tmp_path / str(count), lambda journal: journal.observe(journal.last() or "")) for count in counts
    )
    print(f"4 x {hosts} hosts: {many / few:.2f} x to write, {four / one:.2f} x to read")
    assert max(many / few, four / one) <= _GROWTH_MAX


def test_a_host_that_waits_takes_little_memory(tmp_path: Path) -> None:
    """Its place in inventory, plan, texts and run: at most 20 kB, where the target is half of that."""
    path = _inventory(tmp_path, 4 * _HOSTS)
    tracemalloc.start()
    try:
        made = _planned(load(path))
        text = binding.adhoc("uptime")
        texts = {host.name: binding.act(text, host) for host in made.hosts}
        names = tuple(tuple(host.name for host in batch) for batch in made.batches)
        run = Run(TaskDispatched("ops", "uptime", "all", names, made.policy))
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(texts) == len(run.hosts) == made.total
    print(f"{taken / made.total / 1000:.1f} kB a host")
    assert taken / made.total <= 10_000


def _steps(folder: Path, ask: Callable[[Reading], object]) -> int:
    """Count the steps of SQLite's machine, and ours, that a question takes."""
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    with Reading(folder) as reading:
        connection = reading._open()
        assert connection is not None
        connection.set_progress_handler(step, 1)
        calls = _calls(lambda: ask(reading))
        return steps + calls


@pytest.mark.parametrize(("tasks", "hosts"), [(40, 50), pytest.param(200, 100, marks=pytest.mark.faults)])
def test_a_big_journal_is_asked_as_fast_as_a_small_one(tmp_path: Path, tasks: int, hosts: int) -> None:
    """However much it holds, the list of tasks takes at most 1.5 times the steps that twenty tasks on two hosts take.

    The last task and a beginning of its id are found, and its records read, as if it were alone in its journal.
    """
    write_journal(tmp_path / "few", tasks=20, hosts=2)
    alone = write_journal(tmp_path / "alone", tasks=1, hosts=hosts)
    among = write_journal(tmp_path / "many", tasks=tasks, hosts=hosts)
    few, many = (_steps(tmp_path / name, lambda reading: reading.tasks(20)) for name in ("few", "many"))
    print(f"20 tasks listed: {few} steps of 20 on 2 hosts each, {many} of {tasks} on {hosts}")
    assert many <= 1.5 * few

    def status(task: str) -> Callable[[Reading], object]:
        return lambda reading: (reading.last(), reading.observe(reading.find(task[:6])))

    one, of_many = _steps(tmp_path / "alone", status(alone)), _steps(tmp_path / "many", status(among))
    print(f"status of a task on {hosts} hosts: {one} steps alone, {of_many} among {tasks}")
    assert of_many <= 1.1 * one
