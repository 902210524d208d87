"""Filters whose output can be worked out: `tr`, `sed`, `grep`, `awk`, `cut`, in their simple forms."""

from __future__ import annotations

import re

from vigo.core.guard.ansi import unescape
from vigo.core.guard.call import Call
from vigo.core.guard.expressions import cheap, compiled
from vigo.core.guard.words import HOLE, PID, literal


def _args(call: Call) -> list[str]:
    return [literal(word.text) if not word.text.startswith("-") else word.text for word in call.args]


def _set(text: str) -> str:
    for name, members in (("[:upper:]", "A-Z"), ("[:lower:]", "a-z"), ("[:digit:]", "0-9"), ("[:space:]", " \t\n")):
        text = text.replace(name, members)
    text = unescape(text)
    return re.sub(r"(.)-(.)", lambda m: "".join(map(chr, range(ord(m[1]), min(ord(m[2]), ord(m[1]) + 255) + 1))), text)


def tr(call: Call, stdin: str) -> str:
    """Work out what `tr` prints."""
    args = _args(call)
    options = "".join(text[1:] for text in args if text.startswith("-"))
    sets = [_set(text) for text in args if not text.startswith("-")]
    if stdin == HOLE or not sets:
        return HOLE
    if "c" in options or "C" in options:
        return "".join(char for char in stdin if char in sets[0]) if "d" in options else stdin
    if "d" in options:
        return "".join(char for char in stdin if char not in sets[0])
    if len(sets) < len(("from", "to")) or not sets[1]:
        return stdin
    to = sets[1].ljust(len(sets[0]), sets[1][-1])
    return stdin.translate(str.maketrans(sets[0], to[: len(sets[0])]))


_SUBSTITUTE = re.compile(
    r"s(?P<d>[^\w\s])(?P<old>(?:(?!(?P=d)).)*)(?P=d)(?P<new>(?:(?!(?P=d)).)*)(?P=d)(?P<flags>[gIpe0-9]*)", re.DOTALL
)


def sed(call: Call, stdin: str) -> str:
    """Work out what `sed` prints."""
    scripts = [text for text in _args(call) if not text.startswith("-")]
    out = stdin
    for script in scripts[:4]:
        for part in script.split(";"):
            match = _SUBSTITUTE.fullmatch(part.strip())
            if not match:
                return out if re.fullmatch(r"[0-9,$]*[pdq]?", part.strip()) else HOLE
            expression = compiled(match["old"], basic=True)
            if expression is None or not cheap(expression, out):
                return HOLE
            new = re.sub(r"\\(\d)", r"\\g<\1>", match["new"].replace("&", "\\g<0>"))
            try:
                out = expression.sub(new, out, count=0 if "g" in match["flags"] else 1)
            except (re.error, IndexError):
                return HOLE
    return out


def grep(call: Call, stdin: str) -> str:
    """Work out what `grep` prints."""
    options = call.options("emABCf", "regexp max-count")
    word = options.value("e", "regexp") or (options.operands[0] if options.operands else None)
    if word is None or len(options.operands) > 1 or options.has("c", "q", "count", "quiet"):
        return HOLE
    text = literal(word.text)
    plain = options.has("F") or HOLE in text or call.name == "fgrep"
    extended = options.has("E", "P") or call.name in {"egrep", "rg"}
    expression = compiled(re.escape(text) if plain else text, basic=not (plain or extended), fold=options.has("i"))
    if expression is None or not cheap(expression, stdin):
        return stdin
    if options.has("o"):
        return "\n".join(
            match.group() for line in stdin.split("\n") for match in expression.finditer(line) if match.group()
        )
    kept = [
        line
        for line in stdin.split("\n")
        if bool(expression.search(line.replace(PID, ""))) != options.has("v") or line == HOLE
    ]
    return "\n".join(kept)


def awk(call: Call, stdin: str) -> str:
    """Work out what `awk` prints."""
    operands = call.options("Fvf").operands
    script = literal(operands[0].text).strip() if operands else ""
    begin = re.fullmatch(r"BEGIN\s*\{\s*print\s+\"([^\"]*)\"\s*;?\s*\}", script)
    if begin:
        return unescape(begin.group(1)) + "\n"
    match = re.fullmatch(r"(?:/([^/]*)/)?\s*\{\s*print\s+\$(\d+|NF)\s*;?\s*\}", script)
    if not match or len(operands) > 1:
        return HOLE
    separator = call.options("Fvf").value("F")
    out = []
    for line in stdin.split("\n"):
        if match.group(1) and HOLE not in line and match.group(1) not in line:
            continue
        fields = line.split(separator.text) if separator and len(separator.text) == 1 else line.split()
        at = match.group(2)
        number = len(fields) if at == "NF" else int(at[:4])
        out.append(line if number == 0 or line == HOLE else fields[number - 1] if 0 < number <= len(fields) else "")
    return "\n".join(out)


def cut(call: Call, stdin: str) -> str:
    """Work out what `cut` prints."""
    options = call.options("dfcb", "delimiter fields characters")
    separator, chosen = options.value("d", "delimiter"), options.value("f", "fields")
    chars = options.value("c", "b", "characters")
    if chars and re.fullmatch(r"\d{1,4}-(\d{0,4})", chars.text):
        first, _, last = chars.text.partition("-")
        return "\n".join(
            line if line == HOLE else line[int(first) - 1 : int(last) if last else None] for line in stdin.split("\n")
        )
    if not chosen or not re.fullmatch(r"\d{1,4}-?", chosen.text):
        return HOLE
    at, by = int(chosen.text.rstrip("-")), separator.text if separator else "\t"
    out = []
    for line in stdin.split("\n"):
        fields = line.split(by) if by else [line]
        picked = fields[at - 1 :] if chosen.text.endswith("-") else fields[at - 1 : at]
        out.append(line if len(fields) == 1 else by.join(picked))
    return "\n".join(out)
