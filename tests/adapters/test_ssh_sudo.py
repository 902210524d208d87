"""Commands under sudo and doas: the same output and exit code, killed like any other, and no word to whom it is not for."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from time import monotonic

import pytest

from tests.sshd import Farm, Server, Sink, fresh, marker, order, survivors, until, wait_until
from vigo.adapters.ssh import SshTransport
from vigo.adapters.ssh_secrets import Credentials, Secret
from vigo.core.model import Ended, Host, HostResult, Kill, Limits, Outcome, Reason, Remains, RemainsState
from vigo.core.plan import Policy

pytestmark = [
    pytest.mark.sshd,
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("sudo") is None, reason="makes users and sudoers files: needs root and sudo"
    ),
]

needs_doas = pytest.mark.skipif(shutil.which("doas") is None, reason="needs doas: Debian has it as opendoas")

RIGHT, WRONG = "r1ght-sud0-canary", "wr0ng-sud0-canary"
SUDO = Policy(sudo=True)
TIGHT = Limits(timeout_ms=1500, grace_ms=500)
PTY = pytest.mark.parametrize("use_pty", [True, False])


@pytest.fixture(scope="module")
def server(sshd_farm: Farm) -> Server:
    """Return one ordinary server for the module."""
    return sshd_farm.serve()


@contextmanager
def sudoers(user: str, *lines: str) -> Iterator[str]:
    """Write a sudoers file of the test's own, `{0}` is the user."""
    rule = Path(f"/etc/sudoers.d/{user}")
    rule.touch(0o440)
    rule.write_text("".join(f"{line.format(user)}\n" for line in lines))
    try:
        yield user
    finally:
        rule.unlink()


@contextmanager
def sudoer(farm: Farm, *, use_pty: bool = True, password: str = "", more: str = "") -> Iterator[str]:
    """Make a user who may run everything as everybody, with the password if there is one."""
    user = farm.user(password=password)
    flag = "" if use_pty else "!"
    with sudoers(user, f"Defaults:{{0}} {flag}use_pty{more}", f"{{0}} ALL=(ALL) {'' if password else 'NOPASSWD: '}ALL"):
        yield user


def transport(farm: Farm, policy: Policy = SUDO, password: str = "") -> SshTransport:
    """Return a run's transport, with the sudo password if there is one."""
    return farm.transport(policy, credentials=Credentials(sudo_password=Secret(password)) if password else None)


def run(
    farm: Farm, host: Host, command: str, *, policy: Policy = SUDO, password: str = "", limits: Limits | None = None
) -> Ended:
    """Run one command."""
    way = transport(farm, policy, password)
    return asyncio.run(way.run(order(host, command), limits or Limits(), Sink(), fresh()))


def refused(ended: Ended, reason: Reason, told: str) -> None:
    """Expect that it never ran, and that the reason is told in words."""
    assert (ended.result.outcome, ended.result.reason) == (Outcome.UNREACHABLE, reason), ended
    assert told in ended.result.detail
    assert len(ended.result.detail) < 600
    assert RIGHT not in ended.result.detail


# --- who it runs as, and what comes of it ----------------------------------------------------------------------------


@PTY
def test_it_runs_as_root_with_output_and_exit_code_unchanged(sshd_farm: Farm, server: Server, *, use_pty: bool) -> None:
    """Whether or not sudoers wants a terminal of its own for it."""
    with sudoer(sshd_farm, use_pty=use_pty) as user:
        ended = run(sshd_farm, sshd_farm.host(server, user=user), "id -un; echo err >&2; exit 7")
    assert (ended.result.outcome, ended.result.exit_code) == (Outcome.FAILED, 7)
    assert ended.kept == (b"root\n", b"err\n")


def test_it_runs_as_the_user_who_is_named(sshd_farm: Farm, server: Server) -> None:
    """Not as root."""
    with sudoer(sshd_farm) as user:
        ended = run(sshd_farm, sshd_farm.host(server, user=user), "id -un", policy=Policy(sudo_user="nobody"))
    assert ended.kept == (b"nobody\n",)


KINDS: Sequence[tuple[str, int | None, str | None]] = [
    *((f"exit {code}", code, None) for code in (0, 1, 2, 126, 127, 128, 137, 255)),
    *((f"kill -{name} $$", None, name) for name in ("KILL", "SEGV", "TERM", "HUP", "ABRT", "USR1")),
    ("nosuchcommand", 127, None),
    ("/etc/passwd", 126, None),
]


