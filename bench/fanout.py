"""vigo against a bare asyncssh loop: the same hosts, the same fan-out, whole processes, interleaved.

One real sshd (MaxStartups lifted) serves many loopback addresses. Prints medians, their ratio, and vigo's peak memory.
Run it as root: `python -m bench.fanout [HOSTS] [ROUNDS]`.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.sshd import Farm, Server, farm

FANOUT = 64
_BARE = """
import asyncio, sys, asyncssh

async def main(port, user, key, known_hosts, count, fanout):
    options = asyncssh.SSHClientConnectionOptions(
        username=user, client_keys=[key], known_hosts=known_hosts, agent_path=None, config=None,
        encryption_algs=["aes128-gcm@openssh.com"], kex_algs=["curve25519-sha256"],
    )
    at_once = asyncio.Semaphore(fanout)

    async def one(address):
        async with at_once, asyncssh.connect(address, port, options=options) as connection:
            return (await connection.run("uptime")).exit_status

    codes = await asyncio.gather(*(one(f"127.0.1.{n + 1}") for n in range(count)))
    assert codes == [0] * count, codes

asyncio.run(main(int(sys.argv[1]), *sys.argv[2:5], int(sys.argv[5]), int(sys.argv[6])))
"""


@dataclass(frozen=True)
class Measured:
    """One process, from its start to its end."""

    wall_s: float
    cpu_s: float
    peak_mib: float
    out: str


def measure(argv: list[str], env: dict[str, str]) -> Measured:
    """Run a process to its end and say what it took. Raises CalledProcessError when it fails."""
    began = time.monotonic()
    with subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        out, err = process.stdout.read(), process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, argv, out, err)
    return Measured(time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, out)


def write_fleet(home: Path, running: Farm, server: Server, count: int) -> None:
    """Write an inventory of `count` addresses and the known_hosts file that has their key."""
    known = home / "known_hosts"
    known.write_text("".join(f"[127.0.1.{n + 1}]:{server.port} {server.host_key}\n" for n in range(count)))
    (home / "inventory.yaml").write_text(
        f"defaults: {{ssh: {{user: {running.plain_user}, port: {server.port}, identity: {running.key}, known_hosts: {known}}}}}\n"
        f"hosts:\n  host-[001-{count:03}]: {{address: '127.0.1.[1-{count}]'}}\n"
    )


def compare(count: int, rounds: int) -> dict[str, float]:
    """Run both in turn and return the medians."""
    with farm() as running:
        server = running.serve(("0.0.0.0",), LogLevel="ERROR")
        home = running.directory / "bench"
        home.mkdir()
        write_fleet(home, running, server, count)
        env = {"PATH": os.environ["PATH"], "HOME": str(home), "VIGO_DATA_DIR": str(home / "data")}
        vigo = [sys.executable, "-m", "vigo", "task", "run", "uptime", "--target", "all", "--fanout", str(FANOUT)]
        vigo += ["-i", str(home / "inventory.yaml"), "-o", "json"]
        bare = [sys.executable, "-c", _BARE, str(server.port), running.plain_user, str(running.key)]
        bare += [str(home / "known_hosts"), str(count), str(FANOUT)]
        pairs = [(measure(vigo, env), measure(bare, env)) for _ in range(rounds)]
    for ours, _ in pairs:
        assert [host["outcome"] for host in json.loads(ours.out)["hosts"]] == ["complete"] * count
    return {
        "vigo_wall_s": statistics.median(ours.wall_s for ours, _ in pairs),
        "bare_wall_s": statistics.median(theirs.wall_s for _, theirs in pairs),
        "wall_ratio": statistics.median(ours.wall_s / theirs.wall_s for ours, theirs in pairs),
        "vigo_cpu_s": statistics.median(ours.cpu_s for ours, _ in pairs),
        "bare_cpu_s": statistics.median(theirs.cpu_s for _, theirs in pairs),
        "vigo_peak_mib": max(ours.peak_mib for ours, _ in pairs),
        "bare_peak_mib": max(theirs.peak_mib for _, theirs in pairs),
    }


if __name__ == "__main__":
    words = dict(enumerate(sys.argv[1:]))
    for name, value in compare(int(words.get(0, "200")), int(words.get(1, "5"))).items():
        print(f"{name:<14} {value:8.2f}")
