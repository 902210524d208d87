"""Gives a command its values, once per task, and renders its exact text, once per host.

Rule 1: one renderer for named tasks and ad-hoc commands. Without `--expand` an ad-hoc command's bytes are its text.
Rule 2: the text that is judged holds the secrets' values; the text that travels holds `"$VIGO_PARAM_NAME"` in their
place; what is shown and recorded holds neither.
Rule 3: a host that cannot fill in its own placeholders is an error while planning, before anything connects.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from vigo.core.command import check, wrap
from vigo.core.errors import ConfigError, UsageError, VigoError
from vigo.core.guard import Text
from vigo.core.health import parse_health_url
from vigo.core.model import Host, Limits
from vigo.core.params import fault_of_text, values_of
from vigo.core.placeholders import Misplaced, Slot, Template, fill_command, fill_url, literal, read_command
from vigo.core.tasks import TEXT_BYTES_MAX, NamedTask

_SURELY_FITS = 5_000
"""A text of so many characters fits into one argument with its wrapper, whatever they are: each takes at most 20 bytes."""
_LONGEST_RUN_ID = "r" * 64
SECRET_SHOWN = "***"  # noqa: S105 - what stands in a secret's place


@dataclass(frozen=True, slots=True)
class Bound:
    """A command with everything but what each host fills in."""

    command: Template
    task: NamedTask | None = None
    """The named task it comes from, None for an ad-hoc command."""
    params: tuple[tuple[str, str], ...] = ()
    """Name and value for the journal, `***` for each secret."""
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    words: Mapping[str, str] = field(default_factory=dict)
    """What stands for each secret in the text that travels."""
    secrets: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Environment variable and value of each secret that the command uses."""
    text: Text | None = field(default=None, repr=False)
    """The one text for all hosts, or None when hosts get different ones."""

    @property
    def shown(self) -> str:
        """The command as the journal keeps it: as it was given."""
        return self.command.text

    @property
    def masked(self) -> tuple[str, ...]:
        """The secret values to look for in output."""
        return tuple(value for _, value in self.secrets)


def bind(task: NamedTask, given: Mapping[str, str], secrets: Mapping[str, str]) -> Bound:
    """Give a named task its values; `secrets` are those that `params.needed_secrets` asked for.

    Raises UsageError for a param that is unknown, missing or ill-typed, or when the command becomes too long.
    """
    values = values_of(task.params, given, secrets, task=task.name)
    used = {slot.name for slot in task.command.slots}
    hidden = [spec for spec in task.params if spec.secret]
    names = {spec.name for spec in hidden}
    return _settled(
        Bound(
            command=task.command,
            task=task,
            params=tuple((name, SECRET_SHOWN if name in names else value) for name, value in values.items()),
            values=values,
            words={spec.name: f'"${spec.variable}"' for spec in hidden},
            secrets=tuple((spec.variable, values[spec.name]) for spec in hidden if spec.name in used),
        )
    )


def adhoc(command: str, *, expand: bool = False) -> Bound:
    """Take a command as it is; with `expand` its `{{ host }}`, `{{ address }}` and `{{ trait.PATH }}` are filled in.

    Raises UsageError for an empty, blank, too long or undecodable command, and for a placeholder that cannot be filled.
    """
    check(command)
    return _settled(Bound(_expanded(command) if expand else literal(command)))


def render(bound: Bound, host: Host) -> Text:
    """Return the exact text for one host; the same object for all hosts when they do not differ.

    Raises ConfigError (UsageError for an ad-hoc command) when the host lacks a trait or the text becomes too long.
    """
    if bound.text is not None:
        return bound.text
    return _text(bound, {**bound.values, **_of_host(bound, bound.command.slots, host)}, f"host {host.name}: ")


def render_url(bound: Bound, host: Host | None = None) -> str | None:
    """Return the named task's health check URL with its values, or None when it has none.

    A URL with `{{ host }}` and the like needs the host. Raises UsageError when the result is not such a URL,
    ConfigError when the host is missing or lacks a trait.
    """
    template = None if bound.task is None else bound.task.health_check_url
    if bound.task is None or template is None:
        return None
    own = tuple(slot for slot in template.slots if slot.is_per_host)
    if own and host is None:
        raise ConfigError(
            f"task {bound.task.name} ({bound.task.mark}): health_check_url: {{{{ {own[0].name} }}}} differs from host to host "
            "and the check asks once for a whole batch; name a service that stands for all"
        )
    url = fill_url(template, {**bound.values, **({} if host is None else _of_host(bound, own, host))})
    parse_health_url(url)
    return url


def _expanded(command: str) -> Template:
    template = read_command(command)
    slots: Iterable[Slot] = (Slot(template.name),) if isinstance(template, Misplaced) else template.slots
    for slot in slots:
        if not slot.is_per_host:
            raise UsageError(
                f"--expand: {{{{ {slot.name} }}}} is nothing that a host knows; "
                "write host, address or trait.PATH, or make it a named task with params"
            )
    if isinstance(template, Misplaced):
        raise UsageError(f"--expand: {template}")
    return template


def _settled(bound: Bound) -> Bound:
    if bound.command.is_per_host:
        return bound
    text = _text(bound, bound.values, "")
    return Bound(bound.command, bound.task, bound.params, bound.values, bound.words, bound.secrets, text)


def _text(bound: Bound, values: Mapping[str, str], whose: str) -> Text:
    words = bound.words if bound.secrets else None
    text = Text(fill_command(bound.command, values, words=words), bound.secrets)
    size = max(len(text.judged.encode()), len(text.wire.encode()))
    if size > TEXT_BYTES_MAX:
        raise UsageError(
            f"{whose}the command has {size:,} bytes with its values, and at most {TEXT_BYTES_MAX:,} are sent;"
            " copy it to the hosts as a script and run that"
        )
    if len(text.wire) > _SURELY_FITS:
        wrap(text.wire, bound.secrets, Limits(nice=1), _LONGEST_RUN_ID)  # raises what the transport would raise later
    return text


def _of_host(bound: Bound, slots: Iterable[Slot], host: Host) -> dict[str, str]:
    return {slot.name: _host_value(bound, slot, host) for slot in slots if slot.is_per_host}


def _host_value(bound: Bound, slot: Slot, host: Host) -> str:
    if slot.trait is None:
        return host.name if slot.name == "host" else host.endpoint
    value = host.traits.get(slot.trait)
    if value is None:
        raise _unfilled(bound, slot, f"host {host.name} has no trait {slot.trait}; set it, or leave the host out")
    if isinstance(value, tuple):
        raise _unfilled(bound, slot, f"trait {slot.trait} of host {host.name} is a list; a placeholder takes one value")
    text = str(value).lower() if isinstance(value, bool) else str(value)
    fault = fault_of_text(text)
    if fault is not None:
        raise _unfilled(bound, slot, f"trait {slot.trait} of host {host.name} {fault}; correct it")
    return text


def _unfilled(bound: Bound, slot: Slot, reason: str) -> VigoError:
    if bound.task is None:
        return UsageError(f"--expand: {{{{ {slot.name} }}}}: {reason}")
    return ConfigError(f"task {bound.task.name} ({bound.task.mark}): {{{{ {slot.name} }}}}: {reason}")
