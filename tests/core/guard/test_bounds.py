"""Bounds of the guard's work, which are counts: whatever is written, an answer comes soon, and a long script is read."""

from __future__ import annotations

import time

import pytest

from vigo.core.facts import script
from vigo.core.guard import Layer, explain
from vigo.core.guard.analysis import analyse
from vigo.core.guard.commands import commands
from vigo.core.guard.session import WORK_MAX

OVER = {
    "more than 1024 brackets": ["rm " + "$(a)" * 1_100, "rm " + "`a`" * 1_100, "{ a; };" * 1_100],
    "more than 6144 nodes": ["a=b " * 1_900 + "rm x"],
    "more than 6144 pieces": ["case x in a|a|a|a|a) ;; esac;" * 340],
    f"more than {WORK_MAX} operations": ["rm x" + ">a" * 2_000, "IFS=,; a=" + "x," * 9_000 + "; rm $a; rm $a"],
    "more than 2048 words": ["rm " + "a " * 3_000, "eval " * 3_000 + "rm x"],
    "nested too deeply": ["sudo " * 150 + "true", "rm " + "$(" * 60],
    "too many places": ["rm x ; ) " * 20, "rm x" + " fi; done;" * 20],
    "more than 64 wildcards": ["rm -rf /s" + "*?" * 40 + "/x", "systemctl stop v" + "*?" * 40],
    "more than 256 signs": ["rm " + "{a," * 300],
    "more than 128 words": ["rm {1..9}{1..9}{1..9}"],
    "more than 98304 characters": ["sh -c 'rm " + "a" * 60_000 + "'"],
    "longer than 65536 characters": ["rm " + "a" * 70_000],
    "long run of operators": ["rm x" + " ;)" * 40],
}


@pytest.mark.parametrize(("reason", "text"), [(reason, text) for reason, texts in OVER.items() for text in texts])
def test_what_is_over_a_bound_cannot_be_analysed_and_the_bound_is_named(reason: str, text: str) -> None:
    """The dispatch guard refuses it, and the hard one too where something protected is named in it."""
    finding = explain(text).finding
    assert finding is not None
    assert (finding.rule, finding.layer, reason in finding.reason) == ("cannot-analyse", Layer.DISPATCH, True), finding
    named = explain(f"{text} vigo").finding
    assert named is not None
    assert named.layer is Layer.HARD


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ('set -- /srv/vigo; rm -rf "$*"', True),
        ("rm -rf /srv/{1..a}", False),
        ("rm -rf /srv/{1..999}", False),
        ("rm -rf /srv/{vigo,x}", True),
        ("x=" + "ab" * 40 + '; rm -rf "${x#a*b*}/srv/vigo"', False),
        ("x=" + "ab" * 40 + '; rm -rf "${x//a*b*/c}"', False),
        ("rm -rf /srv/$(printf '%s ' " + "a " * 200 + ")", False),
        ("rm -rf /srv/vigo/$(basename)", True),
        ("rm -rf $(dirname)/x", False),
        ("f() { rm -rf /srv/vigo/$#; }; f a b", True),
        ("".join(f"case $q in a) a{n}=1;; b) a{n}=2;; c) a{n}=/srv/vigo;; esac;" for n in "abcd") + "rm $aa $ab $ac $ad", True),
    ],
)  # fmt: skip
def test_what_is_bounded_inside_still_gives_the_right_answer(text: str, *, is_found: bool) -> None:
    """Alternatives, lists and expressions that are too many are cut short, and what can be known is known."""
    finding = explain(text).finding
    assert (finding is not None and finding.layer is Layer.HARD) is is_found, finding


def test_what_is_too_long_is_no_whole_list_of_commands() -> None:
    """A site's patterns are told that there may be more."""
    assert commands("rm x").whole
    assert not commands("rm " + "a" * 70_000).whole


def test_vigos_own_script_is_read_and_allowed() -> None:
    """It is sent to every host, and it is long."""
    assert analyse(script()).finding is None