@pytest.mark.faults
@PTY
@pytest.mark.timeout(300)
def test_b16_exit_codes_and_signals_are_told_exactly(sshd_farm: Farm, server: Server, *, use_pty: bool) -> None:
    """The table of exits, under sudo."""
    with sudoer(sshd_farm, use_pty=use_pty) as user:
        host = sshd_farm.host(server, user=user)
        for command, code, name in KINDS:
            result = run(sshd_farm, host, command).result
            assert (result.exit_code, result.signal) == (code, name), command


def test_priority_is_that_of_the_flag(sshd_farm: Farm, server: Server) -> None:
    """Root's command is as nice as anybody's."""
    with sudoer(sshd_farm) as user:
        ended = run(sshd_farm, sshd_farm.host(server, user=user), "nice; ionice -p $$", limits=Limits(nice=15))
    assert ended.kept == (b"15\nidle\n",)


# --- the password ----------------------------------------------------------------------------------------------------


@PTY
def test_the_password_is_given_when_sudo_asks_and_shown_nowhere(
    sshd_farm: Farm, server: Server, *, use_pty: bool
) -> None:
    """Not in the output, not in arguments; the command's own text and secrets come after it."""
    with sudoer(sshd_farm, use_pty=use_pty, password=RIGHT) as user:
        command = f"id -un; cat; cat /proc/[0-9]*/cmdline 2>/dev/null | grep -c {RIGHT[:-1]}[{RIGHT[-1]}]; printf 'r1ght-%s\\n' {RIGHT[6:]}"
        ended = run(sshd_farm, sshd_farm.host(server, user=user), command, password=RIGHT)
    assert ended.kept == (b"root\n0\n***\n",), ended


def test_a_wrong_password_is_given_once_and_the_host_is_not_reached(sshd_farm: Farm, server: Server) -> None:
    """A second prompt is not answered, neither with the command that would have come next."""
    touched = f"/tmp/{marker()}"
    with sudoer(sshd_farm, password=RIGHT) as user:
        began = monotonic()
        ended = run(sshd_farm, sshd_farm.host(server, user=user), f"touch {touched}", password=WRONG)
        print(f"a wrong password was told after {monotonic() - began:.2f} s")
    refused(ended, Reason.AUTH, "refused the password")
    assert not Path(touched).exists()


@pytest.mark.faults
def test_a_wrong_password_costs_what_the_host_waits_and_no_more(sshd_farm: Farm, server: Server) -> None:
    """PAM keeps a wrong password waiting, some two seconds by default; where it does not, it is told at once."""
    service = Path(f"/etc/pam.d/vigo-test-{os.getpid()}")
    took_s: dict[str, float] = {}
    try:
        for word in ("", " nodelay"):
            service.write_text(f"auth required pam_unix.so{word}\naccount required pam_unix.so\n")
            with sudoer(sshd_farm, password=RIGHT, more=f",pam_service={service.name}") as user:
                host = sshd_farm.host(server, user=user)
                run(sshd_farm, host, "true", password=RIGHT)
                began = monotonic()
                refused(run(sshd_farm, host, "true", password=WRONG), Reason.AUTH, "refused the password")
                took_s[word] = monotonic() - began
    finally:
        service.unlink(missing_ok=True)
    print(f"a wrong password was told after {took_s['']:.2f} s, without PAM's delay {took_s[' nodelay']:.2f} s")
    assert took_s[" nodelay"] * 2 < took_s[""]


def test_a_password_that_is_not_wanted_is_not_given(sshd_farm: Farm, server: Server) -> None:
    """NOPASSWD: even a wrong one does no harm, because nobody asks for it."""
    with sudoer(sshd_farm) as user:
        ended = run(sshd_farm, sshd_farm.host(server, user=user), "cat; echo done", password=WRONG)
    assert ended.kept == (b"done\n",)


def test_without_a_password_nothing_is_asked(sshd_farm: Farm, server: Server) -> None:
    """The default is sudo -n."""
    with sudoer(sshd_farm, password=RIGHT) as user:
        ended = run(sshd_farm, sshd_farm.host(server, user=user), "id -un")
    refused(ended, Reason.AUTH, "a password is required")
    assert "--ask-sudo-password" in ended.result.detail


@pytest.mark.parametrize(
    ("lines", "password", "told"),
    [
        ((), "", "a password is required"),
        ((), RIGHT, "not in the sudoers file"),
        (("{0} ALL=(root) NOPASSWD: /bin/true",), RIGHT, "not allowed to execute '/bin/sh'"),
        (("Defaults:{0} requiretty", "{0} ALL=(ALL) NOPASSWD: ALL"), "", "you must have a tty"),
        (("Defaults:{0} passwd_tries=1", "{0} ALL=(ALL) ALL"), WRONG, "1 incorrect password attempt"),
    ],
    ids=["nobody", "nobody_with_password", "another_command", "requiretty", "one_try"],
)
def test_what_sudo_refuses_is_told_in_its_words(
    sshd_farm: Farm, server: Server, lines: Sequence[str], password: str, told: str
) -> None:
    """And the wrapper's text, which sudo quotes, is not."""
    with sudoers(sshd_farm.user(password=RIGHT), *lines) as user:
        ended = run(sshd_farm, sshd_farm.host(server, user=user), "id", password=password)
    refused(ended, Reason.AUTH, told)
    assert "VIGO_RUN" not in ended.result.detail


