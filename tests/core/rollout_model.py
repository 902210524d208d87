"""A second telling of contract section 4, from its words alone: it shares no line with the program."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """A task's plan and everything that will happen to it. At turn `cancel_at` the operator cancels, before all else."""

    batches: tuple[tuple[str, ...], ...]
    ends: dict[str, str]
    fanout: int = 100
    failures: str | None = None
    unreachable: str | None = None
    gates: tuple[bool, ...] | None = None
    picks: tuple[int, ...] = (0,)
    cancel_at: int = -1


def over_budget(case: Case, ended: list[str]) -> bool:
    """Whether one more than the tolerated number failed."""
    own = case.unreachable is not None
    bad = [o for o in ended if o in {"failed", "timeout", "lost"} or (o == "unreachable" and not own)]
    return any(
        text is not None and len(charged) > (len(case.ends) * int(text[:-1]) // 100 if "%" in text else int(text))
        for text, charged in ((case.failures, bad), (case.unreachable, [o for o in ended if o == "unreachable"]))
    )


def play(case: Case) -> tuple[dict[str, str], str, int]:
    """Return each host's outcome, the task's verdict and the number of gates that were asked."""
    done: dict[str, str] = {}
    stop, turn, asked = "", 0, 0
    for number, batch in enumerate(case.batches):
        waiting, running = list(batch), list[str]()
        while running or (waiting and not stop):
            while waiting and not stop and len(running) < case.fanout:
                host = waiting.pop(0)
                if case.ends[host] == "rejected":
                    done[host] = "rejected"
                else:
                    running.append(host)
            if running and turn != case.cancel_at:
                host = running.pop(case.picks[turn % len(case.picks)] % len(running))
                done[host] = case.ends[host]
                stop = stop or ("aborted" if over_budget(case, list(done.values())) else "")
                turn += 1
            elif running:
                stop, turn = stop or "cancelled", turn + 1
        if case.gates is not None and not stop:
            stop = "cancelled" if turn == case.cancel_at else "" if case.gates[number] else "aborted"
            asked, turn = asked + (turn != case.cancel_at), turn + 1
        if stop:
            break
    return {host: done.get(host, "skipped") for host in case.ends}, stop or "complete", asked
