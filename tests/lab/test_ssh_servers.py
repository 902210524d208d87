"""The lab's hosts seen by a client: real SSH, exact endings, unbroken bytes, nothing killed by a lost connection."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
from pathlib import Path

import asyncssh
import psutil
import pytest

from tests.lab.labkit import ask, connect, home_of, is_alive, wait_for
from vigo.lab.state import RunningLab

WEB = "web-01.example.com"


def test_each_host_answers_with_its_own_name_key_and_home(lab: RunningLab) -> None:
    """known_hosts holds another key for each port, and a client that checks strictly reaches every host."""
    answers = {
        host.name: ask(lab, host.name, "hostname; pwd; echo $HOME").stdout.decode().split() for host in lab.hosts
    }
    assert {name: answer[0] for name, answer in answers.items()} == {name: name for name in answers}
    assert all(answer[1] == answer[2] for answer in answers.values())
    assert len({answer[2] for answer in answers.values()}) == len(lab.hosts)
    keys = [line.split()[2] for line in (lab.folder / "known_hosts").read_text().splitlines()]
    assert len(set(keys)) == len(lab.hosts)


def test_commands_run_as_the_one_the_lab_names(lab: RunningLab) -> None:
    """`runs_as` is no promise but a fact, and with root's lab it is not root."""
    assert ask(lab, WEB, "id -un").stdout.decode().strip() == lab.runs_as
    assert (lab.runs_as == "nobody") == (os.geteuid() == 0)


@pytest.mark.parametrize("code", [0, 1, 2, 126, 127, 128, 255])
def test_exit_codes_arrive_exactly(lab: RunningLab, code: int) -> None:
    """An exit code is the command's own, 255 included."""
    answer = ask(lab, WEB, f"exit {code}")
    assert (answer.code, answer.signal) == (code, None)


@pytest.mark.parametrize("name", ["KILL", "TERM", "SEGV", "HUP"])
def test_signals_arrive_by_name(lab: RunningLab, name: str) -> None:
    """A command that a signal ended is told apart from one that exited."""
    answer = ask(lab, WEB, f"ulimit -c 0; kill -{name} $$")
    assert (answer.code, answer.signal) == (None, name)


def test_both_streams_arrive_unbroken_and_apart(lab: RunningLab) -> None:
    """Every byte value survives, in order, on the stream it was written to."""
    line = bytes(range(256))
    octal = "".join(f"\\{byte:03o}" for byte in line)
    answer = ask(lab, WEB, f"printf '{octal}'; printf '{octal}' >&2; printf '{octal}'")
    assert answer.stdout == line * 2
    assert answer.stderr == line


def test_standard_input_arrives_whole_and_ends(lab: RunningLab) -> None:
    """Eight megabytes go through a pipe that holds 64 KiB, and the command sees the end of its input."""
    sent = os.urandom(1 << 20) * 8
    answer = ask(lab, WEB, "sha256sum; cat", sent)
    assert answer.stdout.split()[0].decode() == hashlib.sha256(sent).hexdigest()


def test_a_command_that_does_not_read_its_input_ends_all_the_same(lab: RunningLab) -> None:
    """Input that nobody takes holds nothing up."""
    answer = ask(lab, WEB, "exec <&-; echo done; exit 4", os.urandom(4 << 20))
    assert (answer.code, answer.stdout) == (4, b"done\n")


def test_a_client_that_does_not_read_holds_the_command_up(lab: RunningLab) -> None:
    """Output waits in the command's pipe: the server takes what the client's window holds (2 MiB) and little more."""
    server = psutil.Process(lab.pid)

    def taken() -> int:
        return int(server.io_counters().read_chars)

    async def run() -> None:
        async with connect(lab, WEB) as connection:
            chan, _ = await connection.create_session(
                asyncssh.SSHClientSession, "head -c 300000000 /dev/zero; :", encoding=None
            )
            chan.pause_reading()
            before = taken()
            await asyncio.to_thread(wait_for, lambda: taken() - before > 1 << 20)
            for _ in range(60):  # each of them is many turns of the server's loop
                await connection.run("true")
            assert taken() - before < 4 << 20

    asyncio.run(run())


