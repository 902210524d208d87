"""What a command is given beside its text: variables, a shell, a script in its place, standard input.

Rule 1: a variable that decides which program a word means, or what a shell does before it reads its first word, is
refused: the guards judge commands by their names.
Rule 2: what stands here is on record. Contents are not: of a script and of an input there is the name, the size and the
digest, and whoever runs the task again has to have the same bytes again.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from enum import StrEnum

from vigo.core.errors import UsageError
from vigo.core.params import fault_of_text
from vigo.core.placeholders import fill_path, quote, read_url
from vigo.core.values import dataclass

SCRIPT_BYTES_MAX = 1024 * 1024
INPUT_BYTES_MAX = 16 * 1024 * 1024
NOT_ENV = (
    re.compile(r"PATH|IFS|ENV|BASH_ENV|SHELLOPTS|BASHOPTS|PS4|(?:LD|DYLD)_.*|PYTHON.*", re.DOTALL),
    "decides what the command's words mean, and the guards could not tell; set it inside the command",
)
RESERVED = (re.compile(r"VIGO_.*", re.DOTALL | re.IGNORECASE), "is vigo's own; choose another name")

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=-]+")
_SHEBANG = b"#!"
_PROGRAM = b"\x7fELF"
SHELLS = frozenset({
    "sh", "bash", "dash", "ash", "ksh", "ksh93", "mksh", "zsh", "rbash", "fish", "csh", "tcsh", "yash", "posh", "oksh",
    "lksh",
})  # fmt: skip
"""Programs that read a script as a shell does."""
_DIGEST_SHOWN = 12


class Shell(StrEnum):
    """A shell that a command can be run by in the place of `sh`."""

    SH = "sh"
    DASH = "dash"
    BASH = "bash"
    KSH = "ksh"


@dataclass(frozen=True, slots=True)
class Script:
    """A local script that is run on the hosts, as it stands on record."""

    local: str
    """The file as it was given."""
    source: str
    """Its absolute path, for whoever runs it again."""
    size_bytes: int
    sha256: str
    interpreter: tuple[str, ...] = ("/bin/sh",)
    """What its `#!` says: a path, and the rest of the line as one word; without one, `/bin/sh`."""
    args: tuple[str, ...] = ()

    @property
    def language(self) -> str:
        """The name of the program that reads it, for people and for the guards."""
        words = " ".join(self.interpreter).split()
        names = [word.removeprefix("-S").rsplit("/", 1)[-1] for word in words if "=" not in word]
        names = [name for name in names if name and not name.startswith("-") and name not in ("env", "busybox")]
        # A shell anywhere in the line is what reads the script, whatever starts it.
        return next((name for name in names if name in SHELLS), names[0] if names else words[0])

    @property
    def is_shell(self) -> bool:
        """Whether the guards can read it as what it is."""
        return self.language in SHELLS

    @property
    def shown(self) -> str:
        """What is run, in one line."""
        words = "".join(f" {word if _PLAIN.fullmatch(word) else quote(word)}" for word in self.args)
        return f"script {self.local} sha256:{self.sha256}{words}{'' if self.is_shell else f' # {self.remark}'}"

    @property
    def remark(self) -> str:
        """What the guards did not do; empty for a shell's script."""
        return "" if self.is_shell else f"not analysed ({self.language})"


@dataclass(frozen=True, slots=True)
class Input:
    """A command's standard input, the same for all hosts, as it stands on record."""

    local: str
    """The file as it was given; `-` is vigo's own standard input, which nobody can read again."""
    source: str
    """Its absolute path; empty for `-`."""
    size_bytes: int
    sha256: str

    @property
    def shown(self) -> str:
        """What the command reads, in one line."""
        return f"{self.local} sha256:{self.sha256} {self.size_bytes:,} bytes"


