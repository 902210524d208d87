"""Rules about the host itself: power, network, firewall, devices, the login."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vigo.core.guard.call import Call
from vigo.core.guard.paths import DEVICE
from vigo.core.guard.session import Hit
from vigo.core.guard.words import HOLE, LOGIN, Word, shown

_POWER_VERBS = frozenset({"poweroff", "reboot", "halt", "kexec", "soft-reboot", "rescue", "emergency"})
_POWER_TARGETS = re.compile(
    r"(?:poweroff|reboot|halt|kexec|rescue|emergency|shutdown|runlevel[016]|ctrl-alt-del)(?:\.target)?"
)
_USERS = ("root", LOGIN)
_NO_SHELL = re.compile(r"(?:/usr)?/s?bin/(?:nologin|false)")


def _texts(call: Call) -> list[str]:
    return [word.text for word in call.args]


def power(call: Call) -> Iterator[Hit]:
    """Judge commands that end the machine's day."""
    texts = _texts(call)
    if any(text in {"--help", "--version", "-c", "-k", "--show", "-w", "--wtmp-only"} for text in texts):
        return
    if call.name in {"init", "telinit"}:
        level = next((word for word in call.args if word.text in {"0", "1", "6", "s", "S"}), None)
        if level:
            yield Hit("power", f"{call.name} {level.text}", (call.head, level))
        return
    if call.name == "kexec" and not {"-e", "--exec"} & set(texts):
        return
    if call.name == "rtcwake" and "off" not in texts:
        return
    if call.name == "ipmitool" and not ("power" in texts and {"off", "cycle", "reset", "soft"} & set(texts)):
        return
    yield Hit("power", call.name, (call.head,))


def power_verb(call: Call) -> Iterator[Hit]:
    """Judge `systemctl reboot` and its like."""
    operands = call.options("HMtps").operands
    if not operands:
        return
    verb = operands[0]
    if verb.text in _POWER_VERBS:
        yield Hit("power", f"{call.name} {verb.text}", (call.head, verb))
    for word in operands[1:] if verb.text in {"isolate", "start"} else ():
        if _POWER_TARGETS.fullmatch(word.text):
            yield Hit("power", f"{call.name} {verb.text} {word.text}", (call.head, word))


def power_bus(call: Call) -> Iterator[Hit]:
    """Judge a message to systemd or logind that ends the machine's day."""
    for word in call.args:
        if word.text.rsplit(".", 1)[-1] in {"PowerOff", "Reboot", "Halt", "KExec", "SoftReboot"}:
            yield Hit("power", f"{call.name} {word.text.rsplit('.', 1)[-1]}", (call.head, word))


_FORMATTERS_QUIET: dict[str, frozenset[str]] = {
    "wipefs": frozenset({"-n", "--no-act", "-J", "-i", "-p"}),
    "fdisk": frozenset({"-l", "--list", "-s", "--getsz", "-x"}),
    "sfdisk": frozenset({"-l", "--list", "-d", "--dump", "-J", "--json", "-s", "-n", "--no-act", "-V", "--verify"}),
    "sgdisk": frozenset({"-p", "--print", "-i", "-v", "--verify", "-P", "--pretend", "-b", "--backup"}),
    "gdisk": frozenset({"-l"}),
    "parted": frozenset({"-l", "--list", "print", "p"}),
    "badblocks": frozenset(),
    "hdparm": frozenset(),
}
_DEVICE_VERBS: dict[str, frozenset[str]] = {
    "cryptsetup": frozenset({"luksFormat", "erase", "luksErase", "reencrypt", "format"}),
    "nvme": frozenset({"format", "sanitize", "write", "write-zeroes", "dsm"}),
    "zpool": frozenset({"destroy", "labelclear", "create"}),
    "mdadm": frozenset({"--zero-superblock", "--create", "-C"}),
    "badblocks": frozenset({"-w", "-wsv", "-wvs", "-sw", "-svw", "-wv", "-ws"}),
    "hdparm": frozenset({"--security-erase", "--security-erase-enhanced", "--trim-sector-ranges", "--write-sector"}),
    "lvm": frozenset({"pvcreate", "pvremove", "lvremove", "vgremove"}),
}


def formats(call: Call) -> Iterator[Hit]:
    """Judge commands that format, wipe or repartition a block device."""
    texts = set(_texts(call))
    if texts & _FORMATTERS_QUIET.get(call.name, frozenset()):
        return
    if call.name == "wipefs" and not any(re.fullmatch(r"-[a-z]*[ao].*|--all|--offset.*", text) for text in texts):
        return
    verbs = _DEVICE_VERBS.get(call.name)
    if verbs and not texts & verbs:
        return
    for word in call.args:
        by_name = (
            call.name in {"zpool", "lvremove", "vgremove"}
            and not word.text.startswith("-")
            and word.text not in (verbs or ())
        )
        path = word.text
        if by_name or DEVICE.match(shown(path)) or path.startswith(f"/dev/{HOLE}"):
            yield Hit("device-format", f"{call.name} {shown(path)}", (call.head, word))
            return


