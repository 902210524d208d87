"""The line that asks for a recorded task again says all of it, and vigo itself reads it back."""

from __future__ import annotations

import shlex
from dataclasses import replace

from vigo.core.events import TaskDispatched
from vigo.core.given import Given, Input, Script, Shell
from vigo.core.plan import Policy
from vigo.render.retyped import command_line

TASK = TaskDispatched(operator="ann", command="uptime", target="web-*", batches=(("web-01",),), policy=Policy())


def test_what_is_usual_is_left_out() -> None:
    """The words and the target remain."""
    assert command_line(TASK) == "vigo task run uptime --target 'web-*'"


def test_rights_are_asked_for_again() -> None:
    """By the program that gives them, with the question for a password and without one."""
    sudo = replace(TASK, policy=Policy(sudo=True), reach=(("sudo_password", "asked"),))
    assert command_line(sudo) == "vigo task run uptime --target 'web-*' --sudo --ask-sudo-password"
    doas = replace(TASK, policy=Policy(doas=True, sudo_user="app"))
    assert command_line(doas) == "vigo task run uptime --target 'web-*' --doas --sudo-user app"


def test_what_the_command_was_given_is_given_again() -> None:
    """Variables, shell, input and terminal."""
    given = Given((("A", "it's"),), Shell.BASH, stdin=Input("in", "/in", 1, ""))
    assert shlex.split(command_line(replace(TASK, given=given)))[3:] == [
        "uptime", "--target", "web-*", "--env", "A=it's", "--shell", "bash", "--stdin", "in",
    ]  # fmt: skip
    assert command_line(replace(TASK, given=Given(has_terminal=True))).endswith(" --pty")


def test_a_script_stands_in_the_place_of_the_command() -> None:
    """Its arguments come last, behind `--`."""
    script = Script("a.sh", "/home/ops/a.sh", 1, "", args=("x", "-y z"))
    line = command_line(replace(TASK, given=Given(script=script), policy=Policy(sudo=True)))
    assert line == "vigo task run --script a.sh --target 'web-*' --sudo -- x '-y z'"


def test_a_named_task_is_asked_for_by_its_name() -> None:
    """What it was given stands beside it, because flags win over what the file says now."""
    named = replace(TASK, task_name="restart", given=Given((("A", "1"),), Shell.DASH))
    assert command_line(named) == "vigo task run restart --target 'web-*' --env A=1 --shell dash"
