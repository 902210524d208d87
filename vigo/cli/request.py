"""What `task run` was asked for: the flags as typed, and their reading into a policy.

Precedence of each setting: flag, then the named task's own value, then variable and configuration, then the default.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any, Self, TypedDict, TypeVar

from vigo.cli.notifying import Notices
from vigo.cli.results import Results
from vigo.cli.ssh_flags import Reach, Wanted
from vigo.core.errors import UsageError
from vigo.core.gate import GatePolicy
from vigo.core.health import check_gate, parse_accept_exit, parse_expect, parse_port
from vigo.core.model import NICE_MAX, Limits
from vigo.core.plan import OnStop, Policy
from vigo.core.privilege import Elevation, parse_user
from vigo.core.quantity import Quantity, parse_duration_ms, parse_quantities, parse_quantity
from vigo.core.shape import HostOrder, Shape
from vigo.core.values import dataclass

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Request:
    """The flags of `task run`, unread; None and empty mean "not given"."""

    words: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    target_files: tuple[str, ...] = ()
    limit: str | None = None
    seed: int | None = None
    timeout: str | None = None
    operator: str | None = None
    order: HostOrder | None = None
    spread: str | None = None
    batch_by: str | None = None
    batch_order: str | None = None
    batch_size: str | None = None
    pause: str | None = None
    stop_after: int | None = None
    max_failures: str | None = None
    max_unreachable: str | None = None
    accept_exit: str | None = None
    on_stop: OnStop | None = None
    rollback_command: str | None = None
    health_check_url: tuple[str, ...] = ()
    health_check_command: str | None = None
    health_check_tcp: int | None = None
    health_check_timeout: str | None = None
    health_check_interval: str | None = None
    health_check_deadline: str | None = None
    health_check_stable: str | None = None
    health_check_expect: str | None = None
    health_check_baseline: bool = False
    nice: int | None = None
    fanout: int | None = None
    connect_timeout: str | None = None
    kill_on_disconnect: bool = False
    user: str | None = None
    port: int | None = None
    identity: str | None = None
    jump: str | None = None
    ssh_options: tuple[str, ...] = ()
    ssh_config: str | None = None
    ask_password: bool = False
    password_file: str | None = None
    password_fd: int | None = None
    ask_passphrase: bool = False
    passphrase_file: str | None = None
    sudo: bool = False
    sudo_user: str | None = None
    doas: bool = False
    ask_sudo_password: bool = False
    sudo_password_file: str | None = None
    sudo_password_fd: int | None = None
    exclusive: bool = False
    no_wait: bool = False
    dry_run: bool = False
    no_probe: bool = False
    preflight: bool = False
    force: bool = False
    confirm: int | None = None
    params: tuple[str, ...] = ()
    as_kind: str | None = None
    expand: bool = False
    env: tuple[str, ...] = ()
    shell: str | None = None
    script: str | None = None
    stdin: str | None = None
    pty: bool = False
    inventory: str | None = None
    accept_new_host_keys: bool = False
    progress: str = "auto"
    view: str | None = None
    only: str | None = None
    show_hosts: tuple[str, ...] = ()
    gather_ignore: tuple[str, ...] = ()
    output_dir: str | None = None
    notify_command: str | None = None
    notify_url: str | None = None
    output: str = "text"
    by_default: frozenset[str] = frozenset()
    """Fields whose values came from a variable or a configuration file."""

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """Take a command's flags by their names; those that a command does not have are not given."""
        several = {part.name for part in fields(cls) if part.default == ()}
        values: dict[str, Any] = {
            name: tuple(value or ()) if name in several else value for name, value in given.items()
        }
        from vigo.cli.settings import set_by_default

        return cls(**values, by_default=set_by_default() & values.keys())

    @property
    def typed(self) -> Self:
        """The flags that were given on the command line, and no others."""
        plain: dict[str, Any] = {part.name: part.default for part in fields(self) if part.name in self.by_default}
        return replace(self, **plain, by_default=frozenset())

    @property
    def configured(self) -> Self:
        """What variables and configuration files say in place of flags, and nothing else."""
        return type(self)(**{name: getattr(self, name) for name in self.by_default})

    @property
    def notices(self) -> Notices:
        """Who is told at the end. Raises UsageError."""
        return Notices.of(self.notify_command, self.notify_url)

    @property
    def reach(self) -> Reach:
        """The flags that say how hosts are reached."""
        return Reach(
            self.user,
            self.port,
            self.identity,
            self.jump,
            self.ssh_options,
            self.ssh_config,
            self.connect_timeout,
            has_password=self.login.password,
            has_passphrase=self.login.passphrase,
            has_sudo_password=self.login.sudo_password,
        )

    @property
    def results(self) -> Results:
        """What is shown of the results."""
        return Results(self.view, self.only, self.show_hosts, self.gather_ignore, self.output_dir)

    @property
    def login(self) -> Wanted:
        """Where secrets to log in with come from."""
        return Wanted.of(self)


