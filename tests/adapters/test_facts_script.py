"""The gathering script under every interpreter that may be a host's /bin/sh, on this machine and on others' stand-ins."""

from __future__ import annotations

import os
import platform
import re
import shutil
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from vigo.core.facts import Answer, SiteScript, read_answer, script

SHELLS = {"dash": ["dash"], "bash": ["bash", "--posix"], "busybox": ["busybox", "sh"], "ksh": ["ksh"]}
_PLACES = re.compile(r"(?<![\w:])/(?=proc|etc/|usr/lib/|run/|sys/|sbin/init|\.dockerenv)")
_TOOLS = ("grep", "ls", "sed")

MAC = {
    "uname": "case $1 in -s) echo Darwin ;; -r) echo 23.4.0 ;; -m) echo arm64 ;; esac",
    "sw_vers": "echo 14.4.1",
    "getconf": "echo 10",
    "sysctl": "case $2 in hw.memsize) echo 34359738368 ;; kern.hv_vmm_present) echo 0 ;; *) exit 1 ;; esac",
    "ps": 'case $2 in etime=) echo " 12-03:04:05" ;; comm=) echo /sbin/launchd ;; esac',
    "hostname": "echo mac-01.example.com",
    "brew": "exit 9",
    "ifconfig": """cat <<'E'
lo0: flags=8049<UP,LOOPBACK,RUNNING,MULTICAST> mtu 16384
\tinet 127.0.0.1 netmask 0xff000000
\tinet6 ::1 prefixlen 128
en0: flags=8863<UP,BROADCAST,SMART,RUNNING,SIMPLEX,MULTICAST> mtu 1500
\tether f0:18:98:11:22:33
\tinet6 fe80::1c2%en0 prefixlen 64 secured scopeid 0x4
\tinet 192.168.1.7 netmask 0xffffff00 broadcast 192.168.1.255
E""",
}  # fmt: skip
FREEBSD = {
    "uname": "case $1 in -s) echo FreeBSD ;; -r) echo 13.2-RELEASE-p1 ;; -m) echo amd64 ;; esac",
    "getconf": "case $1 in _NPROCESSORS_ONLN) echo 4 ;; *) exit 1 ;; esac",
    "sysctl": "case $2 in hw.physmem) echo 8589934592 ;; kern.vm_guest) echo bhyve ;; *) exit 1 ;; esac",
    "ps": "case $2 in etime=) echo 04:05 ;; comm=) echo init ;; esac",
    "hostname": "echo bsd-01",
    "pkg": "exit 9",
    "ifconfig": """cat <<'E'
em0: flags=8843<UP,BROADCAST,RUNNING,SIMPLEX,MULTICAST> metric 0 mtu 1500
\tether 08:00:27:aa:bb:cc
\tinet 10.0.2.15 netmask 0xffffff00 broadcast 10.0.2.255
E""",
}  # fmt: skip
OPENBSD = {
    "uname": "case $1 in -s) echo OpenBSD ;; -r) echo 7.4 ;; -m) echo amd64 ;; esac",
    "getconf": "case $1 in NPROCESSORS_ONLN) echo 2 ;; *) echo undefined; exit 1 ;; esac",
    "sysctl": "case $2 in hw.physmem) echo 2147483648 ;; *) exit 1 ;; esac",
    "ps": "case $2 in etime=) echo 01-00:00:00 ;; comm=) echo init ;; esac",
    "hostname": "[ $# = 0 ] && echo puffy.example.com",
    "pkg_add": "exit 9",
    "ifconfig": "printf 'vio0: flags=8843\\n\\tlladdr fe:e1:bb:d1:00:01\\n\\tinet 203.0.113.9 netmask 0xffffff00\\n'",
}  # fmt: skip
ALPINE = {
    "uname": "case $1 in -s) echo Linux ;; -r) echo 6.6.7-0-lts ;; -m) echo x86_64 ;; esac",
    "nproc": "echo 3",
    "hostname": "case $1 in -f) echo alp.example.com ;; *) echo alp ;; esac",
    "apk": "exit 9",
    "ip": "printf '2: eth0: <BROADCAST> mtu 1500\\n    link/ether 02:42:ac:11:00:02 brd ff:ff\\n    inet 172.17.0.2/16 scope global eth0\\n'",
}  # fmt: skip
ALPINE_FILES = {
    "etc/os-release": 'NAME="Alpine Linux"\nID=alpine\nVERSION_ID=3.19.1\n',
    "proc/meminfo": "MemTotal:        2048000 kB\nMemFree: 1 kB\n",
    "proc/uptime": "99.5 180.1\n",
    "proc/1/comm": "init\n",
    "proc/cpuinfo": "processor : 0\nflags\t: fpu hypervisor\n",
    "run/openrc/softlevel": "",
    "etc/inittab": "",
    "sys/class/dmi/id/sys_vendor": "QEMU\n",
}
CENTOS_6 = {
    "uname": "case $1 in -s) echo Linux ;; -r) echo 2.6.32-754.el6.x86_64 ;; -m) echo x86_64 ;; esac",
    "hostname": "echo old-01",
    "yum": "exit 9",
    "ifconfig": """cat <<'E'
eth0      Link encap:Ethernet  HWaddr 52:54:00:AA:BB:CC
          inet addr:10.1.2.3  Bcast:10.1.2.255  Mask:255.255.255.0
          inet6 addr: 2001:db8::3/64 Scope:Global
E""",
}  # fmt: skip
CENTOS_6_FILES = {
    "etc/redhat-release": "CentOS release 6.10 (Final)\n",
    "etc/inittab": "id:3:initdefault:\n",
    "proc/1/comm": "init\n",
    "proc/1/cgroup": "",
    "proc/cpuinfo": "processor\t: 0\nflags : fpu\nprocessor\t: 1\nflags : fpu\n",
}


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> list[str]:
    """Return the words that call an interpreter."""
    words = SHELLS[request.param]
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed")
    return words


