"""The nouns: hosts, outcomes and results. Frozen values with the names an operator would use."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import field, replace
from enum import StrEnum
from typing import TypeAlias

from vigo.core.values import dataclass

Scalar: TypeAlias = str | int | bool
TraitValue: TypeAlias = Scalar | tuple[Scalar, ...]


class HostKeyRule(StrEnum):
    """What becomes of a host whose key no known_hosts file has. A key that differs from a known one is another matter."""

    STRICT = "strict"
    """It is refused: the default."""
    ACCEPT_NEW = "accept-new"
    """Its key is recorded at the first contact."""
    INSECURE = "insecure"
    """Nothing is checked, a changed key neither. Only the inventory can say so, never a flag or ssh_config."""


@dataclass(frozen=True, slots=True)
class SshSettings:
    """How a host is reached, as far as the inventory says; None leaves it to ssh_config and then to the default.

    Equal settings are equal values: the transport builds its options once per distinct one.
    """

    user: str | None = None
    port: int | None = None
    identity: str | None = None
    """Path of a private key file, `~` allowed."""
    known_hosts: str | None = None
    """Path of the known_hosts file to check against, `~` allowed."""
    connect_timeout_ms: int | None = None
    """Bound over DNS, TCP, banner, key exchange, authentication and channel together, all hops included."""
    certificate: str | None = None
    """Path of the OpenSSH certificate that goes with the key, `~` allowed."""
    jump: tuple[Hop, ...] | None = None
    """The way to the host, the hop that is nearest to us first; empty is the direct way. Never with `proxy_command`."""
    proxy_command: str | None = None
    """A program whose standard streams are the connection, with ssh's `%` tokens; `none` is the direct way."""
    host_key_alias: str | None = None
    """The name to look for in known_hosts."""
    host_keys: HostKeyRule | None = None
    agent: bool | str | None = None
    """Whether SSH_AUTH_SOCK's agent is asked for keys, or the path of another agent's socket."""
    forward_agent: bool | None = None
    keepalive_ms: int | None = None
    """How long a connection may be silent before the host is asked for a sign of life; 0 is never."""
    ciphers: tuple[str, ...] | None = None
    """Names of ciphers, the best one first."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One host on the way to another, with the settings of its own."""

    name: str
    address: str | None = None
    """Where to connect; None means the name (for which ssh_config's HostName may stand in)."""
    ssh: SshSettings = SshSettings()
    """Its own `jump` and `proxy_command` count for the first hop alone, as with `ssh -J`."""

    def __str__(self) -> str:
        """Return `[user@]name[:port]`, with brackets around an IPv6 address."""
        name = f"[{self.name}]" if ":" in self.name else self.name
        user = f"{self.ssh.user}@" if self.ssh.user else ""
        return f"{user}{name}{f':{self.ssh.port}' if self.ssh.port else ''}"


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line says of every target, and of no hop: it wins over inventory and ssh_config."""

    user: str | None = None
    port: int | None = None
    identity: str | None = None
    jump: tuple[Hop, ...] | None = None
    """As `SshSettings.jump`; a target that is itself one of the hops is reached by those before it."""
    connect_timeout_ms: int | None = None
    options: tuple[tuple[str, str], ...] = ()
    """`--ssh-option`: OpenSSH's keyword and its value, the first one of a keyword wins."""


@dataclass(frozen=True, slots=True)
class Host:
    """One machine of the inventory. Its identity is its name; two hosts may share an address."""

    name: str
    uuid: str
    """Lower-case UUID: the inventory's own, or UUIDv5 of the name."""
    address: str | None = None
    """Where to connect; None means the name (for which ssh_config's HostName may stand in)."""
    groups: tuple[str, ...] = ()
    """Dotted paths in the host's own order, e.g. `prod.web`; the ancestors are implied."""
    traits: Mapping[str, TraitValue] = field(default_factory=dict)
    """Dotted path -> value, e.g. `os.distro` -> `ubuntu`; merged by the inventory's precedence."""
    ssh: SshSettings = SshSettings()

    @property
    def endpoint(self) -> str:
        """The address, or the name where none is given."""
        return self.address or self.name

    def __hash__(self) -> int:
        return hash(self.name)


class Stream(StrEnum):
    """One of the two output streams of a command."""

    STDOUT = "stdout"
    STDERR = "stderr"


