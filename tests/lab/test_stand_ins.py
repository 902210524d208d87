"""The stand-ins, under each shell that may be /bin/sh: sensible words, honest exit codes, state that lasts."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from vigo.lab.places import EXAMPLE_FLEET

_BIN = EXAMPLE_FLEET.parent / "bin"
_SHELLS = [shell for shell in ("sh", "dash", "bash", "busybox", "ksh") if shutil.which(shell)]
_HOST = "web-01.example.com"

Play = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(params=_SHELLS)
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    """Run one stand-in in a fresh home."""
    (tmp_path / "bin").symlink_to(_BIN)
    shell = [request.param, "sh"] if request.param == "busybox" else [request.param]

    def run(tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "VIGO_LAB_HOST": _HOST}
        return subprocess.run(
            [*shell, str(_BIN / tool), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )

    return run


def test_a_unit_is_active_until_it_is_stopped(play: Play) -> None:
    """is-active answers in a word and an exit code, as systemd does."""
    assert (play("systemctl", "is-active", "nginx").stdout, play("systemctl", "is-active", "nginx").returncode) == (
        "active\n",
        0,
    )
    assert play("systemctl", "stop", "nginx").returncode == 0
    stopped = play("systemctl", "is-active", "nginx.service")
    assert (stopped.stdout, stopped.returncode) == ("inactive\n", 3)
    assert play("systemctl", "is-active", "--quiet", "nginx").stdout == ""
    assert "inactive (dead)" in play("systemctl", "status", "nginx").stdout
    assert play("service", "nginx", "start").returncode == 0
    assert play("systemctl", "is-active", "nginx").returncode == 0


def test_restarts_are_counted(play: Play, tmp_path: Path) -> None:
    """Three restarts of one unit are three, and another unit's are its own."""
    for _ in range(3):
        assert play("systemctl", "restart", "nginx").returncode == 0
    play("systemctl", "restart", "app-staging", "nginx")
    assert (tmp_path / "units" / "nginx.restarts").read_text() == "4\n"
    assert (tmp_path / "units" / "app-staging.restarts").read_text() == "1\n"


def test_a_broken_unit_fails_to_start(play: Play, tmp_path: Path) -> None:
    """A file makes a unit break, so that a failing restart can be played."""
    (tmp_path / "units").mkdir()
    (tmp_path / "units" / "nginx.broken").touch()
    failed = play("systemctl", "restart", "nginx")
    assert failed.returncode == 1
    assert "Job for nginx.service failed" in failed.stderr
    assert play("systemctl", "is-active", "nginx").stdout == "failed\n"
    assert play("systemctl", "status", "nginx").returncode == 3


def test_enabling_and_reloading(play: Play) -> None:
    """The remaining verbs keep their own state and exit codes."""
    assert play("systemctl", "is-enabled", "nginx").returncode == 0
    play("systemctl", "disable", "nginx")
    assert (play("systemctl", "is-enabled", "nginx").stdout, play("systemctl", "is-enabled", "nginx").returncode) == (
        "disabled\n",
        1,
    )
    assert play("systemctl", "reload", "nginx").returncode == 0
    play("systemctl", "stop", "nginx")
    assert play("systemctl", "reload", "nginx").returncode == 1
    assert play("systemctl", "daemon-reload").returncode == 0


@pytest.mark.parametrize("words", [("frobnicate", "nginx"), ("restart",), ("restart", "../../etc/passwd"), ()])
def test_what_is_not_played_is_refused_with_a_reason(play: Play, words: tuple[str, ...]) -> None:
    """Never a silent success for something that did not happen."""
    refused = play("systemctl", *words)
    assert refused.returncode == 1
    assert refused.stderr


def test_hostname_tells_the_lab_host(play: Play) -> None:
    """All forms that scripts use, and no way to set it."""
    assert [play("hostname", *words).stdout for words in ((), ("-f",), ("-s",), ("-d",))] == [
        f"{_HOST}\n",
        f"{_HOST}\n",
        "web-01\n",
        "example.com\n",
    ]
    assert play("hostname", "another").returncode == 1


def test_reboot_and_shutdown_are_only_written_down(play: Play, tmp_path: Path) -> None:
    """Nothing happens to this machine; what was asked can be read in the home."""
    for words in (("reboot",), ("shutdown", "-r", "now"), ("systemctl", "reboot")):
        done = play(*words)
        assert done.returncode == 0
        assert "played by vigo lab" in done.stderr
    assert (tmp_path / "reboots").read_text() == "3\n"
    assert play("shutdown", "-h", "+5").returncode == 0
    assert (tmp_path / "shutdown").read_text() == "-h +5\n"
    assert play("shutdown", "-c").returncode == 0
    assert not (tmp_path / "shutdown").exists()
