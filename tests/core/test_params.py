"""What params accept, what they refuse, and how secrets stay secret."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.nodekit import MARK, map_node, node
from vigo.core.errors import ConfigError, UsageError
from vigo.core.params import (
    VALUE_BYTES_MAX,
    NeededSecret,
    ParamSpec,
    ParamType,
    SecretSource,
    needed_secrets,
    parse_param,
    parse_params,
    read_params,
    secret_from,
    values_of,
)

TOKEN = ParamSpec("api-token", MARK, secret=True)


def spec(**entries: Any) -> ParamSpec:
    """Read one declared param."""
    (read,) = read_params(map_node(p=entries))
    return read


def value(declared: ParamSpec, text: str) -> str:
    """Give one param one value."""
    return values_of([declared], {declared.name: text}, {}, task="restart-app")[declared.name]


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ({}, ParamSpec("p", MARK)),
        ({"required": True}, ParamSpec("p", MARK)),
        ({"type": "string", "default": ""}, ParamSpec("p", MARK, default="")),
        ({"type": "int", "default": -5, "required": False}, ParamSpec("p", MARK, ParamType.INT, default="-5")),
        ({"type": "bool", "default": True}, ParamSpec("p", MARK, ParamType.BOOL, default="true")),
        ({"type": "bool", "default": False}, ParamSpec("p", MARK, ParamType.BOOL, default="false")),
        ({"choices": ["a", 1, True]}, ParamSpec("p", MARK, ParamType.CHOICE, choices=("a", "1", "true"))),
        ({"type": "choice", "choices": [8, 9], "default": 9}, ParamSpec("p", MARK, ParamType.CHOICE, ("8", "9"), "9")),
        ({"secret": True}, ParamSpec("p", MARK, secret=True)),
        ({"secret": False}, ParamSpec("p", MARK)),
    ],
)
def test_a_declaration_is_read(entries: dict[str, Any], expected: ParamSpec) -> None:
    """A param is a required string unless it says otherwise."""
    assert spec(**entries) == expected
    assert spec(**entries).required is (expected.default is None)


def test_a_task_without_params_has_none() -> None:
    """The key may be missing or empty."""
    assert read_params(None) == read_params(node(None)) == ()


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        ({"typ": "int"}, "did you mean 'type'?"),
        ({"type": "float"}, "'float' is not a type; write string, int, bool, choice"),
        ({"type": "choice"}, "choices: is missing; write choices: [a, b]"),
        ({"type": "int", "choices": ["a"]}, "choices: do not belong to type int"),
        ({"choices": []}, "is an empty list"),
        ({"choices": ["a", "a"]}, "'a' is listed twice"),
        ({"choices": ["a\0"]}, "holds a NUL character"),
        ({"choices": ["a"], "default": "b"}, "'b' is not a choice; write one of a"),
        ({"type": "int", "default": "5"}, "is text, must be a number"),
        ({"type": "int", "default": 2**63}, "is out of bounds"),
        ({"type": "bool", "default": "yes"}, "must be true or false"),
        ({"default": 5}, "is a number, must be text; quote it"),
        ({"default": "a\0"}, "holds a NUL character"),
        ({"required": True, "default": "a"}, "is required and has a default"),
        ({"required": False}, "is not required and has no default; give it a default"),
        ({"secret": True, "default": "a"}, "a secret does not belong in a file"),
        ({"secret": True, "type": "int"}, "is a secret int; a secret is a string"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused_with_its_place(entries: dict[str, Any], complaint: str) -> None:
    """The message has file, line and column, the reason and the way out."""
    with pytest.raises(ConfigError) as caught:
        spec(**entries)
    assert str(caught.value).startswith("tasks.yaml:7:3: ")
    assert complaint in str(caught.value)


@pytest.mark.parametrize("name", ["host", "address", "trait", "1a", "a b", "", "a.b", "ä"])
def test_a_name_that_no_placeholder_can_have_is_refused(name: str) -> None:
    """Names of the host's own placeholders are refused as well."""
    with pytest.raises(ConfigError):
        read_params(map_node(**{name: {}}))


