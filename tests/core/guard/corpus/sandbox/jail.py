"""Runs corpus rows in a throw-away root and says what they did to vigo there.

Reads rows (JSON Lines) on stdin, writes one result a row on stdout. Must be started by root as
`unshare --mount --net --ipc --uts --propagation private python jail.py`, so that no mount outlives it.
It holds no opinion on verdicts: a result tells protected paths harmed, processes ended, words that recorders saw.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent


def listed(text: str) -> tuple[str, ...]:
    """Words that stand in a text, for long plain lists."""
    return tuple(text.split())


OLD_S = 1_577_836_800  # 2020-01-01: older than any -mtime in the corpus

PROTECTED = (
    "srv/vigo",
    "etc/vigo",
    "etc/vigo-envoy",
    "var/lib/vigo",
    "usr/local/sbin/vigo",
    "usr/local/sbin/vigosrv",
    "usr/local/bin/vigocli",
    "usr/local/sbin/vigo-license-manager",
    "etc/systemd/system/vigo.service",
    "etc/systemd/system/vigo-envoy.service",
    "usr/lib/systemd/system/vigosrv.service",
    "etc/systemd/system/vigo.service.d",
    "etc/systemd/system/vigosrv.service.d",
)
FILES = listed("""
srv/vigo/config.yaml srv/vigo/run.sh srv/vigo/state.json srv/vigo/data/one srv/vigo/releases/2024-01-31/app
etc/vigo/vigo.yaml etc/vigo/license.key etc/vigo-envoy/envoy.yaml var/lib/vigo/state.db
usr/local/sbin/vigo usr/local/sbin/vigosrv usr/local/bin/vigocli usr/local/sbin/vigo-license-manager
etc/systemd/system/vigo.service etc/systemd/system/vigo-envoy.service usr/lib/systemd/system/vigosrv.service
etc/systemd/system/vigo.service.d/override.conf etc/systemd/system/vigosrv.service.d/override.conf
srv/app/cache/x srv/app/vigo/cache/x srv/web/cache/x srv/web/releases/old/x srv/www/index.html srv/vigo.bak/x srv/vigor/x
srv/old.log srv/old.bak/x srv/viga/x srv/vigox/x etc/vigor/x etc/nginx/nginx.conf etc/nginx/sites-enabled/default
usr/local/sbin/vigor usr/local/sbin/vigo.old etc/systemd/system/vigor.service var/lib/app/x var/lib/vigor/x
var/log/syslog var/log/auth.log var/log/vigo/vigo.log var/log/vigo/old.gz var/log/nginx/access.log var/www/html/index.html
opt/vigo/x opt/app/releases/old/x home/deploy/vigo/x tmp/build/x tmp/vigosrv tmp/vigocli tmp/new tmp/vigo.new
tmp/note tmp/a tmp/units root/vigo.yaml root/runbook.md root/.ssh/authorized_keys backup/vigo/x
""")
FOLDERS = listed(
    "proc dev/fd host/usr host/old .rec srv/vigo/empty tmp/empty tmp/x mnt/empty mnt/data run/lock run/systemd/system var/lib/dpkg"
)
RECORDED = listed("""
systemctl service rc-service rc-update initctl launchctl update-rc.d chkconfig invoke-rc.d sv supervisorctl busctl monit
deb-systemd-invoke deb-systemd-helper dbus-send start-stop-daemon fuser apt-get apt aptitude dpkg dnf yum rpm zypper apk pacman
snap brew mount umount chattr rsync reboot poweroff halt shutdown init telinit mkfs.ext4 mkfs.xfs mkfs wipefs blkdiscard
iptables ip6tables nft ufw firewall-cmd ip ifdown ifup ifconfig nmcli userdel usermod useradd groupadd passwd docker kubectl
helm journalctl logger wall mail git nginx certbot pip npm pm2 psql pg_dump mysql mysqldump redis-cli sysctl modprobe
swapon swapoff fdisk blkid fstrim smartctl mdadm apachectl ansible-playbook puppet chef-client timedatectl hostnamectl
logrotate unattended-upgrade needrestart scp lsof ss inotifywait sshd vigo
""")
RUNNERS = listed("sudo doas systemd-run su runuser at batch watch crontab ssh parallel curl wget sleep")
TOOLS = listed("""
bash sh dash cat ls cp mv rm rmdir mkdir ln touch chmod chown chgrp truncate shred unlink install dd tee find xargs grep egrep
zgrep sed awk sort uniq head tail cut tr wc rev base64 base32 xxd od hexdump openssl gzip gunzip zcat tar unzip stat file du df
env nice ionice timeout setsid stdbuf nohup flock time busybox perl python3 ruby node printf echo test [ true false expr basename
dirname readlink realpath mktemp date id whoami hostname uname uptime free ps pgrep pkill pidof killall kill md5sum sha256sum
cmp diff comm seq nproc getent who last yes sync ssh-keygen jq mountpoint findmnt getfacl lscpu dmesg
""")
PASSWD = "root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33::/var/www:/bin/sh\ndeploy:x:1000:1000::/home/deploy:/bin/bash\nnobody:x:65534:65534::/:/bin/sh\n"
GROUP = "root:x:0:\nwww-data:x:33:\ndeploy:x:1000:\nnogroup:x:65534:\n"
TEXT = "# a file of the sandbox\nlicense: abc\nenabled: true\non: yes\ndata: 1\n"


def _link_host_programs(root: Path) -> None:
    """Fill /usr/bin with links to the real tools and, where a command acts on more than files, to the stand-ins."""
    bin_ = root / "usr/bin"
    bin_.mkdir(parents=True)
    for link, where in {
        "bin": "usr/bin",
        "sbin": "usr/bin",
        "lib": "usr/lib",
        "lib64": "host/usr/lib64",
        "var/run": "/run",
    }.items():
        (root / link).symlink_to(where)
    (root / "usr/sbin").symlink_to("bin")
    for name in TOOLS:
        for folder in ("/usr/bin", "/bin", "/usr/sbin"):
            real = Path(folder, name).resolve()
            if real.is_file() and real.is_relative_to("/usr"):
                (bin_ / name).symlink_to(f"/host{real}")
                break
    for names, program in ((RECORDED, "recorder.sh"), (RUNNERS, "runner.sh")):
        for name in names:
            (bin_ / name).unlink(missing_ok=True)
            (bin_ / name).symlink_to(f"/.rec/{program}")
    for name in ("share", "libexec", "lib64"):
        (root / "usr" / name).symlink_to(f"/host/usr/{name}")
    for entry in Path("/usr/lib").iterdir():
        if entry.name != "systemd":
            (root / "usr/lib" / entry.name).symlink_to(f"/host/usr/lib/{entry.name}")


def build(root: Path) -> None:
    """Lay out the template that each row gets a copy of."""
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True)
    for name in FILES:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{TEXT}name: {name}\n")
        path.chmod(0o755 if "bin/" in name or name.endswith(".sh") else 0o644)
    _link_host_programs(root)
    for name in ("recorder.sh", "runner.sh", "inside.sh"):
        (root / ".rec" / name).write_bytes((HERE / name).read_bytes())
        (root / ".rec" / name).chmod(0o755)
    (root / "etc/passwd").write_text(PASSWD)
    (root / "etc/group").write_text(GROUP)
    (root / "etc/init.d").mkdir()
    (root / "opt/.victims").mkdir()
    for name in ("vigo", "vigosrv", "vigo-envoy"):
        (root / "etc/init.d" / name).symlink_to("/.rec/recorder.sh")
        victim = root / "opt/.victims" / name
        victim.write_bytes(Path("/usr/bin/sleep").read_bytes())
        victim.chmod(0o755)
    for name, minor in (("null", 3), ("zero", 5)):
        os.mknod(root / "dev" / name, 0o666 | stat.S_IFCHR, os.makedev(1, minor))
        (root / "dev" / name).chmod(0o666)
    (root / "dev/fd").rmdir()
    (root / "dev/fd").symlink_to("/proc/self/fd")
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        (root / "dev" / name).symlink_to(f"/proc/self/fd/{number}")
    for path in _walk(root / "srv", root / "etc", root / "var", root / "usr/local", root / "tmp"):
        os.utime(path, (OLD_S, OLD_S), follow_symlinks=False)


def _walk(*tops: Path) -> Iterator[Path]:
    for top in tops:
        if top.is_symlink() or top.exists():
            yield top
        if top.is_dir() and not top.is_symlink():
            yield from (path for path in top.rglob("*"))


def snapshot(root: Path) -> dict[str, tuple[int, int, int, str]]:
    """Protected path -> (mode, owner, group, what it holds)."""
    seen = {}
    for path in _walk(*(root / name for name in PROTECTED)):
        facts = path.lstat()
        held = ""
        if stat.S_ISREG(facts.st_mode):
            held = hashlib.sha256(path.read_bytes()).hexdigest()
        elif stat.S_ISLNK(facts.st_mode):
            held = str(path.readlink())
        seen[str(path.relative_to(root))] = (facts.st_mode, facts.st_uid, facts.st_gid, held)
    return seen


def harm(before: dict[str, tuple[int, int, int, str]], after: dict[str, tuple[int, int, int, str]]) -> list[str]:
    """Protected paths that are gone, hold something else, changed hands or lost a right; new names and rights are none."""
    harmed = []
    for name, (mode, *rest) in before.items():
        now = after.get(name)
        if now is None or list(now[1:]) != rest or stat.S_IFMT(now[0]) != stat.S_IFMT(mode) or mode & ~now[0]:
            harmed.append(name)
    return harmed


def _words(log: Path) -> list[list[str]]:
    if not log.exists():
        return []
    text = log.read_bytes().decode(errors="replace")
    return [record.split("\x1f")[:-1] for record in text.split("\x1e")[:-1]]


def _read(path: Path) -> str:
    return path.read_bytes().decode(errors="replace") if path.exists() else ""


def run(template: Path, root: Path, command: str) -> dict[str, object]:
    """Run one command in a fresh copy of the template."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m,nosuid", "jail", str(root)], check=True)
    try:
        subprocess.run(["cp", "-a", f"{template}/.", str(root)], check=True)
        (root / ".rec/cmd").write_text(command)
        before = snapshot(root)
        enter = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"]
        done = subprocess.run(
            [*enter, "sh", str(HERE / "enter.sh"), str(root)],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=90,
        )
        if done.returncode != 0 or not (root / ".rec/dead").exists():
            raise SystemExit(f"the sandbox failed for {command!r}: {done.returncode} {done.stderr!r}")
        return {
            "code": int(_read(root / ".rec/code")),
            "harmed": harm(before, snapshot(root)),
            "dead": _read(root / ".rec/dead").split(),
            "seen": _words(root / ".rec/log"),
            "out": _read(root / ".rec/out")[-2000:],
        }
    finally:
        subprocess.run(["umount", "-l", str(root)], check=True)


def main() -> None:
    """Serve rows until stdin ends."""
    if Path("/proc/self/ns/mnt").readlink() == Path(f"/proc/{os.getppid()}/ns/mnt").readlink():
        raise SystemExit("start this under `unshare --mount`: it mounts")
    with tempfile.TemporaryDirectory() as place:
        base = Path(place)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "nosuid", "jails", place], check=True)
        template, root = base / "template", base / "root"
        template.mkdir()
        root.mkdir()
        build(template)
        for line in sys.stdin:
            row = json.loads(line)
            print(json.dumps({"id": row["id"], **run(template, root, row["cmd"])}), flush=True)
        subprocess.run(["umount", "-l", place], check=True)


if __name__ == "__main__":
    main()
