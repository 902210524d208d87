"""Up, down, twice, dead, two at once: what is started is ended, and nothing that is not a lab's is touched."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.lab.labkit import MEMBERS, ask, home_of, is_alive, python, wait_for
from vigo.core.errors import ConfigError, VigoError
from vigo.lab import lifecycle
from vigo.lab.fleet import Member, grow
from vigo.lab.state import MARK, RunningLab, is_locked, lab_folder, running_inventory, running_lab

WEB = "web-01.example.com"
_TWO = MEMBERS[:2]


@pytest.fixture(autouse=True)
def no_lab_outlives_its_test(tmp_path: Path) -> Iterator[None]:
    """End whatever a failed test left running."""
    yield
    for mark in tmp_path.rglob(MARK):
        lifecycle.down(mark.parent)


def leave_processes_behind(lab: RunningLab) -> list[int]:
    """Start what is hardest to find again: own session, no environment, deaf to TERM, its parent gone."""
    commands = (
        "sleep 600 >/dev/null 2>&1 </dev/null & echo $!",
        "env -i setsid sleep 600 >/dev/null 2>&1 </dev/null & echo $!",
        "(trap '' TERM; exec setsid sleep 600) >/dev/null 2>&1 </dev/null & echo $!",
        "nohup sh -c 'trap \"\" TERM HUP; sleep 600; sleep 600' >/dev/null 2>&1 </dev/null & echo $!",
    )
    return [int(ask(lab, WEB, command).stdout) for command in commands]


def test_down_ends_all_that_was_started_and_removes_the_folder(tmp_path: Path) -> None:
    """Detached, deaf to TERM or without a mark in its environment: nothing of the lab survives it."""
    folder = tmp_path / "lab"
    lab = lifecycle.up(folder, _TWO, "")
    home = home_of(lab, WEB)
    pids = leave_processes_behind(lab)
    wait_for(lambda: all(is_alive(pid) for pid in pids))
    assert lifecycle.down(folder)
    assert not any(is_alive(pid) for pid in [*pids, lab.pid])
    assert not folder.exists()
    assert not home.parents[1].exists()
    assert lifecycle.down(folder) is False


def test_a_killed_server_is_recognised_and_cleared_away(tmp_path: Path) -> None:
    """After kill -9 no lab is running, and the next one starts on clean ground, the old commands ended."""
    folder = tmp_path / "lab"
    lab = lifecycle.up(folder, _TWO, "")
    old_home = home_of(lab, WEB)
    pid = int(ask(lab, WEB, "setsid sleep 600 >/dev/null 2>&1 </dev/null & echo $!").stdout)
    os.kill(lab.pid, signal.SIGKILL)
    wait_for(lambda: not is_locked(folder))
    assert running_lab(folder) is None
    assert is_alive(pid)
    again = lifecycle.up(folder, _TWO, "")
    assert not is_alive(pid)
    assert not old_home.exists()
    assert ask(again, WEB, "true").code == 0
    os.kill(again.pid, signal.SIGKILL)
    wait_for(lambda: not is_locked(folder))
    assert lifecycle.down(folder)
    assert not folder.exists()


def test_a_terminated_server_ends_its_commands_itself(tmp_path: Path) -> None:
    """SIGTERM, as a shutting-down machine sends it, is an orderly end."""
    folder = tmp_path / "lab"
    lab = lifecycle.up(folder, _TWO, "")
    pids = leave_processes_behind(lab)
    os.kill(lab.pid, signal.SIGTERM)
    wait_for(lambda: not is_alive(lab.pid))
    assert not any(is_alive(pid) for pid in pids)
    assert lifecycle.down(folder)


def test_a_server_that_does_not_answer_is_ended_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`lab down` works on a server that is stopped."""
    monkeypatch.setattr("vigo.lab.control._PATIENCE_S", 0.2)
    folder = tmp_path / "lab"
    lab = lifecycle.up(folder, _TWO, "")
    os.kill(lab.pid, signal.SIGSTOP)
    assert lifecycle.down(folder)
    assert not is_alive(lab.pid)
    assert not folder.exists()


def test_two_labs_live_side_by_side(tmp_path: Path) -> None:
    """Each has its own ports, keys and folder, and one's end is not the other's."""
    one, two = lifecycle.up(tmp_path / "one", _TWO, ""), lifecycle.up(tmp_path / "two", _TWO, "")
    assert not {host.port for host in one.hosts} & {host.port for host in two.hosts}
    assert lifecycle.down(tmp_path / "one")
    assert ask(two, WEB, "hostname").stdout.decode().strip() == WEB
    assert lifecycle.down(tmp_path / "two")


def test_a_second_start_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    """Whoever comes second gets a reason, and the first lab is not disturbed."""
    folder = tmp_path / "lab"
    lab = lifecycle.up(folder, _TWO, "")
    with pytest.raises(VigoError, match="another vigo"):
        lifecycle.up(folder, _TWO, "")
    assert ask(lab, WEB, "true").code == 0
    assert lifecycle.down(folder)


