"""Commands that read one of their words, their input or a file as code, and where that code stands."""

from __future__ import annotations

import re

from vigo.core.given import SHELLS
from vigo.core.guard.call import Call
from vigo.core.guard.options import Arity, split
from vigo.core.guard.words import HOLE, Word
from vigo.core.values import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """A text to be read as code, and the shell it runs in."""

    text: str
    span: tuple[int, int]
    args: tuple[str, ...] | None = None
    """Positional parameters, when the command gives them."""
    own: bool = True
    """A shell of its own: what it sets is forgotten."""
    zero: str | None = None
    """What `$0` is in it."""
    remote: bool = False
    """It starts from a fresh login, not from this shell's state."""


@dataclass(frozen=True, slots=True)
class FromInput:
    """The standard input is the code."""

    args: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class FromFile:
    """A file is the code."""

    path: Word
    args: tuple[str, ...]
    own: bool = True


Carried = Code | FromInput | FromFile

_SHELL_ARITY = Arity("oO", frozenset({"rcfile", "init-file", "init-command"}), permutes=False)


def shell(call: Call) -> Carried | None:
    """Read a shell's command line."""
    args = tuple(word for word in call.args if not re.fullmatch(r"\+[a-zA-Z]+", word.text))
    options = split(args, _SHELL_ARITY)
    operands = options.operands
    texts = tuple(word.text for word in operands)
    if options.has("c", "command"):
        given = options.value("command")
        if given:
            return Code(given.text, given.span)
        return (
            Code(operands[0].text, operands[0].span, texts[2:], zero=texts[1] if len(texts) > 1 else None)
            if operands
            else None
        )
    if options.has("version", "help", "n"):
        return None
    if options.has("s") or not operands or texts[0] in {"-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"}:
        return FromInput(texts if options.has("s") else ())
    return FromFile(operands[0], texts[1:])


def joined(words: tuple[Word, ...]) -> Word | None:
    """Join words as `eval` and `ssh` do."""
    if not words:
        return None
    return Word(" ".join(word.text for word in words), (words[0].span[0], words[-1].span[1]))


def evaluated(call: Call) -> Carried | None:
    """Read `eval`'s words."""
    word = joined(tuple(word for word in call.args if word.text != "--"))
    return Code(word.text, word.span, own=False) if word else None


def sourced(call: Call) -> Carried | None:
    """Read `. FILE`."""
    if not call.args:
        return None
    if call.args[0].text in {"/dev/stdin", "/dev/fd/0"}:
        return FromInput()
    return FromFile(call.args[0], tuple(word.text for word in call.args[1:]), own=False)


def trap(call: Call) -> Carried | None:
    """Read `trap CODE SIGNALS`."""
    words = [word for word in call.args if word.text != "--"]
    return Code(words[0].text, words[0].span) if len(words) > 1 and not words[0].text.startswith("-") else None


_SSH_ARITY = Arity("BbcDEeFIiJLlmOopQRSWwP", frozenset(), permutes=False)


def ssh(call: Call) -> Carried | None:
    """Read the command that `ssh` runs elsewhere, or its input when there is none."""
    options = split(call.args, _SSH_ARITY)
    if options.has("N", "V", "Q", "O") or not options.operands:
        return None
    rest = options.operands[1:]
    while rest and rest[0].text.startswith("-"):
        more = split(rest, _SSH_ARITY)
        if len(more.operands) >= len(rest):
            break
        rest = more.operands
    word = joined(rest)
    return Code(word.text, word.span, remote=True) if word else FromInput()


def scheduled(call: Call) -> Carried | None:
    """Read `at` and `batch`: a file or the input is the code."""
    options = call.options("fqtM")
    if options.has("l", "d", "r", "c", "V"):
        return None
    file = options.value("f")
    return FromFile(file, ()) if file else FromInput(())


