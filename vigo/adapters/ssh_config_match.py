"""Which lines of ssh_config speak of a host: the first value of a keyword wins, what the caller says before all files.

Nothing is run and nothing waits here: a `Match exec` whose answer is not known yet raises `Unanswered`; whoever can run
the command (`ssh_config_exec`) does, and asks again.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Final, assert_never

from vigo.adapters.ssh_config import (
    Criterion,
    Found,
    HostCondition,
    IncludeLine,
    MatchCondition,
    Section,
    SshConfig,
    UnknownLine,
    ValueLine,
    Values,
    unknown,
)
from vigo.adapters.ssh_config_keywords import ACCUMULATING, Value
from vigo.adapters.ssh_config_tokens import Goal, Here, expand
from vigo.adapters.ssh_config_words import BadLine, pattern_list
from vigo.core.errors import ConfigError
from vigo.core.model import Hop
from vigo.core.values import dataclass

SSH_PORT: Final = 22
FAMILIES: Final = {"any": socket.AF_UNSPEC, "inet": socket.AF_INET, "inet6": socket.AF_INET6}
_PROXIES: Final = ("proxyjump", "proxycommand")
_ADDRESS_SIGNS: Final = frozenset("0123456789abcdefABCDEFxX.:%")


class Unanswered(Exception):  # noqa: N818 - a question to the caller, who can wait for the answer
    """`Match exec` has to be run before it is known which lines count."""

    def __init__(self, command: str, place: str) -> None:
        super().__init__(command)
        self.command = command
        """For the user's shell, its tokens expanded."""
        self.place = place


@dataclass(slots=True)
class LookUp:
    """One host's walk through the files."""

    here: Here
    name: str
    """What was asked for: the inventory's name."""
    user: str
    """Who logs in if nothing says it."""
    answers: Mapping[str, bool]
    """What `Match exec` commands said."""
    values: Values
    """What is known before the files are read, and is added to; a keyword in it is decided."""
    _decided: frozenset[str] = frozenset()
    _final: bool = False
    _target: str = ""

    def through(self, config: SshConfig) -> str:
        """Add what the files say, and return the name to connect to. Raises ConfigError, Unanswered."""
        self._decided = frozenset(self.values)
        self._target = self.name
        self._pass(config)
        target = self._normal_target()
        if config.has_final:
            self._final, self._target = True, target
            self.values.setdefault("hostname", (Found(target, "default"),))
            self._pass(config)
        return target

    def said(self, keyword: str) -> Value | tuple[Hop, ...]:
        """Return the first value of a keyword, or None."""
        found = self.values.get(keyword)
        return found[0].value if found else None

    def _pass(self, config: SshConfig) -> None:
        for file in config.files:
            self._read(file, is_active=True, is_live=True)

    def _read(self, file: tuple[Section, ...], *, is_active: bool, is_live: bool) -> None:
        """Read one file; without `is_live` (an Include below another host's line) none of its sections count."""
        for section in file:
            condition = section.condition
            if isinstance(condition, HostCondition):
                is_active = is_live and condition.matches(self._target)
            elif condition is not None:
                is_active = is_live and self._holds(condition)
            if is_active or section.has_unknown:
                self._take(section, is_active=is_active)

    def _take(self, section: Section, *, is_active: bool) -> None:
        for line in section.lines:
            match line:
                case ValueLine():
                    if is_active:
                        self._add(line)
                case IncludeLine(files):
                    for file in files:
                        self._read(file, is_active=is_active, is_live=is_active)
                case UnknownLine():
                    ignored = self.said("ignoreunknown")
                    if not isinstance(ignored, str) or not pattern_list(ignored, ignore_case=True)(line.keyword):
                        raise unknown(line)
                case _:
                    assert_never(line)

    def _add(self, line: ValueLine) -> None:
        key = line.keyword
        before = self.values.get(key)
        if key in ACCUMULATING and key not in self._decided:
            before = before or ()
            if all(found.value != line.found[0].value for found in before):
                self.values[key] = (*before, *line.found)
        elif before is None and not (key in _PROXIES and self._has_way(key)):
            self.values[key] = line.found

    def _has_way(self, key: str) -> bool:
        """Tell whether the way is decided: by the first of the two keywords, but `ProxyJump none` leaves ProxyCommand open."""
        jump = self.said("proxyjump")
        if key == "proxycommand" and isinstance(jump, str) and jump.lower() == "none":
            return False
        return any(proxy in self.values for proxy in _PROXIES)

    def _holds(self, condition: MatchCondition) -> bool:
        holds = True
        for criterion in condition.criteria:
            if criterion.name == "exec" and not holds:
                continue  # what cannot change the outcome is not run
            holds = self._meets(criterion, condition.place) != criterion.is_negated and holds
        return holds

    def _meets(self, criterion: Criterion, place: str) -> bool:
        if criterion.name == "all":
            return True
        if criterion.name in ("final", "canonical"):
            return self._final
        if criterion.name == "exec":
            return self._answer(criterion.command, place)
        return criterion.matches is not None and criterion.matches(self._subject(criterion.name))

    def _subject(self, name: str) -> str:
        """Return what a criterion compares."""
        match name:
            case "host":
                return self._host()
            case "user":
                return self._user()
            case "localuser":
                return self.here.login
            case "tagged":
                return str(self.said("tag") or "")
            case _:
                return self.name

    def _answer(self, command: str, place: str) -> bool:
        host = self._host()
        alias = str(self.said("hostkeyalias") or host)  # here alone `%k` without an alias is not what was asked for
        goal = Goal(host, self.name, self._port(), self._user(), alias)
        try:
            asked = expand(command, self.here, goal)
        except BadLine as error:
            raise ConfigError(f"{place}: Match exec {error}") from None
        if asked not in self.answers:
            raise Unanswered(asked, place)
        return self.answers[asked]

    def _host(self) -> str:
        """Return the name to connect to, as far as it is known by now."""
        if self._final:
            return self._target
        found = self.values.get("hostname")
        if found is None:
            return self.name
        return str(found[0].value) if "hostname" in self._decided else self._host_name(found[0])

    def _host_name(self, found: Found) -> str:
        try:
            return expand(str(found.value), self.here, Goal(self.name, self.name, SSH_PORT, ""), allowed="h")
        except BadLine as error:
            raise ConfigError(f"{found.origin}: HostName {error}") from None

    def _normal_target(self) -> str:
        target = self._host()
        return _normal_address(target, str(self.said("addressfamily") or "any")) or target.lower()

    def _user(self) -> str:
        return str(self.said("user") or self.user)

    def _port(self) -> int:
        port = self.said("port")
        return port if isinstance(port, int) else SSH_PORT


@lru_cache(maxsize=1024)
def _normal_address(text: str, family: str) -> str:
    """Return an IP address as the system writes it, or an empty text for a name. No name server is asked."""
    with suppress(OSError, ValueError):
        socket.inet_pton(socket.AF_INET, text)
        return text  # four plain numbers are written one way only
    if not set(text.partition("%")[0]) <= _ADDRESS_SIGNS or not _numeric(text, "any"):
        return ""
    found = _numeric(text, family)
    return text if not found or found.lower() == text.lower() else found


def _numeric(text: str, family: str) -> str:
    try:
        found = socket.getaddrinfo(text, None, FAMILIES[family], socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return ""
    return str(found[0][4][0])
