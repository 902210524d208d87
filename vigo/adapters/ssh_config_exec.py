"""Runs the commands of `Match exec`, each once a run, and never longer than the connect deadline."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections import defaultdict
from contextlib import suppress
from dataclasses import field
from typing import Any, Final

from vigo.adapters.ssh_config_match import Unanswered
from vigo.core.errors import ConfigError
from vigo.core.values import dataclass

_AT_ONCE: Final = 64


@dataclass(slots=True)
class Answers:
    """What the commands said. One that did not end in time is not run again: who asks later is told at once."""

    known: dict[str, bool] = field(default_factory=dict)
    """Expanded command -> whether it exited with 0."""
    _hung: dict[str, ConfigError] = field(default_factory=dict)
    _locks: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    _slots: asyncio.Semaphore | None = None

    def ask_and_wait(self, question: Unanswered, timeout_ms: int) -> None:
        """Run the command here and now. Raises ConfigError when it takes too long."""
        self._refuse_hung(question)
        try:
            with subprocess.Popen(_argv(question.command), **_SILENT) as process:  # noqa: S603 - the operator's own line
                try:
                    self.known[question.command] = process.wait(timeout_ms / 1000) == 0
                finally:
                    _end(process)
        except subprocess.TimeoutExpired:
            raise self._remember(question, timeout_ms) from None
        except OSError as error:
            raise _unstartable(question, error) from error

    async def ask(self, question: Unanswered, timeout_ms: int) -> None:
        """Run the command while the event loop goes on; hosts that ask the same wait for one answer. Raises ConfigError."""
        if self._slots is None:
            self._slots = asyncio.Semaphore(_AT_ONCE)
        async with self._locks[question.command]:
            self._refuse_hung(question)
            if question.command in self.known:
                return
            async with self._slots:
                try:
                    self.known[question.command] = await _exit_code(question.command, timeout_ms) == 0
                except TimeoutError:
                    raise self._remember(question, timeout_ms) from None
                except OSError as error:
                    raise _unstartable(question, error) from error

    def _refuse_hung(self, question: Unanswered) -> None:
        if question.command in self._hung:
            raise self._hung[question.command]

    def _remember(self, question: Unanswered, timeout_ms: int) -> ConfigError:
        error = ConfigError(
            f"{question.place}: Match exec {question.command[:80]!r} has not ended within {timeout_ms / 1000:g} s;"
            " run it by hand, or take it out"
        )
        self._hung[question.command] = error
        return error


_SILENT: Final[dict[str, Any]] = {
    "stdin": subprocess.DEVNULL,
    "stdout": subprocess.DEVNULL,
    "stderr": subprocess.DEVNULL,
    "start_new_session": True,
}


def _argv(command: str) -> list[str]:
    """Return how ssh has a command run: by the user's own shell."""
    return [os.environ.get("SHELL") or "/bin/sh", "-c", command]


async def _exit_code(command: str, timeout_ms: int) -> int:
    process = await asyncio.create_subprocess_exec(*_argv(command), **_SILENT)
    try:
        async with asyncio.timeout(timeout_ms / 1000):
            return await process.wait()
    finally:
        if process.returncode is None:
            _end(process)
            await process.wait()


def _end(process: subprocess.Popen[bytes] | asyncio.subprocess.Process) -> None:
    """Kill what the command started, unless it has ended."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _unstartable(question: Unanswered, error: OSError) -> ConfigError:
    return ConfigError(f"{question.place}: Match exec cannot be run: {error.strerror}; is $SHELL a shell?")
