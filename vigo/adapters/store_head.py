"""The head file: how far the journal had come, kept apart from it, so that a cut tail shows.

It is written after the journal, never before: a head that lags behind is a crash at a bad moment, a head that is ahead
is a journal that lost events.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from vigo.adapters.locks import held
from vigo.adapters.store_open import HEAD, LOCKS, create_private, in_words, refuse_planted, sync_folder
from vigo.adapters.syslog import tell_head
from vigo.core.chain import Point, canonical, parse_point
from vigo.core.errors import JournalError, UsageError

_SIZE_MAX = 4096


def read_head(folder: Path) -> Point | None:
    """Return the head, or None when there is no such file.

    Raises JournalError when it cannot be read, ValueError when it holds something else than a head.
    """
    path = folder / HEAD
    refuse_planted(folder)
    with in_words(path):
        try:
            with path.open("rb") as file:
                data = file.read(_SIZE_MAX)
        except FileNotFoundError:
            return None
    try:
        fields = json.loads(data)
        if canonical(fields) + b"\n" != data or set(fields) != {"schema", "seq", "digest"}:
            raise ValueError("it is not as vigo writes it")  # noqa: TRY301 - one place says what is wrong with the file
        return parse_point(f"{fields['seq']}:{fields['digest']}")
    except (ValueError, TypeError, UsageError, RecursionError) as error:
        raise ValueError(f"{path}: holds no head: {error}") from error


def write_head(folder: Path, point: Point, wait_ms: int, log: Path) -> None:
    """Replace the head, synced to disk, unless another process has written a later one; then tell the system's log.

    Raises JournalError.
    """
    with held(folder / LOCKS / "head.lock", wait_ms), in_words(folder / HEAD):
        with suppress(ValueError):
            now = read_head(folder)
            if now is not None and now.seq >= point.seq:
                return
        _replace(folder, canonical({"schema": 1, "seq": point.seq, "digest": point.digest}) + b"\n")
    tell_head(point, log)


def _replace(folder: Path, data: bytes) -> None:
    draft = folder / f"{HEAD}.new"  # one writer at a time: the lock is held
    draft.unlink(missing_ok=True)
    try:
        fd = create_private(draft)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(fd)
        draft.rename(folder / HEAD)
    except OSError:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise
    sync_folder(folder)


def refuse_lost_tail(folder: Path, head: Point | None, digest_there: str | None) -> None:
    """Refuse to write on when the journal does not reach its head: that would overwrite the only trace of it.

    `head` must have been read before the row whose digest is given. Raises JournalError.
    """
    if head is not None and digest_there != head.digest:
        raise JournalError(
            f"{folder}: the journal does not hold event {head.seq} that {HEAD} vouches for: events were lost or changed. "
            f"See `vigo audit verify`; to go on without them, move {HEAD} away"
        )
