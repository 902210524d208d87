"""What one of Ansible's variables is to vigo: how a host is reached, a trait, or something that stays behind.

Behind stay, each with a reason: secrets, templates, what only Ansible has a use for, and what is no trait's value.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from vigo.core.imports import ansible_source as source
from vigo.core.imports.ansible_source import Variable
from vigo.core.imports.document import Notes, Value
from vigo.core.imports.settings import (
    ELSEWHERE,
    add_way,
    read_address,
    read_host_keys,
    read_jump,
    read_port,
    read_proxy,
    read_user,
    read_word,
)
from vigo.core.imports.values import NoTraitError, read_trait
from vigo.core.model import HostKeyRule
from vigo.core.nodes import Mark

_SSH: Final = frozenset({"ssh", "smart", "paramiko", "paramiko_ssh"})
_CONNECTION: Final = "ansible_connection"
_SECRET: Final = re.compile(
    r"passw|passphrase|secret|token|credential|api_?key|private_key|(?:^|_)pass(?:_|$)", re.IGNORECASE
)
_SECRET_LOOKS: Final = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY")
_TEMPLATE: Final = re.compile(r"\{[{%#]")
_ARGUMENTS: Final = ("ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args")
"""In the order in which they reach `ssh`, for which the first value of an option counts."""
_CHECKING: Final = ("ansible_host_key_checking", "ansible_ssh_host_key_checking")
_WORDS_WITH_VALUE: Final = "bcDEeFIiJLlmOopQRSWw"
"""The options of `ssh` that take a value."""

_SETTINGS: Final[Mapping[str, tuple[str, Callable[[str, Mark], Value]]]] = {
    "ansible_host": ("address", read_address),
    "ansible_ssh_host": ("address", read_address),
    "ansible_port": ("ssh.port", lambda text, mark: read_port(text, "port", mark)),
    "ansible_ssh_port": ("ssh.port", lambda text, mark: read_port(text, "port", mark)),
    "ansible_user": ("ssh.user", lambda text, mark: read_user(text, "user", mark)),
    "ansible_ssh_user": ("ssh.user", lambda text, mark: read_user(text, "user", mark)),
    "ansible_private_key_file": ("ssh.identity", lambda text, mark: read_word(text, "identity", mark)),
    "ansible_ssh_private_key_file": ("ssh.identity", lambda text, mark: read_word(text, "identity", mark)),
}
"""Variable -> setting; of two names for one the later wins, as with Ansible."""


def other_connection(variables: Mapping[str, Variable]) -> tuple[str, Mark] | None:
    """Return by what Ansible would reach a host if not by SSH, and the place that says so."""
    variable = variables.get(_CONNECTION)
    if variable is None or not isinstance(variable.value, str) or _TEMPLATE.search(variable.value):
        return None
    name = variable.value.removeprefix("ansible.builtin.")
    return None if name in _SSH else (name, variable.mark)


def read_values(variables: Mapping[str, Variable], notes: Notes) -> dict[str, Value]:
    """Return the settings and traits that the variables of one host or group stand for.

    Raises ConfigError for a value that is none of its setting, such as a port that is no number.
    """
    kept = {name: variable for name, variable in variables.items() if _is_kept(name, variable, notes)}
    values: dict[str, Value] = {}
    for name, (key, read) in _SETTINGS.items():
        if name in kept and kept[name].value not in ("", None):  # a list has no hash
            values[key] = read(_text(kept[name].value), kept[name].mark)
    for name in _ARGUMENTS:
        if name in kept:
            _add_arguments(values, name, kept[name], notes)
    for name in _CHECKING:
        if name in kept and _text(kept[name].value).lower() in {"false", "no", "off", "0"}:
            values.setdefault("ssh.host_keys", str(HostKeyRule.ACCEPT_NEW))
    for name, variable in kept.items():
        if not name.startswith("ansible_"):
            values.update(_trait(name, variable, notes))
    return values


def _is_kept(name: str, variable: Variable, notes: Notes) -> bool:
    """Whether a variable has a meaning here; if not, say so."""
    reason = _reason(name, variable.value)
    if reason:
        notes.leave_out(name, reason, variable.mark)
    return not reason


def _reason(name: str, value: source.Value) -> str:
    """Return what keeps a variable from being taken at all; empty when nothing does."""
    texts = list(_texts(value))
    if any(text.startswith("$ANSIBLE_VAULT") for text in texts):
        return "is encrypted with ansible-vault; vigo's inventory holds no secrets"
    if (_SECRET.search(name) and name not in _SETTINGS) or any(map(_SECRET_LOOKS.search, texts)):
        return "looks like a secret; vigo's inventory holds none"
    if any(map(_TEMPLATE.search, texts)):
        return "is a template, which only Ansible can fill in"
    if name.startswith("ansible_") and name not in {*_SETTINGS, *_ARGUMENTS, *_CHECKING, _CONNECTION}:
        if name.startswith("ansible_become"):
            return "raising privileges is asked for with each run (--sudo)"
        if name == source.PRIORITY:
            return "counts in the inventory file alone, for Ansible, too"
        return "is a setting of Ansible's that vigo has no use for"
    return ""


def _texts(value: source.Value) -> Iterator[str]:
    """Yield the texts of a value, those in its lists too; what is in a map is never taken, so not looked at."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        yield from (item for item in value if isinstance(item, str))


def _text(value: source.Value) -> str:
    return value if isinstance(value, str) else str(value)


def _trait(name: str, variable: Variable, notes: Notes) -> dict[str, Value]:
    if "." in name:
        notes.leave_out(name, "is no trait's key, which has no dots", variable.mark)
        return {}
    try:
        return {f"traits.{name}": read_trait(name, variable.value)}
    except NoTraitError as error:
        notes.leave_out(name, str(error), variable.mark)
        return {}


def _add_arguments(values: dict[str, Value], name: str, variable: Variable, notes: Notes) -> None:
    """Add what the arguments for `ssh` say of jumps, proxies and host keys; the rest is left out."""
    options: dict[str, str] = {}
    try:
        words = shlex.split(_text(variable.value))
    except ValueError:
        notes.leave_out(name, "has quotes that do not end", variable.mark)
        return
    for option, text in _options(words):
        match option:
            case "proxyjump":
                add_way(values, read_jump(text, name, variable.mark))
            case "proxycommand":
                add_way(values, read_proxy(text, name, variable.mark))
            case "stricthostkeychecking" | "userknownhostsfile":
                options.setdefault(option, text)
            case _ if option.startswith("control"):
                notes.leave_out(f"{name}: {option}", "vigo shares connections by itself", variable.mark)
            case _:
                notes.leave_out(f"{name}: {option}", ELSEWHERE, variable.mark)
    strict, known_hosts = options.get("stricthostkeychecking"), options.get("userknownhostsfile")
    for key, value in read_host_keys(strict, known_hosts, variable.mark).items():
        values.setdefault(key, value)


def _options(words: list[str]) -> Iterator[tuple[str, str]]:
    """Yield each argument for `ssh` as an option in lower case, `-J` under its long name, and its value."""
    left = list(words)
    while left:
        word = left.pop(0)
        flag, value = word[:2], word[2:]
        if flag[1:] in _WORDS_WITH_VALUE and not value and left:
            value = left.pop(0)
        if flag == "-J":
            yield "proxyjump", value
        elif flag == "-o":
            key, _, text = value.replace("=", " ", 1).strip().partition(" ")
            yield key.lower(), text.strip()
        else:
            yield flag, value
