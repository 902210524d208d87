"""Passwords, passphrases and the questions of hosts: each given once, to nobody but whom it is for, and shown nowhere."""

from __future__ import annotations

import asyncio
import copy
import os
import pickle
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.asking import LET_IN, OTP, RIGHT, Asking, serving
from tests.sshd import Farm, Server, Sink, fresh, make_key, order, wait_until
from vigo.adapters.ssh_auth import REFUSALS_MAX, Gate
from vigo.adapters.ssh_keys import unlock
from vigo.adapters.ssh_secrets import Credentials, Secret, read_descriptor, read_file
from vigo.core.errors import UsageError
from vigo.core.model import Ended, Hop, Host, Limits, Outcome, Reason, SshSettings
from vigo.core.plan import Policy

WRONG = "wr0ng-horse"


def credentials(password: str = RIGHT, ask: Callable[[str, bool], str | None] | None = None) -> Credentials:
    """Return a password, and an operator who answers questions by `ask(question, echo)`."""

    async def answer(question: str, *, echo: bool) -> str | None:
        await asyncio.sleep(0)
        return None if ask is None else ask(question, echo)

    return Credentials(Secret(password) if password else None, answer if ask else None, answers_hosts=True)


# --- secrets ---------------------------------------------------------------------------------------------------------


def test_a_secret_shows_itself_to_nobody_who_does_not_ask() -> None:
    """Not printed, formatted, copied into dictionaries, pickled; gone when it was wiped."""
    secret = Secret(RIGHT)
    holder = Credentials(secret)
    for shown in (repr(secret), str(secret), f"{secret}", repr(holder), str(asdict(_Holds(secret))["secret"])):
        assert RIGHT not in shown
    for copied in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="not written"):
            copied(secret)
    assert secret.reveal() == RIGHT
    holder.wipe()
    assert (secret.reveal(), bool(secret), holder.password) == ("", False, None)


@dataclass(frozen=True)
class _Holds:
    secret: object

    def __post_init__(self) -> None:
        object.__setattr__(self, "secret", repr(self.secret))


@pytest.mark.parametrize(
    ("data", "mode", "told"),
    [
        (b"s3cret\n", 0o640, r"others can use it \(mode 0640\).*chmod 600"),
        (b"s3cret\n", 0o604, "others can use it"),
        (b"", 0o600, "is empty"),
        (b"\n", 0o600, "is empty"),
        (b"one\ntwo\n", 0o600, "more than one line"),
        (b"nul\0l", 0o600, "more than one line"),
        (b"\xff\xfe", 0o600, "not UTF-8"),
        (b"x" * 1025, 0o600, "longer than 1024"),
    ],
)
def test_a_file_that_is_not_ours_alone_or_holds_no_secret_is_refused(
    tmp_path: Path, data: bytes, mode: int, told: str
) -> None:
    """Each with the file and the reason, and without a byte of what is in it."""
    path = tmp_path / "secret"
    path.write_bytes(data)
    path.chmod(mode)
    with pytest.raises(UsageError, match=told) as refused:
        read_file(str(path), "--password-file")
    assert str(path) in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_files_that_are_missing_foreign_or_no_files_are_refused(tmp_path: Path) -> None:
    """A folder, a device, nothing at all, and a file of another user's."""
    for path, told in ((tmp_path, "no plain file"), (Path("/dev/null"), "no plain file"), (tmp_path / "x", "No such")):
        with pytest.raises(UsageError, match=told):
            read_file(str(path), "--password-file")
    if os.geteuid() == 0:
        foreign = tmp_path / "foreign"
        foreign.write_text("s3cret")
        foreign.chmod(0o600)
        os.chown(foreign, 12_345, -1)
        with pytest.raises(UsageError, match="belongs to uid 12345"):
            read_file(str(foreign), "--password-file")


