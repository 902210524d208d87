"""Changes that keep a command's meaning keep its verdict."""

from __future__ import annotations

import base64
import json
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from vigo.core.guard import explain

CORPUS = Path(__file__).parent / "corpus"
Mutation = Callable[[str, random.Random], str]


def _requote(text: str, chance: random.Random) -> str:
    """Put quotes or a backslash inside a word: the shell takes them out again."""
    spots = list(re.finditer(r"(?<![^\s;&|])[a-z]{3,}(?=[\s;&|]|$)", text))
    if not spots or re.search(r"['\"$`<\\#(){}\[\]]|\bif\b|\bfor\b|\bwhile\b|\bcase\b|\bin\b", text):
        return text
    spot = chance.choice(spots)
    word = spot.group()
    at = chance.randrange(1, len(word))
    made = chance.choice(
        [f"{word[:at]}''{word[at:]}", f'{word[:at]}"{word[at:]}"', f"{word[:at]}\\{word[at:]}", f"'{word}'"]
    )
    return text[: spot.start()] + made + text[spot.end() :]


def _blanks(text: str, chance: random.Random) -> str:
    return text if re.search(r"['\"\n\\`]", text) else re.sub(" ", lambda _: " " * chance.randint(1, 3), text)


def _encoded(text: str, _: random.Random) -> str:
    return f"echo {base64.b64encode(text.encode()).decode()} | base64 -d | bash"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


WRAPS: dict[str, Mutation] = {
    "true before": lambda text, _: f"true; {text}",
    "true after": lambda text, _: f"{text}\ntrue",
    "comment": lambda text, _: f"{text}\n# a comment's end",
    "braces": lambda text, _: f"{{ {text}\n}}",
    "subshell": lambda text, _: f"( {text}\n)",
    "if": lambda text, _: f"if true; then\n{text}\nfi",
    "blanks": _blanks,
    "leading blanks": lambda text, _: f"  \t{text}",
    "quotes": _requote,
    "sh -c": lambda text, _: f"bash -c {_quoted(text)}",
    "sudo sh -c": lambda text, _: f"sudo -n bash -c {_quoted(text)}",
    "eval": lambda text, _: f"eval {_quoted(text)}",
    "variable": lambda text, _: f'c={_quoted(text)}; eval "$c"',
    "function": lambda text, _: f"zz() {{\n{text}\n}}; zz",
    "base64": _encoded,
    "here-document": lambda text, _: f"bash <<'END_OF_IT'\n{text}\nEND_OF_IT",
    "nohup": lambda text, _: f"nohup nice -n 5 timeout 30 bash -c {_quoted(text)}",
}


def _rows(verdict: str) -> list[str]:
    lines = (CORPUS / f"{verdict}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["cmd"] for line in lines]


def _changed(verdict: str, *, each: int, seed: int) -> list[str]:
    chance = random.Random(seed)
    found = []
    for command in _rows(verdict):
        if explain(command).verdict != verdict:
            continue
        for name in chance.sample(sorted(WRAPS), min(each, len(WRAPS))):
            mutated = WRAPS[name](command, chance)
            if explain(mutated).verdict != verdict:
                found.append(f"{name}: {mutated!r} -> {explain(mutated).verdict}")
    return found


def test_a_danger_stays_one_however_it_is_put() -> None:
    """Rows that the hard guard refuses are refused under every single change that keeps their meaning."""
    found = _changed("hard", each=2, seed=11)
    assert not found, found[:10]


def test_work_stays_work_however_it_is_put() -> None:
    """Rows that are allowed stay allowed."""
    found = _changed("allow", each=2, seed=12)
    assert not found, found[:10]


@pytest.mark.faults
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("verdict", ["hard", "dispatch", "allow"])
def test_fifty_changes_of_each_row_change_no_verdict(verdict: str) -> None:
    """50 changes of each row: at most one in a hundred alters a verdict, none of a hard row."""
    found = [line for seed in range(3) for line in _changed(verdict, each=len(WRAPS), seed=seed)]
    total = 3 * len(WRAPS) * len(_rows(verdict))
    print(f"{verdict}: {len(found)} of {total} changed", found[:20])
    assert len(found) <= (0 if verdict == "hard" else total // 100), found[:10]
