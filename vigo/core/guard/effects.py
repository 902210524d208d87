"""Which rules look at which command: the table from a command's name to what it does."""

from __future__ import annotations

from collections.abc import Iterator

from vigo.core.guard import access, hosts, packages, paths, processes, units
from vigo.core.guard.call import Call, Rule
from vigo.core.guard.session import Hit

_TABLE: list[tuple[tuple[str, ...], Rule]] = [
    (tuple(units.COMMANDS), units.services),
    (("busctl", "gdbus", "dbus-send", "qdbus"), units.bus),
    (("kill",), processes.kill),
    (("pkill", "skill", "slay"), processes.pkill),
    (("killall",), processes.killall),
    (("killall5",), processes.killall5),
    (("start-stop-daemon",), processes.start_stop_daemon),
    (("killproc",), processes.killproc),
    (("fuser",), processes.fuser),
    (("rm", "unlink", "srm", "wipe", "trash", "trash-put", "safe-rm", "del", "gio"), paths.rm),
    (("rmdir",), paths.rmdir),
    (("shred", "truncate", "fallocate", "scrub"), paths.shred),
    (("mv",), paths.mv),
    (("cp", "install", "scp", "ginstall"), paths.cp),
    (("ln",), paths.ln),
    (("tee", "sponge"), paths.tee),
    (("dd", "dcfldd"), paths.dd),
    (("rsync",), paths.rsync),
    (
        (
            "gzip",
            "gunzip",
            "bzip2",
            "bunzip2",
            "xz",
            "unxz",
            "lzma",
            "compress",
            "uncompress",
            "zstd",
            "unzstd",
            "lz4",
            "pigz",
        ),
        paths.compress,
    ),
    (("sed", "perl"), paths.sed),
    (("tar", "bsdtar", "zip", "unzip"), paths.archive),
    (paths.OUTPUT_COMMANDS, paths.outputs),
    (("patch", "ed", "ex"), paths.operands_overwritten),
    (("git",), paths.git),
    (("rename", "prename", "mmv", "dpkg-divert", "btrfs", "rclone"), paths.rename),
    (("chmod",), access.chmod),
    (("chown", "chgrp"), access.chown),
    (("chattr", "setfacl", "chcon"), access.attributes),
    (("mount", "umount"), access.mount),
    (tuple(name for name in packages.TOOLS if name != "dpkg"), packages.packages),
    (("dpkg",), packages.selections),
    (
        ("shutdown", "poweroff", "halt", "reboot", "init", "telinit", "kexec", "rtcwake", "ipmitool"),
        hosts.power,
    ),
    (("systemctl", "loginctl"), hosts.power_verb),
    (("busctl", "gdbus", "dbus-send", "qdbus"), hosts.power_bus),
    (
        (
            *("wipefs", "blkdiscard", "fdisk", "sfdisk", "sgdisk", "gdisk", "cfdisk", "parted", "mkswap", "cryptsetup"),
            *(
                "pvcreate",
                "pvremove",
                "vgremove",
                "lvremove",
                "vgcreate",
                "mdadm",
                "badblocks",
                "hdparm",
                "nvme",
                "zpool",
            ),
            *("mke2fs", "mkdosfs", "newfs", "ddrescue", "shred", "mkntfs"),
        ),
        hosts.formats,
    ),
    (("iptables", "ip6tables", "iptables-legacy", "iptables-nft"), hosts.iptables),
    (hosts.FIREWALL_COMMANDS, hosts.firewall),
    (hosts.LINK_COMMANDS, hosts.link),
    (("userdel", "deluser", "passwd", "usermod", "chage", "chsh"), hosts.users),
]

EFFECTS: dict[str, tuple[Rule, ...]] = {
    name: tuple(rule for names, rule in _TABLE if name in names) for names, _ in _TABLE for name in names
}


def hits(call: Call) -> Iterator[Hit]:
    """Ask every rule that looks at this command."""
    effects = EFFECTS.get(call.name, ())
    if not effects and call.name.startswith("mkfs"):
        effects = (hosts.formats,)
    for rule in effects:
        yield from rule(call)
    if "/init.d/" in call.head.text or "/rc.d/" in call.head.text:
        yield from units.init_script(call)
