"""Gives a command its values, once per task, and renders its exact text, once per host.

Rule 1: one renderer for named tasks, ad-hoc commands, health check commands and rollbacks, from the command line as from
the journal. Without `--expand` an ad-hoc command's bytes are its text.
Rule 2: the text that is judged holds the secrets' values; the text that travels holds `"$VIGO_PARAM_NAME"` in their
place; what is shown and recorded holds neither.
Rule 3: a host that cannot fill in its own placeholders is an error while planning, before anything connects.
Rule 4: what the journal holds is enough to render again, secrets aside: templates as they were written, and values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field, replace

from vigo.core.command import check
from vigo.core.errors import ConfigError, UsageError, VigoError
from vigo.core.events import TaskDispatched
from vigo.core.given import Given, check_slots, filled
from vigo.core.guard import Act, Content, Placement, Text
from vigo.core.health import parse_health_url
from vigo.core.model import Host
from vigo.core.params import fault_of_text, values_of, variable_of
from vigo.core.placeholders import (
    Misplaced,
    Slot,
    Template,
    fault_of_url,
    fill_command,
    fill_path,
    fill_url,
    literal,
    read_command,
    read_url,
)
from vigo.core.push import Push
from vigo.core.tasks import TEXT_BYTES_MAX, NamedTask
from vigo.core.traits import text as text_of
from vigo.core.values import dataclass

_EXPAND = "--expand"
_URL_FLAG = "--health-check-url"
_CHECK_FLAG = "--health-check-command"
_ROLLBACK_FLAG = "--rollback-command"
SECRET_SHOWN = "***"  # noqa: S105 - what stands in a secret's place


@dataclass(frozen=True, slots=True)
class Bound:
    """A command with everything but what each host fills in."""

    command: Template
    task: NamedTask | None = None
    """The named task it comes from; None for an ad-hoc command, and for one that the journal gave back."""
    task_name: str | None = None
    whence: str = ""
    """What an error about it begins with: a task and its place, a flag; empty for a literal command."""
    params: tuple[tuple[str, str], ...] = ()
    """Name and value for the journal, `***` for each secret."""
    secret_params: tuple[str, ...] = ()
    """Names of the secret ones, for the journal."""
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    text: Text | None = field(default=None, repr=False)
    """The one text for all hosts, or None when hosts get different ones."""
    push: Push | None = None
    """The file that is brought to the hosts in a command's place; `command` is then its path there, and no shell's."""
    content: Content | None = field(default=None, repr=False)
    """The file's bytes, where they are to be sent."""
    given: Given = Given()
    """What the command is given beside its text, as it was given; with a script in it `command` is empty."""
    fills: bool = False
    """Whether placeholders in `given` are filled in."""
    data: bytes = field(default=b"", repr=False)
    """The script's bytes, or those of the standard input."""

    @property
    def shown(self) -> str:
        """The command as the journal keeps it: as it was given."""
        if self.push is not None:
            return self.push.shown
        return self.command.text if self.given.script is None else self.given.script.shown

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The placeholders of everything that is filled in."""
        texts = self.given.fillable if self.fills else ()
        return (*self.command.slots, *(slot for text in texts for slot in read_url(text).slots))

    @property
    def secrets(self) -> tuple[tuple[str, str], ...]:
        """Environment variable and value of each secret that the command uses."""
        used = {slot.name for slot in self.command.slots}
        return tuple((variable_of(name), self.values[name]) for name in self.secret_params if name in used)

    @property
    def masked(self) -> tuple[str, ...]:
        """The secret values to look for in output."""
        return tuple(value for _, value in self.secrets)


def bind(
    task: NamedTask,
    given: Mapping[str, str],
    secrets: Mapping[str, str],
    beside: Given = Given(),  # noqa: B008 - it is frozen
    data: bytes = b"",
) -> Bound:
    """Give a named task its values; `secrets` are those that `params.needed_secrets` asked for.

    `beside` is what flags give it beside its text, and wins over its own `env`; `data` are the bytes of the input.

    Raises UsageError for a param that is unknown, missing or ill-typed, or when the command becomes too long.
    """
    values = values_of(task.params, given, secrets, task=task.name)
    hidden = tuple(spec.name for spec in task.params if spec.secret)
    return _settled(
        Bound(
            command=task.command,
            task=task,
            task_name=task.name,
            whence=f"task {task.name} ({task.mark})",
            params=tuple((name, SECRET_SHOWN if name in hidden else value) for name, value in values.items()),
            secret_params=hidden,
            values=values,
            given=replace(beside, env=tuple({**dict(task.env), **dict(beside.env)}.items())),
            fills=True,
            data=data,
        )
    )


def adhoc(command: str, *, expand: bool = False, beside: Given = Given(), data: bytes = b"") -> Bound:  # noqa: B008 - it is frozen
    """Take a command as it is; with `expand` its `{{ host }}`, `{{ address }}` and `{{ trait.PATH }}` are filled in.

    `beside` is what it is given beside its text, `data` are the bytes of the script or of the input. With a script there is
    no command. Raises UsageError for an empty, blank, too long or undecodable command, and for a placeholder that cannot
    be filled.
    """
    if beside.script is None:
        check(command)
    template = _expanded(command, _EXPAND) if expand else literal(command)
    return _settled(Bound(template, whence=_EXPAND if expand else "", given=beside, fills=expand, data=data))


def file(push: Push, content: Content | None, *, expand: bool = False) -> Bound:
    """Take a file that is brought to the hosts; with `expand` its path there may be another one for each of them.

    Raises UsageError for a placeholder that cannot be filled.
    """
    template = push.template(expand=expand)
    for slot in template.slots:
        if not slot.is_per_host:
            raise _unknown(_EXPAND, slot.name, "write host, address or trait.PATH")
    return Bound(template, whence=_EXPAND if expand else "", push=push, content=content)


def check_command(text: str, bound: Bound, *, expand: bool = False) -> Bound:
    """Return a task's health check command with the task's own values.

    It follows the task's command: of a named task it is a template with the same params, wherever it was written; of an
    ad-hoc command it is literal unless `expand`. Raises UsageError as `adhoc`, with the flag's name.
    """
    return _beside(text, bound, _CHECK_FLAG, expand=expand)


def rollback_command(text: str, bound: Bound, *, expand: bool = False) -> Bound:
    """Return a task's rollback command with the task's own values; the rules are those of `check_command`.

    A rollback that names a task is bound like any named task, not here.
    """
    return _beside(text, bound, _ROLLBACK_FLAG, expand=expand)


def secrets_of(dispatched: TaskDispatched) -> tuple[str, ...]:
    """Name the params whose values must be asked for again before the record can be rendered."""
    return dispatched.secret_params


def from_record(dispatched: TaskDispatched, secrets: Mapping[str, str]) -> Bound:
    """Return a recorded task's command with its values; `secrets` has one for each of `secrets_of`.

    Raises UsageError for a secret that is missing or cannot be one, ConfigError for a record that cannot be rendered.
    """
    if dispatched.push is not None:
        return file(dispatched.push, None, expand=dispatched.expand)
    named = dispatched.task_name
    given = dispatched.given
    if named is None:
        command_text = dispatched.command if given.script is None else ""
        return adhoc(command_text, expand=dispatched.expand, beside=given)
    values = {
        name: _secret_again(name, secrets.get(name)) if name in dispatched.secret_params else value
        for name, value in dispatched.params
    }
    whence = f"task {named} as it is on record"
    try:
        command = _templated(dispatched.command, values, named, whence)
    except UsageError as error:
        raise ConfigError(f"{error}; a newer vigo may have dispatched it") from error
    return _settled(
        Bound(
            command=command,
            task_name=named,
            whence=whence,
            params=dispatched.params,
            secret_params=dispatched.secret_params,
            values=values,
            given=given,
            fills=True,
        )
    )


def with_data(bound: Bound, data: bytes) -> Bound:
    """Give a command that comes from the journal the bytes of its script or its input."""
    return _settled(replace(bound, data=data, text=None))


def check_from_record(dispatched: TaskDispatched, secrets: Mapping[str, str]) -> Bound | None:
    """Return a recorded task's health check command with its values, or None when it has none."""
    text = dispatched.policy.gate.command
    if text is None:
        return None
    return check_command(text, from_record(dispatched, secrets), expand=dispatched.expand)


