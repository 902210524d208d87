"""As whom commands run in the lab: as the one who started it, or as `nobody` when that was root."""

from __future__ import annotations

import os
import pwd

from vigo.core.errors import ConfigError
from vigo.core.values import dataclass


@dataclass(frozen=True, slots=True)
class Account:
    """A user of this machine."""

    name: str
    uid: int
    gid: int
    drops: bool
    """Whether the lab's server has to give up root to become this user."""


def lab_account() -> Account:
    """Say as whom the lab will run. Raises ConfigError when root started it and there is no `nobody`."""
    if os.geteuid() != 0:
        try:
            name = pwd.getpwuid(os.geteuid()).pw_name
        except KeyError:
            name = f"uid-{os.geteuid()}"
        return Account(name, os.geteuid(), os.getegid(), drops=False)
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError as error:
        raise ConfigError(
            "root's lab runs commands as 'nobody', and there is no such user; start it as another user"
        ) from error
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, drops=True)


def become(account: Account) -> None:
    """Give up root for good, so that whatever the lab runs can do no more than that user."""
    if account.drops:
        os.setgroups([])
        os.setgid(account.gid)
        os.setuid(account.uid)
