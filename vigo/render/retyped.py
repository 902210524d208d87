"""The command line that asks for a recorded task again, word by word, as a shell reads it.

It is made from the record alone. What a setting has by default is left out; a secret stands as the place to put it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from vigo.core.events import TaskDispatched
from vigo.core.gate import GatePolicy
from vigo.core.given import Given
from vigo.core.plan import OnStop, Policy
from vigo.core.privilege import ROOT
from vigo.core.shape import HostOrder

_LIMITED = re.compile(r"(?P<target>.*) --limit (?P<limit>\d+%?)(?: --seed (?P<seed>-?\d+))?", re.DOTALL)
_MS_PER_S = 1000
_LOGIN = {"password": "--ask-password", "passphrase": "--ask-passphrase", "sudo_password": "--ask-sudo-password"}


def command_line(task: TaskDispatched) -> str:
    """Return the line, flags and all; secret params stand as `name=@FILE`."""
    return " ".join(shlex.quote(word) for word in _words(task))


def _words(task: TaskDispatched) -> Iterator[str]:
    if task.push is not None:
        push = task.push
        yield from ("vigo", "task", "push", push.local, push.remote, "--mode", f"{push.mode:04o}")
        yield from (() if push.replaces else ("--no-replace",))
        yield from ("--verify",) if push.verifies else ()
    else:
        yield from ("vigo", "task", "run", *_what(task))
        for name, value in task.params:
            yield from ("--param", f"{name}={'@FILE' if name in task.secret_params else value}")
    limited = _LIMITED.fullmatch(task.target)
    yield from ("--target", limited["target"] if limited else task.target)
    yield from ("--limit", limited["limit"]) if limited else ()
    seed = task.policy.shape.seed if task.policy.shape.seed is not None else limited and limited["seed"]
    yield from ("--seed", str(seed)) if seed is not None else ()
    yield from _beside(task.given)
    yield from _rights(task.policy)
    yield from _rollout(task.policy)
    yield from _gate(task.policy.gate)
    yield from ("--rollback-command", task.rollback) if task.rollback is not None else ()
    yield from ("--expand",) if task.expand else ()
    yield from ("--force",) if task.forced else ()
    for name, value in task.reach:
        yield from (_LOGIN[name],) if name in _LOGIN else (f"--{name.replace('_', '-')}", value)
    yield from ("--inventory", task.inventory) if task.inventory else ()
    if task.given.script is not None and task.given.script.args:
        yield from ("--", *task.given.script.args)


def _what(task: TaskDispatched) -> Iterator[str]:
    if task.given.script is not None:
        yield from ("--script", task.given.script.local)
    else:
        yield task.task_name or task.command


def _beside(given: Given) -> Iterator[str]:
    for name, value in given.env:
        yield from ("--env", f"{name}={value}")
    yield from ("--shell", given.shell) if given.shell is not None else ()
    yield from ("--stdin", given.stdin.local) if given.stdin is not None else ()
    yield from ("--pty",) if given.has_terminal else ()


def _rights(policy: Policy) -> Iterator[str]:
    if policy.privilege is not None:
        yield f"--{policy.privilege.by}"
        yield from ("--sudo-user", policy.privilege.user) if policy.privilege.user != ROOT else ()


def _rollout(policy: Policy) -> Iterator[str]:
    usual, shape, limits = Policy(), policy.shape, policy.limits
    flags: tuple[tuple[str, object, object], ...] = (
        ("--order", shape.order, HostOrder.INVENTORY),
        ("--spread", shape.spread, None),
        ("--batch-by", shape.batch_by, None),
        ("--batch-order", ",".join(shape.batch_order), ""),
        ("--batch-size", ",".join(map(str, policy.batch_sizes)), ""),
        ("--pause", _time(policy.pause_ms), _time(0)),
        ("--stop-after", policy.stop_after, None),
        ("--max-failures", policy.failures_max, None),
        ("--max-unreachable", policy.unreachable_max, None),
        ("--accept-exit", ",".join(map(str, policy.accept_exit)), "0"),
        ("--on-stop", policy.on_stop, OnStop.ABORT),
        ("--timeout", _time(limits.timeout_ms), _time(usual.limits.timeout_ms)),
        ("--nice", limits.nice, 0),
        ("--fanout", policy.fanout, usual.fanout),
    )
    yield from _given(flags)
    yield from ("--kill-on-disconnect",) if limits.kill_on_disconnect else ()


def _gate(gate: GatePolicy) -> Iterator[str]:
    usual = GatePolicy()
    for url in gate.urls:
        yield from ("--health-check-url", url)
    flags: tuple[tuple[str, object, object], ...] = (
        ("--health-check-command", gate.command, None),
        ("--health-check-tcp", gate.tcp_port, None),
        ("--health-check-timeout", _time(gate.timeout_ms), _time(usual.timeout_ms)),
        ("--health-check-interval", _time(gate.interval_ms), _time(usual.interval_ms)),
        ("--health-check-deadline", _time(gate.deadline_ms), _time(0)),
        ("--health-check-stable", _time(gate.stable_ms), _time(0)),
        ("--health-check-expect", ",".join(_codes(*pair) for pair in gate.expect), "200-299"),
    )
    yield from _given(flags)
    yield from ("--health-check-baseline",) if gate.baseline else ()


def _given(flags: tuple[tuple[str, object, object], ...]) -> Iterator[str]:
    for name, value, usual in flags:
        if value != usual:
            yield from (name, str(value))


def _codes(least: int, most: int) -> str:
    return str(least) if least == most else f"{least}-{most}"


def _time(duration_ms: int) -> str:
    return f"{duration_ms}ms" if duration_ms % _MS_PER_S else f"{duration_ms // _MS_PER_S}s"
