from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vigo.core.errors import UsageError
from vigo.core.gate import Decision, GatePolicy, Watch
from vigo.core.health import (
    HealthUrl,
    check_gate,
    parse_accept_exit,
    parse_expect,
    parse_health_url,
    parse_port,
)


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
        ("http://a%20b/", "a%20b is no host's name"),
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


def test_a_refusal_names_the_setting() -> None:
    """The flag, unless it came from elsewhere."""
    with pytest.raises(UsageError, match=r"^health_check_url: 'x' cannot be probed"):
        parse_health_url("x", flag="health_check_url")


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("200", ((200, 200),)),
        ("200-299", ((200, 299),)),
        ("200-299,304", ((200, 299), (304, 304))),
        (" 100-599 , 404 ", ((100, 599), (404, 404))),
        ("204-204", ((204, 204),)),
    ],
)
def test_status_codes_are_read_as_ranges(text: str, expected: tuple[tuple[int, int], ...]) -> None:
    """Both ends are in them."""
    assert parse_expect(text) == expected


@pytest.mark.parametrize("text", ["", ",", "200,", "2xx", "99", "600", "200-", "-299", "200-299-304", "٢٠٠", "0200"])
def test_other_texts_are_no_status_codes(text: str) -> None:
    """The setting is named, and the form is shown."""
    with pytest.raises(UsageError, match=r"^--expect: .* are not HTTP status codes; write codes and ranges"):
        parse_expect(text, flag="--expect")
    with pytest.raises(UsageError, match=r"^--health-check-expect: "):
        parse_expect(text)


def test_a_range_that_runs_backwards_is_turned_for_the_operator() -> None:
    """It would never match."""
    with pytest.raises(UsageError, match=r"'299-200' runs backwards; write 200-299"):
        parse_expect("204,299-200")


def test_exit_codes_are_read_each_once() -> None:
    """In the order in which they are written."""
    assert parse_accept_exit("0") == (0,)
    assert parse_accept_exit(" 3, 0,255,3") == (3, 0, 255)


@pytest.mark.parametrize("text", ["", "0,", "-1", "256", "1.0", "a", "1-3", "٣", "9" * 5_000])
def test_other_texts_are_no_exit_codes(text: str) -> None:
    """A host cannot end with them."""
    with pytest.raises(
        UsageError, match=r"^--accept-exit: .* is not an exit code; write numbers of 0-255, such as 0,3"
    ):
        parse_accept_exit(text)
    with pytest.raises(UsageError, match=r"^accept_exit: "):
        parse_accept_exit(text, flag="accept_exit")


def test_a_port_is_a_number_or_its_text() -> None:
    """1 to 65535."""
    assert [parse_port(1), parse_port("443"), parse_port(65_535)] == [1, 443, 65_535]


@pytest.mark.parametrize("port", ["", "0", 0, -1, 65_536, "http", "80 ", True, "9" * 5_000])
def test_anything_else_is_no_port(port: str | int) -> None:
    """The setting is named."""
    with pytest.raises(UsageError, match=r"^--health-check-tcp: .* is not a port; write a number of 1-65535$"):
        parse_port(port)
    with pytest.raises(UsageError, match=r"^tcp: "):
        parse_port(port, flag="tcp")


@pytest.mark.parametrize(
    "gate",
    [
        GatePolicy(),
        GatePolicy(tcp_port=80, timeout_ms=1, interval_ms=100, baseline=True),
        GatePolicy(command="true", deadline_ms=1_000, stable_ms=999),
        GatePolicy(command="true", stable_ms=60_000),
        GatePolicy(urls=("http://lb/",), expect=((404, 404),)),
    ],
)
def test_a_gate_that_makes_sense_is_taken(gate: GatePolicy) -> None:
    """No gate at all is one; a time to be stable for needs no deadline."""
    check_gate(gate)


@pytest.mark.parametrize(
    ("gate", "complaint"),
    [
        (GatePolicy(timeout_ms=1), "timeout: there is nothing to ask; add "),
        (GatePolicy(interval_ms=500), "interval: there is nothing to ask"),
        (GatePolicy(deadline_ms=1), "deadline: there is nothing to ask"),
        (GatePolicy(stable_ms=1), "stable: there is nothing to ask"),
        (GatePolicy(expect=((200, 200),)), "expect: there is nothing to ask"),
        (GatePolicy(baseline=True), "baseline: there is nothing to ask"),
        (GatePolicy(tcp_port=80, expect=((200, 200),)), "expect: is for URLs, and none is asked; add "),
        (GatePolicy(tcp_port=80, interval_ms=99), "interval: 99ms is too short; the least is 100ms"),
        (GatePolicy(tcp_port=80, interval_ms=0), "interval: 0ms is too short"),
        (
            GatePolicy(tcp_port=80, deadline_ms=30_000, stable_ms=30_000),
            "stable: 30.0s cannot be seen before P-deadline (30.0s) has passed; make the deadline longer",
        ),
    ],
)
def test_a_gate_that_makes_no_sense_is_refused(gate: GatePolicy, complaint: str) -> None:
    """With the setting's name as it was written: a flag's, or a key's."""
    for prefix, more in (("--health-check-", {}), ("health_check_", {"prefix": "health_check_"})):
        with pytest.raises(UsageError) as caught:
            check_gate(gate, **more)
        assert str(caught.value).startswith(prefix + complaint.replace("P-", prefix))


@pytest.mark.parametrize("deadline_ms", [100, 1_000, 1_001, 60_000])
def test_a_gate_that_is_refused_as_hopeless_is_hopeless(deadline_ms: int) -> None:
    """Healthy from the first round on, and still overdue; one millisecond less and it passes."""
    for stable_ms, expected in ((deadline_ms, Decision.FAILED), (deadline_ms - 1, Decision.PASSED)):
        watch = Watch(GatePolicy(tcp_port=80, deadline_ms=deadline_ms, stable_ms=stable_ms))
        assert watch.decide(healthy=True, at_ms=1) is Decision.AGAIN
        assert watch.decide(healthy=True, at_ms=deadline_ms) is expected