def test_a_long_script_that_names_nothing_of_vigo_is_not_followed_along_every_way() -> None:
    """A function of twelve commands that is called a hundred times; where vigo is named, it is followed or refused."""
    loops = "f() {\n" + "".join(f"rm /tmp/{name}\n" for name in "abcdefghijkl") + "}\n" + "f\n" * 100
    assert explain(loops).finding is None
    assert explain(f"# for vigo\n{loops}").finding is None
    last = explain(f"{loops}\nrm -rf /usr").finding
    assert last is not None
    assert last.layer is Layer.HARD
    named = explain(f"{loops}\necho vigo").finding
    assert named is not None
    assert (named.rule, named.layer) == ("cannot-analyse", Layer.HARD)


@pytest.mark.parametrize(
    "text",
    [
        'f() { rm -rf "$1"; };' + "f /tmp/a;" * 60 + "f /usr",
        'f() { rm -rf "$D"; }; D=/tmp/a;' + "f;" * 60 + "D=/usr; f",
        'f() { rm -rf "$D"; }; D=/tmp/a;' + "f;" * 60 + "D=/srv/vi''go; f",
        'f() { g; }; g() { rm -rf "$D"; }; D=/tmp/a;' + "f;" * 60 + "D=/usr; f",
        "f() { rm -rf ./bin; }; cd /tmp;" + "f;" * 60 + "cd /usr; f",
    ],
)
def test_what_changed_since_the_last_look_is_looked_at_again(text: str) -> None:
    """A function's arguments, the variables that a command names, and the folder: however much was read before."""
    finding = explain(text).finding
    assert finding is not None
    assert (finding.layer, finding.rule == "cannot-analyse") == (Layer.HARD, False), finding


@pytest.mark.parametrize("where", ["2>/dev/null", ">/dev/null", ">/dev/null 2>&1", ">&2"])
def test_what_is_printed_to_nobody_is_no_file(where: str) -> None:
    """It is not read on, and what acts beside it is found as ever."""
    assert explain(f"{{ echo rm -rf /srv/vigo; }} {where}").finding is None
    assert explain(f"{{ echo $(rm -rf /srv/vigo); }} {where}").finding is not None
    assert explain(f'{{ case "$(rm -rf /srv/vigo)" in x) ;; esac; }} {where}').finding is not None
    assert explain(f"{{ printf -v x /srv/vigo; rm -rf $x; }} {where}").finding is not None
    assert explain(f"{{ printf; rm -rf /srv/vigo; }} {where}").finding is not None


