"""A headless Chromium that a test talks to over two pipes, in its DevTools protocol: no port, no library."""

from __future__ import annotations

import base64
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_WAIT_S = 60
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--no-first-run", "--remote-debugging-pipe",
)  # fmt: skip
_LAUNCH = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]
os.dup2(ends[0], 3)
os.dup2(ends[1], 4)
os.execvp(sys.argv[3], sys.argv[3:])
"""
"""Chromium reads commands from descriptor 3 and writes answers to descriptor 4: here others may have these numbers."""


class Page:
    """One page of it. What it loads, logs and complains about is kept."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers
        self._buffer = b""
        self._number = 0
        self._session = ""
        self.requests: list[str] = []
        self.said: list[str] = []
        self._loaded = False
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime", "Security"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                result: dict[str, Any] = answer["result"]
                return result

    def open(self, path: Path) -> None:
        """Load a file, without scripts, and wait until all of it is there."""
        self.ask("Emulation.setScriptExecutionDisabled", value=True)
        self.ask("Page.navigate", url=path.as_uri())
        while not self._loaded:
            self._next()

    def see(self, width: int, *, scheme: str = "light", medium: str = "screen") -> None:
        """Look at the page in a window so wide, in a light or dark scheme, on a screen or on paper."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.ask("Emulation.setEmulatedMedia", media=medium, features=features)

    def find(self, expression: str) -> Any:
        """Return the value of an expression; it is asked from outside and is no script of the page."""
        found = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def printed(self) -> bytes:
        """Return the page as it is printed on A4, as PDF."""
        answer = self.ask("Page.printToPDF", paperWidth=8.27, paperHeight=11.69, preferCSSPageSize=True)
        return base64.b64decode(answer["data"])

    def _next(self) -> dict[str, Any]:
        until = time.monotonic() + _WAIT_S
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._answers], [], [], max(0, until - time.monotonic()))
            assert ready, "the browser does not answer"
            data = os.read(self._answers, 1 << 20)
            assert data, "the browser has ended"
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        self._keep(message.get("method", ""), message.get("params", {}))
        return message

    def _keep(self, method: str, params: dict[str, Any]) -> None:
        match method:
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])
            case "Log.entryAdded":
                self.said.append(params["entry"]["text"])
            case "Runtime.consoleAPICalled" | "Runtime.exceptionThrown":
                self.said.append(json.dumps(params))
            case "Page.loadEventFired":
                self._loaded = True
            case _:
                pass


@contextmanager
def browser(folder: Path) -> Iterator[Page]:
    """Start Chromium with a profile in this folder, and yield a page of it."""
    reads, commands = os.pipe()
    answers, writes = os.pipe()
    words = [sys.executable, "-c", _LAUNCH, str(reads), str(writes), "chromium", *_FLAGS, f"--user-data-dir={folder}"]
    with subprocess.Popen(words, pass_fds=(reads, writes), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        os.close(reads)
        os.close(writes)
        try:
            yield Page(commands, answers)
        finally:
            run.terminate()
            os.close(commands)
            os.close(answers)
