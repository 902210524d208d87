"""Nothing passes the hard guard: behind every host stands a server that counts who connects, and nobody does."""

from __future__ import annotations

import asyncio
import io
import os
import pty
import socket
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from vigo.adapters.ssh import SshTransport
from vigo.adapters.store_audit import audit
from vigo.adapters.store_read import Reading
from vigo.cli.main import main
from vigo.core.events import Event, HostFinished, HostStarted, TaskBlocked, TaskDispatched
from vigo.core.guard import Order, Refusal, Text, clear
from vigo.core.model import Host, Limits, Outcome, SshSettings
from vigo.core.plan import Policy

HOSTS = ("web-01", "web-02", "db-01")
STOP = "systemctl stop vigo"
INVENTORY = """
defaults:
  ssh: {{user: root, port: {port}}}
  traits: {{verb: stop, path: /srv/vigo}}
hosts:
  web-01: {{address: 127.0.0.1}}
  web-02: {{address: 127.0.0.1}}
  db-01: {{address: 127.0.0.1, traits: {{role: db}}}}
tasks:
  halt-it: {{command: sudo systemctl stop vigo.service}}
  unit: {{command: 'systemctl {{{{ verb }}}} {{{{ unit }}}}', params: {{verb: {{}}, unit: {{default: vigo}}}}}}
  wipe: {{command: 'rm -rf {{{{ path }}}}', params: {{path: {{secret: true}}}}}}
  deep: {{command: 'sh -c {{{{ code }}}}', params: {{code: {{}}}}}}
"""
DANGEROUS = [
    "rm -rf /srv/vigo",
    "sudo sh -c 'cd /srv && rm -rf ./vigo'",
    "echo c3lzdGVtY3RsIHN0b3Agdmlnbw== | base64 -d | sh",
    "x=vigo; pkill -9 $x",
    "true && nohup env A=1 apt-get -y purge vigosrv &",
    "rm -rf /srv/vi*o",
    "rm -rf --no-preserve-root /",
    "rm -rf /srv/vigo ; $(((",
]


class Server:
    """A listener that counts who connected and says nothing to anybody."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._seen: list[int] = []
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                accepted, (_, port) = self._listener.accept()
            except OSError:
                return
            accepted.close()
            with self._changed:
                self._seen.append(port)
                self._changed.notify()

    def connections(self) -> int:
        """Count all connections until now: they are taken in order, so one of our own marks the end."""
        with socket.create_connection(("127.0.0.1", self.port)) as own:
            port = own.getsockname()[1]
            with self._changed:
                assert self._changed.wait_for(lambda: port in self._seen, timeout=20)
                self._seen.remove(port)
                return len(self._seen)

    def close(self) -> None:
        """Stop listening."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@dataclass
class Site:
    """A control node whose hosts all are the counting server."""

    home: Path
    server: Server
    monkeypatch: pytest.MonkeyPatch
    errors: io.StringIO = field(default_factory=io.StringIO)

    def vigo(self, *words: str, stdin: str = "") -> int:
        """Run the program in this process, without a terminal; return its exit code."""
        self.errors = io.StringIO()
        return self._main(words, io.StringIO(stdin), self.errors)

    def vigo_on_a_terminal(self, *words: str, typed: str) -> int:
        """Run the program with a real terminal that somebody has typed on ahead."""
        master, slave = pty.openpty()
        try:
            os.write(master, typed.encode())
            with (
                open(slave, closefd=False, encoding="utf-8") as answers,
                open(slave, "w", closefd=False, encoding="utf-8") as err,
            ):
                assert answers.isatty()
                return self._main(words, answers, err)
        finally:
            os.close(slave)
            os.close(master)

    def _main(self, words: Sequence[str], answers: object, err: object) -> int:
        with self.monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["vigo", *words])
            patch.setattr(sys, "stdin", answers)
            patch.setattr(sys, "stdout", io.StringIO())
            patch.setattr(sys, "stderr", err)
            with pytest.raises(SystemExit) as ended:
                main()
        return int(ended.value.code or 0)

    def run(self, *words: str, stdin: str = "") -> int:
        """Run `task run` on all hosts."""
        return self.vigo("task", "run", *words, "--target", "all", "--connect-timeout", "1", stdin=stdin)

    def events(self) -> list[Event]:
        """Return what is on record; the journal must be whole."""
        with Reading(self.home / "data") as reading:
            assert not audit(reading).is_tampered
            return [record.event for record in reading.records_after(0)]


@pytest.fixture
def server() -> Iterator[Server]:
    """Count the connections of one test."""
    server = Server()
    yield server
    server.close()


