"""Real OpenSSH servers on loopback, with users of their own: what the tests of the SSH side log in to."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from vigo.adapters.ssh import SshTransport
from vigo.adapters.ssh_secrets import Credentials
from vigo.core.guard import Order, Text, clear
from vigo.core.model import Host, SshSettings, Stream
from vigo.core.plan import Policy

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
LISTEN_SOCKETS_MAX = 16
"""OpenSSH's own bound on the addresses of one server."""


def why_no_sshd() -> str:
    """Return why real servers cannot be run here; empty when they can."""
    if SSHD is None:
        return "no sshd is installed; `make system` as root on Debian installs it"
    if os.geteuid() != 0:
        return "not root: sshd cannot log other users in"
    return ""


def wait_until(condition: Callable[[], object], *, within_s: float = 20.0, what: str = "") -> None:
    """Return as soon as the condition holds; fail when it has not within the time."""
    until = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > until:
            pytest.fail(f"not within {within_s:g} s: {what or condition}")
        time.sleep(0.02)


async def until(condition: Callable[[], object], *, within_s: float = 20.0, what: str = "") -> None:
    """Return as soon as the condition holds, letting the event loop run; fail when it has not within the time."""
    end = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"not within {within_s:g} s: {what or condition}")
        await asyncio.sleep(0.02)


def marker() -> str:
    """Return a word that no other process carries; give it to commands as an argument to find them by."""
    return f"VIGO_T={uuid.uuid4()}"


def fresh() -> str:
    """Return a mark that no command was ever started under."""
    return uuid.uuid4().hex


