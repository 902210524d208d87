"""Runs one selection of tests after another, each in a folder and a process of its own that dies with what it imported.

The processes are forked from this one, which has imported the expensive things once. `python -m tests.mutants.run_all`
reads JSON from standard input, a list of `[folder, test file, part of a test's name]`, and writes a list of
`[exit code, output]`.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from typing import BinaryIO

import hypothesis  # noqa: F401 - imported here for all of the processes
import pytest

_SECONDS_MAX = 300
_UNUSED = ("cacheprovider", "doctest", "junitxml", "logging", "threadexception", "unraisableexception")
_OPTIONS = ("-x", "--assert=plain", *(f"-pno:{plugin}" for plugin in _UNUSED))


def main() -> None:
    """Do what stands above, two at a time."""
    gc.freeze()  # what is here now needs no looking at again
    jobs = [(Path(folder), tests, part) for folder, tests, part in json.load(sys.stdin)]
    results = []
    for first in range(0, len(jobs), 2):
        started = [start(*job) for job in jobs[first : first + 2]]
        results += [ended(pid, output) for pid, output in started]
    json.dump(results, sys.stdout)


def start(folder: Path, tests: str, part: str) -> tuple[int, BinaryIO]:
    """Begin one selection; return its process and where it writes."""
    output = tempfile.TemporaryFile()  # noqa: SIM115 - `ended` closes it
    pid = os.fork()
    if pid == 0:
        code = 70
        with contextlib.suppress(BaseException):
            code = run(folder, tests, part, output)
        os._exit(code)
    return pid, output


def ended(pid: int, output: BinaryIO) -> tuple[int, str]:
    """Wait for a selection; return its exit code and what it said."""
    _, status = os.waitpid(pid, 0)
    with output:
        output.seek(0)
        return os.waitstatus_to_exitcode(status), output.read().decode("utf-8", "replace")


def run(folder: Path, tests: str, part: str, output: BinaryIO) -> int:
    """Be the process of one selection."""
    os.dup2(output.fileno(), 1)
    os.dup2(output.fileno(), 2)
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True
    signal.alarm(_SECONDS_MAX)  # a mutant may run for ever
    try:
        return int(pytest.main([*_OPTIONS, "-k", part, tests]))
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


if __name__ == "__main__":
    main()
