"""The rules, as data: what a finding is called, which guard it belongs to, and what it looks like.

The reference page of the rules is generated from this table; the code that recognises each of them is named by its rule
in `units`, `processes`, `paths`, `access`, `packages` and `hosts`.
"""

from __future__ import annotations

from vigo.core.guard.finding import Layer
from vigo.core.values import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that must not be done."""

    name: str
    layer: Layer
    pattern: str
    """The canonical form of a finding; words in capitals stand for what was resolved."""
    reason: str
    """Why it is refused, as a whole sentence."""
    example: str
    """A command that the rule refuses."""
    allowed: str
    """A near relation that it does not."""


RULES: tuple[Rule, ...] = (
    Rule(
        "unit-stop",
        Layer.HARD,
        "systemctl stop UNIT",
        "It stops, disables, masks or kills a unit of vigo.",
        "sudo systemctl stop vigo.service",
        "systemctl restart vigo",
    ),
    Rule(
        "process-signal",
        Layer.HARD,
        "pkill PROCESS",
        "It signals a process of vigo.",
        "kill $(pidof vigo)",
        "kill -0 $(pidof vigo)",
    ),
    Rule(
        "path-remove",
        Layer.HARD,
        "rm PATH",
        "It deletes or moves away a file of vigo, or a directory above one.",
        "cd /srv && rm -rf vigo",
        "rm -rf /srv/vigo.bak",
    ),
    Rule(
        "path-overwrite",
        Layer.HARD,
        "> PATH",
        "It truncates, overwrites or replaces a file of vigo.",
        "echo > /etc/vigo/config.yaml",
        "mkdir /srv/vigo/spool",
    ),
    Rule(
        "path-access",
        Layer.HARD,
        "chmod MODE PATH",
        "It takes access to a file of vigo away.",
        "chmod 000 /usr/local/sbin/vigo",
        "chmod +x /usr/local/bin/vigocli",
    ),
    Rule(
        "path-mount",
        Layer.HARD,
        "mount … on PATH",
        "It hides a file of vigo behind a mount, or takes its file system away.",
        "mount -t tmpfs none /srv/vigo",
        "mount /dev/sdb1 /mnt",
    ),
    Rule(
        "package-remove",
        Layer.HARD,
        "apt remove PACKAGE",
        "It removes a package of vigo.",
        "apt-get install -y vigo-",
        "apt-get install vigo",
    ),
    Rule(
        "system-remove",
        Layer.HARD,
        "rm DIRECTORY",
        "It removes the root or a system directory: the host would be lost.",
        "rm -rf /boot",
        "rm -rf /boot/old",
    ),
    Rule(
        "system-access",
        Layer.HARD,
        "chmod -R MODE DIRECTORY",
        "It changes modes or owners of a whole system directory: the host would be lost.",
        "chmod -R 777 /",
        "chmod -R g+w /var/www",
    ),
    Rule(
        "system-empty",
        Layer.HARD,
        "> FILE",
        "It empties or removes a file without which nobody can log in or boot.",
        ": > /etc/passwd",
        "cat /etc/passwd",
    ),
    Rule(
        "fork-bomb",
        Layer.HARD,
        "fork bomb",
        "It starts copies of itself without end.",
        ":(){ :|:& };:",
        "f() { f1 | f2; }; f",
    ),
    Rule(
        "signal-all",
        Layer.HARD,
        "kill -1",
        "It signals every process of the host.",
        "kill -9 -1",
        "kill -1 4711",
    ),
    Rule(
        "device-write",
        Layer.DISPATCH,
        "> DEVICE",
        "It writes to a block device.",
        "dd if=/dev/zero of=/dev/sdb",
        "dd if=/dev/sdb of=/backup/sdb.img",
    ),
    Rule(
        "device-format",
        Layer.DISPATCH,
        "mkfs DEVICE",
        "It formats, wipes or repartitions a block device.",
        "mkfs.ext4 /dev/sdb1",
        "fdisk -l /dev/sdb",
    ),
    Rule(
        "power", Layer.DISPATCH, "reboot", "It powers off, halts or reboots the host.", "shutdown -r now", "shutdown -c"
    ),
    Rule(
        "network-stop",
        Layer.DISPATCH,
        "systemctl stop UNIT",
        "It stops, disables or removes sshd or the network: the way back in.",
        "systemctl stop sshd",
        "systemctl restart sshd",
    ),
    Rule(
        "firewall",
        Layer.DISPATCH,
        "iptables -F",
        "It flushes the firewall or makes it drop by default.",
        "iptables -P INPUT DROP",
        "iptables -L -n",
    ),
    Rule(
        "interface-down",
        Layer.DISPATCH,
        "ip link set INTERFACE down",
        "It takes a network interface down.",
        "ip link set eth0 down",
        "ip link show eth0",
    ),
    Rule(
        "login-user",
        Layer.DISPATCH,
        "userdel USER",
        "It removes or locks the user the command runs as, or root.",
        "passwd -l root",
        "passwd -S root",
    ),
    Rule(
        "login-keys",
        Layer.DISPATCH,
        "rm PATH",
        "It removes the keys or the configuration that logging in needs.",
        "rm ~/.ssh/authorized_keys",
        "cat ~/.ssh/authorized_keys",
    ),
    Rule(
        "cannot-analyse",
        Layer.DISPATCH,
        "cannot analyse",
        "It is larger, deeper or stranger than the guard can read, and must not be trusted unread. In the hard guard too"
        " when the name of something protected stands in it.",
        "systemctl status nginx; rm -rf 'unclosed",
        "echo ok",
    ),
)


def rules() -> tuple[Rule, ...]:
    """Return the table of rules."""
    return RULES
