"""Opens the journal's database, or refuses in one line: folder, modes, schema, and SQLite's errors in words.

A file that is not a journal, is damaged or was written by a newer vigo is named and left exactly as it is.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from vigo.adapters.locks import held
from vigo.core.errors import JournalError

SCHEMA_VERSION = 1
_APPLICATION_ID = 0x7669676F  # "vigo"
JOURNAL, HEAD, LOCKS = "journal.db", "head.json", "locks"

OPENING = "kind IN ('task.dispatch', 'task.blocked')"
"""The events that open a task, word for word as in the partial indexes."""
SCHEMA = (
    """CREATE TABLE events (seq INTEGER PRIMARY KEY, at TEXT NOT NULL, task TEXT NOT NULL, kind TEXT NOT NULL,
    host TEXT, data TEXT NOT NULL, digest TEXT NOT NULL) STRICT""",
    "CREATE TABLE output (digest TEXT NOT NULL UNIQUE, data BLOB NOT NULL)",
    "CREATE INDEX events_by_task ON events (task)",
    f"CREATE UNIQUE INDEX task_ids ON events (task) WHERE {OPENING}",
    f"CREATE INDEX task_openings ON events (seq) WHERE {OPENING}",
    "CREATE INDEX task_ends ON events (task) WHERE kind = 'task.finished'",
)
_WAYS_OUT = {
    "SQLITE_BUSY": "is locked by another process; see `fuser {path}`",
    "SQLITE_FULL": "cannot be written: the disk is full; free space",
    "SQLITE_READONLY": "cannot be written: it is read-only for this user",
    "SQLITE_CANTOPEN": "cannot be opened: {error}; check the permissions of its folder",
    "SQLITE_PERM": "cannot be opened: no permission",
    "SQLITE_NOTADB": "is not a vigo journal; it was left as it is: move it away, or set VIGO_DATA_DIR",
    "SQLITE_CORRUPT": "is damaged ({error}) and was left as it is; `vigo audit verify` shows how far it can be read",
    "SQLITE_IOERR": "could not be read or written: {error}; check the disk",
}


@contextmanager
def in_words(path: Path) -> Iterator[None]:
    """Turn SQLite's and the system's errors into a JournalError that names the file, the reason and the way out."""
    try:
        yield
    except sqlite3.Error as error:
        said = " ".join(str(error).split())  # it may quote what stands in a damaged file
        raise JournalError(f"{path} {_reason(error).format(path=path, error=said)}") from error
    except UnicodeError as error:  # bytes of a damaged file, in a name, an id or quoted by SQLite's own message
        raise JournalError(f"{path} {_WAYS_OUT['SQLITE_CORRUPT'].format(error='text that is no Unicode')}") from error
    except OSError as error:
        raise JournalError(
            f"{error.filename or path}: {error.strerror}; vigo needs a data folder it can use"
        ) from error


def _reason(error: sqlite3.Error) -> str:
    name = getattr(error, "sqlite_errorname", "") or ""
    known = (reason for prefix, reason in _WAYS_OUT.items() if name.startswith(prefix))
    return next(known, "cannot be used: {error}; it was left as it is")


def prepare_folder(folder: Path) -> None:
    """Make the data folder (0700) and its folder of locks, and refuse one that others could plant files in.

    Raises JournalError.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        for own in (folder, folder / LOCKS):
            with suppress(FileExistsError):
                own.mkdir(mode=0o700)
                own.chmod(0o700)  # a strict umask would even keep its owner out
            _check_own(own)
            _check_writable(own)
    except OSError as error:
        raise JournalError(
            f"{folder}: cannot be used for the journal: {error.strerror}; nothing runs unrecorded: "
            "make it writable, or set VIGO_DATA_DIR"
        ) from error


def _check_own(folder: Path) -> None:
    """See that the folder is this user's alone; tighten one that holds nothing but vigo's files."""
    seen = folder.stat()
    if seen.st_uid != os.geteuid():
        raise JournalError(
            f"{folder}: belongs to uid {seen.st_uid}, vigo runs as uid {os.geteuid()}; set VIGO_DATA_DIR"
        )
    if not seen.st_mode & 0o077:
        return
    with os.scandir(folder) as entries:
        is_ours = all(_is_ours(entry.name) for entry in entries)
    if is_ours:
        folder.chmod(0o700)
    elif seen.st_mode & 0o022:
        raise JournalError(f"{folder}: other users can write here; set VIGO_DATA_DIR to a folder of your own")


