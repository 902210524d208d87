"""Rules about processes: which commands signal one, and how they name it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vigo.core.guard.call import Call
from vigo.core.guard.expressions import compiled
from vigo.core.guard.options import Options
from vigo.core.guard.protected import PROCESSES, PROGRAMS, aim, plain_name
from vigo.core.guard.session import Hit
from vigo.core.guard.words import HOLE, PID, Word, literal, shown

_PID_FILE = re.compile(r"(?:^|/)(vigo(?:srv|-envoy)?)(?:\.(?:service|socket))?\.(?:pid|lock)$")
_SIGNAL = re.compile(r"-(?:[0-9]+|(?:SIG)?[A-Z][A-Z0-9+-]+)")
_COMMAND_LINES = (*PROCESSES, *(f"{program} --config /etc/vigo/config" for program in PROGRAMS[:2]), "vigo-envoy run")
_DAEMONS = ("sshd", "NetworkManager")
_HANG_UP = frozenset({"-1", "-HUP", "-SIGHUP", "-s1", "-sHUP", "HUP", "SIGHUP", "--signal=HUP"})


def _daemon(call: Call, word: Word, text: str) -> Iterator[Hit]:
    """Judge that what lets the operator in is killed; a hang-up only makes it read its configuration."""
    if text in _DAEMONS and not any(other.text in _HANG_UP for other in call.args):
        yield Hit("network-stop", f"{call.name} {text}", (call.head, word))


def pid_file(path: str) -> str | None:
    """Tell whose process id a file holds by its name; None when it is nobody's we protect."""
    match = _PID_FILE.search(path)
    if match:
        return match.group(1)
    parts = path.split("/")
    return parts[-2] if path.endswith(".pid") and len(parts) > 1 and parts[-2] in PROCESSES else None


def _signal_zero(words: tuple[Word, ...]) -> bool:
    texts = [word.text for word in words]
    pairs = zip(texts, [*texts[1:], ""], strict=False)
    return any(
        text in {"-0", "--signal=0", "-s0", "-n0"} or (text in {"-s", "--signal", "-n"} and follow == "0")
        for text, follow in pairs
    )


def kill(call: Call) -> Iterator[Hit]:
    """Judge `kill`: process ids of ours, and every process at once."""
    words = list(call.args)
    if _signal_zero(call.args) or any(word.text in {"-l", "-L", "--list", "--table"} for word in words):
        return
    signalled = False
    while words and words[0].text.startswith("-") and not signalled:
        option = words.pop(0)
        if option.text in {"-s", "-n", "--signal"} and words:
            words.pop(0)
            signalled = True
        elif option.text == "--":
            break
        else:
            signalled = _SIGNAL.fullmatch(option.text) is not None or option.text.startswith(("--signal", "-s", "-n"))
            if option.text == "-1" and not words:
                return
    for word in words:
        if word.text in {"-1", "--1"}:
            yield Hit("signal-all", "kill -1", (call.head, word))
        found = re.search(f"{PID}([a-z-]+)", word.text)
        name = found.group(1) if found else word.text if word.text in PROCESSES else None
        if name:
            yield Hit("process-signal", f"kill {shown(PID + name)}", (call.head, word))


def chosen(expression: str, *, whole: bool, names: tuple[str, ...], fold: bool) -> str | None:
    """Return the first of some names that a regular expression chooses."""
    found = compiled(expression, fold=fold)
    if found is None:
        return next((name for name in names if name in expression), None)
    return next((name for name in names if (found.fullmatch(name) if whole else found.search(name))), None)


def pkill(call: Call) -> Iterator[Hit]:
    """Judge `pkill`, whose operand is an expression matched anywhere in a process's name."""
    args = tuple(word for word in call.args if not _SIGNAL.fullmatch(word.text))
    if _signal_zero(call.args):
        return
    options = Call(call.name, call.head, args, call.cwd).options(
        "gGPstuUFr", "pgroup group parent session terminal euid uid pidfile runstates ns nslist signal cgroup env older"
    )
    file = options.value("F", "pidfile")
    owner = pid_file(file.text) if file else None
    if owner and file:
        yield Hit("process-signal", f"pkill -F {shown(file.text)}", (call.head, file))
    user = options.value("u", "U", "euid", "uid")
    if not options.operands and user and user.text == "vigo":
        yield Hit("process-signal", f"pkill -u {user.text}", (call.head, user))
    if options.has("v", "inverse") and options.operands:
        yield Hit("signal-all", "pkill -v", (call.head, options.operands[0]))
    for word in options.operands[:1]:
        yield from _by_expression(call, word, options)


