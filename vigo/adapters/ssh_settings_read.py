"""From the values that won to settings: tokens and homes expanded, defaults filled in, what is not built refused."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Final

from vigo.adapters.ssh_config import FORWARDED_SOCKET, Found, Values, expand_variables
from vigo.adapters.ssh_config_keywords import FOLLOWED, hops_of, read_value
from vigo.adapters.ssh_config_match import SSH_PORT
from vigo.adapters.ssh_config_tokens import Goal, Here, expand
from vigo.adapters.ssh_config_words import BadLine, keyword_of
from vigo.core.errors import ConfigError
from vigo.core.model import Hop, HostKeyRule, Overrides, Reason, SshSettings
from vigo.core.values import dataclass

INVENTORY: Final = "inventory"
"""The origin of what the inventory says; the inventory itself knows file and line."""
DEFAULT: Final = "default"
BEHIND_A_HOP: Final = "the hop before it"
"""The origin of the way of a hop that is not the first."""
KEEPALIVE_MS: Final = 15_000
KEEPALIVE_COUNT: Final = 3
AUTHENTICATIONS: Final = ("publickey", "keyboard-interactive", "password")
SYSTEM_KNOWN_HOSTS: Final = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
_VARIABLE_NAME: Final = re.compile(r"\$[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_WAY_OUT: Final = "leave it out, set it for other hosts only, or point vigo to another file with --ssh-config"


class SettingsError(ConfigError):
    """A host cannot be reached as it is asked for; `reason` is the host's outcome if others can."""

    def __init__(self, message: str, reason: Reason = Reason.LOCAL) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Settings:
    """How one host is reached. Paths are whole, tokens expanded."""

    asked: str
    """What was asked for: the inventory's name, or a hop's as it is written."""
    name: str
    """What is resolved and connected to."""
    port: int
    user: str
    host_key_names: tuple[str, ...]
    """The names to look for in known_hosts; the first is the one to record."""
    known_hosts: tuple[str, ...]
    """The files that count, without vigo's own."""
    records: bool
    """Whether a first contact may be recorded, and vigo's own file counts: not where the inventory names a file."""
    host_keys: HostKeyRule
    identity_files: tuple[str, ...] | None
    """In the order in which they are tried; None is the default files."""
    certificate_files: tuple[str, ...]
    identities_only: bool
    """Whether of the agent's keys only those count that the files name."""
    agent: str | None
    """Socket of the agent that is asked for keys; None asks none."""
    forward_agent: str | None
    """Socket of the agent that the host may use; None forwards none."""
    authentications: tuple[str, ...]
    jump: tuple[Settings, ...]
    """The hops on the way, the one that is nearest to us first; empty is the direct way."""
    proxy_command: str | None
    """Only for the first hop, or without hops."""
    connect_timeout_ms: int | None
    """None where neither flag nor inventory nor ssh_config say it."""
    keepalive_ms: int
    """0 is never."""
    keepalive_count: int
    ciphers: str | None
    """These five are as ssh_config writes them, `+`, `-`, `^` and patterns included; None is the default."""
    kex_algorithms: str | None
    macs: str | None
    host_key_algorithms: str | None
    signature_algorithms: str | None
    address_family: str
    """`any`, `inet` or `inet6`."""
    bind_address: str | None
    values: Values = field(repr=False, compare=False)
    """ssh_config's keyword -> the value that won, as it was said, and where."""
    kind: object = field(default_factory=object, repr=False, compare=False)
    """The same object where all but `asked`, `name`, `host_key_names` and `jump` is the same."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Reads the values of one host."""

    values: Values
    here: Here
    goal: Goal

    def first(self, key: str) -> Found | None:
        """Return the value that won."""
        found = self.values.get(key)
        return found[0] if found else None

    def text(self, key: str) -> str | None:
        """Return a text as it was said, or None."""
        found = self.first(key)
        return found.value if found is not None and isinstance(found.value, str) else None

    def number(self, key: str, default: int) -> int:
        """Return a number, or the default where nothing says one."""
        found = self.first(key)
        return found.value if found is not None and isinstance(found.value, int) else default

    def paths(self, key: str) -> tuple[str, ...]:
        """Return the paths of all lines, expanded; `none` is no path."""
        said = ((item, found) for found in self.values.get(key, ()) for item in _texts(found.value))
        return tuple(
            dict.fromkeys(self._path(text, key, found.origin) for text, found in said if text.lower() != "none")
        )

    def words(self, key: str, tokens: str) -> str | None:
        """Return a text with its tokens expanded."""
        found = self.first(key)
        if found is None or not isinstance(found.value, str):
            return None
        try:
            return expand(found.value, self.here, self.goal, tokens)
        except BadLine as error:
            raise _misread(found.origin, key, error) from None

    def known_hosts(self) -> tuple[str, ...]:
        """Return the files with known keys: the user's, then the machine's."""
        home = self.here.home
        own = () if home is None else (f"{home}/.ssh/known_hosts", f"{home}/.ssh/known_hosts2")
        user = self.paths("userknownhostsfile") if "userknownhostsfile" in self.values else own
        system = self.first("globalknownhostsfile")
        return user + (
            SYSTEM_KNOWN_HOSTS
            if system is None
            else tuple(path for path in _texts(system.value) if path.lower() != "none")
        )

    def agent(self) -> str | None:
        """Return the socket of the agent that is asked."""
        found = self.first("identityagent")
        environment = os.environ.get("SSH_AUTH_SOCK") or None
        if found is None or found.value == "SSH_AUTH_SOCK":
            return environment
        return (
            None
            if str(found.value).lower() == "none"
            else self._socket(str(found.value), "identityagent", found.origin)
        )

    def forward_agent(self) -> str | None:
        """Return the socket of the agent that the host may use."""
        said, path = self.first("forwardagent"), self.first(FORWARDED_SOCKET)
        if (said is None and path is None) or (said is not None and not said.value):
            return None
        return self.agent() if path is None else self._socket(str(path.value), "forwardagent", path.origin)

    def authentications(self) -> tuple[str, ...]:
        """Return the ways to log in that are allowed."""
        preferred = self.text("preferredauthentications")
        wanted = AUTHENTICATIONS if preferred is None else tuple(preferred.split(","))
        off = {
            method
            for method, key in (
                ("publickey", "pubkeyauthentication"),
                ("keyboard-interactive", "kbdinteractiveauthentication"),
                ("password", "passwordauthentication"),
            )
            if (found := self.first(key)) is not None and str(found.value).lower() in {"no", "false"}
        }
        return tuple(method for method in wanted if method in AUTHENTICATIONS and method not in off)

    def hops(self) -> tuple[Hop, ...]:
        """Return the way that flag, inventory or ProxyJump name."""
        found = self.first("proxyjump")
        if found is None:
            return ()
        if isinstance(found.value, tuple):
            return tuple(hop for hop in found.value if isinstance(hop, Hop))
        try:
            hops = hops_of(self.words("proxyjump", "hnpr") or "none")
        except BadLine as error:
            raise _misread(found.origin, "proxyjump", error) from None
        return tuple(Hop(host, ssh=SshSettings(user=user, port=port)) for user, host, port in hops)

    def proxy_command(self) -> str | None:
        """Return the program that makes the connection, its tokens expanded."""
        command = self.words("proxycommand", "hknpr")
        return None if command is None or command.lower() == "none" else command

    def _socket(self, text: str, key: str, origin: str) -> str | None:
        if _VARIABLE_NAME.fullmatch(text):
            return os.environ.get(text[1:]) or None
        return self._path(text, key, origin)

    def _path(self, text: str, key: str, origin: str) -> str:
        if text.startswith("~"):
            try:
                text = str(Path(text).expanduser())
            except RuntimeError:
                return text  # whoever opens it says that it is nowhere
        if origin in (INVENTORY, "--identity"):
            return text
        try:
            return expand(expand_variables(text), self.here, self.goal)
        except BadLine as error:
            raise _misread(origin, key, error) from None


