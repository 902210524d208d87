from __future__ import annotations

import unicodedata
from itertools import groupby

import pyte
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vigo.render.sanitize import clean, clean_block

ESC = "\x1b"
BEL = "\x07"
ST = f"{ESC}\\"

E1 = {
    "OSC 0 title": f"{ESC}]0;owned{BEL}",
    "OSC 2 title": f"{ESC}]2;owned{ST}",
    "OSC 8 link": f"{ESC}]8;;http://evil/{ST}text{ESC}]8;;{ST}",
    "OSC 52 clipboard": f"{ESC}]52;c;b3duZWQ={BEL}",
    "OSC 1337 iTerm": f"{ESC}]1337;File=name=eA==:AAAA{BEL}",
    "OSC 3008 context": f"{ESC}]3008;start=x{ST}",
    "CSI clear": f"{ESC}[2J{ESC}[H",
    "CSI cursor up": f"{ESC}[99A",
    "CSI cursor report": f"{ESC}[6n",
    "CSI device attributes": f"{ESC}[c{ESC}[>c{ESC}[=c",
    "CSI title report": f"{ESC}[21t",
    "CSI hide cursor": f"{ESC}[?25l",
    "CSI alternate screen": f"{ESC}[?1049h",
    "SGR conceal": f"{ESC}[8mhidden{ESC}[0m",
    "reset": f"{ESC}c",
    "DCS": f"{ESC}P$q m{ST}",
    "APC": f"{ESC}_G a=T;AAAA{ST}",
    "PM": f"{ESC}^secret{ST}",
    "SOS": f"{ESC}Xsecret{ST}",
    "charset": f"{ESC}(0lqqk{ESC}(B",
    "shift out": "\x0e lqqk \x0f",
    "answer back": "\x05",
    "C1 CSI": "\x9b2J",
    "C1 OSC": "\x9d0;owned\x9c",
    "C1 NEL, IND, RI": "\x84\x85\x8d",
    "overprint": "all good\rall bad ",
    "backspace": "rm -rf /\b\b\b\b\b\b\b\b",
    "form feed and vertical tab": "a\x0cb\x0bc",
    "bell": BEL * 10,
    "NUL and DEL": "\x00\x7f",
    "bidi override": "\N{RIGHT-TO-LEFT OVERRIDE}dlrow",
    "bidi isolate": "\u2066\u2067\u2068\u2069\u202a\u202b\u202c\u202d\u061c\u200e\u200f",
    "zero width": "pass\u200bword\u200c\u200d\u2060\ufeff",
    "soft hyphen": "a\u00adb",
    "line and paragraph separator": "a\u2028b\u2029c",
    "tags": "\U000e0001\U000e0061\U000e007f",
    "interlinear": "\ufff9a\ufffab\ufffb",
    "private use": "\ue000\U000f0000\U0010ffff",
    "unassigned": "\U000e0fff",
}


def is_plain(char: str) -> bool:
    """Whether a terminal draws this and does nothing else; computed from Unicode's tables, not from the program."""
    return unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


class Watched(pyte.Screen):
    """A terminal that remembers whether anything made it answer."""

    def __init__(self) -> None:
        super().__init__(200, 30)
        self.answers: list[str] = []

    def write_process_input(self, data: str) -> None:
        """Keep what a real terminal would type into the operator's shell."""
        self.answers.append(data)


def on_screen(text: str) -> list[str]:
    """Return the lines that a terminal shows for this text, and check that showing it was all it did."""
    screen = Watched()
    modes, charset = set(screen.mode), screen.charset
    pyte.Stream(screen).feed(text.replace("\n", "\r\n"))
    assert screen.answers == []
    assert (screen.title, screen.icon_name) == ("", "")
    assert (set(screen.mode), screen.charset) == (modes, charset)
    assert screen.cursor.y == min(text.count("\n"), 29)
    assert not screen.cursor.hidden
    return [line.rstrip() for line in screen.display]


# --- the catalogue


@pytest.mark.parametrize("name", E1)
def test_what_could_drive_a_terminal_is_shown_instead(name: str) -> None:
    """E1: in output and in one-line texts alike, the screen shows the neighbours untouched and an escape between."""
    for shown in (clean_block(f"before {E1[name]} after".encode()), clean(f"before {E1[name]} after")):
        assert all(is_plain(char) for char in shown)
        assert shown.startswith("before ")
        assert shown.endswith(" after")
        assert on_screen(shown)[0] == shown.rstrip()
        assert "\\" in shown


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"\x1b[2J", "\\x1b[2J"),
        (b"\x9b2J", "\\x9b2J"),
        ("\x9b2J".encode(), "\\x9b2J"),
        ("\u202edlrow".encode(), "\\u202edlrow"),
        ("a\u200bb".encode(), "a\\u200bb"),
        ("\U000e0041".encode(), "\\U000e0041"),
        (b"good\rbad", "good\\rbad"),
        (b"x\x08", "x\\x08"),
        (b"\x00\x7f", "\\x00\\x7f"),
        (b"\xff\xfe", "\\xff\\xfe"),
        (b"caf\xe9", "caf\\xe9"),
        (b"\xe2\x82", "\\xe2\\x82"),
        (b"\xed\xa0\x80", "\\xed\\xa0\\x80"),
        (b"\xc0\x80", "\\xc0\\x80"),
        (b"one\r\ntwo\n\tthree", "one\ntwo\n\tthree"),
        (b"one\r\r\ntwo", "one\\r\ntwo"),
        (b"", ""),
        ("grüße 日本語 \N{PARTY POPPER} e\u0301".encode(), "grüße 日本語 \N{PARTY POPPER} e\u0301"),
        ("a\N{NO-BREAK SPACE}b\N{IDEOGRAPHIC SPACE}c".encode(), "a\N{NO-BREAK SPACE}b\N{IDEOGRAPHIC SPACE}c"),
        (b"[bold]x[/foo] [link=http://e] :smile: {{.Names}} %s", "[bold]x[/foo] [link=http://e] :smile: {{.Names}} %s"),
    ],
)
def test_output_is_shown_as_lines_with_visible_escapes(data: bytes, shown: str) -> None:
    """Newlines and tabs stay, text of any script stays, markup is nothing special (E2), the rest is an escape."""
    assert clean_block(data) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("web-01.example.com", "web-01.example.com"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("x\x1b]0;t\x07", "x\\x1b]0;t\\x07"),
        ("\udc80", "\\udc80"),
        ("grüße", "grüße"),
        ("", ""),
    ],
)
def test_a_name_or_banner_stays_one_line(text: str, shown: str) -> None:
    """A host name with a newline cannot forge a line of its own."""
    assert clean(text) == shown


