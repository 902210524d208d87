"""fabric in a pool of threads: `fabric_threads.py SETTINGS.json`. Its own ThreadingGroup has no bound on what runs at once."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fabric import Config, Connection  # type: ignore[import-not-found]  # in the peers' environment alone


def main(fleet: dict[str, str], addresses: list[str]) -> None:
    """Run the text on every address and count the exit codes."""
    config = Config(overrides={"load_ssh_configs": False})

    def one(address: str) -> bool:
        kwargs = {"key_filename": fleet["key"], "allow_agent": False, "look_for_keys": False}
        with Connection(address, fleet["user"], int(fleet["port"]), config, connect_kwargs=kwargs) as connection:
            return bool(connection.run(fleet["text"], hide=True, in_stream=False).ok)

    with ThreadPoolExecutor(int(fleet["fanout"])) as pool:
        print(json.dumps({"ok": sum(pool.map(one, addresses)), "all": len(addresses)}))


if __name__ == "__main__":
    settings = json.loads(Path(sys.argv[1]).read_text())
    main(settings, Path(settings["addresses"]).read_text().split())