def test_one_line_end_is_not_part_of_a_secret(tmp_path: Path) -> None:
    """Blanks are, and so is everything else; descriptors are read to their end and closed."""
    path = tmp_path / "secret"
    for data, secret in (
        (b" a b \n", " a b "),
        (b"crlf\r\n", "crlf"),
        (b"none", "none"),
        ("p\u00e4ss".encode(), "p\u00e4ss"),
    ):
        path.write_bytes(data)
        path.chmod(0o600)
        assert read_file(str(path), "--password-file").reveal() == secret
        reader, writer = os.pipe()
        os.write(writer, data)
        os.close(writer)
        assert read_descriptor(reader, "--password-fd").reveal() == secret
        with pytest.raises(UsageError, match="cannot be read: Bad file descriptor"):
            read_descriptor(reader, "--password-fd")


def test_a_descriptor_that_would_show_it_is_refused() -> None:
    """Output streams and terminals."""
    with pytest.raises(UsageError, match="is for output"):
        read_descriptor(2, "--password-fd")
    controller, terminal = os.openpty()
    with pytest.raises(UsageError, match="is a terminal"):
        read_descriptor(terminal, "--password-fd")
    os.close(controller)


# --- who gets a password ---------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(st.lists(st.booleans(), min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_a_password_that_nobody_took_is_out_at_three_hosts_at_most(takes: list[bool], random: object) -> None:
    """Whatever the order in which hosts answer: before one has taken it three get it, and after one all do."""

    async def scenario() -> None:
        gate, given_to, out = Gate(), list[int](), 0

        async def host(number: int) -> None:
            nonlocal out
            if not await gate.enter():
                assert not gate.is_open
                return
            given_to.append(number)
            out += 1
            assert gate.is_open or len(given_to) <= REFUSALS_MAX
            for _ in range(random.randrange(4)):  # type: ignore[attr-defined]  # hypothesis's own Random
                await asyncio.sleep(0)
            out -= 1
            gate.leave(str(number), was_given=True, was_let_in=takes[number])

        await asyncio.gather(*map(host, range(len(takes))))
        if any(takes[number] for number in given_to):
            assert sorted(given_to) == list(range(len(takes)))
        else:
            assert len(given_to) == min(REFUSALS_MAX, len(takes))

    asyncio.run(scenario())


def test_a_turn_that_was_not_used_counts_for_nothing() -> None:
    """A host that asked for something else is no sign of a wrong password."""

    async def scenario() -> None:
        gate = Gate()
        for number in range(10):
            assert await gate.enter()
            gate.leave(str(number), was_given=False, was_let_in=bool(number % 2))
        assert (gate.refused_by, gate.is_open) == ([], False)

    asyncio.run(scenario())


# --- servers that ask ------------------------------------------------------------------------------------------------


def run_on(
    asking: Asking, count: int, with_: Credentials | None, tmp_path: Path, *, times: int = 1
) -> tuple[list[Ended], Asking]:
    """Run `true` on so many hosts that are played by one such server, all at once, `times` times in one run."""
    from vigo.adapters.ssh import SshTransport  # noqa: PLC0415 - beside its only use

    async def scenario() -> list[Ended]:
        transport = SshTransport(
            policy=Policy(), known_hosts=tmp_path / "own", accept_new=False, ssh_config=None, credentials=with_
        )
        async with serving(asking, [f"127.0.78.{number}" for number in range(1, count + 1)], tmp_path) as hosts:
            done: list[Ended] = []
            for _ in range(times):
                work: list[Awaitable[Ended]] = [
                    transport.run(order(host, "true"), Limits(), Sink(), fresh()) for host in hosts
                ]
                done = await asyncio.gather(*work)
            await transport.close()
            return done

    return asyncio.run(scenario()), asking


def outcomes(done: Sequence[Ended]) -> list[Outcome | Reason]:
    """Return the outcome of each, or why it was not reached."""
    return [ended.result.reason or ended.result.outcome for ended in done]


def test_a_wrong_password_is_tried_at_three_hosts_of_twenty(tmp_path: Path) -> None:
    """They are named by those that were not tried; nothing is tried again, in the whole run."""
    done, asked = run_on(Asking(), 20, credentials(WRONG), tmp_path, times=2)
    assert outcomes(done) == [Reason.AUTH] * 20
    assert [password for _, password in asked.given] == [WRONG] * REFUSALS_MAX
    tried = {address for address, _ in asked.given}
    assert len(tried) == REFUSALS_MAX
    for ended, number in zip(done, range(1, 21), strict=True):
        was_tried = f"127.0.78.{number}" in tried
        assert ("refused before" in ended.result.detail) is was_tried, ended
        assert ("no account is locked" in ended.result.detail) is not was_tried, ended
        assert WRONG not in ended.result.detail


