"""What can be wrong from the operator's point of view, and the exit code for each.

A host that fails is a value (`HostResult`), never an exception. The tree:

    VigoError
    ├── UsageError          2  flags, targets, quantities, param values
    ├── NoMatchError        4  no host matched; unknown host or task id
    ├── ConfigError         5  configuration, inventory or task file
    ├── RefusedError        6  the dispatch guard refused, or a confirmation was needed and none came
    ├── JournalError        7  the journal could not be written or read
    └── TamperedError       8  the journal was changed behind vigo's back

Each message names the thing, the reason and the way out, in that order.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of the program. A host's own exit code is data and never becomes one of these."""

    OK = 0
    HOSTS_FAILED = 1
    USAGE = 2
    STOPPED = 3
    NO_MATCH = 4
    CONFIG = 5
    REFUSED = 6
    JOURNAL = 7
    TAMPERED = 8
    INTERRUPTED = 130
    TERMINATED = 143


class VigoError(Exception):
    """Something the operator can act on. `str(error)` is the whole message, without an "error:" prefix."""

    exit_code: Exit = Exit.HOSTS_FAILED


class UsageError(VigoError):
    """A flag, a target expression, a quantity or a param value that cannot be used."""

    exit_code = Exit.USAGE


class NoMatchError(VigoError):
    """A target that names no host, or a task id that is not in the journal."""

    exit_code = Exit.NO_MATCH


class ConfigError(VigoError):
    """An inventory, task or configuration file that cannot be used as it is."""

    exit_code = Exit.CONFIG


class RefusedError(VigoError):
    """The dispatch guard said no, or a confirmation was needed and there was nobody to ask."""

    exit_code = Exit.REFUSED


class JournalError(VigoError):
    """The journal could not be written or read; nothing new may start."""

    exit_code = Exit.JOURNAL


class TamperedError(VigoError):
    """The journal does not agree with itself or with its anchor."""

    exit_code = Exit.TAMPERED
