"""Words of OpenSSH that several sources use: users, ports, jumps, proxies and the checking of host keys.

A word that is no value of its setting is a ConfigError at its place: how a host is reached is never guessed.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from vigo.core.imports.document import Value
from vigo.core.inventory_names import check_address
from vigo.core.model import Hop, HostKeyRule, SshSettings
from vigo.core.nodes import Mark, wrong

_PORT: Final = re.compile(r"[0-9]{1,5}", re.ASCII)
_PORT_MAX: Final = 65_535
_JUMP: Final = re.compile(
    r"(?:ssh://)?(?:(?P<user>[^@]+)@)?(?:\[(?P<six>[^\]]+)\]|(?P<host>[^:\[\]]+))(?::(?P<port>[^:]*))?"
)
ELSEWHERE: Final = "has no place in an inventory; ~/.ssh/config can say it, and vigo reads that"
"""Why an option of ssh is left out."""
_DIRECT: Final = "none"
_WAYS: Final = frozenset({"ssh.jump", "ssh.proxy_command"})
_NO: Final = frozenset({"no", "off", "false"})
_YES: Final = frozenset({"yes", "true", "ask", ""})


def read_port(text: str, key: str, mark: Mark) -> int:
    """Return a port, 1-65535. Raises ConfigError."""
    if _PORT.fullmatch(text) is None or not 1 <= int(text) <= _PORT_MAX:
        raise wrong(mark, key, "is no port", f"write 1-{_PORT_MAX}")
    return int(text)


def read_user(text: str, key: str, mark: Mark) -> str:
    """Return a login name. Raises ConfigError for what the inventory would refuse, too."""
    if any(sign.isspace() or sign in "@:'\"" for sign in read_word(text, key, mark)):
        raise wrong(mark, key, "is no user name", "write one without blanks, quotes, : and @")
    return text


def read_word(text: str, key: str, mark: Mark) -> str:
    """Return a path or a command line: printable, and no option. Raises ConfigError."""
    if not text or text.startswith("-") or not text.isprintable():
        raise wrong(mark, key, "is empty, begins with - or holds a control character", "write a plain text")
    return text


def read_address(text: str, mark: Mark) -> str:
    """Return an address; brackets round IPv6 are dropped. Raises ConfigError."""
    address = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    check_address(address, mark)
    return address


def read_jump(text: str, key: str, mark: Mark) -> dict[str, Value]:
    """Return a ProxyJump, `[user@]host[:port],…`, as a setting; `none` is the direct way. Raises ConfigError."""
    if text.lower() == _DIRECT:
        return {"ssh.jump": _DIRECT}
    return {"ssh.jump": tuple(_hop(part.strip(), key, mark) for part in text.split(","))}


def read_proxy(text: str, key: str, mark: Mark) -> dict[str, Value]:
    """Return a ProxyCommand as a setting; `ssh -W %h:%p HOST` is the jump that it stands for. Raises ConfigError."""
    if text.lower() == _DIRECT:
        return {"ssh.proxy_command": _DIRECT}
    hop = _plain_jump(text, key, mark)
    return {"ssh.proxy_command": read_word(text, key, mark)} if hop is None else {"ssh.jump": (hop,)}


def add_way(values: dict[str, Value], way: Mapping[str, Value]) -> None:
    """Add a jump or a proxy unless there is one of either by now: the first one counts, as for `ssh`."""
    if _WAYS.isdisjoint(values):
        values.update(way)


def read_host_keys(strict: str | None, known_hosts: str | None, mark: Mark) -> dict[str, Value]:
    """Return what StrictHostKeyChecking and UserKnownHostsFile say together.

    `no` with /dev/null checks nothing, and is `insecure` here. `no` alone takes new keys and keeps them, which is
    `accept-new`; that ssh then also puts up with changed ones is not taken over.
    """
    nowhere = known_hosts == "/dev/null"
    values: dict[str, Value] = {}
    if known_hosts is not None and not nowhere:
        values["ssh.known_hosts"] = read_word(known_hosts, "UserKnownHostsFile", mark)
    word = (strict or "").lower()
    if word in _NO:
        values["ssh.host_keys"] = str(HostKeyRule.INSECURE if nowhere else HostKeyRule.ACCEPT_NEW)
    elif word == HostKeyRule.ACCEPT_NEW:
        values["ssh.host_keys"] = str(HostKeyRule.ACCEPT_NEW)
    elif word not in _YES:
        raise wrong(mark, "StrictHostKeyChecking", "is none of yes, no, ask, accept-new", "write one of them")
    return values


def _hop(text: str, key: str, mark: Mark) -> Hop:
    found = _JUMP.fullmatch(text)
    if found is None:
        raise wrong(mark, key, "is no jump", "write [user@]host[:port], several with commas between")
    user, port = found["user"], found["port"]
    settings = SshSettings(
        user=None if user is None else read_user(user, key, mark),
        port=None if port is None else read_port(port.removesuffix("/"), key, mark),
    )
    return Hop(read_address(found["six"] or found["host"], mark), ssh=settings)


def _plain_jump(text: str, key: str, mark: Mark) -> Hop | None:
    """Return the hop of `ssh [-q] [-i FILE] [-l USER] [-p PORT] -W %h:%p [USER@]HOST`, or None for anything else."""
    try:
        program, *words = shlex.split(text)
    except ValueError:
        return None
    if program not in {"ssh", "/usr/bin/ssh"} or "-W" not in words:
        return None
    given: dict[str, str] = {}
    rest = _options(words, given)
    if rest is None or given.pop("-W") not in {"%h:%p", "[%h]:%p"} or len(rest) != 1:
        return None
    if _JUMP.fullmatch(rest[0]) is None:
        return None
    hop = _hop(rest[0], key, mark)
    port = read_port(given["-p"], key, mark) if "-p" in given else hop.ssh.port
    user = read_user(given["-l"], key, mark) if "-l" in given else hop.ssh.user
    identity = read_word(given["-i"], key, mark) if "-i" in given else None
    return replace(hop, ssh=SshSettings(user=user, port=port, identity=identity))


def _options(words: Sequence[str], given: dict[str, str]) -> list[str] | None:
    """Put the options that a plain jump may have into `given`; return the other words, or None for another option."""
    rest: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        if word in {"-W", "-p", "-l", "-i"} and left:
            given[word] = left.pop(0)
        elif not word.startswith("-"):
            rest.append(word)
        elif word != "-q":
            return None
    return rest
