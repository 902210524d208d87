"""A second telling of contract section 4, from its words alone: it shares no line with the program.

It keeps no cursors: what comes next is found anew at each turn, from what every host ended with.
"""

from __future__ import annotations

from tests.core.rollout_cases import Case


def play(case: Case) -> tuple[dict[str, str], list[str]]:
    """Return each host's outcome and all that happened, in order; the verdict comes last."""
    done, told, running, passed = dict[str, str](), list[str](), list[str](), set[int]()
    answers, stop, turn = iter(case.answers), "", -1
    for again, stop_after in ((False, case.stop_after), *case.resumes):
        only_ends, verdict, first, ended = stop in {"cancelled", "aborted"}, "", -1, list[str]()
        lost = {host: "lost" for host in running if not again}
        done, running, stop = done | lost, [], stop if only_ends else ""
        while not verdict:
            over = [{*hosts} <= {*done} and (n in passed or not case.gated) for n, hosts in enumerate(case.batches)]
            turn, at = turn + 1, [*over, False].index(False)
            first, act = at if first < 0 else first, case.acts.get(turn)
            waiting = [host for host in (*case.batches, ())[at] if host not in done and host not in running]
            if act:
                stop, verdict = (stop or act, "") if act == "cancelled" else (stop, act)
            elif running and (stop or not waiting or len(running) == case.fanout):
                host = running.pop(case.picks[turn % len(case.picks)] % len(running))
                done[host], ended = case.ends[host], [*ended, case.ends[host]]
                told.append(f"end {host}")
                stop = stop or (case.when_stopped if is_over_budget(case, ended) else "")
            elif stop or at in {len(case.batches), first + (stop_after or len(case.batches))}:
                verdict = stop or ("complete" if at == len(case.batches) else "paused")
            elif not waiting or (case.gated and case.baseline and -1 not in passed):
                healthy, gate = next(answers, True), -1 if waiting else at
                told.append(f"gate {gate} {healthy}")
                passed, stop = passed | ({gate} if healthy else set()), "" if healthy else case.when_stopped
            elif case.pause and at != first and f"rest {at}" not in told:
                told.append(f"rest {at}")
            else:
                starts = waiting[: case.fanout - len(running)]
                told += [f"start {host}" for host in starts]
                done |= {host: "rejected" for host in starts if case.ends[host] == "rejected"}
                running += [host for host in starts if host not in done]
        told.append(verdict)
        if verdict in {"complete", "cancelled", "aborted"}:
            break
    return done, told


def is_over_budget(case: Case, ended: list[str]) -> bool:
    """Whether one more than the tolerated number failed since the last resume."""
    bad = [e for e in ended if e in {"failed", "timeout", "lost"} or (e == "unreachable" and not case.unreachable)]
    counts = (case.failures or "100%", len(bad)), (case.unreachable or "100%", ended.count("unreachable"))
    return any(n > int(t) if t.isdigit() else 100 * n > int(t[:-1]) * len(case.ends) for t, n in counts)
