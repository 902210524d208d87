"""Whom we talk to: each known_hosts file read once a run, and vigo's own, where first contacts are recorded.

A key that differs from a known one is fatal, always: but for hosts whose inventory says that nothing is checked.
"""

from __future__ import annotations

import base64
import fcntl
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import field
from enum import StrEnum
from pathlib import Path

from vigo.adapters.ssh_errors import Unreached
from vigo.adapters.ssh_known_hosts import SSH_PORT, named, without
from vigo.adapters.ssh_known_hosts import Entry as Entry  # noqa: PLC0414 - callers know these three from here
from vigo.adapters.ssh_known_hosts import Known as Known  # noqa: PLC0414 - likewise
from vigo.adapters.ssh_known_hosts import KnownHostsFile as KnownHostsFile  # noqa: PLC0414 - likewise
from vigo.core.model import HostKeyRule, Reason
from vigo.core.values import dataclass


class KeyState(StrEnum):
    """What the files say of a key that a server shows."""

    KNOWN = "known"
    NEW = "new"
    """They have no key of this kind for the host, and nothing else that contradicts it."""
    CHANGED = "CHANGED"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class ShownKey:
    """A key that a server has proved to hold."""

    algorithm: str
    blob: bytes
    """The public key as it travels."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A key beside what the files say."""

    key: ShownKey
    state: KeyState
    places: tuple[str, ...] = ()
    """`file:line` of the lines that decide it; none for a new key."""


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
                keys += file.find(named(name, port))
                if port != SSH_PORT:
                    portless += file.find(name)
        everything = keys + portless
        return Known(
            keys=tuple(entry for entry in keys if not entry.marker),
            portless=tuple(entry for entry in portless if not entry.marker),
            authorities=tuple(entry for entry in everything if entry.marker == "@cert-authority"),
            revoked=tuple(entry for entry in everything if entry.marker == "@revoked"),
        )

    def judge(self, known: Known, name: str, port: int, key: ShownKey, *, rule: HostKeyRule, may_record: bool) -> None:
        """Return if the server's key is trusted, after recording a first contact if that is allowed; raises Unreached."""
        if rule is HostKeyRule.INSECURE:
            return
        _refuse_revoked(known, name, key)
        if any(entry.blob == key.blob for entry in (*known.keys, *known.portless)):
            return
        if known.keys:
            raise self._changed(known.keys, name, port, key)
        if rule is not HostKeyRule.ACCEPT_NEW or not may_record:
            raise Unreached(Reason.HOST_KEY_UNKNOWN, _unknown_detail(name, port, key, rule))
        with self._recording() as (own, append):
            keys = self._now_known(own, name, port, key)
            if keys and all(entry.blob != key.blob for entry in keys):
                raise self._changed(keys, name, port, key)
            if not keys:
                append(_line(name, port, key))

    def record(self, name: str, port: int, keys: Iterable[ShownKey]) -> tuple[ShownKey, ...]:
        """Write the keys that a host was seen to have into vigo's own file, and return those that were not there yet.

        Raises Unreached where one contradicts what was recorded meanwhile, or where the file cannot be written.
        """
        written = []
        with self._recording() as (own, append):
            for key in keys:
                there = self._now_known(own, name, port, key)
                if any(entry.blob == key.blob for entry in there):
                    continue
                if any(entry.algorithm == key.algorithm for entry in there):
                    raise self._changed(there, name, port, key)
                append(_line(name, port, key))
                written.append(key)
        return tuple(written)

    def forget(self, names: Iterable[str], port: int) -> tuple[str, ...]:
        """Take a host's names out of vigo's own file, and return the lines that were changed by it, as they were.

        Lines that revoke, that name an authority, or that name patterns stay. Raises Unreached.
        """
        wanted = frozenset(named(name, port).lower() for name in names)
        if not self.own.exists():
            return ()
        with _errors_told(f"cannot change {self.own}"), _locked(self.own):
            lines = self.own.read_bytes().decode("utf-8", "surrogateescape").split("\n")
            left = [without(line, wanted) for line in lines]
            gone = tuple(line for line, rest in zip(lines, left, strict=True) if line != rest)
            if gone:
                text = "\n".join(line for line in left if line is not None)
                _replace(self.own.resolve(), text.encode("utf-8", "surrogateescape"))
        return gone

    def _file(self, path: Path) -> KnownHostsFile:
        file = self._files.get(path)
        if file is None:
            file = self._files[path] = KnownHostsFile(path)
        return file

    @contextmanager
    def _recording(self) -> Iterator[tuple[KnownHostsFile, Callable[[str], None]]]:
        """Hold the lock on vigo's own file: give what is in it now, and what appends a whole line to it, synced."""
        own = self._file(self.own)
        with _errors_told(f"cannot record the host key in {self.own}"):
            self.own.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _locked(self.own) as descriptor:
                own.read_on()

                def append(line: str) -> None:
                    _append(descriptor, line)
                    own.read_on()

                yield own, append

    def _now_known(self, own: KnownHostsFile, name: str, port: int, key: ShownKey) -> tuple[Entry, ...]:
        """Return the keys that another vigo may have recorded meanwhile. Raises Unreached for one that is revoked."""
        entries = tuple(own.find(named(name, port)))
        _refuse_revoked(Known(revoked=tuple(entry for entry in entries if entry.marker == "@revoked")), name, key)
        return tuple(entry for entry in entries if not entry.marker)

    def _changed(self, keys: Sequence[Entry], name: str, port: int, key: ShownKey) -> Unreached:
        same = [entry for entry in keys if entry.algorithm == key.algorithm] or list(keys)
        place = same[0].place
        file, called = place.rpartition(":")[0], named(name, port)
        remedy = f"vigo keys forget '{called}'" if file == str(self.own) else f"ssh-keygen -f {file} -R '{called}'"
        return Unreached(
            Reason.HOST_KEY_CHANGED,
            f"{name} shows another {key.algorithm} key than {place} has; someone may listen in."
            f" Verify the new key, then: {remedy}",
        )


