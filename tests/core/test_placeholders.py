"""Where a value can stand in a command, and what is put there."""

from __future__ import annotations

import shlex
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigo.core.placeholders import (
    Misplaced,
    Slot,
    Template,
    fault_of_url,
    fill_command,
    fill_url,
    literal,
    read_command,
    read_url,
)


def filled(command: str, value: str = "staging") -> str:
    """Put one value into every placeholder of a command."""
    template = read_command(command)
    assert isinstance(template, Template), template
    return fill_command(template, {slot.name: value for slot in template.slots})


def refusal(command: str) -> str:
    """Say why the command's first bad placeholder is refused."""
    template = read_command(command)
    assert isinstance(template, Misplaced), template
    return str(template)


@pytest.mark.parametrize(
    ("command", "plain", "quoted"),
    [
        ("systemctl restart app-{{ env }}", "systemctl restart app-v", "systemctl restart app-'a b'"),
        ("deploy --env={{env}} {{ a }}{{ b }}", "deploy --env=v vv", "deploy --env='a b' 'a b''a b'"),
        ("ls '{{.Names}}' {{ x }}", "ls '{{.Names}}' v", "ls '{{.Names}}' 'a b'"),
        ("(cd {{ d }} && ls) | grep {{ x }} 2>&1", "(cd v && ls) | grep v 2>&1", "(cd 'a b' && ls) | grep 'a b' 2>&1"),
        ("echo $(date +{{ f }})", "echo $(date +v)", "echo $(date +'a b')"),
        ('echo "on $(date +{{ f }})"', 'echo "on $(date +v)"', "echo \"on $(date +'a b')\""),
        ("cat <{{ f }} >>{{ g }} 2> {{ h }}", "cat <v >>v 2> v", "cat <'a b' >>'a b' 2> 'a b'"),
        ("cat <<EOF\n$(date) ${x} it's\nEOF\nls {{ x }}", None, "cat <<EOF\n$(date) ${x} it's\nEOF\nls 'a b'"),
        ("cat <<'A' <<-'B'\n$(\nA\n`\n\tB\nls {{ x }}", None, "cat <<'A' <<-'B'\n$(\nA\n`\n\tB\nls 'a b'"),
        ('cat <<"A"; ls {{ x }}\n$(\nA\n', 'cat <<"A"; ls v\n$(\nA\n', None),
        ("cat <<\\A\n$(\nA", None, None),
        ("cat <<A 'b' \"c\" d\nA\nls {{ x }}", None, "cat <<A 'b' \"c\" d\nA\nls 'a b'"),
        ("f() { ls {{ x }}; }; f", "f() { ls v; }; f", "f() { ls 'a b'; }; f"),
        ("f ( ) { ls; }; f {{ x }}", "f ( ) { ls; }; f v", None),
        ("if [ {{ x }} = a ]; then ls {{ x }}; fi; ls", None, "if [ 'a b' = a ]; then ls 'a b'; fi; ls"),
        ("while false; do ls {{ x }}; done > {{ f }}", "while false; do ls v; done > v", None),
        ("! grep {{ x }} f && { ls; }", "! grep v f && { ls; }", None),
        ("time ls {{ x }}", "time ls v", None),
        ("ls # it's fine\nls {{ x }}", "ls # it's fine\nls v", None),
        ("ls a#b {{ x }} &", "ls a#b v &", None),
        ("ls `date +%F` ${x:-'}'} ${y:-\"}\"} ${z:-\\}} ${a:-(b)} $((1 + (2 *\n3))) {{ x }}", None, None),
        ('ls "a \\" $x \' $((1)) ${y} `z`" {{ x }}', None, None),
        ("ls $1 $'a' $\"b\" {{ x }}", None, None),
        ("case a in a|b) ls {{ x }};; (c) ls;& *) ls;;& d) esac; ls", None, None),
        ("case a\nin\n\na) ls;;\nesac\nls {{ x }}", "case a\nin\n\na) ls;;\nesac\nls v", None),
        ("case a in esac; ls {{ x }}", "case a in esac; ls v", None),
        ("ls $(case a in (a) ls {{ x }};; esac)", "ls $(case a in (a) ls v;; esac)", None),
        ("for i\ndo ls {{ x }}; done; for i do ls; done; for i; do ls; done", None, None),
        ("x=1 y=$z ls {{ x }}", "x=1 y=$z ls v", None),
        ("ls \\\n  {{ x }}", "ls \\\n  v", "ls \\\n  'a b'"),
        ("find . -exec ls {} {{ x }} \\;", "find . -exec ls {} v \\;", None),
        ("ls 2>f {{ x }}", "ls 2>f v", None),
        ("ls a$ {{ x }}", None, None),
    ],
)
def test_a_value_is_one_word_or_a_part_of_one(command: str, plain: str | None, quoted: str | None) -> None:
    """What is plain stays readable, everything else is quoted; the text around it stays as it is."""
    for value, expected in (("v", plain), ("a b", quoted)):
        text = filled(command, value)
        if expected is not None:
            assert text == expected


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("{{ c }} x", "'v' x"),  # at a command's place a plain word could be a reserved one
        ("if {{ c }}; then ls; fi", "if 'v'; then ls; fi"),
        ("a={{ x }} {{ c }}", "a='v' 'v'"),  # behind an assignment as well
        (">f {{ c }}", ">f 'v'"),
        ("for i in {{ x }}; do ls; done", "for i in 'v'; do ls; done"),
        ("case {{ x }} in {{ y }}|a) ls;; esac", "case 'v' in 'v'|a) ls;; esac"),
        ("ls {{ x }}>f", "ls 'v'>f"),  # a plain 2 would become a descriptor
        ("ls $a{{ x }}", "ls $a'v'"),  # a plain letter would lengthen the name
        ('ls ~{{ x }} *{{ x }} a\\\n{{ x }} "b"{{ x }} c!{{ x }}', "ls ~'v' *'v' a\\\n'v' \"b\"'v' c!'v'"),
        ("ls a#{{ x }}", "ls a#'v'"),
        ("<<A {{ c }}\nA", "<<A 'v'\nA"),
    ],
)
def test_a_plain_value_is_quoted_where_it_could_mean_something_else(command: str, expected: str) -> None:
    """Readability never changes what a value means."""
    assert filled(command, "v") == expected


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ('ls "{{ x }}"', "stands inside double quotes; write it outside the quotes"),
        ('ls "\\{{ x }}"', "stands after a backslash"),
        ("ls '{{ x }}'", "stands inside single quotes; write it outside the quotes"),
        ("ls $'{{ x }}'", "stands inside $'…'"),
        ("ls `ls {{ x }}`", "stands inside backticks; write $(…)"),
        ("ls ${x:-{{ x }}}", "stands inside ${…}"),
        ("ls ${x:-$(ls {{ x }})}", "stands inside ${…}"),
        ("ls $(( {{ x }} + 1 ))", "stands inside arithmetic"),
        ("ls # {{ x }}", "stands in a comment"),
        ("cat <<EOF\na {{ x }}\nEOF", "stands in a here-document (line 2 of it)"),
        ("cat <<EOF\na {{ x }}", "stands in a here-document (line 2 of it)"),
        ("ls \\{{ x }}", "stands after a backslash; leave the backslash out"),
        ("ls ${{ x }}", "stands after a $; leave the $ out"),
        ("ls {a,{{ x }}}", "stands in a word with braces"),
        ("ls {{ x }}{a,b}", "stands in a word with braces"),
        ("a[{{ x }}]=1", "stands inside […] within a word"),
        ("ls >&{{ x }}", "where a descriptor's number belongs"),
        ("for {{ x }} in a; do ls; done", "stands where `for` has its variable"),
        ("{{ x }}() { ls; }", "stands where a function has its name"),
        ("{{ x }} () { ls; }", "stands where a function has its name"),
    ],
)
def test_a_placeholder_where_no_value_can_stand_is_refused(command: str, reason: str) -> None:
    """The refusal says which placeholder, where it stands, and the way out."""
    assert refusal(command).startswith("{{ x }} ")
    assert reason in refusal(command)


