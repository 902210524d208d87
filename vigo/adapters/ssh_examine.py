"""A check-up of one host, step by step from its settings to what its shell says; each step under the connect deadline.

Where a step fails, those that build on it are skipped and said so. Nothing on the host is changed, nobody is ever asked
for anything, and what runs there is an order of the guard's like everything else.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import field, replace
from typing import Any, Final, TypeAlias, TypeVar

import asyncssh

from vigo.adapters.ssh_channel import end, open_channel
from vigo.adapters.ssh_connection import Connection
from vigo.adapters.ssh_errors import Phase, Unreached
from vigo.adapters.ssh_hostkeys import KeyState, compare
from vigo.adapters.ssh_known_hosts import Known, fingerprint
from vigo.adapters.ssh_login import Progress, Way, close
from vigo.adapters.ssh_options import Endpoint, host_key_algorithms
from vigo.adapters.ssh_scan import Handshake, Scanner, exchange
from vigo.adapters.ssh_session import CommandSession, Recording
from vigo.adapters.ssh_settings_read import SettingsError
from vigo.adapters.ssh_settings_show import effective
from vigo.core.command import wrap
from vigo.core.doctor import FACTS, SCRIPT, Check, CheckState, judge_facts, read_facts
from vigo.core.errors import VigoError
from vigo.core.guard import Order, Text, clear
from vigo.core.inventory import Inventory
from vigo.core.model import Host, HostKeyRule, Limits, Reason, Stream
from vigo.core.traits import texts
from vigo.core.values import dataclass

_KEPT_BYTES: Final = 64 * 1024
_SHOWN: Final = ("user", "address", "port", "jump", "proxy_command", "identity", "known_hosts", "host_keys")
"""The settings that are told, where something else than the default says them."""
_MS_PER_S: Final = 1000
_AGENT_PATIENCE_S: Final = 1.5
_MADE_BY_PHASE: Final = {Phase.DNS: "name", Phase.TCP: "tcp", Phase.BANNER: "banner", Phase.KEX: "kex"}

Tell: TypeAlias = Callable[[Check], None]
_T = TypeVar("_T")


class _Failed(Exception):  # noqa: N818 - the end of a check-up, not an error of ours
    """A check failed; `name` is its name."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(name)


class _Session(CommandSession):
    """Notes when the wrapper greeted."""

    greeted_at = 0.0

    def data_received(self, data: bytes, datatype: Any) -> None:  # noqa: ANN401 - as in the class above it
        """Look at the clock when the greeting has come."""
        super().data_received(data, datatype)
        if self.begun and not self.greeted_at:
            self.greeted_at = time.monotonic()


