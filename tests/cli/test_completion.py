"""Completion, as a shell asks for it: the right words, from real bash, and soon."""

from __future__ import annotations

import os
import re
import subprocess
from statistics import median

import pexpect
import pytest

from tests.cli.conftest import Vigo
from vigo.adapters.inventory_yaml import load
from vigo.adapters.name_index import Names
from vigo.adapters.trait_store import TraitStore
from vigo.cli.completing import split, targets
from vigo.core.inventory import Gathered
from vigo.core.target import parse


def offered(vigo: Vigo, line: str) -> list[str]:
    """Return what is offered for a line of bash that ends at the cursor, when the whole word is replaced."""
    done = vigo("--complete", "bash", split(line)[-1], line)
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
        ("vigo completion ", ["bash", "zsh", "fish"]),
        ("vigo lab health ", ["up", "down"]),
        ("vigo completion bash ", []),
        ("vigo task run rest --", ["--accept-exit"]),
        ("vigo task run -- --", []),
        ("vigo task run -- rest", ["restart-app"]),
        ("vigo task run restart-app rest", []),
        ("vigo task run x --order ", ["inventory", "name", "random"]),
    ],
)  # fmt: skip
def test_what_could_stand_there_is_offered(lab: Vigo, line: str, words: list[str]) -> None:
    """Commands, flags, their values, and names out of the inventory; nothing where there is nothing to say."""
    found = offered(lab, line)
    assert sorted(found)[: len(words)] == sorted(words) or found[:1] == words[:1] == ["task"]


NAMES = Names(
    ("web-01", "web-02"), ("prod", "prod.web"), (), {"os": ("debian", "Rocky Linux"), "q": ('say "a"', "b*", "c")}
)


ANY = ["all", "not", "@prod", "@prod.web", "os=", "q=", "web-01", "web-02"]
JOINED = ["and", "or", "and not"]


@pytest.mark.parametrize(
    ("head", "term", "words"),
    [
        ("", "", ANY),
        ("not ", "", ANY),
        ("web-01 and ", "a", ["all"]),
        ("web-01 ", "", JOINED),
        ("web-01 ", "a", ["and", "and not"]),
        ("web-01 ", "@", []),
        ("@prod.web  ", "o", ["or"]),
        ("(web-01 or @prod) ", "", JOINED),
        ("(web-01 or @prod)&!", "@prod.", ["@prod.web"]),
        ("web-01,", "web-", ["web-01", "web-02"]),
        ("os=debian ", "", JOINED),
        ("", "os=", ["os=debian", 'os="Rocky Linux"']),
        ("", 'os="Rocky Li', ['os="Rocky Linux"']),
        ("", 'os="de', ['os="debian"']),
        ('os="Rocky Linux" ', "", JOINED),
        ("", "q=", ['q="say \\"a\\""', 'q="b*"', "q=c"]),
        ("os = ", "", []),
        ("", "run:t1:failed+ti", ["run:t1:failed+timeout"]),
    ],
)
def test_a_target_goes_on_as_its_grammar_does(head: str, term: str, words: list[str]) -> None:
    """Behind a term an operator, behind an operator a term; what is offered can be parsed once it is finished."""
    assert list(targets(head + term, NAMES)) == [head + word for word in words]
    for word in words:
        rest = {"=": "x", "t": " all", "d": " all", "r": " all"}.get(word[-1], "") if word in [*JOINED, *ANY] else ""
        parse(head + word + (rest if word.endswith(("=", "not", "and", "or")) else ""))


def test_run_ids_are_offered(lab: Vigo) -> None:
    """Of tasks that are in the journal, also inside a target."""
    assert offered(lab, "vigo task status ") == []
    assert lab("task", "run", "true", "--target", "web-01*").code == 0
    task = str(lab.events()[-1]["task"])
    assert offered(lab, "vigo task status ") == [task]
    assert offered(lab, "vigo task run x --target run:") == [f"run:{task}"]


def test_gathered_traits_are_offered_beside_the_inventorys(vigo: Vigo) -> None:
    """As soon as they are kept; damaged ones take nothing else away."""
    inventory = vigo.home / "inventory.yaml"
    inventory.write_text("hosts: {aa-1: {traits: {rack: r1}}, aa-2: {}}\n")
    assert offered(vigo, "vigo query ") == ["rack"]
    hosts = load(inventory).hosts
    store = TraitStore(vigo.home / "data", inventory)
    store.keep(hosts, {"aa-2": Gathered({"os.distro": "debian", "rack": "r2"}, "2026-03-13T12:00:00.000Z", "t1a2b3c4")})
    assert offered(vigo, "vigo inventory list --target os") == ["os.distro="]
    assert offered(vigo, "vigo inventory list --target rack=") == ["rack=r1", "rack=r2"]
    store.path.write_text("{")
    assert offered(vigo, "vigo query ") == ["rack"]


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


TYPED = {
    "--target @prod.w": "--target @prod.web ",
    "--target=@prod.w": "--target=@prod.web ",
    "--target db-01.example.com,@prod.w": "--target db-01.example.com,@prod.web ",
    "--target 'db-01.example.com,@prod.w": "--target 'db-01.example.com,@prod.web' ",
    "--target '@prod.web and db": "--target '@prod.web and db-01.example.com' ",
    "--target os.distro=ub": "--target os.distro=ubuntu ",
    "-i q.yaml --target os=": '-i q.yaml --target os=\\"Rocky\\ Linux\\" ',
    '-i q.yaml --target os=\\"Ro': '-i q.yaml --target os=\\"Rocky\\ Linux\\" ',
    "-i q.yaml --target 'os=": "-i q.yaml --target 'os=\"Rocky Linux\"' ",
    "--batch-s": "--batch-size ",
}


def test_bash_keeps_what_was_typed(lab: Vigo) -> None:
    """Typed into a real bash on a terminal, with its own word breaks: Tab completes the last term and changes nothing else."""
    home = lab.home
    program = " ".join(lab.command())
    (home / "q.yaml").write_text("hosts: {rocky-1: {traits: {os: Rocky Linux}}}\n")
    (home / "rc").write_text(
        f'PS1=\'> \'\nvigo() {{ {program} "$@"; }}\ncommand() {{ "$@"; }}\n{lab("completion", "bash").out}\n'
        "bind 'set enable-bracketed-paste off'\nshow() { printf '<%s>\\n' \"$READLINE_LINE\"; }\n"
        "bind -x '\"\\C-g\": show'\n"
    )
    child = pexpect.spawn(
        "bash", ["--noprofile", "--rcfile", "rc", "-i"], env=lab.env | {"TERM": "dumb"}, cwd=str(home), encoding="utf-8",
        timeout=30, dimensions=(24, 300),
    )  # fmt: skip
    child.expect_exact("> ")
    for typed, completed in TYPED.items():
        line = f"vigo task run x {typed}"
        child.send(f"{line}\t\x07")
        child.expect(r"<(vigo [^>]*)>")
        assert isinstance(child.match, re.Match)
        assert child.match[1] == f"vigo task run x {completed}"
        child.send("\x15")
    child.close(force=True)


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
    ask = ("--complete", "bash", "web-0999", "vigo task run x --target web-0999")
    assert len(vigo(*ask).out.splitlines()) == 10

    def cost(*args: str) -> float:
        before = os.times()
        vigo(*args)
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    ratios = [cost(*ask) / cost("--version") for _ in range(7)]
    print(f"completion: {median(ratios):.2f} of `vigo --version`")
    assert median(ratios) <= 1.8
