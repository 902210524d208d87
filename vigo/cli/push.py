"""`task push`: one local file instead of a command; everything else is the way of `task run`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from vigo.adapters.local_file import read_local
from vigo.cli.console import Console
from vigo.cli.dispatch import run_task
from vigo.cli.request import Request, policy_of
from vigo.cli.subject import Subject
from vigo.core import binding
from vigo.core.errors import Exit
from vigo.core.inventory import Inventory
from vigo.core.plan import Policy
from vigo.core.push import Push, parse_mode, permissions, read_remote
from vigo.core.values import dataclass


@dataclass(frozen=True, slots=True)
class PushRequest:
    """What is pushed where, unread."""

    local: str
    remote: str
    mode: str | None = None
    no_replace: bool = False
    verify: bool = False


def push_file(asked: PushRequest, request: Request, console: Console) -> Exit:
    """Bring the file to the targets as the flags ask. Raises VigoError for whatever is refused before it starts."""
    return run_task(request, console, partial(_subject, asked))


def _subject(asked: PushRequest, request: Request, inventory: Inventory, console: Console) -> Subject:
    """Read the file, once for all hosts, and the policy. Raises UsageError."""
    del inventory, console
    policy = policy_of(request, Policy())
    binding.flag_urls(request.health_check_url)
    mode = None if asked.mode is None else parse_mode(asked.mode)
    found = read_local(asked.local)
    remote = read_remote(asked.remote, Path(asked.local).name)
    push = Push(
        local=asked.local,
        source=str(Path(asked.local).absolute()),
        remote=remote,
        mode=permissions(found.mode) if mode is None else mode,
        size_bytes=found.size_bytes,
        sha256=found.sha256,
        replaces=not asked.no_replace,
        verifies=asked.verify,
    )
    bound = binding.file(push, found, expand=request.expand)
    command = policy.gate.command
    check = None if command is None else binding.check_command(command, bound, expand=request.expand)
    return Subject(bound, policy, check, request.rollback_command, expand=request.expand)