@pytest.mark.parametrize(
    "before",
    [
        *("[[ -f a ]]; ", "function f { ls; }; ", "select i in a; do ", "coproc ls; ", "alias q=ls; ", "time -p "),
        *(
            "((a = 1)); ",
            "for ((;;)); do ",
            "a=(b); ",
            "ls @(a) ",
            "ls $[1] ",
            "ls ${ ls; } ",
            "ls ${| ls; } ",
            "ls a(b) ",
        ),
        *("ls <(ls) ", "ls >(ls) ", "ls {fd}>f ", "ls ${x:-{a}} ", 'ls "${x:-"a"}" ', "ls \"${x:-'a'}\" "),
        *('ls `echo "a"` ', "ls `echo \\`a\\`` ", "ls `ls #` ", "ls $'a\\'b' ", "ls ${x:-$'a'} ", "ls $((1 + 'a')) "),
        *("ls $((ls); ls) ", "ls $\\\n(ls) ", "ls $(\\\nls) ", "ls ${\\\nx} ", "ls <\\\n<a ", "(\\\nls) ", "ls;\\\n; "),
        *(
            "cat <<$x\n",
            "cat <<a'b'\n",
            "ls $(cat <<A\nA\n) ",
            "cat <<A\nb\\\nA\n",
            "cat <<A\n$(ls\nA\n",
            "cat <<A $(ls)\nA\n",
        ),
        *("cat <<A 'b\nc'\nA\n", 'cat <<A "b\nc"\nA\n', "ls $(ls # it's\n) ", "ls $(case a in a) ls;; esac) "),
        *("ca\\\nse a in b) ls;; esac; ", ">f case a in b) ls;; esac; ", "a=b if ls; then ls; fi; ", "ls > # a\n"),
        *(
            "ls ;; ",
            "ls ) ",
            "esac; ",
            "case a in ;; ",
            "case a in b (c) ",
            "case a in (esac) ",
            "case a in b\n",
            "case a b ",
        ),
        *(
            "for 1 in a; do ls; done; ",
            "for i ls; ",
            "for &",
            "for i >f in ",
            "case; ",
            "case a | ",
            "ls > > ",
        ),
        *(
            "ls > ; ",
            "ls >( ",
            "ls 2>2>f ",
            "ls (a) ",
            "a b () ",
            "a.b() { ls; } ",
            "case a in | ",
            "case a in (b (c) ",
        ),
        "echo " + "$(echo " * 60,
    ],
)
def test_what_shells_read_differently_or_not_at_all_ends_what_is_certain(before: str) -> None:
    """A placeholder behind it is refused, even where one shell would do the right thing."""
    assert "{{ x }} stands " in refusal(f"{before}ls {{{{ x }}}}")


