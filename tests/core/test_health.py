from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vigo.core.errors import UsageError
from vigo.core.health import HealthUrl, parse_health_url


@pytest.mark.parametrize(
    ("text", "expected", "authority"),
    [
        ("http://lb.example.com/health", HealthUrl("http", "lb.example.com", 80, "/health"), "lb.example.com"),
        ("https://lb.example.com", HealthUrl("https", "lb.example.com", 443, "/"), "lb.example.com"),
        ("http://lb:8080/a/b?x=1&y=2", HealthUrl("http", "lb", 8080, "/a/b?x=1&y=2"), "lb:8080"),
        ("http://lb?x=1", HealthUrl("http", "lb", 80, "/?x=1"), "lb"),
        ("http://lb/health#part", HealthUrl("http", "lb", 80, "/health"), "lb"),
        ("HTTP://LB/Health", HealthUrl("http", "lb", 80, "/Health"), "lb"),
        ("https://127.0.0.1:443/", HealthUrl("https", "127.0.0.1", 443, "/"), "127.0.0.1"),
        ("https://127.0.0.1:80/", HealthUrl("https", "127.0.0.1", 80, "/"), "127.0.0.1:80"),
        ("http://[::1]:8080/", HealthUrl("http", "::1", 8080, "/"), "[::1]:8080"),
        ("http://[::1]/", HealthUrl("http", "::1", 80, "/"), "[::1]"),
        ("http://lb:/", HealthUrl("http", "lb", 80, "/"), "lb"),
    ],
)
def test_http_and_https_urls_are_read(text: str, expected: HealthUrl, authority: str) -> None:
    """Host, port, path and query; the Host header names the port only where it is not the scheme's own."""
    assert parse_health_url(text) == expected
    assert expected.authority == authority


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("file:///etc/passwd", "only http:// and https://"),
        ("ftp://lb/health", "only http:// and https://"),
        ("lb.example.com/health", "only http:// and https://"),
        ("//lb/health", "only http:// and https://"),
        ("javascript:alert(1)", "only http:// and https://"),
        ("", "only http:// and https://"),
        ("http://", "names no host"),
        ("http:///health", "names no host"),
        ("http:lb/health", "names no host"),
        ("http://:80/", "names no host"),
        ("http://ops:pw@lb/", "user names and passwords"),
        ("http://ops@lb/", "user names and passwords"),
        ("http://@lb/", "user names and passwords"),
        ("http://lb\\@evil/", "user names and passwords"),
        ("http://lb:0/", "port 0"),
        ("http://lb:65536/", "Port out of range"),
        ("http://lb:-1/", "ort"),
        ("http://lb:http/", "ort"),
        ("http://::1/", "ort"),
        ("http://[::1/", "Invalid IPv6"),
        ("http://[lb]/", "IP"),
        ("http://lb/a b", "blanks"),
        (" http://lb/", "blanks"),
        ("http://lb/\r\nX: y", "control"),
        ("http://lb/\x00", "control"),
        ("http://lb/\x7f", "control"),
        ("http://bücher.example/", "non-ASCII"),
    ],
)
def test_what_cannot_be_probed_is_a_usage_error_with_its_reason(text: str, why: str) -> None:
    """C5: refused where it is read, before any host runs."""
    with pytest.raises(UsageError, match=r"^--health-check-url: ") as caught:
        parse_health_url(text)
    assert why in str(caught.value)


def test_a_password_is_not_repeated_in_the_refusal() -> None:
    """The message may end in a log that others read."""
    with pytest.raises(UsageError) as caught:
        parse_health_url("https://ops:hunter2@lb.example.com:8443/health?k=v")
    assert "hunter2" not in str(caught.value)
    assert "'https://***@lb.example.com:8443/health'" in str(caught.value)


@settings(deadline=None)
@given(st.text() | st.text().map("http://{}".format) | st.from_regex(r"https?://[!-~]{0,30}", fullmatch=True))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No other exception, and nothing that is read can break out of a request line or a header."""
    try:
        url = parse_health_url(text)
    except UsageError:
        return
    assert url.scheme in {"http", "https"}
    assert 1 <= url.port <= 65_535
    assert url.host
    assert url.path.startswith("/")
    for part in (url.host, url.path, url.authority):
        assert part.isascii()
        assert part.isprintable()
        assert " " not in part
