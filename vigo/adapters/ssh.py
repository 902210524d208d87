"""The Transport over SSH: one connection per host and run, made for the order and closed after it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from vigo.adapters.ssh_config import ConfigFile
from vigo.adapters.ssh_connect import Connector
from vigo.adapters.ssh_errors import Unreached
from vigo.adapters.ssh_hostkeys import HostKeys
from vigo.adapters.ssh_look import Look
from vigo.adapters.ssh_options import Preparation
from vigo.adapters.ssh_push import FilePush
from vigo.adapters.ssh_resolve import Resolver
from vigo.adapters.ssh_run import Run
from vigo.adapters.ssh_secrets import Credentials
from vigo.adapters.ssh_session import Recording
from vigo.adapters.ssh_sudo import Rights
from vigo.core.command import wrap
from vigo.core.errors import VigoError
from vigo.core.guard import FileOrder, Order
from vigo.core.model import (
    Ended,
    Host,
    HostResult,
    Limits,
    Outcome,
    Overrides,
    Reason,
    Remains,
    RemainsState,
    Stream,
)
from vigo.core.plan import Policy
from vigo.engine.ports import Sink

_MS_PER_S = 1000


class SshTransport:
    """Brings orders to their hosts. Make it once a run; all its calls belong on one event loop."""

    def __init__(
        self,
        *,
        policy: Policy,
        known_hosts: Path,
        accept_new: bool,
        ssh_config: Path | Sequence[ConfigFile] | None,
        default_user: str | None = None,
        overrides: Overrides | None = None,
        credentials: Credentials | None = None,
    ) -> None:
        """Prepare a run; nothing is connected or read yet.

        `known_hosts` is vigo's own file, where `accept_new` records first contacts. `ssh_config` None means none;
        `overrides` win over it and over the inventory. `credentials` is what targets may be offered beside the keys that
        lie open here; None is nothing. Raises ConfigError for an ssh_config that cannot be used.
        """
        self._policy = policy
        host_keys = HostKeys(known_hosts, accept_new)
        self._preparation = Preparation.make(ssh_config, host_keys, default_user, overrides, credentials)
        by = policy.privilege
        self._rights = None if by is None else Rights(by, None if credentials is None else credentials.sudo_password)
        self._connector = Connector(host_keys, Resolver())
        self._running: set[Run | FilePush] = set()
        self._killed = False

    async def run(self, order: Order | FileOrder, limits: Limits, sink: Sink, mark: str) -> Ended:
        """Carry the order out once and say how it ended; a host that fails is a result, never an exception.

        `mark` (1-64 of `[0-9A-Za-z._-]`, never used before) marks the command's processes on the host, or is a part of
        the file's temporary name there.
        It returns within connect deadline + timeout + grace + 5 s.
        """
        if self._killed:
            return Ended(HostResult(Outcome.CANCELLED, detail="cancelled before it was started"))
        began = time.monotonic()
        try:
            if isinstance(order, FileOrder):
                return Ended(await self._push(order, limits, mark))
            return await self._run(order, limits, sink, mark)
        except Unreached as refusal:
            reason, detail = refusal.reason, refusal.detail
        except VigoError as error:
            reason, detail = Reason.LOCAL, str(error)
        duration_ms = round((time.monotonic() - began) * _MS_PER_S)
        return Ended(HostResult(Outcome.UNREACHABLE, duration_ms, reason=reason, detail=detail))

    async def look(self, host: Host, mark: str) -> Remains:
        """Say what is left of a command that was started under this mark; nothing on the host is changed.

        A host that fails is an answer, never an exception. Bounded by the connect deadline and two seconds more.
        """
        try:
            endpoint = await self._preparation.prepared(host)
            timeout_ms = endpoint.connect_timeout_ms or self._policy.connect_timeout_ms
            return await Look(self._connector, endpoint, mark, self._rights).carry_out(timeout_ms)
        except (Unreached, VigoError) as error:
            return Remains(RemainsState.UNREACHABLE, detail=str(error))

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the operator should hear once about the settings of the hosts that were looked at."""
        return self._preparation.remarks

    def kill(self) -> None:
        """End every command that runs now; later ones end at once."""
        self._killed = True
        for run in self._running:
            run.cancel()

    def destination(self, host: Host) -> tuple[str, int] | None:
        """Return the address and port that a connection to the host would go to; None where ssh_config forbids it."""
        try:
            endpoint = self._preparation.endpoint(host)
        except Unreached:
            return None
        return endpoint.name, endpoint.port

    def first_stop(self, host: Host) -> tuple[str, int] | None:
        """Return the address and port that TCP goes to: the host's own, or the first jump host's.

        None where a program connects, or where the host cannot be reached as it is asked for.
        """
        try:
            return self._preparation.endpoint(host).first_stop
        except Unreached:
            return None

    async def locked_keys(self, hosts: Iterable[Host]) -> tuple[str, ...]:
        """Return the key files with a passphrase that would be offered to these hosts and are not in an agent."""
        found: dict[str, None] = {}
        for host in hosts:
            try:
                endpoint = await self._preparation.prepared(host)
            except (Unreached, VigoError):
                continue  # it is told when the host is to be reached
            for step in (endpoint, *endpoint.jump):
                found.update(dict.fromkeys(await step.identity.locked()))
        return tuple(found)

    async def close(self) -> None:
        """Close the jump hosts and end the proxy commands of the run. Call it last, also after a failure.

        It raises nothing and takes a second for each hop of the longest chain at most; without hops there is nothing to do.
        """
        await self._connector.close()

    async def _run(self, order: Order, limits: Limits, sink: Sink, mark: str) -> Ended:
        host = order.host
        rights = self._rights
        prompt = b"" if rights is None else rights.prompt(mark)
        wire = wrap(
            order.wire, order.secrets, limits, mark, self._policy.privilege, has_password=bool(prompt), data=order.data
        )
        hidden = [*(value for _, value in order.secrets), *(() if rights is None else rights.secrets)]

        def tell(stream: Stream, data: bytes) -> None:
            sink.write(host.name, stream, data)

        endpoint = await self._preparation.prepared(host)
        run = Run(
            connector=self._connector,
            endpoint=endpoint,
            wire=wire,
            limits=limits,
            connect_timeout_ms=endpoint.connect_timeout_ms or self._policy.connect_timeout_ms,
            mark=mark,
            recording=Recording(self._policy.kept_bytes, mark, tell, hidden, prompt=prompt),
            rights=rights,
        )
        self._running.add(run)
        try:
            return await run.carry_out()
        finally:
            self._running.discard(run)

    async def _push(self, order: FileOrder, limits: Limits, mark: str) -> HostResult:
        endpoint = await self._preparation.prepared(order.host)
        push = FilePush(
            connector=self._connector,
            endpoint=endpoint,
            order=order,
            limits=limits,
            connect_timeout_ms=endpoint.connect_timeout_ms or self._policy.connect_timeout_ms,
            mark=mark,
        )
        self._running.add(push)
        try:
            return await push.carry_out()
        finally:
            self._running.discard(push)
