"""What must not be touched, and whether a path, a unit or a program's name reaches it."""

from __future__ import annotations

import re
from enum import IntEnum
from functools import lru_cache

from vigo.core.guard.words import ANY, BRACKET, HOLE, STAR, globbed, matches, pattern
from vigo.core.values import dataclass

UNITS = ("vigo", "vigosrv", "vigo-envoy")
PROCESSES = ("vigo", "vigosrv", "vigo-envoy")
PACKAGES = ("vigo", "vigosrv", "vigocli")
DIRECTORIES = ("/srv/vigo", "/etc/vigo", "/etc/vigo-envoy", "/var/lib/vigo")
PROGRAMS = (
    "/usr/local/sbin/vigo",
    "/usr/local/sbin/vigosrv",
    "/usr/local/bin/vigocli",
    "/usr/local/sbin/vigo-license-manager",
)
_UNIT_PLACES = (
    "/etc/systemd/system",
    "/usr/lib/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
)
UNIT_FILES = tuple(f"{place}/{unit}.service" for place in _UNIT_PLACES for unit in UNITS)
_LINKS = tuple(
    f"/etc/systemd/system/{target}.target.wants/{unit}.service" for target in ("multi-user",) for unit in UNITS
)
DROP_INS = tuple(f"{path}.d" for path in UNIT_FILES)
INIT_SCRIPTS = tuple(f"/etc/init.d/{unit}" for unit in UNITS)
FILES = (*PROGRAMS, *UNIT_FILES, *_LINKS, *INIT_SCRIPTS)
ROOTS = (*DIRECTORIES, *DROP_INS, *FILES)

_ROOTS = frozenset(ROOTS)
_STEPS_MAX = max(root.count("/") for root in ROOTS)
_PARENTS = {root[:at] or "/": root for root in reversed(ROOTS) for at in range(len(root)) if root[at] == "/"}
"""Each directory above protected paths, and the first of those."""

SYSTEM_DIRECTORIES = (
    *(
        "/",
        "/bin",
        "/boot",
        "/dev",
        "/etc",
        "/home",
        "/lib",
        "/lib32",
        "/lib64",
        "/proc",
        "/run",
        "/sbin",
        "/srv",
        "/sys",
    ),
    *("/usr", "/usr/bin", "/usr/lib", "/usr/lib64", "/usr/libexec", "/usr/sbin", "/usr/share", "/usr/local", "/var"),
    *("/usr/local/bin", "/usr/local/sbin", "/var/lib", "/var/lib/dpkg", "/var/lib/rpm", "/boot/grub", "/boot/efi"),
    *("/etc/systemd", "/etc/systemd/system", "/usr/lib/systemd", "/etc/pam.d", "/lib/modules", "/usr/lib/modules"),
    *("/lib/systemd", "/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/var/run", "/opt"),
)
_SYSTEM_DIRECTORIES = frozenset(SYSTEM_DIRECTORIES)
SYSTEM_FILES = (
    *("/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow", "/etc/sudoers", "/etc/fstab", "/etc/nsswitch.conf"),
    *("/bin/sh", "/bin/bash", "/usr/bin/bash", "/usr/bin/sh", "/sbin/init", "/usr/sbin/init", "/etc/ld.so.conf"),
    *("/lib64/ld-linux-x86-64.so.2", "/etc/inittab", "/etc/crypttab"),
)

WORD = re.compile(r"(?<![A-Za-z0-9])(?:vigo(?:srv|cli|-envoy|-license-manager)?)(?![A-Za-z0-9])", re.IGNORECASE)
"""A protected word in a text that cannot be analysed."""

_SUFFIXES = ("", ".service", ".socket", ".timer", ".target", ".path", ".slice", ".mount", "@1", "@1.service")
_UNIT_SUFFIX = re.compile(
    r"(?:@[^.]*)?(?:\.(?:service|socket|timer|target|path|slice|scope|mount|automount|swap|device))?"
)
_STEM_MIN = 2
_LITERALS_MIN = 2
REMEMBERED_MAX = 256
"""Longer paths are looked up anew each time: what is remembered must stay small."""


class Reach(IntEnum):
    """How a path lies to a protected one."""

    PARENT = 1
    AT = 2
    UNDER = 3


@dataclass(frozen=True, slots=True)
class Aim:
    """A path that reaches something protected."""

    root: str
    reach: Reach
    certain: bool
    loose: bool
    """Only a glob without two literal characters of its own matched: it says nothing about being meant."""

    @property
    def is_directory(self) -> bool:
        """Tell whether the protected thing is a directory."""
        return self.root not in FILES


def aim(path: str, roots: tuple[str, ...] = ROOTS) -> Aim | None:
    """Tell what a resolved path reaches, the surest and nearest first; None when nothing."""
    if path.isascii() and roots is ROOTS:
        return _aim_literal(path)
    return _aim_open(path, roots) if len(path) <= REMEMBERED_MAX else _aim(path, roots)


