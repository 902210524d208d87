"""What grows with the fleet grows no faster than the fleet, counted in calls and steps, not in seconds."""

from __future__ import annotations

import cProfile
import pstats
import tracemalloc
from collections.abc import Callable
from pathlib import Path

from bench.journals import write_journal
from vigo.adapters.inventory_yaml import load
from vigo.adapters.store_read import Reading
from vigo.core import binding, plan
from vigo.core.events import HostFinished, HostStarted, TaskDispatched
from vigo.core.guard import Order, clear
from vigo.core.inventory import Inventory
from vigo.core.model import HostResult, Outcome
from vigo.core.plan import Plan, Policy
from vigo.core.quantity import parse_quantity
from vigo.core.rollout import Run
from vigo.core.target import parse

_HOSTS = 250
_DONE = HostResult(Outcome.COMPLETE, 42, exit_code=0)


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