def test_two_params_with_one_variable_are_refused() -> None:
    """`api-key` and `API_KEY` would share VIGO_PARAM_API_KEY."""
    with pytest.raises(ConfigError, match=r"API_KEY: is the same as 'api-key' in capitals, VIGO_PARAM_API_KEY"):
        read_params(map_node(**{"api-key": {}, "API_KEY": {}}))


@pytest.mark.parametrize("text", ["0", "7", "-1", "9223372036854775807", "-9223372036854775808"])
def test_an_int_is_a_decimal_number_of_64_bits(text: str) -> None:
    """It arrives as it was written."""
    assert value(spec(type="int"), text) == text


@pytest.mark.parametrize(
    "text", ["", "-0", "+1", "01", "1.0", "1e3", "0x1", "1_000", " 1", "1\n", "٣", "9223372036854775808", "9" * 5000]
)
def test_what_is_not_a_canonical_int_is_refused(text: str) -> None:
    """The message names the param and the place of its declaration."""
    with pytest.raises(UsageError, match=r"--param p: .* is not an int; .* \(task restart-app, tasks\.yaml:7:3\)"):
        value(spec(type="int"), text)


@pytest.mark.parametrize("text", ["True", "yes", "1", "", "on"])
def test_a_bool_is_true_or_false_and_nothing_else(text: str) -> None:
    """What YAML might take for a bool is refused."""
    assert value(spec(type="bool"), "true") == "true"
    assert value(spec(type="bool"), "false") == "false"
    with pytest.raises(UsageError, match="write true or false"):
        value(spec(type="bool"), text)


