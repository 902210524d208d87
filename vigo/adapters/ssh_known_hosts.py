"""known_hosts files as OpenSSH reads them: who is named on which line, and the line's key when somebody asks for it.

Plain and `[host]:port` names, patterns with `*`, `?` and `!`, hashed names, `@revoked`, `@cert-authority`; a line that makes
no sense is passed over. A file may have 100,000 lines, of which a run needs a few: keys are decoded when they are found.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
from collections.abc import Collection, Iterator
from fnmatch import translate
from functools import lru_cache
from pathlib import Path
from typing import Final

from vigo.adapters.ssh_errors import Unreached
from vigo.core.model import Reason
from vigo.core.values import dataclass

SSH_PORT: Final = 22
_MARKERS: Final = {"@revoked", "@cert-authority"}
_HASHED_PARTS: Final = 4
_FIELDS: Final = 3
"""Names, algorithm, key; a comment may follow, and a marker come before."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a known_hosts file."""

    marker: str
    """Empty, `@revoked` or `@cert-authority`."""
    algorithm: str
    blob: bytes
    """The public key as it travels."""
    place: str
    """`file:line`."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known about one host."""

    keys: tuple[Entry, ...] = ()
    """Of this host and port: if there is one, the server has to show one of them."""
    portless: tuple[Entry, ...] = ()
    """Of the same name without the port: good enough to accept, no ground to speak of a change."""
    authorities: tuple[Entry, ...] = ()
    revoked: tuple[Entry, ...] = ()


class KnownHostsFile:
    """One parsed file. A file that is not there knows nobody; one that cannot be read raises Unreached."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._identity = (0, 0)
        self._offset = 0
        self._lines = [""]
        """The last one has not ended yet."""
        self._exact: dict[str, list[int]] = {}
        self._patterns: list[tuple[str, int]] = []
        self._hashed: list[tuple[bytes, bytes, int]] = []
        self.read_on()

    def read_on(self) -> None:
        """Take in what was added to the file since it was last read; one that was put in its place is read anew."""
        try:
            with self.path.open("rb") as file:
                status = os.fstat(file.fileno())
                if (status.st_dev, status.st_ino) != self._identity or status.st_size < self._offset:
                    self._forget()
                    self._identity = status.st_dev, status.st_ino
                file.seek(self._offset)
                added = file.read()
        except FileNotFoundError:
            self._forget()
            return
        except OSError as error:
            raise Unreached(
                Reason.LOCAL, f"cannot read {self.path}: {error.strerror}; host keys are checked against it"
            ) from error
        self._offset += len(added)
        self._take(added.decode("utf-8", "replace"))

    def find(self, name: str) -> Iterator[Entry]:
        """Yield the entries for a name as ssh writes it: `host` or `[host]:port`."""
        name = name.lower()
        numbers = list(self._exact.get(name, ()))
        numbers += (number for names, number in self._patterns if _fits(names, name))
        raw = name.encode()
        numbers += (
            number
            for salt, digest, number in self._hashed
            if hmac.compare_digest(hmac.digest(salt, raw, "sha1"), digest)
        )
        for number in numbers:
            entry = _entry(self._lines[number], f"{self.path}:{number + 1}")
            if entry is not None:
                yield entry

    def _forget(self) -> None:
        self._identity, self._offset, self._lines = (0, 0), 0, [""]
        self._exact, self._patterns, self._hashed = {}, [], []

    def _take(self, text: str) -> None:
        if not text:
            return
        first, *rest = text.split("\n")
        number = len(self._lines) - 1
        self._lines[-1] += first
        self._lines += rest
        if first:
            self._index(number)
        for later in range(number + 1, len(self._lines)):
            self._index(later)

    def _index(self, number: int) -> None:
        """Note who is named on a line. This is run for every line of every file: the rest of it has to wait."""
        fields = self._lines[number].split(None, 2)
        if len(fields) < _FIELDS:
            return
        names = fields[0]
        first = names[0]
        if first == "#":
            return
        if first == "@":
            names = fields[1]
            first = names[0]
        if first == "|":
            self._hash(names, number)
            return
        names = names.lower()
        if "*" in names or "?" in names or "!" in names:
            self._patterns.append((names, number))
        elif "," in names:
            for name in names.split(","):
                self._exact.setdefault(name, []).append(number)
        else:
            self._exact.setdefault(names, []).append(number)

    def _hash(self, names: str, number: int) -> None:
        parsed = _hashed(names)
        if parsed is not None:
            self._hashed.append((*parsed, number))


def named(name: str, port: int) -> str:
    """Return a host's name as known_hosts files write it."""
    return name if port == SSH_PORT else f"[{name}]:{port}"


def fingerprint(blob: bytes) -> str:
    """Return a key's fingerprint as ssh writes it: SHA256 and base64 without padding."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def without(line: str, names: Collection[str]) -> str | None:
    """Return what is left of a line (without its newline) when these lower-case names are taken out; None for nothing.

    Lines that say more than which key a host has stay as they are: `@revoked`, `@cert-authority` and patterns.
    """
    fields = line.split(None, 1)
    if not fields or fields[0][0] in "#@" or any(char in fields[0] for char in "*?!"):
        return line
    if fields[0].startswith("|"):
        parsed = _hashed(fields[0])
        is_one = parsed is not None and any(
            hmac.compare_digest(hmac.digest(parsed[0], name.encode(), "sha1"), parsed[1]) for name in names
        )
        return None if is_one else line
    listed = fields[0].split(",")
    kept = [name for name in listed if name.lower() not in names]
    if len(kept) == len(listed):
        return line
    return " ".join((",".join(kept), *fields[1:])) if kept else None


def _entry(line: str, place: str) -> Entry | None:
    fields = line.split()
    marker = fields.pop(0) if fields[0].startswith("@") else ""
    if (marker and marker not in _MARKERS) or len(fields) < _FIELDS:
        return None
    try:
        blob = base64.b64decode(fields[2], validate=True)
    except (binascii.Error, ValueError):
        return None
    return Entry(marker, fields[1], blob, place)


def _hashed(names: str) -> tuple[bytes, bytes] | None:
    """Return salt and digest of a name that `ssh-keygen -H` has hashed."""
    parts = names.split("|")
    if len(parts) != _HASHED_PARTS or parts[1] != "1":
        return None
    try:
        return base64.b64decode(parts[2]), base64.b64decode(parts[3])
    except (binascii.Error, ValueError):
        return None


def _fits(names: str, name: str) -> bool:
    """Tell whether a list of patterns names a host: one that wants it, and none that does not."""
    listed = names.split(",")
    if not any(_pattern(wanted).match(name) for wanted in listed if not wanted.startswith("!")):
        return False
    return not any(_pattern(unwanted[1:]).match(name) for unwanted in listed if unwanted.startswith("!"))


@lru_cache(maxsize=4096)
def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(translate(name.replace("[", "[[]")))
