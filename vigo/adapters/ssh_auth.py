"""What one login offers to a server: keys, then what only the operator knows, and never anything twice.

Rule 1: a password goes to a host once a run at most. Only where the login that it was given in succeeded may it be given
again, to the next connection to that host.
Rule 2: until a host has let a user in with the password, it is out at three hosts at most, and after three that did not
let the user in it goes to no further one: a slip of the finger locks no account.
Rule 3: a jump host is given neither password nor answers.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import field
from typing import Final

import asyncssh
from asyncssh.misc import MaybeAwait

from vigo.adapters.ssh_keys import Identity
from vigo.adapters.ssh_secrets import Credentials, Secret
from vigo.core.values import dataclass

REFUSALS_MAX: Final = 3
"""How many hosts may turn a user's password down before any has taken it."""
_QUESTIONS_MAX: Final = 8
"""How many questions one login may ask."""
_QUESTION_CHARS_MAX: Final = 200
_PASSWORD = re.compile(r"(\([\w.@-]+\)\s+|[\w.@-]+'s\s+)?password(\s+for\s+[\w.@-]+)?\s*:?", re.IGNORECASE)
"""What servers ask when they mean the password that was given: `Password:`, `(ops@web) Password:`, `ops@web's password:`."""
_EXPIRED = re.compile(r"\b(new|current|retype|change)\b.*password", re.IGNORECASE)
_BY_SECRET: Final = frozenset({"password", "keyboard-interactive"})


@dataclass(slots=True, eq=False)
class Gate:
    """Lets the password be tried for one user: at three hosts until one has let the user in, then everywhere."""

    refused_by: list[str] = field(default_factory=list)
    """The hosts that had it and did not let the user in, or never answered."""
    is_open: bool = False
    _out: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_shut(self) -> bool:
        """Whether it is given to no further host."""
        return not self.is_open and len(self.refused_by) >= REFUSALS_MAX

    async def enter(self) -> bool:
        """Wait for a turn; False when there is none. Whoever gets one calls `leave`."""
        while not self.is_open and self._out + len(self.refused_by) >= REFUSALS_MAX:
            if self.is_shut:
                return False
            await self._changed.wait()
        self._out += 1
        return True

    def leave(self, host: str, *, was_given: bool, was_let_in: bool) -> None:
        """Say how the turn went: whether the password was sent at all, and whether the login succeeded with it."""
        self._out -= 1
        if was_given and was_let_in:
            self.is_open = True
        elif was_given:
            self.refused_by.append(host)
        self._changed.set()
        self._changed = asyncio.Event()


@dataclass(slots=True, eq=False)
class Offers:
    """What a run offers beside keys; shared by all its logins."""

    credentials: Credentials
    _gates: dict[str, Gate] = field(default_factory=dict)

    def gate(self, user: str) -> Gate:
        """Return the gate of a user: accounts are locked, not hosts."""
        return self._gates.setdefault(user, Gate())