def iptables(call: Call) -> Iterator[Hit]:
    """Judge `iptables -F` and a default policy that drops."""
    texts = _texts(call)
    for at, word in enumerate(call.args):
        if word.text in {"-F", "--flush"}:
            yield Hit("firewall", f"{call.name} -F", (call.head, word))
        if word.text in {"-P", "--policy"} and any(text in {"DROP", "REJECT"} for text in texts[at + 1 : at + 3]):
            yield Hit("firewall", f"{call.name} -P {' '.join(texts[at + 1 : at + 3])}", (call.head, word))


_FIREWALL = {
    "nft": re.compile(r"flush (?:ruleset|table|chain)|delete table|policy drop"),
    "ufw": re.compile(
        r"(?:--force )?reset|default (?:deny|reject)(?: incoming| outgoing| routed)?|deny (?:in )?(?:22|ssh)\b"
    ),
    "firewall-cmd": re.compile(r"--panic-on|--set-default-zone[= ](?:drop|block)"),
    "pfctl": re.compile(r"-F ?all|-F ?rules"),
    "ipset": re.compile(r"^flush|^destroy"),
    "ebtables": re.compile(r"-F|--flush"),
}
_LINK = {
    "ip": re.compile(
        r"(?:-\S+ )*(?:l(?:i(?:n(?:k)?)?)?) (?:s(?:e(?:t)?)? .*\bdown\b|d(?:e(?:l(?:ete)?)?)? )"
        r"|(?:-\S+ )*a(?:d(?:d(?:r(?:ess)?)?)?)? f(?:lush)?\b|(?:-\S+ )*r(?:o(?:ute?)?)? (?:f(?:lush)?\b|d(?:el(?:ete)?)? default)"
    ),
    "ifdown": re.compile(r"\S"),
    "ifconfig": re.compile(r"\S+ down\b"),
    "nmcli": re.compile(
        r"(?:-\S+ )*(?:n(?:et(?:working)?)? off|c(?:on(?:nection)?)? (?:down|delete) |d(?:ev(?:ice)?)? (?:disconnect|delete) |r(?:adio)? (?:all|wifi) off)"
    ),
    "networkctl": re.compile(r"(?:down|delete) \S"),
    "wg-quick": re.compile(r"down \S"),
    "rfkill": re.compile(r"block (?:all|wifi|wlan)"),
    "route": re.compile(r"del default"),
    "rcnetwork": re.compile(r"stop"),
}


def _by_text(call: Call, rule: str, expression: re.Pattern[str]) -> Iterator[Hit]:
    text = shown(" ".join(_texts(call)))
    match = (
        expression.search(text) if call.name in {"nft", "firewall-cmd", "pfctl", "ebtables"} else expression.match(text)
    )
    if match:
        yield Hit(
            rule, f"{call.name} {match.group().strip() if len(match.group()) > 1 else text}", (call.head, *call.args)
        )


def firewall(call: Call) -> Iterator[Hit]:
    """Judge firewall front ends."""
    yield from _by_text(call, "firewall", _FIREWALL[call.name])


def link(call: Call) -> Iterator[Hit]:
    """Judge commands that take an interface down."""
    yield from _by_text(call, "interface-down", _LINK[call.name])


FIREWALL_COMMANDS = tuple(_FIREWALL)
LINK_COMMANDS = tuple(_LINK)


def users(call: Call) -> Iterator[Hit]:
    """Judge commands that remove or lock the login user."""
    options = call.options("sedgGucpmMWIE", "shell expiredate lock-after expire maxdays mindays warndays inactive")
    word = next((word for word in options.operands if word.text in _USERS), None)
    if word is None:
        return
    if _locks(call, options.flags, options.value("s", "shell"), options.value("e", "expiredate", "E")):
        yield Hit("login-user", f"{call.name} {shown(word.text)}", (call.head, word))


def _locks(call: Call, flags: frozenset[str], shell: Word | None, expiry: Word | None) -> bool:
    if call.name in {"userdel", "deluser"}:
        return True
    if call.name == "passwd":
        return bool(flags & {"l", "d", "lock", "delete"})
    if shell is not None and _NO_SHELL.fullmatch(shell.text):
        return True
    return bool(flags & {"L", "lock"}) or (
        call.name in {"usermod", "chage"} and expiry is not None and expiry.text not in {"-1", ""}
    )