def survivors(mark: str) -> list[int]:
    """Return the pids of processes that carry the mark in their arguments, zombies not counted."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if mark.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


class Sink:
    """Keeps live output by host and stream."""

    def __init__(self) -> None:
        self.written: dict[tuple[str, Stream], bytes] = {}

    def write(self, host: str, stream: Stream, data: bytes) -> None:
        """Take the next bytes."""
        self.written[host, stream] = self.written.get((host, stream), b"") + data


@dataclass(slots=True)
class Server:
    """One running sshd."""

    addresses: tuple[str, ...]
    port: int
    directory: Path
    process: subprocess.Popen[bytes]

    @property
    def log(self) -> str:
        """What the server has logged so far."""
        return (self.directory / "log").read_text(errors="replace")

    @property
    def host_key(self) -> str:
        """The public host key: algorithm and base64."""
        return " ".join((self.directory / "host_key.pub").read_text().split()[:2])

    def children(self) -> list[int]:
        """Return the pids of the processes that serve connections now."""
        return [
            int(pid) for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        ]

    def stop(self) -> None:
        """End the server and the connections it serves."""
        for pid in self.children():
            os.kill(pid, signal.SIGTERM)
        self.process.terminate()
        self.process.wait()


@dataclass(slots=True)
class Farm:
    """Servers, users and one key that opens them all. Everything is gone when the `with` block ends."""

    directory: Path
    key: Path
    servers: list[Server] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    _known: list[str] = field(default_factory=list)
    _hosts: int = 0

    @classmethod
    def start(cls) -> Farm:
        """Make the farm's folder and its key."""
        directory = Path(tempfile.mkdtemp(prefix="vigo-farm-"))
        directory.chmod(0o755)
        Path("/run/sshd").mkdir(exist_ok=True)
        started = cls(directory, make_key(directory / "id"))
        started.user("/bin/sh")
        return started

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in self.servers:
            server.stop()
        for user in self.users:
            uid = pwd.getpwnam(user).pw_uid
            for pid in _processes_of(uid):
                os.kill(pid, signal.SIGKILL)
            change_accounts(["userdel", user])
        shutil.rmtree(self.directory)

    @property
    def plain_user(self) -> str:
        """A user with /bin/sh as login shell, made once: root's own start-up files are nobody's business here."""
        return self.users[0]

    @property
    def known_hosts(self) -> Path:
        """The known_hosts file with the keys of all servers so far."""
        path = self.directory / "known_hosts"
        path.write_text("".join(self._known))
        return path

    def serve(self, addresses: Sequence[str] = ("127.0.0.1",), **settings: str) -> Server:
        """Start a server on these addresses, with further sshd_config settings."""
        directory = Path(tempfile.mkdtemp(dir=self.directory))
        directory.chmod(0o755)
        port = free_port(addresses[0])
        make_key(directory / "host_key")
        process = self._spawn(directory, addresses, port, settings)
        server = Server(tuple(addresses), port, directory, process)
        self.servers.append(server)
        self._known.extend(f"[{address}]:{port} {server.host_key}\n" for address in addresses)
        wait_until(lambda: accepts(addresses[-1], port), what="sshd listens")
        return server

    def user(self, shell: str = "/bin/sh", *, password: str = "") -> str:
        """Make a user of this farm whose login shell is `shell`; its home is an empty folder of its own.

        With a password it can log in where a server takes one.
        """
        name = f"vigo{uuid.uuid4().hex[:8]}"
        home = self.directory / name
        command = ["useradd", "--no-create-home", "--home-dir", str(home), "--shell", shell, "--password", "*", name]
        change_accounts(command)
        self.users.append(name)
        if password:
            change_accounts(["chpasswd"], f"{name}:{password}\n")
        home.mkdir()
        entry = pwd.getpwnam(name)
        os.chown(home, entry.pw_uid, entry.pw_gid)
        return name

    def host(self, server: Server, *, name: str = "", address: str = "", user: str = "", **settings: Any) -> Host:
        """Describe a host that one of the servers plays; without a user, one with /bin/sh logs in."""
        self._hosts += 1
        name = name or f"host-{self._hosts:03}"
        ssh = SshSettings(user=user or self.plain_user, port=server.port, identity=str(self.key))
        return Host(
            name,
            str(uuid.uuid5(uuid.NAMESPACE_DNS, name)),
            address or server.addresses[0],
            ssh=replace(ssh, **settings),
        )

    def transport(
        self,
        policy: Policy | None = None,
        *,
        known_hosts: Path | None = None,
        accept_new: bool = False,
        ssh_config: Path | None = None,
        credentials: Credentials | None = None,
    ) -> SshTransport:
        """Make a transport that knows the farm's servers."""
        return SshTransport(
            policy=policy or Policy(),
            known_hosts=known_hosts or self.known_hosts,
            accept_new=accept_new,
            ssh_config=ssh_config,
            credentials=credentials,
        )

    def _spawn(
        self, directory: Path, addresses: Sequence[str], port: int, settings: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        lines = {
            "Port": str(port),
            "HostKey": str(directory / "host_key"),
            "AuthorizedKeysFile": f"{self.key}.pub",
            "PidFile": "none",
            "UsePAM": "no",
            "StrictModes": "no",
            "PermitRootLogin": "yes",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "MaxStartups": "1000",
            "LogLevel": "VERBOSE",
            **settings,
        }
        config = "".join(f"ListenAddress {address}\n" for address in addresses)
        config += "".join(f"{key} {value}\n" for key, value in lines.items())
        (directory / "config").write_text(config)
        assert SSHD is not None
        with (directory / "log").open("wb") as log:
            return subprocess.Popen(
                [SSHD, "-D", "-e", "-f", str(directory / "config")], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )


def order(host: Host, command: str) -> Order:
    """Have the hard guard clear a command that it has no reason to refuse."""
    cleared = clear(host, Text(command))
    assert isinstance(cleared, Order)
    return cleared


def make_key(path: Path, *, passphrase: str = "", kind: str = "ed25519") -> Path:
    """Make a key pair and return the private one's path."""
    argv = ["ssh-keygen", "-q", "-t", kind, "-a", "1", "-N", passphrase, "-C", "vigo test", "-f", str(path)]
    subprocess.run(argv, check=True)  # one round: a passphrase is there to be asked for, not to be guessed
    path.with_suffix(".pub").chmod(0o644)
    return path


def free_port(address: str = "127.0.0.1") -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as sock:
        sock.bind((address, 0))
        return int(sock.getsockname()[1])


def accepts(address: str, port: int) -> bool:
    """Tell whether something accepts connections there."""
    with socket.socket() as sock:
        return sock.connect_ex((address, port)) == 0


def change_accounts(command: Sequence[str], told: str = "") -> None:
    """Run useradd, userdel or chpasswd, which refuse while another test process runs one, or the user's last one ends."""
    deadline = time.monotonic() + 30
    while True:
        done = subprocess.run(command, check=False, capture_output=True, text=True, input=told)
        if done.returncode == 0:
            return
        assert "cannot lock" in done.stderr or "currently used" in done.stderr, done.stderr
        assert time.monotonic() < deadline, done.stderr
        time.sleep(0.1)


@contextmanager
def farm() -> Iterator[Farm]:
    """Run a farm, or skip; under CI=true a skip is a failure."""
    reason = why_no_sshd()
    if reason and os.environ.get("CI") == "true":
        pytest.fail(f"real sshd is required under CI: {reason}")
    if reason:
        pytest.skip(f"!!! TESTS AGAINST REAL sshd ARE SKIPPED: {reason}")
    with Farm.start() as started:
        yield started


def _processes_of(uid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and entry.stat().st_uid == uid:
                found.append(int(entry.name))
        except OSError:
            continue
    return found
