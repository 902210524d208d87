"""One renderer: from a named task's values, or an ad-hoc command, to the exact text for a host."""

from __future__ import annotations

import hashlib
import json
import shlex
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.nodekit import map_node
from vigo.core.binding import (
    Bound,
    adhoc,
    bind,
    check_command,
    check_from_record,
    flag_urls,
    from_record,
    is_per_host,
    render,
    rollback_command,
    secrets_of,
    url_for,
    urls,
    with_data,
)
from vigo.core.chain import canonical
from vigo.core.command import wrap
from vigo.core.errors import ConfigError, UsageError
from vigo.core.events import TaskDispatched
from vigo.core.gate import GatePolicy
from vigo.core.given import Given, Script
from vigo.core.guard import Text
from vigo.core.model import Host, Limits, TraitValue
from vigo.core.payload import from_payload, to_payload
from vigo.core.placeholders import read_url
from vigo.core.plan import Policy
from vigo.core.tasks import TEXT_BYTES_MAX, read_task
from vigo.core.texts import judged_once, texts_digest

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
    one = bound("login {{ env }} --token={{ api-token }} {{ host }}", {"env": "prod"}, {"api-token": "it's; hunter22"})
    text = render(one, WEB)
    assert text.judged == "login prod --token='it'\\''s; hunter22' web-01"
    assert text.wire == 'login prod --token="$VIGO_PARAM_API_TOKEN" web-01'
    assert text.secrets == (("VIGO_PARAM_API_TOKEN", "it's; hunter22"),)
    assert one.shown == "login {{ env }} --token={{ api-token }} {{ host }}"
    assert one.params == (("env", "prod"), ("api-token", "***"))
    assert one.masked == ("it's; hunter22",)
    assert "hunter22" not in repr(one)
    wire = wrap(text.wire, text.secrets, Limits(), "r1")
    assert "hunter22" not in wire.exec_string


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
    with pytest.raises(UsageError, match="the command has 80,005 bytes"):
        bound("ls {{ env }}", {"env": quotes})
    with pytest.raises(UsageError, match="host db-01: the command has"):
        render(adhoc("ls {{ trait.x }}", expand=True), Host("db-01", "u", traits={"x": quotes}))


def test_what_fits_into_the_bound_fits_into_one_argument() -> None:
    """An ASCII text of the greatest length can be wrapped."""
    text = render(adhoc("x" * TEXT_BYTES_MAX), WEB)
    assert wrap(text.wire, text.secrets, Limits(nice=5), "r1").exec_string


def recorded(one: Bound, *, expand: bool = False, check: str | None = None) -> TaskDispatched:
    """Return what the journal gives back of a command that was dispatched."""
    event = TaskDispatched(
        operator="ops",
        command=one.shown,
        target="all",
        batches=(("web-01",),),
        policy=Policy(gate=GatePolicy(command=check)),
        task_name=one.task_name,
        params=one.params,
        secret_params=one.secret_params,
        expand=expand,
    )
    read = from_payload(event.kind, json.loads(canonical(to_payload(event))))
    assert isinstance(read, TaskDispatched)
    return read


def test_a_check_and_a_rollback_have_the_values_of_their_task() -> None:
    """The same params and secrets, each its own template; only the secrets that it uses go with it."""
    one = bound("restart {{ env }}", {"env": "a b"})
    check = check_command("check {{ env }} {{ api-token }} {{ host }}", one)
    assert render(check, WEB).judged == "check 'a b' 'hunter22' web-01"
    assert render(check, WEB).wire == "check 'a b' \"$VIGO_PARAM_API_TOKEN\" web-01"
    back = rollback_command("restart old-{{ env }}", one)
    assert render(back, WEB) == Text("restart old-'a b'")
    assert (one.masked, check.masked, back.masked) == ((), ("hunter22",), ())


def test_beside_an_ad_hoc_command_a_check_is_as_literal_as_the_command() -> None:
    """Its placeholders are filled in with `--expand` and not otherwise."""
    one = adhoc("uptime")
    assert render(check_command("check {{ host }} {{ x }}", one), WEB) == Text("check {{ host }} {{ x }}")
    assert render(check_command("check {{ host }}", one, expand=True), WEB) == Text("check web-01")
    assert render(rollback_command("undo {{ host }}", one, expand=True), WEB) == Text("undo web-01")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "the command is empty"),
        ("check {{ evn }}", "{{ evn }} is no"),
        ("check '{{ host }}'", "{{ host }} stands inside single quotes"),
        ("x" * (TEXT_BYTES_MAX + 1), "65,537 bytes"),
    ],
)
def test_a_check_that_cannot_be_sent_is_refused_with_its_flag(text: str, complaint: str) -> None:
    """Beside a named task as beside an expanded command."""
    for one in (bound("ls"), adhoc("ls")):
        for bind_it, flag in ((check_command, "--health-check-command: "), (rollback_command, "--rollback-command: ")):
            with pytest.raises(UsageError) as caught:
                bind_it(text, one, expand=True)
            assert str(caught.value).startswith(flag)
            assert complaint in str(caught.value) or "is nothing that a host knows" in str(caught.value)


