"""What sudo and doas say before a command begins: the password is given once, and a refusal is explained.

Rule 1: a password goes to a host once a run at most, and only in answer to the prompt that was agreed on. Nothing else
travels before the wrapper has greeted, so that nothing else is ever read as a password.
Rule 2: until a host has taken it, it is out at three hosts at most, and after three that have not it goes to no further
one: a slip of the finger locks no account.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import field

from vigo.adapters.ssh_auth import Gate
from vigo.adapters.ssh_errors import Unreached
from vigo.adapters.ssh_options import Endpoint
from vigo.adapters.ssh_secrets import Secret
from vigo.adapters.ssh_session import CommandSession
from vigo.core.model import Reason
from vigo.core.privilege import Elevation, Privilege, prompt
from vigo.core.values import dataclass

_WORDS_CHARS_MAX = 200
_NOT_THERE_EXIT = 127
_WRAPPER = re.compile(r"(/bin/sh) -c .*'", re.DOTALL)
"""Where sudo quotes what it was to run."""


@dataclass(slots=True, eq=False)
class Rights:
    """How the commands of a run get the rights they are to have; shared by all its hosts."""

    privilege: Privilege
    password: Secret | None = None
    _gates: dict[str, Gate] = field(default_factory=dict)
    _refused_by: set[str] = field(default_factory=set)
    """Hosts that had the password and did not take it."""

    @property
    def has_password(self) -> bool:
        """Whether a password is there to be given; doas takes one from terminals alone."""
        return bool(self.password) and self.privilege.by is Elevation.SUDO

    def prompt(self, mark: str) -> bytes:
        """Return what the host writes when it wants the password; empty when it is not to have any."""
        return prompt(mark).encode() if self.has_password else b""

    @property
    def secrets(self) -> tuple[str, ...]:
        """What is never to be shown."""
        return (self.password.reveal(),) if self.password else ()

    async def obtain(
        self, session: CommandSession, endpoint: Endpoint, deadline: float, accepted: Callable[[], bool]
    ) -> None:
        """Give the password when it is asked for, and return once it is known what became of it, or nothing can come.

        `deadline` is on the monotonic clock. Raises Unreached when the host has the password and asks again, or when it
        asks and may not have it; its input is at its end then, so that it waits for no other.
        """
        if not self.has_password:
            return
        await session.until(lambda: session.prompts > 0 or accepted(), deadline)
        if not session.prompts or session.ended.done():
            return
        gate = self._gates.setdefault(endpoint.user, Gate())
        if not await self._may_give(gate, endpoint.place, deadline):
            session.write_eof()
            raise Unreached(Reason.AUTH, self._withheld(gate, endpoint))
        if session.ended.done():
            gate.leave(endpoint.place, was_given=False, was_let_in=False)
            return
        try:
            session.write((self.password.reveal() if self.password else "").encode() + b"\n")
            await session.until(lambda: session.prompts > 1 or accepted(), deadline)
        finally:
            taken = accepted()
            if not taken:
                self._refused_by.add(endpoint.place)
            gate.leave(endpoint.place, was_given=True, was_let_in=taken)
        if session.prompts > 1 and not taken:
            session.write_eof()
            raise Unreached(Reason.AUTH, self._refused(endpoint))

    async def _may_give(self, gate: Gate, place: str, deadline: float) -> bool:
        if place in self._refused_by:
            return False
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                return await gate.enter()
        except TimeoutError:
            return False

    def _refused(self, endpoint: Endpoint) -> str:
        return (
            f"{self.privilege.by} on {endpoint.place} refused the password of {endpoint.user}, or wants more than that;"
            " it was given once and is not tried again: give the right one"
        )

    def _withheld(self, gate: Gate, endpoint: Endpoint) -> str:
        if endpoint.place in self._refused_by:
            return f"{self.privilege.by} on {endpoint.place} has refused the password before; it is not tried again"
        return (
            f"{self.privilege.by} on {endpoint.place} was not given the password: {', '.join(gate.refused_by)} refused it"
            " and no host took it; it goes to no further one, so that no account is locked"
        )

    def explain(self, endpoint: Endpoint, exit_code: int | None, said: str, *, was_asked: bool) -> Unreached | None:
        """Say why the wrapper never began; None where neither sudo nor doas had a word in it."""
        by, place, user = self.privilege.by, endpoint.place, endpoint.user
        if exit_code == _NOT_THERE_EXIT or re.search(rf"\b{by}: (command )?not found", said, re.IGNORECASE):
            return Unreached(
                Reason.NO_SHELL,
                f"{place} has no {by}: {_short(said)}; install it there, or log in as {self.privilege.user}",
            )
        if exit_code is None or not (by in said.lower() or "/bin/sh -c" in said or was_asked):
            return None
        way_out = f"allow {user} to run /bin/sh as {self.privilege.user} there"
        way_out = f"give the right password, or {way_out}" if was_asked else f"{way_out} without a password"
        if by is Elevation.SUDO and not self.has_password:
            way_out += ", or give its password with --ask-sudo-password"
        return Unreached(Reason.AUTH, f"{by} on {place} refused {user}: {_short(said)}; {way_out}")


def _short(said: str) -> str:
    return " ".join(_WRAPPER.sub(r"\1'", said).split())[-_WORDS_CHARS_MAX:] or "it said nothing"
