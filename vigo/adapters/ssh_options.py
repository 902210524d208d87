"""From settings to asyncssh's options, built once for each distinct setting.

Who is reached and how is decided in `ssh_settings`; here it becomes what asyncssh takes. A password or a prompt is
possible only in a run that was given credentials, and never on a jump host.
"""

from __future__ import annotations

import copy
import os
import socket
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import field, replace
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import asyncssh
from asyncssh.encryption import get_default_encryption_algs, get_encryption_algs
from asyncssh.kex import get_default_kex_algs, get_kex_algs
from asyncssh.mac import get_default_mac_algs, get_mac_algs
from asyncssh.public_key import (
    get_certificate_algs,
    get_default_certificate_algs,
    get_default_public_key_algs,
    get_public_key_algs,
)

from vigo.adapters.ssh_auth import Offers
from vigo.adapters.ssh_config import ConfigFile
from vigo.adapters.ssh_config_keywords import FOLLOWED
from vigo.adapters.ssh_config_match import FAMILIES
from vigo.adapters.ssh_config_tokens import home_folder, login_name
from vigo.adapters.ssh_errors import Unreached
from vigo.adapters.ssh_hostkeys import HostKeys, Known
from vigo.adapters.ssh_keys import Identity, Keyring
from vigo.adapters.ssh_secrets import Credentials
from vigo.adapters.ssh_settings import Settler
from vigo.adapters.ssh_settings_read import Settings, SettingsError
from vigo.core.errors import ConfigError
from vigo.core.model import Host, HostKeyRule, Overrides, Reason
from vigo.core.values import dataclass

_SSH_PORT = 22
_FAST_CIPHERS = (b"aes128-gcm@openssh.com", b"aes256-gcm@openssh.com")
_FAST_KEX = (b"curve25519-sha256", b"curve25519-sha256@libssh.org")
"""A post-quantum exchange costs both sides several times as much; ssh_config's KexAlgorithms puts one first."""
_RSA_SIGNATURES = ("rsa-sha2-256", "rsa-sha2-512", "ssh-rsa")
_Algorithms: TypeAlias = tuple[str | None, str | None, str | None, str | None, int, int]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Everything about one host that is decided before a packet is sent."""

    asked: str
    """What the inventory calls it, or how a hop is written."""
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
    host_key_algorithms: tuple[str, ...] | None = None
    """The only ones that are taken, as ssh_config says; None takes all, those of known keys first."""
    host_keys: HostKeyRule = HostKeyRule.STRICT
    """What becomes of a key that no known_hosts file has; a flag is counted in."""
    jump: tuple[Endpoint, ...] = ()
    """The hops on the way, the one that is nearest to us first; empty is the direct way."""
    proxy_command: str | None = None
    """A program for `/bin/sh -c` whose standard streams are the connection, its tokens expanded; an endpoint behind hops
    has none, but the first hop may."""
    connect_timeout_ms: int | None = None
    """What flag, inventory or ssh_config say; None leaves it to the policy."""
    forward_agent: str | None = None
    """Socket of the agent to forward; None forwards none."""
    address_family: socket.AddressFamily = socket.AF_UNSPEC
    bind_address: str | None = None
    """Our own address to connect from."""
    authentications: tuple[str, ...] = ("publickey", "keyboard-interactive", "password")
    """The ways to log in that may be tried, in this order."""
    offers: Offers | None = None
    """What is offered beside keys; None is nothing."""
    asks_first: bool = False
    """Whether the server is asked which ways to log in it takes before a key is tried: a round trip for an answer."""
    is_hop: bool = False
    """Whether others are reached through it, and nothing but a key is offered."""

    def again(self) -> Endpoint:
        """Return the same endpoint for another connection: its keys are offered from the first one on."""
        return replace(self, identity=self.identity.again())

    @property
    def first_stop(self) -> tuple[str, int] | None:
        """The name and port that TCP goes to: the first hop's or our own; None where a program connects."""
        stop = self.jump[0] if self.jump else self
        return None if stop.proxy_command else (stop.name, stop.port)

    @property
    def place(self) -> str:
        """The host as an error names it."""
        return f"{self.user}@{self.name}" + ("" if self.port == _SSH_PORT else f":{self.port}")