@pytest.mark.parametrize(
    "shell", ["sh", *(pytest.param(shell, marks=pytest.mark.faults) for shell in ("bash", "zsh", "fish", "tcsh"))]
)
def test_a_host_without_sudo_has_no_shell_for_it(sshd_farm: Farm, shell: str) -> None:
    """Each login shell says so in its own way."""
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"{shell} is not installed")
    bin_folder = sshd_farm.directory / f"bin-{shell}"
    bin_folder.mkdir()
    (bin_folder / "sh").symlink_to("/bin/sh")
    server = sshd_farm.serve(SetEnv=f"PATH={bin_folder}")
    ended = run(sshd_farm, sshd_farm.host(server, user=sshd_farm.user(path)), "id")
    refused(ended, Reason.NO_SHELL, "has no sudo")


def test_a_shell_that_takes_no_command_is_not_sudos_fault(sshd_farm: Farm, server: Server) -> None:
    """Nologin comes before sudo."""
    ended = run(sshd_farm, sshd_farm.host(server, user=sshd_farm.user("/usr/sbin/nologin")), "id")
    refused(ended, Reason.NO_SHELL, "took no command")


def test_after_three_refusals_the_password_goes_to_no_further_host(sshd_farm: Farm, server: Server) -> None:
    """A slip of the finger locks no account; each host had it once at most."""
    with sudoer(sshd_farm, password=RIGHT) as user:
        hosts = [sshd_farm.host(server, user=user) for _ in range(2)]
        servers = [sshd_farm.serve() for _ in range(4)]
        hosts += [sshd_farm.host(other, user=user) for other in servers]
        way = transport(sshd_farm, password=WRONG)

        async def scenario() -> list[Ended]:
            return await asyncio.gather(*(way.run(order(h, "id"), Limits(), Sink(), fresh()) for h in hosts))

        details = [ended.result.detail for ended in asyncio.run(scenario())]
    assert sum("refused the password of" in detail for detail in details) <= 3
    assert sum("not given the password" in detail or "refused the password before" in detail for detail in details) >= 3


@pytest.mark.parametrize("shell", [pytest.param(s, marks=pytest.mark.faults) for s in ("bash", "zsh", "fish", "tcsh")])
def test_every_login_shell_takes_the_password(sshd_farm: Farm, server: Server, shell: str) -> None:
    """The words before the wrapper mean the same in each."""
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"{shell} is not installed")
    user = sshd_farm.user(path, password=RIGHT)
    with sudoers(user, "{0} ALL=(ALL) ALL"):
        ended = run(sshd_farm, sshd_farm.host(server, user=user), "id -un; echo '!\\\\'", password=RIGHT)
    assert ended.kept[0].startswith(b"root\n!\\")


def test_doas_is_called_as_it_wants_to_be(sshd_farm: Farm) -> None:
    """By a stand-in: it has no long flags, and `--` ends its own."""
    folder = sshd_farm.directory / "doas-bin"
    folder.mkdir()
    doas = folder / "doas"
    doas.write_text(
        '#!/bin/sh\n[ "$1 $2 $4" = "-n -u --" ] || exit 9\nshift 2; user=$1; shift 2\nexec sudo -n -u "$user" "$@"\n'
    )
    doas.chmod(0o755)
    server = sshd_farm.serve(SetEnv=f"PATH={folder}:/usr/bin:/bin")
    with sudoer(sshd_farm) as user:
        ended = run(
            sshd_farm, sshd_farm.host(server, user=user), "id -un", policy=Policy(doas=True, sudo_user="nobody")
        )
    assert ended.kept == (b"nobody\n",), ended


@contextmanager
def doas_rule(line: str) -> Iterator[None]:
    """Add a line to doas' one file, and take that line away again."""
    conf = Path("/etc/doas.conf")
    with conf.open("a") as file:
        file.write(line)
    conf.chmod(0o400)
    try:
        yield
    finally:
        rest = conf.read_text().replace(line, "")
        conf.write_text(rest)
        if not rest:
            conf.unlink()


