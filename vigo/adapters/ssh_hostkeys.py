"""Whom we talk to: known_hosts files, each parsed once a run, and vigo's own, where first contacts are recorded.

A key that differs from a known one is fatal, always. OpenSSH's format is read as OpenSSH reads it: plain and `[host]:port`
names, patterns with `*`, `?` and `!`, hashed names, `@revoked`, `@cert-authority`; lines that make no sense are passed over.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import hmac
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from pathlib import Path

from vigo.adapters.ssh_errors import Unreached
from vigo.core.model import Reason

_SSH_PORT = 22
_MARKERS = {"@revoked", "@cert-authority"}
_HASHED_PARTS = 4


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
        self._exact: defaultdict[str, list[Entry]] = defaultdict(list)
        self._patterns: list[tuple[Sequence[re.Pattern[str]], Sequence[re.Pattern[str]], Entry]] = []
        self._hashed: list[tuple[bytes, bytes, Entry]] = []
        self._lines = 0
        self._offset = 0
        self.read_on()

    def read_on(self) -> None:
        """Take in what was added to the file since it was last read."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                added = file.read()
        except FileNotFoundError:
            return
        except OSError as error:
            raise Unreached(
                Reason.LOCAL, f"cannot read {self.path}: {error.strerror}; host keys are checked against it"
            ) from error
        self._offset += len(added)
        for line in added.decode("utf-8", "replace").splitlines():
            self._lines += 1
            self._add(line.split(), f"{self.path}:{self._lines}")

    def find(self, name: str) -> Iterator[Entry]:
        """Return the entries for a name as ssh writes it: `host` or `[host]:port`."""
        name = name.lower()
        yield from self._exact.get(name, ())
        for wanted, unwanted, entry in self._patterns:
            if _matches(wanted, name) and not _matches(unwanted, name):
                yield entry
        raw = name.encode()
        for salt, digest, entry in self._hashed:
            if hmac.compare_digest(hmac.digest(salt, raw, "sha1"), digest):
                yield entry

    def _add(self, fields: list[str], place: str) -> None:
        if not fields or fields[0].startswith("#"):
            return
        marker = fields.pop(0) if fields[0].startswith("@") else ""
        if (marker and marker not in _MARKERS) or len(fields) < 3:  # noqa: PLR2004 - names, algorithm, key
            return
        try:
            blob = base64.b64decode(fields[2], validate=True)
        except (binascii.Error, ValueError):
            return
        self._file(fields[0], Entry(marker, fields[1], blob, place))

    def _file(self, names: str, entry: Entry) -> None:
        if names.startswith("|"):
            parts = names.split("|")
            if len(parts) == _HASHED_PARTS and parts[1] == "1":
                try:
                    self._hashed.append((base64.b64decode(parts[2]), base64.b64decode(parts[3]), entry))
                except (binascii.Error, ValueError):
                    return
            return
        listed = names.lower().split(",")
        if any(char in names for char in "*?!"):
            wanted = [_pattern(name) for name in listed if not name.startswith("!")]
            unwanted = [_pattern(name[1:]) for name in listed if name.startswith("!")]
            self._patterns.append((wanted, unwanted, entry))
            return
        for name in listed:
            self._exact[name].append(entry)


