"""The journal under a disk that fails and under kills between any two of its writes, by strace's fault injection.

One traced process forks one writer for each place. strace counts each system call for each process by itself and strikes
at the same number in all of them, so each writer first makes as many idle calls as bring its own place to that number.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from vigo.adapters.store import Store
from vigo.adapters.store_audit import audit
from vigo.adapters.store_read import Reading
from vigo.core.events import HostStarted, TaskBlocked, TaskDispatched, TaskFinished, TaskStatus
from vigo.render.audit import verdict_text

pytestmark = pytest.mark.timeout(600)

ROOT = Path(__file__).parents[2]
BLOCKED = TaskBlocked("admin", "reboot", "all", "reboot", "f", "reboots", ("web-01",))
SYNCS = "fsync,fdatasync"
WRITES = "write,pwrite64,ftruncate,?rename,?renameat,?renameat2"
CHANGES = f"{SYNCS},{WRITES},?unlink,?unlinkat,?mkdir,?mkdirat"
"""The system calls by which a writer changes what is on disk; what a processor does not have stands behind a `?`."""
NO_LOG = Path("/nonexistent/log")

WRITER = """
    import os, sys
    from contextlib import suppress
    from pathlib import Path
    from vigo.adapters.store import Store
    from vigo.core.errors import JournalError
    from vigo.core.events import *
    from vigo.core.model import HostResult, Outcome, Output
    from hashlib import sha256

    base = Path(sys.argv[1])
    null = os.open("/dev/null", os.O_RDWR)
    idle = {
        "fsync": lambda: os.fsync(null),
        "fdatasync": lambda: os.fdatasync(null),
        "write": lambda: os.write(null, b"."),
        "pwrite64": lambda: os.pwrite(null, b".", 0),
        "ftruncate": lambda: os.ftruncate(null, 0),
        "rename": lambda: os.rename("/nonexistent/a", "/nonexistent/b"),
        "unlink": lambda: os.unlink("/nonexistent/a"),
        "mkdir": lambda: os.mkdir("/nonexistent/a"),
    }
    data = b"up 45 days" * 500
    digest = sha256(data).hexdigest()
    output = Output(len(data), digest, len(data), digest, len(data))
    events = [HostStarted("web-01", 0)], [HostFinished("web-01", HostResult(Outcome.COMPLETE, 1, 0, stdout=output))]

    def write(store, tell):
        record, lock = store.dispatch(TaskDispatched("admin", "uptime", "all", (("web-01",),)))
        tell(record)
        for event in events:
            tell(*store.append(record.task, event, [data]))
        tell(*store.append(record.task, [TaskFinished(TaskStatus.COMPLETE)]))
        lock.release()
        tell(store.block(TaskBlocked("admin", "reboot", "all", "reboot", "f", "reboots", ("web-01",))))
        store.close()

    for line in sys.stdin.read().splitlines():
        place, *advance = line.split()
        if pid := os.fork():
            os.waitpid(pid, 0)
            continue
        told = os.open(base / f"{place}.told", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for name, count in zip(advance[::2], map(int, advance[1::2])):
            for _ in range(count):
                with suppress(OSError):
                    idle[name.removesuffix("2").removesuffix("at")]()
        try:
            # Told through a descriptor whose writes are not traced, so that they are no places.
            write(Store(base / str(place) / "vigo", log=Path("/nonexistent/log")),
                  lambda *records: os.writev(told, [f"{r.seq}:{r.digest}\\n".encode() for r in records]))
            os.writev(told, [b"done\\n"])
        except JournalError as error:
            os.writev(told, [f"refused {error}\\n".encode()])
        os._exit(0)
"""


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens at the chosen place."""

    calls: str
    effect: str
    """As strace writes it: `signal=KILL`, `error=EIO`."""
    lasting: bool = False
    """Whether it goes on happening at every later call."""
    standing: bool = True
    """Whether the writer finds a journal there, or has to make it."""


KILLED = Fault(CHANGES, "signal=KILL")
KILLED_AT_BIRTH = Fault(CHANGES, "signal=KILL", standing=False)
UNSYNCED = Fault(SYNCS, "error=EIO")
UNSYNCED_FOR_GOOD = Fault(SYNCS, "error=EIO", lasting=True)
UNSYNCED_AT_BIRTH = Fault(SYNCS, "error=EIO", lasting=True, standing=False)
UNWRITABLE = Fault(WRITES, "error=EIO")
FAULTS = {
    "killed": KILLED,
    "killed at birth": KILLED_AT_BIRTH,
    "fsync fails once": UNSYNCED,
    "fsync fails for good": UNSYNCED_FOR_GOOD,
    "fsync fails at birth": UNSYNCED_AT_BIRTH,
    "a write fails": UNWRITABLE,
}


def traced(arguments: list[str], *options: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a Python program under strace; skip, loudly, where that is not permitted."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("NO STRACE: the journal's crash tests DID NOT RUN; `make system` as root on Debian installs it")
    done = subprocess.run(
        [strace, "-f", "-qq", *options, sys.executable, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    if re.search(r"(?i)ptrace.*(not permitted|denied|not implemented)", done.stderr):
        pytest.skip(f"PTRACE IS NOT PERMITTED: the journal's crash tests DID NOT RUN: {done.stderr.splitlines()[0]}")
    return done


@dataclass(frozen=True, slots=True)
class Sweep:
    """Writers that are struck at one place each."""

    base: Path
    fault: Fault

    def calls(self) -> list[str]:
        """Return the names of the calls, in order, of a writer that nothing strikes."""
        log = self.base / "trace"
        self._prepare(0)
        self._writers("0", "-o", str(log))
        assert self.told(0)[-1] == "done"
        return re.findall(r"^\d+ +(\w+)\(", log.read_text(), re.MULTILINE)

    def strike(self, calls: list[str], places: Sequence[int]) -> None:
        """Let one writer run for each of the places, numbers of calls from 1."""
        strike = max(Counter(calls).values()) + 1
        lines = []
        for place in places:
            self._prepare(place)
            struck = calls[place - 1]
            before = Counter(calls[: place - 1])
            names = sorted(set(calls)) if self.fault.lasting else [struck]
            lines.append(f"{place} {' '.join(f'{name} {strike - 1 - before[name]}' for name in names)}")
        when = f"{strike}{'+' if self.fault.lasting else ''}"
        inject = f"--inject={self.fault.calls}:{self.fault.effect}:when={when}"
        # Stopping at the traced calls alone is faster, but at such a stop strace's signals are lost.
        fast = () if "signal" in self.fault.effect else ("--seccomp-bpf",)
        self._writers("\n".join(lines), "-o", os.devnull, *fast, inject)

    def told(self, place: int) -> list[str]:
        """Return the lines that the writer told after its appends had returned."""
        return (self.base / f"{place}.told").read_text().splitlines()

    def _prepare(self, place: int) -> None:
        folder, first = self.base / str(place) / "vigo", self.base / "0" / "vigo"
        if not self.fault.standing:
            return
        if place:
            folder.mkdir(parents=True, mode=0o700)
            for name in ("journal.db", "head.json"):
                (folder / name).write_bytes((first.parent / name).read_bytes())
            return
        with Store(folder, log=NO_LOG) as store:
            record, lock = store.dispatch(TaskDispatched("admin", "uptime", "all", (("web-01",),)))
            store.append(record.task, [HostStarted("web-01", 0)])
            store.append(record.task, [TaskFinished(TaskStatus.COMPLETE)])
            lock.release()
        for name in ("journal.db", "head.json"):
            shutil.copy(folder / name, folder.parent)

    def _writers(self, lines: str, *options: str) -> None:
        arguments = ["-c", textwrap.dedent(WRITER), str(self.base)]
        done = traced(arguments, "-e", f"trace={self.fault.calls}", *options, stdin=lines)
        assert (done.returncode, done.stderr) == (0, "")


def look(sweep: Sweep, place: int) -> str:
    """Examine what one struck writer left, and that the next one goes on from there; return the head's line."""
    folder, told = sweep.base / str(place) / "vigo", sweep.told(place)
    with Reading(folder) as reading:
        report = audit(reading)
        there = {f"{record.seq}:{record.digest}" for record in reading.records_after(0)}
    lines = verdict_text(report).splitlines()
    assert not report.is_tampered, (place, lines)
    assert not report.storage, (place, report.storage)
    assert lines[0] == "chain: ok"
    assert re.fullmatch(r"head: (ok|behind by \d+|missing)", lines[1]), (place, lines)
    assert lines[1] != "head: missing" or not sweep.fault.standing, (place, lines)
    assert re.fullmatch(r"completeness: (all ended|1 interrupted: t[0-9a-z]{7})", lines[2]), (place, lines)
    recorded = {line for line in told if line[0].isdigit()}
    assert recorded <= there, (place, "reported as recorded, and is not", recorded - there)
    with Store(folder, log=NO_LOG) as store:
        store.block(BLOCKED)
        after = audit(store)
    assert not after.is_tampered
    assert verdict_text(after).splitlines()[:2] == ["chain: ok", "head: ok"]
    return lines[1]


def sweep_over(base: Path, fault: Fault, step: int) -> Counter[str]:
    """Strike each `step`th place of a writer; return how often each head line came, and how the writers ended."""
    sweep = Sweep(base, fault)
    calls = sweep.calls()
    places = range(1, len(calls) + 1, step)
    sweep.strike(calls, places)
    figures = Counter(places=len(places))
    for place in places:
        figures[look(sweep, place)] += 1
        last = ["killed", *sweep.told(place)][-1].split(maxsplit=1)[0]
        figures[last if last in {"done", "refused"} else "killed"] += 1
    print(dict(figures))
    assert sum(count for word, count in figures.items() if word.startswith("head")) == len(places)
    if "signal" in fault.effect:
        assert figures["killed"] == len(places), "a writer was not struck"
    else:
        assert figures["refused"] > 0, "no writer was refused"
        assert figures["killed"] == 0
    return figures


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_what_strikes_a_writer_loses_nothing_recorded_and_is_not_called_tampering(tmp_path: Path, fault: Fault) -> None:
    """`audit verify` says ok or by how much the head is behind, and the next start goes on; a sample of the places."""
    sweep_over(tmp_path, fault, 3 if fault.calls == SYNCS else 11)


@pytest.mark.faults
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_wherever_it_strikes_a_writer_loses_nothing_recorded(tmp_path: Path, fault: Fault) -> None:
    """Every place, those between an event and its head among them."""
    figures = sweep_over(tmp_path, fault, 1)
    assert any(word.startswith("head: behind") for word in figures), "nothing struck between event and head"


@pytest.mark.parametrize("when", ["1+", "13+"])
def test_a_run_whose_journal_cannot_be_synced_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    """Exit 7 and one line, whether it strikes before the dispatch or in the midst; what was told stands in the journal."""
    # strace counts for each thread, and the journal has one of its own: it has to come to its thirteenth sync as well.
    (tmp_path / "inventory.yaml").write_text('hosts: {"h-[1-30]": {address: "127.0.0.[1-30]", ssh: {port: 1}}}')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VIGO_DATA_DIR", str(tmp_path / "vigo"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    command = ["-m", "vigo", "task", "run", "true", "--target", "all", "-i", "inventory.yaml", "--fanout", "1"]
    inject = f"--inject={SYNCS}:error=EIO:when={when}"
    done = traced(command, "--seccomp-bpf", "-e", f"trace={SYNCS}", "-o", os.devnull, inject)
    assert done.returncode == 7, done.stderr
    assert "Traceback" not in done.stderr
    assert "disk I/O error" in done.stderr or "Input/output error" in done.stderr
    with Reading(tmp_path / "vigo") as reading:
        report = audit(reading)
        tasks = [task.id for task in reading.tasks(20)]
    assert not report.is_tampered
    assert not report.storage
    assert set(re.findall(r"\bt[0-9a-z]{7}\b", done.stdout)) <= set(tasks)
    assert ("dispatched" in done.stdout) is (when != "1+")
    assert "h-30:" not in done.stdout + done.stderr, "a host was started that could not be recorded"
