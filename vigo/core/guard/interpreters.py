"""One-liners of other languages: which literal in them names something protected, and what the code would do to it."""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Iterator

from vigo.core.guard.ansi import unescape
from vigo.core.guard.call import Call
from vigo.core.guard.paths import overwrites, removals
from vigo.core.guard.session import Hit
from vigo.core.guard.words import Word, literal

CODE_OPTIONS: dict[str, tuple[str, ...]] = {
    "python": ("-c",),
    "perl": ("-e", "-E", "-ne", "-pe", "-le", "-we", "-nle", "-0ne"),
    "ruby": ("-e", "-ne", "-pe"),
    "node": ("-e", "-p", "--eval", "--print", "-pe"),
    "nodejs": ("-e", "-p", "--eval"),
    "php": ("-r",),
    "lua": ("-e",),
    "deno": ("eval",),
    "tclsh": (),
    "Rscript": ("-e",),
    "awk": ("",),
    "gawk": ("",),
    "mawk": ("",),
}
_INTERPRETER = re.compile(r"(python|perl|ruby|node|nodejs|php|lua|deno|tclsh|Rscript|[gm]?awk)[0-9.]*")
_STRING = re.compile(
    r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"|q[qwx]?\s*([{(\[/|!])(.*?)[})\]/|!]|`([^`]*)`", re.DOTALL
)
_REMOVES = re.compile(
    r"rmtree|unlink|\bremove|rmdir|removedirs|rm_r|rm_f|\brm\b|rmSync|File\.delete|\.delete\b|\brename|\bmove\b|\.mv\b|remove_tree|replace\(|DeleteFile|rimraf"
)
_WRITES = re.compile(
    r"open\s*\([^)]*['\"][rb]*[wx]|['\"]\s*,\s*['\"]?[rb]*w|truncate|write_text|write_bytes|writeFile|file_put_contents|File\.write|copyfile|copy\b|['\"]\s*[>]|['\"]>|print\s*>|FileUtils\.cp|symlink"
)
_RECURSIVE = re.compile(r"rmtree|rm_r|recursive|remove_tree|rename|move|rimraf|\.mv\b")
_ACCESS = re.compile(r"chmod|chown|lchown")
_RUNS = re.compile(
    r"system|popen|subprocess|\bexec|spawn|qx|`|shell_exec|passthru|child_process|check_call|check_output|\bgetline\b|Popen|Open3|\|\s*\"|run\(|os\.exec"
)
_KILLS = re.compile(r"\bkill")
CODE_MAX = 8_192
STRINGS_MAX = 64


def language(name: str) -> str | None:
    """Name the interpreter behind a command's name."""
    match = _INTERPRETER.fullmatch(name)
    return match.group(1) if match else None


def one_liners(call: Call) -> list[Word]:
    """Return the code that stands in an interpreter's words or comes by its input."""
    name = language(call.name)
    options = CODE_OPTIONS.get(name or "", ())
    found: list[Word] = []
    for word, follow in zip(call.args, call.args[1:], strict=False):
        if (
            word.text in options
            or (name in {"perl", "ruby"} and re.fullmatch(r"-[a-zA-Z0-9]*e", word.text))
            or (name == "python" and re.fullmatch(r"-[A-Za-z]*c", word.text))
        ):
            found.append(follow)
    if "" in options and call.args:
        found.extend(word for word in call.args if "{" in word.text)
    operands = [word for word in call.args if not word.text.startswith("-") or word.text == "-"]
    if not found and call.stdin and (not operands or operands[0].text == "-"):
        found.extend(Word(text, call.head.span) for text in call.stdin)
    return found


_ENCODED = re.compile(r"[A-Za-z0-9+/=\s]{8,}")


def _decoded(text: str) -> list[str]:
    """Decode a literal that a program may decode: base64, hexadecimal."""
    squeezed = "".join(text.split())
    found: list[bytes] = []
    if re.fullmatch(r"(?:[0-9A-Fa-f]{2}){4,}", squeezed):
        found.append(bytes.fromhex(squeezed))
    elif _ENCODED.fullmatch(text) and len(squeezed) % 4 == 0:
        with contextlib.suppress(ValueError):
            found.append(base64.b64decode(squeezed, validate=True))
    return [decoded for decoded in (data.decode("utf-8", "replace") for data in found) if decoded.isprintable()]


def _program(code: str) -> str:
    """Return a program with its string literals blanked: what it does, without what it says."""
    return _STRING.sub(lambda match: "`" if match.group()[0] in "`q" else '""', code)


def strings(code: str) -> list[str]:
    """Return a program's string literals, those of a list joined by `+` or `.` as one."""
    found = []
    for match in list(_STRING.finditer(code[:CODE_MAX]))[:STRINGS_MAX]:
        text = next(
            group for group in (match.group(1), match.group(2), match.group(4), match.group(5), "") if group is not None
        )
        found.append(unescape(text))
        found.extend(_decoded(text))
        if "[::-1]" in code or "reverse" in code:
            found.append(text[::-1])
    return found


def judge_code(call: Call, code: Word) -> Iterator[Hit]:
    """Judge what a program does with the paths it names."""
    text = literal(code.text)[:CODE_MAX]
    named = strings(text)
    program = _program(text)
    removes, writes, access = _REMOVES.search(program), _WRITES.search(text), _ACCESS.search(program)
    if not (removes or writes or access):
        return
    recursive = removes is not None and _RECURSIVE.search(program) is not None
    for name in [*named, "".join(named)] if "+" in text or "." in text else named:
        word = Word(name, code.span)
        if removes:
            yield from removals(call, word, recursive=recursive)
        if writes:
            yield from overwrites(call, word, says=call.name, empties=True)
        if access:
            for hit in removals(call, word, recursive=False):
                if hit.rule == "path-remove":
                    yield Hit("path-access", hit.says, hit.words, certain=hit.certain)


def commands(code: Word) -> list[Word]:
    """Return the texts that a program gives to a shell, or builds a command of."""
    text = literal(code.text)[:CODE_MAX]
    if not _RUNS.search(_program(text)):
        return []
    named = strings(text)
    lists = [strings(match.group(1)) for match in re.finditer(r"[\[(]([^\[\]()]*)[\])]", text)]
    lines = [
        *named,
        *(" ".join(words) for words in lists if len(words) > 1),
        *(("".join(named), " ".join(named)) if len(named) > 1 else ()),
    ]
    return [Word(line, code.span) for line in dict.fromkeys(lines) if line.strip()]


def kills(code: Word) -> bool:
    """Tell whether a program sends signals."""
    return _KILLS.search(code.text) is not None