def test_a_choice_is_one_of_the_declared_texts() -> None:
    """The message lists the first eight."""
    assert value(spec(choices=["staging", "prod"]), "prod") == "prod"
    with pytest.raises(UsageError, match=r"--param p: 'prd' is not a choice; write one of staging, prod \("):
        value(spec(choices=["staging", "prod"]), "prd")
    with pytest.raises(UsageError, match="write one of 0, 1, 2, 3, 4, 5, 6, 7, … "):
        value(spec(choices=list(range(9))), "x")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("a\0b", "NUL"), ("a\udcff", "not valid UTF-8"), ("ä" * (VALUE_BYTES_MAX // 2) + "a", "longer than 32,768 bytes")],
)
def test_a_string_that_no_shell_can_be_given_is_refused(text: str, complaint: str) -> None:
    """NUL, bytes that are no UTF-8, more than 32 KiB; never a silent cut."""
    with pytest.raises(UsageError, match=complaint):
        value(spec(), text)
    assert value(spec(), "ä" * (VALUE_BYTES_MAX // 2))


def test_a_given_value_wins_over_the_default() -> None:
    """Without either, the message says how to give one."""
    assert value(spec(default="a"), "b") == "b"
    assert values_of([spec(default="a")], {}, {}, task="t") == {"p": "a"}
    for declared, way_out in (
        (spec(), "--param p=VALUE"),
        (spec(type="int"), "--param p=NUMBER"),
        (spec(type="bool"), "--param p=true|false"),
        (spec(choices=["a", "b"]), "--param p=a|b"),
        (spec(secret=True), "set VIGO_PARAM_P or give --param p=@FILE"),
    ):
        with pytest.raises(UsageError) as caught:
            values_of([declared], {}, {}, task="t")
        assert (
            str(caught.value)
            == f"--param p: is missing; {'' if declared.secret else 'give '}{way_out} (task t, {MARK})"
        )


def test_an_unknown_param_is_refused_with_the_nearest_name_and_the_file() -> None:
    """A mistyped name never passes for nothing."""
    declared = [spec(default="a"), ParamSpec("env", MARK)]
    with pytest.raises(
        UsageError, match=r"--param evn: task t has no such param; did you mean 'env'\? \(tasks\.yaml\)"
    ):
        values_of(declared, {"evn": "a"}, {}, task="t")
    with pytest.raises(UsageError, match="it has p, env"):
        values_of(declared, {"zone": "a"}, {}, task="t")
    with pytest.raises(UsageError, match="it has none"):
        values_of([], {"zone": "a"}, {}, task="t")


@given(st.text(), st.text())
def test_the_first_equals_sign_ends_the_name(name: str, text: str) -> None:
    """Whatever follows is the value; a name that cannot be one is refused."""
    try:
        assert parse_param(f"{name}={text}") == (name, text)
    except UsageError:
        letters_and_digits = name.replace("-", "").replace("_", "")
        assert (
            not name[:1].isalpha()
            or len(name) > 64
            or not (letters_and_digits.isalnum() and letters_and_digits.isascii())
        )


def test_a_param_without_an_equals_sign_or_given_twice_is_refused() -> None:
    """A text that could not be a name is not repeated: it may be a secret."""
    assert parse_params(["a=1", "b=x=y", "c="]) == {"a": "1", "b": "x=y", "c": ""}
    with pytest.raises(UsageError, match="--param env: has no `=`; write --param KEY=VALUE"):
        parse_params(["env"])
    with pytest.raises(UsageError, match="--param …: has no `=`"):
        parse_params(["pass word"])
    with pytest.raises(UsageError, match="--param a: given twice"):
        parse_params(["a=1", "a=1"])


def test_a_secret_comes_from_a_file_the_environment_or_a_prompt_in_this_order() -> None:
    """Other params are never asked for."""
    variable = "VIGO_PARAM_API_TOKEN"
    declared = [TOKEN, ParamSpec("env", MARK)]
    assert needed_secrets(declared, {"api-token": "@/run/t"}, {variable}) == (
        NeededSecret("api-token", SecretSource.FILE, "/run/t"),
    )
    assert needed_secrets(declared, {}, {variable}) == (NeededSecret("api-token", SecretSource.ENVIRONMENT, variable),)
    assert needed_secrets(declared, {}) == (NeededSecret("api-token", SecretSource.PROMPT, "api-token"),)


@pytest.mark.parametrize("literal", ["hunter22", "", "@"])
def test_a_secret_on_the_command_line_is_refused_and_not_repeated(literal: str) -> None:
    """The message says the three ways to give it; so does binding without having asked first."""
    for act in (
        lambda: needed_secrets([TOKEN], {"api-token": literal}),
        lambda: values_of([TOKEN], {"api-token": literal}, {"api-token": "x"}, task="t"),
    ):
        with pytest.raises(UsageError) as caught:
            act()
        message = str(caught.value)
        assert "hunter22" not in message
        assert all(way in message for way in ("to be asked", "VIGO_PARAM_API_TOKEN", "--param api-token=@FILE"))


def test_an_at_sign_is_special_for_secrets_alone() -> None:
    """A plain param may begin with it."""
    assert value(spec(), "@file") == "@file"


@pytest.mark.parametrize(
    ("content", "expected"), [(b"a\n", "a"), (b"a\r\n", "a"), (b"a\n\n", "a\n"), (b"", ""), (b"a ", "a ")]
)
def test_a_secret_file_loses_one_newline_at_its_end(content: bytes, expected: str) -> None:
    """Editors put one there."""
    assert secret_from(content, NeededSecret("t", SecretSource.FILE, "f")) == expected


def test_a_secret_that_cannot_be_used_is_not_repeated() -> None:
    """Neither what a file holds nor what was typed."""
    with pytest.raises(UsageError, match="--param t: f is not UTF-8 text") as caught:
        secret_from(b"hunter22\xff", NeededSecret("t", SecretSource.FILE, "f"))
    assert "hunter22" not in str(caught.value)
    with pytest.raises(UsageError, match="--param api-token: holds a NUL character") as caught:
        values_of([TOKEN], {}, {"api-token": "hunter22\0"}, task="t")
    assert "hunter22" not in str(caught.value)