class Answers(asyncssh.SSHClient):
    """Answers asyncssh's questions about who we are, during one login."""

    def __init__(
        self,
        identity: Identity,
        offers: Offers | None,
        *,
        user: str,
        host: str,
        waiting: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """`offers` is None where keys are all there is; what waits for others, or for the operator, is `waiting`."""
        self._identity = identity
        self._offers = offers
        self._user = user
        self._host = host
        self._waiting = waiting
        self._gate: Gate | None = None
        self._is_over = False
        self._was_given = False
        self._has_conversed = False
        self._questions = 0
        self._heading = ""
        self._remarks: list[str] = []

    def settle(self, *, logged_in: bool) -> None:
        """End the login: what it shows about the password counts for the other hosts. Call it once."""
        offers, gate = self._offers, self._gate
        self._is_over = True
        if offers is not None and self._was_given and not logged_in:
            offers.credentials.refused_by.add(self._host)
        if gate is not None:
            gate.leave(self._host, was_given=self._was_given, was_let_in=logged_in)
            self._gate = None

    def tried(self, taken: Collection[bytes] = ()) -> str:
        """Say what was offered and what was not, and why; the public keys `taken` the server took, and wanted more."""
        told = [self._identity.story(taken) or "no key"]
        if self._was_given:
            told.append("the password (refused, and not tried again)")
        return "; ".join((*told, *self._remarks))

    async def public_key_auth_requested(self) -> asyncssh.SSHKeyPair | None:
        """Return the next key."""
        return await self._identity.next_key()

    async def password_auth_requested(self) -> str | None:
        """Return the password, once."""
        secret = await self._password()
        if secret is None:
            return None
        self._was_given = True
        return secret.reveal()

    def password_change_requested(self, prompt: str, lang: str) -> MaybeAwait[tuple[str, str]]:
        """Change no password: that is for the one whose it is."""
        self._has_expired()
        return super().password_change_requested(prompt, lang)

    async def kbdint_auth_requested(self) -> str | None:
        """Let the server ask, once; not where the password had its turn, or has none."""
        if self._offers is None or self._has_conversed or self._was_given:
            return None
        if self._offers.credentials.password and await self._password() is None:
            return None
        self._has_conversed = True
        return ""

    async def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        """Answer what the server asks; None gives up."""
        del lang
        self._heading = " ".join(f"{name} {instructions}".split()) or self._heading
        answers = []
        for prompt, echo in prompts:
            answer = await self._answer(" ".join(prompt.split())[:_QUESTION_CHARS_MAX], echo=echo)
            if answer is None:
                return None
            answers.append(answer)
        return answers

    async def _password(self) -> Secret | None:
        """Return the password if it is this host's turn to get it; None where it has had it, or nobody gets it."""
        offers = self._offers
        if offers is None or not offers.credentials.password or self._was_given:
            return None
        if self._host in offers.credentials.refused_by:
            self._remark("the password (refused before, and not tried again)")
            return None
        if self._gate is None:
            gate = offers.gate(self._user)
            with self._waiting():
                has_turn = await gate.enter()
            if not has_turn:
                self._remark(
                    f"the password (not offered: {', '.join(gate.refused_by)} did not let {self._user} in with it, and no "
                    "host did: it is given to no further one, so that no account is locked)"
                )
                return None
            if self._is_over:  # while it waited; asyncssh has yet to notice
                gate.leave(self._host, was_given=False, was_let_in=False)
                return None
            self._gate = gate
        return offers.credentials.password

    async def _answer(self, prompt: str, *, echo: bool) -> str | None:
        offers = self._offers
        if offers is None:
            return None
        if not echo and _PASSWORD.fullmatch(prompt):
            secret = await self._password()
            if secret is not None:
                self._was_given = True
                return secret.reveal()
        if _EXPIRED.search(prompt):
            self._has_expired()
            return None
        return await self._asked(prompt, offers.credentials, echo=echo)

    async def _asked(self, prompt: str, credentials: Credentials, *, echo: bool) -> str | None:
        """Have the operator answer."""
        self._questions += 1
        if self._questions > _QUESTIONS_MAX:
            self._remark(f"its questions (more than {_QUESTIONS_MAX})")
            return None
        if credentials.ask is None:
            self._remark(f"its question {prompt!r} (there is no terminal to ask you on; run it on one)")
            return None
        heading = f"{self._heading[:_QUESTION_CHARS_MAX]} - " if self._heading else ""
        with self._waiting():
            answer = await credentials.ask(f"({self._user}@{self._host}) {heading}{prompt}", echo=echo)
        told = "refused" if answer is not None else "not answered in time"
        self._remark(f"its question {prompt!r} ({told})")
        return answer

    def _has_expired(self) -> None:
        self._remark(f"to keep the password (the server wants it changed: log in once with ssh as {self._user})")

    def _remark(self, text: str) -> None:
        if text not in self._remarks:
            self._remarks.append(text)


def way_out(methods: Collection[str], offers: Offers | None, *, is_hop: bool) -> str:
    """Say what the operator can do about a refused login, by the methods that the server takes."""
    keys = "Set `identity` or load a key with ssh-add"
    if not methods or not _BY_SECRET & set(methods):
        return keys
    if is_hop:
        return f"{keys}; a password is never given to a jump host"
    if offers is None and "publickey" not in methods:
        return "Have the password asked for with --ask-password"
    if offers is None:
        return f"{keys}, or have the password asked for with --ask-password"
    return "Give the right password, set `identity` or load a key with ssh-add"
