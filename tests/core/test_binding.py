"""One renderer: from a named task's values, or an ad-hoc command, to the exact text for a host."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.nodekit import map_node
from vigo.core.binding import Bound, adhoc, bind, render
from vigo.core.command import wrap
from vigo.core.errors import ConfigError, UsageError
from vigo.core.guard import Text
from vigo.core.model import Host, Limits, TraitValue
from vigo.core.tasks import TEXT_BYTES_MAX, read_task

WEB = Host("web-01", "u", address="192.168.56.11", traits={"rack": "r 1", "slot": 3, "ssd": True, "ips": ("a",)})


def bound(
    command: str, given: dict[str, str] | None = None, secrets: dict[str, str] | None = None, **more: Any
) -> Bound:
    """Bind a task named t whose params are `env` (default staging) and the secret `api-token`."""
    params = {"env": {"default": "staging"}, "api-token": {"secret": True}}
    task = read_task("t", map_node(command=command, params=params, **more))
    return bind(task, given or {}, {"api-token": "hunter22"} if secrets is None else secrets)


def test_every_host_gets_the_same_object_when_hosts_do_not_differ() -> None:
    """Ten thousand hosts cost one rendering."""
    one = bound("systemctl restart app-{{ env }}")
    assert render(one, WEB) is render(one, Host("web-02", "v"))
    assert render(one, WEB) == Text("systemctl restart app-staging")
    assert render(bound("ls {{ env }}", {"env": "a b"}), WEB) == Text("ls 'a b'")


def test_a_host_fills_in_its_own_placeholders() -> None:
    """Name, address (the name, where none is given) and traits, as text; each is one word."""
    one = bound("ls {{ host }} {{ address }} {{ trait.rack }} {{ trait.slot }} {{ trait.ssd }} {{ env }}")
    assert render(one, WEB) == Text("ls web-01 192.168.56.11 'r 1' 3 true staging")
    assert render(adhoc("ls {{ address }}", expand=True), Host("web-02", "v")) == Text("ls web-02")


def test_a_secret_is_judged_in_full_and_travels_apart() -> None:
    """The text in argv has a variable that is one word; what is shown and recorded has neither."""
    one = bound("login {{ env }} --token={{ api-token }} {{ host }}", {"env": "prod"}, {"api-token": "it's; rm"})
    text = render(one, WEB)
    assert text.judged == "login prod --token='it'\\''s; rm' web-01"
    assert text.wire == 'login prod --token="$VIGO_PARAM_API_TOKEN" web-01'
    assert text.secrets == (("VIGO_PARAM_API_TOKEN", "it's; rm"),)
    assert one.shown == "login {{ env }} --token={{ api-token }} {{ host }}"
    assert one.params == (("env", "prod"), ("api-token", "***"))
    assert one.masked == ("it's; rm",)
    assert "rm" not in repr(one)
    wire = wrap(text.wire, text.secrets, Limits(), "r1")
    assert "rm" not in wire.exec_string


def test_a_secret_that_the_command_does_not_use_stays_here() -> None:
    """It is not sent to any host."""
    assert render(bound("ls {{ env }}"), WEB).secrets == ()


def test_params_that_do_not_fit_are_refused_before_anything_is_rendered() -> None:
    """Unknown, missing and ill-typed ones."""
    with pytest.raises(UsageError, match="--param evn: task t has no such param"):
        bound("ls", {"evn": "a"})
    with pytest.raises(UsageError, match="--param api-token: is missing"):
        bound("ls", {}, {})


@pytest.mark.parametrize(
    ("traits", "reason"),
    [
        ({}, "host db-01 has no trait rack; set it, or leave the host out"),
        ({"rack": ("a", "b")}, "trait rack of host db-01 is a list; a placeholder takes one value"),
        ({"rack": "a\0"}, "trait rack of host db-01 holds a NUL character"),
    ],
)
def test_a_host_that_cannot_fill_in_a_trait_is_an_error(traits: dict[str, TraitValue], reason: str) -> None:
    """In a named task it is the file's fault, in an ad-hoc command the command line's."""
    host = Host("db-01", "u", traits=traits)
    for command, error, start in (
        (bound("ls {{ trait.rack }}"), ConfigError, "task t (tasks.yaml:7:3): {{ trait.rack }}: "),
        (adhoc("ls {{ trait.rack }}", expand=True), UsageError, "--expand: {{ trait.rack }}: "),
    ):
        with pytest.raises(error) as caught:
            render(command, host)
        assert str(caught.value).startswith(start + reason)


@pytest.mark.parametrize("command", ["uptime", "echo '{{ host }}' {{ x }} {{.Names}}", 'echo "$x" \'unended', " a\n"])
def test_an_ad_hoc_command_stays_as_it_is_to_the_byte(command: str) -> None:
    """Nothing in it is a placeholder without `--expand`."""
    one = adhoc(command)
    assert one.shown == command
    assert one.params == ()
    assert render(one, WEB) == Text(command)


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("ls {{ env }}", "--expand: {{ env }} is nothing that a host knows; write host, address or trait.PATH"),
        ("ls '{{ env }}'", "--expand: {{ env }} is nothing that a host knows"),
        ("ls '{{ host }}'", "--expand: {{ host }} stands inside single quotes; write it outside the quotes"),
        ("", "the command is empty"),
        (" \t\n", "the command is empty"),
        ("a\0b", "NUL"),
        ("a\udc80", "not valid text"),
        ("x" * (TEXT_BYTES_MAX + 1), "the command has 65,537 bytes with its values, and at most 65,536 are sent"),
    ],
)
def test_an_ad_hoc_command_that_cannot_be_sent_is_refused(command: str, complaint: str) -> None:
    """With the reason and the way out, never cut."""
    with pytest.raises(UsageError) as caught:
        adhoc(command, expand=True)
    assert complaint in str(caught.value)


def test_a_text_that_values_make_too_long_is_refused() -> None:
    """Quoting counts; for a host's own values the host is named."""
    quotes = "'" * 20_000
    with pytest.raises(UsageError, match="bytes on the wire and a host takes"):
        bound("ls {{ env }}", {"env": quotes[:2_500]})
    with pytest.raises(UsageError, match="the command has 80,005 bytes"):
        bound("ls {{ env }}", {"env": quotes})
    with pytest.raises(UsageError, match="host db-01: the command has"):
        render(adhoc("ls {{ trait.x }}", expand=True), Host("db-01", "u", traits={"x": quotes}))


def test_what_fits_into_the_bound_fits_into_one_argument() -> None:
    """An ASCII text of the greatest length can be wrapped."""
    text = render(adhoc("x" * TEXT_BYTES_MAX), WEB)
    assert wrap(text.wire, text.secrets, Limits(nice=5), "r1").exec_string
