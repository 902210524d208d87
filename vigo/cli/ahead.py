"""Loads in the background what a run will need: it waits for disks and for other programs while the plan is made."""

from __future__ import annotations

import threading
from contextlib import suppress
from importlib import import_module


def load_ahead(*names: str) -> None:
    """Begin to import these modules; whoever imports one of them meanwhile waits until it is there.

    What cannot be imported, or the thread that cannot be started, is left to whoever needs it.
    """

    def load() -> None:
        for name in names:
            with suppress(Exception):
                import_module(name)

    with suppress(RuntimeError):
        threading.Thread(target=load, name="vigo-ahead", daemon=True).start()
