"""The fault catalogue's part C on real components: budgets over SSH, and gates before servers of every kind."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import ssl
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import psutil
import pytest

from tests.adapters.http_servers import OK, Reader, Reply, Writer, endless, sends, serving
from tests.engine.fakes import MemoryJournal, MemorySink, MemoryTransport, settled, until
from tests.sshd import Farm, free_port
from vigo.adapters.probe import HttpProbe
from vigo.adapters.store import Store
from vigo.adapters.store_audit import audit
from vigo.adapters.store_thread import ThreadedJournal
from vigo.core.errors import UsageError
from vigo.core.events import Event, GateChecked, HostFinished, HostStarted, Record, TaskDispatched, TaskStatus
from vigo.core.gate import Ask, AskUrl, GatePolicy
from vigo.core.guard import Text, clear
from vigo.core.health import parse_health_url
from vigo.core.model import Host, Limits, Outcome
from vigo.core.plan import Policy
from vigo.core.quantity import Quantity
from vigo.core.rollout import Run
from vigo.engine.execute import Execution, Ports, Work
from vigo.engine.ports import Journal, Probe, Transport

pytestmark = pytest.mark.faults
TIMEOUT_MS = 1_000
MIB = 1024 * 1024


def execution(
    dispatched: TaskDispatched,
    hosts: dict[str, Host],
    texts: Callable[[str], str],
    *,
    transport: Transport,
    journal: Journal,
    probe: Probe,
    task: str = "t1a2b3c4",
) -> Execution:
    """Wire a task up; its gate asks its URLs."""
    marks = itertools.count(1)
    asks: tuple[Ask, ...] = tuple(map(AskUrl, dispatched.policy.gate.urls))
    work = Work(
        clear=lambda name: clear(hosts[name], Text(texts(name))),
        clear_check=lambda name: clear(hosts[name], Text("true")),
        asks=lambda _: asks,
        mark=lambda: f"{next(marks):032x}",
    )
    complaints: list[str] = []
    ports = Ports(transport, probe, journal, MemorySink(), (), complaints.append)
    return Execution(task, Run(dispatched), work, ports)


# --- C1


HOSTS = tuple(f"h{number:02}" for number in range(30))
BAD = ("h02", "h06", "h07", "h13", "h21")
LOSE = 'p=$$; until grep -q sshd /proc/$p/comm; do p=$(cut -d" " -f4 /proc/$p/stat); done; kill -KILL "$p"; sleep 2'
KINDS = {
    "failed": "exit 1",
    "timeout": "sleep 20",
    "unreachable": "true",
    "lost": LOSE,
}


@pytest.mark.sshd
@pytest.mark.parametrize("allowed", [0, 1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_c1_a_budget_is_exact_over_ssh(sshd_farm: Farm, tmp_path: Path, kind: str, allowed: int) -> None:
    """30 hosts, batches of 5: once the failure too many is on record, not one host starts. Real sshd, real journal."""
    server, nowhere = sshd_farm.serve(), free_port()
    hosts = {name: sshd_farm.host(server, name=name) for name in HOSTS}
    if kind == "unreachable":
        hosts |= {name: sshd_farm.host(server, name=name, port=nowhere) for name in BAD}
    batches = tuple(HOSTS[start : start + 5] for start in range(0, 30, 5))
    policy = Policy(Limits(timeout_ms=1_000, grace_ms=500), fanout=3, failures_max=Quantity(allowed))

    async def carry_out() -> list[Record]:
        store = Store(tmp_path / "vigo")
        record, lock = store.dispatch(TaskDispatched("ops", "x", "all", batches, policy))
        assert isinstance(record.event, TaskDispatched)
        async with ThreadedJournal(store) as journal:
            await execution(
                record.event,
                hosts,
                lambda name: KINDS[kind] if name in BAD else "true",
                transport=sshd_farm.transport(policy),
                journal=journal,
                probe=HttpProbe(),
                task=record.task,
            ).carry_out()
        lock.release()
        with store:
            assert not audit(store).is_tampered
            assert store.observe(record.task)[1] is TaskStatus.ABORTED
            return list(store.records(record.task))

    events = [record.event for record in asyncio.run(carry_out())]
    failed = [at for at, event in enumerate(events) if is_bad(event)]
    outcomes = {event.result.outcome for event in events if isinstance(event, HostFinished) and is_bad(event)}
    assert outcomes == {Outcome(kind)}, [events[at] for at in failed]
    after = [event for event in events[failed[allowed] :] if isinstance(event, HostStarted)]
    print(f"C1 {kind}, {allowed} allowed: {len(after)} hosts started after failure {allowed + 1}")
    assert after == []


def is_bad(event: Event) -> bool:
    """Tell an ending that a budget counts."""
    return isinstance(event, HostFinished) and event.result.outcome is not Outcome.COMPLETE


# --- C3


async def _silence(reader: Reader, writer: Writer) -> None:
    del writer
    await reader.read(1)
    await asyncio.Event().wait()


async def _drip(reader: Reader, writer: Writer) -> None:
    await reader.readuntil(b"\r\n\r\n")
    for byte in OK + b"x" * 100:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(1)


def _one_after_the_other(answers: Sequence[bytes]) -> Reply:
    left = list(answers)

    async def answer(reader: Reader, writer: Writer) -> None:
        await sends(left.pop(0))(reader, writer)

    return answer


SICK = b"HTTP/1.1 503 Service Unavailable\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BOMB = gzip.compress(bytes(256 * MIB))


@dataclass(frozen=True)
class Peer:
    """A server, and what a gate makes of it."""

    reply: Reply = sends(OK)
    passes: bool = True
    told: str = "HTTP 200"
    tries: tuple[bytes, ...] = ()
    """Answers one after the other, instead of `reply`."""
    deadline_ms: int = 0
    scheme: str = "http"
    is_there: bool = True


PEERS = {
    "200": Peer(sends(OK), passes=True, told="HTTP 200"),
    "503": Peer(sends(SICK), passes=False, told="HTTP 503"),
    "302": Peer(sends(b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n"), passes=False, told="HTTP 302"),
    "200 after 3 tries, one probe": Peer(tries=(SICK, SICK, OK), passes=False, told="HTTP 503"),
    "200 after 3 tries, a deadline": Peer(
        tries=(SICK, SICK, OK), passes=True, told="HTTP 200 (3 rounds", deadline_ms=10_000
    ),
    "refuses": Peer(sends(OK), passes=False, told="refused", is_there=False),
    "never answers": Peer(_silence, passes=False, told="no answer within 1s"),
    "drips 1 B/s": Peer(_drip, passes=False, told="no answer within 1s"),
    "10 GB body": Peer(
        endless(b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n", b"x" * 65_536), passes=True, told="HTTP 200"
    ),
    "bad chunking": Peer(sends(CHUNKED, b"-1\r\nZZZ\r\n"), passes=True, told="HTTP 200"),
    "header flood": Peer(
        endless(b"HTTP/1.1 200 OK\r\n", b"X: " + b"y" * 8_000 + b"\r\n"), passes=False, told="headers of more"
    ),
    "gzip bomb": Peer(sends(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", BOMB), passes=True, told="HTTP 200"),
    "self-signed": Peer(sends(OK), passes=False, told="certificate not trusted", scheme="https"),
    "closes early": Peer(sends(b"HTTP/1.1 200 OK\r\nX"), passes=False, told="connection closed inside"),
    "closes at once": Peer(sends(b""), passes=False, told="connection closed before"),
}


@pytest.mark.parametrize("name", PEERS)
def test_c3_only_the_documented_success_opens_a_gate(name: str, tls: ssl.SSLContext) -> None:
    """Each ends within the probe's time-out and half a second, costs at most 5 MB, and on failure starts nobody."""
    peer = PEERS[name]
    process = psutil.Process()
    worst_s, worst_rss = 0.0, 0

    async def one_gate(port: int) -> None:
        nonlocal worst_s, worst_rss
        gate = GatePolicy(
            (f"{peer.scheme}://127.0.0.1:{port}/health",),
            timeout_ms=TIMEOUT_MS,
            interval_ms=50,
            deadline_ms=peer.deadline_ms,
        )
        policy = Policy(gate=gate)
        dispatched = TaskDispatched("ops", "true", "all", (("a",), ("b",)), policy)
        transport, journal = MemoryTransport(), MemoryJournal()
        run = execution(
            dispatched,
            {name: Host(name, f"uuid-of-{name}") for name in ("a", "b")},
            lambda _: "true",
            transport=transport,
            journal=journal,
            probe=HttpProbe(TIMEOUT_MS, gate.expect),
        )
        carrying = asyncio.create_task(run.carry_out())
        await transport.until_running("a")
        before, begin = process.memory_info().rss, monotonic()
        transport.end("a")
        await until(lambda: any(isinstance(event, GateChecked) for event in journal.events))
        worst_s = max(worst_s, monotonic() - begin)
        worst_rss = max(worst_rss, process.memory_info().rss - before)
        await settled()
        (checked,) = (event for event in journal.events if isinstance(event, GateChecked))
        assert (checked.passed, transport.seen) == (peer.passes, ("a", "b") if peer.passes else ("a",))
        assert checked.detail.startswith(peer.told)
        run.cancel("test", now=True)
        await carrying

    async def gates() -> None:
        for repeat in range(6):
            reply = _one_after_the_other(peer.tries) if peer.tries else peer.reply
            async with serving(reply, tls if peer.scheme == "https" else None) as port:
                await one_gate(port if peer.is_there else free_port())
            if repeat == 0:
                nonlocal worst_rss
                worst_rss = 0  # what the first one loads stays

    asyncio.run(gates())
    print(f"C3 {name}: {worst_s:.2f} s, RSS + {max(0, worst_rss) / 1e6:.1f} MB")
    assert worst_s <= TIMEOUT_MS / 1000 + 0.5
    assert worst_rss <= 5_000_000


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """Make a server's side of TLS that nobody vouches for."""
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=health"]
    subprocess.run([*command, "-keyout", path, "-out", f"{path}.crt"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{path}.crt", path)
    return context


# --- C4, C5


def test_c4_a_gate_that_flips_is_found_at_the_next_one() -> None:
    """Healthy at the first gate, 503 one second later: the second batch ran, the third does not."""
    since: list[float] = []

    async def flips(reader: Reader, writer: Writer) -> None:
        since.append(monotonic())
        await sends(OK if monotonic() - since[0] < 1 else SICK)(reader, writer)

    async def carry_out() -> tuple[Run, tuple[str, ...]]:
        async with serving(flips) as port:
            policy = Policy(gate=GatePolicy((f"http://127.0.0.1:{port}/",)))
            dispatched = TaskDispatched("ops", "true", "all", (("a",), ("b",), ("c",)), policy)
            transport = MemoryTransport()
            task = execution(
                dispatched,
                {name: Host(name, f"uuid-of-{name}") for name in "abc"},
                lambda _: "true",
                transport=transport,
                journal=MemoryJournal(),
                probe=HttpProbe(),
            )
            carrying = asyncio.create_task(task.carry_out())
            await transport.until_running("a")
            transport.end("a")
            await transport.until_running("b")
            await asyncio.sleep(1.1)
            transport.end("b")
            await carrying
            return task.run, transport.seen

    run, seen = asyncio.run(carry_out())
    print(f"C4: found at the gate after batch {run.gates[-1].batch}: {run.reason}")
    assert seen == ("a", "b")
    assert run.status is TaskStatus.ABORTED


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://127.0.0.1/", "127.0.0.1/health", "http://ops:pw@127.0.0.1/", "http://::1/"]
)
def test_c5_a_bad_url_is_refused_before_any_host_runs(url: str) -> None:
    """At the edge; and should one ever come that far, the probe refuses it too, without connecting."""
    with pytest.raises(UsageError):
        parse_health_url(url)
    assert not asyncio.run(HttpProbe(TIMEOUT_MS).ask(AskUrl(url))).passed


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_c5_proxies_are_ignored(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service itself answers; whoever listens where the variable points hears nothing."""
    heard: list[bytes] = []

    async def proxy(reader: Reader, writer: Writer) -> None:
        del writer
        heard.append(await reader.read(1))

    async def ask() -> bool:
        async with serving(sends(OK)) as port, serving(proxy) as proxy_port:
            monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy_port}")
            return (await HttpProbe(TIMEOUT_MS).ask(AskUrl(f"http://127.0.0.1:{port}/"))).passed

    assert asyncio.run(ask())
    assert heard == []


def test_c5_an_ipv6_address_is_asked() -> None:
    """In brackets."""

    async def ask() -> bool:
        async with serving(sends(OK), host="::1") as port:
            return (await HttpProbe(TIMEOUT_MS).ask(AskUrl(f"http://[::1]:{port}/"))).passed

    try:
        assert asyncio.run(ask())
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
