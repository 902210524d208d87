"""Who we are: private key files, loaded once a run, and the agent. Nothing ever asks for a passphrase."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh

_DEFAULT_FILES = ("id_ed25519_sk", "id_ecdsa_sk", "id_ed25519", "id_ecdsa", "id_rsa")
_AGENT_PATIENCE_S = 1.5


def home_folder() -> Path | None:
    """Return the user's home, or None: a uid need not have a line in passwd, nor HOME be set."""
    try:
        return Path.home()
    except RuntimeError:
        return None


@dataclass(frozen=True, slots=True)
class Loaded:
    """One key file."""

    path: str
    pairs: tuple[asyncssh.SSHKeyPair, ...] = ()
    skipped: str = ""
    """Why it gave no key."""


@dataclass(slots=True)
class Keyring:
    """The key files of a run, each read once."""

    agent_path: str | None
    """Socket of the agent; None is no agent."""
    home: Path | None = field(default_factory=home_folder)
    """Where the default files are; None where this user has no home."""
    agent_failure: str = ""
    """Set once the agent did not answer, so that no further host waits for it."""
    _files: dict[str, Loaded] = field(default_factory=dict)

    def load(self, paths: Iterable[str]) -> tuple[Loaded, ...]:
        """Read the named key files."""
        return tuple(self._load(path) for path in paths)

    def defaults(self) -> tuple[Loaded, ...]:
        """Read the default key files that exist."""
        if self.home is None:
            return ()
        files = (self.home / ".ssh" / name for name in _DEFAULT_FILES)
        return self.load(str(file) for file in files if file.exists())

    def _load(self, path: str) -> Loaded:
        loaded = self._files.get(path)
        if loaded is None:
            loaded = self._files[path] = _read(path)
        return loaded


class Identity:
    """The keys that one connection may offer, in order: named ones, the agent's, else the default files'."""

    def __init__(self, keyring: Keyring, files: tuple[Loaded, ...], *, use_agent: bool) -> None:
        self._keyring = keyring
        self._files = files
        self._use_agent = use_agent
        self._queue = [pair for file in files for pair in file.pairs]
        self._agent: asyncssh.SSHAgentClient | None = None
        self._ask_agent = use_agent and keyring.agent_path is not None
        self._agent_keys = 0

    def again(self) -> Identity:
        """Return the same keys for another connection."""
        return Identity(self._keyring, self._files, use_agent=self._use_agent)

    async def next_key(self) -> asyncssh.SSHKeyPair | None:
        """Return the next key to offer, or None when there is no further one."""
        if not self._queue and self._ask_agent:
            self._ask_agent = False
            self._queue = await self._agent_pairs()
        # A pair remembers the signature algorithm that was chosen for one server: each connection has its own copy.
        return copy.copy(self._queue.pop(0)) if self._queue else None

    def story(self) -> str:
        """Say what was offered and what was not, and why."""
        told = [f"{file.path} ({file.skipped or 'refused'})" for file in self._files]
        if self._agent_keys:
            told.append(f"{self._agent_keys} keys of the agent (refused)")
        elif self._keyring.agent_failure:
            told.append(f"the agent ({self._keyring.agent_failure})")
        elif self._keyring.agent_path is None:
            told.append("no agent (SSH_AUTH_SOCK is not set)")
        return "; ".join(told)

    def close(self) -> None:
        """Let go of the agent."""
        if self._agent is not None:
            self._agent.close()

    async def _agent_pairs(self) -> list[asyncssh.SSHKeyPair]:
        if self._keyring.agent_failure or self._keyring.agent_path is None:
            return []
        self._agent = asyncssh.SSHAgentClient(self._keyring.agent_path)
        try:
            async with asyncio.timeout(_AGENT_PATIENCE_S):
                pairs = list(await self._agent.get_keys())
        except TimeoutError:
            self._keyring.agent_failure = f"did not answer within {_AGENT_PATIENCE_S:g} s"
        except (OSError, ValueError) as error:
            self._keyring.agent_failure = f"not usable: {error}"
        else:
            self._agent_keys = len(pairs)
            return pairs
        return []


def _read(path: str) -> Loaded:
    try:
        return Loaded(path, tuple(asyncssh.load_keypairs(str(Path(path).expanduser()))))
    except FileNotFoundError:
        return Loaded(path, skipped="missing")
    except RuntimeError:
        return Loaded(path, skipped="nowhere: no such home")
    except OSError as error:
        return Loaded(path, skipped=f"unreadable: {error.strerror}")
    except asyncssh.KeyEncryptionError:
        return Loaded(path, skipped="encrypted; load it with ssh-add")
    except asyncssh.KeyImportError as error:
        encrypted = "passphrase" in str(error).lower()
        return Loaded(path, skipped="encrypted; load it with ssh-add" if encrypted else f"not usable: {error}")
