"""What a host's answer to the script of `core/facts_script.py` means: raw facts in, traits out.

Rule 1: a host is not trusted. It can set the traits listed here and those below the names of site scripts that were sent to
        it, and nothing else; each value has a shape, each text and list a bound, and nothing in them drives a terminal.
Rule 2: what is not understood is counted and said; an answer that is not whole gives no traits at all.
Rule 3: what a host does not say it does not have. No trait is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from vigo.core.errors import ConfigError
from vigo.core.facts_script import FOOTER, HEADER, SITE_OUTPUT_MAX, compose
from vigo.core.model import Scalar, TraitValue
from vigo.core.values import dataclass

BUILT_IN: Final = ("os", "hardware", "network", "init", "packages", "virtualization", "uptime_s")
"""Where the script's own traits lie; a site script cannot have one of these names."""
ANSWER_BYTES_MAX: Final = 256 * 1024
LINES_MAX: Final = 4_096
TEXT_MAX: Final = 256
"""Characters of one value."""
ITEMS_MAX: Final = 256
"""Items of one list; further ones are counted as not understood."""
SITE_VALUES_MAX: Final = 64
"""Values of one site script."""
SITE_SCRIPTS_MAX: Final = 32
SITE_BYTES_MAX: Final = 8 * 1024
"""Bytes of one site script."""

_SITE_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}", re.ASCII)
_SITE_KEY: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,62}(?:\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62}){0,7}", re.ASCII)
_NUMBER: Final = re.compile(r"0|-?[1-9][0-9]{0,14}", re.ASCII)
_ESCAPE: Final = re.compile(r"%(25|0A)")
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]{0,63}", re.ASCII)
_VERSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~:-]{0,127}", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?", re.ASCII)
_COUNT: Final = re.compile(r"[0-9]{1,15}", re.ASCII)
_EXIT: Final = re.compile(r"[0-9]{1,3}", re.ASCII)
_SECONDS: Final = re.compile(r"([0-9]{1,12})(?:\.[0-9]{1,9})?", re.ASCII)
_ELAPSED: Final = re.compile(r"(?:(?:([0-9]{1,6})-)?([0-9]{1,2}):)?([0-9]{1,2}):([0-9]{2})", re.ASCII)
_ADDRESS: Final = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9a-f]*:[0-9a-f:.]{1,44})(?:/[0-9]{1,3})?", re.ASCII)
_MAC: Final = re.compile(r"[0-9a-f]{1,2}(?::[0-9a-f]{1,2}){5,19}", re.ASCII)
_OLD_RELEASE: Final = re.compile(r"([A-Za-z ]{1,60}?)(?: Linux)? release ([0-9][0-9.]{0,15})\b.{0,80}", re.ASCII)
_LOCAL: Final = ("127.", "169.254.", "fe80:", "0.0.0.0")  # noqa: S104 - compared with, never bound to
_LIST_KEYS: Final = frozenset({"ip", "mac", "manager", "virt.dmi", "virt.container", "init.run"})
_TEXT_KEYS: Final = {
    "system": _WORD,
    "kernel": _VERSION,
    "arch": _WORD,
    "release.id": _WORD,
    "release.like": re.compile(r"[A-Za-z0-9._ +-]{1,128}", re.ASCII),
    "release.version": _VERSION,
    "release.codename": _WORD,
    "release.line": _OLD_RELEASE,
    "macos.version": _VERSION,
    "cpus": _COUNT,
    "memory.kb": _COUNT,
    "memory.bytes": _COUNT,
    "uptime.s": _SECONDS,
    "uptime.etime": _ELAPSED,
    "hostname": _NAME,
    "fqdn": _NAME,
    "ip": _ADDRESS,
    "mac": _MAC,
    "init.pid1": re.compile(r"[A-Za-z0-9/_.+-]{1,64}", re.ASCII),
    "init.run": _WORD,
    "init.link": _WORD,
    "init.inittab": _WORD,
    "manager": _WORD,
    "virt.detected": _WORD,
    "virt.container": _WORD,
    "virt.dmi": re.compile(r"[ -~]{1,128}", re.ASCII),
    "virt.hypervisor": _WORD,
    "virt.flag": _WORD,
    "virt.guest": _WORD,
}
"""Every raw fact there is, and the shape of its value."""

