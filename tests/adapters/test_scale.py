"""What grows with the fleet grows no faster than the fleet, counted in calls and steps, not in seconds."""

from __future__ import annotations

import cProfile
import gc
import io
import pstats
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.journals import write_journal
from vigo.adapters.inventory_yaml import load
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
)
from vigo.core.gate import GatePolicy
from vigo.core.guard import Order, clear
from vigo.core.inventory import Inventory
from vigo.core.model import HostResult, Outcome
from vigo.core.plan import Plan, Policy
from vigo.core.quantity import parse_quantity
from vigo.core.rollout import Run
from vigo.core.target import parse
from vigo.render.board_state import BoardState
from vigo.render.live import ProgressLines

_HOSTS = 250
_DONE = HostResult(Outcome.COMPLETE, 42, exit_code=0)
_GROWTH_MAX = 5.0
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


def _growth(small: Callable[[], object], big: Callable[[], object]) -> float:
    """Return how many times as much CPU time the bigger work takes; what disturbs a measurement only adds to it."""
    taken = [float("inf")] * 2
    gc.disable()  # it walks whatever pytest has made, and when it does is chance
    try:
        for _ in range(8):
            for which, work in enumerate((small, big)):
                began = time.process_time()
                work()
                taken[which] = min(taken[which], time.process_time() - began)
            if taken[1] <= _GROWTH_MAX * taken[0]:
                break
    finally:
        gc.enable()
    return taken[1] / taken[0]


@pytest.mark.parametrize("hosts", [250, *_SIZES[1:]])
def test_any_shape_of_inventory_is_read_in_near_linear_time(tmp_path: Path, hosts: int) -> None:
    """Ranges, single hosts, a group for every four, settings and hops: four times the hosts, at most five times the time."""
    for name, text in _SHAPES.items():
        paths = [tmp_path / f"{count}.yaml" for count in (hosts, 4 * hosts)]
        for path, count in zip(paths, (hosts, 4 * hosts), strict=True):
            path.write_text(text(count))
        growth = _growth(*(lambda path=path: load(path) for path in paths))
        print(f"4 x {hosts} hosts, {name}: {growth:.2f} x to load")
        assert growth <= _GROWTH_MAX, name


@pytest.mark.parametrize("hosts", _SIZES)
def test_targets_and_plans_take_near_linear_time(tmp_path: Path, hosts: int) -> None:
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
        growth = _growth(*(lambda fleet=fleet, work=work: work(fleet) for fleet in fleets))
        print(f"4 x {hosts} hosts, {name}: {growth:.2f} x")
        assert growth <= _GROWTH_MAX, name


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
def test_a_run_is_folded_and_watched_in_near_linear_time(hosts: int) -> None:
    """However many hosts are in flight at once and asked by a gate: an event costs the same, for those who watch as well."""
    growth = _growth(lambda: _watched(hosts), lambda: _watched(4 * hosts))
    print(f"4 x {hosts} hosts in flight and asked: {growth:.2f} x")
    assert growth <= _GROWTH_MAX


@pytest.mark.parametrize("hosts", _SIZES)
def test_the_journal_is_written_and_read_in_near_linear_time(tmp_path: Path, hosts: int) -> None:
    """Four times the hosts: at most five times the time to write a task, and to read it back."""
    counts = (hosts, 4 * hosts)
    tasks = {count: write_journal(tmp_path / str(count), tasks=1, hosts=count) for count in counts}

    def read(count: int) -> None:
        with Reading(tmp_path / str(count)) as reading:
            assert len(reading.task(tasks[count]).hosts) == count

    written = _growth(*(lambda n=n: write_journal(tmp_path / str(n), tasks=1, hosts=n) for n in counts))
    found = _growth(*(lambda n=n: read(n) for n in counts))
    print(f"4 x {hosts} hosts: {written:.2f} x to write, {found:.2f} x to read")
    assert max(written, found) <= _GROWTH_MAX


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


def test_the_list_of_tasks_does_not_grow_with_their_hosts(tmp_path: Path) -> None:
    """Twenty tasks on 200 hosts each are listed in at most 1.5 times the steps of twenty on 2 hosts."""
    for hosts in (2, 200):
        write_journal(tmp_path / str(hosts), tasks=20, hosts=hosts)
    small, big = (_steps(tmp_path / str(hosts), lambda reading: reading.tasks(10)) for hosts in (2, 200))
    print(f"20 tasks listed: {small} steps on 2 hosts each, {big} on 200")
    assert big <= 1.5 * small


def test_a_status_does_not_grow_with_the_other_tasks(tmp_path: Path) -> None:
    """The same task after forty others, and after four: its records are found, not searched for."""
    few = write_journal(tmp_path / "few", tasks=4, hosts=20)
    many = write_journal(tmp_path / "many", tasks=40, hosts=20)
    alone = _steps(tmp_path / "few", lambda reading: reading.task(few))
    among = _steps(tmp_path / "many", lambda reading: reading.task(many))
    assert among <= 1.1 * alone
