from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import gzip
import ipaddress
import os
import socket
import ssl
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic

import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.adapters.http_servers import OK, Reader, Reply, Writer, endless, sends, serving
from vigo.adapters import probe
from vigo.adapters.probe import HttpProbe, closed_ports
from vigo.core.gate import Answer, AskTcp, AskUrl

SHORT_MS = 300
"""For peers that never come to an end; no test of a good answer depends on it."""
GENEROUS_MS = 30_000
MIB = 1024 * 1024


def probe_one(
    answer: Reply, timeout_ms: int = GENEROUS_MS, expect: tuple[tuple[int, int], ...] = ((200, 299),)
) -> Answer:
    """Ask a server that answers like this."""

    async def ask() -> Answer:
        async with serving(answer) as port:
            return await HttpProbe(timeout_ms, expect).ask(AskUrl(f"http://127.0.0.1:{port}/health?deep=1"))

    return asyncio.run(ask())


# --- status lines


@pytest.mark.parametrize(
    ("answer", "passed", "detail"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", True, "HTTP 200"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True, "HTTP 204"),
        (b"HTTP/1.0 299\r\n\r\n", True, "HTTP 299"),
        (b"HTTP/1.1 200 OK\n\n", True, "HTTP 200"),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", False, "HTTP 503"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", False, "HTTP 404"),
        (b"HTTP/1.1 301 Moved\r\nLocation: /elsewhere\r\n\r\n", False, "HTTP 301"),
        (b"HTTP/1.1 304 Not Modified\r\n\r\n", False, "HTTP 304"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", False, "HTTP 101"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", True, "HTTP 200"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 503 No\r\n\r\n", False, "HTTP 503"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", False, "connection closed inside the headers"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", False, "the answer is not HTTP"),
        (b"HTTP/1.1 20 OK\r\n\r\n", False, "the answer is not HTTP"),
        (b"HTTP/2 200\r\n\r\n", False, "the answer is not HTTP"),
        (b" HTTP/1.1 200 OK\r\n\r\n", False, "the answer is not HTTP"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", False, "the answer is not HTTP"),
        (b"<html>200 OK</html>\n\n", False, "the answer is not HTTP"),
        (b"<html>200 OK</html>", False, "connection closed inside the headers"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", False, "connection closed inside the headers"),
        (b"HTTP/1.1 200 OK", False, "connection closed inside the headers"),
        (b"", False, "connection closed before an answer"),
    ],
)
def test_only_a_whole_2xx_head_passes(answer: bytes, passed: bool, detail: str) -> None:  # noqa: FBT001 - a table's column
    """The status line and the headers decide; redirects, early ends and other protocols are verdicts with a reason."""
    found = probe_one(sends(answer))
    assert (found.passed, found.detail) == (passed, detail)
    assert found.duration_ms >= 0


def test_the_request_is_plain_and_names_host_and_path() -> None:
    """One GET without a body, which tells the server who asks and that no second request follows."""
    heads: list[bytes] = []

    async def answer(reader: Reader, writer: Writer) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(OK)
        await writer.drain()

    assert probe_one(answer).passed
    lines = heads[0].decode("ascii").split("\r\n")
    assert lines[0] == "GET /health?deep=1 HTTP/1.1"
    assert any(line.startswith("Host: 127.0.0.1:") for line in lines)
    assert any(line.startswith("User-Agent: vigo/") for line in lines)
    assert "Connection: close" in lines


def test_a_head_in_single_bytes_is_read() -> None:
    """However the network cuts it."""
    assert probe_one(sends(*(bytes([byte]) for byte in b"HTTP/1.1 200 OK\r\nX: y\r\n\r\n"))).passed


@pytest.fixture
def http_server() -> Iterator[tuple[str, list[str]]]:
    """Run the standard library's server: `/moved` redirects to `/target`; yields its URL and the paths asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(302 if self.path == "/moved" else 200)
            self.send_header("Location", "/target")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the standard library
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_redirect_is_not_followed(http_server: tuple[str, list[str]]) -> None:
    """A login page's 200 must not pass for a healthy service: the target is never asked."""
    url, asked = http_server
    found = asyncio.run(HttpProbe(GENEROUS_MS).ask(AskUrl(f"{url}/moved")))
    assert (found.passed, found.detail) == (False, "HTTP 302")
    assert asked == ["/moved"]
    assert asyncio.run(HttpProbe(GENEROUS_MS).ask(AskUrl(f"{url}/health"))).passed


def test_proxies_of_the_environment_are_ignored(
    http_server: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """C5: the gate asks the service, not a proxy that happens to be set."""
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    assert asyncio.run(HttpProbe(GENEROUS_MS).ask(AskUrl(f"{http_server[0]}/health"))).passed


# --- peers that never come to an end


async def _silence(reader: Reader, writer: Writer) -> None:
    del writer
    await reader.read(1)
    await asyncio.Event().wait()


async def _drip(reader: Reader, writer: Writer) -> None:
    await reader.readuntil(b"\r\n\r\n")
    for byte in OK + b"x" * 100:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(SHORT_MS / 1000 / 4)


@pytest.mark.parametrize("answer", [_silence, _drip], ids=["silent", "drips"])
def test_a_peer_that_keeps_us_waiting_fails_at_the_deadline(answer: Reply) -> None:
    """One deadline over all of it: a byte now and then does not extend it."""
    found = probe_one(answer, SHORT_MS)
    assert (found.passed, found.detail) == (False, f"no answer within {SHORT_MS}ms")
    assert found.duration_ms >= SHORT_MS


def test_a_peer_that_accepts_but_speaks_no_tls_fails_at_the_deadline() -> None:
    """The handshake is under the same deadline."""

    async def ask() -> Answer:
        async with serving(_silence) as port:
            return await HttpProbe(SHORT_MS).ask(AskUrl(f"https://127.0.0.1:{port}/"))

    assert asyncio.run(ask()).detail == f"no answer within {SHORT_MS}ms"


ENDLESS_BODY = endless(b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n", b"x" * 65_536)
BAD_CHUNKS = sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"-1\r\nZZZ\r\nffffffffffffffffff\r\n")
BOMB = gzip.compress(bytes(64 * MIB))
GZIP_BOMB = sends(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", BOMB)
HEADER_FLOOD = endless(b"HTTP/1.1 200 OK\r\n", b"X-Flood: " + b"y" * 8_000 + b"\r\n")
ONE_LONG_HEADER = endless(b"HTTP/1.1 200 OK\r\nX: ", b"y" * 65_536)
INTERIM_FLOOD = endless(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 100)


@pytest.mark.parametrize("answer", [ENDLESS_BODY, BAD_CHUNKS, GZIP_BOMB], ids=["10 GB", "bad chunks", "gzip bomb"])
def test_a_body_is_not_read(answer: Reply) -> None:
    """The head decides; what the body would do to a reader does not matter."""
    found = probe_one(answer)
    assert (found.passed, found.detail) == (True, "HTTP 200")


@pytest.mark.parametrize("answer", [HEADER_FLOOD, ONE_LONG_HEADER, INTERIM_FLOOD], ids=["many", "one", "interim"])
def test_a_flood_of_headers_is_cut_off(answer: Reply) -> None:
    """16 KiB is more than any health endpoint needs."""
    found = probe_one(answer)
    assert (found.passed, found.detail) == (False, "headers of more than 16 KiB")


def test_headers_up_to_the_bound_are_read() -> None:
    """16 KiB exactly passes, one byte more does not."""
    frame = len(b"HTTP/1.1 200 OK\r\nX: \r\n\r\n")
    fits = b"HTTP/1.1 200 OK\r\nX: " + b"y" * (16 * 1024 - frame) + b"\r\n\r\n"
    assert probe_one(sends(fits)).passed
    assert not probe_one(sends(fits.replace(b"X: ", b"X: y"))).passed


def test_hostile_answers_cost_no_memory_and_little_traffic() -> None:
    """Fifty probes of endless answers: at most 5 MB more, and the sender was stopped early."""
    sent: list[int] = []
    flood = endless(b"HTTP/1.1 200 OK\r\nX: ", b"y" * 65_536, sent)
    process = psutil.Process()

    async def ask() -> int:
        prober = HttpProbe(GENEROUS_MS)
        async with serving(flood) as flood_port, serving(ENDLESS_BODY) as body_port:
            urls = [f"http://127.0.0.1:{port}/" for port in (flood_port, body_port)]
            for url in urls * 3:
                await prober.ask(AskUrl(url))
            before = process.memory_info().rss
            for _ in range(25):
                assert [(await prober.ask(AskUrl(url))).passed for url in urls] == [False, True]
            return process.memory_info().rss - before

    assert asyncio.run(ask()) <= 5_000_000
    assert sum(sent) / 28 <= 16 * MIB, "the socket buffers' worth, not the stream's"


# --- no connection


def closed_port() -> int:
    """Return a port of 127.0.0.1 on which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def test_a_refused_connection_is_a_verdict() -> None:
    """Somebody is there, and nobody listens."""
    found = asyncio.run(HttpProbe(GENEROUS_MS).ask(AskUrl(f"http://127.0.0.1:{closed_port()}/")))
    assert (found.passed, found.detail) == (False, "refused")


def test_a_reset_connection_is_a_verdict() -> None:
    """A service that dies on the request is not healthy."""

    async def answer(reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        writer.transport.abort()

    found = probe_one(answer)
    assert not found.passed
    assert found.detail.startswith(("no answer: ", "connection closed"))


@pytest.mark.parametrize(
    "url",
    [
        "http://" + "a" * 64 + ".example/",
        "http://a..example/",
        "http://.example/",
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "127.0.0.1",
        "http://ops:pw@127.0.0.1/",
        "http://127.0.0.1:0/",
    ],
)
def test_a_url_that_names_nothing_is_a_verdict_too(url: str) -> None:
    """The port promises a verdict whatever goes wrong; the reading at the edge refuses most of these before."""
    found = asyncio.run(HttpProbe(GENEROUS_MS).ask(AskUrl(url)))
    assert not found.passed
    assert found.detail
    assert "pw" not in found.detail


def test_an_ipv6_literal_is_connected_to() -> None:
    """In brackets, as URLs write it; on a machine without IPv6 that is a verdict as well."""

    async def ask() -> Answer:
        async with serving(sends(OK), host="::1") as port:
            return await HttpProbe(GENEROUS_MS).ask(AskUrl(f"http://[::1]:{port}/"))

    try:
        assert asyncio.run(ask()).passed
    except OSError:
        assert not asyncio.run(HttpProbe(GENEROUS_MS).ask(AskUrl("http://[::1]:9/"))).passed


# --- what is expected


@pytest.mark.parametrize(
    ("status", "expect", "passed"),
    [
        (302, ((200, 299),), False),
        (302, ((200, 299), (302, 302)), True),
        (404, ((404, 404),), True),
        (200, ((404, 404),), False),
        (204, ((205, 299),), False),
        (300, ((200, 299),), False),
        (599, ((200, 299), (500, 599)), True),
        (200, (), False),
    ],
)
def test_the_expected_status_codes_are_healthy_and_no_others(
    status: int,
    expect: tuple[tuple[int, int], ...],
    passed: bool,  # noqa: FBT001 - a table's column
) -> None:
    """Both ends of a range are in it; a redirect passes only where it is expected, and is never followed."""
    found = probe_one(sends(f"HTTP/1.1 {status} X\r\nLocation: /health\r\n\r\n".encode()), expect=expect)
    assert (found.passed, found.detail) == (passed, f"HTTP {status}")


# --- TCP


def ask_tcp(address: str, port: int, timeout_ms: int = GENEROUS_MS) -> Answer:
    """Ask whether a port accepts connections."""
    return asyncio.run(HttpProbe(timeout_ms).ask(AskTcp("web-01", address, port)))


def test_a_port_that_accepts_is_healthy_and_is_told_nothing() -> None:
    """Connected, and closed at once."""
    received: list[bytes] = []

    async def listen(reader: Reader, writer: Writer) -> None:
        del writer
        received.append(await reader.read())

    async def ask() -> Answer:
        async with serving(listen) as port:
            answer = await HttpProbe(GENEROUS_MS).ask(AskTcp("web-01", "127.0.0.1", port))
            async with asyncio.timeout(GENEROUS_MS / 1000):
                while not received:  # noqa: ASYNC110 - the server has no event of its own
                    await asyncio.sleep(0.001)
            return answer

    found = asyncio.run(ask())
    assert (found.passed, found.detail) == (True, "connected")
    assert received == [b""]


def test_a_port_that_does_not_accept_says_how() -> None:
    """Refused, silent, or a name that nobody knows."""
    assert ask_tcp("127.0.0.1", closed_port()).detail == "refused"
    with blackhole() as port:
        found = ask_tcp("127.0.0.1", port, SHORT_MS)
    assert (found.passed, found.detail) == (False, f"no answer within {SHORT_MS}ms")
    assert ask_tcp("a" * 64, 80).detail.startswith("no answer: ")


@pytest.mark.parametrize(("timeout_ms", "told"), [(5_000, "5s"), (1_500, "1.5s"), (999, "999ms"), (60_000, "60s")])
def test_deadlines_are_told_as_operators_write_them(timeout_ms: int, told: str) -> None:
    """Whole seconds are not spelled out in milliseconds."""
    assert probe._bound(timeout_ms) == told


# --- names


def test_a_dead_resolver_delays_nothing_but_its_own_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A20: far more names than there are threads; a service given by address is asked at once, and the program ends."""
    release = threading.Event()
    asked: list[str] = []

    def never(name: str) -> OSError:
        asked.append(name)
        release.wait(60)
        return OSError("too late")

    monkeypatch.setattr("vigo.adapters.resolve._look_up", never)

    async def ask() -> tuple[Answer, list[Answer]]:
        async with serving(sends(OK)) as port:
            prober = HttpProbe(SHORT_MS)
            dead = [asyncio.create_task(prober.ask(AskUrl(f"http://dead{n}.example/"))) for n in range(60)]
            await asyncio.sleep(0)
            good = await HttpProbe(GENEROUS_MS).ask(AskUrl(f"http://127.0.0.1:{port}/"))
            assert not any(task.done() for task in dead)
            await asyncio.to_thread(lambda: None)  # asyncio's own threads are free
            return good, await asyncio.gather(*dead)

    try:
        good, dead = asyncio.run(ask())
    finally:
        release.set()
    assert good.passed
    assert {answer.detail for answer in dead} == {f"no answer within {SHORT_MS}ms"}
    assert len(asked) == 16, "what was given up is not looked up any more"


def test_a_dead_resolver_does_not_keep_the_program_from_ending() -> None:
    """The threads are daemons."""
    code = """
        import asyncio, threading
        from vigo.adapters import probe, resolve
        resolve._look_up = lambda name: threading.Event().wait()
        assert asyncio.run(probe.closed_ports({"web-01": ("dead.example", 22)}, 50)) == ("web-01",)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], timeout=60, check=False)
    assert done.returncode == 0


# --- TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a self-signed certificate for 127.0.0.1, key included."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "health")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


def ask_over_tls(certificate: Path, host: str = "127.0.0.1") -> Answer:
    """Ask a healthy server that shows this certificate."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)

    async def ask() -> Answer:
        async with serving(sends(OK), tls) as port:
            prober = HttpProbe(GENEROUS_MS)
            found = await prober.ask(AskUrl(f"https://{host}:{port}/"))
            assert found.passed == (await prober.ask(AskUrl(f"https://{host}:{port}/"))).passed
            return found

    return asyncio.run(ask())


def test_a_self_signed_certificate_does_not_pass(certificate: Path) -> None:
    """Nobody vouches for it, and the verdict says so."""
    found = ask_over_tls(certificate)
    assert not found.passed
    assert found.detail.startswith("certificate not trusted: self")


def test_a_trusted_certificate_passes_for_its_own_name_alone(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the operating system's means to trust it, and only under the name that it holds."""
    monkeypatch.setenv("SSL_CERT_FILE", os.fspath(certificate))
    assert ask_over_tls(certificate).passed
    other = ask_over_tls(certificate, "localhost")
    assert not other.passed
    assert "certificate not trusted" in other.detail


def test_plain_http_behind_https_is_a_verdict() -> None:
    """A server that speaks no TLS is told apart from one that does not answer."""

    async def answer(reader: Reader, writer: Writer) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async def ask() -> Answer:
        async with serving(answer) as port:
            return await HttpProbe(GENEROUS_MS).ask(AskUrl(f"https://127.0.0.1:{port}/"))

    found = asyncio.run(ask())
    assert not found.passed
    assert found.detail.startswith("no answer: ")


# --- ports


@contextlib.contextmanager
def blackhole() -> Iterator[int]:
    """Listen with a queue that is full, so that further connections get no reply at all; yields the port."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port: int = listener.getsockname()[1]
        for _ in range(8):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)  # noqa: FBT003 - the socket's own signature
            filler.connect_ex(("127.0.0.1", port))
        yield port


def test_ports_that_do_not_accept_are_named_in_order() -> None:
    """Open ones are not; a name that cannot be resolved or encoded counts as closed; nothing is sent to the open one."""
    received: list[bytes] = []

    async def listen(reader: Reader, writer: Writer) -> None:
        del writer
        received.append(await reader.read())

    async def look(silent_port: int) -> tuple[str, ...]:
        async with serving(listen) as port:
            endpoints = {
                "web-01": ("127.0.0.1", closed_port()),
                "web-02": ("127.0.0.1", port),
                "web-03": ("127.0.0.1", silent_port),
                "web-04": ("a" * 64, 22),
                "web-05": ("127.0.0.1", port),
            }
            return await closed_ports(endpoints, SHORT_MS)

    with blackhole() as silent_port:
        assert asyncio.run(look(silent_port)) == ("web-01", "web-03", "web-04")
    assert b"".join(received) == b""


def test_silent_ports_are_waited_for_side_by_side() -> None:
    """Forty of them take nothing like forty deadlines."""
    with blackhole() as port:
        begin = monotonic()
        closed = asyncio.run(closed_ports({f"h{n}": ("127.0.0.1", port) for n in range(40)}, SHORT_MS))
        assert len(closed) == 40
        assert monotonic() - begin < 40 * SHORT_MS / 1000 / 2


def most_at_once(count: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """Probe silent ports and return how many were open at the same moment."""
    at_once: list[int] = [0, 0]

    async def silent(addresses: object, port: int) -> socket.socket:
        del addresses, port
        at_once[0] += 1
        at_once[1] = max(at_once)
        try:
            await asyncio.sleep(60)
        finally:
            at_once[0] -= 1
        raise AssertionError

    monkeypatch.setattr("vigo.adapters.probe.connect", silent)
    closed = asyncio.run(closed_ports({f"h{n}": ("127.0.0.1", 22) for n in range(count)}, 50))
    assert len(closed) == count
    return at_once[1]


def test_up_to_a_thousand_ports_are_probed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that 10,000 dead hosts take ten deadlines, 20 s, and not forty."""
    monkeypatch.setattr("resource.getrlimit", lambda _which: (65_536, 65_536))
    assert most_at_once(2_500, monkeypatch) == 1_000


@pytest.mark.parametrize("limit", [64, 128])
def test_a_limit_on_open_files_is_kept_to(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """C6: fewer at once, and no port is called closed for want of a descriptor."""
    monkeypatch.setattr("resource.getrlimit", lambda _which: (limit, limit))
    assert 1 <= most_at_once(limit, monkeypatch) < limit - 32


def test_ports_are_all_found_open_below_a_low_limit() -> None:
    """With the real limit on a real process: more open ports than there are descriptors."""
    code = """
        import asyncio, resource, socket
        from vigo.adapters.probe import closed_ports
        resource.setrlimit(resource.RLIMIT_NOFILE, (48, 48))
        with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
            port = server.getsockname()[1]
            print(asyncio.run(closed_ports({f"h{n}": ("127.0.0.1", port) for n in range(100)}, 30_000)))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("()\n", "")


def test_no_ports_at_all_are_no_closed_ports() -> None:
    """An empty plan asks nobody."""
    assert asyncio.run(closed_ports({})) == ()