@dataclass(slots=True)
class Preparation:
    """Makes endpoints; holds what hosts of a run share."""

    settler: Settler
    host_keys: HostKeys
    keyring: Keyring
    offers: Offers | None = None
    """What targets are offered beside keys."""
    _options: dict[_Algorithms, asyncssh.SSHClientConnectionOptions] = field(default_factory=dict)
    _like: dict[object, Endpoint] = field(default_factory=dict)
    _hops: dict[Settings, Endpoint] = field(default_factory=dict)

    @classmethod
    def make(
        cls,
        ssh_config: Path | Sequence[ConfigFile] | None,
        host_keys: HostKeys,
        default_user: str | None,
        overrides: Overrides | None = None,
        credentials: Credentials | None = None,
    ) -> Preparation:
        """Read the files and the environment once: one file, those of `config_files`, or none. Raises ConfigError."""
        files = (ConfigFile(ssh_config),) if isinstance(ssh_config, Path) else ssh_config or ()
        settler = Settler.make(files, overrides or Overrides(), default_user)
        if credentials is None:
            return cls(settler, host_keys, Keyring())
        offers = Offers(credentials) if credentials.answers_hosts else None
        return cls(settler, host_keys, Keyring(unlocked=credentials.unlocked), offers)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the operator should hear once, as far as hosts were looked at: said by ssh_config and not followed."""
        return tuple(self.settler.remarks)

    def endpoint(self, host: Host) -> Endpoint:
        """Decide how a host is reached; raises Unreached where what is asked for cannot be done.

        It waits for what `Match exec` runs: on an event loop, call `prepared`.
        """
        with _as_unreached():
            return self._endpoint(self.settler.settle_and_wait(host))

    async def prepared(self, host: Host) -> Endpoint:
        """Decide like `endpoint`, without holding the event loop up; bounded by the host's connect deadline."""
        with _as_unreached():
            return self._endpoint(await self.settler.settled(host))

    def _endpoint(self, settings: Settings) -> Endpoint:
        like = self._like.get(settings.kind)
        if like is None:
            like = self._like[settings.kind] = self._first_of_its_kind(settings)
        return replace(
            like,
            asked=settings.asked,
            name=settings.name,
            host_key_names=settings.host_key_names,
            identity=like.identity.again(),
            jump=tuple(map(self._hop, settings.jump)),
        )

    def _first_of_its_kind(self, settings: Settings) -> Endpoint:
        rule = settings.host_keys
        if self.host_keys.accept_new and rule is HostKeyRule.STRICT:
            rule = HostKeyRule.ACCEPT_NEW
        own = (self.host_keys.own,) if settings.records else ()
        return Endpoint(
            asked=settings.asked,
            name=settings.name,
            port=settings.port,
            user=settings.user,
            host_key_names=settings.host_key_names,
            known_hosts=(*map(_placed, settings.known_hosts), *own),
            records=settings.records,
            identity=self._identity(settings),
            options=self._shared_options(settings),
            host_key_algorithms=_host_key_choice(settings),
            host_keys=rule,
            proxy_command=settings.proxy_command,
            connect_timeout_ms=settings.connect_timeout_ms,
            forward_agent=settings.forward_agent,
            address_family=FAMILIES[settings.address_family],
            bind_address=settings.bind_address,
            authentications=settings.authentications,
            offers=self.offers,
        )

    def _hop(self, settings: Settings) -> Endpoint:
        """Return the one endpoint of a hop that all targets behind it share."""
        endpoint = self._hops.get(settings)
        if endpoint is None:
            endpoint = self._hops[settings] = replace(self._endpoint(settings), offers=None, is_hop=True)
        return endpoint

    def _identity(self, settings: Settings) -> Identity:
        if settings.identity_files is None:
            files = self.keyring.defaults(settings.certificate_files)
        else:
            files = self.keyring.load(settings.identity_files, settings.certificate_files)
        certificates = settings.certificate_files
        return Identity(self.keyring, files, certificates, agent=settings.agent, only_named=settings.identities_only)

    def _shared_options(self, settings: Settings) -> asyncssh.SSHClientConnectionOptions:
        key = (
            settings.ciphers,
            settings.kex_algorithms,
            settings.macs,
            settings.signature_algorithms,
            settings.keepalive_ms,
            settings.keepalive_count,
        )
        options = self._options.get(key)
        if options is None:
            options = self._options[key] = _build(settings)
        return options


@contextmanager
def _as_unreached() -> Iterator[None]:
    try:
        yield
    except SettingsError as error:
        raise Unreached(error.reason, str(error)) from error
    except ConfigError as error:
        raise Unreached(Reason.LOCAL, str(error)) from error


def for_connection(endpoint: Endpoint, known: Known) -> asyncssh.SSHClientConnectionOptions:
    """Return the options of one connection: the shared ones, and what belongs to this host alone."""
    options = copy.copy(endpoint.options)
    options.host, options.port, options.username = endpoint.name, endpoint.port, endpoint.user
    options.host_key_alias = endpoint.host_key_names[0]
    options.known_hosts = ([], _public_keys(known.authorities), _public_keys(known.revoked), [], [], [], [])
    options.server_host_key_algs = list(endpoint.host_key_algorithms or host_key_algorithms(known))
    options.public_key_auth = "publickey" in endpoint.authentications
    options.agent_forward_path = endpoint.forward_agent
    if endpoint.offers is not None:
        options.password_auth = "password" in endpoint.authentications
        options.kbdint_auth = "keyboard-interactive" in endpoint.authentications
        options.preferred_auth = endpoint.authentications
    return options


