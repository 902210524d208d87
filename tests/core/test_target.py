"""Targets: what each term means, what is refused, and that nothing widens or empties a run unseen."""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vigo.core.errors import Exit, NoMatchError, UsageError
from vigo.core.inventory import Inventory
from vigo.core.model import Host, Outcome, TraitValue
from vigo.core.quantity import Quantity
from vigo.core.ranges import fold
from vigo.core.target import combine, limit, parse, read_target_file
from vigo.core.target_parse import DEPTH_MAX, TEXT_MAX

UUID = "6f1c6a3e-5f0e-4c39-9d0f-0d2b0d6b6f11"


def host(name: str, *groups: str, uuid: str = "", **traits: TraitValue) -> Host:
    """Return a host; `__` in a trait's name is a dot."""
    return Host(
        name,
        uuid or f"uuid of {name}",
        groups=groups,
        traits={key.replace("__", "."): value for key, value in traits.items()},
    )


FLEET = Inventory(
    hosts=(
        host("web-01.example.com", "prod.web", os__distro="ubuntu", os__version="24.04", tags=("a", "b"), ssd=True),
        host("web-02.example.com", "prod.web", os__distro="ubuntu", os__version="22.04", cores=8),
        host("web-10.example.com", "prod.web", "canary", os__distro="debian", os__version="9", cores=16),
        host("db-01.example.com", "prod.db", uuid=UUID, rack="r 1"),
    ),
    groups=("prod", "prod.web", "prod.db", "canary", "empty"),
    source="hosts.yaml",
)


def short(text: str, **more: object) -> list[str]:
    """Select, and return the names' first parts."""
    assert not more
    return [found.name.partition(".")[0] for found in parse(text).select(FLEET)]


