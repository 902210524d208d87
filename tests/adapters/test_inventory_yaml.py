"""The loader takes YAML strictly: what it does not refuse means exactly what it looks like."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from vigo.adapters.inventory_yaml import BYTES_MAX, DEPTH_MAX, load, parse
from vigo.core.errors import ConfigError, Exit
from vigo.core.nodes import ListNode, MapNode, ScalarNode

EXAMPLE = """\
defaults:
  ssh: {user: ops, port: 22}
  traits: {site: fra}
groups:
  prod:
    groups:
      web: {traits: {role: web}}
      db:  {traits: {role: db}}
hosts:
  web-[01-04].example.com:
    address: 192.168.56.[11-14]
    groups: [prod.web]
    traits: {os: {distro: ubuntu, version: "24.04"}, rack: r1}
  db-01.example.com:
    uuid: 6f1c6a3e-5f0e-4c39-9d0f-0d2b0d6b6f11
    groups: [prod.db]
"""


def write(folder: Path, text: str | bytes, name: str = "hosts.yaml") -> Path:
    """Write one file and return its path."""
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def refusal(path: Path) -> str:
    """Return the message with which a file is refused."""
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert caught.value.exit_code is Exit.CONFIG
    return str(caught.value)


def test_the_documented_example_loads(tmp_path: Path) -> None:
    """A range makes hosts with addresses of their own, in order, with what their groups and the defaults say."""
    inventory = load(write(tmp_path, EXAMPLE))
    assert [host.name for host in inventory.hosts] == [
        *(f"web-0{n}.example.com" for n in (1, 2, 3, 4)),
        "db-01.example.com",
    ]
    assert [host.address for host in inventory.hosts] == [*(f"192.168.56.{n}" for n in (11, 12, 13, 14)), None]
    assert inventory.groups == ("prod", "prod.web", "prod.db")
    assert dict(inventory.hosts[0].traits) == {
        "site": "fra",
        "role": "web",
        "os.distro": "ubuntu",
        "os.version": "24.04",
        "rack": "r1",
    }
    assert (inventory.hosts[4].uuid, inventory.hosts[4].ssh.user) == ("6f1c6a3e-5f0e-4c39-9d0f-0d2b0d6b6f11", "ops")


HOST = "hosts:\n  web-01:\n    "
TRAIT = HOST + "traits:\n      key: "

REFUSED: dict[str, tuple[str | bytes, str]] = {
    "a host twice": ("hosts:\n  a: {}\n  b: {}\n  a: {}\n", "4:3: a: is listed twice, first at"),
    "a host twice, ignoring case": ("hosts:\n  a: {}\n  A: {}\n", "3:3: A: is listed twice"),
    "a host of a range again": ("hosts:\n  a[1-3]: {}\n  a2: {}\n", "3:3: a2: is listed twice"),
    "a top key twice": ("hosts: {a: {}}\nhosts: {b: {}}\n", "2:1: hosts: is listed twice"),
    "a host's key twice": (HOST + "address: a\n    address: b\n", "4:5: address: is listed twice"),
    "an ssh key twice": (HOST + "ssh: {port: 1, port: 2}\n", "3:20: port: is listed twice"),
    "a trait twice": (HOST + "traits: {a: {b: 1, b: 2}}\n", "3:24: b: is listed twice"),
    "a group twice": ("groups:\n  g: {}\n  g: {}\n", "3:3: g: is listed twice"),
    "no": (TRAIT + "no\n", "4:12: key: no would be true, false or null to some; quote it"),
    "Yes": (TRAIT + "Yes\n", "4:12: key: Yes"),
    "off": (TRAIT + "off\n", "4:12: key: off"),
    "True": (TRAIT + "True\n", "4:12: key: True"),
    "a key on": (HOST + "traits: {on: 1}\n", "3:14: on: on would be"),
    "a key 022": (HOST + "traits: {022: 1}\n", "3:14: 022: 022 is no plain whole number; quote it"),
    "a key 7": (HOST + "traits: {7: a}\n", "3:14: 7: is no text, and a key must be one; quote it"),
    "a key true": ("hosts: {true: {}}\n", "1:9: true: is no text"),
    "an empty key": ("hosts: {? : {}}\n", '""'),
    "an octal": (TRAIT + "022\n", "4:12: key: 022"),
    "a hexadecimal": (TRAIT + "0x1F\n", "4:12: key: 0x1F"),
    "a float": (TRAIT + "1.10\n", "4:12: key: 1.10 is no plain whole number; quote it"),
    "a float without digits before": (TRAIT + ".5\n", "4:12: key: .5"),
    "an exponent": (TRAIT + "12e5\n", "4:12: key: 12e5"),
    "infinity": (TRAIT + "-.inf\n", "4:12: key: -.inf"),
    "not a number": (TRAIT + ".NaN\n", "4:12: key: .NaN"),
    "a number too large for JSON": (TRAIT + "1234567890123456\n", "4:12: key: 1234567890123456"),
    "a plus": (TRAIT + "+5\n", "4:12: key: +5"),
    "sexagesimal": (TRAIT + "12:30\n", "4:12: key: 12:30 would be a number of base 60; quote it"),
    "underscores": (TRAIT + "1_000\n", "4:12: key: 1_000"),
    "a date": (TRAIT + "2026-03-13\n", "4:12: key: 2026-03-13 would be a date; quote it"),
    "a time stamp": (TRAIT + "2026-03-13 12:30:00\n", "4:12: key: 2026-03-13 12:30:00 would be a date"),
    "null": (TRAIT + "null\n", "4:12: key: null"),
    "a tilde": (TRAIT + "~\n", "4:12: key: ~"),
    "no value": (TRAIT + "\n", "4:11: key: is nothing, must be one value"),
    "a float in a list": (TRAIT + "[a, 1.5]\n", "4:16: key: 1.5"),
    "a list in a list": (TRAIT + "[a, [b]]\n", "4:16: key: is a list, must be one value"),
    "a control character": (TRAIT + '"a\\x1b[0m"\n', "4:12: key: holds a control character; leave it out"),
    "a trait's key with a dot": (
        HOST + "traits: {os.distro: x}\n",
        "3:14: os.distro: a trait's key has no dots; nest it, os: {distro: …}",
    ),
    "a trait's key with a blank": (HOST + "traits: {a b: x}\n", "3:14: a b: is no trait's key"),
    "a tab": ("hosts:\n\ta: {}\n", "2:1: YAML: found character"),
    "a byte order mark": (b"\xef\xbb\xbfhosts: {a: {}}\n", "1:1: encoding: begins with a byte order mark"),
    "UTF-16": ("hosts: {a: {}}\n".encode("utf-16"), "1:1: encoding: is UTF-16, must be UTF-8"),
    "UTF-16 without a mark": ("hosts: {a: {}}\n".encode("utf-16-le"), "1:2: U+0000"),
    "latin-1": ("hosts:\n  # für\n  a: {}\n".encode("latin-1"), "2:6: byte 0xfc: is not UTF-8"),
    "NUL": (b"hosts:\n  a\0: {}\n", "2:4: U+0000: no such character may stand in the file"),
    "an escape": (b"hosts: {} # \x1b[2J\n", "1:13: U+001B"),
    "an empty file": ("", "1:1: hosts.yaml: is empty; write `hosts:`"),
    "only comments": ("# nothing\n# yet\n", "1:1: hosts.yaml: is empty"),
    "only a separator": ("---\n", "1:1: hosts.yaml: is empty"),
    "a list": ("- a\n- b\n", "1:1: hosts.yaml: is a list, must be a map"),
    "a text": ("hosts\n", "1:1: hosts.yaml: is text, must be a map"),
    "hosts as a list": ("hosts:\n  - a\n", "2:3: hosts: is a list, must be a map"),
    "a host as a text": ("hosts:\n  a: b\n", "2:6: a: is text, must be a map"),
    "two documents": ("hosts: {a: {}}\n---\nhosts: {b: {}}\n", "2:1: ---: begins a second document"),
    "an unknown key": ("hosts: {a: {adress: x}}\n", "1:13: adress: unknown key; did you mean 'address'?"),
    "an unknown key at the top": ("host: {a: {}}\n", "1:1: host: unknown key; did you mean 'hosts'?"),
    "an unknown key far from any": ("hosts: {a: {zzz: x}}\n", "1:13: zzz: unknown key; known here: address, uuid"),
    "a key of the wrong case": ("Hosts: {a: {}}\n", "1:1: Hosts: unknown key; did you mean 'hosts'?"),
    "an unknown ssh key": (HOST + "ssh: {usr: x}\n", "3:11: usr: unknown key; did you mean 'user'?"),
    "a way through nobody": (HOST + "ssh: {jump: x}\n", "3:17: jump: there is no host 'x'"),
    "port 0": (HOST + "ssh: {port: 0}\n", "3:17: port: 0 is out of bounds; write 1-65535"),
    "port 65536": (HOST + "ssh: {port: 65536}\n", "3:17: port: 65536 is out of bounds"),
    "a quoted port": (HOST + 'ssh: {port: "22"}\n', "3:17: port: is text, must be a number"),
    "port 22.0": (HOST + "ssh: {port: 22.0}\n", "3:17: port: 22.0 is no plain whole number"),
    "port true": (HOST + "ssh: {port: true}\n", "3:17: port: is true or false, must be a number"),
    "user 1000": (HOST + "ssh: {user: 1000}\n", "3:17: user: is a number, must be text; quote it"),
    "a user that is an option": (HOST + "ssh: {user: -oProxyCommand=x}\n", "3:17: user: begins with -"),
    "a user with a blank": (HOST + 'ssh: {user: "a b"}\n', "3:17: user: 'a b' is no user name"),
    "an empty user": (HOST + 'ssh: {user: ""}\n', "3:17: user: is empty"),
    "a connect timeout of 0": (HOST + "ssh: {connect_timeout: 0}\n", "3:28: connect_timeout: '0' is too short"),
    "a connect timeout in words": (
        HOST + "ssh: {connect_timeout: soon}\n",
        "3:28: connect_timeout: 'soon' is not a duration",
    ),
    "an ssh map that is a list": (HOST + "ssh: [user]\n", "3:10: ssh: is a list, must be a map"),
    "a host with a blank": ("hosts: {a b: {}}\n", "1:9: a b: holds a blank, which no name may"),
    "a host with a semicolon": ("hosts: {a;b: {}}\n", "1:9: a;b: holds ;"),
    "a host with a substitution": ("hosts: {$(id): {}}\n", "1:9: $(id): holds $"),
    "a host that is an option": ("hosts: {-oProxyCommand=x: {}}\n", "1:9: -oProxyCommand=x: begins with -"),
    "a host with a newline": ('hosts: {"a\\nb": {}}\n', "1:9: a\\nb: holds a blank"),
    "a host with a quote": ("hosts: {a'b: {}}\n", "1:9: a'b: holds"),
    "a host with a bidi control": ('hosts: {"a\\u202eb": {}}\n', "1:9: a\\u202eb: holds U+202E"),
    "a host of 300 characters": ("hosts: {" + "a" * 300 + ": {}}\n", "has 300 characters, at most 253"),
    "an empty host": ('hosts: {"": {}}\n', '1:9: "": is no name'),
    "a host called all": ("hosts: {All: {}}\n", "1:9: All: is a word of the target grammar"),
    "a host called run:x": ("hosts: {'run:x': {}}\n", "1:9: run:x: is a word of the target grammar"),
    "a list as a key": ("hosts: {? [a] : {}}\n", "1:11: hosts: is a key made of a list or a map"),
    "a tag": (TRAIT + "!!str 5\n", "4:12: key: has the tag"),
    "a python tag": (TRAIT + "!!python/object/apply:os.system [id]\n", "4:12: key: has the tag"),
    "a merge key": ("hosts:\n  a: {}\n  b:\n    <<: {}\n", "4:5: <<: << merges maps"),
    "an anchor": ("hosts:\n  a: &x {}\n  b: *x\n", "2:6: a: uses the anchor 'x'"),
    "an alias": ("hosts:\n  b: *x\n", "2:6: b: uses the anchor 'x'"),
    "half a flow map": ("hosts: {a: {}\n", "YAML:"),
    "a bracket that is no range": ("hosts: {'a[x]': {}}\n", "1:9: a[x]: has a bracket that is no range"),
    "a range that runs backwards": ("hosts: {'a[3-1]': {}}\n", "1:9: a[3-1]: [3-1] runs backwards"),
    "addresses for another number of hosts": (
        "hosts:\n  a[1-3]: {address: '10.0.0.[1-2]'}\n",
        "2:21: address: stands for 2 addresses, the name for 3",
    ),
    "one address for a range": ("hosts:\n  a[1-3]: {address: 10.0.0.1}\n", "2:21: address: is one address for 3 hosts"),
    "an address with a semicolon": ("hosts: {a: {address: 'x;y'}}\n", "1:22: address: x;y holds ;"),
    "an address in two places": ("hosts: {a: {address: b, ssh: {address: c}}}\n", "1:40: address: is also given at"),
    "a UUID on a range": (
        "hosts:\n  a[1-2]: {uuid: 6f1c6a3e-5f0e-4c39-9d0f-0d2b0d6b6f11}\n",
        "2:18: uuid: stands on a range",
    ),
    "a UUID that is none": ("hosts: {a: {uuid: abc}}\n", "1:19: uuid: 'abc' is no UUID"),
    "a UUID twice": (
        "hosts:\n  a: {uuid: 6f1c6a3e-5f0e-4c39-9d0f-0d2b0d6b6f11}\n  b: {uuid: 6F1C6A3E-5f0e-4c39-9d0f-0d2b0d6b6f11}\n",
        "3:7: uuid: a and b have the same one",
    ),
    "an unknown group": (
        "groups: {prod: {}}\nhosts: {a: {groups: [prd]}}\n",
        "2:21: groups: there is no group 'prd'; did you mean prod?",
    ),
    "a group twice in a host": ("groups: {g: {}}\nhosts: {a: {groups: [g, g]}}\n", "2:21: groups: 'g' is listed twice"),
    "groups as a text": ("groups: {g: {}}\nhosts: {a: {groups: g}}\n", "2:21: groups: is text, must be a list"),
    "a group with a dot": ("groups: {a.b: {}}\n", "1:10: a.b: is no name for a group; nest groups"),
    "a group that differs in case": ("groups: {a: {}, A: {}}\n", "1:17: A: differs only in case"),
    "a group's unknown key": ("groups: {a: {hosts: {}}}\n", "1:14: hosts: unknown key"),
    "defaults' unknown key": ("defaults: {groups: {}}\n", "1:12: groups: unknown key"),
    "a task that is a text": ("tasks: {a: uptime}\n", "1:12: a: is text, must be a map"),
}


@pytest.mark.parametrize("document", REFUSED)
def test_a_slip_is_refused_at_its_place(tmp_path: Path, document: str) -> None:
    """Each is a ConfigError with file, line, column, the key, the reason and a way out; nothing is guessed."""
    content, expected = REFUSED[document]
    path = write(tmp_path, content)
    message = refusal(path)
    assert message.startswith(f"{path}:"), message
    assert expected in message
    assert "; " in message
    assert "\n" not in message


PLAIN = {
    "true": True,
    "false": False,
    "0": 0,
    "8": 8,
    "-5": -5,
    "123456789012345": 123456789012345,
    "ubuntu": "ubuntu",
    '"24.04"': "24.04",
    "'no'": "no",
    "1.2.3": "1.2.3",
    "10.0.0.1": "10.0.0.1",
    "fe80::1": "fe80::1",
    "y": "y",
    "n": "n",
    "nobody": "nobody",
    "on-call": "on-call",
    "1st": "1st",
    "-": None,
    "a b": "a b",
    '""': "",
    '"12:30"': "12:30",
    "2026-03": "2026-03",
    "<<<": "<<<",
    "~/key": "~/key",
    "|\n        a\n        b": "a\nb\n",
}


@pytest.mark.parametrize("text", [text for text in PLAIN if text != "-"])
def test_a_plain_word_means_what_it_looks_like(tmp_path: Path, text: str) -> None:
    """Text, whole numbers and lower-case true and false need no quotes; anything quoted is text."""
    value = load(write(tmp_path, f"{TRAIT}{text}\n")).hosts[0].traits["key"]
    assert value == PLAIN[text]
    assert type(value) is type(PLAIN[text])


def test_lists_windows_line_ends_and_bodies_left_empty_are_fine(tmp_path: Path) -> None:
    """What is not ambiguous is not refused: CRLF, a directive, a host or a group with nothing below its key."""
    text = "%YAML 1.1\n---\ngroups:\n  g:\nhosts:\n  a:\n  b: {groups: [g], traits: {tags: [x, 8, true]}}\n...\n"
    inventory = load(write(tmp_path, text.replace("\n", "\r\n")))
    assert [host.name for host in inventory.hosts] == ["a", "b"]
    assert inventory.hosts[1].traits["tags"] == ("x", 8, True)


def test_nodes_know_where_they_stand() -> None:
    """Marks count from 1, for keys and for values."""
    root = parse(b"a:\n  b: [x, 5]\n", "f.yaml")
    inner = root.entries["a"].node
    assert isinstance(inner, MapNode)
    assert str(inner.entries["b"].mark) == "f.yaml:2:3"
    items = inner.get("b")
    assert isinstance(items, ListNode)
    assert [(str(item.mark), item.value) for item in items.items if isinstance(item, ScalarNode)] == [
        ("f.yaml:2:7", "x"),
        ("f.yaml:2:10", 5),
    ]


def test_a_folder_is_its_sorted_files_merged(tmp_path: Path) -> None:
    """`*.yaml` and `*.yml`, not recursive, hidden ones left out; groups and defaults merge key by key."""
    write(tmp_path, "hosts: {b: {groups: [prod.web]}}\ndefaults: {traits: {x: 1}}\n", "20.yml")
    write(tmp_path, "hosts: {a: {}}\ngroups: {prod: {traits: {env: prod}}}\ntasks: {t: {command: id}}\n", "10.yaml")
    write(
        tmp_path,
        "groups: {prod: {groups: {web: }}}\ndefaults: {traits: {y: 2}}\ntasks: {u: {command: id}}\n",
        "30.yaml",
    )
    write(tmp_path, "not: yaml: at all", "notes.txt")
    write(tmp_path, "}", ".hidden.yaml")
    (tmp_path / "below").mkdir()
    write(tmp_path / "below", "hosts: {c: {}}", "c.yaml")
    inventory = load(tmp_path)
    assert [host.name for host in inventory.hosts] == ["a", "b"]
    assert dict(inventory.hosts[1].traits) == {"x": 1, "y": 2, "env": "prod"}
    assert list(inventory.tasks) == ["t", "u"]
    assert inventory.source == str(tmp_path)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("hosts: {a: {}}", "hosts: {a: {}}", "b.yaml:1:9: a: is listed twice, first at {}/a.yaml:1:9"),
        (
            "tasks: {a: {command: x}}",
            "tasks: {a: {command: x}}",
            "b.yaml:1:9: a: is listed twice, first at {}/a.yaml:1:9",
        ),
        (
            "groups: {g: {traits: {x: 1}}}",
            "groups: {g: {traits: {x: 1}}}",
            "b.yaml:1:23: x: is listed twice, first at {}/a.yaml:1:23",
        ),
        (
            "defaults: {ssh: {user: a}}",
            "defaults: {ssh: {user: b}}",
            "b.yaml:1:18: user: is listed twice, first at {}/a.yaml:1:18",
        ),
    ],
)
def test_one_thing_in_two_files_names_both_places(tmp_path: Path, first: str, second: str, expected: str) -> None:
    """Which of the two would win is never decided by the files' names."""
    write(tmp_path, first, "a.yaml")
    write(tmp_path, second, "b.yaml")
    assert expected.format(tmp_path) in refusal(tmp_path)


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    """An empty inventory by mistake is no inventory."""
    assert "holds no *.yaml or *.yml" in refusal(tmp_path)