SHAPES = {
    "globs": "rm " + "*?[" * 20_000,
    "globbed path": "rm -rf /srv/" + "*?[" * 20_000,
    "globbed words": "rm " + "/s*/v?g[o] " * 5_000,
    "brackets": "(" * 1_000_000,
    "pipes": "a|" * 30_000,
    "and": "true && " * 8_000 + "true",
    "braces": "rm " + "{a," * 20_000,
    "brace product": "rm " + "{a,b,c}" * 30,
    "brace words": "rm " + "{a,b} " * 10_000,
    "script": "echo hello world; ls -l /tmp\n" * 2_200,
    "case": "case x in a) rm -rf /tmp/x;; esac\n" * 1_800,
    "arms": "case $x in\n" + "a) rm /tmp/x;;\n" * 4_000 + "esac",
    "quotes": "\"'" * 50_000,
    "substitutions": "$(" * 30_000,
    "nested substitutions": "echo " + "$(echo " * 14 + "x" + ")" * 14,
    "ticks": "echo " + "`" * 60_000,
    "here-documents": "".join(f"cat <<E{n}\nx\nE{n}\n" for n in range(4_000)),
    "a here-document": "sh <<A\n" + "rm -rf /tmp/x\n" * 4_600 + "A\n",
    "assignments": "".join(f"v{n}=x{n}\n" for n in range(5_500)),
    "chain": "a=x\n" + "a=$a$a\n" * 3_000,
    "alternatives": "".join(f"if c; then a{n}=x; else a{n}=y; fi\n" for n in range(1_500)) + "rm $a0$a1$a2$a3$a4$a5",
    "functions": "".join(f"f{n}() {{ f{n + 1}; }}\n" for n in range(3_000)) + "f0",
    "fan": "".join(f"f{n}() {{ f{n + 1}; f{n + 1}; f{n + 1}; }}\n" for n in range(14)) + "f14() { rm $x; }\nf0",
    "doubling": "".join(f"{a}() {{ {b}; {b}; }}; " for a, b in zip("abcdefghijklm", "bcdefghijklmn", strict=True))
    + "n() { rm x; }; a",
    "evals": "eval " * 2_000 + "true",
    "shells": "sh -c 'rm -rf /tmp/a'; " * 400,
    "short braces": "rm {a,b}{c,d}{e,f}; " * 400,
    "stripped": "a=" + "x" * 8_000 + "; " + "rm ${a##*y} ${a%%y*}; " * 300,
    "replaced": "a=" + "x" * 8_000 + "; " + "rm ${a//x/yy}; " * 300,
    "fields": "a=(" + "b " * 250 + "); " + "rm ${a[@]}; " * 200,
    "recursion": "f() { f; f; f; f; }; f",
    "loops": "for a in 1 2 3 4 5 6 7 8; do " * 12 + "rm $a" + "; done" * 12,
    "whiles": "while a; do " * 20 + "rm x" + "; done" * 20,
    "ifs": "if a; then rm /tmp/x; else rm /tmp/y; fi\n" * 1_400,
    "arithmetic": "echo " + "$((" * 20_000,
    "sum": "echo $((" + "1+" * 20_000 + "1))",
    "bracketed sum": "echo $((" + "(" * 3_000 + "1" + ")" * 3_000 + "))",
    "a long word": "rm " + "a" * 64_000,
    "redirections": "true " + ">a " * 20_000,
    "variables": "rm " + "$a" * 30_000,
    "parameters": "rm " + "${a#b}" * 9_000,
    "sudo": "sudo " * 12_000 + "rm x",
    "env": "env A=b " * 7_000 + "rm x",
    "find": "find / " + "-exec rm {} ; " * 4_000,
    "filters": "find /" + " -o -name 'a*'" * 4_000 + " -delete",
    "aliases": "".join(f"alias a{n}='a{n + 1} x'\n" for n in range(2_000)) + "a0",
    "escapes": "rm " + "\\a" * 30_000,
    "ansi": "rm $'" + "\\x41" * 15_000 + "'",
    "array": "a=(" + "x " * 30_000 + "); rm ${a[@]}",
    "positional": "set -- " + "a " * 20_000 + "; for i; do rm $i; done",
    "base64": "echo " + "cm0gLXJm" * 7_000 + " | base64 -d | sh",
    "octal": "printf '" + "\\162" * 12_000 + "' | sh",
    "python": "python3 -c '" + 'import os;os.system("rm x");' * 1_800 + "'",
    "dots": "rm -rf /srv/" + "../" * 20_000 + "vigo",
    "stars": "rm -rf /" + "*/" * 20_000 + "vigo",
    "units": "systemctl stop " + "v*o " * 15_000,
}
SHAPE_MS = 50


@pytest.mark.faults
@pytest.mark.parametrize("named", [False, True])
def test_e12_no_shape_takes_long(*, named: bool) -> None:
    """64 KiB of each; the quickest of five, in CPU time of this process; also where vigo is named."""
    took = {}
    for name, shape in SHAPES.items():
        text = (shape if name == "brackets" else shape[:65_000]) + "\n: vigo" * named
        took[name] = min(_cpu_ms(text) for _ in range(5))
    slowest = max(took, key=took.__getitem__)
    print(f"slowest of {len(took)} shapes: {slowest}, {took[slowest]:.0f} ms")
    assert took[slowest] <= SHAPE_MS, took


def _cpu_ms(text: str) -> float:
    began = time.process_time()
    analyse(text)
    return (time.process_time() - began) * 1000