WEB = ["web-01", "web-02", "web-10"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("all", [*WEB, "db-01"]),
        ("ALL", [*WEB, "db-01"]),
        ("web-01.example.com", ["web-01"]),
        ("WEB-01.Example.com", ["web-01"]),
        ("web-*", WEB),
        ("WEB-0?.*", ["web-01", "web-02"]),
        ("*.web.*", WEB),
        ("canary.*", ["web-10"]),
        ("web-[01-02].example.com", ["web-01", "web-02"]),
        ("web-[01-20]*", WEB),
        ("web-[1-2]*", []),
        (UUID, ["db-01"]),
        (UUID.upper(), ["db-01"]),
        ("@prod.web", WEB),
        ("@PROD", [*WEB, "db-01"]),
        ("@prod.*", [*WEB, "db-01"]),
        ("@*b", [*WEB, "db-01"]),
        ("os.distro=ubuntu", ["web-01", "web-02"]),
        ("os.distro = ubuntu", ["web-01", "web-02"]),
        ("os.distro=u*", ["web-01", "web-02"]),
        ("os.distro=Ubuntu", []),
        ("os.distro!=ubuntu", ["web-10"]),
        ("os.distro!=u*", ["web-10"]),
        ("not os.distro=ubuntu", ["web-10", "db-01"]),
        ("os.distro=~^u.+u$", ["web-01", "web-02"]),
        ("os.distro=~bunt", ["web-01", "web-02"]),
        ("os.distro!~bunt", ["web-10"]),
        ("os.version>=22.04", ["web-01", "web-02"]),
        ("os.version>22.04", ["web-01"]),
        ("os.version<22.04", ["web-10"]),
        ("os.version<=22.04", ["web-02", "web-10"]),
        ("cores>8", ["web-10"]),
        ("cores=8", ["web-02"]),
        ("tags=b", ["web-01"]),
        ("tags!=c", ["web-01"]),
        ("tags!=b", []),
        ("ssd=true", ["web-01"]),
        ('rack="r 1"', ["db-01"]),
        ('rack="r*"', ["db-01"]),
        (r'rack=~"\s[0-9]"', ["db-01"]),
        (r'rack="say \"x\""', []),
        ("cores=[1-9]", ["web-02"]),
        ("nothing=x", []),
        ("web-01.example.com, db-01.example.com", ["web-01", "db-01"]),
        ("web-01.example.com|db-01.example.com", ["web-01", "db-01"]),
        ("db-01.example.com or web-01.example.com or db-01.example.com", ["web-01", "db-01"]),
        ("@prod.web and not os.distro=ubuntu", ["web-10"]),
        ("@prod.web & !canary.*", ["web-01", "web-02"]),
        ("not not @canary", ["web-10"]),
        ("not @canary and cores=8", ["web-02"]),
        ("db-* or web-* and cores=8", ["web-02", "db-01"]),
        ("(db-* or web-*) and cores=8", ["web-02"]),
        ("Not (db-* OR cores=8)", ["web-01", "web-10"]),
    ],
)  # fmt: skip
def test_an_expression_means_its_hosts(text: str, names: list[str]) -> None:
    """In the inventory's order, each once; an empty selection is an error."""
    if names:
        assert short(text) == names
    else:
        with pytest.raises(NoMatchError, match=r"no host of hosts\.yaml matches"):
            short(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("web-03.example.com", "host web-03.example.com: not in hosts.yaml; did you mean web-0"),
        ("web-01", "host web-01: not in hosts.yaml; did you mean web-01.example.com"),
        ("zzzzzz", "host zzzzzz: not in hosts.yaml; `vigo inventory list`"),
        ("all and not web-03.example.com", "host web-03.example.com: not in"),
        ("db-* and web-03.example.com", "host web-03.example.com: not in"),
        ("a1, b1, c1, d1", "host a1, b1, c1, …: not in"),
        ("web-[01-03].example.com", "host web-03.example.com: not in"),
        ("web-[0-999999999]x[0-999999999]", "host web-0x0, web-0x1, web-0x2, …: not in"),
        ("x" * 200, "host " + "x" * 79 + "…: not in"),
        ("@prd", "group prd: not in hosts.yaml; did you mean prod"),
        ("not @prd", "group prd: not in"),
        ("6f1c6a3e-5f0e-4c39-9d0f-0d2b0d6b6f12", "UUID 6f1c6a3e-5f0e-4c39-9d0f-0d2b0d6b6f12: not in"),
        ("@empty", "no host of hosts.yaml matches"),
        ("@nothing*", "no host of hosts.yaml matches"),
        ("not all", "no host of hosts.yaml matches"),
        ("@prod and os.distr=ubuntu", "matches; none has the trait os.distr, did you mean os.distro?"),
        ("zzz>1", "matches; none has the trait zzz, `vigo inventory list`"),
        ("not (all or os.distro=ubuntu)", "matches; `vigo inventory list`"),
        ("os.distro=ubunt", "matches; did you mean os.distro=ubuntu?"),
        ("os.distro=ubuntu and os.distro>ubuntv", "matches; `vigo inventory list`"),
    ],
)
def test_what_the_inventory_does_not_have_is_an_error(text: str, reason: str) -> None:
    """Exit 4 and the nearest names, under `not` too: never a warning, never success."""
    with pytest.raises(NoMatchError) as caught:
        short(text)
    assert reason in str(caught.value)
    assert caught.value.exit_code is Exit.NO_MATCH


@pytest.mark.parametrize(
    ("text", "reason", "column"),
    [
        ("", "a term is missing", 0),
        ("   ", "a term is missing", 3),
        ("web-* or", "a term is missing", 8),
        ("web-*,,db-*", "a term is missing", 6),
        ("and", "a term is missing", 0),
        ("not", "a term is missing", 3),
        ("=x", "a term is missing", 0),
        ("()", "a term is missing", 1),
        ("web-01 web-02", "two terms stand side by side", 7),
        ("(a b)", "two terms stand side by side", 3),
        ("a (b)", "two terms stand side by side", 2),
        ("(a or b", "is not closed", 0),
        ("a)", "was not opened", 1),
        ("os=", "a value is missing", 3),
        ("os= and b", "a value is missing", 4),
        ("os==x", "a value is missing", 3),
        ('os="x', "this quote is not closed", 3),
        ('"web-01"', "only a trait's value is quoted", 0),
        ("a ~ b", "~ does not belong here", 2),
        ("a..b=c", "'a..b' is no trait", 0),
        ("web-*=c", "'web-*' is no trait", 0),
        ("web-[1-", "no range", 4),
        ("web-[3-1]*", "backwards", 4),
        ("@web[x]", "no range", 4),
        ("@", "a group is missing", 0),
        ("os=a[", "no range", 4),
        ('x=~"(a+)+"', "repeats a repetition", 3),
        ("x=~*", "no regular expression", 3),
        ("run:", "no earlier run", 0),
        ("run:t1:zzz", "'zzz' is no outcome; outcomes are complete, failed", 0),
        ("run:t1:lost+faild", "'faild' is no outcome; did you mean failed?", 0),
        ("x" * 1_001, "more than 1,000 characters", 0),
        ("not " * (DEPTH_MAX + 1) + "a", "nested deeper than 50", 61),
        ("(" * (DEPTH_MAX + 1), "nested deeper than 50", 50),
        ("a\n\x1b b", "two terms stand side by side", 2),
    ],
)
def test_a_slip_is_shown_with_a_caret(text: str, reason: str, column: int) -> None:
    """The text, and a caret under the place; exit 2."""
    with pytest.raises(UsageError) as caught:
        parse(text)
    message, shown, caret = str(caught.value).split("\n")
    assert reason in message
    assert "; " in message
    assert shown.isprintable()
    assert caret == "  " + " " * column + "^"
    assert caught.value.exit_code is Exit.USAGE