def test_a_check_on_a_host_without_the_trait_is_an_error() -> None:
    """Told with the flag's name and the host's, before anything connects."""
    with pytest.raises(
        ConfigError, match=r"^--health-check-command: \{\{ trait\.rack \}\}: host db-01 has no trait rack"
    ):
        render(check_command("ls {{ trait.rack }}", bound("ls")), Host("db-01", "u"))


VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30) | st.sampled_from(
    ["***", "$(x)", "`x`", "'", "{{ host }}", "a b", "", "-rf", "\n", "\\"]
)
TEMPLATES = st.sampled_from(
    [
        "printf %s {{ env }}",
        "printf %s {{ api-token }} {{ env }}",
        "printf %s {{ host }}-{{ env }} {{ trait.rack }}",
        "printf %s x={{ env }}; printf {{ api-token }}{{ address }}",
        "true",
    ]
)


@given(TEMPLATES, TEMPLATES, VALUES, VALUES)
def test_the_journal_is_enough_to_render_again(command: str, check: str, env: str, token: str) -> None:
    """Whatever the values are: the same text from the record as at first, secrets from wherever they were asked for."""
    one = bound(command, {"env": env}, {"api-token": token})
    read = recorded(one, check=check)
    secrets = dict.fromkeys(secrets_of(read), token)
    assert secrets == {"api-token": token}
    again = from_record(read, secrets)
    assert render(again, WEB) == render(one, WEB)
    assert render(again, WEB).judged == render(one, WEB).judged
    assert (again.shown, dict(again.params), again.secret_params) == (one.shown, dict(one.params), one.secret_params)
    check_again = check_from_record(read, secrets)
    assert check_again is not None
    assert render(check_again, WEB) == render(check_command(check, one), WEB)
    assert render(check_again, WEB).judged == render(check_command(check, one), WEB).judged


@settings(max_examples=200)
@given(VALUES, VALUES, VALUES)
def test_each_value_reaches_the_shell_as_one_word_also_from_the_record(env: str, token: str, rack: str) -> None:
    """Read by the shell's rules for words, not by those that quoted it."""
    one = bound("run a {{ env }} {{ api-token }} {{ trait.rack }} z", {"env": env}, {"api-token": token})
    host = replace(WEB, traits={"rack": rack})
    for text in (render(one, host), render(from_record(recorded(one), {"api-token": token}), host)):
        assert shlex.split(text.judged) == ["run", "a", env, token, rack, "z"]
        assert shlex.split(text.wire) == ["run", "a", env, "$VIGO_PARAM_API_TOKEN", rack, "z"]


def test_three_stars_are_a_value_like_any_other() -> None:
    """A param that is not secret keeps them; a secret is never taken for them."""
    one = bound("ls {{ env }} {{ api-token }}", {"env": "***"})
    read = recorded(one)
    assert dict(read.params) == {"env": "***", "api-token": "***"}
    assert secrets_of(read) == ("api-token",)
    assert render(from_record(read, {"api-token": "s3cret"}), WEB).judged == "ls '***' 's3cret'"
    with pytest.raises(UsageError, match="--param api-token: is secret and not on record; set VIGO_PARAM_API_TOKEN"):
        from_record(read, {})


def test_a_secret_that_is_none_is_refused_without_its_value() -> None:
    """As when it was asked for the first time."""
    with pytest.raises(UsageError, match="--param api-token: holds a NUL character") as caught:
        from_record(recorded(bound("ls {{ api-token }}")), {"api-token": "hunter22\0"})
    assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize("expand", [False, True])