@pytest.fixture
def site(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Return a control node with an inventory, tasks, and folders of its own."""
    for name in [name for name in os.environ if name.startswith("VIGO_")]:
        monkeypatch.delenv(name)
    for name in ("DATA", "STATE", "CACHE", "CONFIG"):
        monkeypatch.setenv(f"VIGO_{name}_DIR", str(tmp_path / name.lower()))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inventory.yaml").write_text(INVENTORY.format(port=server.port))
    return Site(tmp_path, server, monkeypatch)


def is_blocked(events: Sequence[Event], pattern: str = STOP) -> bool:
    """Say whether the record is one refusal by the dispatch guard, with its pattern, and nothing else."""
    return [(type(event), getattr(event, "pattern", None)) for event in events] == [(TaskBlocked, pattern)]


def is_rejected(events: Sequence[Event]) -> bool:
    """Say whether the record is a forced dispatch of which every host was rejected and none was started."""
    opening, *rest = events
    results = {event.host: event.result.outcome for event in rest if isinstance(event, HostFinished)}
    started = [event for event in rest if isinstance(event, HostStarted)]
    forced = isinstance(opening, TaskDispatched) and opening.forced
    return forced and not started and results == dict.fromkeys(HOSTS, Outcome.REJECTED)


def test_a_harmless_command_does_connect(site: Site) -> None:
    """The counter counts: without this, no other number here would mean anything."""
    assert site.run("uptime") == 1
    assert site.server.connections() >= len(HOSTS)
    started = [event.host for event in site.events() if isinstance(event, HostStarted)]
    assert sorted(started) == sorted(HOSTS)


@pytest.mark.parametrize("command", DANGEROUS)
def test_force_does_not_pass_it(site: Site, command: str) -> None:
    """However the command is written: without the flag blocked, with it rejected on every host."""
    assert site.run(command) == 6
    assert isinstance(site.events()[0], TaskBlocked)
    assert site.run(command, "--force", "--as", "command") == 1
    assert is_rejected(site.events()[1:])
    assert site.server.connections() == 0


@pytest.mark.parametrize("typed", ["y\n", "yes\n", "y\ny\ny\n"])
def test_a_yes_on_a_terminal_does_not_pass_it(site: Site, typed: str) -> None:
    """The prompt is the dispatch guard's; the answer is on record as forced."""
    words = ("task", "run", STOP, "--target", "all", "--connect-timeout", "1")
    assert site.vigo_on_a_terminal(*words, typed=typed) == 1
    assert is_rejected(site.events())
    assert site.server.connections() == 0


def test_a_yes_on_standard_input_is_no_terminal(site: Site) -> None:
    """Answers that are piped in confirm nothing, also behind targets that are read from there."""
    assert site.run(STOP, stdin="y\nyes\n") == 6
    assert site.vigo("task", "run", STOP, "--target-file", "-", stdin="web-01\nweb-02\n") == 6
    assert is_blocked(site.events()[:1])
    assert is_blocked(site.events()[1:])
    assert site.server.connections() == 0


def test_no_variable_passes_it(site: Site) -> None:
    """Every documented variable that is no folder, and what somebody might hope for."""
    hoped = (
        "FORCE",
        "YES",
        "ASSUME_YES",
        "CONFIRM",
        "GUARD",
        "NO_GUARD",
        "HARD_GUARD",
        "SKIP_GUARD",
        "UNSAFE",
        "DEBUG",
    )
    for name in (*hoped, "TASK_RUN_FORCE", "RUN", "LAB", "LAB_HOST", "PARAM_UNIT"):
        site.monkeypatch.setenv(f"VIGO_{name}", "1" if name != "GUARD" else "off")
    assert site.run(STOP) == 6
    assert is_blocked(site.events())
    assert site.run(STOP, "--force") == 1
    assert is_rejected(site.events()[1:])
    assert site.server.connections() == 0


NAMED: dict[str, tuple[str, ...]] = {
    "a named task": ("halt-it",),
    "a named task by --as": ("halt-it", "--as", "task"),
    "params that complete it": ("unit", "--param", "verb=stop"),
    "a param that is code": ("deep", "--param", "code=systemctl stop vigo"),
    "a trait that completes it": ("systemctl {{ trait.verb }} vigo", "--expand"),
    "quoted like a task": ("sudo  systemctl 'stop' vigo", "--as", "command"),
}


@pytest.mark.parametrize("words", NAMED.values(), ids=NAMED)
def test_what_completes_the_command_later_does_not_pass_it(site: Site, words: tuple[str, ...]) -> None:
    """The final text is judged: by the dispatch guard, and forced by the hard guard."""
    assert site.run(*words) == 6
    assert is_blocked(site.events())
    assert site.run(*words, "--force") == 1
    assert is_rejected(site.events()[1:])
    assert site.server.connections() == 0


@pytest.mark.parametrize("way", ["variable", "file"])
def test_a_secret_does_not_pass_it(site: Site, way: str) -> None:
    """A secret is judged with its value and recorded without the command that holds it."""
    site.monkeypatch.setenv("VIGO_PARAM_PATH", "/srv/vigo")
    (site.home / "secret").write_text("/srv/vigo\n")
    words = ("wipe",) if way == "variable" else ("wipe", "--param", "path=@secret")
    assert site.run(*words) == 6
    assert isinstance(site.events()[0], TaskBlocked)
    assert site.run(*words, "--force") == 1
    assert is_rejected(site.events()[1:])
    assert site.server.connections() == 0


def test_only_the_hosts_that_it_endangers_are_kept_from_it(site: Site) -> None:
    """With a trait that makes one host's text harmless, that host alone is connected to."""
    text = (site.home / "inventory.yaml").read_text().replace("role: db", "verb: status")
    (site.home / "inventory.yaml").write_text(text)
    assert site.run("systemctl {{ trait.verb }} vigo", "--expand", "--force") == 1
    events = site.events()
    assert [event.host for event in events if isinstance(event, HostStarted)] == ["db-01"]
    outcomes = {event.host: event.result.outcome for event in events if isinstance(event, HostFinished)}
    rejected = {"web-01": Outcome.REJECTED, "web-02": Outcome.REJECTED}
    assert outcomes == {**rejected, "db-01": Outcome.UNREACHABLE}
    assert site.server.connections() >= 1


def test_a_dry_run_before_it_changes_nothing(site: Site) -> None:
    """Forced or not, the plan is shown and nothing is remembered of it."""
    assert site.run(STOP, "--dry-run", "--no-probe") == 6
    assert site.run(STOP, "--dry-run", "--no-probe", "--force") == 0
    assert site.events() == []
    assert site.run(STOP) == 6
    assert site.run(STOP, "--force") == 1
    assert is_blocked(site.events()[:1])
    assert is_rejected(site.events()[1:])
    assert site.server.connections() == 0


def test_no_policy_weakens_it(site: Site) -> None:
    """The site's file has no word for it; what it could say is refused as a mistake."""
    (site.home / "config").mkdir()
    policy = site.home / "config" / "policy.yaml"
    for text in (f"allow: ['{STOP}']\n", "guard: off\n", "hard: false\n"):
        policy.write_text(text)
        policy.chmod(0o600)
        assert site.run(STOP, "--force") == 5, site.errors.getvalue()
    policy.write_text("confirm_above: 1\n")
    assert site.run(STOP, "--force", "--confirm", "3") == 1
    assert is_rejected(site.events())
    assert site.server.connections() == 0


def test_a_patched_journal_makes_nothing_run(site: Site) -> None:
    """Rows that say that it was allowed are only read, shown, and found to be changed."""
    assert site.run(STOP) == 6
    assert site.run(STOP, "--force") == 1
    with Reading(site.home / "data") as reading:
        tasks = [task.id for task in reading.tasks(20)]
    with sqlite3.connect(site.home / "data" / "journal.db") as connection:
        connection.execute("UPDATE events SET data = replace(data, 'systemctl stop vigo', 'uptime')")
        connection.execute("UPDATE events SET data = replace(data, 'rejected', 'complete')")
    connection.close()
    assert (site.run(STOP), site.run(STOP, "--force")) == (6, 1)
    with sqlite3.connect(site.home / "data" / "journal.db") as connection:
        connection.execute("DELETE FROM events WHERE kind = 'task.finished'")
    connection.close()
    for task in tasks:
        site.vigo("task", "status", task)
        site.vigo("task", "status", task, "-o", "json")
    assert (site.vigo("task", "list"), site.vigo("audit", "show")) == (0, 0)
    assert site.vigo("audit", "verify") == 8
    assert site.run(STOP, "--force") != 0
    assert site.run(STOP) != 0
    assert site.server.connections() == 0


def _made_without_the_guard(host: Host) -> Iterator[Callable[[], object]]:
    """Yield what one might try in Python to get an order for a dangerous command."""
    harmless = clear(host, Text("uptime"))
    assert isinstance(harmless, Order)
    yield lambda: Order(object(), host, Text(STOP))
    yield lambda: Order(None, host, Text(STOP))
    yield lambda: replace(harmless, wire=STOP)
    yield lambda: setattr(harmless, "wire", STOP)


def test_the_interface_for_python_does_not_pass_it(site: Site) -> None:
    """`clear` refuses, there is no other maker of orders, and the transport carries nothing else."""
    host = Host("web-01", "u", address="127.0.0.1", ssh=SshSettings(user="root", port=site.server.port))
    assert isinstance(clear(host, Text(STOP)), Refusal)
    assert isinstance(clear(host, Text('rm -rf "$VIGO_PARAM_P"', (("VIGO_PARAM_P", "/srv/vigo"),))), Refusal)
    for attempt in _made_without_the_guard(host):
        with pytest.raises((TypeError, ValueError, AttributeError)):
            attempt()
    transport = SshTransport(policy=Policy(), known_hosts=site.home / "known", accept_new=True, ssh_config=None)
    for no_order in (STOP, Text(STOP), clear(host, Text(STOP)), object.__new__(Order)):
        with pytest.raises((TypeError, AttributeError)):
            asyncio.run(transport.run(no_order, Limits(), _Deaf(), "m"))  # type: ignore[arg-type]
    assert site.server.connections() == 0


class _Deaf:
    def write(self, host: str, stream: object, data: bytes) -> None:
        """Drop the bytes."""
