"""Carries a decided task out: wires the engine to SSH, journal and terminal, and turns signals into requests."""

from __future__ import annotations

import asyncio
import secrets
import signal
from collections.abc import Callable, Sequence

from vigo.adapters.locks import RunLock
from vigo.adapters.probe import HttpProbe
from vigo.adapters.requests import watch
from vigo.adapters.store import Store
from vigo.adapters.store_read import Reading
from vigo.adapters.store_thread import ThreadedJournal
from vigo.cli.board import following
from vigo.cli.console import Console
from vigo.cli.errand import Errand, gate_asks
from vigo.cli.loop import carry_through
from vigo.cli.notifying import Notices
from vigo.cli.outlet import behind_a_thread, see_out
from vigo.cli.reading import TEXT, show_task
from vigo.cli.results import EVENTS, Showing, Tee
from vigo.cli.wiring import transport_for
from vigo.core.errors import Exit, JournalError
from vigo.core.events import Record, TaskStatus
from vigo.core.guard import Order, Refusal, clear
from vigo.core.model import Host, Outcome
from vigo.core.rollout import Run
from vigo.engine.execute import Execution, Ports, Work
from vigo.render.live import off_the_record, summary

_MARK_BYTES = 10


def carry_out(
    errand: Errand,
    begin: Callable[[], tuple[Run, Record, RunLock]],
    store: Store,
    console: Console,
    notices: Notices,
) -> Exit:
    """Run a task to its end and say how it went.

    `begin` puts the dispatch, or the resume, on record, and returns the run with that record and the task's lock. It is
    called when signals are already heard. Who is to be told is told last, and also when the journal gave way.
    """
    begun: list[tuple[str, Run]] = []
    causes: list[str] = []

    def noted() -> tuple[Run, Record, RunLock]:
        run, opening, lock = begin()
        begun.append((opening.task, run))
        return run, opening, lock

    unblocked, outlet = behind_a_thread(console)
    try:
        code = carry_through(_carry_out(errand, noted, store, unblocked, causes))
    finally:
        for task, run in begun:
            notices.tell(task, run, console)
    if outlet is not None:
        see_out(outlet, begun[0][0], code, console, was_told_to_stop=bool(causes))
    return code


async def _carry_out(
    errand: Errand, begin: Callable[[], tuple[Run, Record, RunLock]], store: Store, console: Console, causes: list[str]
) -> Exit:
    policy = errand.plan.policy
    transport = transport_for(
        policy,
        accept_new_host_keys=errand.accept_new_host_keys,
        overrides=errand.overrides,
        ssh_config=errand.ssh_config,
        credentials=errand.credentials,
    )

    def address_of(host: Host) -> str:
        place = transport.destination(host)
        return host.endpoint if place is None else place[0]

    results = Showing.of(errand.results, errand.output)
    # Heard from before the dispatch on, but answered only when the loop turns: by then there is an execution to ask.
    _listen(causes, lambda cause, now: execution.cancel(cause, now=now))
    run, opening, lock = begin()
    with lock, Reading(store.folder) as reading:
        view = following(errand.progress, opening, run, console)
        observers, sinks = results.open(reading.kept, run, view.console)
        probe = HttpProbe(policy.gate.timeout_ms, policy.gate.expect)
        async with ThreadedJournal(store) as journal:
            sink = Tee([view.sink, *sinks], view.console.say)
            ports = Ports(transport, probe, journal, sink, [*observers, *view.observers], view.console.say)
            execution = Execution(opening.task, run, _work(errand, address_of), ports, policy.fanout)
            execution.announce(opening)
            try:
                async with view.drawn, watch(store.folder, opening.task, execution.cancel):
                    await execution.carry_out()
            except JournalError:
                console.say_lines(off_the_record(opening.task, run, execution.unrecorded))
                raise
            finally:
                await transport.close()
        if errand.output not in (TEXT, EVENTS):
            task, status = reading.observe(opening.task)
            show_task(task, status, errand.output, reading, console)
    for remark in transport.remarks:
        console.say(remark)
    console.say_lines(summary(opening.task, run, console.err_columns).rstrip("\n"))
    return exit_code(run, causes)


def _work(errand: Errand, address_of: Callable[[Host], str]) -> Work:
    """Return what the engine does with names; `address_of` says where a host's ports are."""
    hosts = {host.name: host for host in errand.plan.hosts}

    def clear_check(host: str) -> Order | Refusal:
        return clear(hosts[host], errand.checks[host])

    return Work(
        clear=lambda host: clear(hosts[host], errand.texts[host]),
        clear_check=clear_check,
        asks=lambda names: gate_asks(errand.plan.policy.gate, [hosts[name] for name in names], address_of),
        mark=lambda: secrets.token_hex(_MARK_BYTES),
    )


def _listen(causes: list[str], cancel: Callable[[str, bool], None]) -> None:
    """Turn signals into requests; `causes` grows with the names of those that came.

    The first SIGINT or SIGHUP lets running hosts finish; the next one, and SIGTERM at once, kills on the hosts. What
    whoever started vigo had it ignore (`nohup`, a script's background job) stays ignored.
    """

    def on_signal(number: signal.Signals) -> None:
        now = bool(causes) or number is signal.SIGTERM
        causes.append(number.name)
        cancel(number.name, now)

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, on_signal, number)


def exit_code(run: Run, causes: Sequence[str] = ()) -> Exit:
    """Return the exit code that a run's end means; `causes` are the signals that came, the first one first."""
    match run.status:
        case TaskStatus.ABORTED:
            return Exit.STOPPED
        case TaskStatus.PAUSED if run.halted is not None:
            return Exit.STOPPED
        case TaskStatus.CANCELLED:
            return Exit.TERMINATED if causes[:1] == [signal.SIGTERM.name] else Exit.INTERRUPTED
        case _:
            counts = run.counts()
            return Exit.OK if counts.get(Outcome.COMPLETE, 0) == counts.total() else Exit.HOSTS_FAILED