def test_what_is_no_regular_file_is_refused_unread(tmp_path: Path) -> None:
    """A pipe that nobody writes to does not block, a device is not read, a folder is no file, and nothing is nothing."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert "is not a regular file" in refusal(pipe)
    assert "is not a regular file" in refusal(Path("/dev/zero"))
    assert "No such file" in refusal(tmp_path / "missing.yaml")
    assert "null" in refusal(Path("a\0b"))
    (tmp_path / "folder" / "x.yaml").mkdir(parents=True)
    assert "Is a directory" in refusal(tmp_path / "folder")


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    """A folder of files by mistake (a home, a cache) is not read."""
    for number in range(1_001):
        (tmp_path / f"{number}.yaml").touch()
    assert "holds 1001 files" in refusal(tmp_path)


def test_deep_nesting_is_refused_where_it_becomes_too_deep() -> None:
    """The depth is counted on the parser's events; twenty levels are allowed."""
    parse(b"a: " + b"[" * (DEPTH_MAX - 1) + b"]" * (DEPTH_MAX - 1), "f")
    with pytest.raises(ConfigError, match=r"^f:1:23: a: is nested deeper than 20 levels"):
        parse(b"a: " + b"[" * DEPTH_MAX + b"]" * DEPTH_MAX, "f")