_FAMILIES: Final = {
    "debian": "debian", "ubuntu": "debian",
    "rhel": "redhat", "fedora": "redhat", "centos": "redhat",
    "suse": "suse", "sles": "suse", "opensuse": "suse",
    "alpine": "alpine", "arch": "arch", "gentoo": "gentoo",
}  # fmt: skip
_SYSTEMS: Final = {"freebsd": "bsd", "openbsd": "bsd", "netbsd": "bsd", "dragonfly": "bsd", "darwin": "darwin"}
_ARCHES: Final = {"amd64": "x86_64", "arm64": "aarch64"}
_MANAGERS: Final = {"apt-get": "apt", "xbps-install": "xbps", "nix-env": "nix"}
_OWN_MANAGERS: Final = {
    "debian": ("apt",), "redhat": ("dnf", "yum"), "suse": ("zypper",), "alpine": ("apk",), "arch": ("pacman",),
    "gentoo": ("emerge",), "bsd": ("pkg", "pkg_add", "pkgin"), "darwin": ("brew", "port"),
}  # fmt: skip
_PID1: Final = {"runit-init": "runit", "openrc-init": "openrc", "s6-svscan": "s6"}
_DMI: Final = (
    ("qemu", "kvm"), ("kvm", "kvm"), ("openstack", "kvm"), ("rhev", "kvm"), ("vmware", "vmware"), ("virtualbox", "oracle"),
    ("innotek", "oracle"), ("virtual machine", "microsoft"), ("xen", "xen"), ("google compute", "google"),
    ("bhyve", "bhyve"), ("parallels", "parallels"), ("bochs", "bochs"),
)  # fmt: skip
_GUESTS: Final = {"hv": "microsoft", "generic": "vm", "0": "none", "1": "vm"}


@dataclass(frozen=True, slots=True)
class SiteScript:
    """A small script of the site's own; what it prints as `key=value` becomes the traits `name.key`."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What one host said."""

    traits: Mapping[str, TraitValue]
    failed: tuple[tuple[str, str], ...] = ()
    """Site script -> `exit 3`, or `it printed too much`."""
    unknown: int = 0
    """Lines and items that were not understood, and are in no trait."""


def script(sites: Sequence[SiteScript] = ()) -> str:
    """Return the command that asks a host for its traits, the site's scripts included."""
    return compose([(site.name, site.text) for site in sites])


def read_site(name: str, data: bytes, place: str) -> SiteScript:
    """Return the site script of a file. Raises ConfigError for what cannot be one."""
    if _SITE_NAME.fullmatch(name) is None:
        raise ConfigError(f"{place}: {name[:80]!r} is no name for traits; use a-z, 0-9, _ and -, at most 32")
    if name in BUILT_IN:
        raise ConfigError(f"{place}: {name}.* are vigo's own traits; give the script another name")
    if len(data) > SITE_BYTES_MAX:
        raise ConfigError(f"{place}: has more than {SITE_BYTES_MAX:,} bytes; make it shorter, it travels to each host")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{place}: is not UTF-8 text; write it in sh") from error
    if "\0" in text or not text.strip():
        raise ConfigError(f"{place}: is empty or holds a NUL character; write it in sh, or remove it")
    return SiteScript(name, text)


def read_answer(data: bytes, sites: Collection[str] = ()) -> Answer:
    """Return the traits in what a host printed; `sites` are the names of the scripts that it was sent.

    Raises ValueError, with the reason, for an answer that is not whole.
    """
    raw = _Raw(_lines(data), sites)
    said = (*_os(raw), *_hardware(raw), *_network(raw), *_system(raw))
    traits = {path: value for path, value in said if value not in ("", ())}
    for name, text in raw.site.items():
        traits.update(raw.site_traits(name, text))
    return Answer(traits, tuple(raw.failed.items()), raw.unknown)


