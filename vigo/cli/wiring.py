"""The composition root: which inventory, which journal, which transport. Nothing is decided here about hosts."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import TYPE_CHECKING

from vigo.adapters.places import config_folder, data_folder
from vigo.cli.console import Console
from vigo.core.errors import ConfigError, JournalError

if TYPE_CHECKING:  # what `--version` need not load
    from vigo.adapters.ssh import SshTransport
    from vigo.adapters.ssh_secrets import Credentials
    from vigo.core.inventory import Inventory
    from vigo.core.model import Overrides
    from vigo.core.plan import Policy
    from vigo.core.policy import SitePolicy

LAB = "lab"
_INVENTORY_NAMES = ("inventory", "inventory.yaml", "inventory.yml")


def journal_folder() -> Path:
    """Return the folder where the journal is, or will be."""
    return data_folder()


def load_inventory(option: str | None, console: Console | None = None) -> Inventory:
    """Find and read the inventory; say on stderr which one was taken and why.

    Raises ConfigError when there is none or it cannot be used.
    """
    from vigo.adapters.inventory_yaml import load

    path, why = find_inventory(option)
    inventory = with_gathered(load(path), path)
    count = len(inventory.hosts)
    (console or Console.of_process()).say(f"inventory: {path} ({why}; {count} host{'' if count == 1 else 's'})")
    return inventory


def with_gathered(inventory: Inventory, path: Path) -> Inventory:
    """Lay what was gathered under the inventory; where nothing was, this costs a look at one folder."""
    try:
        data = data_folder()
    except JournalError:
        return inventory  # nowhere to keep anything
    if not _is_there(data / "traits"):
        return inventory
    from vigo.adapters.trait_store import TraitStore

    known = TraitStore(data, path).load(inventory.hosts)
    return inventory.with_traits(known) if known else inventory


def site_policy() -> SitePolicy:
    """Return what `policy.yaml` in the user's config folder says. Raises ConfigError when it cannot be used."""
    from vigo.adapters.policy_yaml import load_policy
    from vigo.core.policy import SitePolicy

    folder = _config_folder()
    return SitePolicy() if folder is None else load_policy(folder)


def find_inventory(option: str | None) -> tuple[Path, str]:
    """Return the inventory's path and why it is this one.

    In this order: `--inventory`, VIGO_INVENTORY, ./inventory, the user's config folder, a running lab.
    """
    asked = option or os.environ.get("VIGO_INVENTORY")
    if asked:
        return _lab_or_path(asked), "--inventory" if option else "VIGO_INVENTORY"
    for folder, why in ((Path(), "./inventory"), (_config_folder(), "your config folder")):
        for name in _INVENTORY_NAMES:
            if folder is not None and _is_there(folder / name):
                return folder / name, why
    lab = _running_lab()
    if lab is not None:
        return lab, "the running lab"
    raise ConfigError(
        "no inventory: there is no ./inventory, none in your config folder, and no lab runs; "
        "name one with --inventory PATH or VIGO_INVENTORY, or start a lab with `vigo lab up`"
    )


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:  # a HOME that is somebody else's, as sudo may leave it
        raise ConfigError(f"{path}: cannot be looked at: {error.strerror}; set HOME to a home of your own") from error


def _lab_or_path(asked: str) -> Path:
    if asked != LAB:
        return Path(asked)
    lab = _running_lab()
    if lab is None:
        raise ConfigError("inventory lab: no lab is running; start one with `vigo lab up`")
    return lab


def _running_lab() -> Path | None:
    from vigo.lab.state import running_inventory

    return running_inventory()


def _config_folder() -> Path | None:
    try:
        return config_folder()
    except ConfigError:
        return None


def login_name() -> str:
    """Return who is asking: the login name, and under sudo the one who called it."""
    caller = os.environ.get("SUDO_USER")
    if caller:
        return caller
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def transport_for(
    policy: Policy,
    *,
    accept_new_host_keys: bool = False,
    overrides: Overrides | None = None,
    ssh_config: str | None = None,
    credentials: Credentials | None = None,
) -> SshTransport:
    """Return the SSH transport of one run, with vigo's own known_hosts; `ssh_config` is the flag's value.

    Raises ConfigError for an ssh_config that cannot be used.
    """
    from vigo.adapters.ssh import SshTransport
    from vigo.adapters.ssh_config import config_files
    from vigo.adapters.ssh_keys import home_folder

    return SshTransport(
        policy=policy,
        known_hosts=data_folder() / "known_hosts",
        accept_new=accept_new_host_keys,
        ssh_config=config_files(ssh_config, home_folder()),
        overrides=overrides,
        credentials=credentials,
    )