@dataclass(frozen=True, slots=True)
class Given:
    """Everything that a command is given beside its text; nothing by default."""

    env: tuple[tuple[str, str], ...] = ()
    """Name and value, as they were given: where placeholders are filled in they still stand in the values."""
    shell: Shell | None = None
    script: Script | None = None
    """With one there is no command."""
    stdin: Input | None = None
    has_terminal: bool = False
    """Whether it runs in a terminal, which merges both streams."""

    @property
    def beside(self) -> Given:
        """What a health check or a rollback of the same task is given."""
        return replace(self, script=None, stdin=None, has_terminal=False)

    @property
    def fillable(self) -> tuple[str, ...]:
        """The texts in which placeholders can stand."""
        return (*(value for _, value in self.env), *(self.script.args if self.script else ()))


def parse_env(texts: Iterable[str], *, flag: str = "--env") -> tuple[tuple[str, str], ...]:
    """Read every `NAME=VALUE`; the value may hold further `=`. Raises UsageError."""
    given: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"{flag} {text[:40]!r}: has no `=`; write {flag} NAME=VALUE")
        check_env(name, value, flag=flag)
        if name in given:
            raise UsageError(f"{flag} {name}: given twice; give it once")
        given[name] = value
    return tuple(given.items())


def check_env(name: str, value: str, *, flag: str = "--env") -> None:
    """Raise UsageError for a name that cannot be, or must not be, a command's variable, and for a value that none can have."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"{flag} {name[:40]!r}: is no variable's name; write letters, digits and _, no digit first")
    for names, reason in (NOT_ENV, RESERVED):
        if names.fullmatch(name):
            raise UsageError(f"{flag} {name}: {reason}")
    fault = fault_of_text(value)
    if fault is not None:
        raise UsageError(f"{flag} {name}: {fault}; leave it out")


def parse_shell(text: str) -> Shell:
    """Read `--shell`. Raises UsageError."""
    if text not in tuple(Shell):
        raise UsageError(f"--shell: {text[:40]!r} is not known here; write {', '.join(Shell)}")
    return Shell(text)


def read_interpreter(name: str, data: bytes) -> tuple[str, ...]:
    """Return what a script is run by, as a kernel reads its first line. Raises UsageError for what is no script."""
    if data.startswith(_PROGRAM):
        raise UsageError(f"{name}: is a program and no script; bring it to the hosts with: vigo task push")
    if not data.startswith(_SHEBANG):
        return ("/bin/sh",)
    line = data[len(_SHEBANG) :].split(b"\n", 1)[0]
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"{name}: its first line is not UTF-8 text; correct the #! line") from error
    if "\r" in text or "\0" in text:
        raise UsageError(
            f"{name}: its first line ends as on Windows, and no host would find that; convert it (dos2unix)"
        )
    path, *rest = text.strip(" \t").split(None, 1) or [""]
    if not path.startswith("/"):
        raise UsageError(f"{name}: its #! line has no absolute path; write one such as #!/bin/sh")
    return (path, *(word.rstrip() for word in rest))


def changed(what: str, then: str, now: str) -> str:
    """Say that a file is not the one of the record."""
    return f"{what} (sha256 {now[:_DIGEST_SHOWN]}…, then {then[:_DIGEST_SHOWN]}…)"


def check_slots(given: Given, whence: str, known: Collection[str], secret: Collection[str]) -> None:
    """Refuse a placeholder in variables and arguments that nothing fills in, or that is secret: they are on record.

    `known` are the names that have values beside those of each host. Raises UsageError with `whence` in front.
    """
    for text in given.fillable:
        for slot in read_url(text).slots:
            if slot.name in secret:
                raise UsageError(
                    f"{whence}: {{{{ {slot.name} }}}} is secret, and a variable's value is on record; write it into"
                    " the command"
                )
            if slot.name not in known and not slot.is_per_host:
                raise UsageError(
                    f"{whence}: {{{{ {slot.name} }}}} has no value; write host, address or trait.PATH, or a param of the task"
                )


def filled(given: Given, values: Mapping[str, str]) -> Given:
    """Return the same with the values in the places of the placeholders."""

    def fill(text: str) -> str:
        return fill_path(read_url(text), values)

    script = given.script and replace(given.script, args=tuple(map(fill, given.script.args)))
    return replace(given, env=tuple((name, fill(value)) for name, value in given.env), script=script)