def test_a_text_without_end_is_refused() -> None:
    """Before it is read."""
    with pytest.raises(UsageError, match="4,194,305 characters"):
        parse("a" * (TEXT_MAX + 1))


def test_a_host_may_have_a_uuid_for_a_name() -> None:
    """Then that name is the host."""
    fleet = Inventory((host(UUID),))
    assert parse(UUID).select(fleet) == fleet.hosts


def test_an_earlier_run_answers_with_its_hosts() -> None:
    """The resolver gets the id and the outcomes; without one the term is refused."""
    asked: list[tuple[str, frozenset[Outcome]]] = []

    def runs(task: str, outcomes: frozenset[Outcome]) -> Collection[str]:
        asked.append((task, outcomes))
        return ["db-01.example.com", "web-01.example.com"]

    found = parse("run:T1A2B3C4:failed+timeout or run:t5").select(FLEET, runs=runs)
    assert [one.name for one in found] == ["web-01.example.com", "db-01.example.com"]
    assert asked == [("t1a2b3c4", frozenset({Outcome.FAILED, Outcome.TIMEOUT})), ("t5", frozenset())]
    with pytest.raises(UsageError, match="run:t1: the journal cannot be asked here"):
        parse("run:t1").select(FLEET)


def test_a_host_that_has_left_the_inventory_is_missing_from_its_run() -> None:
    """What an earlier run names must still be there."""
    with pytest.raises(NoMatchError, match="host gone: not in"):
        parse("run:t1").select(FLEET, runs=lambda _task, _outcomes: ["gone"])


@pytest.mark.parametrize(
    ("targets", "excludes", "combined"),
    [
        (["*.web.*"], [], "*.web.*"),
        (["a and b"], [], "a and b"),
        (["a", "b"], [], "a or b"),
        (["a", "b and c", "d, e"], [], "a or (b and c) or (d, e)"),
        (["a"], ["b"], "a and not b"),
        (["a", "b"], ["c or d", "e"], "(a or b) and not ((c or d) or e)"),
        (["not a"], ["b"], "(not a) and not b"),
    ],
)  # fmt: skip
def test_all_that_was_given_is_one_expression(targets: list[str], excludes: list[str], combined: str) -> None:
    """A single target stays as it was typed; what is combined can be parsed again."""
    assert combine(targets, excludes) == combined
    parse(combined)


def test_parts_are_read_before_they_are_joined() -> None:
    """Two halves of a parenthesis do not make a whole; no target at all is an error."""
    with pytest.raises(UsageError, match="not closed"):
        combine(["(a", "b)"])
    with pytest.raises(UsageError, match="--target all"):
        combine([], ["a"])


def test_limit_takes_the_first_hosts() -> None:
    """A percentage is rounded down, and never to none."""
    hosts = FLEET.hosts
    assert limit(hosts, Quantity(2)) == hosts[:2]
    assert limit(hosts, Quantity(9)) == hosts
    assert limit(hosts, Quantity(50, percent=True)) == hosts[:2]
    assert limit(hosts, Quantity(1, percent=True)) == hosts[:1]