@dataclass(slots=True, eq=False)
class Examination:
    """The check-up of one host: every check is told as soon as it is known."""

    scanner: Scanner
    fleet: Inventory
    host: Host
    tell: Tell
    _progress: Progress = field(default_factory=Progress)

    async def carry_out(self) -> None:
        """Do all checks in order. Bounded by a few connect deadlines."""
        names = ("settings", "name", "tcp", "banner", "kex", "host key", "login", "channel", "shell", *FACTS)
        told: list[str] = []

        def tell(check: Check) -> None:
            told.append(check.name)
            self.tell(check)

        try:
            await self._all(tell)
        except _Failed as failure:
            for name in names:
                if name not in told:
                    self.tell(Check(name, CheckState.SKIPPED, f"because {failure.name} failed"))

    async def _all(self, tell: Tell) -> None:
        endpoint = self._settings(tell)
        way = self.scanner.connector.way(endpoint)
        await self._prepare(way, endpoint, tell)
        known = self._known(endpoint, tell)
        shaken = await self._shake(way, endpoint, known, tell)
        self._host_key(endpoint, known, shaken, tell)
        connection = await self._login(endpoint, tell)
        try:
            await self._run(connection, endpoint, tell)
        finally:
            await close(connection)

    def _settings(self, tell: Tell) -> Endpoint:
        began = time.monotonic()
        try:
            settled = self.scanner.preparation.settler.settle_and_wait(self.host)
            endpoint = self.scanner.preparation.endpoint(self.host)
        except SettingsError as error:
            raise _fail(tell, "settings", str(error), began) from error
        except (VigoError, Unreached) as error:
            raise _fail(tell, "settings", str(error), began) from error
        _, rows = effective(settled, self.fleet)[0]
        said = [
            f"{row.key} {','.join(texts(row.value))} ({row.place or row.layer})"
            for row in rows
            if row.key in _SHOWN and row.layer != "default"
        ]
        told = "; ".join((endpoint.place, *said))
        tell(Check("settings", CheckState.OK, told, _since(began)))
        return endpoint

    async def _prepare(self, way: Way, endpoint: Endpoint, tell: Tell) -> None:
        began = time.monotonic()
        await self._bounded(endpoint, way.prepare(self._progress), lambda: "hop" if endpoint.jump else "name", tell)
        if endpoint.jump:
            hops = ", ".join(hop.asked for hop in endpoint.jump)
            tell(
                Check(
                    "name", CheckState.OK, f"{endpoint.name} is looked up by the last hop; open: {hops}", _since(began)
                )
            )
        elif endpoint.proxy_command:
            tell(Check("name", CheckState.OK, "left to the proxy command", _since(began)))
        else:
            tell(Check("name", CheckState.OK, f"{endpoint.name} is {way.place}", _since(began)))

    def _known(self, endpoint: Endpoint, tell: Tell) -> Known:
        is_checked = endpoint.host_keys is not HostKeyRule.INSECURE
        files = endpoint.known_hosts if is_checked else ()
        try:
            return self.scanner.host_keys.known(endpoint.host_key_names, endpoint.port, files)
        except Unreached as error:
            raise _fail(tell, "host key", error.detail) from error

    async def _shake(self, way: Way, endpoint: Endpoint, known: Known, tell: Tell) -> Handshake:
        began = time.monotonic()
        algorithms = endpoint.host_key_algorithms or host_key_algorithms(known)

        def failing() -> str:
            name = _MADE_BY_PHASE.get(self._progress.phase, "kex")
            for earlier in ("tcp", "banner"):
                if earlier == name:
                    break
                tell(Check(earlier, CheckState.OK, "came"))
            return name

        doing = exchange(way, endpoint, known, algorithms, self._progress)
        shaken = await self._bounded(endpoint, doing, failing, tell)
        tell(Check("tcp", CheckState.OK, "connected", _between(began, shaken.joined_at)))
        version = f"the server is {shaken.version}"
        tell(Check("banner", CheckState.OK, version, _between(shaken.joined_at, shaken.greeted_at)))
        agreed = f"{shaken.cipher}, {shaken.key.algorithm}"
        tell(Check("kex", CheckState.OK, agreed, _between(shaken.greeted_at, shaken.agreed_at)))
        return shaken

    def _host_key(self, endpoint: Endpoint, known: Known, shaken: Handshake, tell: Tell) -> None:
        key, name = shaken.key, f"{shaken.key.algorithm} {fingerprint(shaken.key.blob)}"
        rule = endpoint.host_keys
        found = compare(known, [key])[0]
        if rule is HostKeyRule.INSECURE:
            tell(Check("host key", CheckState.WARNING, f"{name}: not checked: host_keys is insecure in the inventory"))
        elif shaken.is_vouched_for:
            places = ", ".join(entry.place for entry in known.authorities)
            tell(Check("host key", CheckState.OK, f"{name}: its certificate is of an authority in {places}"))
        elif found.state is KeyState.KNOWN:
            tell(Check("host key", CheckState.OK, f"{name}: known by {', '.join(found.places)}"))
        elif found.state is KeyState.NEW and rule is HostKeyRule.ACCEPT_NEW and endpoint.records:
            tell(Check("host key", CheckState.OK, f"{name}: new; recorded at the login, as host_keys: accept-new says"))
        elif found.state is KeyState.NEW:
            remedy = f"compare it with the machine, then: vigo keys scan --target {self.host.name} --write"
            raise _fail(tell, "host key", f"host_key_unknown: {name}: no known_hosts has it; {remedy}")
        else:
            self._refuse(endpoint, known, shaken, tell)

    def _refuse(self, endpoint: Endpoint, known: Known, shaken: Handshake, tell: Tell) -> None:
        """Let those who judge the keys of a run say what is wrong with this one."""
        names, port = endpoint.host_key_names, endpoint.port
        try:
            self.scanner.host_keys.judge(known, names[0], port, shaken.key, rule=HostKeyRule.STRICT, may_record=False)
        except Unreached as refusal:
            raise _fail(tell, "host key", f"{refusal.reason}: {refusal.detail}") from refusal

    async def _login(self, endpoint: Endpoint, tell: Tell) -> Connection:
        began = time.monotonic()
        mine = replace(endpoint.again(), asks_first=True)
        doing = self.scanner.connector.connect(mine, self._progress)
        connection = await self._bounded(endpoint, doing, lambda: "login", tell)
        tried = [f"{pair.get_algorithm()} of {mine.identity.source(pair)}" for pair in mine.identity.handed]
        taken = f"took {tried[-1]}" if tried else "asked for no key"
        before = f", after {len(tried) - 1} others: {'; '.join(tried[:-1])}" if tried[1:] else ""
        methods = ", ".join(connection.offered) or "none"
        told = f"{endpoint.user}: the server {taken}{before}; it takes: {methods}"
        tell(Check("login", CheckState.OK, told, _since(began)))
        return connection

    async def _run(self, connection: Connection, endpoint: Endpoint, tell: Tell) -> None:
        order = clear(self.host, Text(SCRIPT))
        if not isinstance(order, Order):
            raise _fail(tell, "shell", f"the guard refuses the script: {order.finding.pattern}")
        timeout_ms = endpoint.connect_timeout_ms or self.scanner.timeout_ms
        mark = secrets.token_hex(16)
        wire = wrap(order.wire, order.secrets, Limits(timeout_ms=timeout_ms, kill_on_disconnect=True), mark)
        recording = Recording(_KEPT_BYTES, mark, lambda _stream, _data: None)
        session = _Session(wire.stdin, recording)
        self._progress.phase = Phase.CHANNEL
        began, sent_s = time.monotonic(), time.time()
        opening = open_channel(connection, endpoint.place, wire.exec_string, session)
        link = await self._bounded(endpoint, opening, lambda: "channel", tell)
        tell(Check("channel", CheckState.OK, "open", _between(began, session.opened_at)))
        try:
            await asyncio.wait({session.drained}, timeout=timeout_ms / _MS_PER_S)
            heard_s = time.time()
        finally:
            session.close()
            await end(link.execution)
        if not session.begun:
            raise _fail(tell, "shell", _no_shell(endpoint, session, recording), session.opened_at)
        took_ms = _between(session.opened_at, session.greeted_at)
        tell(Check("shell", CheckState.OK, "the login shell starts the wrapper, and the wrapper greets", took_ms))
        facts = read_facts(recording.kept(Stream.STDOUT))
        if facts is None:
            words = " ".join(recording.first_words().split())
            raise _fail(
                tell, FACTS[0], f"the script did not come to its end: {words or 'no words'}; look at /bin/sh there"
            )
        for check in judge_facts(facts, sent_s, heard_s):
            tell(check)

    async def _bounded(self, endpoint: Endpoint, doing: Awaitable[_T], failing: Callable[[], str], tell: Tell) -> _T:
        """Await something under the connect deadline; `failing` names the check that failed with it."""
        began = time.monotonic()
        try:
            async with self.scanner.connector.deadline(
                endpoint.connect_timeout_ms or self.scanner.timeout_ms, self._progress
            ):
                return await doing
        except Unreached as refusal:
            raise _fail(tell, failing(), f"{refusal.reason}: {refusal.detail}", began) from refusal
        except VigoError as error:
            raise _fail(tell, failing(), f"{Reason.LOCAL}: {error}", began) from error


