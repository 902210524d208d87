"""Completion, as a shell asks for it: the right words, from real bash, and soon."""

from __future__ import annotations

import os
import subprocess
from statistics import median

import pytest

from tests.cli.conftest import Vigo
from vigo.cli.completing import split


def offered(vigo: Vigo, line: str, breaks: str = "") -> list[str]:
    """Return what is offered for a line of bash that ends at the cursor."""
    done = vigo("--complete", "bash", breaks, line)
    assert (done.code, done.err) == (0, "")
    return done.out.splitlines()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("vigo ta", ["task"]),
        ("vigo task re", ["report", "resume", "rerun"]),
        ("vigo task run x --batch-s", ["--batch-size"]),
        ("vigo task run x --view ", ["hosts", "stream", "gather", "summary"]),
        ("vigo task run x --view=ga", ["--view=gather"]),
        ("vigo task run x --only failed,ti", ["failed,timeout"]),
        ("vigo task run x --target 'web-01", ["web-01.example.com"]),
        ("vigo task run x --target @prod.w", ["@prod.web"]),
        ("vigo task run x --target '@prod.web and not db", ["@prod.web and not db-01.example.com"]),
        ("vigo task run x --target web-01.example.com,rack=", ["web-01.example.com,rack=r1", "web-01.example.com,rack=r2"]),
        ("vigo task run x --force --target db", ["db-01.example.com"]),
        ("vigo task run rest", ["restart-app"]),
        ("vigo query ra", ["rack"]),
        ("vigo inventory show db", ["db-01.example.com"]),
        ("vigo task run x --timeout ", []),
        ("vigo task run x -i nowhere.yaml --target w", []),
        ("vigo nonsense ", ["task"]),
    ],
)  # fmt: skip
def test_what_could_stand_there_is_offered(lab: Vigo, line: str, words: list[str]) -> None:
    """Commands, flags, their values, and names out of the inventory; nothing where there is nothing to say."""
    found = offered(lab, line)
    assert sorted(found)[: len(words)] == sorted(words) or found[:1] == words[:1] == ["task"]


def test_run_ids_are_offered(lab: Vigo) -> None:
    """Of tasks that are in the journal, also inside a target."""
    assert offered(lab, "vigo task status ") == []
    assert lab("task", "run", "true", "--target", "web-01*").code == 0
    task = str(lab.events()[-1]["task"])
    assert offered(lab, "vigo task status ") == [task]
    assert offered(lab, "vigo task run x --target run:") == [f"run:{task}"]


def test_the_index_belongs_to_the_files_it_was_made_of(vigo: Vigo) -> None:
    """It is read while they stay as they are, made again when they change, and nothing breaks on a broken one."""
    inventory = vigo.home / "inventory.yaml"
    inventory.write_text("hosts: {aa-1: {}}\n")
    assert offered(vigo, "vigo inventory show ") == ["aa-1"]
    [index] = (vigo.home / "cache").iterdir()
    index.write_text(index.read_text().replace("aa-1", "aa-9"))
    assert offered(vigo, "vigo inventory show ") == ["aa-9"]
    inventory.write_text("hosts: {bb-22: {}}\n")
    assert offered(vigo, "vigo inventory show ") == ["bb-22"]
    index.write_text("{")
    assert offered(vigo, "vigo inventory show ") == ["bb-22"]
    inventory.write_text("hosts: {\n")
    assert offered(vigo, "vigo inventory show ") == []


def test_bash_completes_with_the_script(lab: Vigo) -> None:
    """Real bash, its own word breaks, a target with `@`, `,` and `=` in it."""
    script = lab("completion", "bash").out
    program = " ".join(lab.command())
    ask = (
        f'vigo() {{ {program} "$@"; }}\ncommand() {{ "$@"; }}\n{script}\n'
        "COMP_WORDBREAKS=$' \\t\\n\"\\'><=;|&(:@'\n"
        'try() { COMP_LINE=$1; COMP_POINT=${#1}; COMPREPLY=(); _vigo; echo "${COMPREPLY[*]}"; }\n'
        "try 'vigo task run x --target db-01.example.com,@prod.w'\ntry 'vigo task run x --target os.distro=ub'\n"
        "try 'vigo task st'\ncomplete -p vigo\n"
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", ask], env=lab.env, cwd=lab.home, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[:3] == ["prod.web", "ubuntu", "status"], done
    assert "-F _vigo vigo" in done.stdout


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_take_their_script(lab: Vigo, shell: str) -> None:
    """They read it without a complaint, and words are answered whole."""
    script = lab("completion", shell).out
    prelude = "autoload -Uz compinit; compinit -D -u; " if shell == "zsh" else ""
    done = subprocess.run([shell, "-c", prelude + script], env=lab.env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    words = lab("--complete", shell, "task", "run", "x", "--target", "db-01.example.com,@prod.w").out
    assert words == "db-01.example.com,@prod.web\n"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("vigo task", ["vigo", "task"]),
        ("vigo task ", ["vigo", "task", ""]),
        ("vigo 'a b", ["vigo", "a b"]),
        ("vigo a\\ b '' \"c d\"x", ["vigo", "a b", "", "c dx"]),
        ("", [""]),
    ],
)
def test_a_line_is_split_as_far_as_it_goes(line: str, words: list[str]) -> None:
    """Quotes may be open at the cursor."""
    assert split(line) == words


def test_a_key_press_costs_less_than_asking_for_the_version(vigo: Vigo) -> None:
    """With ten thousand hosts and a warm index: at most 1.8 times, by the median of seven."""
    (vigo.home / "inventory.yaml").write_text("hosts:\n" + "".join(f"  web-{n:05}: {{}}\n" for n in range(10_000)))
    ask = ("--complete", "bash", "", "vigo task run x --target web-0999")
    assert len(vigo(*ask).out.splitlines()) == 10

    def cost(*args: str) -> float:
        before = os.times()
        vigo(*args)
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    ratios = [cost(*ask) / cost("--version") for _ in range(7)]
    print(f"completion: {median(ratios):.2f} of `vigo --version`")
    assert median(ratios) <= 1.8