def test_a_seed_draws_the_same_sample_each_time() -> None:
    """In plan order; another seed draws another one; one host more changes one host at most."""
    hosts = tuple(host(f"h{number}") for number in range(100))
    drawn = limit(hosts, Quantity(10), seed=7)
    assert drawn == limit(hosts, Quantity(10), seed=7) != limit(hosts, Quantity(10), seed=8)
    assert list(drawn) == sorted(drawn, key=hosts.index)
    more = limit((host("new"), *hosts), Quantity(10), seed=7)
    assert len(set(drawn) - set(more)) <= 1


def test_a_target_file_has_one_target_a_line() -> None:
    """Blank lines and comments are left out; a # inside a word or a quoted value is none."""
    text = '\ufeff# hosts\r\nweb-01\n\n  db-01  # the old one\nrack="a #1" # x\nx#y\n'
    assert read_target_file(text) == ("web-01", "db-01", 'rack="a #1"', "x#y")


def test_folded_names_are_a_target() -> None:
    """What a summary prints can be typed again."""
    names = [one.name for one in FLEET.hosts]
    assert [one.name for one in parse(fold(names)).select(FLEET)] == names


WORDS = [
    "web-*",
    "db-01.example.com",
    "@prod",
    "os.distro=ubuntu",
    "(",
    ")",
    "and",
    "or",
    "not",
    "!",
    ",",
    "&",
    "|",
    "=",
    ">=",
    "=~",
    '"',
    "[1-",
    "[01-03]",
    "all",
    "run:",
    "~",
    "é",
    "\x00",
    "*?*",
]
texts = (
    st.text(max_size=60)
    | st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)
    | st.lists(st.sampled_from(WORDS), max_size=12).map("".join)
)


def ends_well(text: str) -> None:
    """Parse and select; the only way to fail is to say so."""
    with suppress(UsageError, NoMatchError):
        parse(text).select(FLEET, runs=lambda _task, _outcomes: [])


def took_s(text: str) -> float:
    """Return this thread's own time for one text."""
    start = time.thread_time()
    ends_well(text)
    return time.thread_time() - start


@given(texts)
@settings(max_examples=2_000, deadline=None)
def test_any_text_is_a_target_or_an_error(text: str) -> None:
    """No other exception, whatever is typed."""
    ends_well(text)


@pytest.mark.faults
@pytest.mark.timeout(1_200)
@given(texts)
@settings(max_examples=50_000, deadline=None)
def test_fifty_thousand_texts_are_targets_or_errors(text: str) -> None:
    """Nor does any of them take long; the bound is on this process's own time."""
    assert any(took_s(text) <= 0.05 for _ in range(3))  # the collector's pauses are not the text's


leaves = st.sampled_from(["all", "web-*", "@canary", "os.distro=ubuntu", "cores>8", "db-01.example.com"])
trees: st.SearchStrategy[tuple[object, ...]] = st.recursive(
    leaves.map(lambda leaf: (leaf,)),
    lambda inner: st.tuples(st.just("not"), inner) | st.tuples(st.sampled_from(["and", "or"]), inner, inner),
    max_leaves=8,
)


def written(tree: object) -> str:
    """Write a tree with all its parentheses."""
    match tree:
        case (str(leaf),):
            return leaf
        case ("not", inner):
            return f"not ({written(inner)})"
        case (str(word), left, right):
            return f"({written(left)}) {word} ({written(right)})"
        case _:
            raise AssertionError(tree)


def meant(tree: object) -> set[str]:
    """Evaluate a tree by sets of names."""
    everything = {one.name for one in FLEET.hosts}
    match tree:
        case (str(leaf),):
            return {one.name for one in parse(leaf).select(FLEET)}
        case ("not", inner):
            return everything - meant(inner)
        case ("and", left, right):
            return meant(left) & meant(right)
        case (_, left, right):
            return meant(left) | meant(right)
        case _:
            raise AssertionError(tree)


@given(trees)
def test_operators_are_operations_on_sets(tree: tuple[object, ...]) -> None:
    """Whatever is nested in whatever."""
    expected = meant(tree)
    if expected:
        assert {one.name for one in parse(written(tree)).select(FLEET)} == expected
    else:
        with pytest.raises(NoMatchError):
            parse(written(tree)).select(FLEET)
