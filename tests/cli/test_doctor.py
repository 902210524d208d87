"""`vigo doctor`: this machine, and a host of the lab, for people and for machines."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Vigo


def test_a_machine_that_has_nothing_yet(vigo: Vigo) -> None:
    """Only the inventory is missing, and it is said how to name one; nothing was made by looking."""
    done = vigo("doctor", "-o", "json")
    assert done.code == 1
    found = done.json()
    assert (found["schema"], found["host"], found["passed"]) == (1, None, False)
    failed = {check["check"]: check["found"] for check in found["checks"] if check["state"] == "FAILED"}
    assert list(failed) == ["inventory"]
    assert "name one with --inventory PATH" in failed["inventory"]
    assert not list(vigo.home.iterdir())


def test_what_is_wrong_here_is_told_with_the_way_out(vigo: Vigo) -> None:
    """An open data folder, known_hosts that cannot be read, an agent that is gone, a mistake in ssh_config."""
    for name in ("data", "config", ".ssh"):
        (vigo.home / name).mkdir()
    (vigo.home / "data").chmod(0o755)
    (vigo.home / "data/known_hosts").mkdir()
    (vigo.home / ".ssh/config").write_text("ProxyJmp x\n")
    (vigo.home / "inventory.yaml").write_text("hosts: {web-01: {}}\n")
    done = vigo("doctor", SSH_AUTH_SOCK=str(vigo.home / "gone"))
    assert done.code == 1
    lines = {line.split()[1]: line for line in done.out.splitlines()}
    assert f"chmod 700 {vigo.home}/data" in lines["data"]
    assert lines["known_hosts"].startswith("FAILED")
    assert "did you mean 'ProxyJump'?" in lines["ssh_config"]
    assert lines["agent"].startswith("warning")
    assert "1 host" in lines["inventory"]
    assert "failed: ssh_config, known_hosts\nworth a look: data, agent\n" in done.err


def test_a_host_of_the_lab(lab: Vigo) -> None:
    """Each step is one line, and the exit code says that all is well."""
    done = lab("doctor", "web-01.example.com", "-o", "tsv")
    rows = [line.split("\t") for line in done.out.splitlines()]
    assert done.code == 0, done.out
    assert [row[0] for row in rows[:10]] == [
        "check", "settings", "name", "tcp", "banner", "kex", "host key", "login", "channel", "shell",
    ]  # fmt: skip
    assert {row[1] for row in rows[1:10]} == {"ok"}


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["--user", "x"], 2, "name the host to look at"),
        (["nowhere", "-i", "inventory.yaml"], 4, "nowhere"),
    ],
)
def test_what_cannot_be_looked_at(vigo: Vigo, args: list[str], code: int, words: str) -> None:
    """Flags without a host, and a host that is not in the inventory."""
    (vigo.home / "inventory.yaml").write_text("hosts: {web-01: {}}\n")
    done = vigo("doctor", *args)
    assert (done.code, done.out, words in done.err) == (code, "", True), done.err
