"""Carries a decided job out: wires the engine to SSH, journal and terminal, and turns signals into requests."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from vigo.adapters.probe import HttpProbe
from vigo.adapters.store import Store
from vigo.cli.console import Console
from vigo.cli.dispatch import Job
from vigo.cli.reading import TEXT, show_task
from vigo.cli.wiring import transport_for
from vigo.core.errors import Exit, JournalError
from vigo.core.events import TaskStatus
from vigo.core.guard import Order, Refusal, clear
from vigo.core.model import Outcome, Stream
from vigo.core.rollout import Run
from vigo.engine.execute import Execution, Ports
from vigo.engine.ports import Observer
from vigo.render.live import BlockPrinter, ProgressLines, off_the_record, summary


class NoSink:
    """Live output that nobody watches: the kept output is shown when a host has ended."""

    def write(self, host: str, stream: Stream, data: bytes) -> None:
        """Drop the bytes."""


def carry_out(job: Job, forced: bool, store: Store, console: Console) -> Exit:
    """Run the job to its end and say how it went."""
    return asyncio.run(_carry_out(job, forced, store, console))


async def _carry_out(job: Job, forced: bool, store: Store, console: Console) -> Exit:
    pattern = job.finding.pattern if forced and job.finding is not None else None
    opening = replace(job.opening, forced=forced, pattern=pattern)
    policy = job.plan.policy
    transport = transport_for(policy, accept_new_host_keys=job.request.accept_new_host_keys)
    # Heard from before the dispatch on, but answered only when the loop turns: by then there is an execution to ask.
    causes = _listen(lambda cause, now: execution.cancel(cause, now=now))
    record, lock = store.dispatch(opening)
    with lock:
        observers = _observers(job, store, console)
        ports = Ports(transport, HttpProbe(policy.health_timeout_ms), store, NoSink(), observers, console.say)
        execution = Execution(record.task, Run(opening), partial(_clear, job), policy.limits, ports)
        try:
            await execution.carry_out()
        except JournalError:
            console.say_lines(off_the_record(record.task, execution.run, execution.unrecorded))
            raise
    if job.request.output != TEXT:
        task, status = store.observe(record.task)
        show_task(task, status, job.request.output, store, console)
    console.say_lines(summary(record.task, execution.run).rstrip("\n"))
    return _exit_code(execution.run, causes)


def _observers(job: Job, store: Store, console: Console) -> list[Observer]:
    progress = ProgressLines(console.err)
    return [BlockPrinter(console.out, store.kept), progress] if job.request.output == TEXT else [progress]


def _clear(job: Job, host: str) -> Order | Refusal:
    return clear(job.hosts[host], job.texts[host])


def _listen(cancel: Callable[[str, bool], None]) -> list[str]:
    """Turn signals into requests; the returned list grows with the names of those that came.

    The first SIGINT or SIGHUP lets running hosts finish; the next one, and SIGTERM at once, kills on the hosts. What
    whoever started vigo had it ignore (`nohup`, a script's background job) stays ignored.
    """
    causes: list[str] = []

    def on_signal(number: signal.Signals) -> None:
        now = bool(causes) or number is signal.SIGTERM
        causes.append(number.name)
        cancel(number.name, now)

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, on_signal, number)
    return causes


def _exit_code(run: Run, causes: Sequence[str]) -> Exit:
    match run.status:
        case TaskStatus.ABORTED:
            return Exit.STOPPED
        case TaskStatus.CANCELLED:
            return Exit.TERMINATED if causes[:1] == [signal.SIGTERM.name] else Exit.INTERRUPTED
        case _:
            all_complete = run.counts().get(Outcome.COMPLETE) == len(run.hosts)
            return Exit.OK if all_complete else Exit.HOSTS_FAILED
