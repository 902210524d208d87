"""Who runs: how each is started on a fleet, and how we see that it did what it was asked on every host."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeAlias

from bench.fleet import COMMAND, FANOUT, Fleet
from bench.measure import Measured

ROOT: Final = Path(__file__).parents[1]
OWN: Final = ROOT / "bench" / ".vigo" / "bin"
"""vigo with its extra `fast`, and the bare loop."""
PEERS: Final = ROOT / "bench" / ".peers" / "bin"
_PROGRAMS = ROOT / "bench" / "programs"
_UPTIME = "load average:"

_Argv: TypeAlias = Callable[[Fleet], list[str]]


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to run a command on many hosts."""

    name: str
    argv: _Argv
    counted: Callable[[Measured], int]
    """On how many hosts the output shows that it worked."""
    env: Callable[[Fleet], Mapping[str, str]] = lambda _: {}
    program: Path | str = ""
    """What must be installed for it: a file, or the name of a command."""
    note: str = ""


def _settings(program: str, python: Path, settings: str) -> _Argv:
    return lambda fleet: [str(python), str(_PROGRAMS / program), str(fleet.file(f"{settings}.json"))]


def _told(measured: Measured) -> int:
    told = json.loads(measured.out)
    return int(told["ok"]) if told["ok"] == told["all"] else 0


def _lines(measured: Measured) -> int:
    return measured.out.count(_UPTIME)


def _vigo(fleet: Fleet) -> list[str]:
    run = [str(OWN / "vigo"), "task", "run", COMMAND, "--target", "all", "--fanout", str(FANOUT)]
    return [*run, "-i", str(fleet.file("inventory.yaml"))]


def _vigo_watched(fleet: Fleet) -> list[str]:
    """Return vigo with its board on a terminal, whose results go to a file as without one."""
    watched = shlex.join([*_vigo(fleet), "--progress", "board"])
    terminal = f"stty cols 200 rows 60; exec {watched} >results"
    return ["sh", "-c", f"script -qec {shlex.quote(terminal)} /dev/null >/dev/null && exec cat results"]


def _clush(fleet: Fleet) -> list[str]:
    options = ["-f", str(FANOUT), "-S", "-L", "-o", f"-F {fleet.file('ssh_config')}"]
    return [str(PEERS / "clush"), "--hostfile", str(fleet.file("addresses")), *options, COMMAND]


def _pdsh(fleet: Fleet) -> list[str]:
    return ["pdsh", "-R", "ssh", "-f", str(FANOUT), "-S", "-w", f"^{fleet.file('addresses')}", COMMAND]


def _pssh(fleet: Fleet) -> list[str]:
    options = ["-p", str(FANOUT), "-i", "-x", f"-F {fleet.file('ssh_config')}"]
    return ["parallel-ssh", "-h", str(fleet.file("addresses")), *options, COMMAND]


def _pyinfra(fleet: Fleet) -> list[str]:
    hosts = str(fleet.file("pyinfra_hosts.py"))
    return [str(PEERS / "pyinfra"), "--parallel", str(FANOUT), hosts, "exec", "--", COMMAND]


def _ansible(fleet: Fleet) -> list[str]:
    module = ["-m", "ansible.builtin.raw", "-a", COMMAND, "-o"]
    return [str(PEERS / "ansible"), "all", "-i", str(fleet.file("addresses")), "-f", str(FANOUT), *module]


def _ssh(fleet: Fleet) -> list[str]:
    return ["ssh", "-F", str(fleet.file("ssh_config")), fleet.addresses[0], COMMAND]


VIGO: Final = Contender("vigo", _vigo, lambda measured: measured.out.count("[complete] exit=0"), program=OWN / "vigo")
WATCHED: Final = replace(
    VIGO,
    name="vigo, with its board",
    argv=_vigo_watched,
    env=lambda _: {"TERM": "xterm-256color", "SHELL": "/bin/sh"},
    note="drawn on a terminal of 200 by 60",
)
BARE: Final = Contender(
    "bare loop", _settings("bare.py", OWN / "python", "plain"), _told, program=OWN / "python", note="the plain command"
)
WRAPPED: Final = Contender(
    "bare loop, same text",
    _settings("bare.py", OWN / "python", "wrapped"),
    _told,
    program=OWN / "python",
    note="the wrapper's text and its input, as vigo sends them",
)
PARALLEL_SSH: Final = Contender(
    "parallel-ssh",
    _settings("parallel_ssh.py", PEERS / "python", "plain"),
    _told,
    program=PEERS / "python",
    note="libssh2 and gevent, as its documentation says; looks at no host key",
)
LIBSSH2: Final = Contender(
    "libssh2",
    _settings("libssh2.py", PEERS / "python", "plain"),
    _told,
    program=PEERS / "python",
    note="ssh2-python, a pool of greenlets; looks at no host key",
)
LIBSSH2_WRAPPED: Final = Contender(
    "libssh2, same text",
    _settings("libssh2.py", PEERS / "python", "wrapped"),
    _told,
    program=PEERS / "python",
    note="likewise, sending what vigo sends",
)
CLUSH: Final = Contender("clush", _clush, _lines, program=PEERS / "clush", note="an ssh for each host")
PDSH: Final = Contender(
    "pdsh",
    _pdsh,
    _lines,
    env=lambda fleet: {"PDSH_SSH_ARGS_APPEND": f"-F {fleet.file('ssh_config')}"},
    program="pdsh",
    note="an ssh for each host",
)
PSSH: Final = Contender(
    "pssh",
    _pssh,
    lambda measured: measured.out.count("[SUCCESS]"),
    program="parallel-ssh",
    note="an ssh for each host",
)
PYINFRA: Final = Contender(
    "pyinfra",
    _pyinfra,
    lambda measured: max(_lines(measured), measured.err.count(_UPTIME)),
    program=PEERS / "pyinfra",
    note="paramiko, gevent",
)
FABRIC: Final = Contender(
    "fabric",
    _settings("fabric_threads.py", PEERS / "python", "plain"),
    _told,
    program=PEERS / "python",
    note="paramiko, a pool of threads; looks at no host key",
)
ANSIBLE: Final = Contender(
    "ansible",
    _ansible,
    _lines,
    env=lambda fleet: {"ANSIBLE_SSH_ARGS": f"-F {fleet.file('ssh_config')} -o ControlMaster=no"},
    program=PEERS / "ansible",
    note="raw module; a process and an ssh for each host",
)
SSH: Final = Contender("ssh", _ssh, _lines, program="ssh", note="OpenSSH's client, one host")

OURS: Final = (VIGO, WRAPPED, BARE)
ALL: Final = (*OURS, LIBSSH2, PARALLEL_SSH, PYINFRA, FABRIC, CLUSH, PDSH, PSSH, ANSIBLE)
