"""Reads what `vagrant ssh-config` printed, from a file or from standard input."""

from __future__ import annotations

from pathlib import Path

from vigo.adapters.import_files import STDIN, STDIN_NAME, read_stdin, read_text
from vigo.core.imports.document import Imported
from vigo.core.imports.ssh_lines import read_vagrant


def import_vagrant(path: str) -> Imported:
    """Return the machines that Vagrant told of. Raises ConfigError."""
    return read_vagrant(read_stdin(), STDIN_NAME) if path == STDIN else read_vagrant(read_text(Path(path)), path)
