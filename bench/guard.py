"""Measures the guard: CPU time to judge each command of its corpus, which must stay under 5 ms at the 99th percentile."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from vigo.core.guard.analysis import analyse

CORPUS = Path(__file__).parents[1] / "tests" / "core" / "guard" / "corpus"
LIMIT_MS = 5.0


def main() -> int:
    """Print the percentiles in milliseconds; exit 1 when the limit is passed."""
    commands = [
        json.loads(line)["cmd"] for path in sorted(CORPUS.glob("*.jsonl")) for line in path.open(encoding="utf-8")
    ]
    analyse("true")
    taken_ms = []
    for command in commands:
        started = time.process_time()
        analyse(command)
        taken_ms.append((time.process_time() - started) * 1000)
    taken_ms.sort()
    p50, p99 = taken_ms[len(taken_ms) // 2], taken_ms[len(taken_ms) * 99 // 100]
    print(f"{len(commands)} commands: p50 {p50:.2f} ms, p99 {p99:.2f} ms, max {taken_ms[-1]:.2f} ms of CPU time")
    return 0 if p99 <= LIMIT_MS else 1


if __name__ == "__main__":
    sys.exit(main())
