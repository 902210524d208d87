"""What can be made wrong with one host, and that it is made right again, while its neighbours stay well."""

from __future__ import annotations

import asyncio
import http.client
import time

import pytest

from tests.lab.labkit import ask, connect
from vigo.core.command import greeting, wrap
from vigo.core.errors import UsageError, VigoError
from vigo.core.model import Limits
from vigo.lab import control
from vigo.lab.faults import SLOW_MS, Fault, FaultKind, parse_fault
from vigo.lab.state import RunningLab

WEB, OTHER = "web-02.example.com", "web-03.example.com"


def play(lab: RunningLab, fault: str) -> None:
    """Give one host a fault; an empty one heals it."""
    control.ask(lab.folder, {"do": "fault", "host": WEB, "fault": fault})


@pytest.mark.parametrize("text", ["refuse", "hang", "slow", "exit:0", "exit:255"])
def test_each_fault_is_read_and_told_in_the_same_words(text: str) -> None:
    """What `lab break` takes is what `lab status` shows."""
    assert str(parse_fault(text)) == text


@pytest.mark.parametrize(
    "text", ["", "Refuse", "exit", "exit:", "exit:-1", "exit:256", "exit:3x", "slow:2", "exit:9999999999", "exit:²"]
)
def test_anything_else_is_a_usage_error_that_lists_the_faults(text: str) -> None:
    """A mistyped fault changes nothing."""
    with pytest.raises(UsageError, match="refuse, hang, slow or exit:N"):
        parse_fault(text)


def test_an_exit_fault_carries_its_code() -> None:
    """The code is a number from 0 to 255."""
    assert parse_fault("exit:3") == Fault(FaultKind.EXIT, 3)


def test_refuse_closes_the_port_and_heal_opens_the_same_one(lab: RunningLab) -> None:
    """TCP is refused at once; the port stays the host's own."""

    async def attempt() -> None:
        async with connect(lab, WEB):
            pytest.fail("was let in")

    play(lab, "refuse")
    with pytest.raises(ConnectionRefusedError):
        asyncio.run(attempt())
    assert ask(lab, OTHER, "true").code == 0
    play(lab, "")
    assert ask(lab, WEB, "hostname").stdout.decode().strip() == WEB


def test_a_refusing_host_can_be_told_to_refuse_again(lab: RunningLab) -> None:
    """The same order twice, or another fault on top, is no error."""
    for fault in ("refuse", "refuse", "exit:4", "refuse", "slow", ""):
        play(lab, fault)
    assert ask(lab, WEB, "true").code == 0


def test_hang_accepts_and_says_nothing(lab: RunningLab) -> None:
    """The client is connected and gets not even a banner."""
    port = next(host.port for host in lab.hosts if host.name == WEB)

    async def listen() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await reader.read(1)
        writer.close()
        await writer.wait_closed()

    play(lab, "hang")
    asyncio.run(listen())
    assert ask(lab, OTHER, "true").code == 0
    play(lab, "")
    assert ask(lab, WEB, "true").code == 0


def test_slow_starts_late_and_then_works(lab: RunningLab) -> None:
    """Input sent meanwhile is kept, and the exit code is the command's own."""
    play(lab, "slow")
    started = time.monotonic()
    answer = ask(lab, WEB, "cat; exit 5", b"kept")
    assert (answer.code, answer.stdout) == (5, b"kept")
    assert time.monotonic() - started >= SLOW_MS / 1000
    play(lab, "")


def test_slow_forgets_a_command_whose_client_has_gone(lab: RunningLab) -> None:
    """Nothing is started for nobody, and the server survives it."""

    async def run() -> None:
        connection = await connect(lab, WEB)
        await connection.create_process("touch ~/never")
        connection.abort()
        await connection.wait_closed()

    play(lab, "slow")
    asyncio.run(run())
    answer = ask(lab, WEB, "test -e never")  # starts as late, so after the one that was forgotten would have
    assert answer.code == 1
    play(lab, "")


def test_exit_answers_without_running(lab: RunningLab) -> None:
    """Every command ends with that code and has no effect."""
    play(lab, "exit:3")
    assert ask(lab, WEB, "touch ~/never; exit 0").code == 3
    play(lab, "exit:0")
    assert ask(lab, WEB, "exit 9").code == 0
    play(lab, "")
    assert ask(lab, WEB, "test -e never").code == 1


def test_exit_greets_vigo_as_a_command_that_began(lab: RunningLab) -> None:
    """Vigo's own wrapper is answered as if the command had run and failed, so that `failed` can be played."""
    wire = wrap("touch ~/never", [("token", "s3cret")], Limits(nice=5), "r1.a-b_9")
    play(lab, "exit:7")
    answer = ask(lab, WEB, wire.exec_string, wire.stdin)
    play(lab, "")
    assert (answer.code, answer.stdout) == (7, b"")
    found = greeting("r1.a-b_9", answer.stderr)
    assert found is not None
    assert found.span() == (0, len(answer.stderr))
    assert ask(lab, WEB, "test -e never").code == 1


def test_a_fault_for_nobody_is_refused(lab: RunningLab) -> None:
    """The server checks for itself what it is told."""
    for order in (
        {"do": "fault", "host": "web-99.example.com", "fault": "slow"},
        {"do": "fault", "host": WEB, "fault": "explode"},
        {"do": "dance"},
    ):
        with pytest.raises(VigoError, match="refused"):
            control.ask(lab.folder, {**order})
    assert ask(lab, WEB, "true").code == 0


def test_the_health_url_says_what_it_is_told(lab: RunningLab) -> None:
    """200, then 503, then 200 again; any other path is not there."""

    def get(path: str, method: str = "GET") -> int:
        host, port = lab.health_url.removeprefix("http://").removesuffix("/health").split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=20)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            response.read()
            return response.status
        finally:
            connection.close()

    assert (get("/health"), get("/health", "HEAD"), get("/")) == (200, 200, 404)
    control.ask(lab.folder, {"do": "health", "up": False})
    assert get("/health?x=1") == 503
    control.ask(lab.folder, {"do": "health", "up": True})
    assert get("/health") == 200


def test_a_client_that_speaks_no_http_is_let_go(lab: RunningLab) -> None:
    """Garbage and endless headers end the connection and nothing else."""
    port = int(lab.health_url.rsplit(":", 1)[1].split("/")[0])

    async def send(data: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(data)
            writer.write_eof()
            return await reader.read()
        except OSError:  # it may be gone before all was sent
            return b""
        finally:
            writer.close()

    assert asyncio.run(send(b"\x16\x03\x01")) == b""
    assert asyncio.run(send(b"x" * 200_000)) == b""
