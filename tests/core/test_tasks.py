"""Named tasks: what is read from the file, what is refused there, and which word means one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.nodekit import MARK, map_node
from vigo.core.errors import ConfigError, UsageError
from vigo.core.gate import GatePolicy
from vigo.core.model import Limits
from vigo.core.params import ParamType
from vigo.core.placeholders import Slot
from vigo.core.plan import OnStop, Policy
from vigo.core.quantity import Quantity
from vigo.core.shape import HostOrder, Shape
from vigo.core.task_keys import SETTINGS
from vigo.core.tasks import TEXT_BYTES_MAX, Meaning, NamedTask, choose, read_task


def task(**entries: Any) -> NamedTask:
    """Read a task named restart-app."""
    return read_task("restart-app", map_node(**entries))


def complaint(**entries: Any) -> str:
    """Return what reading such a task complains about."""
    with pytest.raises(ConfigError) as caught:
        task(**entries)
    assert str(caught.value).startswith("tasks.yaml:7:3: ")
    return str(caught.value)


ALL_KEYS: dict[str, Any] = {
    "description": "Restart the application",
    "command": "systemctl restart app-{{ env }}",
    "params": {"env": {"type": "choice", "choices": ["staging", "prod"], "required": True}},
    "target": "@prod.web",
    "timeout": "2m",
    "nice": 10,
    "kill_on_disconnect": True,
    "connect_timeout": 3,
    "fanout": 7,
    "order": "random",
    "seed": 42,
    "spread": "rack",
    "batch_by": "site.zone",
    "batch_order": ["a", 2, True],
    "batch_size": "1,25%",
    "pause": "30s",
    "stop_after": 1,
    "max_failures": 2,
    "max_unreachable": "10%",
    "on_stop": "pause",
    "accept_exit": [0, 3],
    "health_check_url": ["http://lb.example.com/{{ env }}", "http://{{ address }}:8080/?rack={{ trait.rack }}"],
    "health_check_command": "systemctl is-active app-{{ env }}",
    "health_check_tcp": 8080,
    "health_check_timeout": "500ms",
    "health_check_interval": "100ms",
    "health_check_deadline": 60,
    "health_check_stable": "10s",
    "health_check_expect": "200-299,304",
    "health_check_baseline": True,
    "rollback_command": "systemctl restart app-old-{{ env }}",
    "exclusive": True,
    "sudo": True,
    "sudo_user": "app",
    "doas": True,
}


def test_a_task_is_read_with_all_its_keys() -> None:
    """Numbers and texts are both fine where the grammar has units."""
    read = task(**ALL_KEYS)
    assert (read.name, read.mark, read.description) == ("restart-app", MARK, "Restart the application")
    assert read.command.slots == (Slot("env", bare=True),)
    assert [(spec.name, spec.type) for spec in read.params] == [("env", ParamType.CHOICE)]
    assert (read.target, read.rollback, read.exclusive) == ("@prod.web", "systemctl restart app-old-{{ env }}", True)
    assert [url.text for url in read.health_check_urls] == ALL_KEYS["health_check_url"]
    assert [url.is_per_host for url in read.health_check_urls] == [False, True]
    assert read.health_check_command is not None
    assert read.health_check_command.slots == (Slot("env", bare=True),)


def test_a_tasks_settings_lie_over_the_defaults() -> None:
    """Each key sets its own field of the policy, and nothing else; the gate's texts are there as they are written."""
    assert task(**ALL_KEYS).over(Policy(kept_bytes=5, limits=Limits(grace_ms=1))) == Policy(
        limits=Limits(timeout_ms=120_000, grace_ms=1, nice=10, kill_on_disconnect=True),
        connect_timeout_ms=3_000,
        fanout=7,
        shape=Shape(HostOrder.RANDOM, 42, "rack", "site.zone", ("a", "2", "true")),
        batch_sizes=(Quantity(1), Quantity(25, percent=True)),
        pause_ms=30_000,
        stop_after=1,
        failures_max=Quantity(2),
        unreachable_max=Quantity(10, percent=True),
        on_stop=OnStop.PAUSE,
        accept_exit=(0, 3),
        gate=GatePolicy(
            urls=tuple(ALL_KEYS["health_check_url"]),
            command="systemctl is-active app-{{ env }}",
            tcp_port=8080,
            timeout_ms=500,
            interval_ms=100,
            deadline_ms=60_000,
            stable_ms=10_000,
            expect=((200, 299), (304, 304)),
            baseline=True,
        ),
        kept_bytes=5,
        sudo=True,
        sudo_user="app",
        doas=True,
    )


