"""What `task push` brings to hosts, and where a file may go.

Rule 1: the file is one value (size, digest, mode) that was settled before anything connects; every host gets that one.
Rule 2: the place is a file's path, absolute or as seen from the login's home. A slash at its end means "into this
directory, under the local name"; whether a directory stands there is never guessed.
"""

from __future__ import annotations

import re

from vigo.core.errors import UsageError
from vigo.core.guard import Content, Placement
from vigo.core.placeholders import Template, literal, read_url
from vigo.core.values import dataclass

SIZE_BYTES_MAX = 256 * 1024 * 1024
"""A larger file is better fetched by the hosts: it would cross this machine's line once for each of them."""
PATH_BYTES_MAX = 4_095
NAME_BYTES_MAX = 255
_PERMISSIONS = 0o777
_MODE = re.compile(r"0?[0-7]{3}")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_NO_FILE_NAMES = frozenset({"", ".", ".."})


@dataclass(frozen=True, slots=True)
class Push:
    """A file on its way to hosts, as it stands on record."""

    local: str
    """The local file as it was given."""
    source: str
    """Its absolute path, for whoever pushes it again."""
    remote: str
    """Its place on the hosts as it was given, with the local name where that was left out."""
    mode: int
    """Permission bits."""
    size_bytes: int
    sha256: str
    """Hex digest of all bytes."""
    replaces: bool = True
    verifies: bool = False

    @property
    def shown(self) -> str:
        """What is done, in one line."""
        return self._line(self.remote)

    def template(self, *, expand: bool) -> Template:
        """Return the place as a text with placeholders; without `expand` it has none."""
        return read_url(self.remote) if expand else literal(self.remote)

    def to(self, path: str, content: Content | None) -> Placement:
        """Return the file on its way to one host. Raises UsageError for a path that cannot be a file's."""
        check_path(path)
        return Placement(
            self._line(path), path, self.mode, self.size_bytes, self.sha256, self.replaces, self.verifies, content
        )

    def _line(self, path: str) -> str:
        rules = ("" if self.replaces else ", new files only") + (", read back" if self.verifies else "")
        return f"push {self.local} -> {path} mode {self.mode:04o} sha256:{self.sha256} {self.size_bytes:,} bytes{rules}"


def read_remote(text: str, name: str) -> str:
    """Return the place that REMOTE means for a local file called `name`. Raises UsageError for what cannot be one.

    `~/` is the login's home, like a path that does not begin with a slash.
    """
    path = text
    if path.startswith("~"):
        home, slash, path = path.partition("/")
        if home != "~":
            raise UsageError(
                f"REMOTE {text!r}: only the login's own home can be left to the host; write the whole path"
            )
        if not slash:
            raise UsageError(f"REMOTE {text!r}: is a directory; write ~/ to put the file into it, or name the file")
        path = path.lstrip("/") or "./"
    if path.endswith("/"):
        path += name
    check_path(path)
    return path


def check_path(path: str) -> None:
    """Raise UsageError for a text that cannot be the path of a file on a host."""
    if not path:
        raise UsageError("REMOTE is empty; name the file's place on the hosts")
    control = _CONTROL.search(path)
    if control is not None:
        raise UsageError(
            f"REMOTE {path!r}: has a control character at offset {control.start()}; no file should be called so"
        )
    directory, name = split(path)
    if name in _NO_FILE_NAMES:
        raise UsageError(f"REMOTE {path!r}: is a directory; end it with / to put the file into it, or name the file")
    longest = max(len(part.encode()) for part in path.split("/"))
    if longest > NAME_BYTES_MAX or len(path.encode()) > PATH_BYTES_MAX:
        raise UsageError(
            f"REMOTE {directory[:40]!r}…: is too long; a name has at most {NAME_BYTES_MAX} bytes, a path {PATH_BYTES_MAX:,}"
        )


def split(path: str) -> tuple[str, str]:
    """Return a path's directory (`.` for the login's home) and the file's name in it."""
    directory, slash, name = path.rpartition("/")
    return (directory or "/") if slash else ".", name


def join(directory: str, name: str) -> str:
    """Return the path of a name in a directory."""
    return f"{directory.rstrip('/')}/{name}"


def parse_mode(text: str) -> int:
    """Read `--mode`: permission bits in octal, `644` or `0644`. Raises UsageError."""
    if _MODE.fullmatch(text):
        return int(text, 8)
    if re.fullmatch(r"[0-7]{4}", text):
        raise UsageError(
            f"--mode: {text!r} sets more than permissions; set setuid, setgid or sticky by a command afterwards"
        )
    raise UsageError(f"--mode: {text!r} is no mode; write permissions in octal: 0644")


def permissions(mode: int) -> int:
    """Return the permission bits of a local file's mode: setuid and its like do not travel by themselves."""
    return mode & _PERMISSIONS


def check_size(size_bytes: int, name: str) -> None:
    """Raise UsageError for a file that is larger than vigo pushes."""
    if size_bytes > SIZE_BYTES_MAX:
        raise UsageError(
            f"{name}: has {size_bytes:,} bytes, and at most {SIZE_BYTES_MAX:,} are pushed; have the hosts fetch it instead"
        )