@pytest.mark.parametrize(
    "command",
    [
        *(
            "ls {{ x }} 'a",
            'ls {{ x }} "a',
            "ls {{ x }} `a",
            "ls {{ x }} ${a",
            "(ls {{ x }}",
            "ls $(ls {{ x }}",
            "ls {{ x }} >",
        ),
        *(
            "case {{ x }} in",
            "case {{ x }}",
            "ls {{ x }}; for i",
            "cat {{ x }} <<A",
            "case a in b) ls {{ x }}",
        ),
        *("ls {{ x }} $'a", "ls {{ x }}\\", "ls {{ x }} $((1"),
    ],
)
def test_a_command_that_does_not_end_is_refused_whole(command: str) -> None:
    """No shell can run it, so a value before the open place is refused as well."""
    refusal(command)


def test_only_what_is_shaped_like_a_name_is_a_placeholder() -> None:
    """Other templates' braces stay literal, also without a place where a value could stand."""
    text = "docker ps --format '{{.Names}}' \"{{ json . }}\" '{{x|y}}' {{ 1 }} {{x }"
    template = read_command(text)
    assert template == literal(text)
    assert not template.slots


def test_a_dotted_name_and_a_dashed_name_are_placeholders() -> None:
    """Blanks within the braces are free."""
    template = read_command("ls {{trait.os.distro}} {{  app-name\t}}")
    assert isinstance(template, Template)
    assert template.slots == (Slot("trait.os.distro", bare=True), Slot("app-name", bare=True))
    assert [slot.trait for slot in template.slots] == ["os.distro", None]
    assert template.is_per_host