BOMBS = {
    "aliases": "a: &a [x,x,x,x,x,x,x,x,x]\n"
    + "".join(
        f"{this}: &{this} [{','.join(['*' + last] * 9)}]\n" for last, this in zip("abcdefgh", "bcdefghi", strict=True)
    ),
    "self-reference": "hosts: &a\n  b: *a\n",
    "5,000 brackets": "hosts: " + "[" * 5_000,
    "100,000 brackets": "[" * 100_000,
    "100,000 braces": "{a: " * 100_000,
    "a million hosts": "hosts:\n" + "".join(f"  h{number}:\n" for number in range(1_000_000)),
    "a range of a billion": "hosts: {'h[0-999999999]': {}}\n",
    "ranges of ranges": "hosts: {'h[1-9999].[1-9999].[1-9999]': {}}\n",
    "a list of millions": "hosts: [" + "a," * 4_000_000 + "]\n",
    "too large": "#" * (BYTES_MAX + 1),
    "two ranges of hosts": "hosts: {'a[1-60000]': {}, 'b[1-60000]': {}}\n",
    "a number of a million digits": "hosts: {a: {traits: {x: " + "9" * 1_000_000 + "}}}\n",
    "a quote that never ends": "hosts: '" + "a\n" * 1_000_000,
}

