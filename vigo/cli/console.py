"""The operator's end: three streams, each judged for its own terminal, and questions asked on it."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from vigo.core.values import dataclass
from vigo.render.sanitize import clean


@dataclass(frozen=True, slots=True)
class Console:
    """Where results go (`out`), where everything else goes (`err`), and where answers come from (`answers`)."""

    out: TextIO
    err: TextIO
    answers: TextIO

    @classmethod
    def of_process(cls) -> Console:
        """Use the process's own streams; what they cannot encode is shown as an escape instead of raising.

        One that was closed before the program began (`>&-`) swallows what is written to it, or is at its end.
        """
        for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
            if getattr(sys, name) is None:  # the lowest free descriptor is the closed one: no other file can get it
                setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - open to the end
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        return cls(sys.stdout, sys.stderr, sys.stdin)

    @property
    def can_ask(self) -> bool:
        """Whether there is a terminal to ask on and to answer from."""
        return self.answers.isatty() and self.err.isatty()

    @property
    def columns(self) -> int | None:
        """How wide the terminal is that results go to; None for everything else."""
        return _columns(self.out)

    @property
    def err_columns(self) -> int | None:
        """How wide the terminal is that everything else goes to; None for a pipe or a file."""
        return _columns(self.err)

    def show(self, text: str) -> None:
        """Write a result, as it is, to standard output."""
        self.out.write(text)

    def say(self, line: str) -> None:
        """Write one line for the operator to standard error; text from outside is cleaned here."""
        self.say_lines(line.replace("\n", " "))

    def say_lines(self, text: str) -> None:
        """Write several lines, each of them cleaned; a standard error that is gone stops nothing."""
        with suppress(OSError):
            self.err.write("".join(f"{clean(line)}\n" for line in text.split("\n")))
            self.err.flush()

    def ask(self, question: str) -> str:
        """Ask on the terminal and return the answer without its line end; empty at end of file."""
        self.err.write(question)
        self.err.flush()
        answer = self.answers.readline()
        if not answer.endswith("\n"):
            self.err.write("\n")
        return answer.strip()

    def ask_secret(self, question: str) -> str:
        """Ask without echo. Call only where `can_ask`."""
        import getpass

        return getpass.getpass(question, stream=self.err)


def _columns(stream: TextIO) -> int | None:
    with suppress(OSError, ValueError):
        return os.get_terminal_size(stream.fileno()).columns or None
    return None