def _aim(path: str, roots: tuple[str, ...]) -> Aim | None:
    stripped = path.lstrip(HOLE)
    if stripped != path:
        found = aim(stripped, roots) if stripped.startswith("/") else None
        if found is None or found.reach is Reach.PARENT or not found.certain:
            return None
        return Aim(found.root, found.reach, certain=False, loose=found.loose)
    best: Aim | None = None
    parts = [part for part in path.split("/") if part]
    for root in roots:
        found = _relate(parts, root)
        if found and (best is None or _rank(found) > _rank(best)):
            best = found
    return best


_aim_open = lru_cache(maxsize=1024)(_aim)


def _aim_literal(path: str) -> Aim | None:
    """Look up a path without anything open in it: the same answer without asking every root."""
    parts = [part for part in path.split("/") if part]
    root = _PARENTS.get("/" + "/".join(parts)) if len(parts) <= _STEPS_MAX else None
    if root is not None:
        return Aim(root, Reach.PARENT, certain=True, loose=False)
    for count in range(min(len(parts), _STEPS_MAX), 0, -1):
        clean = "/" + "/".join(parts[:count])
        if clean in _ROOTS:
            reach = Reach.AT if count == len(parts) else Reach.UNDER
            return Aim(clean, reach, certain=True, loose=False)
    return None


def _rank(found: Aim) -> tuple[bool, bool, int]:
    return found.certain, found.reach is not Reach.PARENT, -found.reach


def _relate(parts: list[str], root: str) -> Aim | None:
    steps = root.split("/")[1:]
    certain, loose = True, False
    for at, (part, step) in enumerate(zip(parts, steps, strict=False)):
        if part == step:
            continue
        if part.isascii():
            return None
        if part.endswith(HOLE) and at == len(parts) - 1:
            reached = pattern(part, anything=".*").fullmatch(step)
            return Aim(root, Reach.UNDER, certain=False, loose=False) if reached else None
        if not matches(part, step):
            return None
        certain = certain and HOLE not in part
        loose = loose or literals(part) < _LITERALS_MIN
    if len(parts) < len(steps):
        return Aim(root, Reach.PARENT, certain, loose)
    return Aim(root, Reach.AT if len(parts) == len(steps) else Reach.UNDER, certain, loose)


def literals(part: str) -> int:
    """Count the characters of a pattern that are not wild."""
    return len(re.sub(f"{BRACKET}[^]]*\\]|[{STAR}{ANY}{HOLE}]", "", part))


def system_directory(path: str) -> tuple[str, bool] | None:
    """Tell which system directory a path is, or all the entries of; and whether that is certain."""
    if not path.startswith("/"):
        return None
    if path.isascii():
        whole = "/" + "/".join(part for part in path.split("/") if part)
        return (whole, True) if whole in _SYSTEM_DIRECTORIES else None
    return _system_open(path) if len(path) <= REMEMBERED_MAX else _system(path)


def _system(path: str) -> tuple[str, bool] | None:
    parts = [part for part in path.split("/") if part]
    inside = False
    while parts and set(parts[-1]) <= {STAR, ANY, "."} and STAR in parts[-1]:
        inside = True
        parts.pop()
    for directory in SYSTEM_DIRECTORIES:
        steps = [step for step in directory.split("/") if step]
        if len(steps) == len(parts) and all(matches(p, s) and literals(p) for p, s in zip(parts, steps, strict=True)):
            return directory if not inside else f"{directory.rstrip('/')}/*", not any(HOLE in part for part in parts)
    return None


_system_open = lru_cache(maxsize=1024)(_system)


def system_file(path: str) -> bool:
    """Tell whether a path is a file without which nobody can log in or boot."""
    if HOLE in path:
        known = path.lstrip(HOLE)
        if known != path:
            return known in SYSTEM_FILES
        if not path.split(HOLE, maxsplit=1)[0].strip("/"):
            return False
    return path in SYSTEM_FILES if path.isascii() else any(matches(path, name) for name in SYSTEM_FILES)


def unit(word: str, units: tuple[str, ...] = UNITS) -> tuple[str, bool] | None:
    """Tell which protected unit a word names, and whether that is certain."""
    name = globbed(word.rsplit("/", 1)[-1])
    open_ended = not name.isascii()
    for protected in units:
        if not open_ended:
            if name == protected or (name.startswith(protected) and _UNIT_SUFFIX.fullmatch(name, len(protected))):
                return protected, True
        elif any(matches(name, protected + suffix) for suffix in _SUFFIXES):
            if HOLE not in name:
                return protected, True
            if len(name.split(HOLE)[0]) >= _STEM_MIN:
                return name.split(".")[0], False
    return None


def plain_name(word: str, names: tuple[str, ...]) -> tuple[str, bool] | None:
    """Tell which of some names a word is or may be, and whether that is certain."""
    for name in names:
        if matches(word, name):
            if HOLE not in word:
                return name, True
            if len(word.split(HOLE, maxsplit=1)[0]) >= _STEM_MIN:
                return word, False
    return None
