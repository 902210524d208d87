"""Who is told when a task has ended or stopped, as the flags say.

The run is over by then: nothing waits for it but this process, and nothing about the exit code changes.
"""

from __future__ import annotations

from typing import Self

from vigo.cli.console import Console
from vigo.core.errors import UsageError
from vigo.core.health import HealthUrl, parse_health_url
from vigo.core.history import observed
from vigo.core.rollout import Run
from vigo.core.values import dataclass

_URL = "--notify-url"


@dataclass(frozen=True, slots=True)
class Notices:
    """Where notices go; nowhere by default."""

    command: str | None = None
    url: HealthUrl | None = None

    @classmethod
    def of(cls, command: str | None, url: str | None) -> Self:
        """Read the flags. Raises UsageError."""
        if command is not None and not command.strip():
            raise UsageError("--notify-command: is empty; write a command, or leave it out")
        return cls(command, None if url is None else parse_health_url(url, flag=_URL))

    def tell(self, task: str, run: Run, console: Console) -> None:
        """Tell how the task stands, now that this process does nothing more for it; failures are one line each."""
        if self.command is None and self.url is None:
            return
        from vigo.adapters.notify import post, run_command
        from vigo.render.machine import dump
        from vigo.render.notice import notice_json

        status = observed(run.status, alive=False)
        body = dump(notice_json(task, run, status)).encode()
        try:
            if self.command is not None:
                facts = {"VIGO_TASK": task, "VIGO_STATUS": status.value}
                _say("--notify-command", run_command(self.command, body, facts), console)
            if self.url is not None:
                place = f"{_URL} {self.url.scheme}://{self.url.authority}"  # its path may hold a token
                _say(place, post(self.url, body), console)
        except KeyboardInterrupt:
            console.say("interrupted while others were told; the task itself has ended")


def _say(place: str, failure: str, console: Console) -> None:
    if failure:
        console.say(f"{place}: {failure}; nobody was told, the task is as it says above")
