"""Values and commands that try to make a shell see something else than one word."""

from __future__ import annotations

from hypothesis import strategies as st

HOLE = "{{ x }}"

_ONE_WORD = r"""
' '' " ` \ \\ \' x\ # ~ * [a-z] {p,q} -n -rf -- ! !! = a=b 2 $y ${y} $ %s %n%01 \n \c EOF & | if then do done esac in ;;
]] } { ) ( >canary <f $(touch${IFS}canary) é 😀😀😀😀😀😀😀😀😀 a;b a[$(touch${IFS}canary)] /etc/passwd ../x
""".split()  # noqa: SIM905 - quotes are easier to read without quotes around them
NASTY = [
    *_ONE_WORD,
    *(
        "",
        " ",
        "a b",
        "\t",
        "\n",
        "\r\n",
        "\n\n",
        " a\n",
        "# a",
        "\x01\x7f\x1b[2J",
        "\u202e",
        "é\u0081\u00a0\u0088",
        "'" * 500,
    ),
    *(
        "'; touch canary; '",
        '"; touch canary; "',
        "\\'; touch canary; '",
        "a;touch canary",
        "|touch canary",
        "&touch canary&",
    ),
    *(
        "`touch canary`",
        "$(touch canary)",
        ")\ntouch canary;(",
        "}\ntouch canary;{",
        "));touch canary;((",
        "*) touch canary;;",
    ),
    *("\nEOF\ntouch canary\n", "$'\\''touch canary", "a[$(touch canary)]"),
]
VALUES = st.one_of(
    st.sampled_from(NASTY),
    st.text(st.sampled_from("'\"\\`$(){}[]<>|&;#!*?~=%- \n\ttouch canary"), max_size=20),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40),
    st.lists(st.sampled_from(NASTY), max_size=4).map("".join),
)
FILE_NAMES = VALUES.filter(
    lambda value: "/" not in value and value not in ("", ".", "..") and len(value.encode()) < 200
)
"""Values that can name a file, for commands that redirect to it."""

# Commands of the grammar. `w` is the command whose words are looked at. No `*`, which beside a
# redirection is a race, and no pattern that a value could match.

_PIECES = st.sampled_from(
    [HOLE] * 8
    + """a - = 2 "$y" $y \\' '"' "'" é } # ~ {a,b} [a] ! % '' ${y:-a} $'a' "`true`" `true` """.split()  # noqa: SIM905 - likewise
    + ["'b c'", '"$y d"', "\\ ", "\\\n", "$((1 + 2))", f"$(w {HOLE})", f'"$(w {HOLE} "b")"', "`w c`"]
)
_WORD = st.lists(_PIECES, min_size=1, max_size=3).map("".join)
_REDIRECTION = st.sampled_from(
    ["", " 2>&1", " >f", f" > {HOLE}", f" 2>{HOLE}", f" >>a{HOLE}", " </dev/null", f" <<<{HOLE}"]
)
_PREFIX = st.sampled_from(["", "", "", f"a={HOLE} ", "a=b ", "! ", "time "])
_SIMPLE = st.builds("{}w {}{}".format, _PREFIX, st.lists(_WORD, max_size=3).map(" ".join), _REDIRECTION)
_DOCUMENT = st.sampled_from([" <<EOF\nit's $y\nEOF\n", " <<'EOF'\n$(\nEOF\n", ' <<-E\n\t"\n\tE\n'])
_JOIN = st.sampled_from(["; ", "\n", " && ", " || ", " | ", " & ", " # it's\n", '\n# "\n', " &&\\\n"])


def _compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    body = st.one_of(
        st.builds("{}{}{}".format, inner, _JOIN, inner),
        st.builds("{}{}{}".format, _SIMPLE, _DOCUMENT, inner),
    )
    return st.one_of(
        body,
        st.builds("( {}\n)".format, body),
        st.builds("{{ {}\n}}".format, body),
        st.builds("f() {{ {}\n}}".format, body),
        st.builds("if true; then {}\nelse w b\nfi".format, body),
        st.builds('for i in {}; do w "$i"; {}\ndone'.format, _WORD, body),
        st.builds("case {} in (zz{}|zz) {}\n;; *) w c;; esac".format, _WORD, _WORD, body),
        st.builds("case {} in zz) w b;; *) {}\nesac".format, _WORD, body),
        body.map(lambda text: f'w "$( {text}\n)" {HOLE}'),
    )


COMMANDS = st.recursive(_SIMPLE, _compound, max_leaves=6).flatmap(
    lambda text: st.sampled_from([text, f"{text}\nf"] if "f()" in text else [text])
)
"""Functions are called outside all of them, so that none can call itself."""

# Pieces of the grammar in any order; most are no commands at all.

_SOUP = [
    *(
        "w ",
        "w a",
        f"w {HOLE}",
        HOLE,
        f" {HOLE} ",
        " ",
        "\n",
        ";",
        "&&",
        " | ",
        "&",
        "(",
        ")",
        "{ ",
        "; }",
        "}",
        "$(",
        "$(w ",
    ),
    *(
        "$((",
        "))",
        "${",
        "${y:-",
        "`",
        "'",
        '"',
        "\\",
        "\\\n",
        "#",
        " # it's",
        "<<EOF\n",
        "\nEOF\n",
        "<<'EOF'\n",
        "<<<",
        "<",
    ),
    *(
        "> f",
        "2>&1",
        ">&",
        "2",
        "case ",
        "case a in ",
        " in ",
        "esac",
        "zz)",
        "(zz) ",
        "*)",
        ";;",
        "if true; then ",
        "; fi",
    ),
    *(
        "for i in ",
        "; do ",
        "; done",
        "f() ",
        "[[ ",
        " ]]",
        "((",
        "! ",
        "time ",
        "a=",
        "[",
        "]",
        "~",
        "$",
        "$y",
        "$'",
    ),
    *('$"', "{a,", "alias ", "@(", "="),
]
_WORD_SOUP = [
    HOLE,
    HOLE,
    '"',
    "'",
    "\\",
    "$",
    "`",
    "{",
    ",b}",
    "}",
    "a",
    "#",
    " ",
    "[",
    "]",
    "$(w ",
    ")",
    "${y:-",
    ">&",
    "<",
]
SOUPS = st.one_of(
    st.lists(st.sampled_from(_SOUP), min_size=2, max_size=12).map("".join),
    st.lists(st.sampled_from(_WORD_SOUP), min_size=1, max_size=5).map(lambda pieces: "w " + "".join(pieces)),
).filter(lambda text: "$$" not in text)  # a process id is never the same twice