def _check_writable(folder: Path) -> None:
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
        why = "the file system is read-only" if os.statvfs(folder).f_flag & os.ST_RDONLY else "Permission denied"
        raise JournalError(f"{folder}: cannot be written: {why}; nothing runs unrecorded: set VIGO_DATA_DIR")


def _is_ours(name: str) -> bool:
    return name.startswith((JOURNAL, HEAD, LOCKS)) or name.endswith(".lock") or ".cancel" in name


def refuse_planted(folder: Path) -> None:
    """Refuse files of the journal that are no plain files: a link could lead anywhere. Raises JournalError."""
    for name in (JOURNAL, f"{JOURNAL}-wal", f"{JOURNAL}-shm", f"{JOURNAL}-journal", HEAD):
        path = folder / name
        with in_words(path):
            if path.is_symlink() or (path.exists() and not stat.S_ISREG(path.lstat().st_mode)):
                raise JournalError(f"{path}: is a link or no plain file; vigo does not follow it: remove it")


def exists(folder: Path) -> bool:
    """Say whether there is a journal. Raises JournalError when there is only a part of one."""
    path = folder / JOURNAL
    with in_words(path):
        if path.exists():
            return True
        log = folder / f"{JOURNAL}-wal"
        # Asked again: another process may have made both in the meantime, the journal first.
        if log.exists() and log.stat().st_size and not path.exists():
            raise JournalError(f"{path}: is missing but its write-ahead log is there; put the journal back beside it")
        return path.exists()


def open_to_write(folder: Path, busy_timeout_ms: int) -> sqlite3.Connection:
    """Open the journal, made if there is none, for appending. Raises JournalError."""
    prepare_folder(folder)
    refuse_planted(folder)
    path = folder / JOURNAL
    if not exists(folder):
        with held(folder / LOCKS / "create.lock", busy_timeout_ms):
            _create(folder)
    with in_words(path):
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
        connection = _connect(path, "mode=rw", busy_timeout_ms)
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != ("wal",):
        connection.close()
        raise JournalError(f"{path}: SQLite cannot keep a write-ahead log here; use a local file system")
    return connection


def open_to_read(folder: Path, busy_timeout_ms: int) -> sqlite3.Connection:
    """Open an existing journal read-only, also while others write. Raises JournalError."""
    refuse_planted(folder)
    path = folder / JOURNAL
    with in_words(path):
        try:
            return _connect(path, "mode=ro", busy_timeout_ms)
        except sqlite3.OperationalError:
            # On a read-only medium SQLite cannot make the index of the log; without a log it needs none.
            log = folder / f"{JOURNAL}-wal"
            if os.access(folder, os.W_OK) or (log.exists() and log.stat().st_size):
                raise
            return _connect(path, "immutable=1", busy_timeout_ms)


def _connect(path: Path, how: str, busy_timeout_ms: int) -> sqlite3.Connection:
    # The time-out is set before anything else is asked, so that it holds for the switch to WAL as well.
    connection = sqlite3.connect(
        f"{path.as_uri()}?{how}", uri=True, timeout=busy_timeout_ms / 1000, isolation_level=None
    )
    try:
        _set_up(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _set_up(connection: sqlite3.Connection, path: Path) -> None:
    # Bytes that are no UTF-8 were not written by vigo; they are read all the same, so that the row can be named.
    connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != _APPLICATION_ID or version < 1:
        raise JournalError(f"{path}: is no vigo journal; it was left as it is: move it away, or set VIGO_DATA_DIR")
    if version > SCHEMA_VERSION:
        raise JournalError(f"{path}: was written by a newer vigo (schema {version}, this one knows {SCHEMA_VERSION})")


def _create(folder: Path) -> None:
    """Make an empty journal under another name and move it into place: it is there as a whole or not at all."""
    path, draft = folder / JOURNAL, folder / f"{JOURNAL}.new"
    if path.exists():
        return
    with in_words(path):
        draft.unlink(missing_ok=True)
        os.close(create_private(draft))
        try:
            with closing(sqlite3.connect(draft, isolation_level=None)) as connection:
                connection.execute("BEGIN")
                for statement in SCHEMA:
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
                connection.execute("COMMIT")
                connection.execute("PRAGMA journal_mode = WAL")
            draft.rename(path)
        except BaseException:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise
        sync_folder(folder)


def create_private(path: Path) -> int:
    """Make a file that was not there, 0600 whatever the umask, and return its descriptor. Raises OSError."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    os.fchmod(fd, 0o600)
    return fd


def sync_folder(folder: Path) -> None:
    """Make the folder's entries last. Raises OSError."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