@pytest.mark.faults
@pytest.mark.parametrize(("password", "attempts"), [(WRONG, REFUSALS_MAX), (RIGHT, 50)])
def test_fifty_hosts_get_a_password_once_each_at_most(tmp_path: Path, password: str, attempts: int) -> None:
    """A12: a wrong one costs no account; a right one opens all of them."""
    for _ in range(5):
        done, asked = run_on(Asking(), 50, credentials(password), tmp_path)
        assert len(asked.given) == len(set(asked.given)) == attempts
        assert set(outcomes(done)) == {LET_IN if password == RIGHT else Reason.AUTH}
    print(f"A12 {'right' if password == RIGHT else 'wrong'} password, 50 hosts: {attempts} attempts")


def test_after_one_host_has_taken_it_every_host_gets_it_once(tmp_path: Path) -> None:
    """Two hosts with another password cost nobody else the login, and are told."""
    odd = {"127.0.78.1": "other", "127.0.78.2": "another"}
    done, asked = run_on(Asking(odd), 12, credentials(), tmp_path)
    assert outcomes(done) == [Reason.AUTH] * 2 + [LET_IN] * 10, done
    assert sorted(address for address, _ in asked.given) == sorted(f"127.0.78.{number}" for number in range(1, 13))
    assert "the password (refused, and not tried again)" in done[0].result.detail


def test_without_credentials_nothing_is_offered(tmp_path: Path) -> None:
    """Whatever the server takes: the reason names the flag."""
    done, asked = run_on(Asking(), 1, None, tmp_path)
    assert (outcomes(done), asked.given) == ([Reason.AUTH], [])
    assert "--ask-password" in done[0].result.detail


def test_a_password_that_has_to_be_changed_is_not(tmp_path: Path) -> None:
    """It is told, and the way out."""
    done, asked = run_on(Asking(expired=True), 1, credentials(), tmp_path)
    assert (outcomes(done), len(asked.given)) == ([Reason.AUTH], 1)
    assert "the server wants it changed: log in once with ssh as ops" in done[0].result.detail


def test_what_a_host_asks_beside_the_password_is_asked_of_the_operator(tmp_path: Path) -> None:
    """The password is answered by itself, the code by the operator, who is told which host asks, as whom."""
    questions: list[tuple[str, bool]] = []

    def operator(question: str, echo: bool) -> str:  # noqa: FBT001 - as the prompt says
        questions.append((question, echo))
        return "123456"

    done, asked = run_on(Asking(rounds=OTP), 2, credentials(ask=operator), tmp_path)
    assert outcomes(done) == [LET_IN] * 2, done
    assert len(asked.given) == 4
    assert {echo for _, echo in questions} == {True}
    assert {question.split(" ")[0] for question, _ in questions} == {"(ops@h00)", "(ops@h01)"}
    assert all("Verification code" in question for question, _ in questions)


def test_a_question_that_nobody_can_answer_is_the_reason(tmp_path: Path) -> None:
    """Without a terminal, and where the operator does not answer: at once, with the question."""
    done, asked = run_on(Asking(rounds=OTP), 1, credentials(), tmp_path)
    assert (outcomes(done), asked.given) == ([Reason.AUTH], [("127.0.78.1", RIGHT)])
    assert "there is no terminal to ask you on" in done[0].result.detail
    done, _ = run_on(Asking(rounds=OTP), 1, credentials(ask=lambda _question, _echo: None), tmp_path)
    assert "not answered in time" in done[0].result.detail


def test_without_a_password_all_questions_are_the_operators(tmp_path: Path) -> None:
    """An empty one stands for none: a key and a code, say, or a password for each host."""
    done, asked = run_on(Asking(rounds=OTP[:1]), 3, credentials("", ask=lambda question, _echo: RIGHT), tmp_path)  # noqa: ARG005 - as called
    assert outcomes(done) == [LET_IN] * 3, done
    assert len(asked.given) == 3


