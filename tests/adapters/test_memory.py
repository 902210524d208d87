"""What a connected host takes of this machine's memory, its server being another process."""

from __future__ import annotations

import asyncio
import gc
import resource
import subprocess
import sys
import tracemalloc
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from psutil import Process

from tests.sshd import Sink, fresh, make_key, order, until
from vigo.adapters.ssh import SshTransport
from vigo.adapters.ssh_run import Run
from vigo.core.model import Ended, Host, Limits, Outcome, SshSettings
from vigo.core.plan import Policy

_SERVER = Path(__file__).parents[2] / "bench" / "programs" / "server.py"
_PER_HOST_MAX = 120_000
_AT_ONCE = 64


@contextmanager
def _fleet(folder: Path, count: int) -> Iterator[tuple[list[Host], Callable[[], None]]]:
    """Run one server that plays so many hosts, on an address each, and never ends a command; yields what ends it, too."""
    own, host_key = make_key(folder / "id"), make_key(folder / "host_key")
    command = [sys.executable, str(_SERVER), str(host_key), f"{own}.pub", "hold"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            port = int(server.stdout.readline())
            addresses = [f"127.41.{n // 250}.{1 + n % 250}" for n in range(count)]
            shown = " ".join(host_key.with_suffix(".pub").read_text().split()[:2])
            (folder / "known_hosts").write_text("".join(f"[{address}]:{port} {shown}\n" for address in addresses))
            ssh = SshSettings(user="ops", port=port, identity=str(own))
            yield [Host(f"h-{n}", str(uuid.uuid4()), it, ssh=ssh) for n, it in enumerate(addresses)], server.kill
        finally:
            server.kill()


@contextmanager
def _room_for(files: int) -> Iterator[None]:
    """Raise the limit of open files for this process and its children."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(files, hard)), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _taken() -> tuple[int, int]:
    """Return the process's memory, and what of it Python has handed out."""
    gc.collect()
    return Process().memory_info().rss, tracemalloc.get_traced_memory()[0]


async def _connect(transport: SshTransport, hosts: Sequence[Host]) -> list[asyncio.Task[Ended]]:
    """Have a command run on each host, some hosts at once as a fan-out would."""
    tasks: list[asyncio.Task[Ended]] = []
    before = _begun(transport)
    for first in range(0, len(hosts), _AT_ONCE):
        orders = [order(host, "uptime") for host in hosts[first : first + _AT_ONCE]]
        tasks.extend(asyncio.create_task(transport.run(each, Limits(), Sink(), fresh())) for each in orders)
        await until(lambda: _begun(transport) == before + len(tasks) or any(task.done() for task in tasks), within_s=60)
        assert not [task.result() for task in tasks if task.done()]
    return tasks


def _begun(transport: SshTransport) -> int:
    runs = [run for run in transport._running if isinstance(run, Run)]
    return sum(run._session is not None and run._session.begun for run in runs)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("hosts", [10, pytest.param(250, marks=pytest.mark.faults)])
def test_a_connected_host_takes_little_memory(tmp_path: Path, hosts: int) -> None:
    """From n connected hosts to 4n, a command running on each: at most 120 kB for each more, whoever counts."""

    async def scenario(fleet: Sequence[Host], end: Callable[[], None]) -> tuple[float, float]:
        transport = SshTransport(
            policy=Policy(connect_timeout_ms=60_000),
            known_hosts=tmp_path / "known_hosts",
            accept_new=False,
            ssh_config=None,
        )
        tasks = await _connect(transport, fleet[:hosts])
        before = _taken()
        tasks += await _connect(transport, fleet[hosts:])
        grown = [now - then for now, then in zip(_taken(), before, strict=True)]
        end()
        assert {ended.result.outcome for ended in await asyncio.gather(*tasks)} == {Outcome.LOST}
        await transport.close()
        return grown[0] / (3 * hosts), grown[1] / (3 * hosts)

    with _room_for(8 * hosts + 100), _fleet(tmp_path, 4 * hosts) as (fleet, end):
        tracemalloc.start()  # what it keeps for itself is in the process's memory: the bound is on the safe side
        try:
            resident, traced = asyncio.run(scenario(fleet, end))
        finally:
            tracemalloc.stop()
    print(
        f"{hosts} hosts and {4 * hosts}: {resident / 1000:.1f} kB resident, {traced / 1000:.1f} kB of it Python's, a host"
    )
    assert max(resident, traced) <= _PER_HOST_MAX
