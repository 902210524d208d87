"""Files on real hosts, and on servers that fail at each step: whole or not at all, and at most once."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from tests.badpeer import Relay, listening
from tests.sshd import Farm, Server, Sink, fresh, wait_until
from vigo.adapters.ssh import SshTransport
from vigo.core.guard import FileOrder, clear
from vigo.core.model import Host, HostResult, Limits, Outcome, Reason, SshSettings
from vigo.core.plan import Policy
from vigo.core.push import Push

_LARGE = 5 * 1024 * 1024


class Bytes:
    """A file's content that tells when it is read, and how much of it was asked for at once."""

    def __init__(self, data: bytes, on_read: Callable[[int], None] = lambda _: None) -> None:
        self.data = data
        self._on_read = on_read

    def read(self, offset: int, size: int) -> bytes:
        """Return a part of it."""
        self._on_read(offset)
        return self.data[offset : offset + size]


def order(
    host: Host, path: str, content: Bytes, *, mode: int = 0o644, replaces: bool = True, verifies: bool = False
) -> FileOrder:
    """Have the guard clear a file for a place that is nobody's business."""
    sha256 = hashlib.sha256(content.data).hexdigest()
    push = Push("f", "/f", path, mode, len(content.data), sha256, replaces, verifies)
    cleared = clear(host, push.to(path, content))
    assert isinstance(cleared, FileOrder)
    return cleared


async def carry(transport: SshTransport, file: FileOrder, limits: Limits | None = None) -> HostResult:
    """Bring a file to its host."""
    return (await transport.run(file, limits or Limits(), Sink(), fresh())).result


