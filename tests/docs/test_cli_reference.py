from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import pytest

from docs.generate import MAN, PAGE, TABLE, commands, completion_table, man_page, options, reference
from tests.docs.pages import ROOT, markdown, read

KNOWN = commands()
EVERYWHERE = {"-h", "--help"}
SPAN = re.compile(r"(?<!`)`((?:\.venv/bin/)?vigo(?:cli)? [^`\n]+)`(?!`)")


def test_the_page_is_what_the_program_says() -> None:
    """The reference of commands and flags is made from the program and never falls behind it."""
    assert PAGE.read_text("utf-8") == reference(), "run `.venv/bin/python docs/generate.py` and look at the difference"


def test_the_manual_page_and_completion_know_the_same() -> None:
    """They are made from the program as well."""
    assert MAN.read_text("utf-8") == man_page(), "run `.venv/bin/python docs/generate.py`"
    assert TABLE.read_text("utf-8") == completion_table(), "run `.venv/bin/python docs/generate.py`"


def test_every_example_in_a_commands_help_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """It names a command, and its flags are the command's."""
    monkeypatch.setenv("VIGO_INVENTORY", "lab")
    examples = [epilog for command in KNOWN.values() if (epilog := command.epilog)]
    assert len(examples) > 10
    for text in examples:
        words = shlex.split(text.removeprefix("Example: "))
        path = max((known for known in KNOWN if words[: len(known.split())] == known.split()), key=len)
        flags = {name for option in options(KNOWN[path]) for name in option.opts}
        assert {word.partition("=")[0] for word in words if word.startswith("--")} <= flags | {"--"}, text


def test_every_command_and_every_flag_is_on_the_page() -> None:
    """Whatever made the page: each command has a section, and each of its flags a line there."""
    sections = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL))
    assert set(sections) == set(KNOWN)
    assert {"vigo", "vigo task run", "vigo task status", "vigo task list", "vigo audit verify"} <= set(sections)
    for path, command in KNOWN.items():
        for option in options(command):
            for name in option.opts:
                assert re.search(rf"^\| `(\S+, )?{name}[ `,]", sections[path], re.MULTILINE), f"{path} {name}"


def mentions() -> Iterator[tuple[str, str]]:
    """Yield every command line of vigo that the documentation has, in blocks (run or not) and in prose, with its place."""
    for path in [*markdown(), ROOT / "docs/demo.sh"]:
        if path == PAGE:
            continue  # its usage lines are synopses, and made from the program
        name = str(path.relative_to(ROOT))
        if path.suffix == ".md":
            for block in read(path).blocks:
                if block.is_shell:
                    text = "\n".join(block.lines).replace("\\\n", " ")
                    for line in re.findall(r"^(?:\$ )?(vigo(?:cli)? .*)$", text, re.MULTILINE):
                        yield block.place, line
            for line in SPAN.findall(re.sub(r"(?s)^```.*?^```$", "", path.read_text("utf-8"), flags=re.MULTILINE)):
                yield name, line
        else:
            text = path.read_text("utf-8").replace("\\\n", " ")
            for line in re.findall(r"^show (vigo .*)$", text, re.MULTILINE):
                yield name, line


def unknown(line: str) -> str:
    """Return what in a command line the program does not know; empty when it knows everything."""
    words = [word for word in shlex.split(line.replace("…", ""), comments=True) if word not in ("[", "]")]
    for at, word in enumerate(words):
        if word in ("|", ">", ">>", ";", "&&"):
            words = words[:at]
            break
    path = "vigo"
    rest = words[1:]
    while rest and f"{path} {rest[0]}" in KNOWN:
        path = f"{path} {rest.pop(0)}"
    if any(known.startswith(f"{path} ") for known in KNOWN) and rest and not rest[0].startswith("-"):
        return f"{path} has no command {rest[0]!r}"
    flags = {name for option in options(KNOWN[path]) for name in option.opts} | EVERYWHERE
    for word in rest:
        flag = word.strip("[]").partition("=")[0]
        if re.fullmatch(r"--?[a-z][a-z-]*", flag) and flag not in flags:
            return f"{path} has no flag {flag}"
    return ""


def test_every_command_that_is_mentioned_exists() -> None:
    """Also where a command is not run, in prose and in blocks for other machines, its words and flags are the program's."""
    found = list(mentions())
    assert len(found) >= 60
    wrong = [f"{place}: `{line}`: {reason}" for place, line in found if (reason := unknown(line))]
    assert not wrong, "\n".join(["", *wrong])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("vigo task run uptime --target all -i lab", ""),
        ("vigo task run 'a --b' --target all | cat --c", ""),
        ("vigo tasks run uptime", "vigo has no command 'tasks'"),
        ("vigo task status --limit 5", "vigo task status has no flag --limit"),
    ],
)
def test_a_mention_of_what_is_not_there_is_found(line: str, reason: str) -> None:
    """The test above can fail."""
    assert unknown(line) == reason
