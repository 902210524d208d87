"""The check-up of this machine: what vigo needs here before it can reach anybody."""

from __future__ import annotations

import asyncio
import io
import os
import platform
import resource
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from vigo import __version__
from vigo.adapters.places import config_folder, data_folder, state_folder
from vigo.cli.console import Console
from vigo.cli.wiring import find_inventory, load_inventory
from vigo.core.doctor import Check, CheckState
from vigo.core.errors import VigoError
from vigo.core.inventory_check import check as look_through

_PYTHON_MIN = (3, 11)
_FILES_MIN = 256
_OTHERS = 0o077
_SYSTEM_KNOWN_HOSTS = (Path("/etc/ssh/ssh_known_hosts"), Path("/etc/ssh/ssh_known_hosts2"))


def look_around(inventory: str | None, tell: Callable[[Check], None]) -> None:
    """Check what vigo needs on this machine; nothing is created, nothing is asked of a host."""
    tell(_python())
    for check in _folders():
        tell(check)
    for look in (_journal, _ssh_config, _known_hosts, _agent, lambda: _inventory(inventory), _lab, _files):
        tell(look())


def _python() -> Check:
    told = f"vigo {__version__}, Python {platform.python_version()} at {sys.executable}, {platform.system()}"
    if sys.version_info[:2] < _PYTHON_MIN:
        return Check("python", CheckState.FAILED, f"{told}; vigo needs Python 3.11 or later")
    return Check("python", CheckState.OK, told)


def _folders() -> Iterator[Check]:
    for name, place in (("data", data_folder), ("config", config_folder), ("state", state_folder)):
        try:
            path = place()
            yield Check(name, *_folder(path, is_private=name == "data"))
        except VigoError as error:
            yield Check(name, CheckState.FAILED, str(error))


def _folder(path: Path, *, is_private: bool) -> tuple[CheckState, str]:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return CheckState.OK, f"{path} is not there yet"
    except OSError as error:
        return CheckState.FAILED, f"{path}: cannot be looked at: {error.strerror}; set HOME to a home of your own"
    if not os.access(path, os.R_OK | os.X_OK | (os.W_OK if is_private else 0)):
        return CheckState.FAILED, f"{path}: is not yours to use (mode {mode:04o}); chown or chmod it"
    if is_private and mode & _OTHERS:
        return CheckState.WARNING, f"{path}: others may look into it (mode {mode:04o}); chmod 700 {path}"
    return CheckState.OK, f"{path} (mode {mode:04o})"


def _journal() -> Check:
    from vigo.adapters.store_read import Reading

    began = time.monotonic()
    try:
        with Reading(data_folder()) as journal:
            last = journal.last()
            path = journal.path
    except VigoError as error:
        return Check("journal", CheckState.FAILED, str(error), _since(began))
    told = f"the last task is {last}" if last else "no task is on record yet"
    return Check("journal", CheckState.OK, f"{path}: {told}", _since(began))


def _ssh_config() -> Check:
    from vigo.adapters.ssh_config import config_files
    from vigo.adapters.ssh_config_match import Unanswered
    from vigo.adapters.ssh_keys import home_folder
    from vigo.adapters.ssh_settings import Settler
    from vigo.core.model import Host, Overrides

    try:
        files = config_files(None, home_folder())
        with suppress(Unanswered):  # a Match exec, which is none of ours to run: by then every line has been read
            Settler.make(files, Overrides()).settle(Host("localhost", ""))
    except VigoError as error:
        return Check("ssh_config", CheckState.FAILED, str(error))
    there = [str(file.path) for file in files if file.path.exists()]
    return Check("ssh_config", CheckState.OK, f"readable: {', '.join(there)}" if there else "there is none")


def _known_hosts() -> Check:
    from vigo.adapters.ssh_errors import Unreached
    from vigo.adapters.ssh_keys import home_folder
    from vigo.adapters.ssh_known_hosts import KnownHostsFile

    home, told = home_folder(), []
    began = time.monotonic()
    try:
        own = data_folder() / "known_hosts"
        users = () if home is None else (home / ".ssh/known_hosts", home / ".ssh/known_hosts2")
        for path in (own, *users, *_SYSTEM_KNOWN_HOSTS):
            KnownHostsFile(path)
            if path.exists():
                told.append(str(path))
    except (Unreached, VigoError) as error:
        return Check("known_hosts", CheckState.FAILED, str(error), _since(began))
    found = f"readable: {', '.join(told)}" if told else "there is none yet: `vigo keys scan` shows the keys of hosts"
    return Check("known_hosts", CheckState.OK, found, _since(began))


def _agent() -> Check:
    path = os.environ.get("SSH_AUTH_SOCK")
    if not path:
        return Check("agent", CheckState.OK, "none: SSH_AUTH_SOCK is not set; key files are used")
    from vigo.adapters.ssh_errors import Unreached
    from vigo.adapters.ssh_examine import agent_keys

    began = time.monotonic()
    try:
        count = asyncio.run(agent_keys(path))
    except Unreached as error:
        return Check("agent", CheckState.WARNING, error.detail, _since(began))
    if not count:
        return Check("agent", CheckState.WARNING, f"{path} holds no key; ssh-add loads one", _since(began))
    return Check("agent", CheckState.OK, f"{path} holds {count} key{'' if count == 1 else 's'}", _since(began))


def _inventory(option: str | None) -> Check:
    began = time.monotonic()
    try:
        path, why = find_inventory(option)
        found = look_through(load_inventory(option, Console(io.StringIO(), io.StringIO(), io.StringIO())))
    except VigoError as error:
        return Check("inventory", CheckState.FAILED, str(error), _since(began))
    told = f"{path} ({why}): {found.hosts:,} host{'' if found.hosts == 1 else 's'}"
    if found.warnings:
        told += f", {len(found.warnings)} worth a look: vigo inventory check"
        return Check("inventory", CheckState.WARNING, told, _since(began))
    return Check("inventory", CheckState.OK, told, _since(began))


def _lab() -> Check:
    from vigo.lab.state import running_inventory

    lab = running_inventory()
    return Check("lab", CheckState.OK, f"runs: {lab}" if lab else "none runs; `vigo lab up` starts one")


def _files() -> Check:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    told = "no limit" if soft == resource.RLIM_INFINITY else f"{soft:,} open files"
    if soft != resource.RLIM_INFINITY and soft < _FILES_MIN:
        way_out = "lower --fanout, or raise it with `ulimit -n`"
        return Check("files", CheckState.WARNING, f"{told} at most (hard limit {hard:,}): {way_out}")
    return Check("files", CheckState.OK, f"{told} at most, about one for each host at once")


def _since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)