def compare(known: Known, shown: Sequence[ShownKey]) -> tuple[Compared, ...]:
    """Say of each key that a server has what the files say of it.

    A server that shows a known key may have keys of other kinds as well, which are new; one that shows none of the known
    ones is another server, or was set up anew: all its keys are changed, as they would be for a run.
    """
    trusted = (*known.keys, *known.portless)
    blobs = {entry.blob for entry in trusted}
    is_itself = not known.keys or any(key.blob in blobs for key in shown)
    found = []
    for key in shown:
        revoked = [entry for entry in known.revoked if entry.blob == key.blob]
        same = [entry for entry in trusted if entry.blob == key.blob]
        other = [entry for entry in known.keys if entry.algorithm == key.algorithm or not is_itself]
        if revoked:
            found.append(Compared(key, KeyState.REVOKED, _places(revoked)))
        elif same:
            found.append(Compared(key, KeyState.KNOWN, _places(same)))
        elif other:
            found.append(Compared(key, KeyState.CHANGED, _places(other)))
        else:
            found.append(Compared(key, KeyState.NEW))
    return tuple(found)


def _places(entries: Iterable[Entry]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(entry.place for entry in entries))


@contextmanager
def _errors_told(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unreached(Reason.LOCAL, f"{what}: {error.strerror}") from error


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Hold the lock on the file that is at this path once the lock is held: another one may be put there before."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_at(descriptor, path):
                yield descriptor
                return
        finally:
            os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _append(descriptor: int, line: str) -> None:
    size = os.fstat(descriptor).st_size
    torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
    os.write(descriptor, (("\n" if torn else "") + line).encode())
    os.fsync(descriptor)


def _replace(path: Path, content: bytes) -> None:
    """Put a file of mode 0600 in the place of another, at once and for good."""
    descriptor, made = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(made).replace(path)
    except BaseException:
        Path(made).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _line(name: str, port: int, key: ShownKey) -> str:
    return f"{named(name, port)} {key.algorithm} {base64.b64encode(key.blob).decode()}\n"


def _refuse_revoked(known: Known, name: str, key: ShownKey) -> None:
    for entry in known.revoked:
        if entry.blob == key.blob:
            raise Unreached(
                Reason.HOST_KEY_REVOKED, f"{name} shows a key that {entry.place} revokes; give the host a new key"
            )


def _unknown_detail(name: str, port: int, key: ShownKey, rule: HostKeyRule) -> str:
    if rule is HostKeyRule.ACCEPT_NEW:
        return f"{name} shows an unknown {key.algorithm} key, and its inventory names a known_hosts file of its own; add the key there"
    option = "" if port == SSH_PORT else f"-p {port} "
    return f"{name} shows an {key.algorithm} key that no known_hosts has; check it with `ssh {option}{name}`, or use --accept-new-host-keys"
