"""Secrets to log in with, as an operator gives them: asked for before anything connects, and found nowhere afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.asking import OTP, RIGHT, Asking, served
from tests.cli.conftest import Vigo
from tests.sshd import Farm, Server, make_key
from vigo.cli.ssh_flags import Reach, Wanted
from vigo.core.errors import UsageError

pytestmark = [pytest.mark.sshd, pytest.mark.timeout(300)]

PROMPT = "SSH password of the targets (not shown): "
RUN = ("task", "run", "id -un", "--target", "all", "-i", "inventory.yaml")


@pytest.fixture(scope="module")
def insider(sshd_farm: Farm) -> str:
    """Return a user who has a password."""
    return sshd_farm.user(password=RIGHT)


@pytest.fixture(scope="module")
def server(sshd_farm: Farm) -> Server:
    """Return a server that takes passwords and nothing else."""
    return sshd_farm.serve(["127.0.38.1"], PasswordAuthentication="yes", AuthorizedKeysFile="none")


@pytest.fixture
def fleet(vigo: Vigo, sshd_farm: Farm, server: Server, insider: str) -> Vigo:
    """Return the program with an inventory of one host on that server, and the password in a file."""
    (vigo.home / "inventory.yaml").write_text(
        f"defaults: {{ssh: {{user: {insider}, port: {server.port}, known_hosts: {sshd_farm.known_hosts}}}}}\n"
        "hosts: {web-01: {address: 127.0.38.1}}\n"
    )
    secret = vigo.home / "password"
    secret.write_text(RIGHT + "\n")
    secret.chmod(0o600)
    return vigo


def test_a_password_comes_from_a_file_and_a_rerun_takes_it_from_a_descriptor(fleet: Vigo) -> None:
    """On record is that there was one; no more."""
    done = fleet(*RUN, "--password-file", "password")
    assert (done.code, "web-01 [complete]" in done.out) == (0, True), done
    [dispatched] = [event for event in fleet.events() if event["kind"] == "task.dispatch"]
    assert '["password", "asked"]' in str(dispatched).replace("'", '"')
    again = ("task", "rerun", dispatched["task"], "--only", "complete")
    alone = fleet(*map(str, again))
    assert (alone.code, "--password-file" in alone.err) == (2, True), alone
    argv = ["sh", "-c", 'exec "$@" --password-fd 3 3<password', "sh", *fleet.command(*map(str, again))]
    done_again = subprocess.run(argv, cwd=fleet.home, env=fleet.env, capture_output=True, check=False, timeout=60)
    assert (done_again.returncode, b"web-01 [complete]" in done_again.stdout) == (0, True), done_again
    stored = b"".join(path.read_bytes() for path in (fleet.home / "data").rglob("*") if path.is_file())
    assert RIGHT.encode() not in stored


def test_what_cannot_be_had_is_refused_before_anything_is_on_record(fleet: Vigo) -> None:
    """Exit 2, the flag and the way out."""
    done = fleet(*RUN, "--ask-password")
    assert (done.code, done.out) == (2, ""), done
    assert "no terminal to ask on; give --password-file FILE" in done.err
    assert fleet.events() == []


@pytest.mark.parametrize(
    "flags",
    [
        {"ask_password": True, "password_file": "f"},
        {"ask_password": True, "password_fd": 0},
        {"password_file": "f", "password_fd": 0},
        {"ask_passphrase": True, "passphrase_file": "f"},
        {"ask_sudo_password": True, "sudo_password_file": "f"},
        {"ask_sudo_password": True, "sudo_password_fd": 0},
        {"sudo_password_file": "f", "sudo_password_fd": 0},
    ],
)
def test_one_secret_comes_from_one_place(flags: dict[str, Any]) -> None:
    """Two are a slip; what a recorded task had is asked for only where the flags name no place."""
    with pytest.raises(UsageError, match="two places for one secret"):
        Wanted(**flags).check()
    for name, value in flags.items():
        Wanted(**{name: value}).check()
        assert Wanted(**{name: value}).again(Reach(has_password=True, has_passphrase=True)).password
    assert Wanted().again(Reach(has_password=True)) == Wanted(ask_password=True)
    assert Wanted(password_file="f").again(Reach(has_password=True)) == Wanted(password_file="f")


def test_the_password_is_asked_for_once_before_the_dispatch_and_not_shown(fleet: Vigo) -> None:
    """On a terminal; and a process that holds one writes no core file."""
    with fleet.on_a_terminal(*RUN[:2], "sleep 1", *RUN[3:], "--ask-password") as child:
        child.expect_exact(PROMPT)
        assert "dispatched" not in (child.before or "")
        child.sendline(RIGHT)
        child.expect_exact("dispatched")
        assert RIGHT not in (child.before or "")
        limits = Path(f"/proc/{child.pid}/limits").read_text().splitlines()
        assert [line.split()[4] for line in limits if line.startswith("Max core")] == ["0"]
        child.expect_exact("web-01 [complete]")
        child.expect_exact("1 complete")


def test_keys_are_unlocked_on_the_terminal(fleet: Vigo, sshd_farm: Farm, tmp_path: Path) -> None:
    """A slip is told at once, and one passphrase opens all keys that it fits; nothing was connected until then."""
    keys = [make_key(tmp_path / name, passphrase="open sesame") for name in ("one", "two")]
    authorized = sshd_farm.directory / "two_keys"
    authorized.write_text("".join(Path(f"{key}.pub").read_text() for key in keys))
    server = sshd_farm.serve(["127.0.38.2"], AuthorizedKeysFile=str(authorized))
    (fleet.home / "inventory.yaml").write_text(
        f"defaults: {{ssh: {{user: {sshd_farm.plain_user}, port: {server.port}, known_hosts: {sshd_farm.known_hosts}}}}}\n"
        "hosts:\n" + "".join(f"  {key.name}: {{address: 127.0.38.2, ssh: {{identity: {key}}}}}\n" for key in keys)
    )
    with fleet.on_a_terminal(*RUN, "--ask-passphrase") as child:
        child.expect_exact(f"passphrase of {keys[0]} (not shown")
        child.sendline("sesame")
        child.expect_exact(f"that does not open {keys[0]}")
        assert server.log.count("Connection from") == 1, "the test's own look at the port"
        child.expect_exact(f"passphrase of {keys[0]} (not shown")
        child.sendline("open sesame")
        child.expect_exact("2 complete")
        assert "passphrase" not in (child.before or "")


def test_a_code_is_asked_for_on_the_terminal_with_the_hosts_name(fleet: Vigo, tmp_path: Path) -> None:
    """The password is answered by itself; what a host sends cannot drive the terminal."""
    asking = Asking(rounds=OTP)
    with served(asking, "127.0.38.3", tmp_path) as host:
        (fleet.home / "inventory.yaml").write_text(
            f"hosts: {{bank: {{address: 127.0.38.3, ssh: {{user: ops, port: {host.ssh.port}, "
            f"known_hosts: {host.ssh.known_hosts}}}}}}}\n"
        )
        with fleet.on_a_terminal(*RUN, "--password-file", "password") as child:
            child.expect(r"\(ops@bank\) [^\x1b]*Verification code[^\x1b]*: ")
            child.sendline("123456")
            child.expect_exact("[unreachable] no_shell")
    assert [answer for _, answer in asking.given] == [RIGHT, "123456"]


# --- the fault catalogue ---------------------------------------------------------------------------------------------


@pytest.mark.faults
@pytest.mark.parametrize("stdin", ["tty", "closed"])
def test_nothing_prompts_unless_a_flag_says_so(fleet: Vigo, tmp_path: Path, stdin: str) -> None:
    """A22: a password-only server and an encrypted key, without an agent: told in time, with the fix, silently."""
    locked = make_key(tmp_path / "locked", passphrase="secret")
    worst_s = whole_s = 0.0
    for _ in range(10):
        controller, terminal = os.openpty()
        began = time.monotonic()
        done = subprocess.run(
            fleet.command(*RUN, "--identity", str(locked), "-o", "json"),
            cwd=fleet.home, env=fleet.env, stdin=terminal if stdin == "tty" else None, stdout=subprocess.PIPE,
            stderr=terminal, preexec_fn=None if stdin == "tty" else _close_stdin, start_new_session=True, check=False,
            timeout=60,
        )  # fmt: skip
        whole_s = max(whole_s, time.monotonic() - began)
        os.set_blocking(controller, False)
        shown = os.read(controller, 65536).decode()
        os.close(controller)
        os.close(terminal)
        assert done.returncode == 1
        [host] = json.loads(done.stdout)["hosts"]
        assert (host["outcome"], host["reason"]) == ("unreachable", "auth")
        assert "--ask-passphrase" in host["detail"]
        assert "--ask-password" in host["detail"]
        worst_s = max(worst_s, host["duration_ms"] / 1000)
        assert "not shown" not in shown
        assert "passphrase of" not in shown
    print(f"A22 {stdin}: {worst_s:.2f} s at worst, {whole_s:.2f} s with the program's start; 0 prompts")
    assert worst_s <= 2


def _close_stdin() -> None:
    os.close(0)


CANARY = "c4nary-in-the-mine"

_BREAKS = {
    "after": "import vigo.cli.live as m; m.summary = boom",
    "login": "import vigo.adapters.ssh_auth as m; old = m.Secret.reveal\n"
    "def reveal(self): boom(old(self))\nm.Secret.reveal = reveal",
    "fetch": "import vigo.cli.credentials as m; m.no_core = boom; m.replace = boom",
    "none": "",
}


@pytest.mark.faults
@pytest.mark.parametrize("place", list(_BREAKS))
def test_a_secret_is_found_nowhere_whatever_breaks(
    fleet: Vigo, sshd_farm: Farm, insider: str, server: Server, place: str
) -> None:
    """D15: arguments and environment of all processes, journal, both streams, tracebacks of faults in vigo, core files."""
    user = sshd_farm.user(password=CANARY)
    inventory = fleet.home / "inventory.yaml"
    inventory.write_text(inventory.read_text().replace(insider, user))
    (fleet.home / "password").write_text(CANARY)
    (fleet.home / "run.py").write_text(
        f"def boom(*secret, **named): raise RuntimeError('provoked')\n{_BREAKS[place]}\n"
        "from vigo.cli.main import main\nmain()\n"
    )
    argv = [sys.executable, "run.py", *RUN, "--password-file", "password"]
    argv[4] = "sleep 1; id -un"
    with sampled(CANARY) as found:
        done = subprocess.run(
            argv, cwd=fleet.home, env={**fleet.env, "VIGO_DEBUG": "1", "PYTHONFAULTHANDLER": "1", "PYTHONPATH": str(Path.cwd())},
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
    if place in ("after", "fetch"):
        assert "Traceback" in done.stderr, done
        assert "provoked" in done.stderr
    elif place == "none":
        assert done.returncode == 0, done
    told = done.stdout + done.stderr + fleet("task", "status").out + fleet("task", "list").out
    assert CANARY not in told
    (fleet.home / "password").unlink()
    files = [path for path in fleet.home.rglob("*") if path.is_file()]
    assert not [path for path in files if CANARY.encode() in path.read_bytes()]
    assert found == []
    assert CANARY not in server.log
    print(f"D15 {place}: 0 of {len(files)} files, 0 processes, 0 lines")


@contextmanager
def sampled(canary: str) -> Iterator[list[str]]:
    """Look at arguments and environment of all processes again and again; return where the canary was seen."""
    seen: list[str] = []
    is_over = threading.Event()

    def look() -> None:
        while not is_over.wait(0.01):
            for path in (*Path("/proc").glob("[0-9]*/cmdline"), *Path("/proc").glob("[0-9]*/environ")):
                try:
                    if canary.encode() in path.read_bytes():
                        seen.append(str(path))
                except OSError:
                    continue

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        is_over.set()
        thread.join()
