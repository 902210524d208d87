"""The fault catalogue's part on whole processes: what dies, when, and what is true afterwards."""

from __future__ import annotations

import os
import pty
import random
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cli.conftest import Vigo

pytestmark = pytest.mark.timeout(1_500)

_WAIT_S = 90
_HOSTS = 10
_SIDE_BY_SIDE = 3


@pytest.fixture(scope="module")
def ten(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Start a lab of ten hosts."""
    home = tmp_path_factory.mktemp("ten")
    home.chmod(0o755)
    vigo = Vigo(home, {"VIGO_LAB_DIR": str(home / "lab")})
    up = vigo("lab", "up", "--hosts", str(_HOSTS))
    assert up.code == 0, up.err
    yield home / "lab"
    vigo("lab", "down")


def fleet(home: Path, lab: Path) -> Vigo:
    """Return the program with a journal of its own and the ten hosts."""
    home.mkdir(exist_ok=True)
    return Vigo(home, {"VIGO_LAB_DIR": str(lab), "VIGO_INVENTORY": "lab"})


def killed_at(vigo: Vigo, delay_s: float) -> None:
    """Kill a run at an instant, and see what the journal, the hosts and a resume make of it."""
    name = f"runs.{vigo.home.name}"
    process = subprocess.Popen(
        vigo.command(
            "task", "run", f"echo run >> {name}; sleep 0.3", "--target", "all", "--batch-size", "4", "--timeout", "20"
        ),
        env=vigo.env, cwd=vigo.home, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        process.wait(delay_s)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
    verify = vigo("audit", "verify")
    assert verify.code == 0, verify.out
    if not (vigo.home / "data" / "journal.db").exists() or not vigo("task", "list", "-o", "json").json()["tasks"]:
        return
    task = vigo("task", "status", "-o", "json").json()
    assert task["status"] in ("interrupted", "complete"), task["status"]
    if task["status"] == "interrupted":
        resumed = vigo("task", "resume", task["id"], timeout=_WAIT_S)
        assert resumed.code in (0, 1), resumed.err
    ended = {host["host"]: host["outcome"] for host in vigo("task", "status", task["id"], "-o", "json").json()["hosts"]}
    assert len(ended) == _HOSTS
    assert set(ended.values()) <= {"complete", "lost"}
    counted = vigo("task", "run", f"cat {name} 2>/dev/null | wc -l; rm -f {name}", "--target", "all", "-o", "json")
    for host in counted.json()["hosts"]:
        runs = int(host["stdout"]["text"])
        assert runs == 1 if ended[host["host"]] == "complete" else runs <= 1, (host["host"], runs)
    assert vigo("audit", "verify").code == 0


def _sweep(tmp_path: Path, lab: Path, instants: int) -> None:
    drawn = random.Random(0)
    delays = [drawn.uniform(0.1, 3.0) for _ in range(instants)]

    def one(number: int) -> None:
        killed_at(fleet(tmp_path / f"k{number}", lab), delays[number])

    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        list(pool.map(one, range(instants)))


def test_b10_a_kill_at_any_instant_corrupts_nothing_and_runs_nothing_twice(tmp_path: Path, ten: Path) -> None:
    """Three instants: the chain holds, every host has one outcome after a resume, and ran once at the most."""
    _sweep(tmp_path, ten, 3)


@pytest.mark.faults
def test_b10_two_hundred_instants(tmp_path: Path, ten: Path) -> None:
    """The catalogue's count: 0 corrupt journals, 0 double runs, 0 broken chains."""
    _sweep(tmp_path, ten, 200)


def test_b8_a_terminal_that_is_closed_loses_no_event(lab: Vigo) -> None:
    """As SIGHUP: nothing more starts, what runs finishes, and all of it is on record."""
    command = lab.command("task", "run", "sleep 2", "--target", "*.web.*", "--batch-size", "2")
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(lab.home)
        os.execvpe(command[0], command, lab.env)
    seen = b""
    while b"batch 0" not in seen:
        seen += os.read(terminal, 4096)
    os.close(terminal)  # the kernel sends SIGHUP to whoever has the terminal
    os.waitpid(pid, 0)
    deadline = time.monotonic() + _WAIT_S
    while lab("task", "status", "-o", "json").json()["status"] == "running":
        assert time.monotonic() < deadline
    outcomes = [host["outcome"] for host in lab("task", "status", "-o", "json").json()["hosts"]]
    assert outcomes == ["complete", "complete", "skipped", "skipped"]
    assert lab("audit", "verify").code == 0


def _limited(
    vigo: Vigo, limit: int, value: int, *args: str, hard: int | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the program under a limit, which it may raise as far as `hard`."""
    return subprocess.run(
        vigo.command(*args),
        env=vigo.env, cwd=vigo.home, capture_output=True, text=True, check=False, timeout=_WAIT_S,
        preexec_fn=lambda: resource.setrlimit(limit, (value, hard or value)),
    )  # fmt: skip


def test_c6_few_open_files_lower_the_fan_out_and_very_few_are_refused(tmp_path: Path, ten: Path) -> None:
    """0 hosts fail; the limit is raised first; the lowering is told once; without room for one host, no host is touched."""
    vigo = fleet(tmp_path, ten)
    raised = _limited(vigo, resource.RLIMIT_NOFILE, 32, "task", "run", "true", "--target", "all", hard=64)
    assert (raised.returncode, raised.stdout.count("[complete]")) == (0, _HOSTS), raised.stderr
    assert "open files" not in raised.stderr
    lowered = _limited(vigo, resource.RLIMIT_NOFILE, 50, "task", "run", "true", "--target", "all")
    assert lowered.returncode == 0, lowered.stderr
    assert lowered.stdout.count("[complete]") == _HOSTS
    assert lowered.stderr.count("open files allows 3 hosts at once instead of 10") == 1
    scanned = _limited(vigo, resource.RLIMIT_NOFILE, 50, "keys", "scan", "--target", "all")
    assert (scanned.returncode, scanned.stderr.count("allows 3 hosts at once instead of 10")) == (0, 1), scanned.stderr
    refused = _limited(vigo, resource.RLIMIT_NOFILE, 16, "task", "run", "true", "--target", "all")
    assert refused.returncode == 5
    assert "ulimit -n 64" in refused.stderr
    assert len(vigo("task", "list", "-o", "json").json()["tasks"]) == 2


@pytest.mark.faults
def test_c6_two_hundred_hosts_under_sixty_four_files(tmp_path: Path) -> None:
    """The catalogue's count."""
    tmp_path.chmod(0o755)
    vigo = Vigo(tmp_path, {"VIGO_LAB_DIR": str(tmp_path / "lab"), "VIGO_INVENTORY": "lab"})
    assert vigo("lab", "up", "--hosts", "200").code == 0
    try:
        run = _limited(vigo, resource.RLIMIT_NOFILE, 64, "task", "run", "true", "--target", "all")
        assert (run.returncode, run.stdout.count("[complete]")) == (0, 200), run.stderr
        assert run.stderr.count("the limit of 64 open files allows 10 hosts at once instead of 100") == 1
    finally:
        vigo("lab", "down")


@pytest.mark.faults
@pytest.mark.parametrize("megabytes", [120, 160, 200, 400])
def test_c7_little_memory_ends_cleanly(tmp_path: Path, ten: Path, megabytes: int) -> None:
    """Whatever the limit: no traceback, a documented exit code, and a journal that verifies with every state terminal."""
    vigo = fleet(tmp_path, ten)
    run = _limited(vigo, resource.RLIMIT_AS, megabytes * 1024 * 1024, "task", "run", "true", "--target", "all")
    assert "Traceback" not in run.stderr
    verify = vigo("audit", "verify")
    assert verify.code == 0, verify.out
    tasks = vigo("task", "list", "-o", "json").json()["tasks"] if (tmp_path / "data").exists() else []
    assert all(task["status"] in ("complete", "interrupted") for task in tasks)


@pytest.mark.faults
def test_b26_a_starved_control_node_gives_no_false_verdicts(tmp_path: Path) -> None:
    """Two busy loops beside a run of fifty hosts: 0 lost, 0 timeouts."""
    tmp_path.chmod(0o755)
    vigo = Vigo(tmp_path, {"VIGO_LAB_DIR": str(tmp_path / "lab"), "VIGO_INVENTORY": "lab"})
    assert vigo("lab", "up", "--hosts", "50").code == 0
    busy = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(2)]
    try:
        for _ in range(5):
            run = vigo("task", "run", "sleep 1", "--target", "all", "--timeout", "20", timeout=_WAIT_S)
            assert (run.code, run.out.count("[complete]")) == (0, 50), run.err
    finally:
        for process in busy:
            process.kill()
            process.wait()
        vigo("lab", "down")


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_c11_a_dry_run_makes_no_connection_and_starts_nothing(lab: Vigo) -> None:
    """Not one connect to an address, not one program; the verdict is the real run's."""
    trace = lab.home / "trace"
    command = lab.command("task", "run", "systemctl stop vigo", "--target", "*.web.*", "--dry-run", "--no-probe")
    done = subprocess.run(
        ["strace", "-f", "-o", str(trace), "-e", "trace=connect,execve", *command],
        env=lab.env, cwd=lab.home, capture_output=True, text=True, check=False, timeout=_WAIT_S,
    )  # fmt: skip
    calls = trace.read_text().splitlines()
    assert done.returncode == 6, done.stderr
    assert not [call for call in calls if "connect(" in call and "AF_INET" in call]
    assert len([call for call in calls if "execve(" in call and call.rstrip().endswith("= 0")]) == 1
    real = lab("task", "run", "systemctl stop vigo", "--target", "*.web.*")
    assert real.code == 6
    pattern = next(line for line in done.stderr.splitlines() if "pattern:" in line)
    assert pattern in real.err