def run(shell: list[str], text: str, **environ: str) -> subprocess.CompletedProcess[bytes]:
    """Run a text as the wrapper does: by `-c`, with an empty standard input."""
    return subprocess.run(
        [shutil.which(shell[0]) or shell[0], *shell[1:], "-c", text, "sh"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=60,
        env={"PATH": os.environ["PATH"], **environ},
    )


def elsewhere(shell: list[str], root: Path, programs: Mapping[str, str], files: Mapping[str, str]) -> bytes:
    """Run the script on a machine that has only these programs and files, and return what it says."""
    for name, body in programs.items():
        path = root / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{body}\n")
        path.chmod(0o755)
    (root / "bin").mkdir(exist_ok=True)
    for tool in _TOOLS:
        (root / "bin" / tool).symlink_to(shutil.which(tool) or tool)
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    text, places = re.subn(r'PATH="[^"]*"', "PATH=$PATH", script())
    assert places == 1
    done = run(shell, _PLACES.sub(f"{root}/", text), PATH=str(root / "bin"))
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout


def traits(answer: bytes) -> dict[str, object]:
    """Read an answer in which nothing is wrong."""
    read = read_answer(answer)
    assert (read.unknown, read.failed) == (0, ()), answer
    return dict(read.traits)


def test_this_machine(shell: list[str]) -> None:
    """What it says is what Python sees of it."""
    done = run(shell, script())
    assert (done.returncode, done.stderr) == (0, b"")
    found = traits(done.stdout)
    seen = os.uname()
    assert found["os.kernel"] == seen.release
    assert found["os.distro"] == platform.freedesktop_os_release()["ID"]
    assert found["hardware.cpus"] == os.sysconf("SC_NPROCESSORS_ONLN")
    memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    assert isinstance(found["hardware.memory_mb"], int)
    assert abs(found["hardware.memory_mb"] - memory_mb) <= 1
    assert found["network.hostname"] == seen.nodename.lower()
    assert {"os.family", "os.arch", "init", "uptime_s"} <= found.keys()


def test_a_mac(shell: list[str], tmp_path: Path) -> None:
    """No /proc: sysctl, ps, sw_vers and the BSDs' ifconfig."""
    found = traits(elsewhere(shell, tmp_path, MAC, {}))
    assert found == {
        "os.family": "darwin",
        "os.distro": "macos",
        "os.version": "14.4.1",
        "os.kernel": "23.4.0",
        "os.arch": "aarch64",
        "hardware.cpus": 10,
        "hardware.memory_mb": 32768,
        "uptime_s": 1047845,
        "network.hostname": "mac-01.example.com",
        "network.fqdn": "mac-01.example.com",
        "network.ip_addresses": ("192.168.1.7",),
        "network.mac_addresses": ("f0:18:98:11:22:33",),
        "init": "launchd",
        "packages.manager": "brew",
        "virtualization": "none",
    }


def test_freebsd_and_openbsd(shell: list[str], tmp_path: Path) -> None:
    """The same, with each one's own words."""
    for name in ("free", "open"):
        (tmp_path / name).mkdir()
    free = traits(elsewhere(shell, tmp_path / "free", FREEBSD, {}))
    assert (free["os.distro"], free["os.version"], free["os.arch"]) == ("freebsd", "13.2", "x86_64")
    assert (free["hardware.cpus"], free["hardware.memory_mb"], free["uptime_s"]) == (4, 8192, 245)
    assert (free["init"], free["packages.manager"], free["virtualization"]) == ("rc", "pkg", "bhyve")
    assert free["network.ip_addresses"] == ("10.0.2.15",)
    found = traits(elsewhere(shell, tmp_path / "open", OPENBSD, {}))
    assert (found["os.distro"], found["os.version"], found["hardware.cpus"]) == ("openbsd", "7.4", 2)
    assert (found["network.hostname"], found["packages.manager"]) == ("puffy.example.com", "pkg_add")
    assert "network.fqdn" not in found
    assert found["network.mac_addresses"] == ("fe:e1:bb:d1:00:01",)


def test_alpine_and_an_old_centos(shell: list[str], tmp_path: Path) -> None:
    """Linux with little on it, and Linux from before os-release and `ip`."""
    for name in ("alpine", "centos"):
        (tmp_path / name).mkdir()
    alpine = traits(elsewhere(shell, tmp_path / "alpine", ALPINE, ALPINE_FILES))
    assert (alpine["os.family"], alpine["os.version"], alpine["hardware.cpus"]) == ("alpine", "3.19.1", 3)
    assert (alpine["hardware.memory_mb"], alpine["uptime_s"], alpine["network.fqdn"]) == (2000, 99, "alp.example.com")
    assert (alpine["init"], alpine["packages.manager"], alpine["virtualization"]) == ("openrc", "apk", "kvm")
    assert alpine["network.ip_addresses"] == ("172.17.0.2",)
    old = traits(elsewhere(shell, tmp_path / "centos", CENTOS_6, CENTOS_6_FILES))
    assert (old["os.family"], old["os.distro"], old["os.version"]) == ("redhat", "centos", "6.10")
    assert (old["hardware.cpus"], old["init"], old["packages.manager"]) == (2, "sysvinit", "yum")
    assert old["network.ip_addresses"] == ("10.1.2.3", "2001:db8::3")
    assert old["network.mac_addresses"] == ("52:54:00:aa:bb:cc",)
    assert "virtualization" not in old


def test_a_machine_without_anything_still_answers(shell: list[str], tmp_path: Path) -> None:
    """No program, no file: no trait, and a whole answer."""
    assert traits(elsewhere(shell, tmp_path, {}, {})) == {}


def test_any_byte_survives_the_way_and_none_makes_a_line_of_its_own(shell: list[str], tmp_path: Path) -> None:
    """A host name with line ends, per cent signs and what shells read: one line, and no trait comes of it."""
    name = "a%b\\n%0A$(id)`id`*\n%\nos.distro=evil\ncpus=99"
    answer = elsewhere(shell, tmp_path, {"hostname": f"[ $1 = -I ] || cat <<'E'\n{name}\nE"}, {})
    encoded = name.replace("%", "%25").replace("\n", "%0A")
    assert f"hostname={encoded}\n".encode() in answer
    read = read_answer(answer)
    assert (read.traits, read.unknown) == ({}, 2)  # as the name, and as the full name


def test_scripts_of_the_site_run_apart(shell: list[str]) -> None:
    """Each in a shell of its own: what one breaks, changes or prints too much of concerns no other."""
    sites = [
        SiteScript("breaks", "if fi"),
        SiteScript("exits", "echo a=1; exit 3"),
        SiteScript("floods", "while echo a=1234567890; do :; done | head -n 1000"),
        SiteScript("quotes", """printf '%s\\n' 'it'"'"'s=' "b=c%d" 'x="$HOME" \\'"""),
        SiteScript("reads", "cat; cd /; set -u; echo where=$(pwd)"),
        SiteScript("silent", ":"),
    ]
    done = run(shell, script(sites))
    assert done.returncode == 0
    read = read_answer(done.stdout, [site.name for site in sites])
    assert dict(read.failed).keys() == {"breaks", "exits", "floods"}
    assert dict(read.failed)["exits"] == "exit 3"
    assert dict(read.failed)["floods"] == "it printed too much"
    own = {
        path: value for path, value in read.traits.items() if path.partition(".")[0] in {site.name for site in sites}
    }
    assert own == {"quotes.b": "c%d", "quotes.x": '"$HOME" \\', "reads.where": "/"}
    assert read.unknown == 1  # `it's=` is no key
    assert read.traits["os.kernel"] == os.uname().release


def test_the_script_writes_nothing(shell: list[str], tmp_path: Path) -> None:
    """No redirection but to nowhere, and a home, a working folder and a TMPDIR that stay empty."""
    targets = re.findall(r"(?<![-=0-9])[0-9]*>+\s*([^\s;]+)", script().replace("'%s=%s\\n'", ""))
    assert set(targets) == {"/dev/null"}
    text = script()
    places = [tmp_path / name for name in ("home", "cwd", "tmp")]
    for place in places:
        place.mkdir()
        place.chmod(0o777)
    done = subprocess.run(
        [shutil.which(shell[0]) or shell[0], *shell[1:], "-c", text, "sh"],
        cwd=places[1],
        env={"PATH": os.environ["PATH"], "HOME": str(places[0]), "TMPDIR": str(places[2])},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert isinstance(read_answer(done.stdout), Answer)
    assert [list(place.iterdir()) for place in places] == [[], [], []]
    assert all(stat.S_ISDIR(place.lstat().st_mode) for place in places)