def multiplexer(call: Call) -> Carried | None:
    """Read `tmux new-session CMD`, `screen -dm CMD`."""
    words = call.args
    if call.name == "tmux":
        verbs = {
            "new",
            "new-session",
            "neww",
            "new-window",
            "split-window",
            "run-shell",
            "run",
            "send-keys",
            "respawn-pane",
        }
        at = next((at for at, word in enumerate(words) if word.text in verbs), None)
        if at is None:
            return None
        operands = split(words[at + 1 :], Arity("cFnstxyetlp", permutes=False)).operands
        word = joined(tuple(word for word in operands if word.text not in {"Enter", "C-m"}))
    else:
        word = joined(split(words, Arity("SchpstTXeQ", permutes=False)).operands)
    return Code(word.text, word.span) if word else None


CARRIERS = {
    **dict.fromkeys(SHELLS, shell),
    "eval": evaluated,
    ".": sourced,
    "source": sourced,
    "trap": trap,
    "ssh": ssh,
    "slogin": ssh,
    "at": scheduled,
    "batch": scheduled,
    "tmux": multiplexer,
    "screen": multiplexer,
}

# -- commands made out of items ----------------------------------------------------------------------------------------

ITEMS_MAX = 64
_XARGS = Arity(
    "IiEeLlnPsda",
    frozenset({"replace", "max-args", "max-procs", "max-lines", "delimiter", "arg-file", "max-chars"}),
    permutes=False,
)
_PARALLEL = Arity(
    "IjNnLXSadC",
    frozenset(
        {"jobs", "max-args", "delimiter", "arg-file", "colsep", "sshlogin", "results", "timeout", "delay", "joblog"}
    ),
    permutes=False,
)


def items_of(stdin: str, delimiter: str | None, *, lines: bool) -> list[str]:
    """Split an input into items as `xargs` does."""
    if "\0" in stdin or delimiter == "\\0":
        parts = re.split("[\0\n]", stdin) if "\0" in stdin else stdin.split("\n")
    elif delimiter is not None:
        parts = stdin.rstrip("\n").split(delimiter.replace("\\n", "\n") or "\n")
    elif lines:
        parts = [line.strip() for line in stdin.split("\n")]
    else:
        parts = [part.strip("'\"") for part in stdin.split()]
    return [part for part in parts if part][:ITEMS_MAX]


def xargs(call: Call) -> list[tuple[Word, ...]]:
    """Build the commands that `xargs` runs."""
    args = tuple(Word("-I{}", word.span) if word.text in {"-i", "--replace"} else word for word in call.args)
    options = split(args, _XARGS)
    marker = options.value("I", "i", "replace")
    delimiter = options.value("d", "delimiter")
    words = options.operands or (Word("echo", call.head.span),)
    built: list[tuple[Word, ...]] = []
    for text in call.stdin or (HOLE,):
        items = items_of(
            text, delimiter.text if delimiter else "\\0" if options.has("0", "null") else None, lines=marker is not None
        )
        where = call.head.span
        if marker is None:
            built.append((*words, *(Word(item, where) for item in items)))
            continue
        built.extend(
            tuple(Word(word.text.replace(marker.text, item), word.span) for word in words) for item in items or [HOLE]
        )
    return built


def parallel(call: Call) -> list[Word]:
    """Build the command lines that GNU parallel gives to a shell."""
    options = split(call.args, _PARALLEL)
    words = list(options.operands)
    at = next((at for at, word in enumerate(words) if word.text.startswith(":::")), len(words))
    command, sources = words[:at], words[at + 1 :]
    items = [word.text for word in sources if not word.text.startswith(":::")] or [
        item for text in call.stdin or (HOLE,) for item in items_of(text, None, lines=True)
    ]
    line = joined(tuple(command))
    if line is None:
        return [Word(item, call.head.span) for item in items]
    if not re.search(r"\{[#%./]*\d*[./]*\}", line.text):
        line = Word(line.text + " {}", line.span)
    return [Word(re.sub(r"\{[#%./]*\d*[./]*\}", lambda _, i=item: i, line.text), line.span) for item in items or [HOLE]]  # type: ignore[misc]


def cron_lines(text: str, *, user: bool) -> list[str]:
    """Take the commands out of a crontab."""
    found = []
    fields = 6 if user else 5
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("#") or re.match(r"[A-Za-z_]+\s*=", stripped):
            continue
        parts = stripped.split(None, (fields - 4) if stripped.startswith("@") else fields)
        if len(parts) > fields - 4 and (stripped.startswith("@") or len(parts) == fields + 1):
            found.append(parts[-1])
    return found
