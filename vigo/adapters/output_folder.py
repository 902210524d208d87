"""A folder that gets the output of each host as files: `HOST.stdout` and `HOST.stderr`, as bytes, as the hosts end."""

from __future__ import annotations

import os
from pathlib import Path

from vigo.core.errors import UsageError
from vigo.core.model import Stream

_FLAG = "--output-dir"


class OutputFolder:
    """A folder of this run alone: what was there before is neither mixed in nor overwritten."""

    def __init__(self, name: str) -> None:
        """Make the folder, for its owner alone. Raises UsageError for one that cannot be made, or is not empty."""
        self.path = Path(name)
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if any(self.path.iterdir()):
                raise UsageError(f"{_FLAG} {name}: is not empty; name a new folder, so that no output is mixed up")
        except OSError as error:
            raise UsageError(f"{_FLAG} {name}: {error.strerror}; name a folder that can be made") from error

    def write(self, host: str, stream: Stream, data: bytes) -> None:
        """Write a file of one host, for its owner alone. Raises OSError; a file that is there already is an error."""
        name = f"{host.replace('/', '_')}.{stream}"
        created = os.open(self.path / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(created, "wb") as file:
            file.write(data)