@needs_doas
def test_doas_gives_root_and_refuses_in_its_words(sshd_farm: Farm, server: Server) -> None:
    """The real one: output, exit code and kill as under sudo; who may not is told so, with the way out."""
    user, digits = sshd_farm.user(), word()
    host, policy = sshd_farm.host(server, user=user), Policy(doas=True)
    with doas_rule(f"permit nopass {user} as root\n"):
        ended = run(sshd_farm, host, "id -un; exit 7", policy=policy)
        late = run(sshd_farm, host, f"setsid sleep 900.{digits} & sleep 900.{digits}", policy=policy, limits=TIGHT)
        other = run(sshd_farm, host, "id", policy=Policy(doas=True, sudo_user="nobody"))
    assert (ended.result.exit_code, ended.kept) == (7, (b"root\n",)), ended
    assert (late.result.outcome, late.result.kill) == (Outcome.TIMEOUT, Kill.KILLED), late
    assert not survivors(f"900.{digits}")
    refused(other, Reason.AUTH, "Operation not permitted")
    with doas_rule(f"permit {user} as root\n"):
        asks = run(sshd_farm, host, "id", policy=policy)
    refused(asks, Reason.AUTH, "Authentication required")
    assert "--ask-sudo-password" not in asks.result.detail, "doas takes none"


# --- the end ---------------------------------------------------------------------------------------------------------


def word() -> str:
    """Return digits that tell one test's sleeps from all others."""
    return str(int(marker().partition("=")[2].replace("-", "")[:12], 16))


@PTY
@pytest.mark.parametrize("password", ["", pytest.param(RIGHT, marks=pytest.mark.faults)], ids=["free", "password"])
def test_b5_a_timeout_leaves_nothing_of_roots(sshd_farm: Farm, server: Server, password: str, *, use_pty: bool) -> None:
    """Killed, and looked for with the same rights: `killed` is never assumed."""
    digits = word()
    command = f"setsid sleep 900.{digits} & (trap '' TERM; sleep 900.{digits}) & sleep 900.{digits}"
    with sudoer(sshd_farm, use_pty=use_pty, password=password) as user:
        ended = run(sshd_farm, sshd_farm.host(server, user=user), command, password=password, limits=TIGHT)
    assert (ended.result.outcome, ended.result.kill) == (Outcome.TIMEOUT, Kill.KILLED), ended
    assert not survivors(f"900.{digits}")


@PTY
@pytest.mark.parametrize("password", ["", pytest.param(RIGHT, marks=pytest.mark.faults)], ids=["free", "password"])
def test_a_lost_command_is_found_and_its_end_is_on_record(
    sshd_farm: Farm, server: Server, password: str, *, use_pty: bool
) -> None:
    """The record is root's, so the look has root's rights too; what runs is told apart from what gave it its rights."""
    digits, mark = word(), fresh()
    with sudoer(sshd_farm, use_pty=use_pty, password=password) as user:
        host = sshd_farm.host(server, user=user)
        state = asyncio.run(
            _lost(sshd_farm, server, host, f"exec >&- 2>&-; sleep 900.{digits}; exit 9", mark, password)
        )
        assert state.outcome is Outcome.LOST, state
        look = partial(_look, sshd_farm, host, mark, password)
        running = look()
        sleeps = survivors(f"900.{digits}")
        assert running.state is RemainsState.RUNNING, running
        assert set(running.pids) & set(sleeps)
        for pid in sleeps:
            if Path(f"/proc/{pid}/comm").read_text() == "sleep\n":
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: look().state is RemainsState.ENDED, what="its end is on record")
        assert look().exit_code == 9
        for pid in survivors(
            f"i={mark} "
        ):  # the record is kept to the deadline by root's wrapper, which sudo waits for
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not survivors(f"i={mark} "), what="the wrapper is gone")
    for record in Path("/tmp").glob(f"vigo.{mark}"):
        shutil.rmtree(record)


async def _lost(farm: Farm, server: Server, host: Host, command: str, mark: str, password: str) -> HostResult:
    way, sink = transport(farm, password=password), Sink()
    ready = f"echo ready; {command}"
    running = asyncio.create_task(way.run(order(host, ready), Limits(timeout_ms=60_000), sink, mark))
    await until(lambda: sink.written)
    _cut(server)
    return (await running).result


def _cut(server: Server) -> None:
    """Kill the process of each login, which has the connection; its monitor takes note of that and ends."""
    for monitor in server.children():
        for pid in Path(f"/proc/{monitor}/task/{monitor}/children").read_text().split():
            os.kill(int(pid), signal.SIGKILL)


def _look(farm: Farm, host: Host, mark: str, password: str) -> Remains:
    return asyncio.run(transport(farm, password=password).look(host, mark))