def of_inventory(ssh: SshSettings) -> Values:
    """Return what the inventory says, in the words of ssh_config."""
    said: dict[str, object] = {
        "user": ssh.user,
        "port": ssh.port,
        "identityfile": ssh.identity,
        "certificatefile": ssh.certificate,
        "connecttimeout": ssh.connect_timeout_ms,
        "proxyjump": ssh.jump,
        "proxycommand": ssh.proxy_command,
        "hostkeyalias": ssh.host_key_alias,
        "stricthostkeychecking": None if ssh.host_keys is None else ssh.host_keys.value,
        "identityagent": _agent_words(ssh.agent),
        "forwardagent": ssh.forward_agent,
        "serveraliveinterval": ssh.keepalive_ms,
        "ciphers": None if ssh.ciphers is None else ",".join(ssh.ciphers),
    }
    if ssh.known_hosts is not None:
        said |= {"userknownhostsfile": (ssh.known_hosts,), "globalknownhostsfile": ()}
    return {key: (Found(value, INVENTORY),) for key, value in said.items() if value is not None}  # type: ignore[arg-type]  # all of the kinds above


def _agent_words(agent: bool | str | None) -> str | None:  # noqa: FBT001 - the inventory's own value
    if isinstance(agent, bool):
        return "SSH_AUTH_SOCK" if agent else "none"
    return agent


