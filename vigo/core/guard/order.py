"""The two guards and the value that stands between them and the transport."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import field, replace
from typing import Protocol, TypeAlias, overload

from vigo.core.given import Given
from vigo.core.guard.finding import Finding, Layer
from vigo.core.guard.given import judged, shown, travelling
from vigo.core.guard.judge import judge
from vigo.core.model import Host
from vigo.core.placeholders import quote
from vigo.core.values import dataclass


@dataclass(frozen=True, slots=True)
class Text:
    """A command's final text for one host, after params and placeholders."""

    command: str
    """The command itself; a secret stands as `"$VIGO_PARAM_NAME"` in it."""
    secrets: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Environment variable -> value, sent over the wrapper's stdin."""
    given: Given = Given()
    """What the command is given beside its text; no placeholder stands in it any more."""
    data: bytes = field(default=b"", repr=False)
    """The script's bytes, or those of the standard input."""

    @property
    def wire(self) -> str:
        """What travels to the host's `sh -c`, without the data."""
        return travelling(self.command, self.given)

    @property
    def shown(self) -> str:
        """What is run, in words for people; secrets stand as variables."""
        return shown(self.command, self.given)

    @property
    def judged(self) -> str:
        """What will really be executed, secret values included: what the guards read. Never stored, sent or shown.

        It is made of what travels and of nothing else, so no caller can have one text judged and another one sent.
        """
        values = dict(self.secrets)
        command = self.command
        if values:
            command = _SECRET_WORD.sub(
                lambda found: quote(values[found[1]]) if found[1] in values else found[0], command
            )
        return judged(command, self.given, self.data)


class Content(Protocol):
    """The bytes of a local file as they were read once; they do not change any more."""

    def read(self, offset: int, size: int) -> bytes:
        """Return these bytes; fewer only at the end. Quick enough for an event loop at the sizes of a packet."""


@dataclass(frozen=True, slots=True)
class Placement:
    """A file on its way to one place on one host."""

    wire: str
    """What happens, in one line for people and for the record."""
    path: str
    """The file's place there: absolute, or as seen from the login's home."""
    mode: int
    """Its permission bits."""
    size_bytes: int
    sha256: str
    """Hex digest of its bytes."""
    replaces: bool = True
    """Whether a file that stands there is replaced."""
    verifies: bool = False
    """Whether the bytes are read back and digested before the file gets its name."""
    content: Content | None = field(default=None, repr=False, compare=False)

    @property
    def shown(self) -> str:
        """What happens, in words for people."""
        return self.wire

    @property
    def judged(self) -> str:
        """What the guards read: the shell command that does the same to what stands at the path."""
        return f"> {quote(self.path)}"


Act: TypeAlias = Text | Placement
"""What may be done on one host, as far as the guards are concerned."""

_SEAL = object()
_SECRET_WORD = re.compile(r'"\$([A-Za-z_][A-Za-z0-9_]*)"')


@dataclass(frozen=True, slots=True, init=False)
class Order:
    """A command that the hard guard cleared for one host. Only `clear` can make one."""

    host: Host
    wire: str
    secrets: tuple[tuple[str, str], ...] = field(repr=False)
    data: bytes = field(repr=False)
    """The command's standard input; a script is that of the lines that run it."""

    def __init__(self, seal: object, host: Host, text: Text) -> None:
        if seal is not _SEAL:
            raise TypeError("an Order is made by vigo.core.guard.clear and by nothing else")
        object.__setattr__(self, "host", host)
        object.__setattr__(self, "wire", text.wire)
        object.__setattr__(self, "secrets", text.secrets)
        object.__setattr__(self, "data", text.data)


@dataclass(frozen=True, slots=True, init=False)
class FileOrder:
    """A file that the hard guard cleared for one place on one host. Only `clear` can make one."""

    host: Host
    file: Placement

    def __init__(self, seal: object, host: Host, file: Placement) -> None:
        if seal is not _SEAL:
            raise TypeError("a FileOrder is made by vigo.core.guard.clear and by nothing else")
        object.__setattr__(self, "host", host)
        object.__setattr__(self, "file", file)

    def at(self, path: str) -> FileOrder | Refusal:
        """Ask the hard guard again about the same file, now that the host has said where the path really leads."""
        return clear(self.host, replace(self.file, path=path))


@dataclass(frozen=True, slots=True)
class Refusal:
    """The hard guard's no for one host."""

    host: Host
    finding: Finding


def review(texts: Iterable[str]) -> Finding | None:
    """Ask the dispatch guard about a task's distinct final texts; the first finding, hard ones before others."""
    findings = [finding for finding in map(judge, dict.fromkeys(texts)) if finding is not None]
    return min(findings, key=lambda finding: finding.layer is not Layer.HARD, default=None)


@overload
def clear(host: Host, act: Text) -> Order | Refusal: ...


@overload
def clear(host: Host, act: Placement) -> FileOrder | Refusal: ...


def clear(host: Host, act: Act) -> Order | FileOrder | Refusal:
    """Ask the hard guard about the exact act for one host; the only way to an `Order` or a `FileOrder`."""
    finding = judge(act.judged)
    if finding is not None and finding.layer is Layer.HARD:
        return Refusal(host, finding)
    if isinstance(act, Placement):
        return FileOrder(_SEAL, host, act)
    return Order(_SEAL, host, act)
