"""Commands that run another command: one table of how many words each takes for itself."""

from __future__ import annotations

import re

from vigo.core.guard.options import Arity, Options, split
from vigo.core.guard.words import Word
from vigo.core.values import dataclass

_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")


@dataclass(frozen=True, slots=True)
class Wrapper:
    """How a command takes its own words before the command it runs."""

    short: str = ""
    """Short options with a value."""
    long: str = ""
    """Long options with a value, blank-separated."""
    operands: int = 0
    """Own operands before the command."""
    assigns: bool = False
    """`NAME=value` words come before the command."""
    code: str = ""
    """Options (short letters) whose value is code for a shell."""
    joins: bool = False
    """The words are joined and read by a shell."""
    quiet: str = ""
    """With one of these flags (short letters) the command is only looked up."""


PLAIN = Wrapper()

WRAPPERS: dict[str, Wrapper] = {
    "sudo": Wrapper(
        "aCcDgGhpRrTtuU", "user group host prompt chdir chroot role type close-from other-user", assigns=True
    ),
    "doas": Wrapper("aCu"),
    "pkexec": Wrapper("", "user"),
    "gosu": Wrapper(operands=1),
    "su-exec": Wrapper(operands=1),
    "setuidgid": Wrapper(operands=1),
    "env": Wrapper("uCS", "unset chdir", assigns=True, code="S"),
    "nohup": PLAIN,
    "nice": Wrapper("n", "adjustment"),
    "ionice": Wrapper("cnpPu", "class classdata"),
    "chrt": Wrapper("TPD", "sched-runtime sched-period sched-deadline", operands=1),
    "taskset": Wrapper("", operands=1),
    "timeout": Wrapper("ks", "kill-after signal", operands=1),
    "setsid": PLAIN,
    "stdbuf": Wrapper("ioe", "input output error"),
    "unbuffer": PLAIN,
    "time": Wrapper("fo", "format output"),
    "exec": Wrapper("a"),
    "command": Wrapper(quiet="vV"),
    "builtin": PLAIN,
    "busybox": PLAIN,
    "toybox": PLAIN,
    "flock": Wrapper("wEc", "wait timeout conflict-exit-code", operands=1, code="c"),
    "chroot": Wrapper("", "userspec groups", operands=1),
    "nsenter": Wrapper("tSGW", "target setuid setgid"),
    "unshare": Wrapper("SGRw", "setuid setgid root wd map-user map-group"),
    "setpriv": Wrapper(
        "", "ruid euid reuid rgid egid regid groups inh-caps ambient-caps bounding-set securebits pdeathsig"
    ),
    "capsh": Wrapper(),
    "systemd-run": Wrapper(
        "HMpuE",
        "unit property description slice uid gid nice working-directory setenv on-active on-boot on-startup on-unit-active"
        " on-unit-inactive on-calendar timer-property path-property socket-property machine host background service-type",
    ),
    "systemd-inhibit": Wrapper("", "what who why mode"),
    "systemd-cat": Wrapper("tp", "identifier priority stderr-priority"),
    "chronic": PLAIN,
    "eatmydata": PLAIN,
    "fakeroot": PLAIN,
    "caffeinate": Wrapper("tw"),
    "setarch": Wrapper(operands=1),
    "linux32": PLAIN,
    "linux64": PLAIN,
    "numactl": Wrapper("NCmpP", "cpunodebind physcpubind membind preferred interleave"),
    "cgexec": Wrapper("g"),
    "prlimit": Wrapper("p"),
    "softlimit": Wrapper("acdfmnoprstl"),
    "cpulimit": Wrapper("lpe", "limit pid exe"),
    "strace": Wrapper("abeEIoOpPsSuUX", "output attach trace"),
    "ltrace": Wrapper("aeloFnpsuwx"),
    "script": Wrapper("cIOBTmoE", "command log-in log-out log-io log-timing", code="c"),
    "watch": Wrapper("nqs", "interval", joins=True),
    "daemonize": Wrapper("acelopu"),
    "daemon": Wrapper("nuFoEO", "name user pidfile output"),
    "rlwrap": PLAIN,
    "faketime": Wrapper("", operands=1),
    "torsocks": PLAIN,
    "proxychains": Wrapper("f"),
    "proxychains4": Wrapper("f"),
    "sshpass": Wrapper("fdpP"),
    "dbus-run-session": Wrapper("", "config-file dbus-daemon"),
    "noglob": PLAIN,
    "nocorrect": PLAIN,
    "coproc": PLAIN,
    "!": PLAIN,
    "retry": Wrapper("dt"),
    "sg": Wrapper("c", operands=1, code="c"),
    "runuser": Wrapper("cugGs", "command user group supp-group shell", code="c", operands=0),
    "su": Wrapper("cgGsw", "command group supp-group shell", code="c", operands=1),
}


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """What a wrapper runs."""

    words: tuple[Word, ...] = ()
    code: Word | None = None
    """A word that a shell reads."""
    assignments: tuple[Word, ...] = ()
    directory: Word | None = None
    """`env -C`, `sudo -D`: where the command runs."""


def unwrap(name: str, words: tuple[Word, ...]) -> Unwrapped | None:
    """Take a wrapper's own words off; None when it runs nothing."""
    wrapper = WRAPPERS[name]
    arity = Arity(
        wrapper.short,
        frozenset(wrapper.long.split()),
        permutes=name in {"su", "script"}
        or (name == "runuser" and not any(word.text in {"-u", "--user"} for word in words)),
    )
    options = split(words, arity)
    if wrapper.quiet and options.has(*wrapper.quiet):
        return None
    long_code = ("command",) if "command" in wrapper.long else ()
    code = (
        options.value(*wrapper.code, *long_code, *(("split-string",) if "S" in wrapper.code else ()))
        if wrapper.code
        else None
    )
    rest = list(options.operands)
    if name == "runuser" and not options.has("u", "user"):
        rest = rest[1:]
    assignments: list[Word] = []
    while wrapper.assigns and rest and _ASSIGNMENT.match(rest[0].text):
        assignments.append(rest.pop(0))
    rest = rest[wrapper.operands :]
    directory = _directory(name, options)
    if name == "flock" and code is None and len(rest) > 1 and rest[0].text in {"-c", "--command"}:
        code = rest[1]
    if code is not None and name == "env":
        span = code.span
        joined = " ".join([code.text, *(word.text for word in rest)])
        return Unwrapped((), Word(joined, span), tuple(assignments), directory)
    if code is not None:
        return Unwrapped((), code, tuple(assignments), directory)
    if wrapper.joins and rest:
        return Unwrapped((), _joined(rest), tuple(assignments), directory)
    return Unwrapped(tuple(rest), None, tuple(assignments), directory)


def _directory(name: str, options: Options) -> Word | None:
    if name == "systemd-run":
        for option, word in options.values:
            if option in {"p", "property"} and word.text.startswith("WorkingDirectory="):
                return Word(word.text.partition("=")[2], word.span)
        return options.value("working-directory")
    if name in {"env", "sudo"}:
        return options.value("C" if name == "env" else "D", "chdir")
    return None


def _joined(words: list[Word]) -> Word:
    return Word(" ".join(word.text for word in words), (words[0].span[0], words[-1].span[1]))