def test_only_the_lab_user_with_the_lab_key_gets_in(lab: RunningLab, tmp_path: Path) -> None:
    """Another key, another name, a password or nothing at all: permission denied."""
    other = tmp_path / "other"
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(other)

    async def attempt(**changes: object) -> None:
        async with connect(lab, WEB, **changes):
            pytest.fail("was let in")

    for changes in (
        {"client_keys": [str(other)]},
        {"username": "somebody-else"},
        {"client_keys": None, "password": "vigo"},
        {"client_keys": None},
    ):
        with pytest.raises(asyncssh.PermissionDenied):
            asyncio.run(attempt(**changes))


def test_hosts_listen_on_loopback_alone(lab: RunningLab) -> None:
    """No socket of the lab is bound to anything but 127.0.0.1."""
    listening = {c.laddr.ip for c in psutil.Process(lab.pid).net_connections("inet") if c.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}


def test_a_lost_connection_ends_the_input_and_kills_nothing(lab: RunningLab) -> None:
    """As with OpenSSH: the command sees the end of its stdin and goes on."""
    seen = home_of(lab, WEB) / "seen"

    async def run() -> int:
        connection = await connect(lab, WEB)
        process = await connection.create_process("echo $$; cat >/dev/null; echo end >seen; exec sleep 600")
        pid = int(await process.stdout.readline())
        connection.abort()
        await connection.wait_closed()
        return pid

    pid = asyncio.run(run())
    wait_for(lambda: seen.exists() and is_alive(pid))
    assert os.getpgid(pid) == pid == os.getsid(pid)
    os.killpg(pid, signal.SIGKILL)
    wait_for(lambda: not is_alive(pid))


def test_a_background_child_keeps_the_channel_open_but_not_the_exit_status_back(lab: RunningLab) -> None:
    """The status arrives when the command ends; the output ends when the last one who can write is gone."""

    async def run() -> None:
        async with connect(lab, WEB) as connection:
            process = await connection.create_process("sleep 600 & echo $!; exit 3")
            pid = int(await process.stdout.readline())
            await asyncio.to_thread(wait_for, lambda: process.exit_status == 3)
            assert not process.stdout.at_eof()
            assert is_alive(pid)
            os.kill(pid, signal.SIGTERM)
            await process.wait_closed()
            assert process.exit_status == 3

    asyncio.run(run())


def test_a_signal_request_reaches_the_commands_group(lab: RunningLab) -> None:
    """What `ssh -o` clients rely on: the signal goes to the command and its children."""

    async def run() -> None:
        async with connect(lab, WEB) as connection:
            process = await connection.create_process("sleep 600 & echo ready; wait")
            await process.stdout.readline()
            process.send_signal("TERM")
            await process.wait_closed()
            assert process.exit_signal[0] == "TERM"

    asyncio.run(run())


def test_a_shell_reads_its_commands_from_standard_input(lab: RunningLab) -> None:
    """A session without a command is a login shell, as with OpenSSH."""

    async def run() -> tuple[int | None, str]:
        async with connect(lab, WEB) as connection:
            done = await connection.run(input="echo one; exit 9\n")
            return done.exit_status, str(done.stdout)

    assert asyncio.run(run()) == (9, "one\n")


def test_a_command_too_long_for_the_system_says_so(lab: RunningLab) -> None:
    """The command is not cut and not lost: the shell could not be started with it."""
    answer = ask(lab, WEB, "true " + "x" * 200_000)
    assert answer.code == 1
    assert b"Argument list too long" in answer.stderr


def test_many_commands_at_once_all_end_well(lab: RunningLab) -> None:
    """Sixty commands over five hosts, each with its own output and code."""

    async def one(connection: asyncssh.SSHClientConnection, number: int) -> tuple[int | None, str]:
        done = await connection.run(f"echo {number}; exit {number}")
        return done.exit_status, str(done.stdout)

    async def run() -> list[tuple[int | None, str]]:
        async with connect(lab, WEB) as first, connect(lab, "db-01.example.com") as second:
            return await asyncio.gather(*(one((first, second)[n % 2], n) for n in range(60)))

    assert asyncio.run(run()) == [(n, f"{n}\n") for n in range(60)]
