"""What was gathered, as it is told."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from vigo.core.facts import Answer
from vigo.core.inventory import Gathered, Origin
from vigo.core.model import Host, Outcome, TraitValue
from vigo.engine.gather import Learned
from vigo.render import traits as render

NOW = datetime(2026, 3, 13, 12, 30, 1, tzinfo=UTC)
AT = "2026-03-13T09:00:00.000Z"
GOOD = Answer({"os.distro": "debian", "network.ip_addresses": ("10.0.0.1", "10.0.0.2")})


def test_a_gathering_is_told_in_one_line() -> None:
    """How many hosts, how many gave their traits, and who did not."""
    good = [Learned(f"web-{at:02}", Outcome.COMPLETE, GOOD) for at in range(1, 4)]
    assert render.gathered_text(good) == "3 hosts: 3 gathered\n"
    assert render.gathered_text(good[:1]) == "1 host: 1 gathered\n"
    away = [Learned(f"db-0{at}", Outcome.UNREACHABLE) for at in (1, 2)]
    assert render.gathered_text([*good, *away]) == "5 hosts: 3 gathered, 2 unreachable: db-[01-02]\n"
    odd = [Learned("x", None), Learned("y", Outcome.COMPLETE, fault="it is not whole")]
    assert render.gathered_text([*good, *away, *odd]) == (
        "7 hosts: 3 gathered, 1 not understood: y; 2 unreachable: db-[01-02]; 1 interrupted: x\n"
    )


def test_equal_faults_are_told_once() -> None:
    """With all hosts that have them, and where to look."""
    bad = Answer({}, (("raid", "exit 3"),), 2)
    learned = [Learned(f"web-{at}", Outcome.COMPLETE, bad) for at in (1, 2, 3)]
    learned.append(Learned("db", Outcome.COMPLETE, fault="it is not whole"))
    assert list(render.gathering_warnings(learned, "t1a2b3c4")) == [
        "warning: web-[1-3]: site script raid failed: exit 3; see `vigo task status t1a2b3c4`",
        "warning: web-[1-3]: 2 lines of the answer not understood; see `vigo task status t1a2b3c4`",
        "warning: db: the answer cannot be used: it is not whole; see `vigo task status t1a2b3c4`",
    ]


def test_a_gathering_for_machines() -> None:
    """Every object says its schema; hosts that gave nothing have null."""
    learned = [Learned("a", Outcome.COMPLETE, GOOD), Learned("b", Outcome.TIMEOUT)]
    whole = json.loads(json.dumps(render.gathered_json(learned, "t1a2b3c4", AT)))
    assert (whole["schema"], whole["targets"], whole["gathered"], whole["task"]) == (1, 2, 1, "t1a2b3c4")
    assert whole["hosts"][0]["traits"]["network.ip_addresses"] == ["10.0.0.1", "10.0.0.2"]
    assert (whole["hosts"][1]["traits"], whole["hosts"][1]["outcome"]) == (None, "timeout")
    assert render.gathered_tsv(learned).splitlines()[1:] == ["a\tcomplete\t2\t", "b\ttimeout\t0\t"]


def test_a_host_s_traits_tell_their_origin() -> None:
    """The file and line, or how long ago it was gathered; nothing in them drives a terminal."""
    origins = [
        Origin("uuid", "u", "derived"),
        Origin("traits.os.distro", "debian", "gathered", AT),
        Origin("traits.role", "w\x1b[31mb", "group prod", "hosts.yaml:4:12"),
    ]
    known = Gathered({"os.distro": "debian"}, AT, "t1a2b3c4")
    shown = render.host_text(Host("web-01", "u"), origins, known, NOW)
    assert shown.splitlines()[1].startswith("Gathered: 3h ago (")
    assert shown.splitlines()[3:] == [
        "TRAIT      VALUE       FROM",
        "os.distro  debian      gathered 3h ago",
        "role       w\\x1b[31mb  group prod hosts.yaml:4:12",
    ]
    assert "Gathered: never\n" in render.host_text(Host("web-01", "u"), origins, None, NOW)
    told = render.host_json(Host("web-01", "u"), origins, known, NOW)
    assert told["gathered"] == {"at": AT, "task": "t1a2b3c4", "age_s": 12601}
    assert told["traits"][0] == {
        "path": "os.distro",
        "value": "debian",
        "layer": "gathered",
        "place": None,
        "gathered_at": AT,
    }
    assert told["traits"][1]["place"] == "hosts.yaml:4:12"
    assert render.host_tsv(origins).splitlines()[1] == f"os.distro\tdebian\tgathered\t{AT}"


def test_values_are_counted_the_most_frequent_first() -> None:
    """Equal counts in natural order; a list counts for each of its items once."""
    values: dict[str, TraitValue] = {"a": "10", "b": "9", "c": "9", "d": ("x", "10", "x"), "e": "2"}
    assert render.counts_text(values) == "HOSTS  VALUE\n2      9\n2      10\n1      x\n1      2\n"
    assert render.counts_tsv(values).splitlines() == ["hosts\tvalue", "2\t9", "2\t10", "1\tx", "1\t2"]
    assert render.counts_json("p", {"a": 8, "b": True}, ["c"]) == {
        "schema": 1,
        "path": "p",
        "counts": [{"value": True, "hosts": 1}, {"value": 8, "hosts": 1}],
        "without": ["c"],
    }


def test_values_by_host() -> None:
    """Aligned for people; lists are joined."""
    values: dict[str, TraitValue] = {"web-01": "debian", "d": ("a", "b")}
    assert render.values_text(values) == "HOST    VALUE\nweb-01  debian\nd       a,b\n"
    assert render.values_tsv(values) == "host\tvalue\nweb-01\tdebian\nd\ta,b\n"
    assert render.values_json("p", values, [])["hosts"][1] == {"host": "d", "value": ["a", "b"]}
