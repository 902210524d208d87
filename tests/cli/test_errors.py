"""What goes wrong at the command line: the documented exit code, a message with a way out, nothing half-done."""

from __future__ import annotations

import pexpect
import pytest

from tests.cli.conftest import Vigo

pytestmark = pytest.mark.timeout(180)

_HOSTS = "hosts: {web-01: {address: 127.0.0.1, ssh: {port: 1}}, web-02: {address: 127.0.0.1, ssh: {port: 1}}}\n"
_RUN = ["task", "run", "true"]
_ALL = ["--target", "all"]


@pytest.fixture
def fleet(vigo: Vigo) -> Vigo:
    """Return the program with an inventory of two hosts on which nothing listens."""
    (vigo.home / "inventory").mkdir()
    (vigo.home / "inventory" / "hosts.yaml").write_text(_HOSTS)
    return vigo


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["task", "run", "true"], 2, ["--target all"]),
        (["task", "run", "echo", "hello", *_ALL], 2, ["quote the command"]),
        (["task", "run", "", *_ALL], 2, ["empty"]),
        (["task", "run", "  \n ", *_ALL], 2, ["empty"]),
        (["task", "run", "x" * 70_000, *_ALL], 2, ["script"]),
        ([*_RUN, *_ALL, "--batch-size", "0"], 2, ["--batch-size"]),
        ([*_RUN, *_ALL, "--batch-size", "-1"], 2, ["--batch-size"]),
        ([*_RUN, *_ALL, "--batch-size", "2.5"], 2, ["--batch-size", "2.5"]),
        ([*_RUN, *_ALL, "--batch-size", "101%"], 2, ["--batch-size", "100%"]),
        ([*_RUN, *_ALL, "--batch-size", "1,,2"], 2, ["--batch-size"]),
        ([*_RUN, *_ALL, "--max-failures", "many"], 2, ["--max-failures", "many"]),
        ([*_RUN, *_ALL, "--timeout", "0"], 2, ["--timeout"]),
        ([*_RUN, *_ALL, "--timeout", "soon"], 2, ["--timeout", "soon"]),
        ([*_RUN, *_ALL, "--nice", "20"], 2, ["--nice", "20"]),
        ([*_RUN, *_ALL, "--nice", "-5"], 2, ["--nice", "-5"]),
        ([*_RUN, *_ALL, "--fanout", "0"], 2, ["--fanout"]),
        ([*_RUN, *_ALL, "--health-check-url", "file:///etc/passwd"], 2, ["http"]),
        ([*_RUN, *_ALL, "--health-check-url", "http://u:hunter2@h/"], 2, ["passwords do not belong"]),
        ([*_RUN, *_ALL, "--param", "a=b"], 2, ["--param", "only tasks"]),
        ([*_RUN, *_ALL, "--seed", "1"], 2, ["--limit"]),
        ([*_RUN, *_ALL, "--as", "task"], 2, ["true", "no such task"]),
        (
            [*_RUN, *_ALL, "--no-such-flag"],
            2,
            ["error: --no-such-flag: `vigo task run` has no such flag; `vigo task run -h`"],
        ),
        ([*_RUN, "--targt", "all"], 2, ["error: --targt: ", "did you mean --target"]),
        ([*_RUN, *_ALL, "--spread", "rack"], 2, ["--spread", "'rack'", "`vigo traits gather`"]),
        ([*_RUN, "--target", "web-01 and ("], 2, ["^"]),
        ([*_RUN, "--target", "web-03"], 4, ["web-03", "web-0"]),
        ([*_RUN, "--target", "db-*"], 4, ["no host"]),
        ([*_RUN, "--target", "run:t0000000:failed"], 4, ["t0000000"]),
        ([*_RUN, *_ALL, "--inventory", "elsewhere.yaml"], 5, ["elsewhere.yaml"]),
        ([*_RUN, *_ALL, "--inventory", "lab"], 5, ["vigo lab up"]),
        (["task", "status"], 4, ["no tasks yet"]),
        (["task", "status", "t1234567"], 4, ["t1234567"]),
        (["task", "list", "--limit", "0"], 2, ["--limit"]),
        (["task", "nonsense"], 2, ["error: 'nonsense': `vigo task` has no such command"]),
        (["status"], 2, ["did you mean `vigo task status`"]),
    ],
    ids=lambda value: " ".join(value)[:50] if isinstance(value, list) else None,
)
def test_bad_input_is_refused_with_a_way_out(fleet: Vigo, args: list[str], code: int, words: list[str]) -> None:
    """Exit code and message as documented; nothing on stdout, nothing recorded, no secret repeated."""
    result = fleet(*args)
    assert (result.code, result.out) == (code, ""), result
    assert all(word in result.err for word in words), result.err
    assert "hunter2" not in result.err
    assert not (fleet.home / "data" / "journal.db").exists()


def test_the_inventory_is_looked_for_where_the_docs_say(vigo: Vigo) -> None:
    """No inventory anywhere: exit 5 and the ways to get one."""
    result = vigo(*_RUN, *_ALL)
    assert result.code == 5
    assert "vigo lab up" in result.err
    assert "VIGO_INVENTORY" in result.err