def test_a_setting_of_nothing_is_a_setting_too() -> None:
    """A budget, a niceness, a pause or a deadline of 0, and a plain false."""
    defaults = Policy(limits=Limits(nice=5, kill_on_disconnect=True), failures_max=Quantity(9), pause_ms=7, fanout=7)
    entries: dict[str, Any] = {
        "nice": 0,
        "max_failures": 0,
        "pause": 0,
        "kill_on_disconnect": False,
        "exclusive": False,
    }
    read = task(command="uptime", **entries)
    assert read.over(defaults) == Policy(failures_max=Quantity(0), fanout=7)
    assert not read.exclusive


def test_the_example_has_every_setting() -> None:
    """So that a key without a test is found."""
    assert {setting.key for setting in SETTINGS} < set(ALL_KEYS)


def test_a_task_needs_a_command_and_nothing_else() -> None:
    """What is left out is left to the flag or the default."""
    read = task(command="uptime", description="")
    assert read == NamedTask("restart-app", MARK, read.command)
    assert read.over(Policy(fanout=7)) == Policy(fanout=7)
    assert complaint(description="x").endswith("restart-app: has no command; write command: …")


def test_one_url_needs_no_list() -> None:
    """As it was before there could be several."""
    read = task(command="uptime", health_check_url="http://lb/")
    assert read.over(Policy()).gate.urls == ("http://lb/",)


def test_a_rollback_may_name_another_task() -> None:
    """Which it is, is decided where it is run, as for any word."""
    assert task(command="uptime", rollback_command="restart-old").rollback == "restart-old"


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ({"comand": "x"}, "comand: unknown key; did you mean 'command'?"),
        ({"command": "x", "exclusiv": True}, "exclusiv: unknown key; did you mean 'exclusive'?"),
        ({"command": "x", "exclusive": "yes"}, "exclusive: is text, must be true or false"),
        ({"command": "x", "kill_on_disconnect": 1}, "kill_on_disconnect: is a number, must be true or false"),
        ({"command": "x", "connect_timeout": 0}, "connect_timeout: '0' is too short"),
        ({"command": "x", "fanout": 0}, "fanout: 0 is out of bounds"),
        ({"command": "x", "order": "by-name"}, "order: 'by-name' is not known here; write inventory or name or random"),
        ({"command": "x", "on_stop": "wait"}, "on_stop: 'wait' is not known here; write abort or pause"),
        ({"command": "x", "seed": -1}, "seed: -1 is out of bounds"),
        (
            {"command": "x", "spread": "rack=1"},
            "spread: 'rack=1' is not the path of a trait; write one such as os.distro",
        ),
        ({"command": "x", "batch_by": "a..b"}, "batch_by: 'a..b' is not the path of a trait"),
        ({"command": "x", "batch_by": "a", "batch_order": "b"}, "batch_order: is text, must be a list"),
        ({"command": "x", "batch_by": "a", "batch_order": []}, "batch_order: is an empty list; leave the key out"),
        ({"command": "x", "batch_by": "a", "batch_order": ["2", 2]}, "batch_order: '2' is listed twice; remove it"),
        ({"command": "x", "batch_order": ["b"]}, "batch_order: orders the values of batch_by; write batch_by: TRAIT"),
        ({"command": "x", "pause": "soon"}, "pause: 'soon' is not a duration"),
        ({"command": "x", "stop_after": 0}, "stop_after: 0 is out of bounds"),
        ({"command": "x", "max_unreachable": -1}, "max_unreachable: '-1' is not a quantity"),
        ({"command": "x", "accept_exit": 3}, "accept_exit: is a number, must be a list"),
        ({"command": "x", "accept_exit": [0, 256]}, "accept_exit: 256 is out of bounds; write 0-255"),
        ({"command": "x", "accept_exit": [0, 0]}, "accept_exit: '0' is listed twice; remove it"),
        ({"command": "x", "accept_exit": []}, "accept_exit: is an empty list"),
        ({"command": "x", "health_check_tcp": 65_536}, "health_check_tcp: 65536 is out of bounds; write 1-65535"),
        ({"command": "x", "health_check_tcp": 1, "health_check_timeout": 0}, "health_check_timeout: '0' is too short"),
        (
            {"command": "x", "health_check_tcp": 1, "health_check_interval": "99ms"},
            "health_check_interval: '99ms' is too short; the least is 100ms",
        ),
        (
            {"command": "x", "health_check_url": "http://a/", "health_check_expect": "2xx"},
            "health_check_expect: '2xx' are not HTTP status codes",
        ),
        (
            {"command": "x", "health_check_baseline": True},
            "health_check_baseline: there is nothing to ask; add health_check_url, health_check_command or health_check_tcp",
        ),
        (
            {"command": "x", "health_check_tcp": 1, "health_check_deadline": 5, "health_check_stable": 5},
            "health_check_stable: 5000ms cannot be seen before health_check_deadline (5000ms) has passed",
        ),
        ({"command": "x", "health_check_url": []}, "health_check_url: is an empty list"),
        ({"command": "x", "health_check_url": ["http://a/", 1]}, "health_check_url: is a number, must be text"),
        ({"command": "x", "health_check_url": "http://a/{b}"}, "'http://a/{b}' holds `{` outside of a placeholder"),
        ({"command": "x", "health_check_command": " "}, "health_check_command: the command is empty"),
        ({"command": "x", "health_check_command": "a {{ b }}"}, "health_check_command: {{ b }} is not declared"),
        (
            {"command": "x", "rollback_command": "'{{ host }}'"},
            "rollback_command: {{ host }} stands inside single quotes",
        ),
        ({"command": 5}, "command: is a number, must be text; quote it"),
        ({"command": ""}, "command: is empty"),
        ({"command": " \n"}, "the command is empty"),
        ({"command": "a\0"}, "NUL"),
        ({"command": "x" * (TEXT_BYTES_MAX + 1)}, "command: is longer than 65,536 bytes; run it as a script"),
        (
            {"command": "ls '{{ host }}'"},
            "command: {{ host }} stands inside single quotes; write it outside the quotes",
        ),
        ({"command": "x", "nice": 20}, "nice: 20 is out of bounds; write 0-19"),
        ({"command": "x", "nice": "5"}, "nice: is text, must be a number"),
        ({"command": "x", "timeout": 0}, "timeout: '0' is too short"),
        ({"command": "x", "timeout": True}, "timeout: 'True' is not a duration"),
        ({"command": "x", "batch_size": 0}, "batch_size: '0' is too small"),
        ({"command": "x", "batch_size": ["1"]}, "batch_size: is a list, must be one value"),
        ({"command": "x", "max_failures": "101%"}, "max_failures: '101%' is more than all targets"),
        ({"command": "x", "target": ""}, "target: is empty"),
        ({"command": "x", "description": 1}, "description: is a number"),
        ({"command": "x", "health_check_url": "ftp://a/"}, "only http:// and https:// can be asked"),
        ({"command": "x", "health_check_url": "http://u:p@a/"}, "user names and passwords do not belong in a URL"),
        ({"command": "x", "health_check_url": "http://a/{{ b }}"}, "health_check_url: {{ b }} is not declared"),
        (
            {"command": "x", "params": {"t": {"secret": True}}, "health_check_url": "http://a/{{ t }}"},
            "health_check_url: {{ t }} is secret; leave it out; URLs are on record",
        ),
        ({"command": "x", "params": []}, "params: is a list, must be a map"),
        ({"command": "x", "params": {"p": {"type": "flt"}}}, "type: 'flt' is not a type"),
    ],
)
def test_what_is_wrong_with_a_task_is_told_with_its_place(entries: dict[str, Any], expected: str) -> None:
    """File, line, column, key, reason and way out; nothing is ever ignored."""
    assert expected in complaint(**entries)