def policy_of(request: Request, defaults: Policy) -> Policy:
    """Read the flags over `defaults` (a named task's settings, or the plain defaults). Raises UsageError."""
    policy = replace(
        defaults,
        limits=_limits(request, defaults.limits),
        connect_timeout_ms=_duration(request.connect_timeout, "--connect-timeout", defaults.connect_timeout_ms),
        fanout=_given(request.fanout, _fanout, defaults.fanout),
        shape=_shape(request, defaults.shape),
        batch_sizes=_given(
            request.batch_size, lambda text: parse_quantities(text, flag="--batch-size"), defaults.batch_sizes
        ),
        pause_ms=_duration(request.pause, "--pause", defaults.pause_ms, 0),
        stop_after=_given(request.stop_after, int, defaults.stop_after),
        failures_max=_budget(request.max_failures, "--max-failures", defaults.failures_max),
        unreachable_max=_budget(request.max_unreachable, "--max-unreachable", defaults.unreachable_max),
        on_stop=request.on_stop or defaults.on_stop,
        accept_exit=_given(
            request.accept_exit, lambda text: parse_accept_exit(text, flag="--accept-exit"), defaults.accept_exit
        ),
        gate=_gate(request, defaults.gate),
        **_rights(request, defaults),
    )
    check_gate(policy.gate)
    _check_password(request, policy)
    return policy


def command_of(words: tuple[str, ...]) -> str:
    """Return the one word that names a task or is a command. Raises UsageError when the shell split it."""
    if not words:
        raise UsageError("there is no command; write one, a task's name, or --script FILE")
    if len(words) > 1:
        raise UsageError(f"{' '.join(words)!r} came as {len(words)} words; quote the command so that it is one")
    return words[0]


def _limits(request: Request, defaults: Limits) -> Limits:
    return replace(
        defaults,
        timeout_ms=_duration(request.timeout, "--timeout", defaults.timeout_ms),
        nice=_given(request.nice, _nice, defaults.nice),
        kill_on_disconnect=request.kill_on_disconnect or defaults.kill_on_disconnect,
    )


class _RightsGiven(TypedDict):
    sudo: bool
    sudo_user: str
    doas: bool


def _rights(request: Request, defaults: Policy) -> _RightsGiven:
    """Read whose rights the commands get; a flag for one program wins over a task's key for the other."""
    if request.sudo and request.doas:
        raise UsageError("--sudo and --doas: name two programs that give the rights; give one of them")
    return {
        "sudo": (request.sudo or defaults.sudo) and not request.doas,
        "sudo_user": _given(request.sudo_user, lambda name: parse_user(name, flag="--sudo-user"), defaults.sudo_user),
        "doas": (request.doas or defaults.doas) and not request.sudo,
    }


def _check_password(request: Request, policy: Policy) -> None:
    """Refuse a password that nobody would be given. Raises UsageError."""
    if not request.login.sudo_password:
        return
    if policy.privilege is None:
        raise UsageError("--ask-sudo-password: nothing runs by sudo, which would be given the password; add --sudo")
    if policy.privilege.by is Elevation.DOAS:
        raise UsageError(
            "--ask-sudo-password: doas takes a password from a terminal alone; write `permit nopass` in doas.conf"
            " on the hosts, or use --sudo"
        )


def _shape(request: Request, defaults: Shape) -> Shape:
    shape = Shape(
        order=request.order or defaults.order,
        seed=_given(request.seed, int, defaults.seed),
        spread=request.spread or defaults.spread,
        batch_by=request.batch_by or defaults.batch_by,
        batch_order=_given(request.batch_order, lambda text: tuple(text.split(",")), defaults.batch_order),
    )
    if shape.batch_order and shape.batch_by is None:
        raise UsageError("--batch-order: orders the values of --batch-by; add --batch-by TRAIT")
    return shape


def _gate(request: Request, defaults: GatePolicy) -> GatePolicy:
    return replace(
        defaults,
        urls=request.health_check_url or defaults.urls,
        command=_given(request.health_check_command, str, defaults.command),
        tcp_port=_given(
            request.health_check_tcp, lambda port: parse_port(port, flag="--health-check-tcp"), defaults.tcp_port
        ),
        timeout_ms=_duration(request.health_check_timeout, "--health-check-timeout", defaults.timeout_ms),
        interval_ms=_duration(request.health_check_interval, "--health-check-interval", defaults.interval_ms),
        deadline_ms=_duration(request.health_check_deadline, "--health-check-deadline", defaults.deadline_ms, 0),
        stable_ms=_duration(request.health_check_stable, "--health-check-stable", defaults.stable_ms, 0),
        expect=_given(
            request.health_check_expect,
            lambda text: parse_expect(text, flag="--health-check-expect"),
            defaults.expect,
        ),
        baseline=request.health_check_baseline or defaults.baseline,
    )


def _given(value: object, read: Callable[..., _T], default: _T) -> _T:
    return default if value is None else read(value)


def _duration(text: str | None, flag: str, default_ms: int, least_ms: int = 1) -> int:
    return default_ms if text is None else parse_duration_ms(text, flag=flag, least_ms=least_ms)


def _budget(text: str | None, flag: str, default: Quantity | None) -> Quantity | None:
    return default if text is None else parse_quantity(text, flag=flag)


def _nice(value: int) -> int:
    if not 0 <= value <= NICE_MAX:
        raise UsageError(f"--nice: {value} is out of range; write 0 (normal) to {NICE_MAX} (lowest)")
    return value


def _fanout(value: int) -> int:
    if value < 1:
        raise UsageError(f"--fanout: {value} is too small; at least one host must run at a time")
    return value
