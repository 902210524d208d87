"""What must hold for any text at all: an answer, the same each time, within bounds that are counts."""

from __future__ import annotations

import json
import random
import resource
from pathlib import Path

import pytest

from vigo.core.guard import Layer, explain
from vigo.core.guard.prescan import CHARS_MAX

CASES = [json.loads(line) for line in (Path(__file__).parent / "cases.jsonl").read_text(encoding="utf-8").splitlines()]
TOKENS = [
    "|",
    "||",
    "&&",
    ";",
    "\n",
    "(",
    ")",
    "{",
    "}",
    "$(",
    "`",
    '"',
    "'",
    "\\",
    "$x",
    "${x:-",
    "<<E",
    "E\n",
    "<<<",
    ">",
    ">>",
    "<(",
    "*",
    "?",
    "[",
    "]",
    "!",
    "if",
    "then",
    "fi",
    "for",
    "in",
    "do",
    "done",
    "while",
    "case",
    "esac",
    ";;",
    "f()",
    "vigo",
    "rm",
    "-rf",
    "/srv/",
    "systemctl",
    "stop",
    "eval",
    "sh",
    "-c",
    "xargs",
    "find",
    "-exec",
    "{}",
    "\\;",
    "echo",
    "$((",
    "))",
    "[[",
    "]]",
    "a=(",
    "a+=",
    "~",
    "{a,b}",
    "{1..9}",
    "@(",
    "é",
    "\x00",
    "\ue000",
    "�",
    "kill",
    "sed",
    "s/a/b/",
    "awk",
    "{print$1}",
    "grep",
    "-e",
    "base64",
    "-d",
    "printf",
    "%s",
    "tr",
    "cut",
    "-f1",
    "read",
    "set",
    "--",
    "cd",
    "..",
    "alias",
    "python3",
    '"os.system(1)"',
    "'unlink'",
    "${x%%*a*}",
    "${x//a/b}",
    "${!x}",
    "${x[@]}",
    "$@",
    "#",
]


def _random_text(chance: random.Random) -> str:
    kind = chance.random()
    if kind < 0.6:
        return chance.choice(["", " "]).join(chance.choice(TOKENS) for _ in range(chance.randint(1, 25)))
    text = list(chance.choice(CASES)["cmd"])
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(text) + 1)
        text[at : at + chance.randint(0, 3)] = chance.choice(["", chr(chance.randrange(256)), chance.choice(TOKENS)])
    return "".join(text)


def _fuzz(count: int, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(count):
        text = _random_text(chance)
        judgement = explain(text)
        if judgement.finding is not None:
            start, end = judgement.finding.span
            assert 0 <= start <= end <= len(text), text


def test_any_text_gets_an_answer() -> None:
    """Random texts in the shell's own vocabulary, and broken commands, are judged without an exception."""
    _fuzz(2_000, seed=20260101)


@pytest.mark.faults
@pytest.mark.timeout(1800)
def test_a_hundred_thousand_texts_get_an_answer_within_memory() -> None:
    """10^5 texts raise nothing, and the process grows by at most 50 MB."""
    _fuzz(1_000, seed=1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _fuzz(100_000, seed=2)
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"grown by {grown_mb:.1f} MB")
    assert grown_mb <= 50


HUGE = {
    "brackets": "(" * 1_000_000,
    "bars": "|" * CHARS_MAX,
    "quotes": '"$(' * 20_000,
    "arithmetic": "$((" * 20_000,
    "blocks": "if a; then " * 120 + "b; " + "fi; " * 120,
    "loops": "while a; do " * 120 + "b; " + "done; " * 120,
    "wrappers": "sudo " * 4_000 + "true",
    "evals": "eval " * 2_000 + "true",
    "short evals": "eval " * 30 + "true",
    "subshells": "( " * 40 + "ls" + " )" * 40,
    "here-documents": "".join(f"cat <<A{at};" for at in range(3_000)),
    "doubled brackets": "$((a) " * 20,
    "words": "a " * 5_000,
    "commands": "a;" * 3_000,
    "chain": "a>b&&" * 400 + "a",
    "substitutions": "$(a) " * 2_100,
    "doubled": "x=aaaaaaaa;" + "x=$x$x;" * 600 + "$(f)" * 2_100,
}


@pytest.mark.parametrize("name", HUGE)
def test_what_is_too_much_to_read_is_refused_unread(name: str) -> None:
    """Depth, length and work are bounded by counts; beyond them the dispatch guard refuses, the hard one if it matters."""
    judgement = explain(HUGE[name])
    assert judgement.finding is not None
    assert judgement.finding.rule == "cannot-analyse"
    assert judgement.finding.layer is Layer.DISPATCH
    named = explain(HUGE[name] + "\nvigo").finding
    assert named is not None
    assert named.layer is Layer.HARD


@pytest.mark.parametrize("text", ["ls; ) rm -rf x", "rm -rf 'x", "systemctl status x; echo $(", "if; then rm x"])
def test_broken_shell_near_a_suspicious_word_is_refused(text: str) -> None:
    """What is no correct shell and speaks of removing things is not trusted."""
    finding = explain(text).finding
    assert finding is not None
    assert finding.rule == "cannot-analyse"
    assert finding.layer is Layer.DISPATCH


def test_broken_shell_that_names_something_protected_is_refused_by_both() -> None:
    """The hard guard does not pass what it cannot read when vigo's name stands in it."""
    finding = explain("echo vigo; ) ls").finding
    assert finding is not None
    assert finding.layer is Layer.HARD


def test_broken_shell_about_nothing_in_particular_is_allowed() -> None:
    """A slip of the pen alone is the shell's business, not the guard's."""
    assert explain("echo hello; ) ls").finding is None


def test_expressions_that_explode_are_not_tried() -> None:
    """A regular expression that would take for ever is read as text."""
    assert explain("pkill -f '(.+)+x(.+)+'").finding is None
    assert explain("ps aux | grep -E '(a+)+$' | awk '{print $2}' | head").finding is None
    finding = explain("pkill '(vigo+)+'").finding
    assert finding is not None