@dataclass(slots=True)
class HostKeys:
    """The host keys of a run: which files count, what they know, and the recording of first contacts."""

    own: Path
    """vigo's own known_hosts."""
    accept_new: bool
    _files: dict[Path, KnownHostsFile] = field(default_factory=dict)

    def known(self, names: Iterable[str], port: int, files: Sequence[Path]) -> Known:
        """Collect what the files know about a host that goes by these names."""
        keys: list[Entry] = []
        portless: list[Entry] = []
        for file in map(self._file, files):
            for name in names:
                keys += file.find(_named(name, port))
                if port != _SSH_PORT:
                    portless += file.find(name)
        everything = keys + portless
        return Known(
            keys=tuple(entry for entry in keys if not entry.marker),
            portless=tuple(entry for entry in portless if not entry.marker),
            authorities=tuple(entry for entry in everything if entry.marker == "@cert-authority"),
            revoked=tuple(entry for entry in everything if entry.marker == "@revoked"),
        )

    def judge(self, known: Known, name: str, port: int, algorithm: str, blob: bytes, *, may_record: bool) -> None:
        """Return if the server's key is trusted, after recording a first contact if that is allowed; raises Unreached."""
        _refuse_revoked(known, name, blob)
        if any(entry.blob == blob for entry in (*known.keys, *known.portless)):
            return
        if known.keys:
            raise _changed(known.keys, name, port, algorithm)
        if not (self.accept_new and may_record):
            raise Unreached(Reason.HOST_KEY_UNKNOWN, _unknown_detail(name, port, algorithm, accept_new=self.accept_new))
        self._record(name, port, algorithm, blob)

    def _file(self, path: Path) -> KnownHostsFile:
        file = self._files.get(path)
        if file is None:
            file = self._files[path] = KnownHostsFile(path)
        return file

    def _record(self, name: str, port: int, algorithm: str, blob: bytes) -> None:
        """Append one whole line under a lock, unless another vigo recorded this host meanwhile; synced before return."""
        own = self._file(self.own)
        try:
            self.own.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self.own, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                own.read_on()
                if not _already(own, name, port, algorithm, blob):
                    _append(descriptor, f"{_named(name, port)} {algorithm} {base64.b64encode(blob).decode()}\n")
                    own.read_on()
            finally:
                os.close(descriptor)
        except OSError as error:
            raise Unreached(Reason.LOCAL, f"cannot record the host key in {self.own}: {error.strerror}") from error


def _append(descriptor: int, line: str) -> None:
    size = os.fstat(descriptor).st_size
    torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
    os.write(descriptor, (("\n" if torn else "") + line).encode())
    os.fsync(descriptor)


def _already(own: KnownHostsFile, name: str, port: int, algorithm: str, blob: bytes) -> bool:
    entries = tuple(own.find(_named(name, port)))
    _refuse_revoked(Known(revoked=tuple(entry for entry in entries if entry.marker == "@revoked")), name, blob)
    keys = tuple(entry for entry in entries if not entry.marker)
    if keys and all(entry.blob != blob for entry in keys):
        raise _changed(keys, name, port, algorithm)
    return bool(keys)


def _refuse_revoked(known: Known, name: str, blob: bytes) -> None:
    for entry in known.revoked:
        if entry.blob == blob:
            raise Unreached(
                Reason.HOST_KEY_REVOKED, f"{name} shows a key that {entry.place} revokes; give the host a new key"
            )


def _changed(keys: Sequence[Entry], name: str, port: int, algorithm: str) -> Unreached:
    same = [entry for entry in keys if entry.algorithm == algorithm] or list(keys)
    place = same[0].place
    file = place.rpartition(":")[0]
    return Unreached(
        Reason.HOST_KEY_CHANGED,
        f"{name} shows another {algorithm} key than {place} has; someone may listen in."
        f" Verify the new key, then: ssh-keygen -f {file} -R '{_named(name, port)}'",
    )


def _unknown_detail(name: str, port: int, algorithm: str, *, accept_new: bool) -> str:
    if accept_new:
        return f"{name} shows an unknown {algorithm} key, and its inventory names a known_hosts file of its own; add the key there"
    option = "" if port == _SSH_PORT else f"-p {port} "
    return f"{name} shows an {algorithm} key that no known_hosts has; check it with `ssh {option}{name}`, or use --accept-new-host-keys"


def _named(name: str, port: int) -> str:
    return name if port == _SSH_PORT else f"[{name}]:{port}"


def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(translate(name.replace("[", "[[]")))


def _matches(patterns: Sequence[re.Pattern[str]], name: str) -> bool:
    return any(pattern.match(name) for pattern in patterns)