@pytest.mark.parametrize(
    ("placeholder", "hint"),
    [
        ("{{ evn }}", "{{ evn }} is not declared; did you mean 'env'?"),
        ("{{ zone }}", "{{ zone }} is not declared; declare it under params"),
        ("{{ hots }}", "did you mean 'host'?"),
        ("{{ trait }}", "did you mean 'trait.PATH'?"),
        ("{{ traits.os }}", "{{ traits.os }} is not declared"),
        ("'{{ evn }}'", "{{ evn }} is not declared; did you mean 'env'?"),
        ("'{{ end }}'", "{{ end }} is not declared"),
    ],
)
def test_an_undeclared_placeholder_is_an_error_when_the_file_is_read(placeholder: str, hint: str) -> None:
    """The nearest declared name is shown, also where no value could stand."""
    assert hint in complaint(command=f"ls {placeholder}", params={"env": {}})


@pytest.mark.parametrize("name", ["", "-a", "a b", "a/b", "a\nb", "ä", "a" * 65])
def test_a_tasks_name_is_one_plain_word(name: str) -> None:
    """A word with blanks is always a command."""
    with pytest.raises(ConfigError, match="is not a task's name"):
        read_task(name, map_node(command="x"))


def test_a_word_that_names_a_task_is_the_task() -> None:
    """Anything else is a command, and `--as` decides otherwise."""
    names = ("restart-app", "uptime")
    assert choose("restart-app", names) is Meaning.TASK
    assert choose("restart-app now", names) is Meaning.COMMAND
    assert choose("uptime", names, "command") is Meaning.COMMAND
    assert choose("uptime", names, "task") is Meaning.TASK


@pytest.mark.parametrize(
    ("word", "names", "hint"),
    [
        ("restrt-app", ["restart-app", "x"], "did you mean 'restart-app'?"),
        ("zzz", ["b", "a"], "known: a, b"),
        ("zzz", [], "the inventory has no tasks"),
    ],
)
def test_an_unknown_task_is_told_with_the_nearest_names(word: str, names: list[str], hint: str) -> None:
    """`--as task` insists."""
    with pytest.raises(UsageError) as caught:
        choose(word, names, "task")
    assert str(caught.value) == f"task {word!r}: there is no such task; {hint}"
