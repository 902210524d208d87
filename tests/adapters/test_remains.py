"""What a command leaves behind: found, killed where that is permitted, and told honestly; and what a lost one ended with."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from time import monotonic

import pytest

from tests.badpeer import Relay, listening
from tests.sshd import Farm, Server, Sink, fresh, marker, order, survivors, until, wait_until
from vigo.core.model import Ended, Host, Kill, Limits, Outcome, Remains, RemainsState

pytestmark = pytest.mark.sshd

TIGHT = Limits(timeout_ms=1500, grace_ms=500)
FULL = [pytest.mark.faults, pytest.mark.timeout(600)]
BRIEF = Limits(timeout_ms=700, grace_ms=100)
SUDO = {
    "sleep": "sudo sleep 900.{0}",
    "setsid": "sudo setsid sleep 900.{0}; sleep 900.{0}",
    "background": "sudo sleep 900.{0} & sleep 900.{0}",
    "deaf": "sudo sh -c 'trap \"\" TERM HUP; while :; do sleep 1; done' 900.{0}",
}
LEAVERS = {
    "b1_group": "sh -c 'sleep 900.{0} & sleep 900.{0}'",
    "b2_deaf": "trap '' TERM; while :; do sleep 1; : 900.{0}; done",
    "b3_grandchild": "(trap '' TERM; exec sleep 900.{0}) & sleep 900.{0}",
    "b4_setsid": "setsid sleep 900.{0} & sleep 900.{0}",
    "b4_nohup": "nohup sleep 900.{0} & sleep 900.{0}",
    "b4_empty_environment": "env -i setsid sleep 900.{0} & sleep 900.{0}",
}


@pytest.fixture(scope="module")
def server(sshd_farm: Farm) -> Server:
    """Return one ordinary server for the module."""
    return sshd_farm.serve()


@pytest.fixture(autouse=True)
def _nothing_stays(sshd_farm: Farm) -> Iterator[None]:
    """End what a test leaves on purpose, with its record: that outlives a wrapper that is killed."""
    yield
    for user in sshd_farm.users:
        subprocess.run(["pkill", "-KILL", "-u", user], check=False)
        subprocess.run(["find", "/tmp", "-maxdepth", "1", "-user", user, "-name", "vigo.*", "-exec", "rm", "-r", "{}", "+"], check=False)  # fmt: skip


def word() -> str:
    """Return digits that tell one test's sleeps from all others: sleep takes them as a fraction of a second."""
    return str(int(re.sub("[^0-9a-f]", "", marker().partition("=")[2])[:12], 16))


def sleeping(digits: str) -> list[int]:
    """Return the pids of processes with these digits among their arguments, the wrapper's own shells left out."""
    return [pid for pid in survivors(f"900.{digits}") if b"d=0 t=" not in _arguments(pid)]


def run(farm: Farm, host: Host, command: str, limits: Limits = TIGHT) -> Ended:
    """Run one command."""
    return asyncio.run(farm.transport().run(order(host, command), limits, Sink(), fresh()))


def look(farm: Farm, host: Host, mark: str) -> Remains:
    """Look once."""
    return asyncio.run(farm.transport().look(host, mark))


@contextmanager
def sudoer(farm: Farm, *, use_pty: bool, permitted: str = "ALL") -> Iterator[str]:
    """Make a user who may use sudo without a password."""
    user = farm.user()
    rule = Path(f"/etc/sudoers.d/{user}")
    rule.write_text(f"Defaults:{user} {'' if use_pty else '!'}use_pty\n{user} ALL=(root) NOPASSWD: {permitted}\n")
    rule.chmod(0o440)
    try:
        yield user
    finally:
        rule.unlink()


def check_verdict(ended: Ended, left: list[int]) -> None:
    """`killed` is never false, and what is left is named."""
    result = ended.result
    assert result.outcome is Outcome.TIMEOUT
    assert (result.kill is Kill.KILLED) == (not left), (result, left)
    assert set(left) <= set(result.kill_pids)