# --- floods


@pytest.mark.parametrize(
    "mark",
    ["\u0301", "\u20dd", "\u0488", "\u0903", "\u1161", "\u11a8", "\ufe0f", "\U000e0100"],
    ids=lambda mark: f"U+{ord(mark):04X}",
)
def test_a_flood_of_marks_is_cut_to_four(mark: str) -> None:
    """Ten thousand marks on one letter would paint over the lines around it, or stall the terminal."""
    flood = "Z" + mark * 10_000 + "algo"
    for shown in (clean(flood), clean_block(flood.encode())):
        assert shown == "Z" + mark * 4 + "…algo"


def test_marks_that_languages_need_stay() -> None:
    """Vietnamese, Hebrew, Devanagari and decomposed Korean are text, not floods."""
    for word in ("Việt", "שָׁלוֹם", "हिन्दी", "क्षत्रिय", "한국어"):
        for form in ("NFC", "NFD"):
            text = unicodedata.normalize(form, word)
            assert clean(text) == text


# --- properties

ANY_BYTES = st.binary() | st.text().map(lambda text: text.encode("utf-8", "surrogatepass"))


def takes_no_cell(char: str) -> bool:
    """Whether a terminal draws this into the cell before it: marks, and Hangul vowels and final consonants."""
    return unicodedata.category(char).startswith("M") or 0x1160 <= ord(char) < 0x1200 or 0xD7B0 <= ord(char) < 0xD800


def runs_without_cells(text: str) -> list[int]:
    """Return the lengths of the runs of characters that take no cell of their own."""
    return [len(list(run)) for takes_none, run in groupby(text, takes_no_cell) if takes_none]


@settings(max_examples=500, deadline=None)
@given(ANY_BYTES)
@example(bytes(range(256)))
def test_any_output_becomes_plain_lines(data: bytes) -> None:
    """Nothing but printable characters, blanks, newlines and tabs; no run of marks is long."""
    shown = clean_block(data)
    assert all(char in "\n\t" or is_plain(char) for char in shown)
    assert max(runs_without_cells(shown), default=0) <= 4
    assert shown.count("\n") == data.count(b"\n")


@settings(max_examples=500, deadline=None)
@given(st.text(st.characters(exclude_categories=())))
@example("".join(map(chr, range(256))))
def test_any_text_becomes_one_plain_line(text: str) -> None:
    """Lone surrogates included."""
    assert all(is_plain(char) for char in clean(text))


@settings(max_examples=300, deadline=None)
@given(ANY_BYTES)
def test_what_is_clean_stays_as_it_is(data: bytes) -> None:
    """A text may pass the boundary twice."""
    once = clean_block(data)
    assert clean_block(once.encode()) == once
    line = clean(once)
    assert clean(line) == line


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)))
def test_printable_ascii_is_never_touched(text: str) -> None:
    """What commands mostly print comes out byte for byte."""
    assert clean(text) == text == clean_block(text.encode())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([*E1.values(), "plain", "\n", "\t", "x"]), max_size=8))
def test_a_terminal_only_draws_what_is_left(pieces: list[str]) -> None:
    """Whatever is mixed: no answer, no title, no mode, no cursor moved, and the expected lines on the screen."""
    shown = clean_block("".join(pieces).encode()).replace("\t", " ")
    lines = [line.rstrip() for line in shown.split("\n")]
    if all(len(line) < 200 for line in lines):
        assert on_screen(shown)[: len(lines)] == lines


def test_no_character_passes_that_a_terminal_obeys() -> None:
    """Every plain character but the marks comes out as it is, and no other one does; empty planes are left out."""
    everything = [
        chr(code) for codes in (range(0x34000), range(0xE0000, 0xE1000), range(0x10FF00, 0x110000)) for code in codes
    ]
    others = {char for char in everything if not is_plain(char)}
    assert others.isdisjoint(clean("".join(others)))
    plain = "".join(char for char in everything if is_plain(char) and not takes_no_cell(char))
    assert clean(plain) == plain