def noisy(size: int) -> bytes:
    """Return this many bytes of every value there is."""
    return (bytes(range(256)) * (size // 256 + 1))[:size]


# --- real OpenSSH


@pytest.fixture(scope="module")
def server(sshd_farm: Farm) -> Server:
    """Return one ordinary server for the module."""
    return sshd_farm.serve(Subsystem="sftp internal-sftp")


@dataclass(frozen=True)
class Home:
    """The login's home on the server, as a host sees it."""

    farm: Farm
    host: Host
    path: Path

    def push(self, path: str, content: Bytes, **settings: Any) -> HostResult:
        """Bring a file there."""
        return asyncio.run(carry(self.farm.transport(), order(self.host, path, content, **settings)))

    @property
    def names(self) -> list[str]:
        """What lies in it."""
        return sorted(entry.name for entry in self.path.iterdir())


@pytest.fixture
def home(sshd_farm: Farm, server: Server) -> Iterator[Home]:
    """Return a home of its own below that of the farm's user."""
    folder = sshd_farm.directory / sshd_farm.plain_user / f"home-{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    owner = folder.parent.stat()
    os.chown(folder, owner.st_uid, owner.st_gid)
    yield Home(sshd_farm, sshd_farm.host(server), folder)
    subprocess.run(["rm", "-rf", folder], check=True)


@pytest.mark.sshd
@pytest.mark.parametrize("size", [0, 1, _LARGE + 17])
def test_what_arrives_is_what_was_read_and_nothing_is_left_beside_it(home: Home, size: int) -> None:
    """Byte for byte, with the mode that was asked for, whatever the umask there."""
    result = home.push(f"{home.path}/file", Bytes(noisy(size)), mode=0o666)
    assert (result.outcome, result.exit_code, result.detail) == (Outcome.COMPLETE, None, "")
    assert (home.path / "file").read_bytes() == noisy(size)
    assert (home.path / "file").stat().st_mode & 0o7777 == 0o666
    assert home.names == ["file"]


@pytest.mark.sshd
def test_a_relative_place_is_in_the_logins_home_and_read_back_when_asked(home: Home) -> None:
    """An unreadable mode hinders neither the writing nor the check."""
    path = home.path.relative_to(home.path.parent)
    result = home.push(f"{path}/secret", Bytes(noisy(300_000)), mode=0o000, verifies=True)
    assert (result.outcome, result.detail) == (Outcome.COMPLETE, "")
    assert (home.path / "secret").read_bytes() == noisy(300_000)


@pytest.mark.sshd
def test_a_link_at_the_place_is_replaced_and_not_followed(home: Home) -> None:
    """What it pointed to stays as it is."""
    (home.path / "old").write_text("old")
    (home.path / "link").symlink_to("old")
    assert home.push(f"{home.path}/link", Bytes(b"new")).outcome is Outcome.COMPLETE
    assert not (home.path / "link").is_symlink()
    assert ((home.path / "link").read_text(), (home.path / "old").read_text()) == ("new", "old")


@pytest.mark.sshd
def test_the_hosts_no_has_a_reason_and_leaves_everything_as_it_was(home: Home) -> None:
    """No directory, no right, something there already, a directory, a device: each in its own words."""
    (home.path / "there").write_text("mine")
    (home.path / "closed").mkdir(mode=0o755)
    (home.path / "folder").mkdir()
    cases: dict[str, tuple[str, dict[str, Any]]] = {
        "no-folder/x": ("no such directory: ", {}),
        "there/x": ("no such directory: ", {}),
        "closed/x": ("permission denied", {}),
        "there": ("is there already, and --no-replace was given", {"replaces": False}),
        "folder": ("is a directory; end REMOTE with /", {}),
        "../../../../../../../../dev/null": ("is a device", {}),
    }
    before = home.names
    for path, (words, settings) in cases.items():
        result = home.push(f"{home.path}/{path}", Bytes(b"new"), **settings)
        assert (result.outcome, result.reason) == (Outcome.FAILED, None), path
        assert words in result.detail, path
    assert home.names == before
    assert (home.path / "there").read_text() == "mine"
    assert list((home.path / "closed").iterdir()) == []
    assert home.push(f"{home.path}/new", Bytes(b"new"), replaces=False).outcome is Outcome.COMPLETE


@pytest.mark.sshd
def test_a_link_into_a_protected_place_is_refused_on_the_host(home: Home) -> None:
    """The hard guard judges where the path really leads, before anything is written there."""
    (home.path / "link").symlink_to("/etc")
    result = home.push(f"{home.path}/link/passwd", Bytes(b""))
    assert (result.outcome, result.detail) == (Outcome.REJECTED, "> /etc/passwd")


@pytest.mark.sshd
def test_no_reader_ever_sees_a_part_of_a_file(home: Home) -> None:
    """While it is replaced again and again, whoever reads finds the old bytes or the new ones, whole."""
    place = home.path / "file"
    versions = [bytes([number]) * (1_000_000 + number) for number in range(6)]
    place.write_bytes(versions[0])
    whole = {hashlib.sha256(data).digest() for data in versions}
    seen: list[bytes] = []
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            seen.append(hashlib.sha256(place.read_bytes()).digest())

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for version in versions[1:]:
            assert home.push(str(place), Bytes(version)).outcome is Outcome.COMPLETE
    finally:
        over.set()
        reader.join()
    assert seen
    assert set(seen) <= whole


@pytest.mark.sshd
@pytest.mark.parametrize("broken", ["reset", "frozen"])
def test_a_connection_that_breaks_off_leaves_the_old_file(home: Home, server: Server, broken: str) -> None:
    """By a reset or by silence: nothing is replaced, what may be left is named, a megabyte is sent at most after it."""
    (home.path / "file").write_text("old")
    after: list[int] = []

    async def scenario() -> HostResult:
        relay = Relay(server.port)
        break_off = relay.reset if broken == "reset" else relay.freeze

        def on_read(offset: int) -> None:
            if offset > 1024 * 1024:
                after.append(offset)
                break_off()

        content = Bytes(noisy(_LARGE), on_read)
        async with listening(relay.talk) as port:
            known = home.farm.directory / f"known-{port}"
            known.write_text(f"[127.0.0.1]:{port} {server.host_key}\n")
            host = home.farm.host(server, port=port, known_hosts=str(known))
            file = order(host, f"{home.path}/file", content)
            return await carry(home.farm.transport(), file, Limits(timeout_ms=700, grace_ms=100))

    result = asyncio.run(scenario())
    assert result.outcome is (Outcome.FAILED if broken == "reset" else Outcome.TIMEOUT), result
    assert "nothing was replaced" in result.detail
    assert f"{home.path}/.vigo-" in result.detail
    assert after[-1] - after[0] <= 1024 * 1024
    assert (home.path / "file").read_text() == "old"


@pytest.mark.sshd
@pytest.mark.parametrize("how", ["cancelled", "late"])
def test_a_transfer_that_is_given_up_is_cleared_away(home: Home, how: str) -> None:
    """A cancel and the deadline take the temporary file with them as long as the connection lives."""
    (home.path / "file").write_text("old")

    async def scenario() -> list[Outcome]:
        transport = home.farm.transport()

        def on_read(offset: int) -> None:
            if offset > _LARGE // 2:
                transport.kill() if how == "cancelled" else time.sleep(0.02)  # the line is slow

        content = Bytes(noisy(_LARGE), on_read)
        file = order(home.host, f"{home.path}/file", content)
        given_up = await carry(transport, file, Limits(timeout_ms=60_000 if how == "cancelled" else 50))
        later = await carry(transport, file)
        return [given_up.outcome, later.outcome]

    wanted = [Outcome.CANCELLED] * 2 if how == "cancelled" else [Outcome.TIMEOUT, Outcome.COMPLETE]
    assert asyncio.run(scenario()) == wanted
    assert home.names == ["file"]
    assert ((home.path / "file").read_bytes() == b"old") is (how == "cancelled")


@pytest.mark.sshd
def test_a_server_without_sftp_is_a_failure_with_the_way_out(sshd_farm: Farm) -> None:
    """The login works, so the host is no unreachable one."""
    host = sshd_farm.host(sshd_farm.serve())
    result = asyncio.run(carry(sshd_farm.transport(), order(host, "x", Bytes(b""))))
    assert result.outcome is Outcome.FAILED
    assert "offers no SFTP; add `Subsystem sftp internal-sftp`" in result.detail


@pytest.mark.sshd
@pytest.mark.faults
def test_a_full_disk_is_named_and_left_as_it_was(home: Home) -> None:
    """A file system of four megabytes, a file of five."""
    disk = home.path / "disk"
    disk.mkdir()
    owner = home.path.stat()
    options = f"size=4m,uid={owner.st_uid},gid={owner.st_gid}"
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", disk], check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        (disk / "file").write_text("old")
        result = home.push(f"{disk}/file", Bytes(noisy(_LARGE)))
        left = [entry.name for entry in disk.iterdir()]
        assert (result.outcome, left) == (Outcome.FAILED, ["file"])
        assert "no space left in " in result.detail
        assert (disk / "file").read_text() == "old"
    finally:
        wait_until(
            lambda: subprocess.run(["umount", disk], check=False).returncode == 0, what="its server has let go of it"
        )


# --- servers that fail where OpenSSH does not


class Door(asyncssh.SSHServer):
    """Lets everybody in."""

    def begin_auth(self, username: str) -> bool:
        """Ask for nothing."""
        del username
        return False


@asynccontextmanager
async def serving(files: Callable[..., asyncssh.SFTPServer], folder: Path) -> AsyncIterator[tuple[SshTransport, Host]]:
    """Serve a folder's files by another server than OpenSSH's; yields a transport, and the host to send to."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    listener = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=Door,
        server_host_keys=[key],
        sftp_factory=lambda chan: files(chan, chroot=os.fsencode(folder)),
    )
    port = listener.get_port()
    known_hosts = folder.parent / "known_hosts"
    known_hosts.write_text(f"[127.0.0.1]:{port} {key.export_public_key().decode()}")
    settings = SshSettings(user="me", port=port, known_hosts=str(known_hosts), agent=False)
    transport = SshTransport(policy=Policy(), known_hosts=known_hosts, accept_new=False, ssh_config=None)
    try:
        yield transport, Host("strange", str(uuid.UUID(int=1)), "127.0.0.1", ssh=settings)
    finally:
        listener.close()
        await listener.wait_closed()


def strange(files: Callable[..., asyncssh.SFTPServer], folder: Path, **settings: Any) -> HostResult:
    """Bring a file to such a server, with a second for it."""

    async def scenario() -> HostResult:
        async with serving(files, folder) as (transport, host):
            file = order(host, "/file", Bytes(noisy(100_000)), **settings)
            return await carry(transport, file, Limits(timeout_ms=1_000, grace_ms=100))

    return asyncio.run(scenario())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with an old file in it."""
    found = tmp_path / "files"
    found.mkdir()
    (found / "file").write_text("old")
    return found


class DiesAtRename(asyncssh.SFTPServer):
    """Renames, and is gone before it can say so."""

    def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        """Do it and drop the connection."""
        super().posix_rename(oldpath, newpath)
        self.connection.abort()


class SilentAtRename(asyncssh.SFTPServer):
    """Never answers a rename."""

    async def posix_rename(self, *_: object) -> None:
        """Wait for ever."""
        await asyncio.Event().wait()


class NeverReplaces(asyncssh.SFTPServer):
    """Has plain renames only."""

    def posix_rename(self, *_: object) -> None:
        """Say that there is no such thing."""
        raise asyncssh.SFTPOpUnsupported("what is that?")


class DiesAtOnce(asyncssh.SFTPServer):
    """Drops the connection at the first question."""

    def realpath(self, path: bytes) -> bytes:
        """Be gone."""
        self.connection.abort()
        return path


class Forgets(asyncssh.SFTPServer):
    """Says that it has written more than it has."""

    def write(self, file_obj: object, offset: int, data: bytes) -> int:
        """Drop the last byte of everything."""
        super().write(file_obj, offset, data[:-1])
        return len(data)


class Garbles(asyncssh.SFTPServer):
    """Keeps other bytes than it got."""

    def write(self, file_obj: object, offset: int, data: bytes) -> int:
        """Turn the first byte of everything."""
        done = super().write(file_obj, offset, bytes([data[0] ^ 1]) + data[1:])
        assert isinstance(done, int)
        return done


class FixedModes(asyncssh.SFTPServer):
    """Lets nobody change a mode."""

    def fsetstat(self, *_: object) -> None:
        """Refuse."""
        raise asyncssh.SFTPPermissionDenied("no")


class Babbles(asyncssh.SFTPServer):
    """Fails with a reason that goes on and on."""

    def write(self, *_: object) -> int:
        """Fail."""
        raise asyncssh.SFTPFailure("\x1b[2J no\nway " * 10_000)

    def statvfs(self, *_: object) -> os.statvfs_result:
        """Know nothing of disks."""
        raise asyncssh.SFTPOpUnsupported("no")


@pytest.mark.parametrize("files", [DiesAtRename, pytest.param(SilentAtRename, marks=pytest.mark.faults)])
def test_a_rename_without_an_answer_is_lost(folder: Path, files: Callable[..., asyncssh.SFTPServer]) -> None:
    """Nobody can know whether it was done, so nobody says so, and it is not asked twice."""
    result = strange(files, folder)
    assert result.outcome is Outcome.LOST
    assert "/file is the new file or the old one" in result.detail
    assert (folder / "file").read_bytes() in {b"old", noisy(100_000)}


def test_what_cannot_be_replaced_in_one_step_is_not_replaced(folder: Path) -> None:
    """Nothing is deleted to make room; where nothing stands, a plain rename will do."""
    result = strange(NeverReplaces, folder)
    assert result.outcome is Outcome.FAILED
    assert "no posix-rename@openssh.com" in result.detail
    assert [entry.name for entry in folder.iterdir()] == ["file"]
    assert (folder / "file").read_text() == "old"
    (folder / "file").unlink()
    assert strange(NeverReplaces, folder).outcome is Outcome.COMPLETE
    assert (folder / "file").read_bytes() == noisy(100_000)


def test_a_connection_that_dies_before_anything_was_written_is_unreachable(folder: Path) -> None:
    """A rerun may try it again without a second thought."""
    result = strange(DiesAtOnce, folder)
    assert (result.outcome, result.reason) == (Outcome.UNREACHABLE, Reason.CHANNEL)
    assert "before anything was written" in result.detail


@pytest.mark.parametrize(
    ("files", "verifies", "words"),
    [
        (Forgets, False, "the host holds 99999 bytes of the 100000"),
        (Garbles, True, "what was read back is not what was sent"),
        (FixedModes, False, "cannot set mode 0644"),
        (Babbles, False, "cannot write in /: the server says '\\x1b[2J no way"),
    ],
)
def test_a_host_that_cannot_keep_the_file_keeps_the_old_one(
    folder: Path, files: Callable[..., asyncssh.SFTPServer], words: str, *, verifies: bool
) -> None:
    """Too few bytes, other bytes, another mode: found before the file gets its name, and cleared away."""
    result = strange(files, folder, verifies=verifies)
    assert result.outcome is Outcome.FAILED
    assert words in result.detail
    assert len(result.detail) < 300
    assert "\n" not in result.detail
    assert [entry.name for entry in folder.iterdir()] == ["file"]
    assert (folder / "file").read_text() == "old"
