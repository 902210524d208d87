"""The limit: a tuned loop of asyncssh and nothing else. `bare.py SETTINGS.json`, in the environment that vigo runs in.

No guard, no journal, no deadline, no kill, no check that anything is as it was planned.
"""

from __future__ import annotations

import asyncio
import gc
import json
import secrets
import sys
from collections import Counter
from pathlib import Path

import asyncssh


async def main(fleet: dict[str, str], addresses: list[str]) -> Counter[int | None]:
    """Run the text on every address, so many at once; return how often each exit code came."""
    options = asyncssh.SSHClientConnectionOptions(
        username=fleet["user"], client_keys=[fleet["key"]], agent_path=None, config=None,
        known_hosts=asyncssh.read_known_hosts(fleet["known_hosts"]),
        encryption_algs=["aes128-gcm@openssh.com"], kex_algs=["curve25519-sha256"],
    )  # fmt: skip
    port, text, stdin = int(fleet["port"]), fleet["text"], fleet["stdin"].encode()
    at_once = asyncio.Semaphore(int(fleet["fanout"]))
    codes: Counter[int | None] = Counter()

    async def one(address: str) -> None:
        async with at_once, asyncssh.connect(address, port, options=options) as connection:
            process = await connection.create_process(
                text.replace("@MARK@", secrets.token_hex(10)),
                encoding=None,
                stdin=asyncssh.PIPE if stdin else asyncssh.DEVNULL,
            )
            if stdin:
                process.stdin.write(stdin)
            codes[(await process.wait()).exit_status] += 1

    gc.collect()
    gc.freeze()
    async with asyncio.TaskGroup() as tasks:
        for address in addresses:
            tasks.create_task(one(address))
    return codes


def runner() -> asyncio.Runner:
    """Use uvloop where vigo would."""
    try:
        import uvloop  # noqa: PLC0415 - where it is installed
    except ImportError:
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


if __name__ == "__main__":
    settings = json.loads(Path(sys.argv[1]).read_text())
    with runner() as loop:
        found = loop.run(main(settings, Path(settings["addresses"]).read_text().split()))
    print(json.dumps({"ok": found[0], "all": found.total()}))
