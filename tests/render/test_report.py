"""The HTML report: it tells the whole story, stays small, and whatever hosts print in it is only text."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.render.stories import blocked, one_host, stopped_at_a_gate
from vigo.render.report import page
from vigo.render.report_style import POLICY

_ELEMENTS = frozenset(
    [
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "main",
        "header",
        "section",
        "footer",
        "h1",
        "h2",
        "h3",
        "p",
        "pre",
        "code",
        "span",
        "b",
        "a",
        "ul",
        "li",
        "div",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "details",
        "summary",
        "svg",
        "text",
        "rect",
        "line",
    ]
)
_ATTRIBUTES = frozenset(
    [
        "class",
        "id",
        "href",
        "title",
        "lang",
        "charset",
        "http-equiv",
        "content",
        "name",
        "scope",
        "role",
        "aria-label",
        "aria-hidden",
        "viewbox",
        "x",
        "y",
        "x1",
        "x2",
        "y1",
        "y2",
        "width",
        "height",
        "rx",
        "text-anchor",
    ]
)
_HOSTILE = (
    "</pre><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style></title><svg onload=alert(1)>",
    "&lt;script&gt;&#60;!--",
    "\x1b]0;owned\x07\x00\x9b31m",
    "\u202eevil\u2066\u200b",
    "<!--<![CDATA[]]>",
)


class Seen(HTMLParser):
    """What a browser would make of the page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.elements.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Check that elements end in the order in which they began."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.text.append(data)

    def handle_comment(self, data: str) -> None:
        """No page of ours has one."""
        raise AssertionError(f"a comment: {data!r}")


def check_harmless(text: str) -> Seen:
    """Assert that the page holds nothing that runs, loads or controls, and is well formed."""
    seen = Seen(text)
    assert seen.open == []
    assert seen.elements <= _ELEMENTS
    assert {name for name, _ in seen.attributes} <= _ATTRIBUTES
    assert all(re.fullmatch(r"#[gh]\d+", value) for name, value in seen.attributes if name == "href")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]", text)
    return seen


@pytest.mark.parametrize("hostile", _HOSTILE)
def test_hostile_text_is_only_text_wherever_it_stands(hostile: str) -> None:
    """In output, command, target, host name, detail and reason; nothing of it becomes an element or an attribute."""
    check_harmless(page(one_host(hostile.encode(), command=hostile, host=hostile, detail=hostile)))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=40), st.sampled_from([text.encode() for text in _HOSTILE]))).map(b"".join))
def test_no_output_becomes_markup(data: bytes) -> None:
    """The same elements stand on the page as for a harmless output, whatever the bytes are."""
    seen = check_harmless(page(one_host(data, detail=data.decode("latin-1"))))
    assert "script" not in seen.elements


def test_the_page_allows_its_own_style_and_nothing_else() -> None:
    """The policy names the digest of the one style sheet; there is no script, and nothing is loaded."""
    text = page(one_host(b"ok\n"))
    assert POLICY.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in text
    assert text.index("Content-Security-Policy") < text.index("<style>")
    assert 'style="' not in text
    assert "url(" not in text
    assert "@import" not in text


def test_a_run_of_200_hosts_that_stopped_at_a_gate_is_told_whole() -> None:
    """Verdict, reason, each host, the gate, folded output, the facts of the record and the line to run it again."""
    text = page(stopped_at_a_gate())
    seen = " ".join(check_harmless(text).text)
    for said in (
        "aborted", "health check after batch 3 failed: HTTP 503", "92  complete", "8  failed", "100  skipped",
        "Batches 4 to 7", "Health check after batch 3 FAILED", "web-00200", "nginx restarted",
        "92 hosts · complete exit=0", "nothing was forced", "ok, verified up to",
        "vigo task run 'systemctl restart nginx' --target '*.web.*' --batch-size 25 --max-failures 10%",
        "--health-check-url http://shop.example.com/health --inventory /home/ops/fleet",
    ):  # fmt: skip
        assert said in seen, said
    assert len(text.encode()) <= 1_500_000


@pytest.mark.parametrize(
    ("total", "size", "data"), [(200, 25, b"<&\x1b\xff" * 24 * 1024), (10_000, 500, b"x\n" * 50)], ids=["loud", "many"]
)
def test_the_page_stays_small(total: int, size: int, data: bytes) -> None:
    """Much output and many hosts are cut, and the page says so and where the rest is to be had."""
    text = page(stopped_at_a_gate(total, size, batches=4, data=data))
    assert len(text.encode()) <= 1_500_000
    assert "vigo task status t1a2b3c4" in text


def test_a_task_that_was_blocked_has_a_report_too() -> None:
    """It names the rule, and has no hosts to show."""
    text = page(blocked())
    seen = " ".join(check_harmless(text).text)
    assert "blocked by rule stop: stops vigo; pattern: systemctl stop vigo" in seen
    assert "Timeline" not in seen