def _fail(tell: Tell, name: str, found: str, began: float | None = None) -> _Failed:
    tell(Check(name, CheckState.FAILED, found, None if began is None else _since(began)))
    return _Failed(name)


def _no_shell(endpoint: Endpoint, session: CommandSession, recording: Recording) -> str:
    words = " ".join(recording.first_words().split())
    how = f"ended with exit code {session.exit_code}" if session.exit_code is not None else "has not answered"
    said = f", saying {words!r}" if words else ""
    return (
        f"{Reason.NO_SHELL}: the login shell of {endpoint.user} {how} before the wrapper began{said};"
        " give the user a shell that runs commands (chsh), or look at its start-up files"
    )


def _since(began: float) -> int:
    return _between(began, time.monotonic())


def _between(began: float, ended: float) -> int:
    return max(0, round((ended - began) * _MS_PER_S))


async def agent_keys(path: str) -> int:
    """Return how many keys an agent holds. Raises Unreached when it is not there, or silent for a second and a half."""
    agent = asyncssh.SSHAgentClient(path)
    try:
        async with asyncio.timeout(_AGENT_PATIENCE_S):
            return len(list(await agent.get_keys()))
    except TimeoutError:
        raise Unreached(Reason.LOCAL, f"{path} does not answer; start an agent anew, or unset SSH_AUTH_SOCK") from None
    except (OSError, ValueError) as error:
        raise Unreached(
            Reason.LOCAL, f"{path} cannot be used: {error}; start an agent, or unset SSH_AUTH_SOCK"
        ) from error
    finally:
        agent.close()
