"""Telling others: a real server and real programs, good and bad ones."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from vigo.adapters.notify import post, run_command
from vigo.core.health import parse_health_url

_BODY = b'{"task": "t1a2b3c4"}\n'


class Heard:
    """What a server was sent."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str | None, bytes]] = []


@contextmanager
def listening(
    status: int = 204, location: str | None = None, until: threading.Event | None = None
) -> Iterator[tuple[str, Heard]]:
    """Run a server that answers every POST with this status, once `until` is set; yields its URL."""
    heard = Heard()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.requests.append((self.path, self.headers["Content-Type"], body))
            if until is not None:
                until.wait(30)
            self.send_response(status)
            if location is not None:
                self.send_header("Location", location)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the method it stands for
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_server_gets_the_notice_once() -> None:
    """As JSON, with the path and query of the URL."""
    with listening() as (url, heard):
        assert post(parse_health_url(f"{url}/hook?x=1"), _BODY) == ""
    assert heard.requests == [("/hook?x=1", "application/json", _BODY)]


def test_a_redirect_is_not_followed() -> None:
    """The notice reaches nobody but the server that was named."""
    with listening() as (elsewhere, other), listening(307, f"{elsewhere}/") as (url, heard):
        assert post(parse_health_url(url), _BODY) == "HTTP 307, and redirects are not followed"
        assert (len(heard.requests), len(other.requests)) == (1, 0)


def test_what_goes_wrong_with_a_server_is_a_sentence() -> None:
    """An error status, nobody there, an answer that never comes, and a server that speaks no TLS."""
    answered = threading.Event()
    with listening(500) as (url, _):
        assert post(parse_health_url(url), _BODY) == "HTTP 500"
        assert post(parse_health_url(url.replace("http:", "https:")), _BODY).startswith("no answer")
    assert post(parse_health_url(url), _BODY) == "no answer: Connection refused"
    with listening(until=answered) as (url, _):
        assert post(parse_health_url(url), _BODY, deadline_s=0.1) == "no answer within 0.1 s"
        answered.set()


def test_a_command_gets_the_notice_and_the_facts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On its standard input and in its environment, without the params."""
    monkeypatch.setenv("VIGO_PARAM_TOKEN", "s3cret")
    place = tmp_path / "got"
    command = f'{{ cat; echo "$VIGO_TASK ${{VIGO_PARAM_TOKEN-none}}"; }} > {place}'
    assert run_command(command, _BODY, {"VIGO_TASK": "t1a2b3c4"}) == ""
    assert place.read_bytes() == _BODY + b"t1a2b3c4 none\n"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("exit 3", "exit 3"),
        ("kill -9 $$", "signal 9"),
        ("exec no-such-program 2>/dev/null", "exit 127"),
        ("sleep 60 & sleep 60", "did not end within 0.2 s and was killed"),
        ("\0", "cannot be started: embedded null byte"),
    ],
)
def test_what_goes_wrong_with_a_command_is_a_sentence(command: str, said: str) -> None:
    """A command that reads nothing of a long notice is no trouble by itself."""
    assert run_command(command, _BODY * 20_000, {}, deadline_s=0.2 if "sleep" in command else 10) == said


def test_a_command_that_does_not_read_is_no_failure() -> None:
    """It may only want to ring a bell."""
    check: Callable[..., str] = run_command
    assert check("true", _BODY * 20_000, {}) == ""