CHILD = """
import json, sys, time
from pathlib import Path
from vigo.adapters.inventory_yaml import load
from vigo.core.errors import ConfigError
start = time.process_time()
try:
    load(Path(sys.argv[1]))
    message = ""
except ConfigError as error:
    message = str(error)
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM:"))
print(json.dumps([message, time.process_time() - start, int(peak.split()[1]) // 1024]))
"""


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_does_not_go_off(tmp_path: Path, bomb: str) -> None:
    """It is refused in words, within 200 MB."""
    path = write(tmp_path, BOMBS[bomb])
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(path)], capture_output=True, text=True, check=True, timeout=60
    )
    message, seconds, peak_mb = json.loads(done.stdout)
    print(f"{bomb}: {seconds:.2f} s of CPU, {peak_mb} MB: {message[:120]}")
    assert message.startswith(str(path))
    assert "; " in message
    assert len(message) < 500
    assert peak_mb <= 200


@pytest.mark.faults
def test_a_file_of_too_many_values_is_refused() -> None:
    """No list in it is too long and nothing is deep, and yet it is too much for one file."""
    with pytest.raises(ConfigError, match="is value 1,000,001 of the file"):
        parse(("hosts:\n" + ("- [" + "a," * 90_000 + "]\n") * 12).encode(), "f")


@pytest.mark.alone
def test_loading_costs_little_more_than_parsing(tmp_path: Path) -> None:
    """10,000 hosts with traits load in at most 2.5 times the time of PyYAML's own loader, which checks nothing."""
    host = """  web-{0:05d}.example.com:
    address: 10.1.{1}.{2}
    groups: [prod.web]
    traits: {{os: {{distro: ubuntu, version: "24.04"}}, rack: r{2}, cores: 8, ssd: true}}
"""
    head = EXAMPLE[: EXAMPLE.index("hosts:")] + "hosts:\n"
    path = write(tmp_path, head + "".join(host.format(n, n // 250, n % 250) for n in range(10_000)))
    ours, theirs = [], []
    inventory = load(path)
    for _ in range(2):
        start = time.process_time()
        load(path)
        ours.append(time.process_time() - start)
        start = time.process_time()
        yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)
        theirs.append(time.process_time() - start)
    assert len(inventory.hosts) == 10_000
    assert len({id(host.ssh) for host in inventory.hosts}) == 1
    print(f"10,000 hosts: {min(ours):.2f} s against {min(theirs):.2f} s: {min(ours) / min(theirs):.2f} times")
    assert min(ours) <= 2.5 * min(theirs)
