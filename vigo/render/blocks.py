"""One block a host, in the reference page's form: header, standard output, then standard error."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, assert_never

from vigo.core.model import HostResult, Kill, Outcome, Output, Stream
from vigo.core.quantity import format_duration
from vigo.core.rollout import Run
from vigo.render.sanitize import clean, clean_block

Kept: TypeAlias = Callable[[str], bytes | None]
"""Digest -> kept bytes; None when they were pruned."""


def host_block(run: Run, host: str, kept: Kept, *, interrupted: bool = False) -> str:
    """Return one host's block, newline included; empty for a host that waits for its turn."""
    result = run.results.get(host)
    if result is not None:
        return _line(host, header(result)) + printed(result, kept)
    outcome = run.outcome(host, interrupted=interrupted)
    if outcome is Outcome.LOST:
        return _line(host, "[lost] outcome unknown: the control process died while it ran")
    if outcome is not None:
        return _line(host, f"[{outcome}]")
    return _line(host, "[running]") if host in run.in_flight else ""


def printed(result: HostResult, kept: Kept, *streams: Stream) -> str:
    """Return what a host printed on these streams, or on both, standard output first; each ends with a newline."""
    outputs = {Stream.STDOUT: result.stdout, Stream.STDERR: result.stderr}
    return "".join(_text(outputs[stream], kept) for stream in streams or Stream)


def ending(result: HostResult) -> str:
    """Return what hosts that ended alike have in common: `[failed] exit=3`, without times and details."""
    match result.outcome:
        case Outcome.COMPLETE | Outcome.FAILED if result.signal is not None:
            return f"[{result.outcome}] signal={clean(result.signal)}"
        case Outcome.COMPLETE | Outcome.FAILED if result.exit_code is not None:
            return f"[{result.outcome}] exit={result.exit_code}"
        case Outcome.UNREACHABLE:
            return f"[{result.outcome}] {result.reason}"
        case Outcome.TIMEOUT | Outcome.CANCELLED if result.kill is not None:
            return f"[{result.outcome}] {result.kill}"
        case _:
            return f"[{result.outcome}]"


def header(result: HostResult) -> str:
    """Return what stands behind the host's name: `[complete] exit=0 42ms`."""
    return f"[{result.outcome}] {_said(result)}".rstrip()


def _said(result: HostResult) -> str:
    duration = format_duration(result.duration_ms)
    match result.outcome:
        case Outcome.COMPLETE | Outcome.FAILED:
            if result.exit_code is None and result.signal is None:  # no command ran: a file was brought
                return f"{duration} {clean(result.detail)}"
            end = f"exit={result.exit_code}" if result.signal is None else f"signal={clean(result.signal)}"
            return f"{end} {duration}"
        case Outcome.TIMEOUT | Outcome.CANCELLED:
            return f"{duration} {_kill(result)}"
        case Outcome.UNREACHABLE:
            return f"{result.reason}: {clean(result.detail)}"
        case Outcome.REJECTED:
            return clean(result.detail)
        case Outcome.LOST:
            return f"{duration} outcome unknown" if result.duration_ms else "outcome unknown"
        case Outcome.SKIPPED:
            return ""
        case _:
            assert_never(result.outcome)


def _kill(result: HostResult) -> str:
    if result.kill is not Kill.UNVERIFIED:
        return result.kill or ""
    pids = ", ".join(map(str, result.kill_pids))
    return f"{Kill.UNVERIFIED}: still there: {pids}" if pids else f"{Kill.UNVERIFIED}"


def _line(host: str, said: str) -> str:
    return f"--- {clean(host)} {said}\n"


def _text(output: Output, kept: Kept) -> str:
    if output.total_bytes == 0:
        return ""
    data = kept(output.kept_sha256)
    if data is None:
        return f"[{output.total_bytes} bytes of output are no longer kept; sha256 {output.sha256}]\n"
    if not output.is_cut:
        return _ended(clean_block(data))
    dropped = output.total_bytes - output.kept_bytes
    mark = f"[… {dropped} of {output.total_bytes} bytes not kept; sha256 of all {output.sha256} …]\n"
    return _ended(clean_block(data[: output.head_bytes])) + mark + _ended(clean_block(data[output.head_bytes :]))


def _ended(text: str) -> str:
    return text if text.endswith("\n") or not text else text + "\n"