def host_key_algorithms(known: Known) -> list[str]:
    """Order the algorithms so that a server with several keys shows one that is known, as ssh does."""
    kinds = tuple(entry.algorithm for entry in (*known.keys, *known.portless))
    return [*(_certificate_algorithms() if known.authorities else ()), *_plain_algorithms(kinds)]


@cache
def _certificate_algorithms() -> tuple[str, ...]:
    return tuple(algorithm.decode() for algorithm in get_default_certificate_algs())


@lru_cache(maxsize=256)
def _plain_algorithms(known: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of the known kinds first; worked out once for hosts that are known alike."""
    wanted: list[str] = []
    for kind in known:
        wanted += _RSA_SIGNATURES[:2] if kind == "ssh-rsa" else [kind]
    every = [algorithm.decode() for algorithm in get_default_public_key_algs()]
    return tuple(algorithm for algorithm in dict.fromkeys((*wanted, *every)) if algorithm in every)


@contextmanager
def _somebody() -> Iterator[None]:
    """Let asyncssh, which gives up where nobody says who is asking, have a name and a home that lead nowhere."""
    missing = {"LOGNAME": "nobody"} if not login_name() else {}
    if home_folder() is None:
        missing["HOME"] = os.devnull
    os.environ.update(missing)
    try:
        yield
    finally:
        for name in missing:
            del os.environ[name]


def _placed(path: str) -> Path:
    if path.startswith("~"):
        raise Unreached(
            Reason.LOCAL, f"known_hosts {path} is nowhere: it names a home that this user has not; write the whole path"
        )
    return Path(path)


def _public_keys(entries: tuple[Any, ...]) -> list[asyncssh.SSHKey]:
    keys = []
    for entry in entries:
        try:
            keys.append(asyncssh.import_public_key(f"{entry.algorithm} {b64encode(entry.blob).decode()}"))
        except asyncssh.KeyImportError:
            continue
    return keys


def _build(settings: Settings) -> asyncssh.SSHClientConnectionOptions:
    ciphers = dict.fromkeys((*_FAST_CIPHERS, *get_default_encryption_algs()))
    exchanges = dict.fromkeys((*_FAST_KEX, *get_default_kex_algs()))
    with _somebody():
        return asyncssh.SSHClientConnectionOptions(
            config=None,
            username=settings.user,
            known_hosts=([], [], []),
            encryption_algs=_chosen(settings, "ciphers", get_encryption_algs(), ciphers),
            kex_algs=_chosen(settings, "kexalgorithms", get_kex_algs(), exchanges),
            mac_algs=_chosen(settings, "macs", get_mac_algs(), get_default_mac_algs()),
            signature_algs=_chosen(settings, "pubkeyacceptedalgorithms", get_public_key_algs(), get_public_key_algs()),
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
            keepalive_interval=settings.keepalive_ms / 1000,
            # asyncssh gives up at the question after the last one that may stay unanswered; ssh, and we, at that one.
            keepalive_count_max=max(1, settings.keepalive_count - 1),
            encoding=None,
        )


def _host_key_choice(settings: Settings) -> tuple[str, ...] | None:
    if settings.host_key_algorithms is None:
        return None
    known = get_certificate_algs() + get_public_key_algs()
    default = get_default_certificate_algs() + get_default_public_key_algs()
    return tuple(_chosen(settings, "hostkeyalgorithms", known, default))


def _chosen(settings: Settings, key: str, known: Iterable[bytes], default: Iterable[bytes]) -> list[str]:
    """Return the algorithms of one kind that ssh_config, inventory or flag leave. Raises Unreached for none."""
    every = [name.decode() for name in default]
    found = settings.values.get(key)
    if not found:
        return every
    chosen = algorithms(str(found[0].value), [name.decode() for name in known], every)
    if not chosen:
        name = FOLLOWED[key][0]
        raise Unreached(
            Reason.LOCAL,
            f"{found[0].origin}: {name} {found[0].value}: vigo knows none of these; name one of {', '.join(every)}",
        )
    return chosen


def algorithms(text: str, known: Sequence[str], default: Sequence[str]) -> list[str]:
    """Return what a list of ssh_config stands for: `+` adds to the default, `-` takes from it, `^` puts first.

    Names that are not known here are passed over: another program's ssh_config may well know more.
    """
    mode, patterns = (text[0], text[1:].split(",")) if text[:1] in ("+", "-", "^") else ("", text.split(","))
    named = [name for pattern in patterns for name in known if fnmatchcase(name, pattern)]
    match mode:
        case "-":
            return [name for name in default if name not in named]
        case "+":
            return list(dict.fromkeys((*default, *named)))
        case "^":
            return list(dict.fromkeys((*named, *default)))
        case _:
            return list(dict.fromkeys(named))