def _lines(data: bytes) -> tuple[int, list[bytes]]:
    """Return how many lines stand round the answer, and the answer's own."""
    if len(data) > ANSWER_BYTES_MAX:
        raise ValueError("it is longer than any host's")
    lines = data.splitlines() if b"\r\n" in data else data.split(b"\n")
    lines = [line for line in lines if line]
    if len(lines) > LINES_MAX:
        raise ValueError("it has more lines than any host's")
    try:
        first = lines.index(HEADER.encode())
        last = lines.index(FOOTER.encode(), first)
    except ValueError:
        raise ValueError("it is not whole: its first or last line is missing") from None
    return len(lines) - (last - first + 1), lines[first + 1 : last]


class _Raw:
    """The raw facts of an answer, each of the shape that it must have; the rest is only counted."""

    def __init__(self, answer: tuple[int, list[bytes]], sites: Collection[str]) -> None:
        self.unknown, lines = answer
        self.site: dict[str, str] = {}
        self.failed: dict[str, str] = {}
        self._texts: dict[str, str] = {}
        self._lists: dict[str, list[str]] = {}
        self._sites = sites
        for line in lines:
            if not self._take(line):
                self.unknown += 1

    def text(self, key: str) -> str:
        """Return a fact, or nothing."""
        return self._texts.get(key, "")

    def items(self, key: str) -> tuple[str, ...]:
        """Return a fact that may be said several times, each value once."""
        return tuple(dict.fromkeys(self._lists.get(key, ())[:ITEMS_MAX]))

    def _take(self, line: bytes) -> bool:
        head, equals, tail = line.partition(b"=")
        try:
            key, value = head.decode("ascii"), _decoded(tail.decode())
        except UnicodeDecodeError:
            return False
        kind, _, name = key.partition(".")
        if not equals or not value:
            return False
        if kind in {"site", "failed"}:
            return name in self._sites and self._take_site(kind, name, value)
        return self._take_fact(key, _plain(value) if key.startswith("release.") else value.strip())

    def _take_site(self, kind: str, name: str, value: str) -> bool:
        if name in self.site or name in self.failed or len(value) > SITE_OUTPUT_MAX:
            return False
        if kind == "site":
            self.site[name] = value
        else:
            self.failed[name] = f"exit {value}" if _EXIT.fullmatch(value) else "it printed too much"
        return True

    def _take_fact(self, key: str, value: str) -> bool:
        shape = _TEXT_KEYS.get(key)
        value = value.partition("%")[0].lower() if key in {"ip", "mac"} else value
        if shape is None or shape.fullmatch(value) is None:
            return False
        if key not in _LIST_KEYS:
            is_new = key not in self._texts
            self._texts.setdefault(key, value)
            return is_new
        items = self._lists.setdefault(key, [])
        items.append(value)
        return len(items) <= ITEMS_MAX

    def site_traits(self, name: str, text: str) -> dict[str, TraitValue]:
        """Return the traits that a site script printed; a key that it printed again makes a list."""
        found: dict[str, list[Scalar]] = {}
        count = 0
        for line in filter(None, map(str.strip, text.split("\n"))):
            key, equals, value = line.partition("=")
            value = value.strip()
            is_good = equals and _SITE_KEY.fullmatch(key.strip()) and 0 < len(value) <= TEXT_MAX and value.isprintable()
            if not is_good or count == SITE_VALUES_MAX:
                self.unknown += 1
                continue
            count += 1
            found.setdefault(f"{name}.{key.strip()}", []).append(_scalar(value))
        below = {path for path in found if any(other.startswith(f"{path}.") for other in found)}
        self.unknown += sum(len(found[path]) for path in below)
        return {
            path: values[0] if len(values) == 1 else tuple(values)
            for path, values in found.items()
            if path not in below
        }


def _decoded(text: str) -> str:
    return _ESCAPE.sub(lambda found: "%" if found[1] == "25" else "\n", text)


def _plain(value: str) -> str:
    """Return a value of os-release without its quotes."""
    value = value.strip()
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value


def _scalar(value: str) -> Scalar:
    if value in {"true", "false"}:
        return value == "true"
    return int(value) if _NUMBER.fullmatch(value) else value