def test_an_ad_hoc_command_comes_back_as_it_was_given(expand: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Expanded if it was, and its check with it."""
    one = adhoc("ls {{ host }}", expand=expand)
    read = recorded(one, expand=expand, check="check {{ address }}")
    assert secrets_of(read) == ()
    assert render(from_record(read, {}), WEB) == render(one, WEB)
    check = check_from_record(read, {})
    assert check is not None
    assert render(check, WEB) == Text("check 192.168.56.11" if expand else "check {{ address }}")
    assert check_from_record(recorded(one), {}) is None


@pytest.mark.parametrize("command", ["ls {{ other }}", "ls '{{ env }}'"])
def test_a_record_that_cannot_be_rendered_is_an_error(command: str) -> None:
    """One that a version with other rules has written; never a text that means something else."""
    read = replace(recorded(bound("ls {{ env }}")), command=command)
    with pytest.raises(ConfigError, match=r"task t as it is on record: .*; a newer vigo may have dispatched it"):
        from_record(read, {"api-token": "x"})


def test_a_host_that_lost_a_trait_since_is_an_error() -> None:
    """A resume does not leave a hole in the command."""
    again = from_record(recorded(bound("ls {{ trait.rack }}")), {"api-token": "x"})
    with pytest.raises(ConfigError, match=r"task t as it is on record: \{\{ trait\.rack \}\}: host db-01 has no trait"):
        render(again, Host("db-01", "u"))


def test_the_digest_of_texts_is_over_names_texts_and_order() -> None:
    """Each of them changes it, and nothing can be moved from one to another."""
    one, two = Text("ls a"), Text("ls b")
    digests = [
        texts_digest(texts)
        for texts in (
            {},
            {"a": one},
            {"a": two},
            {"b": one},
            {"a": one, "b": one},
            {"a": one, "b": two},
            {"b": two, "a": one},
            {"a1": one},
            {"a": Text("1ls a")},
        )
    ]
    assert len(set(digests)) == len(digests)
    assert texts_digest({"a": Text("ls a"), "b": Text("ls b")}) == digests[5]
    wire = hashlib.sha256(b"ls a").digest()
    assert digests[4] == hashlib.sha256(b"1:a" + wire + b"1:b" + wire).hexdigest()


def test_the_digest_of_texts_knows_no_secret() -> None:
    """Another value, the same digest: it stands in the journal for everyone to try values against."""
    first, second = (bound("ls {{ api-token }}", {}, {"api-token": value}) for value in ("hunter22", "other"))
    assert texts_digest({"web-01": render(first, WEB)}) == texts_digest({"web-01": render(second, WEB)})


def test_urls_get_params_at_once_and_hosts_later() -> None:
    """What is on record has the params percent-encoded; each host fills in the rest."""
    own = "http://{{address}}:8080/{{ env }}?host={{ host }}&rack={{ trait.rack }}"
    one = bound("ls", {"env": "a/b{{ host }}"}, health_check_url=["http://lb/{{ env }}", own])
    assert one.task is not None
    same, each = urls(one.task.health_check_urls, one)
    assert same == "http://lb/a%2Fb%7B%7B%20host%20%7D%7D"
    assert each == "http://{{ address }}:8080/a%2Fb%7B%7B%20host%20%7D%7D?host={{ host }}&rack={{ trait.rack }}"
    assert (is_per_host(same), is_per_host(each)) == (False, True)
    assert url_for(same, None) == url_for(same, WEB) == same
    assert url_for(each, WEB) == ("http://192.168.56.11:8080/a%2Fb%7B%7B%20host%20%7D%7D?host=web-01&rack=r%201")


@given(VALUES, VALUES)
def test_a_value_never_becomes_a_placeholder_or_a_delimiter(env: str, rack: str) -> None:
    """Filled in one after the other they give the same URL as all at once."""
    template = "http://lb/{{ env }}/{{ trait.rack }}?{{ env }}#{{ host }}"
    one = bound("ls", {"env": env}, health_check_url=template)
    assert one.task is not None
    (recorded_text,) = urls(one.task.health_check_urls, one)
    assert [slot.name for slot in read_url(recorded_text).slots] == ["trait.rack", "host"]
    url = url_for(recorded_text, replace(WEB, traits={"rack": rack}))
    assert [url.count(sign) for sign in "/?#&{} "] == [4, 1, 1, 0, 0, 0, 0]


def test_an_ipv6_address_is_put_into_brackets() -> None:
    """Where it is the host; elsewhere it is text like any other."""
    host = Host("web-01", "u", address="fd00::11")
    assert url_for("http://{{ address }}:8080/?{{ address }}", host) == "http://[fd00::11]:8080/?fd00%3A%3A11"
    assert url_for("http://lb/?u=http://{{ address }}", host) == "http://lb/?u=http://fd00%3A%3A11"


def test_urls_of_flags_may_differ_from_host_to_host() -> None:
    """Without `--expand`: no URL has braces of its own."""
    given_texts = ["http://lb/", "https://{{ host }}:8443/{{ trait.os.distro }}"]
    assert flag_urls(given_texts) == tuple(given_texts)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("http://lb/{{ env }}", "{{ env }} is nothing that a host knows; write host, address or trait.PATH"),
        ("http://lb/{{.Host}}", "holds `{` outside of a placeholder; write %7B"),
        ("http://lb/}", "holds `}` outside of a placeholder; write %7D"),
        ("ftp://{{ host }}/", "only http:// and https:// can be asked"),
        ("{{ trait.url }}", "only http:// and https:// can be asked"),
        ("http://ops@{{ host }}/", "user names and passwords"),
    ],
)
def test_what_is_no_url_for_a_check_is_refused_with_the_flag(text: str, complaint: str) -> None:
    """Before anything connects."""
    with pytest.raises(UsageError) as caught:
        flag_urls(["http://lb/", text])
    assert str(caught.value).startswith("--health-check-url: ")
    assert complaint in str(caught.value)


def test_a_value_that_spoils_a_url_is_refused() -> None:
    """A param while the task is bound, a trait while its host is planned."""
    one = bound("ls", {"env": "70000"}, health_check_url="http://lb:{{ env }}/")
    assert one.task is not None
    with pytest.raises(
        UsageError, match=r"^task t \(tasks.yaml:7:3\): health_check_url: .* cannot be probed: Port out of"
    ):
        urls(one.task.health_check_urls, one)
    with pytest.raises(UsageError, match=r"'http://r%201/' cannot be probed: r%201 is no host's name"):
        url_for("http://{{ trait.rack }}/", WEB)
    with pytest.raises(UsageError, match=r"'http://\{\{ trait.x \}\}/': \{\{ trait.x \}\}: host web-01 has no trait x"):
        url_for("http://{{ trait.x }}/", WEB)
    with pytest.raises(UsageError, match="cannot be probed"):
        url_for("http://{{ host }}/", None)


def given_script(*args: str) -> Given:
    """Describe a script with arguments, and a variable."""
    return Given((("WHERE", "{{ trait.rack }}"),), script=Script("a", "/a", 3, "ab" * 32, args=args))


def test_variables_and_arguments_are_filled_in_where_the_command_is() -> None:
    """For a named task and with --expand; else they are as typed."""
    filled = adhoc("true", beside=Given((("WHERE", "{{ trait.rack }}"),)), expand=True)
    assert render(filled, WEB).wire == "export WHERE='r 1'\ntrue"
    assert render(adhoc("true", beside=Given((("WHERE", "{{ x }}"),))), WEB).wire == "export WHERE='{{ x }}'\ntrue"
    scripted = adhoc("", beside=given_script("{{ host }}"), data=b"id\n", expand=True)
    text = render(scripted, WEB)
    assert text.given.script is not None
    assert text.given.script.args == ("web-01",)
    assert text.data == b"id\n"
    assert texts_digest({"a": text}) != texts_digest({"a": replace(text, given=Given())})


def test_a_variable_is_on_record_and_so_holds_no_secret_and_nothing_unknown() -> None:
    """Each is refused with the place and the way out."""
    params = {"api-token": {"secret": True}}
    with pytest.raises(ConfigError, match=r"\{\{ api-token \}\} is secret; write it into the command"):
        read_task("t", map_node(command="true", params=params, env={"A": "{{ api-token }}"}))
    with pytest.raises(ConfigError, match="not declared"):
        read_task("t", map_node(command="true", env={"A": "{{ nobody }}"}))
    with pytest.raises(ConfigError, match="decides what the command's words mean"):
        read_task("t", map_node(command="true", env={"PATH": "/x"}))
    task = read_task("t", map_node(command="ls {{ api-token }}", params=params, env={"A": "{{ host }}"}))
    assert render(bind(task, {}, {"api-token": "x"}), WEB).wire.startswith("export A='web-01'\n")
    beside = Given((("B", "{{ api-token }}"),))
    with pytest.raises(UsageError, match="is secret, and a variable's value is on record"):
        bind(task, {}, {"api-token": "x"}, beside)
    with pytest.raises(UsageError, match="nobody"):
        bind(task, {}, {"api-token": "x"}, Given((("B", "{{ nobody }}"),)))


def test_a_script_of_the_record_gets_its_bytes_again() -> None:
    """The record has its digest, and whoever runs it again brings it."""
    scripted = adhoc("", beside=given_script("x"), data=b"id\n")
    dispatched = TaskDispatched("admin", scripted.shown, "all", (("web-01",),), given=scripted.given)
    again = with_data(from_record(from_payload("task.dispatch", to_payload(dispatched)), {}), b"id\n")  # type: ignore[arg-type]
    assert render(again, WEB).wire == render(scripted, WEB).wire
    assert render(again, WEB).data == b"id\n"


def test_what_the_guards_read_is_each_text_once() -> None:
    """In its order, whether hosts share one text or have equal ones."""
    shared = Text("ls a")
    assert judged_once([shared, Text("ls b"), shared, Text("ls a")]) == ["ls a", "ls b"]
