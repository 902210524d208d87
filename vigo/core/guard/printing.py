"""What decidable commands print: `echo`, `printf`, decoders, simple filters. Everything else prints a hole."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable

from vigo.core.guard import filters
from vigo.core.guard.ansi import unescape
from vigo.core.guard.call import Call, resolve
from vigo.core.guard.expressions import compiled
from vigo.core.guard.protected import PROCESSES, PROGRAMS, UNITS
from vigo.core.guard.words import HOLE, PID, Value, globbed, known, literal, matches, purify

LINES_MAX = 128


def printed(call: Call) -> str:
    """Return what a call prints, as far as it can be known."""
    printer = _PRINTERS.get(call.name)
    if printer is None:
        return HOLE
    return printer(call, call.stdin[0] if call.stdin else HOLE)


def _echo(call: Call, _: str) -> str:
    texts = [word.text for word in call.args]
    escapes, newline = False, "\n"
    while texts and re.fullmatch(r"-[neE]+", texts[0]):
        option = texts.pop(0)
        escapes = escapes or "e" in option
        newline = "" if "n" in option else newline
    line = " ".join(texts)
    return (unescape(line) if escapes else line) + newline


_FORMAT = re.compile(r"%(?:%|[-+ #0]*(\d*)(?:\.\d+)?([sbdiuxXocq]))")


def _printf(call: Call, _: str) -> str:
    texts = [word.text for word in call.args if word.text != "--"]
    if not texts:
        return ""
    form, values = unescape(literal(texts[0])), texts[1:]
    slots = [match for match in _FORMAT.finditer(form) if match.group(2)]
    out = []
    for _round in range(LINES_MAX):
        out.append(_FORMAT.sub(lambda match: _formatted(match, values), form))
        if not values or not slots:
            break
    return "".join(out)


def _formatted(match: re.Match[str], values: list[str]) -> str:
    kind = match.group(2)
    if not kind:
        return "%"
    value = values.pop(0) if values else ""
    if kind == "b":
        return unescape(value)
    if kind == "c":
        return value[:1]
    if kind in "xXo" and value.isdigit():
        return format(int(value[:9]), kind)
    return value


def _cat(call: Call, stdin: str) -> str:
    return stdin if all(word.text.startswith("-") for word in call.args) else HOLE


def _same(_: Call, stdin: str) -> str:
    return stdin


def _decode(data: bytes) -> str:
    return purify(data.decode("utf-8", "replace"))


def _base64(call: Call, stdin: str) -> str:
    flags = {word.text for word in call.args}
    decoding = bool(flags & {"-d", "-D", "--decode", "-di", "-id", "-d-", "-a"}) and (
        call.name != "openssl" or "-d" in flags
    )
    if not decoding or HOLE in stdin:
        return HOLE
    try:
        squeezed = "".join(stdin.split())
        decoder = base64.b32decode if "32" in call.name else base64.b64decode
        return _decode(decoder(squeezed + "=" * (-len(squeezed) % 4)))
    except (binascii.Error, ValueError):
        return HOLE


def _xxd(call: Call, stdin: str) -> str:
    letters = "".join(word.text.lstrip("-") for word in call.args if word.text.startswith("-"))
    digits = "".join(stdin.split()).replace("0x", "").replace("\\x", "")
    if "r" not in letters or "p" not in letters or not re.fullmatch(r"[0-9A-Fa-f]*", digits):
        return HOLE
    return _decode(bytes.fromhex(digits[: len(digits) & ~1]))


def _rev(_: Call, stdin: str) -> str:
    return "\n".join(line[::-1] for line in stdin.split("\n"))


def _tac(_: Call, stdin: str) -> str:
    return "\n".join(reversed(stdin.rstrip("\n").split("\n"))) + "\n"


def _basename(call: Call, _: str) -> str:
    words = [word.text for word in call.args if not word.text.startswith("-")]
    if not words:
        return HOLE
    name = words[0].rstrip("/").rsplit("/", 1)[-1]
    return (name.removesuffix(words[1]) if len(words) > 1 else name) + "\n"


def _dirname(call: Call, _: str) -> str:
    words = [word.text for word in call.args if not word.text.startswith("-")]
    if not words or (words[0].startswith(HOLE) and "/" not in words[0]):
        return HOLE
    head, slash, _tail = words[0].rstrip("/").rpartition("/")
    return (head or (slash or ".")) + "\n"


def _realpath(call: Call, _: str) -> str:
    words = [word.text for word in call.args if not word.text.startswith("-")]
    return "".join(resolve(word, call.cwd[0]) + "\n" for word in words) or HOLE


def _pwd(call: Call, _: str) -> str:
    return call.cwd[0] + "\n"


def _which(call: Call, _: str) -> str:
    names = [word.text for word in call.args if not word.text.startswith("-")]
    found = [next((p for p in PROGRAMS if p.rsplit("/", 1)[-1] == name), f"/usr/bin/{name}") for name in names]
    return "".join(f"{path}\n" for path in found)


def _seq(call: Call, _: str) -> str:
    numbers = [word.text for word in call.args]
    if not numbers or len(numbers) > 2 or not all(re.fullmatch(r"\d{1,4}", text) for text in numbers):  # noqa: PLR2004
        return HOLE
    first, last = (1, int(numbers[0])) if len(numbers) == 1 else (int(numbers[0]), int(numbers[1]))
    return "".join(f"{n}\n" for n in range(first, min(last, first + LINES_MAX - 1) + 1))


def _pgrep(call: Call, _: str) -> str:
    words = [word for word in call.options("gGPstuUFd").operands if not word.text.startswith("-")]
    for word in words:
        text = word.text.rsplit("/", 1)[-1]
        exact = call.name == "pidof" or any("x" in arg.text for arg in call.args if arg.text.startswith("-"))
        for name in PROCESSES:
            meant = matches(text, name) if exact else _chooses(literal(word.text), name)
            if meant:
                return f"{PID}{name}\n"
    return HOLE


def _chooses(expression: str, name: str) -> bool:
    found = compiled(expression)
    return (
        name in expression
        if found is None
        else found.search(name) is not None or name in expression.rsplit("/", 1)[-1].split()
    )


def _ps(call: Call, _: str) -> str:
    named = next((word.text for word in call.args if word.text in PROCESSES), None)
    if named and any(word.text in {"-C", "-o", "pid=", "-opid="} for word in call.args):
        return f"{PID}{named}\n"
    wide = any("u" in word.text or "f" in word.text for word in call.args)
    rows = [
        f"root {PID}{name} 0.0 /usr/local/sbin/{name}" if wide else f"{PID}{name} ? 00:00:00 {name}"
        for name in PROCESSES
    ]
    return "\n".join([*rows, HOLE, ""])


def _systemctl(call: Call, _: str) -> str:
    words = call.options("HMtps", "property type state").operands
    verb = words[0].text if words else "list-units"
    if verb in {"show", "status"}:
        unit = next((u for u in UNITS for word in words[1:] if word.text.removesuffix(".service") == u), None)
        return f"MainPID={PID}{unit}\n" if unit and not _valued(call) else f"{PID}{unit}\n" if unit else HOLE
    if not verb.startswith("list-unit") or any("failed" in word.text or "state" in word.text for word in call.args):
        return HOLE
    patterns = [globbed(word.text) for word in words[1:]]
    chosen = [unit for unit in UNITS if not patterns or any(matches(text, f"{unit}.service") for text in patterns)]
    rest = [] if patterns else [HOLE]
    return "\n".join([*(f"{unit}.service loaded active running {unit}" for unit in chosen), *rest, ""])


def _valued(call: Call) -> bool:
    return any(word.text == "--value" or re.fullmatch(r"-[a-zA-Z]*P.*", word.text) for word in call.args)


def _package_list(_: Call, __: str) -> str:
    return f"ii vigo 1.0\nii vigosrv 1.0\nii vigocli 1.0\n{HOLE}\n"


def _ls(call: Call, _: str) -> str:
    words = [word for word in call.args if not word.text.startswith("-")]
    long = any("l" in word.text for word in call.args if word.text.startswith("-"))
    places = [resolve(word.text, call.cwd[0]) for word in words] or [call.cwd[0]]
    if long or len(places) != 1:
        return HOLE
    place = places[0].rstrip("/")
    tracked = {
        "/srv": "vigo",
        "/etc": "vigo\nvigo-envoy",
        "/var/lib": "vigo",
        "/usr/local/sbin": "vigo\nvigosrv",
        "/usr/local/bin": "vigocli",
    }
    if place in tracked:
        return f"{tracked[place]}\n{HOLE}\n"
    return (
        f"{words[0].text}\n"
        if words and (not known(words[0].text) or "d" in "".join(w.text for w in call.args if w.text[0] == "-"))
        else HOLE
    )


_PRINTERS: dict[str, Callable[[Call, str], str]] = {
    "echo": _echo,
    "print": _echo,
    "printf": _printf,
    "cat": _cat,
    **dict.fromkeys(
        ("head", "tail", "sort", "uniq", "tee", "nl", "less", "more", "sponge", "pv", "fold", "column", "stdbuf"), _same
    ),
    **dict.fromkeys(("base64", "base32", "openssl", "basenc"), _base64),
    "xxd": _xxd,
    "rev": _rev,
    "tac": _tac,
    "tr": filters.tr,
    "sed": filters.sed,
    **dict.fromkeys(("grep", "egrep", "fgrep", "rg"), filters.grep),
    **dict.fromkeys(("awk", "gawk", "mawk"), filters.awk),
    "cut": filters.cut,
    "basename": _basename,
    "dirname": _dirname,
    **dict.fromkeys(("realpath", "readlink"), _realpath),
    "pwd": _pwd,
    **dict.fromkeys(("which", "whereis"), _which),
    "seq": _seq,
    **dict.fromkeys(("pgrep", "pidof"), _pgrep),
    "ps": _ps,
    "systemctl": _systemctl,
    **dict.fromkeys(("dpkg", "dpkg-query", "rpm", "apt-mark"), _package_list),
    "ls": _ls,
    **dict.fromkeys(
        ("true", "false", ":", "test", "[", "[[", "mkdir", "rm", "cp", "mv", "touch", "sleep"), lambda _c, _s: ""
    ),
    **dict.fromkeys(("whoami", "logname"), lambda _c, _s: "\ue005\n"),
}


def value(call: Call) -> Value:
    """Return what a call prints for each input it may have."""
    if call.stdin is None or len(call.stdin) == 1:
        return (printed(call),)
    results = [printed(Call(call.name, call.head, call.args, call.cwd, (text,), call.links)) for text in call.stdin[:8]]
    return tuple(dict.fromkeys(results))
