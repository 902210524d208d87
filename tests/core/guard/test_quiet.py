"""Functions that only print and set variables are followed a few times; whatever acts in them is found however late."""

from __future__ import annotations

import pytest

from vigo.core.guard import Layer, explain

QUIET = [
    "case $1 in a) x=1 ;; b) y=2 ;; esac",
    "while read -r a b; do x=$a; done <file",
    "for i in 1 2 3; do printf '%s' $i; done",
    "(x=$1; echo $x) 2>/dev/null",
    "command -v $1 >/dev/null",
    "local x=$1; export y; shift; return",
    "echo a | grep b",
    "{ echo $1; } >&2",
    "cat <<E\n$1\nE\n",
    "g; g",
]
ACTING = [
    'rm -rf "$D"',
    'echo $(rm -rf "$D")',
    'x=$(rm -rf "$D")',
    'case "$(rm -rf $D)" in x) ;; esac',
    'for i in $(rm -rf "$D"); do echo; done',
    ': >"$D"/settings',
    '{ echo; } >"$D"/settings',
    'echo <<E\n$(rm -rf "$D")\nE\n',
    'h() { rm -rf "$D"; }; h',
    '$R -rf "$D"',
    'a=(1); rm -rf "$D"',
    'printf -v x "$D"; rm -rf "$x"',
    'read -a x; rm -rf "$D"',
    "k",
]  # fmt: skip
FIRST = 'k() { rm -rf "$D"; }; g() { z=1; }; D=/tmp/a; R=rm; '


def _late(body: str) -> str:
    return f"{FIRST}f() {{\nif a; then b=1; fi\n{body}\n}}\n" + "f x\n" * 60 + "D=/srv/vigo\nf x\n"


@pytest.mark.parametrize("body", QUIET)
def test_what_only_prints_and_sets_variables_may_be_called_often(body: str) -> None:
    """A hundred and fifty calls are no reason to refuse, also where vigo is named."""
    text = f"# vigo\n{FIRST}f() {{\nif a; then b=1; fi\n{body}\n}}\necho vigo\n" + "f x\n" * 150
    assert explain(text).finding is None


@pytest.mark.parametrize("body", ACTING)
def test_what_acts_is_found_however_often_it_was_called_before(body: str) -> None:
    """The sixty-first call is followed like the first."""
    finding = explain(_late(body)).finding
    assert finding is not None
    assert finding.layer is Layer.HARD


@pytest.mark.parametrize(
    "text",
    [
        'f() { rm -rf "$1"; }; ' + "f /tmp/a; " * 60 + "f /usr",
        'f() { rm -rf "$1"; }; ' + "f /tmp/a; " * 60 + "f /srv/vi''go",
        "f() { rm -rf /tmp/a; }; " + "f; " * 60 + "for d in a b vi''go; do rm -rf /srv/$d; done",
        "echo 'rm -rf /srv/vigo' > 1; sh 1",
    ],
)
def test_a_long_way_before_hides_nothing(text: str) -> None:
    """What a function or a loop is given is looked at again, however much was read before."""
    finding = explain(text).finding
    assert finding is not None
    assert finding.layer is Layer.HARD


def test_a_long_path_is_looked_up_soon() -> None:
    """Only as many steps as a protected path has are asked for."""
    assert explain("rm -rf " + "/a" * 30_000).finding is None
    assert explain("rm -rf /srv/vigo" + "/a" * 30_000).finding is not None
