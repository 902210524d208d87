"""What is to be run: a named task with its params, or an ad-hoc command; secrets are fetched here."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

from vigo.cli.console import Console
from vigo.cli.request import Request, command_of
from vigo.core import binding, params, tasks
from vigo.core.binding import Bound
from vigo.core.errors import UsageError
from vigo.core.guard import Text
from vigo.core.inventory import Inventory
from vigo.core.model import Host
from vigo.core.params import NeededSecret, SecretSource
from vigo.core.plan import Policy
from vigo.core.tasks import Meaning, NamedTask

_SECRET_BYTES_MAX = 128 * 1024
_ALIKE = 0.8
"""How alike a command and a task's name must be for a slip of the finger."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A command with its values, and what its task says about the roll-out."""

    bound: Bound
    policy: Policy

    @property
    def target(self) -> str | None:
        """The named task's own target."""
        return self.bound.task.target if self.bound.task else None

    @property
    def task_name(self) -> str | None:
        """The named task, if it is one."""
        return self.bound.task.name if self.bound.task else None

    def text(self, host: Host) -> Text:
        """Return the exact text for one host."""
        return binding.render(self.bound, host)


def subject_of(request: Request, inventory: Inventory, console: Console) -> Subject:
    """Read the words and the params, and fetch the secrets. Raises UsageError, ConfigError."""
    word = command_of(request.words)
    named = {name: tasks.read_task(name, node) for name, node in inventory.tasks.items()}
    if tasks.choose(word, named, request.as_kind) is Meaning.TASK:
        if request.expand:
            raise UsageError("--expand: is for ad-hoc commands; a named task's placeholders are always filled in")
        return _named(named[word], request, console)
    if request.params:
        raise UsageError(f"--param: {word!r} is a command, not a named task; only tasks take params")
    near = get_close_matches(word, named, 1, _ALIKE)
    if near and request.as_kind is None:
        console.say(f"note: {word!r} is no task and is taken as a command; did you mean the task {near[0]!r}?")
    return Subject(binding.adhoc(word, expand=request.expand), Policy())


def _named(task: NamedTask, request: Request, console: Console) -> Subject:
    given = params.parse_params(request.params)
    secrets = {
        needed.name: _fetch(needed, request, console)
        for needed in params.needed_secrets(task.params, given, os.environ)
    }
    bound = binding.bind(task, given, secrets)
    policy = replace(task.over(Policy()), health_check_url=binding.render_url(bound))
    return Subject(bound, policy)


def _fetch(needed: NeededSecret, request: Request, console: Console) -> str:
    match needed.source:
        case SecretSource.ENVIRONMENT:
            return os.environ[needed.where]
        case SecretSource.FILE:
            return params.secret_from(_read(needed), needed)
        case SecretSource.PROMPT if request.dry_run:
            console.say(
                f"param {needed.name}: secret, and a dry run asks for nothing; {binding.SECRET_SHOWN} stands for it"
            )
            return binding.SECRET_SHOWN
        case SecretSource.PROMPT:
            if not console.can_ask:
                variable = params.variable_of(needed.name)
                raise UsageError(
                    f"--param {needed.name}: is secret and there is no terminal to ask on; "
                    f"set {variable} or give --param {needed.name}=@FILE"
                )
            return console.ask_secret(f"param {needed.name} (not shown): ")


def _read(needed: NeededSecret) -> bytes:
    try:
        with Path(needed.where).open("rb") as file:
            return file.read(_SECRET_BYTES_MAX)
    except OSError as error:
        raise UsageError(f"--param {needed.name}: {needed.where} cannot be read: {error.strerror}") from error
