"""Rules about service units: which commands stop, disable, mask or kill one, and how they name it."""

from __future__ import annotations

from collections.abc import Iterator

from vigo.core.guard.call import Call
from vigo.core.guard.protected import unit
from vigo.core.guard.session import Hit
from vigo.core.guard.words import HOLE, Word, matches, shown
from vigo.core.values import dataclass

_STOP = frozenset({"stop", "disable", "mask", "kill", "freeze", "clean", "revert"})
_INIT_STOP = frozenset(
    {
        "stop",
        "force-stop",
        "onestop",
        "forcestop",
        "disable",
        "kill",
        "exit",
        "shutdown",
        "force-shutdown",
        "graceful-stop",
    }
)
_NETWORK = (
    *("sshd", "ssh", "openssh-server", "dropbear", "network", "networking", "NetworkManager", "systemd-networkd"),
    *(
        "network-manager",
        "dhcpcd",
        "wicked",
        "connman",
        "netplan",
        "systemd-resolved",
        "network-online",
        "wpa_supplicant",
    ),
)


@dataclass(frozen=True, slots=True)
class UnitCommand:
    """A service manager's command line: where the verb stands, where the units stand."""

    verbs: frozenset[str]
    unit_first: bool = False
    short: str = ""
    long: str = ""
    verb_at: int = 0


def _verbs(text: str) -> frozenset[str]:
    return frozenset(text.split())


COMMANDS: dict[str, UnitCommand] = {
    "systemctl": UnitCommand(
        _STOP,
        short="HMtpsnoP",
        long="host machine type property signal lines output root state kill-who kill-whom job-mode what",
    ),
    "deb-systemd-invoke": UnitCommand(_STOP),
    "deb-systemd-helper": UnitCommand(_verbs("disable mask purge")),
    "service": UnitCommand(_INIT_STOP, unit_first=True),
    "invoke-rc.d": UnitCommand(_INIT_STOP, unit_first=True),
    "rc-service": UnitCommand(_INIT_STOP, unit_first=True),
    "rc-update": UnitCommand(_verbs("del delete")),
    "rcctl": UnitCommand(_verbs("stop disable")),
    "update-rc.d": UnitCommand(_verbs("remove disable stop"), unit_first=True),
    "chkconfig": UnitCommand(_verbs("off"), unit_first=True, long="level", short=""),
    "initctl": UnitCommand(_verbs("stop")),
    "stop": UnitCommand(frozenset(), verb_at=-1),
    "launchctl": UnitCommand(_verbs("stop unload remove disable bootout kill")),
    "sv": UnitCommand(
        _verbs("stop down d kill k exit e x force-stop force-shutdown shutdown t term pause p hup-stop"), short="w"
    ),
    "supervisorctl": UnitCommand(_verbs("stop remove signal shutdown"), short="csup", long="configuration serverurl"),
    "monit": UnitCommand(_verbs("stop unmonitor")),
    "pm2": UnitCommand(_verbs("stop delete del kill")),
    "svcadm": UnitCommand(_verbs("disable")),
    "dinitctl": UnitCommand(_verbs("stop disable kill")),
    "insserv": UnitCommand(frozenset(), verb_at=-1, short="p"),
    "s6-svc": UnitCommand(frozenset(), verb_at=-1, short="T"),
    "svc": UnitCommand(frozenset(), verb_at=-1),
    "s6-rc": UnitCommand(_verbs("change stop")),
}

_FLAG_VERBS = {"insserv": ("r", "remove"), "s6-svc": ("d", "k", "t", "x"), "svc": ("d", "k", "t", "x"), "stop": ()}


def services(call: Call) -> Iterator[Hit]:
    """Judge a service manager's command line."""
    spec = COMMANDS[call.name]
    options = call.options(spec.short, spec.long)
    operands = list(options.operands)
    verb = _verb(call, spec, operands)
    if call.name == "chkconfig" and options.has("del"):
        verb = "--del"
    if spec.verb_at < 0:
        flags = _FLAG_VERBS[call.name]
        verb = (f"-{next((flag for flag in flags if options.has(flag)), '')}" if flags else "").rstrip("-")
        if flags and not verb:
            return
    if verb is None:
        return
    signal = options.value("s", "signal")
    if verb == "kill" and signal is not None and signal.text in {"0", "SIGNULL"}:
        return
    yield from _named(call, verb, operands, unit_first=spec.unit_first)


def _verb(call: Call, spec: UnitCommand, operands: list[Word]) -> str | None:
    """Take the verb out of the operands; None when it stops nothing."""
    if spec.verb_at < 0:
        return None
    at = 1 if spec.unit_first else 0
    if call.name == "s6-rc" and operands:
        return "-d change" if any(word.text == "-d" for word in call.args) else None
    if len(operands) <= at:
        return None
    text = operands[at].text
    verb = None if HOLE in text else next((known for known in sorted(spec.verbs) if matches(text, known)), None)
    if verb is None:
        return None
    if spec.unit_first:
        del operands[at:]
    else:
        del operands[0]
    return verb


def _named(call: Call, verb: str, operands: list[Word], *, unit_first: bool) -> Iterator[Hit]:
    for word in operands:
        name = (
            word.text.rsplit("/", 1)[-1].split(":")[0]
            if call.name in {"launchctl", "supervisorctl", "svcadm"}
            else word.text
        )
        if call.name == "launchctl":
            name = name.removesuffix(".plist").rsplit(".", 1)[-1] or name
        everything = call.name in {"supervisorctl", "pm2", "monit"} and name == "all"
        found = ("all", True) if everything else unit(name)
        rule = "unit-stop"
        if found is None:
            found, rule = unit(name, _NETWORK), "network-stop"
            if found is None or verb in {"clean", "revert", "freeze"}:
                continue
        said = shown(found[0])
        says = " ".join(part for part in ((call.name, said, verb) if unit_first else (call.name, verb, said)) if part)
        yield Hit(rule, says, (call.head, word), certain=found[1])


def init_script(call: Call) -> Iterator[Hit]:
    """Judge `/etc/init.d/NAME stop`."""
    verb = next((known for known in sorted(_INIT_STOP) if call.args and call.args[0].text == known), None)
    name = call.head.text.rsplit("/", 1)[-1]
    found = unit(name)
    rule = "unit-stop"
    if found is None:
        found, rule = unit(name, _NETWORK), "network-stop"
    if verb and found:
        yield Hit(rule, f"/etc/init.d/{shown(found[0])} {verb}", (call.head, call.args[0]), certain=found[1])


_BUS_METHODS = (
    *(
        "StopUnit",
        "KillUnit",
        "DisableUnitFiles",
        "MaskUnitFiles",
        "FreezeUnit",
        "CleanUnit",
        "DisableUnitFilesWithFlags",
    ),
)


def bus(call: Call) -> Iterator[Hit]:
    """Judge a message to systemd over D-Bus."""
    method = next((m for m in _BUS_METHODS for word in call.args if word.text.rsplit(".", 1)[-1] == m), None)
    if method is None:
        return
    for word in call.args:
        name = word.text.removeprefix("string:").removeprefix("array:string:").strip("[]'\" ")
        found = unit(name)
        rule = "unit-stop"
        if found is None:
            found, rule = unit(name, _NETWORK), "network-stop"
        if found:
            yield Hit(rule, f"{call.name} {method} {shown(found[0])}", (call.head, word), certain=found[1])
