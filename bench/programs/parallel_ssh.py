"""parallel-ssh over libssh2 (ssh2-python and gevent), as its documentation says: `parallel_ssh.py SETTINGS.json`."""

from __future__ import annotations

import json
import secrets
import sys
from pathlib import Path

from pssh.clients import ParallelSSHClient  # type: ignore[import-not-found]  # in the peers' environment alone


def main(fleet: dict[str, str], addresses: list[str]) -> None:
    """Run the text on every address and count the exit codes."""
    client = ParallelSSHClient(
        addresses, user=fleet["user"], port=int(fleet["port"]), pkey=fleet["key"], pool_size=int(fleet["fanout"]),
        allow_agent=False, identity_auth=False,
    )  # fmt: skip
    texts = [fleet["text"].replace("@MARK@", secrets.token_hex(10)) for _ in addresses]
    results = client.run_command("%s", host_args=texts)
    for result in results if fleet["stdin"] else ():
        result.stdin.write(fleet["stdin"].encode())
        result.stdin.flush()
    client.join(results)
    for result in results:
        list(result.stdout)
    print(json.dumps({"ok": sum(result.exit_code == 0 for result in results), "all": len(results)}))


if __name__ == "__main__":
    settings = json.loads(Path(sys.argv[1]).read_text())
    main(settings, Path(settings["addresses"]).read_text().split())
