"""Who we are: private key files, loaded once a run, and the agent.

Nothing here asks for a passphrase: a key that has one is passed over, unless it was unlocked before the run.
"""

from __future__ import annotations

import asyncio
import copy
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path

import asyncssh

from vigo.adapters.ssh_config_tokens import home_folder as home_folder  # noqa: PLC0414 - callers know it from here
from vigo.adapters.ssh_secrets import Secret
from vigo.core.values import dataclass

_DEFAULT_FILES = ("id_ed25519_sk", "id_ecdsa_sk", "id_ed25519", "id_ecdsa", "id_rsa")
_AGENT_PATIENCE_S = 1.5
_ENCRYPTED = "encrypted; load it with ssh-add, or have its passphrase asked for with --ask-passphrase"


@dataclass(frozen=True, slots=True)
class Loaded:
    """One key file."""

    path: str
    pairs: tuple[asyncssh.SSHKeyPair, ...] = ()
    skipped: str = ""
    """Why it gave no key."""
    public: bytes = b""
    """The public key, also where the private one cannot be read: an agent may hold it."""
    is_encrypted: bool = False
    """Whether a passphrase would open it."""


@dataclass(slots=True)
class Keyring:
    """The key files of a run, each read once."""

    home: Path | None = field(default_factory=home_folder)
    """Where the default files are; None where this user has no home."""
    agent_failures: dict[str, str] = field(default_factory=dict)
    """Socket -> why it is not asked again, so that no further host waits for an agent that does not answer."""
    unlocked: Mapping[str, tuple[asyncssh.SSHKeyPair, ...]] = field(default_factory=dict)
    """Path of a file with a passphrase -> its key."""
    agent_keys: dict[str, frozenset[bytes]] = field(default_factory=dict)
    """Socket -> the public keys whose private ones the agent has, as far as that was asked for."""
    _files: dict[tuple[str, tuple[str, ...]], Loaded] = field(default_factory=dict)
    _certificates: dict[str, tuple[asyncssh.SSHCertificate, ...]] = field(default_factory=dict)

    def load(self, paths: Iterable[str], certificates: tuple[str, ...] = ()) -> tuple[Loaded, ...]:
        """Read the named key files, and the certificates that may go with any of them."""
        return tuple(self._load(path, certificates) for path in paths)

    def defaults(self, certificates: tuple[str, ...] = ()) -> tuple[Loaded, ...]:
        """Read the default key files that exist."""
        if self.home is None:
            return ()
        files = (self.home / ".ssh" / name for name in _DEFAULT_FILES)
        return self.load((str(file) for file in files if file.exists()), certificates)

    def certificates(self, paths: Iterable[str]) -> tuple[asyncssh.SSHCertificate, ...]:
        """Read the named certificates; one that cannot be read is none, as for ssh."""
        for path in paths:
            if path not in self._certificates:
                self._certificates[path] = _read_certificates(path)
        return tuple(certificate for path in paths for certificate in self._certificates[path])

    def _load(self, path: str, certificates: tuple[str, ...]) -> Loaded:
        loaded = self._files.get((path, certificates))
        if loaded is None:
            loaded = _read(path)
            if loaded.is_encrypted and (opened := self.unlocked.get(path)):
                loaded = Loaded(path, opened, public=opened[0].key_public_data)
            pairs = certified(loaded.pairs, self.certificates(certificates))
            loaded = self._files[path, certificates] = replace(loaded, pairs=pairs)
        return loaded


def certified(
    pairs: Sequence[asyncssh.SSHKeyPair], certificates: Iterable[asyncssh.SSHCertificate]
) -> tuple[asyncssh.SSHKeyPair, ...]:
    """Return the pairs, those with a certificate of their own before all others."""
    found = []
    for certificate in certificates:
        for pair in pairs:
            if not pair.has_cert and pair.key_public_data == certificate.key.public_data:
                found.append(copy.copy(pair))
                found[-1].set_certificate(certificate)
    return (*found, *pairs)


