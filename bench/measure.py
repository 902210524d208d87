"""What a whole process takes, from its start to its end."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_LAUNCH = Path(__file__).parent / "launch.py"
TIMEOUT_S = 300


@dataclass(frozen=True, slots=True)
class Measured:
    """One process."""

    wall_s: float
    cpu_s: float
    """Of the process and of all that it waited for."""
    peak_mb: float
    """Resident memory of its largest process, in units of 10^6 bytes."""
    code: int
    out: str
    err: str


def measure(argv: Sequence[str], env: Mapping[str, str], folder: Path, *, keep: bool = True) -> Measured:
    """Run a process to its end and say what it took; output that is not kept goes to /dev/null."""
    out, err = folder / "out" if keep else Path("/dev/null"), folder / "err"
    launcher = [sys.executable, "-I", "-S", str(_LAUNCH), str(out), str(err), str(TIMEOUT_S)]
    told = subprocess.run([*launcher, *argv], env=dict(env), cwd=folder, check=True, capture_output=True, text=True)
    took = json.loads(told.stdout)
    return Measured(
        took["wall_s"],
        took["cpu_s"],
        took["peak_kib"] * 1024 / 1e6,
        took["code"],
        out.read_text(errors="replace") if keep else "",
        err.read_text(errors="replace"),
    )