@pytest.mark.parametrize("name", [pytest.param(name, marks=FULL) for name in LEAVERS])
def test_b1_to_b4_nothing_outlives_the_deadline(sshd_farm: Farm, server: Server, name: str) -> None:
    """Whatever it does to stay: gone by timeout, grace and a second."""
    worst = 0.0
    for _ in range(5):
        digits, begin = word(), monotonic()
        ended = run(sshd_farm, sshd_farm.host(server), LEAVERS[name].format(digits), TIGHT)
        worst = max(worst, monotonic() - begin)
        assert not sleeping(digits)
        check_verdict(ended, [])
    print(f"{name}: reported after at most {worst:.2f} s (timeout 1.5 s, grace 0.5 s)")


@pytest.mark.parametrize("end", ["", pytest.param(" >/dev/null 2>&1 </dev/null", marks=pytest.mark.faults)])
def test_b4_what_a_finished_command_leaves_on_purpose_is_left_alone(sshd_farm: Farm, server: Server, end: str) -> None:
    """As with ssh: a service that was started stays, and the run neither waits for it nor kills it at the deadline."""
    digits = word()
    ended = run(sshd_farm, sshd_farm.host(server), f"nohup sleep 900.{digits}{end} & sleep 0.1; echo started")
    assert (ended.result.outcome, ended.result.exit_code) == (Outcome.COMPLETE, 0)
    assert sleeping(digits)


@pytest.mark.parametrize("use_pty", [True, False])
@pytest.mark.parametrize(
    "name", ["deaf", *(pytest.param(name, marks=FULL) for name in ("sleep", "setsid", "background"))]
)
def test_b5_what_sudo_started_is_killed(sshd_farm: Farm, server: Server, name: str, *, use_pty: bool) -> None:
    """It belongs to root, has an empty environment and perhaps another session; sudo itself is asked to kill it."""
    for _ in range(1 if name == "deaf" else 5):
        digits = word()
        with sudoer(sshd_farm, use_pty=use_pty) as user:
            ended = run(sshd_farm, sshd_farm.host(server, user=user), SUDO[name].format(digits))
        check_verdict(ended, sleeping(digits))
        assert ended.result.kill is Kill.KILLED


@pytest.mark.faults
@pytest.mark.parametrize("use_pty", [True, False])
def test_b5_an_orphan_of_sudo_is_known_by_its_audit_session(sshd_farm: Farm, *, use_pty: bool) -> None:
    """Root's, in a session of its own, its parents gone before the deadline: nothing else ties it to the command."""
    server = sshd_farm.serve(UsePAM="yes")
    audited = run(sshd_farm, sshd_farm.host(server), "cat /proc/self/sessionid").kept
    if audited in {(), (b"4294967295",)}:
        pytest.skip("this kernel keeps no audit sessions")
    for _ in range(5):
        digits = word()
        with sudoer(sshd_farm, use_pty=use_pty) as user:
            command = f"sudo sh -c 'setsid sleep 900.{digits} &'; sleep 900.{digits}"
            ended = run(sshd_farm, sshd_farm.host(server, user=user), command)
        check_verdict(ended, sleeping(digits))
        assert ended.result.kill is Kill.KILLED


@pytest.mark.parametrize("use_pty", [True, pytest.param(False, marks=pytest.mark.faults)])
def test_b5_what_may_not_be_killed_is_named(sshd_farm: Farm, server: Server, *, use_pty: bool) -> None:
    """It permits the command but no kill: the verdict gives the pids, and the look still knows them afterwards."""
    digits, mark = word(), fresh()
    with sudoer(sshd_farm, use_pty=use_pty, permitted="/usr/bin/sh") as user:
        host = sshd_farm.host(server, user=user)
        running = sshd_farm.transport().run(order(host, SUDO["deaf"].format(digits)), BRIEF, Sink(), mark)
        try:
            ended = asyncio.run(running)
            left = sleeping(digits)
            check_verdict(ended, left)
            assert left
            assert set(left) <= set(look(sshd_farm, host, mark).pids)
        finally:
            for pid in sleeping(digits):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