def act(bound: Bound, host: Host) -> Act:
    """Return what is done on one host: a command's text, or a file's place. Raises as `render`."""
    if bound.push is None:
        return render(bound, host)
    return _placement(bound, bound.push, host)


def render(bound: Bound, host: Host) -> Text:
    """Return the exact text for one host; the same object for all hosts when they do not differ.

    Raises ConfigError (UsageError for an ad-hoc command) when the host lacks a trait or the text becomes too long.
    """
    if bound.push is not None:
        raise ValueError("a file that is brought to hosts is no command; ask `act`")
    if bound.text is not None:
        return bound.text
    of_host = {slot.name: _host_value(bound, slot, host) for slot in bound.slots if slot.is_per_host}
    return _text(bound, {**bound.values, **of_host}, f"host {host.name}: ")


def urls(templates: Iterable[Template], bound: Bound) -> tuple[str, ...]:
    """Return a named task's health check URLs for the record: params filled in, `{{ host }}` and the like still standing.

    Raises UsageError when a value makes something of a URL that cannot be probed.
    """
    flag = f"{bound.whence}: health_check_url"
    return tuple(_recorded_url(fill_url(template, bound.values), flag) for template in templates)


def flag_urls(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the URLs of `--health-check-url` for the record; `{{ host }}` and the like may stand in them.

    Raises UsageError for any other placeholder or brace, and for what cannot be probed.
    """
    return tuple(_recorded_url(text, _URL_FLAG) for text in texts)


def is_per_host(recorded_text: str) -> bool:
    """Say whether a recorded URL is another one for each host."""
    return read_url(recorded_text).is_per_host


def url_for(recorded_text: str, host: Host | None) -> str:
    """Return the URL to ask for a host; None stands for a URL that is the same for all.

    Raises UsageError when the host lacks a trait, or when the result cannot be probed.
    """
    template = read_url(recorded_text)
    if host is None:
        values = {}
    else:
        bound = Bound(template, whence=f"{_URL_FLAG}: {recorded_text!r}")
        values = {slot.name: _host_value(bound, slot, host) for slot in template.slots if slot.is_per_host}
    url = fill_url(template, values)
    parse_health_url(url)
    return url


def _recorded_url(text: str, flag: str) -> str:
    template = read_url(text)
    for slot in template.slots:
        if not slot.is_per_host:
            raise _unknown(flag, slot.name, "write host, address or trait.PATH")
    fault = fault_of_url(template)
    if fault is not None:
        raise UsageError(f"{flag}: {text!r} {fault}")
    parse_health_url(fill_url(template, dict.fromkeys((slot.name for slot in template.slots), "1")), flag=flag)
    return text


def _expanded(command: str, whence: str) -> Template:
    template = read_command(command)
    slots: Iterable[Slot] = (Slot(template.name),) if isinstance(template, Misplaced) else template.slots
    for slot in slots:
        if not slot.is_per_host:
            raise _unknown(whence, slot.name, "write host, address or trait.PATH, or make it a named task with params")
    if isinstance(template, Misplaced):
        raise UsageError(f"{whence}: {template}")
    return template


def _templated(text: str, values: Mapping[str, str], task: str, whence: str) -> Template:
    template = read_command(text)
    if isinstance(template, Misplaced):
        raise UsageError(f"{whence}: {template}")
    for slot in template.slots:
        if slot.name not in values and not slot.is_per_host:
            raise UsageError(
                f"{whence}: {{{{ {slot.name} }}}} is no param of task {task}; write one of its params, host, address or trait.PATH"
            )
    return template


def _beside(text: str, bound: Bound, flag: str, *, expand: bool) -> Bound:
    try:
        check(text)
    except UsageError as error:
        raise UsageError(f"{flag}: {error}") from error
    if bound.task_name is not None:
        command = _templated(text, bound.values, bound.task_name, flag)
    else:
        command = _expanded(text, flag) if expand else literal(text)
    return _settled(
        replace(
            bound, command=command, whence=flag, text=None, push=None, content=None, given=bound.given.beside, data=b""
        )
    )


def _secret_again(name: str, value: str | None) -> str:
    if value is None:
        raise UsageError(f"--param {name}: is secret and not on record; set {variable_of(name)}")
    fault = fault_of_text(value)
    if fault is not None:
        raise UsageError(f"--param {name}: {fault}; correct it")
    return value


def _unknown(whence: str, name: str, way_out: str) -> UsageError:
    return UsageError(f"{whence}: {{{{ {name} }}}} is nothing that a host knows; {way_out}")


def _settled(bound: Bound) -> Bound:
    if bound.fills:
        check_slots(bound.given, bound.whence, bound.values.keys(), bound.secret_params)
    is_per_host = any(slot.is_per_host for slot in bound.slots)
    return bound if is_per_host else replace(bound, text=_text(bound, bound.values, ""))


def _text(bound: Bound, values: Mapping[str, str], whose: str) -> Text:
    words = {name: f'"${variable_of(name)}"' for name in bound.secret_params}
    text = Text(
        fill_command(bound.command, values, words=words),
        bound.secrets,
        filled(bound.given, values) if bound.fills else bound.given,
        bound.data,
    )
    plain = replace(text, data=b"")
    size = max(len(plain.judged.encode()), len(plain.wire.encode()))
    if size > TEXT_BYTES_MAX:
        whence = f"{bound.whence}: " if bound.whence else ""
        raise UsageError(
            f"{whence}{whose}the command has {size:,} bytes with its values, and at most {TEXT_BYTES_MAX:,} are sent;"
            " run it with --script, or copy it to the hosts as a script"
        )
    return text


def _placement(bound: Bound, push: Push, host: Host) -> Placement:
    values = {slot.name: _host_value(bound, slot, host) for slot in bound.command.slots}
    return push.to(fill_path(bound.command, values), bound.content)


def _host_value(bound: Bound, slot: Slot, host: Host) -> str:
    if slot.trait is None:
        return host.name if slot.name == "host" else host.endpoint
    value = host.traits.get(slot.trait)
    if value is None:
        raise _unfilled(bound, slot, f"host {host.name} has no trait {slot.trait}; set it, or leave the host out")
    if isinstance(value, tuple):
        raise _unfilled(bound, slot, f"trait {slot.trait} of host {host.name} is a list; a placeholder takes one value")
    text = text_of(value)
    fault = fault_of_text(text)
    if fault is not None:
        raise _unfilled(bound, slot, f"trait {slot.trait} of host {host.name} {fault}; correct it")
    return text


def _unfilled(bound: Bound, slot: Slot, reason: str) -> VigoError:
    message = f"{bound.whence}: {{{{ {slot.name} }}}}: {reason}"
    return UsageError(message) if bound.task_name is None else ConfigError(message)