def _os(raw: _Raw) -> Iterable[tuple[str, TraitValue]]:
    system, distro, version = raw.text("system").lower(), raw.text("release.id").lower(), raw.text("release.version")
    old = _OLD_RELEASE.fullmatch(raw.text("release.line"))
    if not distro and old is not None:
        distro, version = "rhel" if old[1].startswith("Red Hat") else old[1].split()[0].lower(), old[2]
    if system == "darwin":
        distro, version = "macos", raw.text("macos.version")
    elif system in _SYSTEMS:
        distro, version = distro or system, version or raw.text("kernel").partition("-")[0]
    yield "os.family", _family(raw, system, distro)
    yield "os.distro", distro
    yield "os.version", version
    yield "os.codename", raw.text("release.codename").lower()
    yield "os.kernel", raw.text("kernel")
    yield "os.arch", _ARCHES.get(raw.text("arch"), raw.text("arch"))


def _family(raw: _Raw, system: str, distro: str) -> str:
    if system in _SYSTEMS:
        return _SYSTEMS[system]
    words = (distro, *raw.text("release.like").lower().split())
    return next((_FAMILIES[word] for word in (w.partition("-")[0] for w in words) if word in _FAMILIES), system)


def _hardware(raw: _Raw) -> Iterable[tuple[str, TraitValue]]:
    if raw.text("cpus"):
        yield "hardware.cpus", int(raw.text("cpus"))
    if raw.text("memory.kb"):
        yield "hardware.memory_mb", int(raw.text("memory.kb")) // 1024
    elif raw.text("memory.bytes"):
        yield "hardware.memory_mb", int(raw.text("memory.bytes")) // (1024 * 1024)
    since = _SECONDS.fullmatch(raw.text("uptime.s"))
    elapsed = _ELAPSED.fullmatch(raw.text("uptime.etime"))
    if since is not None:
        yield "uptime_s", int(since[1])
    elif elapsed is not None:
        days, hours, minutes, seconds = (int(part or 0) for part in elapsed.groups())
        yield "uptime_s", ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _network(raw: _Raw) -> Iterable[tuple[str, TraitValue]]:
    addresses = (address.partition("/")[0] for address in raw.items("ip"))
    macs = (":".join(part.zfill(2) for part in mac.split(":")) for mac in raw.items("mac"))
    yield "network.hostname", raw.text("hostname").lower()
    yield "network.fqdn", raw.text("fqdn").lower()
    yield "network.ip_addresses", tuple(dict.fromkeys(a for a in addresses if a != "::1" and not a.startswith(_LOCAL)))
    yield "network.mac_addresses", tuple(dict.fromkeys(mac for mac in macs if mac.strip("0:")))


def _system(raw: _Raw) -> Iterable[tuple[str, TraitValue]]:
    system = raw.text("system").lower()
    family = _family(raw, system, raw.text("release.id").lower())
    managers = [_MANAGERS.get(word, word) for word in raw.items("manager")]
    own = [word for word in _OWN_MANAGERS.get(family, ()) if word in managers]
    yield "init", _init(raw, system)
    yield "packages.manager", next(iter([*own, *managers]), "")
    yield "virtualization", _virtualization(raw)


def _init(raw: _Raw, system: str) -> str:
    """Name the init system: what process 1 is, or for a plain `init` what it leaves behind."""
    name = raw.text("init.pid1").rpartition("/")[2]
    if name != "init":
        return _PID1.get(name, name)
    if system in _SYSTEMS:
        return "rc"
    for word in ("systemd", "openrc", "runit", "s6"):
        if word in raw.items("init.run"):
            return word
    return raw.text("init.link") or ("sysvinit" if raw.text("init.inittab") else name)


def _virtualization(raw: _Raw) -> str:
    """Name what the host runs on, in the words of systemd-detect-virt; a container before its machine."""
    detected = raw.text("virt.detected")
    if detected not in {"", "none"}:
        return detected
    product = " ".join(raw.items("virt.dmi")).lower()
    metal = "amazon" in product and ".metal" in product
    cloud = "amazon" if "amazon" in product and not metal else ""
    known = next((word for sign, word in _DMI if sign in product), cloud)
    guest = raw.text("virt.guest")
    machine = (
        raw.text("virt.hypervisor") or known or ("vm" if raw.text("virt.flag") else "") or _GUESTS.get(guest, guest)
    )
    if detected:
        machine = detected
    return next(iter(raw.items("virt.container")), machine or ("none" if product else ""))
