"""Runs one program and says what it took: `python -I -S launch.py OUT ERR SECONDS PROGRAM ARGUMENT...`.

A process of its own, and a small one: Linux counts the memory of whoever starts a program into the program's peak. It
prints one line of JSON: wall and CPU time in seconds, the largest process's peak in KiB, and the exit code. CPU time is
that of the program and of all processes that it waited for. A program that takes longer than SECONDS is killed.
"""

from __future__ import annotations

import os
import signal
import sys
import time


def main(out: str, err: str, seconds: str, argv: list[str]) -> None:
    """Run it, wait for its end, print the line."""
    began = time.monotonic()
    pid = os.fork()
    if not pid:
        os.setsid()
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(os.open(out, flags, 0o600), 1)
        os.dup2(os.open(err, flags, 0o600), 2)
        try:
            os.execvp(argv[0], argv)
        finally:
            os._exit(127)
    signal.signal(signal.SIGALRM, lambda *_: os.killpg(pid, signal.SIGKILL))
    signal.alarm(int(seconds))
    _, status, usage = os.wait4(pid, 0)
    wall_s = time.monotonic() - began
    cpu_s = usage.ru_utime + usage.ru_stime
    code = os.waitstatus_to_exitcode(status)
    print(f'{{"wall_s": {wall_s}, "cpu_s": {cpu_s}, "peak_kib": {usage.ru_maxrss}, "code": {code}}}')


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:])