def of_flags(overrides: Overrides) -> Values:
    """Return what the command line says, in the words of ssh_config. Raises SettingsError."""
    said: Values = {
        key: (Found(value, flag),)
        for key, value, flag in (
            ("user", overrides.user, "--user"),
            ("port", overrides.port, "--port"),
            ("identityfile", overrides.identity, "--identity"),
            ("proxyjump", overrides.jump, "--jump"),
            ("connecttimeout", overrides.connect_timeout_ms, "--connect-timeout"),
        )
        if value is not None
    }
    for name, text in overrides.options:
        key, _ = keyword_of(name)
        try:
            value = read_value(key, text)
        except BadLine as error:
            raise _misread("--ssh-option", key, error) from None
        if not (key in ("proxyjump", "proxycommand") and {"proxyjump", "proxycommand"} & said.keys()):
            key = FORWARDED_SOCKET if key == "forwardagent" and isinstance(value, str) else key
            said.setdefault(key, (Found(value, f"--ssh-option {name}"),))
    return said


def laid_over(flags: Values, inventory: Values) -> Values:
    """Return the flags laid over what the inventory says; the two ways through others are one setting."""
    below = dict(inventory)
    if {"proxyjump", "proxycommand"} & flags.keys():
        below.pop("proxyjump", None)
        below.pop("proxycommand", None)
    if "userknownhostsfile" in flags:
        below.pop("globalknownhostsfile", None)
    return {**below, **flags}


def refuse_unbuilt(values: Values) -> None:
    """Raise SettingsError where ssh_config asks for what would change who is reached, and vigo does not do."""
    for key, is_off in _UNBUILT.items():
        found = values.get(key)
        if found and str(found[0].value).lower() not in is_off:
            name, value = FOLLOWED[key][0], str(found[0].value)[:60]
            raise SettingsError(f"{found[0].origin}: {name} {value}: not supported; {_WAY_OUT}")


_OFF: Final = frozenset({"no", "false", "none"})
_UNBUILT: Final[Mapping[str, frozenset[str]]] = {
    "bindinterface": frozenset(),
    "canonicalizehostname": _OFF,
    "proxyusefdpass": _OFF,
    "refuseconnection": frozenset(),
    "revokedhostkeys": _OFF,
}
"""Keyword -> the values that ask for nothing."""


def port_of(values: Values) -> int:
    """Return the port that was said, or 22."""
    found = values.get("port")
    return found[0].value if found and isinstance(found[0].value, int) else SSH_PORT


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, tuple):
        return tuple(item for item in value if isinstance(item, str))
    return (value,) if isinstance(value, str) else ()


def _misread(origin: str, key: str, error: BadLine) -> SettingsError:
    reason = {"proxyjump": Reason.HOP, "proxycommand": Reason.PROXY}.get(key, Reason.LOCAL)
    return SettingsError(f"{origin}: {FOLLOWED[key][0]} {error}", reason)
