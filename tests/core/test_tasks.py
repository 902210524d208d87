"""Named tasks: what is read from the file, what is refused there, and which word means one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.nodekit import MARK, map_node
from vigo.core.errors import ConfigError, UsageError
from vigo.core.model import Limits
from vigo.core.params import ParamType
from vigo.core.placeholders import Slot
from vigo.core.plan import Policy
from vigo.core.quantity import Quantity
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


def test_a_task_is_read_with_all_its_settings() -> None:
    """Numbers and texts are both fine where the grammar has units."""
    read = task(
        description="Restart the application",
        command="systemctl restart app-{{ env }}",
        params={"env": {"type": "choice", "choices": ["staging", "prod"], "required": True}},
        target="@prod.web",
        timeout="2m",
        batch_size="1,25%",
        max_failures=2,
        nice=10,
        health_check_url="http://lb.example.com/{{ env }}?host={{ host }}",
    )
    assert (read.name, read.mark, read.description) == ("restart-app", MARK, "Restart the application")
    assert read.command.slots == (Slot("env", bare=True),)
    assert [(spec.name, spec.type) for spec in read.params] == [("env", ParamType.CHOICE)]
    assert (read.target, read.timeout_ms, read.nice) == ("@prod.web", 120_000, 10)
    assert read.batch_sizes == (Quantity(1), Quantity(25, percent=True))
    assert read.max_failures == Quantity(2)
    assert read.health_check_url is not None
    assert read.health_check_url.is_per_host


def test_a_task_needs_a_command_and_nothing_else() -> None:
    """What is left out is left to the flag or the default."""
    read = task(command="uptime", description="")
    assert read == NamedTask("restart-app", MARK, read.command)
    assert read.over(Policy(fanout=7)) == Policy(fanout=7)
    assert complaint(description="x").endswith("restart-app: has no command; write command: …")


def test_a_tasks_settings_lie_over_the_defaults() -> None:
    """A budget of 0 and a niceness of 0 are settings, too; the health check URL waits for its values."""
    read = task(
        command="uptime", timeout=5, batch_size=2, max_failures=0, nice=0, health_check_url="http://lb.example.com/"
    )
    defaults = Policy(limits=Limits(nice=5, grace_ms=1), failures_max=Quantity(9), fanout=7)
    assert read.over(defaults) == Policy(
        limits=Limits(timeout_ms=5_000, nice=0, grace_ms=1),
        batch_sizes=(Quantity(2),),
        failures_max=Quantity(0),
        fanout=7,
    )


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ({"comand": "x"}, "comand: unknown key; did you mean 'command'?"),
        ({"command": "x", "exclusive": True}, "exclusive: unknown key"),
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
        ({"command": "x", "health_check_url": "ftp://a/"}, "only http:// and https:// are probed"),
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