class Outcome(StrEnum):
    """How it ended for one host. Each target of a finished task has exactly one."""

    COMPLETE = "complete"
    """Exit code 0, or another that the task accepts."""
    FAILED = "failed"
    """Another exit code, or a signal."""
    TIMEOUT = "timeout"
    """vigo's clock passed the deadline before the exit came."""
    UNREACHABLE = "unreachable"
    """It never got as far as running; `HostResult.reason` says why."""
    REJECTED = "rejected"
    """The hard guard refused; the transport never saw the command."""
    LOST = "lost"
    """The connection died after the exec request may have left: what happened is unknown."""
    CANCELLED = "cancelled"
    """The operator had it killed while it ran."""
    SKIPPED = "skipped"
    """Never started, because the task stopped first."""


class Reason(StrEnum):
    """Why a host was unreachable."""

    DNS = "dns"
    REFUSED = "refused"
    NO_ROUTE = "no_route"
    CONNECT_TIMEOUT = "connect_timeout"
    BANNER = "banner"
    PROTOCOL = "protocol"
    KEX = "kex"
    HOST_KEY_UNKNOWN = "host_key_unknown"
    HOST_KEY_CHANGED = "host_key_changed"
    HOST_KEY_REVOKED = "host_key_revoked"
    AUTH = "auth"
    CHANNEL = "channel"
    THROTTLED = "throttled"
    HOP = "hop"
    PROXY = "proxy"
    NO_SHELL = "no_shell"
    LOCAL = "local"
    """Something on the control node: no free file descriptor, an unreadable key file."""


class Kill(StrEnum):
    """What is known about the processes of a command that vigo ended."""

    KILLED = "killed"
    """Looked for afterwards, and none was left."""
    UNVERIFIED = "kill unverified"
    """Some were left (`HostResult.kill_pids`), or nobody could look."""


EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@dataclass(frozen=True, slots=True)
class Output:
    """What is known of one stream of one host: everything is counted and digested, head and tail are kept.

    The kept bytes themselves lie beside the journal under `kept_sha256`. When the output was cut
    (`total_bytes > kept_bytes`), the first `head_bytes` of them are the head and the rest is the tail.
    """

    total_bytes: int = 0
    sha256: str = EMPTY_SHA256
    """Hex digest of every byte the host sent, dropped ones included."""
    kept_bytes: int = 0
    kept_sha256: str = EMPTY_SHA256
    head_bytes: int = 0

    @property
    def is_cut(self) -> bool:
        """Whether bytes between head and tail were dropped."""
        return self.total_bytes > self.kept_bytes


@dataclass(frozen=True, slots=True)
class HostResult:
    """What happened on one host."""

    outcome: Outcome
    duration_ms: int = 0
    """From the exec request to the exit; for hosts that never ran, from the first packet to giving up."""
    exit_code: int | None = None
    signal: str | None = None
    """Name without SIG (`KILL`) when a signal ended the command."""
    reason: Reason | None = None
    """Set if and only if the outcome is `unreachable`."""
    detail: str = ""
    """One line for the operator: the reason in words and the way out. May hold text from outside."""
    kill: Kill | None = None
    kill_pids: tuple[int, ...] = ()
    stdout: Output = Output()
    stderr: Output = Output()


def accepted(result: HostResult, exit_codes: Container[int]) -> HostResult:
    """Return the result as the task means it: any of these exit codes completes a host, any other fails it."""
    if result.exit_code is None or result.outcome not in (Outcome.COMPLETE, Outcome.FAILED):
        return result
    return replace(result, outcome=Outcome.COMPLETE if result.exit_code in exit_codes else Outcome.FAILED)


@dataclass(frozen=True, slots=True)
class Ended:
    """What a transport gives back for one order: the result, and the kept bytes that its outputs name by digest."""

    result: HostResult
    kept: tuple[bytes, ...] = ()


NICE_MAX = 19
"""The lowest priority there is."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one command on one host."""

    timeout_ms: int = 60_000
    """From the exec request to the exit; at least 1."""
    grace_ms: int = 5_000
    """Between TERM and KILL."""
    nice: int = 0
    """0 to `NICE_MAX`."""
    kill_on_disconnect: bool = False
    """End the command at once when the connection drops, instead of leaving it to its deadline."""


class RemainsState(StrEnum):
    """What a look at a host says about a command that was started there earlier."""

    RUNNING = "running"
    ENDED = "ended"
    """`Remains` says how; processes that it left behind may still be there."""
    NOTHING = "nothing found"
    """No process, no record: it ended and its record has gone, or it never began."""
    UNREACHABLE = "unreachable"
    """Nobody could look; `Remains.detail` says why."""


@dataclass(frozen=True, slots=True)
class Remains:
    """What was found of a command whose outcome is unknown."""

    state: RemainsState
    exit_code: int | None = None
    signal: str | None = None
    """Name without SIG (`KILL`) when a signal ended the command."""
    pids: tuple[int, ...] = ()
    """Its processes that are still there."""
    detail: str = ""
    """One line for the operator. May hold text from outside."""
