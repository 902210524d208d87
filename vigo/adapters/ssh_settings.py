"""How a host is reached, decided with the origin of every value: flag > inventory > ssh_config > default.

Nothing is connected to and no key is opened here, and asyncssh is not loaded: `inventory show --ssh` prints these values,
`ssh_options` turns the same ones into a connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, replace
from typing import Final

from vigo.adapters.ssh_config import FORWARDED_SOCKET, ConfigFile, Found, SshConfig, Values
from vigo.adapters.ssh_config_exec import Answers
from vigo.adapters.ssh_config_match import LookUp, Unanswered
from vigo.adapters.ssh_config_tokens import Goal, Here, expand
from vigo.adapters.ssh_config_words import BadLine
from vigo.adapters.ssh_settings_read import (
    BEHIND_A_HOP,
    INVENTORY,
    KEEPALIVE_COUNT,
    KEEPALIVE_MS,
    Reading,
    Settings,
    SettingsError,
    laid_over,
    of_flags,
    of_inventory,
    port_of,
    refuse_unbuilt,
)
from vigo.core.model import Hop, Host, HostKeyRule, Overrides, Reason, SshSettings
from vigo.core.values import dataclass

CONNECT_TIMEOUT_MS: Final = 10_000
_HOPS_MAX: Final = 16
_BEHIND_A_HOP: Final = (Found((), BEHIND_A_HOP),)
"""The way of a hop that is not the first: one object, because equal settings are known by it."""


@dataclass(slots=True)
class Settler:
    """Decides settings; holds what the hosts of a run share: the files, the answers of Match exec, the hops."""

    config: SshConfig
    here: Here
    overrides: Overrides = Overrides()
    default_user: str = ""
    """Who logs in where nothing says it; empty is the one who asks."""
    remarks: dict[str, None] = field(default_factory=dict)
    """What the operator should hear once: said by ssh_config and not followed."""
    answers: Answers = field(default_factory=Answers)
    _said: dict[tuple[SshSettings, bool], Values] = field(default_factory=dict)
    _ways: dict[tuple[Hop, ...], tuple[Settings, ...]] = field(default_factory=dict)
    _like: dict[tuple[int, ...], Settings] = field(default_factory=dict)
    """What hosts of the same values share, for which every file name is looked at once."""
    _under_way: list[str] = field(default_factory=list)

    @classmethod
    def make(cls, files: Sequence[ConfigFile], overrides: Overrides, default_user: str | None = None) -> Settler:
        """Read files and environment once. Raises ConfigError."""
        here = Here.of_process()
        return cls(SshConfig.read(files, here.home), here, overrides, default_user or here.login)

    def settle(self, host: Host) -> Settings:
        """Decide how a host is reached. Raises SettingsError, ConfigError; Unanswered where Match exec has to be run."""
        self._under_way = []
        return self._settle(Hop(host.name, host.address, host.ssh), is_target=True)

    def settle_and_wait(self, host: Host) -> Settings:
        """Decide like `settle`, and run what Match exec asks for here and now."""
        while True:
            try:
                return self.settle(host)
            except Unanswered as question:
                self.answers.ask_and_wait(question, self._patience_ms(host))

    async def settled(self, host: Host) -> Settings:
        """Decide like `settle`, and run what Match exec asks for without holding the event loop up."""
        while True:
            try:
                return self.settle(host)
            except Unanswered as question:
                await self.answers.ask(question, self._patience_ms(host))

    def _patience_ms(self, host: Host) -> int:
        """Return how long a Match exec may take for this host: as long as connecting."""
        return self.overrides.connect_timeout_ms or host.ssh.connect_timeout_ms or CONNECT_TIMEOUT_MS

    def _settle(self, hop: Hop, *, is_target: bool = False, is_direct: bool = False) -> Settings:
        """Decide for a target or a hop; one that `is_direct` stands behind another hop and has no way of its own."""
        values = dict(self._beforehand(hop.ssh, is_target=is_target))
        if hop.address is not None:
            values["hostname"] = (Found(hop.address, INVENTORY),)
        if is_direct:
            values.pop("proxycommand", None)
            values["proxyjump"] = _BEHIND_A_HOP
        name = LookUp(self.here, hop.name, self.default_user, self.answers.known, values).through(self.config)
        refuse_unbuilt(values)
        port = port_of(values)
        user = self._user(values, Goal(name, hop.name, port, ""))
        alias = values.get("hostkeyalias")
        goal = Goal(name, hop.name, port, user, str(alias[0].value).lower() if alias else "")
        read = Reading(values, self.here, goal)
        likeness = _likeness(values)
        if likeness is None:
            return self._settings(hop, read)
        like = self._like.get(likeness)
        if like is None:
            like = self._like[likeness] = self._settings(hop, read)
            return like
        names = (goal.alias,) if goal.alias else tuple(dict.fromkeys((name, hop.name)))
        return replace(like, asked=hop.name, name=name, host_key_names=names, jump=self._way(read, hop), values=values)

    def _beforehand(self, ssh: SshSettings, *, is_target: bool) -> Values:
        """Return what flags and inventory say: made once for each distinct setting."""
        said = self._said.get((ssh, is_target))
        if said is None:
            flags = of_flags(self.overrides) if is_target else {}
            said = self._said[ssh, is_target] = laid_over(flags, of_inventory(ssh))
        return said

    def _settings(self, hop: Hop, read: Reading) -> Settings:
        goal, values = read.goal, read.values
        trust = read.first("userknownhostsfile")
        return Settings(
            asked=hop.name,
            name=goal.host,
            port=goal.port,
            user=goal.user,
            host_key_names=(goal.alias,) if goal.alias else tuple(dict.fromkeys((goal.host, hop.name))),
            known_hosts=read.known_hosts(),
            records=trust is None or trust.origin != INVENTORY,
            host_keys=self._host_keys(read),
            identity_files=read.paths("identityfile") if "identityfile" in values else None,
            certificate_files=read.paths("certificatefile"),
            identities_only=read.first("identitiesonly") is not None and bool(read.number("identitiesonly", 0)),
            agent=read.agent(),
            forward_agent=read.forward_agent(),
            authentications=read.authentications(),
            jump=self._way(read, hop),
            proxy_command=read.proxy_command(),
            connect_timeout_ms=read.number("connecttimeout", 0) or None,
            keepalive_ms=read.number("serveraliveinterval", KEEPALIVE_MS),
            keepalive_count=read.number("serveralivecountmax", KEEPALIVE_COUNT),
            ciphers=read.text("ciphers"),
            kex_algorithms=read.text("kexalgorithms"),
            macs=read.text("macs"),
            host_key_algorithms=read.text("hostkeyalgorithms"),
            signature_algorithms=read.text("pubkeyacceptedalgorithms"),
            address_family=read.text("addressfamily") or "any",
            bind_address=read.text("bindaddress"),
            values=values,
        )

    def _user(self, values: Values, goal: Goal) -> str:
        found = values.get("user")
        if found:
            try:
                return expand(str(found[0].value), self.here, goal, "Ldhiklnpu")
            except BadLine as error:
                raise SettingsError(f"{found[0].origin}: User {error}") from None
        if not self.default_user:
            raise SettingsError(
                f"uid {self.here.uid} has no login name here; set `user` in the inventory or in ssh_config"
            )
        return self.default_user

    def _host_keys(self, read: Reading) -> HostKeyRule:
        found = read.first("stricthostkeychecking")
        if found is None:
            return HostKeyRule.STRICT
        if found.value == "off":
            self.remarks[
                f"{found.origin}: StrictHostKeyChecking no is not followed: keys are checked; for a host whose key may"
                " change, write `ssh: {host_keys: insecure}` in the inventory"
            ] = None
            return HostKeyRule.STRICT
        return HostKeyRule(str(found.value))

    def _way(self, read: Reading, hop: Hop) -> tuple[Settings, ...]:
        """Decide for the hops on the way to a host; one that is itself a hop is reached by those before it."""
        hops = read.hops()
        if not hops:
            return ()
        found = read.first("proxyjump")
        if found is not None and isinstance(found.value, tuple):
            names = [other.name.lower() for other in hops]
            hops = hops[: names.index(hop.name.lower())] if hop.name.lower() in names else hops
        if hops in self._ways:
            return self._ways[hops]
        self._under_way.append(hop.name)
        circle = [name.lower() for name in self._under_way]
        if (hops and hops[0].name.lower() in circle) or len(circle) > _HOPS_MAX:
            way = " > ".join((*self._under_way, hops[0].name))
            origin = "" if found is None else f"{found.origin}: "
            raise SettingsError(
                f"{origin}the way leads in a circle: {way}; take the jump host out of `Host`", Reason.HOP
            )
        self._ways[hops] = self._along(hops)
        self._under_way.pop()
        return self._ways[hops]

    def _along(self, hops: tuple[Hop, ...]) -> tuple[Settings, ...]:
        if not hops:
            return ()
        first = self._settle(hops[0])
        rest = (self._settle(hop, is_direct=True) for hop in hops[1:])
        return (*first.jump, replace(first, jump=()), *rest)


def _likeness(values: Values) -> tuple[int, ...] | None:
    """Return what is equal for hosts that were told the same by the same lines; None where a `%` makes each its own."""
    if any("%" in str(found.value) for key in _TOKENS & values.keys() for found in values[key]):
        return None
    return tuple(id(found) for key, several in values.items() if key != "hostname" for found in several)


_TOKENS: Final = frozenset(
    {
        "certificatefile",
        FORWARDED_SOCKET,
        "identityagent",
        "identityfile",
        "proxycommand",
        "proxyjump",
        "user",
        "userknownhostsfile",
    }
)
"""Keywords whose values may hold tokens."""
