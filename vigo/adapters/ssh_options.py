"""From inventory settings and ssh_config to asyncssh's options, built once for each distinct setting.

asyncssh reads ssh_config; what it would read wrongly or must not decide (host keys, keys, jumps) is taken out of its hands
here. Values of the inventory win. Never a password, never a prompt, never a forwarded agent.
"""

from __future__ import annotations

import copy
import getpass
import os
import socket
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import asyncssh
from asyncssh.config import ConfigParseError, SSHClientConfig
from asyncssh.encryption import get_default_encryption_algs
from asyncssh.public_key import get_default_certificate_algs, get_default_public_key_algs

from vigo.adapters.ssh_errors import Unreached
from vigo.adapters.ssh_hostkeys import HostKeys, Known
from vigo.adapters.ssh_keys import Identity, Keyring, home_folder
from vigo.core.model import Host, HostKeyRule, Reason, SshSettings

_SSH_PORT = 22
_FAST_CIPHERS = (b"aes128-gcm@openssh.com", b"aes256-gcm@openssh.com")
_KEEPALIVE_INTERVAL_S = 15
_KEEPALIVE_COUNT = 3
_PLAIN = False
"""For asyncssh's `reload`, `canonical` and `final`: the file is read once, as it stands."""
_RSA_SIGNATURES = ("rsa-sha2-256", "rsa-sha2-512", "ssh-rsa")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Everything about one host that is decided before a packet is sent."""

    name: str
    """What is resolved and connected to."""
    port: int
    user: str
    host_key_names: tuple[str, ...]
    """The names to look for in known_hosts; the first is the one to record."""
    known_hosts: tuple[Path, ...]
    records: bool
    """Whether a first contact may be recorded for this host."""
    identity: Identity
    options: asyncssh.SSHClientConnectionOptions
    """Shared by hosts of equal settings; copied for each connection."""
    orders_algorithms: bool
    """False when ssh_config itself names the host key algorithms."""
    host_keys: HostKeyRule = HostKeyRule.STRICT
    """What becomes of a key that no known_hosts file has; a flag is counted in."""
    jump: tuple[Endpoint, ...] = ()
    """The hops on the way, the one that is nearest to us first; empty is the direct way."""
    proxy_command: str | None = None
    """A program for `/bin/sh -c` whose standard streams are the connection, its tokens expanded; of the first hop if
    there are hops."""
    connect_timeout_ms: int | None = None
    """What flag, inventory or ssh_config say; None leaves it to the policy."""
    forward_agent: str | None = None
    """Socket of the agent to forward; None forwards none."""
    address_family: socket.AddressFamily = socket.AF_UNSPEC
    bind_address: str | None = None
    """Our own address to connect from."""
    authentications: tuple[str, ...] = ("publickey", "keyboard-interactive", "password")
    """The ways to log in that may be tried, in this order."""

    def again(self) -> Endpoint:
        """Return the same endpoint for another connection: its keys are offered from the first one on."""
        return replace(self, identity=self.identity.again())

    @property
    def place(self) -> str:
        """The host as an error names it."""
        return f"{self.user}@{self.name}" + ("" if self.port == _SSH_PORT else f":{self.port}")


@dataclass(slots=True)
class Preparation:
    """Makes endpoints; holds what hosts of a run share."""

    ssh_config: Path | None
    host_keys: HostKeys
    keyring: Keyring
    default_user: str
    """Empty where the one who asks has no login name."""
    _options: dict[str, asyncssh.SSHClientConnectionOptions]

    @classmethod
    def make(cls, ssh_config: Path | None, host_keys: HostKeys, default_user: str | None) -> Preparation:
        """Read the environment once: the agent's socket, the login name."""
        user = default_user or _login_name()
        return cls(ssh_config, host_keys, Keyring(os.environ.get("SSH_AUTH_SOCK") or None), user, {})

    def endpoint(self, host: Host) -> Endpoint:
        """Decide how a host is reached; raises Unreached where ssh_config asks for what cannot be done."""
        settings = host.ssh
        config = self._read_config(host.name, settings)
        _refuse_proxies(config)
        name = host.address or str(config.get("Hostname") or host.name)
        alias = config.get("HostKeyAlias")
        known_hosts, records = self._known_hosts(settings, config)
        user = settings.user or str(config.get("User") or self.default_user)
        if not user:
            raise Unreached(
                Reason.LOCAL, f"uid {os.getuid()} has no login name here; set `user` in the inventory or in ssh_config"
            )
        return Endpoint(
            name=name,
            port=settings.port or int(config.get("Port") or _SSH_PORT),
            user=user,
            host_key_names=(str(alias),) if alias else tuple(dict.fromkeys((name, host.name))),
            known_hosts=known_hosts,
            records=records,
            identity=self._identity(settings, config),
            options=self._shared_options(config),
            orders_algorithms="HostKeyAlgorithms" not in config,
        )

    def _read_config(self, name: str, settings: SshSettings) -> Mapping[str, Any]:
        if self.ssh_config is None or not self.ssh_config.exists():
            return {}
        user: Any = settings.user if settings.user is not None else ()
        port: Any = settings.port if settings.port is not None else ()
        try:
            config = SSHClientConfig.load(
                None, [self.ssh_config], _PLAIN, _PLAIN, _PLAIN, self.default_user, user, name, port
            )
        except (ConfigParseError, OSError, ValueError) as error:
            raise Unreached(
                Reason.LOCAL, f"ssh_config cannot be used: {error}; mend it or point vigo to another"
            ) from error
        return config.get_options(_PLAIN)

    def _known_hosts(self, settings: SshSettings, config: Mapping[str, Any]) -> tuple[tuple[Path, ...], bool]:
        if settings.known_hosts is not None:
            return (_expanded(settings.known_hosts),), False
        home = self.keyring.home
        own = () if home is None else (str(home / ".ssh/known_hosts"), str(home / ".ssh/known_hosts2"))
        user = config.get("UserKnownHostsFile", own)
        system = config.get("GlobalKnownHostsFile", ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"])
        named = map(_expanded, (*user, *system))
        return (*named, self.host_keys.own), True

    def _identity(self, settings: SshSettings, config: Mapping[str, Any]) -> Identity:
        if settings.identity is not None:
            files = self.keyring.load([settings.identity])
        elif config.get("IdentityFile"):
            files = self.keyring.load(config["IdentityFile"])
        else:
            files = self.keyring.defaults()
        return Identity(self.keyring, files, use_agent=not config.get("IdentitiesOnly"))

    def _shared_options(self, config: Mapping[str, Any]) -> asyncssh.SSHClientConnectionOptions:
        relevant = {key: value for key, value in config.items() if key not in _PER_HOST}
        key = repr(sorted(relevant.items()))
        options = self._options.get(key)
        if options is None:
            options = self._options[key] = _build(relevant, self.default_user)
        return options


_PER_HOST = {
    "Hostname",
    "Port",
    "User",
    "HostKeyAlias",
    "IdentityFile",
    "UserKnownHostsFile",
    "GlobalKnownHostsFile",
    "IdentitiesOnly",
}
"""Settings that an endpoint carries itself."""


def for_connection(endpoint: Endpoint, known: Known) -> asyncssh.SSHClientConnectionOptions:
    """Return the options of one connection: the shared ones, and what belongs to this host alone."""
    options = copy.copy(endpoint.options)
    options.host, options.port, options.username = endpoint.name, endpoint.port, endpoint.user
    options.host_key_alias = endpoint.host_key_names[0]
    options.known_hosts = ([], _public_keys(known.authorities), _public_keys(known.revoked), [], [], [], [])
    if endpoint.orders_algorithms:
        options.server_host_key_algs = host_key_algorithms(known)
    return options


def host_key_algorithms(known: Known) -> list[str]:
    """Order the algorithms so that a server with several keys shows one that is known, as ssh does."""
    wanted: list[str] = []
    for entry in (*known.keys, *known.portless):
        wanted += _RSA_SIGNATURES[:2] if entry.algorithm == "ssh-rsa" else [entry.algorithm]
    every = [algorithm.decode() for algorithm in get_default_public_key_algs()]
    plain = [algorithm for algorithm in dict.fromkeys((*wanted, *every)) if algorithm in every]
    certified = [algorithm.decode() for algorithm in get_default_certificate_algs()] if known.authorities else []
    return certified + plain


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a uid without a line in passwd; OSError from Python 3.13 on
        return ""


@contextmanager
def _somebody() -> Iterator[None]:
    """Let asyncssh, which gives up where nobody says who is asking, have a name and a home that lead nowhere."""
    missing = {"LOGNAME": "nobody"} if not _login_name() else {}
    if home_folder() is None:
        missing["HOME"] = os.devnull
    os.environ.update(missing)
    try:
        yield
    finally:
        for name in missing:
            del os.environ[name]


def _expanded(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise Unreached(
            Reason.LOCAL, f"known_hosts {path} is nowhere: it names a home that this user has not; write the whole path"
        ) from error


def _public_keys(entries: tuple[Any, ...]) -> list[asyncssh.SSHKey]:
    keys = []
    for entry in entries:
        try:
            keys.append(asyncssh.import_public_key(f"{entry.algorithm} {b64encode(entry.blob).decode()}"))
        except asyncssh.KeyImportError:
            continue
    return keys


def _refuse_proxies(config: Mapping[str, Any]) -> None:
    if config.get("ProxyJump"):
        raise Unreached(
            Reason.HOP,
            f"ssh_config asks for ProxyJump {config['ProxyJump']}, which vigo cannot do yet; give a direct address",
        )
    if config.get("ProxyCommand"):
        raise Unreached(
            Reason.PROXY, "ssh_config asks for a ProxyCommand, which vigo cannot do yet; give a direct address"
        )


def _build(config: Mapping[str, Any], user: str) -> asyncssh.SSHClientConnectionOptions:
    def chosen(name: str) -> Any:  # noqa: ANN401 - asyncssh's own "not given" is the empty tuple
        return config.get(name, ())

    ciphers: Any = chosen("Ciphers")
    if not ciphers:
        ciphers = [cipher.decode() for cipher in dict.fromkeys((*_FAST_CIPHERS, *get_default_encryption_algs()))]
    try:
        with _somebody():
            return asyncssh.SSHClientConnectionOptions(
                config=None,
                username=user,
                known_hosts=([], [], []),
                encryption_algs=ciphers,
                kex_algs=chosen("KexAlgorithms"),
                mac_algs=chosen("MACs"),
                client_keys=None,
                x509_trusted_certs=None,
                gss_host=None,
                host_based_auth=False,
                kbdint_auth=False,
                password_auth=False,
                public_key_auth=True,
                agent_forwarding=False,
                x11_forwarding=False,
                login_timeout=0,
                keepalive_interval=config.get("ServerAliveInterval") or _KEEPALIVE_INTERVAL_S,
                keepalive_count_max=config.get("ServerAliveCountMax", _KEEPALIVE_COUNT),
                encoding=None,
            )
    except ValueError as error:
        raise Unreached(Reason.LOCAL, f"ssh_config cannot be used: {error}; mend it") from error
