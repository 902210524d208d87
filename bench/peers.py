"""The environments of the benchmark: vigo with uvloop in one, its peers in another. Neither touches the developer's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.contenders import OWN, PEERS, ROOT

_PEERS = ("ClusterShell", "parallel-ssh", "pyinfra", "fabric", "ansible-core")
_DEBIAN = ("pdsh", "pssh", "valgrind")
_SHOWN = ("asyncssh", "cryptography", "uvloop", "ClusterShell", "parallel-ssh", "ssh2-python", "pyinfra", "fabric", "paramiko", "ansible-core")  # fmt: skip


def install() -> list[str]:
    """Install what is missing and return a line for each thing that could not be."""
    troubles = []
    if not _venv(OWN.parent, ["--editable", f"{ROOT}[fast]"]):
        troubles.append("vigo[fast]: uvloop could not be installed")
        _venv(OWN.parent, ["--editable", str(ROOT)])
    troubles += [f"{peer}: could not be installed" for peer in _PEERS if not _venv(PEERS.parent, [peer])]
    missing = [package for package in _DEBIAN if not _is_there(package)]
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = ["apt-get", "-qq", "-o", "Dpkg::Use-Pty=0"]
        subprocess.run([*quiet, "update"], check=False, stdout=subprocess.DEVNULL)
        for package in missing:
            command = [*quiet, "install", "-y", "--no-install-recommends", package]
            subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
    return troubles + [f"{package}: is not installed" for package in missing if not _is_there(package)]


def versions() -> dict[str, str]:
    """Return name -> version of everything that takes part and is there."""
    found = {"Python": sys.version.split()[0], "OpenSSH": _openssh()}
    for python in (OWN / "python", PEERS / "python"):
        if python.exists():
            program = "import sys, importlib.metadata as m\nfor d in m.distributions(): print(d.name, d.version)"
            listed = subprocess.run([python, "-c", program], check=True, capture_output=True, text=True).stdout
            there = dict(line.split(" ", 1) for line in listed.splitlines())
            found |= {name: there[name] for name in _SHOWN if name in there}
    for package in _DEBIAN:
        found[package] = _debian_version(package)
    return {name: version for name, version in found.items() if version}


def _venv(folder: Path, wanted: Sequence[str]) -> bool:
    """Make the environment if it is not there and install into it, once; tell whether it worked."""
    done = folder / f".has-{'-'.join(wanted).replace('/', '_').strip('-')}"
    if done.exists():
        return True
    if not (folder / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if subprocess.run([*pip, *wanted], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
        return False
    done.touch()
    return True


def _is_there(package: str) -> bool:
    return bool(shutil.which({"pssh": "parallel-ssh"}.get(package, package)))


def _debian_version(package: str) -> str:
    if not shutil.which("dpkg-query"):
        return "present" if _is_there(package) else ""
    asked = ["dpkg-query", "-W", "-f", "${Version}", package]
    return subprocess.run(asked, check=False, capture_output=True, text=True).stdout


def _openssh() -> str:
    told = subprocess.run(["ssh", "-V"], check=False, capture_output=True, text=True).stderr
    return told.split(",")[0].removeprefix("OpenSSH_").strip()
