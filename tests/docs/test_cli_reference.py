from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import pytest
import typer

from docs.generate import MAN, PAGE, TABLE, commands, completion_table, man_page, options, reference
from tests.docs.pages import ROOT, markdown, read
from vigo.adapters.inventory_yaml import load
from vigo.cli.examples import EXAMPLES
from vigo.core.guard.analysis import analyse
from vigo.core.imports.mapping import read_field, read_mapping
from vigo.core.target import parse
from vigo.core.tasks import read_task

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


FLEET = load(ROOT / "inventory")
LINES = [(path, line) for path, lines in EXAMPLES.items() for line in lines]


def test_every_help_ends_with_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    """One to three of them, whole lines on a narrow terminal too; groups only list their commands."""
    monkeypatch.setenv("COLUMNS", "60")
    leaves = {path for path in KNOWN if path == "vigo" or not any(other.startswith(f"{path} ") for other in KNOWN)}
    assert {f"vigo {path}".rstrip() for path in EXAMPLES} == leaves
    for path, lines in EXAMPLES.items():
        command = KNOWN[f"vigo {path}".rstrip()]
        shown = command.get_help(typer.Context(command, info_name=path)).rstrip().splitlines()
        assert 1 <= len(lines) <= 3
        assert shown[-len(lines) - 1 :] == ["  Examples:", *(f"    {line}" for line in lines)]


@pytest.mark.parametrize(("path", "line"), LINES, ids=[line for _, line in LINES])
def test_every_example_could_be_typed(path: str, line: str) -> None:
    """The program's own parser takes it, its targets and tasks are of the example fleet, and no guard stops its command."""
    words = next(part for part in line.split(" | ") if part.startswith("vigo "))
    typed = shlex.split(re.split(r" >>? ", words)[0])
    called = max((known for known in KNOWN if typed[: len(known.split())] == known.split()), key=len)
    assert called == f"vigo {path}" or (path == "" and called != "vigo")
    given = KNOWN[called].make_context(called, typed[len(called.split()) :]).params
    for target in [*(given.get("targets") or ()), *(given.get("excludes") or ())]:
        parse(target).select(FLEET)
    if called == "vigo task run":
        [word] = given["words"]
        task = FLEET.tasks.get(word)
        assert analyse(word).finding is None
        params = {param.name for param in read_task(word, task).params} if task else set()
        assert {param.partition("=")[0] for param in given["params"] or ()} == params
    if called.endswith("import command"):
        read_mapping(given["mapping"])
        read_field(given["items"], "--items")


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