class Identity:
    """The keys that one connection may offer, in order: named ones or the default files', then the agent's."""

    def __init__(
        self,
        keyring: Keyring,
        files: tuple[Loaded, ...],
        certificates: tuple[str, ...] = (),
        *,
        agent: str | None,
        only_named: bool,
    ) -> None:
        """Of the agent at the socket `agent`, the keys that the files name come first, or alone (`only_named`)."""
        self._keyring = keyring
        self._files = files
        self._certificates = certificates
        self._agent_path = agent
        self._only_named = only_named
        self._queue = [pair for file in files for pair in file.pairs]
        self._agent: asyncssh.SSHAgentClient | None = None
        self._ask_agent = agent is not None
        self._agent_keys = 0
        self.handed: list[asyncssh.SSHKeyPair] = []
        """The keys that were offered, in order: after a login with a key, the last one is the one that was taken."""

    def again(self) -> Identity:
        """Return the same keys for another connection."""
        return Identity(
            self._keyring, self._files, self._certificates, agent=self._agent_path, only_named=self._only_named
        )

    async def next_key(self) -> asyncssh.SSHKeyPair | None:
        """Return the next key to offer, or None when there is no further one."""
        if not self._queue and self._ask_agent:
            self._ask_agent = False
            self._queue = await self._agent_pairs()
        # A pair remembers the signature algorithm that was chosen for one server: each connection has its own copy.
        if not self._queue:
            return None
        self.handed.append(self._queue.pop(0))
        return copy.copy(self.handed[-1])

    def source(self, pair: asyncssh.SSHKeyPair) -> str:
        """Say where a key came from: the path of its file, or the agent."""
        for file in self._files:
            if any(own.public_data == pair.public_data for own in file.pairs):
                return file.path
        return "the agent"

    def story(self, taken: Collection[bytes] = ()) -> str:
        """Say what was offered and what was not, and why; of the public keys `taken`, that the server took them."""
        fates = {self.source(pair): "refused" for pair in self.handed}
        fates |= {self.source(pair): "taken" for pair in self.handed if pair.public_data in taken}
        told = [f"{file.path} ({file.skipped or fates.get(file.path, 'not offered')})" for file in self._files]
        if self._agent_path is None:
            off = "SSH_AUTH_SOCK is not set" if not os.environ.get("SSH_AUTH_SOCK") else "it is switched off"
            told.append(f"no agent ({off})")
        elif self._agent_keys:
            was_taken = fates.get("the agent") == "taken"
            told.append(f"{self._agent_keys} keys of the agent ({'one taken' if was_taken else 'refused'})")
        elif self._agent_path in self._keyring.agent_failures:
            told.append(f"the agent ({self._keyring.agent_failures[self._agent_path]})")
        elif self._only_named:
            told.append("the agent (it holds none of these; IdentitiesOnly)")
        return "; ".join(told)

    async def locked(self) -> tuple[str, ...]:
        """Return the files that a passphrase would open, and whose keys the agent does not have."""
        files = [file for file in self._files if file.is_encrypted]
        if not files:
            return ()
        held = await self._keys_of_agent()
        return tuple(file.path for file in files if file.public not in held)

    def close(self) -> None:
        """Let go of the agent."""
        if self._agent is not None:
            self._agent.close()

    async def _keys_of_agent(self) -> frozenset[bytes]:
        """Return the public keys in the agent, which is asked once a run."""
        path = self._agent_path or ""
        held = self._keyring.agent_keys
        if path not in held:
            held[path] = frozenset(pair.key_public_data for pair in await self._pairs_of_agent())
            self.close()
        return held[path]

    async def _agent_pairs(self) -> list[asyncssh.SSHKeyPair]:
        return self._in_order(await self._pairs_of_agent())

    async def _pairs_of_agent(self) -> Sequence[asyncssh.SSHKeyPair]:
        path = self._agent_path
        if path is None or path in self._keyring.agent_failures:
            return []
        self._agent = asyncssh.SSHAgentClient(path)
        try:
            async with asyncio.timeout(_AGENT_PATIENCE_S):
                return list(await self._agent.get_keys())
        except TimeoutError:
            self._keyring.agent_failures[path] = f"did not answer within {_AGENT_PATIENCE_S:g} s"
        except (OSError, ValueError) as error:
            self._keyring.agent_failures[path] = f"not usable: {error}"
        return []

    def _in_order(self, pairs: Sequence[asyncssh.SSHKeyPair]) -> list[asyncssh.SSHKeyPair]:
        """Return the agent's keys, those that the files name first or alone; without those that were offered already."""
        named = {file.public for file in self._files if file.public}
        offered = {pair.public_data for file in self._files for pair in file.pairs}
        known = certified(pairs, self._keyring.certificates(self._certificates))
        fresh = [pair for pair in known if pair.public_data not in offered]
        first = [pair for pair in fresh if pair.key_public_data in named]
        rest = [] if self._only_named else [pair for pair in fresh if pair.key_public_data not in named]
        self._agent_keys = len(first) + len(rest)
        return first + rest


def _read(path: str) -> Loaded:
    if path.startswith("~"):
        return Loaded(path, skipped="nowhere: no such home")
    try:
        pairs = tuple(asyncssh.load_keypairs(path))
    except FileNotFoundError:
        return Loaded(path, skipped="missing", public=_public(f"{path}.pub"))
    except OSError as error:
        return Loaded(path, skipped=f"unreadable: {error.strerror}", public=_public(f"{path}.pub"))
    except asyncssh.KeyEncryptionError:
        return _locked(path)
    except asyncssh.KeyImportError as error:
        if "passphrase" in str(error).lower():
            return _locked(path)
        public = _public(path)
        skipped = "a public key: no agent holds its private one" if public else f"not usable: {error}"
        return Loaded(path, skipped=skipped, public=public)
    return Loaded(path, pairs, public=pairs[0].key_public_data if pairs else b"")


def unlock(path: str, passphrase: Secret) -> tuple[asyncssh.SSHKeyPair, ...] | None:
    """Return the key in an encrypted file, with a certificate that lies beside it; None where the passphrase is wrong."""
    try:
        return tuple(asyncssh.load_keypairs(path, passphrase.reveal()))
    except (OSError, asyncssh.KeyImportError, asyncssh.KeyEncryptionError):
        return None


def _locked(path: str) -> Loaded:
    return Loaded(path, skipped=_ENCRYPTED, public=_public(f"{path}.pub"), is_encrypted=True)


def _public(path: str) -> bytes:
    """Return the public key in a file, empty where there is none."""
    try:
        return asyncssh.read_public_key(path).public_data
    except (OSError, asyncssh.KeyImportError):
        return b""


def _read_certificates(path: str) -> tuple[asyncssh.SSHCertificate, ...]:
    try:
        return tuple(asyncssh.load_certificates(path))
    except (OSError, asyncssh.KeyImportError):
        return ()