def test_a_config_folder_that_cannot_be_looked_at_is_no_bug(vigo: Vigo) -> None:
    """A HOME that is somebody else's, or no path at all, is a matter of configuration: exit 5 and one line."""
    result = vigo(*_RUN, *_ALL, VIGO_CONFIG_DIR="/" + 300 * "x")
    assert result.code == 5, result.err
    assert "internal" not in result.err


def test_a_broken_file_is_named_with_its_place(fleet: Vigo) -> None:
    """The message has file, line and column; exit 5."""
    (fleet.home / "inventory" / "hosts.yaml").write_text(_HOSTS + "tasks:\n  restart: {command: \"echo '{{ x }}'\"}\n")
    result = fleet(*_RUN, *_ALL)
    assert result.code == 5
    assert "inventory/hosts.yaml:3:" in result.err


def test_unreachable_hosts_are_said_with_their_reason(fleet: Vigo) -> None:
    """Nothing listens: each host is unreachable because it refused, exit 1."""
    result = fleet(*_RUN, *_ALL)
    assert result.code == 1
    assert result.out.count("[unreachable] refused: ") == 2


def test_a_data_folder_that_cannot_be_written_stops_before_connecting(fleet: Vigo) -> None:
    """Exit 7 and one line; no host was tried."""
    (fleet.home / "data").write_text("a file where the folder should be")
    result = fleet(*_RUN, *_ALL)
    assert (result.code, result.out) == (7, "")
    assert "unreachable" not in result.err


def test_named_tasks_take_no_unknown_missing_or_ill_typed_params(fleet: Vigo) -> None:
    """Exit 2; the message names the param and the file that declares the task."""
    (fleet.home / "inventory" / "tasks.yaml").write_text(
        "tasks:\n  scale: {command: 'echo {{ n }}', params: {n: {type: int, required: true}}}\n"
    )
    for given, word in (([], "n"), (["--param", "n=x"], "'x'"), (["--param", "n=1", "--param", "m=2"], "m")):
        result = fleet("task", "run", "scale", *_ALL, *given)
        assert result.code == 2, (given, result)
        assert word in result.err
        assert "tasks.yaml" in result.err, result.err


def test_a_secret_is_refused_on_the_command_line(fleet: Vigo) -> None:
    """A literal secret is exit 2, and the message does not repeat it; without a terminal nobody can be asked."""
    (fleet.home / "inventory" / "tasks.yaml").write_text(
        "tasks:\n  login: {command: 'echo {{ token }}', params: {token: {secret: true}}}\n"
    )
    literal = fleet("task", "run", "login", *_ALL, "--param", "token=S3cr3t-word")
    unasked = fleet("task", "run", "login", *_ALL)
    assert (literal.code, unasked.code) == (2, 2)
    assert "S3cr3t-word" not in literal.err
    assert "VIGO_PARAM_TOKEN" in unasked.err


def test_a_dry_run_asks_for_no_secret(fleet: Vigo) -> None:
    """It shows the plan and says what stands in the secret's place; a secret that is there is not replaced."""
    (fleet.home / "inventory" / "tasks.yaml").write_text(
        "tasks:\n  login: {command: 'echo {{ token }}', params: {token: {secret: true}}}\n"
    )
    asked = fleet("task", "run", "login", *_ALL, "--dry-run", "--no-probe")
    given = fleet("task", "run", "login", *_ALL, "--dry-run", "--no-probe", VIGO_PARAM_TOKEN="S3cr3t-word")
    assert (asked.code, given.code) == (0, 0), asked.err
    assert "token" in asked.err
    assert "asks for nothing" in asked.err
    assert "asks for nothing" not in given.err
    assert "S3cr3t-word" not in given.out + given.err


def test_a_secret_is_asked_for_by_name_and_not_echoed(fleet: Vigo) -> None:
    """On a terminal the question says which param it is about; what is typed appears nowhere."""
    (fleet.home / "inventory" / "tasks.yaml").write_text(
        "tasks:\n  login: {command: 'echo {{ token }}', params: {token: {secret: true}}}\n"
    )
    words = fleet.command("task", "run", "login", *_ALL)
    terminal = pexpect.spawn(words[0], words[1:], env=fleet.env, cwd=str(fleet.home), encoding="utf-8", timeout=60)
    terminal.expect_exact("param token (not shown): ")
    terminal.waitnoecho()
    terminal.sendline("S3cr3t-word")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 1
    assert "S3cr3t-word" not in str(terminal.before)
    assert "S3cr3t-word" not in (fleet.home / "data" / "journal.db").read_bytes().decode("latin-1")


def test_help_and_version_need_nothing(vigo: Vigo) -> None:
    """Both work without HOME, without an inventory and with an ASCII terminal."""
    for args in (["--help"], ["-h"], ["--version"], ["task", "run", "--help"], ["lab", "--help"]):
        result = vigo(*args, LANG="C", HOME="")
        assert result.code == 0, (args, result.err)
        assert result.out.isascii()


def test_a_mistyped_task_name_is_noticed(fleet: Vigo) -> None:
    """It is a command, as the rule says, and the operator is told which task it looks like; `--as` settles it."""
    (fleet.home / "inventory" / "tasks.yaml").write_text("tasks:\n  restart-app: {command: systemctl restart app}\n")
    dry = ["task", "run", "restart-ap", *_ALL, "--dry-run", "--no-probe"]
    assert "did you mean the task 'restart-app'?" in fleet(*dry).err
    assert "did you mean" not in fleet(*dry, "--as", "command").err
