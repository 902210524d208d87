"""How many hosts a process may have open at once: the limit is raised first, and only then the fan-out lowered."""

from __future__ import annotations

import resource
from dataclasses import replace

from vigo.cli.console import Console
from vigo.core.errors import ConfigError
from vigo.core.plan import Policy

_OWN = 44
"""Streams, journal, locks, the event loop's own, and what is open for a moment: key files, a resolver."""
_PER_HOST = 2
"""The connection, and a second one to look whether a command was really killed."""


def fit(policy: Policy, hosts: int, console: Console) -> Policy:
    """Return the policy with a fan-out that the open files allow, saying so when that is less than asked.

    Raises ConfigError when not even one host would fit.
    """
    wanted = min(policy.fanout, hosts)
    room = at_once(wanted, console)
    return policy if room >= wanted else replace(policy, fanout=room)


def at_once(wanted: int, console: Console) -> int:
    """Return how many of so many hosts may be connected to at once, saying so when they are not all.

    Raises ConfigError when not even one host would fit.
    """
    limit = _raised(_OWN + _PER_HOST * wanted)
    room = (limit - _OWN) // _PER_HOST
    if room < 1:
        raise ConfigError(
            f"the limit of {limit} open files leaves no room for a connection; raise it: ulimit -n {_OWN + _PER_HOST * wanted}"
        )
    if room >= wanted:
        return wanted
    console.say(
        f"the limit of {limit} open files allows {room} hosts at once instead of {wanted}; "
        f"ulimit -n {_OWN + _PER_HOST * wanted} allows all of them"
    )
    return room


def _raised(needed: int) -> int:
    """Raise the soft limit as far as it is needed and allowed; return what it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return needed if soft == resource.RLIM_INFINITY else soft
    wanted = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if wanted > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(wanted, soft)