def _by_expression(call: Call, word: Word, options: Options) -> Iterator[Hit]:
    text = literal(word.text)
    if HOLE in text:
        found = plain_name(text.strip("^$"), PROCESSES)
        if found:
            yield Hit("process-signal", f"{call.name} {shown(text)}", (call.head, word), certain=False)
        return
    full = options.has("f", "full")
    names = (*PROCESSES, *_COMMAND_LINES) if full else PROCESSES
    yield from _daemon(call, word, text.strip("^$"))
    name = chosen(text, whole=options.has("x", "exact"), names=names, fold=options.has("i", "ignore-case"))
    if name:
        said = next((known for known in reversed(PROCESSES) if known in name), "vigo")
        said = next((known for known in PROCESSES if known == name), said)
        yield Hit("process-signal", f"{call.name} {said}", (call.head, word))


def killall(call: Call) -> Iterator[Hit]:
    """Judge `killall`, whose operands are whole names."""
    if _signal_zero(call.args) or any(word.text in {"-l", "--list"} for word in call.args):
        return
    args = tuple(word for word in call.args if not _SIGNAL.fullmatch(word.text))
    options = Call(call.name, call.head, args, call.cwd).options(
        "susyonZ", "user signal younger-than older-than ns context"
    )
    for word in options.operands:
        if options.has("r", "regexp"):
            yield from _by_expression(call, word, options)
            continue
        text = word.text.lower() if options.has("I", "ignore-case") else word.text
        yield from _daemon(call, word, text)
        found = plain_name(text.rsplit("/", 1)[-1], PROCESSES)
        if found:
            yield Hit("process-signal", f"{call.name} {shown(found[0])}", (call.head, word), certain=found[1])


def killall5(call: Call) -> Iterator[Hit]:
    """Judge `killall5`, which signals every process."""
    if not _signal_zero(call.args):
        yield Hit("signal-all", "killall5", (call.head,))


def start_stop_daemon(call: Call) -> Iterator[Hit]:
    """Judge `start-stop-daemon --stop`."""
    options = call.options(
        "xnpusarcgdNRPIkm",
        "exec name pidfile user signal startas retry chuid group chdir nicelevel procsched iosched umask pid ppid",
    )
    signal = options.value("s", "signal")
    if not options.has("K", "stop") or options.has("t", "test") or (signal and signal.text == "0"):
        return
    for option in ("n", "name", "x", "exec", "a", "startas", "p", "pidfile"):
        word = options.value(option)
        if word is None:
            continue
        base = word.text.rsplit("/", 1)[-1]
        name = pid_file(word.text) if option in {"p", "pidfile"} else (plain_name(base, PROCESSES) or ("", True))[0]
        if name:
            yield Hit(
                "process-signal", f"start-stop-daemon --stop {shown(name)}", (call.head, word), certain=HOLE not in name
            )


def killproc(call: Call) -> Iterator[Hit]:
    """Judge `killproc NAME`, and `fuser -k PATH`."""
    for word in call.options("pd").operands:
        found = plain_name(word.text.rsplit("/", 1)[-1], PROCESSES)
        if found:
            yield Hit("process-signal", f"{call.name} {shown(found[0])}", (call.head, word), certain=found[1])


def fuser(call: Call) -> Iterator[Hit]:
    """Judge `fuser -k PATH`, which kills whoever uses a path."""
    options = call.options("nN", "namespace")
    if not options.has("k", "kill") or _signal_zero(call.args):
        return
    for word in options.operands:
        for path in call.paths(word):
            found = aim(path)
            if found:
                yield Hit("process-signal", f"fuser -k {shown(path)}", (call.head, word), certain=found.certain)