@pytest.mark.faults
def test_b6_a_forced_command_that_runs_what_was_asked_is_ended_too(sshd_farm: Farm) -> None:
    """For forced commands sshd drops signal requests; the life line does without them."""
    server, digits = sshd_farm.serve(ForceCommand='exec sh -c "$SSH_ORIGINAL_COMMAND"'), word()
    for _ in range(5):
        check_verdict(
            run(sshd_farm, sshd_farm.host(server), f"sleep 900.{digits} & sleep 900.{digits}"), sleeping(digits)
        )
        assert not sleeping(digits)


def control(farm: Farm, host: Host, command: str, limits: Limits, mark: str) -> subprocess.Popen[bytes]:
    """Start a control process that runs one command."""
    program = f"""
import asyncio
from pathlib import Path
from tests.sshd import Sink, order
from vigo.adapters.ssh import SshTransport
from vigo.core.model import *
from vigo.core.plan import Policy
transport = SshTransport(policy=Policy(), known_hosts=Path({str(farm.known_hosts)!r}), accept_new=False, ssh_config=None)
asyncio.run(transport.run(order({host!r}, {command!r}), {limits!r}, Sink(), {mark!r}))
"""
    return subprocess.Popen([sys.executable, "-c", program], cwd=Path(__file__).parents[2])


def kill_control(process: subprocess.Popen[bytes]) -> None:
    """End it as nothing can be prepared for."""
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("exit 3", (3, None)),
        *(
            pytest.param(end, said, marks=FULL)
            for end, said in (("exit 0", (0, None)), ("kill -KILL $$", (None, "KILL")))
        ),
    ],
)
def test_a_lost_command_is_looked_for_while_it_runs_and_after_it_ended(
    sshd_farm: Farm, server: Server, end: str, said: tuple[int | None, str | None]
) -> None:
    """The control process dies; its host says `running`, then how it ended, and after the deadline nothing is left."""
    mark, host = fresh(), sshd_farm.host(server)
    begun = sshd_farm.directory / sshd_farm.plain_user / mark
    go = begun.with_suffix(".go")
    command = f": > {begun}; while [ ! -e {go} ]; do sleep 0.1; done; {end}"
    process = control(sshd_farm, host, command, Limits(timeout_ms=5_000, grace_ms=500), mark)
    wait_until(begun.exists, what="the command runs")
    kill_control(process)
    running = look(sshd_farm, host, mark)
    assert running.state is RemainsState.RUNNING
    assert running.pids
    go.touch()
    wait_until(lambda: look(sshd_farm, host, mark).state is RemainsState.ENDED, within_s=5, what="its end is on record")
    ended = look(sshd_farm, host, mark)
    assert (ended.exit_code, ended.signal, ended.pids) == (*said, ())
    wait_until(lambda: not Path(f"/tmp/vigo.{mark}").exists(), what="the record is removed at the deadline")
    wait_until(lambda: look(sshd_farm, host, mark).state is RemainsState.NOTHING, what="nothing is left of it")
    assert not survivors(f"i={mark} ")


def test_a_command_whose_result_arrived_leaves_nothing(sshd_farm: Farm, server: Server) -> None:
    """Neither a record nor a process, whether it took longer than a second or not."""
    host = sshd_farm.host(server)
    for command in ("true", "sleep 1.1; exit 4"):
        mark = fresh()
        result = asyncio.run(sshd_farm.transport().run(order(host, command), Limits(), Sink(), mark)).result
        assert result.exit_code == (4 if "4" in command else 0)
        wait_until(partial(_is_gone, mark), what="the guardian is gone")
        assert not Path(f"/tmp/vigo.{mark}").exists()


def test_a_host_that_cannot_be_looked_at_says_why(sshd_farm: Farm, server: Server) -> None:
    """An answer, and no exception."""
    answer = look(sshd_farm, sshd_farm.host(server, port=1), fresh())
    assert answer.state is RemainsState.UNREACHABLE
    assert "refused" in answer.detail


def test_the_record_follows_no_link(sshd_farm: Farm, server: Server, tmp_path: Path) -> None:
    """Whoever guesses the name beforehand gains nothing: the command runs, and there is no record."""
    mark, victim = fresh(), tmp_path / "victim"
    victim.mkdir(mode=0o777)
    trap = Path(f"/tmp/vigo.{mark}")
    trap.symlink_to(victim)
    try:
        running = sshd_farm.transport().run(order(sshd_farm.host(server), "sleep 1.1; exit 4"), Limits(), Sink(), mark)
        assert asyncio.run(running).result.exit_code == 4
        assert not list(victim.iterdir())
    finally:
        trap.unlink()