def test_a_folder_with_other_things_in_it_is_never_touched(tmp_path: Path) -> None:
    """VIGO_LAB_DIR pointing at somebody's home must cost nothing."""
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigError, match="not a lab's"):
        lifecycle.up(tmp_path, _TWO, "")
    assert lifecycle.down(tmp_path) is False
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    """The message names the folder and the variable."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="VIGO_LAB_DIR"):
        lifecycle.up(tmp_path / "file" / "lab", _TWO, "")


def test_a_server_that_cannot_start_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason reaches the operator; the folder and the homes are gone."""
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(VigoError, match="did not start"):
        lifecycle.up(tmp_path / "lab", _TWO, "")
    assert not (tmp_path / "lab").exists()


def test_secrets_of_the_lab_are_for_its_owner_alone(tmp_path: Path) -> None:
    """Folder 0700, key and socket 0600, even under an open umask."""
    before = os.umask(0)
    try:
        lab = lifecycle.up(tmp_path / "lab", _TWO, "tasks: {}\n")
    finally:
        os.umask(before)
    assert lab.folder.stat().st_mode & 0o777 == 0o700
    for name in ("client_key", "control.sock", "server.log"):
        assert (lab.folder / name).stat().st_mode & 0o077 == 0, name
    assert lifecycle.down(lab.folder)


def test_a_very_long_folder_name_does(tmp_path: Path) -> None:
    """A unix socket's path is short by nature; the lab's folder need not be."""
    folder = tmp_path / ("long" * 40) / "lab"
    lab = lifecycle.up(folder, _TWO, "")
    assert len(os.fsencode(folder)) > 108
    assert ask(lab, WEB, "true").code == 0
    assert lifecycle.down(folder)


def test_homes_are_made_when_they_are_needed_and_again_after_they_were_removed(tmp_path: Path) -> None:
    """A command that removes its home harms that command at most; a name that is no file name has a home, too."""
    names = [Member("web-01"), Member(".."), Member("\u00fc" * 200)]
    lab = lifecycle.up(tmp_path / "lab", names, "")
    homes = [home_of(lab, member.name) for member in names]
    assert len(set(homes)) == 3
    assert len({home.parent for home in homes}) == 1
    assert ask(lab, "web-01", 'rm -rf "$HOME"').code == 0
    assert not homes[0].exists()
    assert ask(lab, "web-01", "systemctl is-active nginx").stdout == b"active\n"
    assert lifecycle.down(lab.folder)


def test_hundreds_of_hosts_share_one_process(tmp_path: Path) -> None:
    """Three hundred hosts: one process, all of them listening, the last one as good as the first."""
    lab = lifecycle.up(tmp_path / "lab", grow(MEMBERS, 300), "")
    server = psutil.Process(lab.pid)
    assert not server.children()
    assert len({host.port for host in lab.hosts}) == 300
    assert ask(lab, lab.hosts[-1].name, "hostname").stdout.decode().strip() == lab.hosts[-1].name
    print(f"300 hosts: {server.memory_info().rss >> 20} MiB")
    assert lifecycle.down(lab.folder)


def test_asking_whether_a_lab_runs_is_cheap() -> None:
    """Every vigo command may ask; neither asyncio nor asyncssh is imported for it."""
    code = "import sys; from vigo.lab.state import running_inventory; running_inventory(); print({'asyncio', 'asyncssh'} & set(sys.modules))"
    assert python(code).strip() == "set()"


def test_the_folder_is_the_users_own_unless_said_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """VIGO_LAB_DIR, then VIGO_STATE_DIR, then XDG_STATE_HOME if absolute, then HOME; without any of them an error."""
    for name in ("VIGO_LAB_DIR", "VIGO_STATE_DIR", "XDG_STATE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    assert running_inventory() is None
    with pytest.raises(ConfigError, match="VIGO_LAB_DIR"):
        lab_folder()
    found = []
    for name, value in (
        ("HOME", tmp_path / "home"),
        ("XDG_STATE_HOME", Path("relative")),
        ("XDG_STATE_HOME", tmp_path / "xdg"),
        ("VIGO_STATE_DIR", tmp_path / "state"),
        ("VIGO_LAB_DIR", tmp_path / "own"),
    ):
        monkeypatch.setenv(name, str(value))
        found.append(str(lab_folder().relative_to(tmp_path)))
    assert found == ["home/.local/state/vigo/lab", "home/.local/state/vigo/lab", "xdg/vigo/lab", "state/lab", "own"]


def test_the_running_lab_is_an_inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`-i lab` is this folder, as long as the lab is up and no longer."""
    monkeypatch.setenv("VIGO_LAB_DIR", str(tmp_path / "lab"))
    assert running_inventory() is None
    lab = lifecycle.up(lab_folder(), _TWO, "")
    assert running_inventory() == lab.inventory == tmp_path / "lab" / "inventory"
    assert lifecycle.down(lab_folder())
    assert running_inventory() is None


def test_a_damaged_lab_is_no_lab_and_no_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that somebody else wrote into is named; nothing falls back to it."""
    monkeypatch.setenv("VIGO_LAB_DIR", str(tmp_path / "lab"))
    lab = lifecycle.up(lab_folder(), _TWO, "")
    for bad in ("[]", "{", "{}", '{"pid": "x", "runs_as": "", "health_url": "", "hosts": 3}'):
        (lab.folder / "running.json").write_text(bad)
        assert running_inventory() is None
        with pytest.raises(ConfigError, match=r"running\.json"):
            running_lab()
    assert lifecycle.down(lab_folder())
    assert not is_alive(lab.pid)