@pytest.mark.parametrize(
    ("prompt", "is_answered"),
    [
        ("Password:", True),
        ("password: ", True),
        ("(ops@h00) Password: ", True),
        ("ops@h00's password: ", True),
        ("Password for ops@h00:", True),
        ("One-time password: ", False),
        ("New password: ", False),
        ("Current password: ", False),
        ("Verification code: ", False),
        ("Password and code: ", False),
    ],
)
def test_only_the_plain_question_gets_the_password(tmp_path: Path, prompt: str, is_answered: bool) -> None:  # noqa: FBT001 - a table
    """Anything that could mean something else does not; what is echoed never does."""
    done, asked = run_on(Asking(rounds=[[(prompt, False, RIGHT)]]), 1, credentials(), tmp_path)
    assert outcomes(done) == [LET_IN if is_answered else Reason.AUTH], done
    assert bool(asked.given) is is_answered
    _, asked = run_on(Asking(rounds=[[(prompt, True, RIGHT)]]), 1, credentials(), tmp_path)
    assert asked.given == []


def test_a_second_question_for_a_password_is_not_answered_with_the_first(tmp_path: Path) -> None:
    """It was not taken, or another one is meant."""
    done, asked = run_on(Asking(rounds=[OTP[0], OTP[0]]), 1, credentials(), tmp_path)
    assert (outcomes(done), len(asked.given)) == ([Reason.AUTH], 1)


# --- OpenSSH's own server --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def insider(sshd_farm: Farm) -> str:
    """Return a user who has a password."""
    return sshd_farm.user(password=RIGHT)


def reach(farm: Farm, target: Host, with_: Credentials | None, config: Path | None = None) -> Ended:
    """Run something on the host."""

    async def scenario() -> Ended:
        transport = farm.transport(credentials=with_, ssh_config=config)
        try:
            return await transport.run(order(target, "id -un"), Limits(), Sink(), fresh())
        finally:
            await transport.close()

    return asyncio.run(scenario())


@pytest.mark.sshd
@pytest.mark.parametrize("way", ["password", "keyboard-interactive"])
def test_sshd_takes_the_password_and_a_wrong_one_once(sshd_farm: Farm, insider: str, way: str) -> None:
    """By its own reckoning, with and without PAM."""
    settings = {"PasswordAuthentication": "yes", "AuthorizedKeysFile": "none"}
    if way != "password":
        settings = {"UsePAM": "yes", "KbdInteractiveAuthentication": "yes", "AuthorizedKeysFile": "none"}
    server = sshd_farm.serve(["127.0.37.1"], **settings)
    host = sshd_farm.host(server, user=insider)
    assert reach(sshd_farm, host, credentials()).kept == (f"{insider}\n".encode(),)
    refused = reach(sshd_farm, host, credentials(WRONG)).result
    assert (refused.reason, "password (refused" in refused.detail) == (Reason.AUTH, True)
    wait_until(lambda: f"Failed {way}" in server.log, what="sshd has written it down")
    assert server.log.count(f"Failed {way}") == 1


@pytest.mark.sshd
def test_keys_go_first_and_a_second_factor_after_them(sshd_farm: Farm, insider: str) -> None:
    """A password is not sent where a key is enough, and is where the server wants both."""
    server = sshd_farm.serve(["127.0.37.2"], PasswordAuthentication="yes")
    assert reach(sshd_farm, sshd_farm.host(server, user=insider), credentials(WRONG)).result.outcome is Outcome.COMPLETE
    both = sshd_farm.serve(["127.0.37.3"], PasswordAuthentication="yes", AuthenticationMethods="publickey,password")
    assert reach(sshd_farm, sshd_farm.host(both, user=insider), credentials()).result.outcome is Outcome.COMPLETE
    refused = reach(sshd_farm, sshd_farm.host(both, user=insider), None).result
    assert refused.reason is Reason.AUTH
    assert f"{sshd_farm.key} (taken)" in refused.detail
    assert "The server wants as well: password" in refused.detail