def test_the_first_bad_place_is_told_with_its_line() -> None:
    """Lines are counted within the command."""
    misplaced = read_command("ls {{ a }}\nls '{{ b }}'\nls \"{{ c }}\"")
    assert isinstance(misplaced, Misplaced)
    assert (misplaced.name, misplaced.line) == ("b", 2)


def test_ready_made_words_go_in_as_they_are() -> None:
    """A secret's variable stands where its value would."""
    template = read_command("login --token={{ token }} {{ user }}")
    assert isinstance(template, Template)
    text = fill_command(template, {"token": "s", "user": "u"}, words={"token": '"$T"'})
    assert text == 'login --token="$T" u'


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_any_value_is_read_back_as_one_word(value: str) -> None:
    """Quotes, newlines, `$(…)` and the empty value included."""
    assert shlex.split(filled("ls {{ x }} b", value)) == ["ls", value, "b"]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_in_a_url_any_value_is_percent_encoded(value: str) -> None:
    """Only unreserved characters stay, and decoding gives the value back."""
    url = fill_url(read_url("http://lb/{{ x }}?a={{ x }}"), {"x": value})
    encoded = url.removeprefix("http://lb/").split("?a=")
    assert [unquote(part) for part in encoded] == [value, value]
    assert set(encoded[0]) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~%")


def test_in_a_url_a_placeholder_without_a_value_waits_for_it() -> None:
    """In one spelling, so that it is found again."""
    template = read_url("http://{{address}}/{{ x }}?{{\thost }}")
    assert fill_url(template, {"x": "{{ host }}"}) == "http://{{ address }}/%7B%7B%20host%20%7D%7D?{{ host }}"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("fd00::1", "[fd00::1]"),
        ("fe80::1%eth0", "fe80%3A%3A1%25eth0"),
        ("192.0.2.1", "192.0.2.1"),
        ("a:b", "a%3Ab"),
    ],
)
def test_only_an_ipv6_address_gets_brackets_where_the_host_stands(value: str, expected: str) -> None:
    """RFC 3986 has no place for a zone, and nothing else may hold a colon there."""
    template = read_url("http://{{ x }}:80/{{ y }}")
    assert fill_url(template, {"x": value, "y": "fd00::1"}) == f"http://{expected}:80/fd00%3A%3A1"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("http://lb/{{ x }}", None),
        ("http://lb/", None),
        ("http://lb/{{{{ x }}}}", "holds `{` outside of a placeholder; write %7B"),
        ("http://lb/{{ x }}}", "holds `}` outside of a placeholder; write %7D"),
        ("http://lb/{{ x | y }}", "holds `{` outside of a placeholder; write %7B"),
    ],
)
def test_a_url_has_no_braces_of_its_own(text: str, fault: str | None) -> None:
    """Next to a placeholder they would make another one of its value."""
    assert fault_of_url(read_url(text)) == fault


@given(st.lists(st.sampled_from([*"ab {}()<>;&|'\"\\$`#\n[]!=~*?x1", "{{ x }}", "case ", " in ", "esac", "<<A\n"])))
def test_reading_never_fails_and_never_changes_the_text(pieces: list[str]) -> None:
    """Any text is either a template of exactly that text, or refused with a reason."""
    text = "".join(pieces)
    template = read_command(text)
    if isinstance(template, Template):
        parts = [part if isinstance(part, str) else "{{ x }}" for part in template.parts]
        assert "".join(parts) == template.text == text
    else:
        assert template.fault.reason


@pytest.mark.parametrize(
    "unit", ["{", "a{{ x }}", "$(", "'a' ", '"', "a\\\n", "`a` ", "cat <<A\nA\n", "case a in b) ", "[ ", "# {{ x }}\n"]
)
def test_reading_is_linear_in_the_length_of_the_command(unit: str) -> None:
    """16 KiB of any one thing are read within the test's patience; a reading that is not linear would not end in it."""
    read_command(unit * (16_384 // len(unit)))