@pytest.mark.faults
@pytest.mark.timeout(600)
@pytest.mark.parametrize("at_once", [True, False])
def test_b9_a_killed_control_process(sshd_farm: Farm, server: Server, *, at_once: bool) -> None:
    """With kill_on_disconnect gone within 10 s; else by the deadline plus the grace."""
    worst = 0.0
    timeout_ms, bound_s = (600_000, 10.0) if at_once else (6_000, 6.0 + 0.5 + 2.0)
    for _ in range(5):
        digits, host = word(), sshd_farm.host(server)
        limits = Limits(timeout_ms=timeout_ms, grace_ms=500, kill_on_disconnect=at_once)
        process = control(sshd_farm, host, f"setsid sleep 900.{digits} & sleep 900.{digits}", limits, fresh())
        wait_until(partial(_others, digits, process.pid), what="the command runs")
        begin = monotonic()
        kill_control(process)
        wait_until(partial(_is_asleep_no_more, digits), within_s=bound_s + 10, what="all of it is gone")
        worst = max(worst, monotonic() - begin)
    print(f"B9 kill_on_disconnect={at_once}: gone after at most {worst:.2f} s (bound {bound_s:g} s)")
    assert worst <= bound_s


@pytest.mark.faults
@pytest.mark.timeout(600)
@pytest.mark.parametrize("how", ["b14_half_open", "b15_stopped_sshd"])
def test_a_peer_that_falls_silent_is_lost_by_keepalive(sshd_farm: Farm, server: Server, how: str) -> None:
    """Within interval x count and two seconds; what comes later changes nothing; the host still knows how it ended."""
    config = sshd_farm.directory / f"{how}.conf"
    config.write_text("ServerAliveInterval 2\nServerAliveCountMax 2\n")
    worst = 0.0

    async def scenario(mark: str) -> tuple[Ended, float, int]:
        relay = Relay(server.port)
        async with listening(relay.talk) as port:
            known = sshd_farm.directory / f"known_{port}"
            known.write_text(f"[127.0.0.1]:{port} {server.host_key}\n")
            host = sshd_farm.host(server, port=port, known_hosts=str(known))
            sink, before = Sink(), set(server.children())
            transport = sshd_farm.transport(ssh_config=config)
            command = "echo on; sleep 3; echo late; exit 5"
            running = asyncio.create_task(transport.run(order(host, command), Limits(timeout_ms=20_000), sink, mark))
            await until(lambda: sink.written)
            monitors = set(server.children()) - before
            serving = [pid for monitor in monitors for pid in (monitor, *_children(monitor))]
            begin = monotonic()
            if how == "b14_half_open":
                relay.freeze()
            else:
                for pid in serving:
                    os.kill(pid, signal.SIGSTOP)
            ended = await running
            took = monotonic() - begin
            if how != "b14_half_open":
                for pid in serving:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGCONT)
            assert len(sink.written) == 1
            assert set(sink.written.values()) == {b"on\n"}
            remains = await transport.look(host, mark)
            while remains.state is RemainsState.RUNNING:
                await asyncio.sleep(0.2)
                remains = await transport.look(host, mark)
            assert (remains.state, remains.exit_code) == (RemainsState.ENDED, 5)
            return ended, took, 0

    for _ in range(5):
        ended, took, _ = asyncio.run(scenario(fresh()))
        assert ended.result.outcome is Outcome.LOST, ended
        worst = max(worst, took)
    print(f"{how}: lost after at most {worst:.2f} s (interval 2 s x 2)")
    assert worst <= 2 * 2 + 2 + 2


def _is_gone(mark: str) -> bool:
    return not survivors(f"i={mark} ")


def _others(digits: str, control: int) -> set[int]:
    return set(sleeping(digits)) - {control}


def _is_asleep_no_more(digits: str) -> bool:
    return not sleeping(digits)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _arguments(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