@pytest.mark.sshd
@pytest.mark.parametrize("tries", [2, 3])
def test_each_try_that_a_server_allows_is_for_a_key(
    sshd_farm: Farm, insider: str, tmp_path: Path, tries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last of them as well (MaxAuthTries); where that is refused too, it is the reason."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    server = sshd_farm.serve([f"127.0.37.{tries + 20}"], MaxAuthTries=str(tries))
    host = sshd_farm.host(server, user=insider, identity=None)
    wrong = [make_key(tmp_path / f"wrong{number}") for number in range(1, tries)]
    config = tmp_path / "config"
    config.write_text("".join(f"IdentityFile {key}\n" for key in (*wrong, sshd_farm.key)))
    assert reach(sshd_farm, host, None, config).result.outcome is Outcome.COMPLETE
    config.write_text("".join(f"IdentityFile {key}\n" for key in wrong))
    told = reach(sshd_farm, host, None, config).result
    assert (told.reason, "Permission denied" in told.detail) == (Reason.AUTH, True)
    assert all(f"{key} (refused)" in told.detail for key in wrong)
    config.write_text("".join(f"IdentityFile {key}\n" for key in (*wrong, make_key(tmp_path / "more"), sshd_farm.key)))
    told = reach(sshd_farm, host, None, config).result
    assert (told.reason, f"{sshd_farm.key} (not offered)" in told.detail) == (Reason.AUTH, True)


@pytest.mark.sshd
def test_a_server_may_want_two_keys(sshd_farm: Farm, insider: str) -> None:
    """One that it took is told as such, and what it wants beside it."""
    server = sshd_farm.serve(["127.0.37.7"], AuthenticationMethods="publickey,publickey")
    host = sshd_farm.host(server, user=insider, identity=str(sshd_farm.key))
    refused = reach(sshd_farm, host, None).result
    assert refused.reason is Reason.AUTH
    assert f"{sshd_farm.key} (taken)" in refused.detail
    assert "The server wants as well: publickey" in refused.detail


@pytest.mark.sshd
def test_a_jump_host_is_never_given_the_password(sshd_farm: Farm, insider: str) -> None:
    """It is for what lies behind; where the hop takes nothing else, that is the reason."""
    hop_only = sshd_farm.serve(["127.0.37.4"], PasswordAuthentication="yes", AuthorizedKeysFile="none")
    target = sshd_farm.serve(["127.0.37.5"], PasswordAuthentication="yes", AuthorizedKeysFile="none")
    good = sshd_farm.serve(["127.0.37.6"])

    def behind(server: Server) -> Host:
        ssh = SshSettings(user=insider, port=server.port, identity=str(sshd_farm.key))
        return sshd_farm.host(target, user=insider, jump=(Hop("bastion", server.addresses[0], ssh),))

    assert reach(sshd_farm, behind(good), credentials()).result.outcome is Outcome.COMPLETE
    refused = reach(sshd_farm, behind(hop_only), credentials()).result
    assert (refused.reason, "never given to a jump host" in refused.detail) == (Reason.HOP, True)
    assert "Failed password" not in hop_only.log
    assert "Accepted password" not in hop_only.log


@pytest.mark.sshd
@pytest.mark.parametrize("kind", ["ed25519", pytest.param("rsa", marks=pytest.mark.faults)])
def test_an_unlocked_key_is_a_key_like_any_other(
    sshd_farm: Farm, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told as locked until then; a certificate beside it goes with it."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    authority, key = make_key(tmp_path / "ca"), make_key(tmp_path / "key", passphrase="open sesame", kind=kind)
    argv = ["ssh-keygen", "-q", "-s", str(authority), "-I", "x", "-n", sshd_farm.plain_user, f"{key}.pub"]
    subprocess.run(argv, check=True, capture_output=True)
    server = sshd_farm.serve(["127.0.37.7"], TrustedUserCAKeys=f"{authority}.pub", AuthorizedKeysFile="none")
    host = sshd_farm.host(server, identity=str(key))
    assert asyncio.run(sshd_farm.transport().locked_keys([host, host])) == (str(key),)
    assert "--ask-passphrase" in reach(sshd_farm, host, None).result.detail
    assert unlock(str(key), Secret("sesame")) is None
    pairs = unlock(str(key), Secret("open sesame"))
    assert pairs
    assert reach(sshd_farm, host, Credentials(unlocked={str(key): pairs})).result.outcome is Outcome.COMPLETE
