"""The corpus itself: its form, its counts, and its truth by execution. The analyser has no part in this file."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import NotRequired, TypedDict

import pytest

CORPUS = Path(__file__).parent / "corpus"
JAIL = CORPUS / "sandbox" / "jail.py"
SHARDS = 3
ISOLATED = ("unshare", "--mount", "--net", "--ipc", "--uts", "--propagation", "private")
CLEAN = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}  # a COLUMNS of ours would cut what ps shows

KEYS = {"id", "cmd", "verdict", "rule", "class", "why"}
CLASSES = {"plain", "wrapped", "propagation", "cwd", "glob", "decoding", "unknown-part", "data", "lookalike"}
FLOORS = {
    **dict.fromkeys(("hard", "dispatch+hard"), 350),
    "dispatch": 60,
    "allow": 350,
    **dict.fromkeys(("wrapped", "propagation", "cwd", "glob", "decoding"), 80),
    "unknown-part": 40,
    "data": 100,
    "lookalike": 40,
}


class Row(TypedDict):
    """One line of the corpus."""

    id: str
    cmd: str
    verdict: str
    rule: str
    why: str


class Result(TypedDict):
    """What the sandbox saw of one row."""

    id: str
    code: int
    harmed: list[str]
    dead: list[str]
    seen: list[list[str]]
    out: str
    skipped: NotRequired[str]


@cache
def corpus() -> tuple[dict[str, str], ...]:
    """Every row of every file, in order."""
    return tuple(json.loads(line) for file in sorted(CORPUS.glob("*.jsonl")) for line in file.read_text().splitlines())


def test_rows_have_the_documented_form() -> None:
    """Six text values a row, known words in each, the file named after the verdict, and nothing said twice."""
    for file in sorted(CORPUS.glob("*.jsonl")):
        for line in file.read_text().splitlines():
            row = json.loads(line)
            assert set(row) == KEYS, line
            assert all(isinstance(value, str) and value for value in row.values()), line
            assert row["verdict"] == file.stem, line
            assert row["class"] in CLASSES, line
            assert row["id"].startswith(f"{row['verdict']}-{row['class']}-"), line
    assert max(Counter(row["id"] for row in corpus()).values()) == 1
    assert max(Counter(row["cmd"] for row in corpus()).values()) == 1


def test_rules_and_verdicts_fit_each_other() -> None:
    """Rules a-e are hard, f is for the dispatch guard, and only an unknown part takes a-d down to it."""
    for row in corpus():
        fits = {
            "hard": row["rule"] in "abcde",
            "dispatch": row["rule"] == "f" or (row["rule"] in "abcd" and row["class"] == "unknown-part"),
            "allow": row["rule"] == "-",
        }[row["verdict"]]
        assert fits, row


def test_the_corpus_is_large_enough_in_every_class() -> None:
    """A figure by class means something only with enough rows in it."""
    counts = Counter(row["verdict"] for row in corpus()) + Counter(row["class"] for row in corpus())
    counts["dispatch+hard"] = counts["dispatch"] + counts["hard"]
    assert {name: counts[name] for name, floor in FLOORS.items() if counts[name] < floor} == {}
    for kind in ("wrapped", "propagation", "cwd", "glob", "decoding"):
        by_verdict = Counter(row["verdict"] == "allow" for row in corpus() if row["class"] == kind)
        assert min(by_verdict.values()) >= 40, kind


def test_every_row_is_a_command_that_bash_can_read() -> None:
    """A row that no shell would accept has no truth."""
    script = "".join(f"bash -n -c {_quoted(row['cmd'])} || echo {row['id']}\n" for row in corpus())
    done = subprocess.run(["bash", "-s"], check=False, input=script, capture_output=True, text=True)
    assert done.stdout.split() == []


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


# ------------------------------------------------------------------ truth by execution

ROOTS = "/srv/vigo /etc/vigo /etc/vigo-envoy /var/lib/vigo /usr/local/sbin/vigo /usr/local/sbin/vigosrv /usr/local/bin/vigocli"
SERVICE_TOOLS = """systemctl service rc-service rc-update initctl launchctl update-rc.d chkconfig invoke-rc.d sv supervisorctl monit
deb-systemd-invoke deb-systemd-helper"""
STOPPING = "stop down force-stop disable mask kill remove del --del off bootout"
PACKAGE_TOOLS = "apt-get apt aptitude dpkg dnf yum rpm zypper apk pacman snap brew"
REMOVING = "remove purge erase rm del uninstall autoremove -r -P --purge --remove -e --erase -R -Rns"
WAYS_IN = "ssh sshd networking network NetworkManager systemd-networkd"


@dataclass(frozen=True, slots=True)
class Call:
    """How a recorder was called, every word resolved by the shell."""

    cwd: str
    tool: str
    args: tuple[str, ...]

    def has(self, words: str) -> bool:
        """Whether one of some words is among the arguments."""
        return not set(words.split()).isdisjoint(self.args)

    def roots(self) -> tuple[str, ...]:
        """Arguments that name a protected path, something under it or its parent."""
        return tuple(word for word in self.args if _names_root(os.path.join(self.cwd, word)))  # noqa: PTH118 - in there


def _names_root(word: str) -> bool:
    path = os.path.normpath(word)
    return any(f"{root}/".startswith(f"{path}/") or path.startswith(f"{root}/") for root in ROOTS.split())


def _names_unit(word: str, units: str = "vigo vigosrv vigo-envoy") -> bool:
    stem = re.sub(r"(@[^.]*)?(\.(service|socket))?$", "", word.removeprefix("system/"))
    ends = ("", ".service", "@1")
    return any(unit == stem or any(fnmatchcase(unit + end, word) for end in ends) for unit in units.split())


def _names_package(word: str) -> bool:
    stem = word.partition(":")[0]
    names = ("vigo", "vigosrv", "vigocli")
    return any(fnmatchcase(name, stem) or (stem[:1] == "^" and re.match(stem, name)) for name in names)


def stops_vigo(call: Call) -> bool:
    """Rule a, and b by way of tools that find the process themselves."""
    match call.tool:
        case "busctl" | "dbus-send":
            return any("StopUnit" in word for word in call.args) and any("vigo.service" in word for word in call.args)
        case "start-stop-daemon":
            return call.has("--stop -K") and any("vigo" in word for word in call.args)
        case "fuser":
            return call.has("-k") and bool(call.roots())
        case tool if tool in SERVICE_TOOLS.split() or tool.startswith("init.d/"):
            return call.has(STOPPING) and any(map(_names_unit, (*call.args, tool.removeprefix("init.d/"))))
    return False


def harms_paths(call: Call) -> bool:
    """Rule c, by the tools that the sandbox does not let act."""
    aimed = bool(call.args) and call.roots()[-1:] == call.args[-1:]
    match call.tool:
        case "mount":
            return aimed
        case "chattr":
            return call.has("+i") and bool(call.roots())
        case "rsync" if not any(re.match("-[a-z]*n", word) for word in call.args):
            deletes = any(word.startswith("--delete") for word in call.args)
            return (deletes and aimed) or (call.has("--remove-source-files") and bool(call.roots()))
    return False


def removes_vigo(call: Call) -> bool:
    """Rule d."""
    minus = call.has("install") and any(word.endswith("-") and _names_package(word[:-1]) for word in call.args)
    removed = call.has(REMOVING) and any(map(_names_package, call.args))
    return call.tool in PACKAGE_TOOLS.split() and (minus or removed)


def shuts_out(call: Call) -> bool:
    """Rule f, as far as the rows that run come near it."""
    match call.tool:
        case "systemctl":
            cut = call.has("stop disable mask") and any(_names_unit(word, WAYS_IN) for word in call.args)
            return cut or call.has("reboot poweroff halt kexec")
        case "reboot" | "poweroff" | "halt" | "init" | "telinit" | "ifdown" | "wipefs" | "blkdiscard":
            return True
        case "shutdown":
            return not call.has("-c")
        case "iptables" | "ip6tables" | "nft" | "ip" | "ifconfig" | "nmcli":
            return call.has("-F --flush DROP flush down off disconnect")
        case "passwd" | "usermod":
            return call.has("-l -L --lock")
    return call.tool.startswith("mkfs") and any(word.startswith("/dev/") for word in call.args)


def dangerous(words: list[str]) -> bool:
    """Whether a recorder saw something that one of the rules forbids."""
    call = Call(words[0], words[1], tuple(words[2:]))
    return any(rule(call) for rule in (stops_vigo, harms_paths, removes_vigo, shuts_out))


NEVER_RUN = "rule e, rule f and dispatch rows: not even in a sandbox"
OPTIONAL_TOOLS = ("ruby", "node", "python3", "xxd", "openssl", "killall", "busybox", "git", "perl", "flock", "pidof")
CANNOT_SHOW = {
    "allow-unknown-part-029": "unset here, the unknown name is a pattern that matches every process",
    "allow-unknown-part-034": "unset here, the unknown name is a pattern that matches every process",
    "hard-cwd-c-056": "needs a repository in the protected folder",
    "hard-glob-c-046": "aimed at the folder, which find cannot delete while it is not empty",
}


def _why_not_run(row: dict[str, str]) -> str:
    if row["verdict"] == "dispatch" or row["rule"] in "ef":
        return NEVER_RUN
    for tool in OPTIONAL_TOOLS:
        if re.search(rf"\b{tool}\b", row["cmd"]) and not _in_usr(tool):
            return f"{tool} is not installed"
    return CANNOT_SHOW.get(row["id"], "")


def _in_usr(tool: str) -> bool:
    path = shutil.which(tool, path="/usr/bin:/usr/sbin:/bin")
    return path is not None and Path(path).resolve().is_relative_to("/usr")


def _sandboxed(rows: list[dict[str, str]]) -> dict[str, Result]:
    """Run rows in throw-away roots, a few sandboxes side by side."""

    def shard(part: list[dict[str, str]]) -> list[Result]:
        command = [
            "unshare",
            "--mount",
            "--net",
            "--ipc",
            "--uts",
            "--propagation",
            "private",
            sys.executable,
            str(JAIL),
        ]
        fed = "".join(json.dumps(row) + "\n" for row in part)
        done = subprocess.run(command, check=False, input=fed, capture_output=True, text=True, env=CLEAN)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    with ThreadPoolExecutor(SHARDS) as pool:
        results = [result for part in pool.map(shard, [rows[n::SHARDS] for n in range(SHARDS)]) for result in part]
    assert len(results) == len(rows)
    return {result["id"]: result for result in results}


@cache
def _obstacle() -> str:
    """Say why this machine cannot hold a sandbox; empty when it can."""
    if os.geteuid() != 0:
        return "needs root"
    probe = [*ISOLATED, "unshare", "--pid", "--fork", "mount", "-t", "tmpfs", "probe", "/tmp"]
    done = subprocess.run(probe, check=False, capture_output=True, text=True)
    return f"needs to make namespaces and mounts: {done.stderr.strip()}" if done.returncode else ""


@pytest.fixture
def needs_sandbox(capfd: pytest.CaptureFixture[str]) -> None:
    """Skip with a line that nobody can miss where no sandbox can be made; a failure in CI."""
    if not (obstacle := _obstacle()):
        return
    line = f"NOT RUN: the corpus's truth by execution {obstacle}"
    if os.environ.get("CI") == "true":
        pytest.fail(line)
    with capfd.disabled():
        print(f"\n{line}", file=sys.stderr)
    pytest.skip(line)


def _effect(result: Result) -> str:
    """Tell what the row did to vigo in the sandbox; empty when nothing."""
    acts = [words for words in result["seen"] if dangerous(words)]
    if not (result["harmed"] or result["dead"] or acts):
        return ""
    return f"harmed={result['harmed'][:3]} dead={result['dead']} acts={acts[:3]}"


def _contradictions(rows: list[dict[str, str]]) -> str:
    """Rows whose effect in the sandbox is not what their verdict says, one a line.

    A hard row without effect is run once more: on a busy machine `pidof` may pass over a process that is waiting for its disk.
    An allow row has one chance.
    """
    results = _sandboxed(rows)
    idle = [row for row in rows if row["verdict"] == "hard" and not _effect(results[row["id"]])]
    results |= _sandboxed(idle)
    wrong = []
    for row in rows:
        result = results[row["id"]]
        effect = _effect(result)
        if bool(effect) != (row["verdict"] == "hard"):
            wrong.append(
                f"{row['id']}: {row['cmd']!r} {effect or 'no effect'} code={result['code']} out={result['out'][-120:]!r}"
            )
    return "\n".join(wrong)


def _runnable() -> list[dict[str, str]]:
    return [row for row in corpus() if not _why_not_run(row)]


@pytest.mark.usefixtures("needs_sandbox")
def test_the_sandbox_holds() -> None:
    """What a row can reach is its own root: no mounting, no writing to the machine's /usr, nobody else's processes."""
    outsider = subprocess.Popen(["sleep", "60"])
    try:
        probes = {
            "usr": "touch /host/usr/probe; rm -rf /host/usr/bin/true; test -e /host/usr/bin/true && echo kept",
            "mount": "/host/usr/bin/mount -t tmpfs x /mnt/empty && echo mounted",
            "proc": "echo 0 > /proc/sys/kernel/printk && echo written",
            "others": f"kill -9 {outsider.pid}; ls /host/old; ls /proc | grep -c '^[0-9]*$'",
            "net": "cat /proc/net/dev | grep -vc -e lo: -e '|'",
            "device": "mknod /tmp/d b 8 0 && echo made",
        }
        results = _sandboxed([{"id": name, "cmd": cmd} for name, cmd in probes.items()])
        out = {name: result["out"].split("\n")[-2:] for name, result in results.items()}
        assert "kept" in out["usr"]
        assert not any(
            word in results[name]["out"]
            for name, word in (("mount", "mounted"), ("proc", "written"), ("device", "made"))
        )
        assert int(out["others"][0]) < 15
        assert out["net"][0] == "0"
        assert outsider.poll() is None
        assert Path("/usr/bin/true").exists()
    finally:
        outsider.kill()
        outsider.wait()


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("needs_sandbox")
def test_a_sample_of_rows_does_what_its_verdict_says() -> None:
    """Every eleventh row that can safely run harms vigo's things exactly when it is a hard one."""
    assert _contradictions(_runnable()[::11]) == ""


@pytest.mark.faults
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("needs_sandbox")
def test_every_row_that_can_run_does_what_its_verdict_says() -> None:
    """Likewise for all of them, with the count of what was confirmed."""
    rows = _runnable()
    assert _contradictions(rows) == ""
    print(f"\nconfirmed by execution: {dict(Counter(row['verdict'] for row in rows))}")
    print(f"not run: {dict(Counter(why for row in corpus() if (why := _why_not_run(row))))}")
    assert len(rows) >= 1200
