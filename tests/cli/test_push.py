"""`vigo task push` on the lab: the way of `task run`, with a file in the command's place."""

from __future__ import annotations

import hashlib
import re
from io import StringIO
from pathlib import Path

import pytest

from tests.cli.conftest import Vigo
from vigo.adapters.store_read import Reading
from vigo.cli.console import Console
from vigo.cli.push import PushRequest, push_file
from vigo.cli.request import Request
from vigo.core.errors import UsageError
from vigo.core.events import Event, TaskDispatched
from vigo.core.push import Push

DATA = bytes(range(256)) * 40
SHA = hashlib.sha256(DATA).hexdigest()
LINE = f"mode 0640 sha256:{SHA} 10,240 bytes"


def local(vigo: Vigo, data: bytes = DATA, name: str = "app.conf") -> str:
    """Write a file where the program runs, and return its name there."""
    path = vigo.home / name
    path.write_bytes(data)
    path.chmod(0o640)
    return name


def recorded(vigo: Vigo, task: str) -> list[Event]:
    """Return what is on record of a task."""
    with Reading(vigo.home / "data") as journal:
        return [record.event for record in journal.records(task)]


def test_a_file_reaches_every_host_in_batches_and_is_on_record(lab: Vigo) -> None:
    """The host itself says that the bytes, the mode and the name are right, by the health check after each batch."""
    check = f'test "$(sha256sum <opt/app.conf) $(stat -c %a opt/app.conf) $(ls -A opt)" = "{SHA}  - 640 app.conf"'
    flags = ("--batch-size", "2,50%", "--health-check-command", check, "--verify")
    done = lab("task", "push", local(lab), "/opt/", "--target", "all", *flags)
    assert done.code == 0, done.err
    assert done.err.count("healthy answers") + done.err.count("passed, exit 0") == 3
    first, *blocks = done.out.splitlines()
    assert first.startswith("Task t")
    assert len(blocks) == 5
    assert all(" [complete] " in block and "exit" not in block for block in blocks)
    opening, *_ = recorded(lab, first.split()[1])
    assert isinstance(opening, TaskDispatched)
    assert opening.command == f"push app.conf -> /opt/app.conf {LINE}, read back"
    source = str(lab.home / "app.conf")
    assert opening.push == Push("app.conf", source, "/opt/app.conf", 0o640, 10_240, SHA, replaces=True, verifies=True)


def test_a_protected_place_is_refused_before_and_on_every_host(lab: Vigo) -> None:
    """The same words from both guards; `--force` passes the first one, nothing passes the second, no host starts."""
    to = ("task", "push", local(lab), "/srv/vigo/app.conf", "--target", "all")
    dry = lab(*to, "--dry-run", "--no-probe")
    forced = lab(*to, "--force", "-o", "json")
    assert (dry.code, forced.code) == (6, 1)
    assert "  pattern: > /srv/vigo/app.conf\n" in dry.err
    assert f"  push app.conf -> /srv/vigo/app.conf {LINE}\n" in dry.err
    task = forced.json()
    assert {(host["outcome"], host["detail"]) for host in task["hosts"]} == {("rejected", "> /srv/vigo/app.conf")}
    kinds = [event.kind for event in recorded(lab, task["id"])]
    assert kinds == ["task.dispatch", *["host.finished"] * 5, "task.finished"]


def test_twenty_hosts_in_batches_stop_at_the_budget(lab: Vigo) -> None:
    """Each host gets a file of its own; those without the directory fail, and the third failure is one too many."""
    source = (Path(lab.environ["VIGO_LAB_DIR"]) / "inventory/hosts.yaml").read_text()
    port = next(line.split('"port": ')[1].split("}")[0] for line in source.splitlines() if "web-01.example" in line)
    defaults = next(line for line in source.splitlines() if line.startswith("defaults:"))
    hosts = "".join(
        f"  n-{n:02}: {{address: 127.0.0.1, ssh: {{port: {port}}}, traits: {{d: {'no-such' if n % 5 == 3 else 'tmp'}}}}}\n"
        for n in range(20)
    )
    (lab.home / "twenty.yaml").write_text(f"{defaults}\nhosts:\n{hosts}")
    place = "{{ trait.d }}/file-of-{{ host }}"
    flags = ("--expand", "--batch-size", "6", "--fanout", "3", "--max-failures", "2", "-i", "twenty.yaml")
    done = lab("task", "push", local(lab), place, "--target", "all", *flags, "-o", "json")
    assert done.code == 3, done.err
    outcomes = [host["outcome"] for host in done.json()["hosts"]]
    failed = [n for n, outcome in enumerate(outcomes) if outcome == "failed"]
    assert failed == [3, 8, 13]
    assert outcomes.count("complete") + outcomes.count("skipped") == 17
    assert set(outcomes[18:]) == {"skipped"}
    assert "no such directory: " in done.err


def test_a_task_takes_one_file_to_all_of_its_hosts(lab: Vigo) -> None:
    """Resume and rerun read the file again; another one is another task, and the way to it is shown."""
    name = local(lab)
    begun = lab("task", "push", name, "tmp/once", "--target", "@prod.web", "--batch-size", "1", "--stop-after", "1")
    assert begun.code == 0, begun.err
    task = begun.out.split()[1]
    local(lab, b"changed")
    changed = lab("task", "resume", task)
    assert changed.code == 2
    assert f"app.conf: is not the file that the task pushed (sha256 {hashlib.sha256(b'changed').hexdigest()[:12]}" in (
        changed.err
    )
    assert "vigo task push app.conf tmp/once --target run:" in changed.err
    local(lab)
    resumed = lab("task", "resume", task)
    assert (resumed.code, resumed.out.count("[complete]")) == (0, 3), resumed.err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (PushRequest("folder", "x"), "tar -czf it.tgz folder"),
        (PushRequest("gone", "x"), "gone: cannot be read: No such file"),
        (PushRequest("file", "x", mode="4755"), "--mode: '4755' sets more than permissions"),
        (PushRequest("file", "/etc/.."), "is a directory; end it with /"),
        (PushRequest("file", "{{ param }}"), "nothing that a host knows"),
    ],
)
def test_what_cannot_be_pushed_is_refused_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: PushRequest, words: str
) -> None:
    """A directory, a mode that is none, a place that is none: before anything is recorded."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "hosts.yaml").write_text("hosts: {a: {}}\n")
    console = Console(StringIO(), StringIO(), StringIO())
    request = Request(targets=("all",), inventory="hosts.yaml", expand=True, dry_run=True)
    with pytest.raises(UsageError, match=re.escape(words)):
        push_file(args, request, console)
