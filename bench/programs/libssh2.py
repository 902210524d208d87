"""libssh2 as fast as it goes from Python: a pool of greenlets, a connection each, `libssh2.py SETTINGS.json`."""

from __future__ import annotations

import json
import secrets
import sys
from pathlib import Path

from gevent.pool import Pool  # type: ignore[import-untyped]  # in the peers' environment alone
from pssh.clients import SSHClient  # type: ignore[import-not-found]  # likewise


def main(fleet: dict[str, str], addresses: list[str]) -> None:
    """Run the text on every address and count the exit codes."""
    port, stdin = int(fleet["port"]), fleet["stdin"].encode()

    def one(address: str) -> bool:
        client = SSHClient(
            address, user=fleet["user"], port=port, pkey=fleet["key"], allow_agent=False, identity_auth=False
        )
        result = client.run_command(fleet["text"].replace("@MARK@", secrets.token_hex(10)))
        if stdin:
            result.stdin.write(stdin)
            result.stdin.flush()
        lines = list(result.stdout)
        client.wait_finished(result)
        client.disconnect()
        return bool(lines) and result.exit_code == 0

    found = list(Pool(int(fleet["fanout"])).imap_unordered(one, addresses))
    print(json.dumps({"ok": sum(found), "all": len(found)}))


if __name__ == "__main__":
    settings = json.loads(Path(sys.argv[1]).read_text())
    main(settings, Path(settings["addresses"]).read_text().split())
