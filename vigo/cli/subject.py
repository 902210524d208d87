"""What is to be run: a named task with its params, or an ad-hoc command; secrets are fetched here."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from vigo.cli.console import Console
from vigo.cli.given import given_of, with_data
from vigo.cli.local_file import with_file
from vigo.cli.request import Request, command_of, policy_of
from vigo.core import binding, params, tasks
from vigo.core.binding import Bound
from vigo.core.errors import UsageError
from vigo.core.events import TaskDispatched
from vigo.core.given import Given
from vigo.core.guard import Text
from vigo.core.inventory import Inventory
from vigo.core.model import Host
from vigo.core.params import NeededSecret, SecretSource
from vigo.core.plan import Policy
from vigo.core.tasks import Meaning, NamedTask
from vigo.core.values import dataclass

_SECRET_BYTES_MAX = 128 * 1024
_ALIKE = 0.8
"""How alike a command and a task's name must be for a slip of the finger."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A command with its values, what is asked after it, and how it is rolled out."""

    bound: Bound
    policy: Policy
    check: Bound | None = None
    """The health check command."""
    rollback: str | None = None
    """What takes it back: a command, or the name of a task."""
    exclusive: bool = False
    expand: bool = False

    @property
    def target(self) -> str | None:
        """The named task's own target."""
        return self.bound.task.target if self.bound.task else None

    @property
    def task_name(self) -> str | None:
        """The named task, if it is one."""
        return self.bound.task_name

    def rollback_texts(self, inventory: Inventory, hosts: Sequence[Host], console: Console) -> list[Text]:
        """Return what a rollback would run on these hosts, for the guard to read beforehand."""
        if self.rollback is None:
            return []
        bound = _rollback(self, inventory, console)
        return [binding.render(bound, host) for host in hosts]


def subject_of(request: Request, inventory: Inventory, console: Console) -> Subject:
    """Read the words, the params and the policy, and fetch the secrets. Raises UsageError, ConfigError."""
    beside, data = given_of(request)
    if beside.script is not None:
        return _adhoc("", beside, data, request)
    word = command_of(request.words)
    named = _named_tasks(inventory)
    if tasks.choose(word, named, request.as_kind) is Meaning.TASK:
        if request.expand:
            raise UsageError("--expand: is for ad-hoc commands; a named task's placeholders are always filled in")
        return _named(named[word], request, console, beside, data)
    if request.params:
        raise UsageError(f"--param: {word!r} is a command, not a named task; only tasks take params")
    near = get_close_matches(word, named, 1, _ALIKE)
    if near and request.as_kind is None:
        console.say(f"note: {word!r} is no task and is taken as a command; did you mean the task {near[0]!r}?")
    return _adhoc(word, beside, data, request)


def recorded_subject(opening: TaskDispatched, request: Request, inventory: Inventory, console: Console) -> Subject:
    """Return a recorded task's command and rules, for a new task; flags win, a recorded `--stop-after` does not hold.

    Raises UsageError too when a file that the task brought to hosts is not the same any more.
    """
    del inventory
    secrets = secrets_again(opening, console, dry_run=request.dry_run)
    return Subject(
        with_data(with_file(binding.from_record(opening, secrets))),
        policy_of(request.typed, replace(opening.policy, stop_after=None)),
        binding.check_from_record(opening, secrets),
        opening.rollback,
        expand=opening.expand,
    )


def rollback_subject(opening: TaskDispatched, request: Request, inventory: Inventory, console: Console) -> Subject:
    """Return what takes a recorded task back, under the task's bounds and rights on each host and no others."""
    word = command_of(request.words)
    old = opening.policy
    rights = Policy(sudo=old.sudo, sudo_user=old.sudo_user, doas=old.doas)
    bounds = replace(rights, limits=old.limits, connect_timeout_ms=old.connect_timeout_ms, fanout=old.fanout)
    policy = policy_of(request.typed, bounds)
    named = _named_tasks(inventory)
    if word in named:
        # The password belongs to the rights of the old task, which the rollback's own settings do not know of.
        bare = replace(request, ask_sudo_password=False, sudo_password_file=None, sudo_password_fd=None)
        own = _with_params(bare, named[word], opening.params)
        return replace(_named(named[word], own, console), policy=policy)
    secrets = secrets_again(opening, console, dry_run=request.dry_run)
    bound = binding.rollback_command(word, binding.from_record(opening, secrets), expand=opening.expand)
    return Subject(bound, policy, expand=opening.expand)


def secrets_again(opening: TaskDispatched, console: Console, *, dry_run: bool = False) -> dict[str, str]:
    """Fetch the secrets of a recorded task, which are not on record. Raises UsageError when nobody can be asked."""
    return {name: _ask_again(name, console, dry_run=dry_run) for name in binding.secrets_of(opening)}


def _ask_again(name: str, console: Console, *, dry_run: bool) -> str:
    variable = params.variable_of(name)
    if variable in os.environ:
        return os.environ[variable]
    if dry_run:
        return binding.SECRET_SHOWN
    if not console.can_ask:
        raise UsageError(
            f"--param {name}: is secret, not on record, and there is no terminal to ask on; set {variable}"
        )
    return console.ask_secret(f"param {name} (not shown): ")


def _named_tasks(inventory: Inventory) -> dict[str, NamedTask]:
    return {name: tasks.read_task(name, node) for name, node in inventory.tasks.items()}


def _adhoc(command: str, beside: Given, data: bytes, request: Request) -> Subject:
    policy = _checked(policy_of(request, Policy()), request)
    bound = binding.adhoc(command, expand=request.expand, beside=beside, data=data)
    check = _check(policy, bound, expand=request.expand)
    return Subject(bound, policy, check, request.rollback_command, expand=request.expand)


def _named(
    task: NamedTask,
    request: Request,
    console: Console,
    beside: Given = Given(),  # noqa: B008 - it is frozen
    data: bytes = b"",
) -> Subject:
    given = params.parse_params(request.params)
    secrets = {
        needed.name: _fetch(needed, request, console)
        for needed in params.needed_secrets(task.params, given, os.environ)
    }
    bound = binding.bind(task, given, secrets, beside, data)
    defaults = task.over(policy_of(request.configured, Policy()))  # a task knows better what it needs
    defaults = replace(defaults, gate=replace(defaults.gate, urls=binding.urls(task.health_check_urls, bound)))
    policy = _checked(policy_of(request.typed, defaults), request)
    return Subject(bound, policy, _check(policy, bound), request.rollback_command or task.rollback, task.exclusive)


def _checked(policy: Policy, request: Request) -> Policy:
    binding.flag_urls(request.health_check_url)
    return policy


def _check(policy: Policy, bound: Bound, *, expand: bool = False) -> Bound | None:
    command = policy.gate.command
    return None if command is None else binding.check_command(command, bound, expand=expand)


def _with_params(request: Request, task: NamedTask, given: Iterable[tuple[str, str]]) -> Request:
    """Give a rollback that is a task those of the rolled back task's params that it has too, secrets aside."""
    known = {spec.name for spec in task.params if not spec.secret}
    return replace(request, params=tuple(f"{name}={value}" for name, value in given if name in known))


def _rollback(subject: Subject, inventory: Inventory, console: Console) -> Bound:
    word = subject.rollback or ""
    named = _named_tasks(inventory)
    if word in named:
        request = _with_params(Request(dry_run=True), named[word], subject.bound.params)
        return _named(named[word], request, console).bound
    return binding.rollback_command(word, subject.bound, expand=subject.expand)


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
