"""What a check-up looks at on a host, and what its answers mean: the script only reads, and here it is judged.

Rule 1: what a run needs is a failure; what it can do without, or may meet later, is a warning; all else is told as it is.
Rule 2: each finding that is not fine says the way out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Final

from vigo.core.values import dataclass

HEADER: Final = "vigo-doctor 1"
FOOTER: Final = "end"
CLOCK_AHEAD_MAX_S: Final = 5
TMP_FREE_MIN_KIB: Final = 10 * 1024
_DF_FIELDS: Final = 6
_NOISE_SHOWN: Final = 60

SCRIPT: Final = f"""# vigo doctor
echo '{HEADER}'
echo "user=$(id -un 2>/dev/null)"
echo "uid=$(id -u 2>/dev/null)"
echo "login=$SHELL"
s=$(readlink -f /bin/sh 2>/dev/null) || s=/bin/sh
echo "sh=$s"
for c in nice ionice sudo; do
  if command -v $c >/dev/null 2>&1; then echo "has=$c"; fi
done
echo "clock=$(date +%s 2>/dev/null)"
echo "tmp=$(LC_ALL=C df -Pk /tmp 2>/dev/null | tail -n 1)"
if command -v sudo >/dev/null 2>&1; then
  if e=$(LC_ALL=C sudo -n true 2>&1 </dev/null); then echo sudo=yes; else echo "sudo=$e" | head -n 1; fi
fi
echo '{FOOTER}'
"""
"""POSIX sh, for dash, bash, busybox and their like."""


class CheckState(StrEnum):
    """How a check went."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "FAILED"
    SKIPPED = "skipped"
    """An earlier check failed, and this one builds on it."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of a check-up."""

    name: str
    state: CheckState
    found: str
    """What is so; where it is not fine, with the way out. May hold text from outside."""
    duration_ms: int | None = None
    """None where nothing was waited for."""


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What the script said."""

    noise: bytes
    """What a start-up file printed before it."""
    values: Mapping[str, str]
    has: frozenset[str]


def passed(checks: Iterable[Check]) -> bool:
    """Say whether nothing failed."""
    return all(check.state is not CheckState.FAILED for check in checks)


def read_facts(stdout: bytes) -> HostFacts | None:
    """Read what the script printed; None when it is not all there."""
    noise, header, rest = stdout.partition(HEADER.encode() + b"\n")
    lines = rest.decode("utf-8", "replace").split("\n")
    if not header or FOOTER not in lines:
        return None
    pairs = [line.partition("=")[::2] for line in lines[: lines.index(FOOTER)]]
    return HostFacts(
        noise, {name: value for name, value in pairs if name != "has"}, frozenset(v for n, v in pairs if n == "has")
    )


def judge_facts(facts: HostFacts, sent_s: float, heard_s: float) -> tuple[Check, ...]:
    """Judge what a host said of itself; it was asked and answered at these times of our clock (seconds since 1970)."""
    shell = facts.values.get("sh", "") or "/bin/sh"
    return (
        _noise(facts),
        Check("sh", CheckState.OK, f"/bin/sh is {shell}, the login shell of {_user(facts)} is {_login(facts)}"),
        _nice(facts),
        _clock(facts, sent_s, heard_s),
        _tmp(facts),
        _sudo(facts),
    )


FACTS: Final[Sequence[str]] = ("output", "sh", "nice", "clock", "disk", "sudo")
"""The names of the checks that `judge_facts` makes."""


def _noise(facts: HostFacts) -> Check:
    if not facts.noise:
        return Check("output", CheckState.OK, "nothing comes before a command's own output")
    shown = " ".join(facts.noise.decode("utf-8", "replace").split())[:_NOISE_SHOWN]
    return Check(
        "output",
        CheckState.WARNING,
        f"a start-up file prints {len(facts.noise)} bytes before every command's output: {shown!r};"
        " have it print only where a terminal is",
    )


def _user(facts: HostFacts) -> str:
    return facts.values.get("user", "") or "this user"


def _login(facts: HostFacts) -> str:
    return facts.values.get("login", "") or "not told"


def _nice(facts: HostFacts) -> Check:
    missing = [name for name in ("nice", "ionice") if name not in facts.has]
    if not missing:
        return Check("nice", CheckState.OK, "nice and ionice are there")
    return Check("nice", CheckState.WARNING, f"no {' and no '.join(missing)} there: --nice lowers less than it says")


def _clock(facts: HostFacts, sent_s: float, heard_s: float) -> Check:
    told = facts.values.get("clock", "")
    if not told.isdecimal():
        return Check("clock", CheckState.WARNING, "the host does not tell its time in seconds")
    # The answer is a whole second, given some time between question and answer.
    earliest, latest = int(told) - heard_s, int(told) + 1 - sent_s
    if latest >= -CLOCK_AHEAD_MAX_S and earliest <= CLOCK_AHEAD_MAX_S:
        return Check("clock", CheckState.OK, f"agrees with ours within {CLOCK_AHEAD_MAX_S} s")
    off_s = round(earliest if earliest > 0 else -latest)
    word = "ahead of" if earliest > 0 else "behind"
    return Check("clock", CheckState.WARNING, f"is {off_s:,} s {word} ours; have both kept right (NTP)")


def _tmp(facts: HostFacts) -> Check:
    fields = facts.values.get("tmp", "").split()
    if len(fields) < _DF_FIELDS or not fields[-3].isdecimal():
        return Check("disk", CheckState.WARNING, "the free space in /tmp is not told (df -Pk /tmp)")
    free_kib = int(fields[-3])
    free = f"{free_kib // 1024:,} MiB free"
    if free_kib < TMP_FREE_MIN_KIB:
        return Check(
            "disk", CheckState.WARNING, f"{free} in /tmp: the record of how a command ended may not fit; make room"
        )
    return Check("disk", CheckState.OK, f"{free} in /tmp")


def _sudo(facts: HostFacts) -> Check:
    told = facts.values.get("sudo")
    if facts.values.get("uid") == "0":
        return Check("sudo", CheckState.OK, "not needed: the login is root's")
    if told is None:
        return Check("sudo", CheckState.WARNING, "not there: commands run as the user who logs in")
    if told == "yes":
        return Check("sudo", CheckState.OK, "works without a password")
    if "password" in told:
        return Check(
            "sudo", CheckState.WARNING, "needs a password: allow it with NOPASSWD in sudoers for unattended runs"
        )
    return Check("sudo", CheckState.WARNING, f"does not work: {told[:120]}")
