"""Rules about packages: which commands remove one."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vigo.core.guard.call import Call
from vigo.core.guard.options import Options
from vigo.core.guard.processes import chosen
from vigo.core.guard.protected import PACKAGES, plain_name
from vigo.core.guard.session import Hit
from vigo.core.guard.words import Word, globbed, shown
from vigo.core.values import dataclass

_SSH = ("openssh-server", "openssh", "dropbear")


@dataclass(frozen=True, slots=True)
class PackageTool:
    """A package manager's command line."""

    verbs: frozenset[str]
    """Words that remove what follows them."""
    flags: frozenset[str] = frozenset()
    """Options that do."""
    short: str = ""
    long: str = ""


def _tool(verbs: str = "", flags: str = "", short: str = "", long: str = "") -> PackageTool:
    return PackageTool(frozenset(verbs.split()), frozenset(flags.split()), short, long)


_APT = _tool("remove purge autoremove autopurge", short="otca", long="option target-release config-file")
_DNF = _tool(
    "remove erase rm autoremove", short="cdeRx", long="config exclude repo enablerepo disablerepo setopt installroot"
)

TOOLS: dict[str, PackageTool] = {
    "apt": _APT,
    "apt-get": _APT,
    "aptitude": _tool("remove purge", short="otqFwd"),
    "nala": _APT,
    "dpkg": _tool("", "r P remove purge", long="admindir root log"),
    "dnf": _DNF,
    "dnf5": _DNF,
    "yum": _DNF,
    "microdnf": _DNF,
    "tdnf": _DNF,
    "rpm": _tool("", "e erase", long="root dbpath"),
    "zypper": _tool("remove rm", short="Rctr"),
    "apk": _tool("del", short="pXt"),
    "pacman": _tool("", "R remove", short="br"),
    "yay": _tool("", "R remove"),
    "snap": _tool("remove"),
    "flatpak": _tool("uninstall remove"),
    "brew": _tool("uninstall remove rm"),
    "port": _tool("uninstall"),
    "emerge": _tool("", "C unmerge c depclean"),
    "xbps-remove": PackageTool(frozenset(), frozenset({""})),
    "nix-env": _tool("", "e uninstall"),
    "opkg": _tool("remove"),
    "eopkg": _tool("remove rm"),
    "urpme": PackageTool(frozenset(), frozenset({""})),
    "swupd": _tool("bundle-remove"),
    "pkg": _tool("delete remove"),
    "pip": _tool("uninstall"),
    "pip3": _tool("uninstall"),
    "pipx": _tool("uninstall"),
    "apt-mark": _tool(""),
}
_DECORATION = re.compile(r"(?::[a-z0-9]+|=[^/]*|/[^/]*|-\d[^/]*)$")
_REMOVES_BY_SUFFIX = {"apt", "apt-get", "aptitude", "nala"}
_SIMULATED = frozenset({"simulate", "just-print", "dry-run", "recon", "no-act", "test", "assumeno"})


def packages(call: Call) -> Iterator[Hit]:
    """Judge a package manager's command line."""
    tool = TOOLS[call.name]
    options = call.options(tool.short, tool.long)
    if options.flags & _SIMULATED or (call.name in _REMOVES_BY_SUFFIX and options.has("s")):
        return
    operands = list(options.operands)
    verb = ""
    removing = "" in tool.flags or bool(options.flags & tool.flags)
    if tool.verbs and operands:
        verb = operands.pop(0).text
        removing = verb in tool.verbs
    suffixed = call.name in _REMOVES_BY_SUFFIX and verb in {"install", "dist-upgrade", "full-upgrade", "upgrade"}
    for word in operands:
        if suffixed and word.text.endswith("-"):
            yield from _named(call, "install", word, word.text[:-1], ending="-")
        elif removing and not (call.name in _REMOVES_BY_SUFFIX and word.text.endswith("+")):
            yield from _named(call, verb or _flag(options, tool), word, word.text)


def _flag(options: Options, tool: PackageTool) -> str:
    flag = next((flag for flag in sorted(tool.flags) if flag and options.has(flag)), "")
    return f"{'-' if len(flag) == 1 else '--'}{flag}" if flag else ""


def _named(call: Call, verb: str, word: Word, text: str, ending: str = "") -> Iterator[Hit]:
    name = globbed(_DECORATION.sub("", text).strip("^$"))
    rule = "package-remove"
    found = plain_name(name, PACKAGES)
    if found is None:
        found, rule = plain_name(name, _SSH), "network-stop"
    if found is None and call.name in _REMOVES_BY_SUFFIX:
        found, rule = _by_expression(text), "package-remove"
    if found:
        says = " ".join(part for part in (call.name, verb, shown(found[0]) + ending) if part)
        yield Hit(rule, says, (call.head, word), certain=found[1])


def _by_expression(text: str) -> tuple[str, bool] | None:
    """Read what apt takes for an expression: `^vigo.*`, `?name(vigo)`, `~nvigo`."""
    inner = re.search(r"[?~](?:name\(|n)\^?([a-z0-9-]+)", text)
    if inner:
        return plain_name(inner.group(1), PACKAGES)
    if not re.search(r"[.^$|()+]", text):
        return None
    name = chosen(text, whole=False, names=PACKAGES, fold=False)
    return (name, True) if name else None


def selections(call: Call) -> Iterator[Hit]:
    """Judge `dpkg --set-selections`, which reads what to remove from its input."""
    if any(word.text == "--set-selections" for word in call.args):
        for line in (line for text in call.stdin or () for line in text.splitlines()):
            name, _, wish = line.partition(" ")
            found = plain_name(name.strip().split("\t")[0], PACKAGES)
            if found and any(part in line for part in ("deinstall", "purge")):
                yield Hit(
                    "package-remove", f"dpkg --set-selections {found[0]} {wish.strip()}", (call.head,), certain=found[1]
                )
    yield from packages(call)
