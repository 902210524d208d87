"""The flags that commands share, each declared once: its spelling, its form and the line in the help."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, TypeAlias

import typer

from vigo.core import given
from vigo.core.plan import OnStop
from vigo.core.shape import HostOrder
from vigo.render.views import View


class Format(StrEnum):
    """Forms of everything that lists or reports."""

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"
    TSV = "tsv"


class RunFormat(StrEnum):
    """Forms of a task's results; jsonl is its events, junit is for CI."""

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"
    TSV = "tsv"
    JUNIT = "junit"


class Progress(StrEnum):
    """How a run is followed on standard error."""

    AUTO = "auto"
    """As a board on a terminal that can draw one, else as lines."""
    BOARD = "board"
    LINES = "lines"
    NONE = "none"


class Kind(StrEnum):
    """What a word is taken for."""

    COMMAND = "command"
    TASK = "task"


Output: TypeAlias = Annotated[Format, typer.Option("--output", "-o", help="Form of the result.")]
RunOutput: TypeAlias = Annotated[
    RunFormat, typer.Option("--output", "-o", help="Form of the result; jsonl: each event as it happens.")
]
Follow: TypeAlias = Annotated[
    Progress, typer.Option("--progress", help="How the run is followed on standard error; auto: board on a terminal.")
]
Results: TypeAlias = Annotated[
    View | None, typer.Option("--view", help="Form of results in text; hosts is a block for each.  [default: hosts]")
]
Only: TypeAlias = Annotated[
    str | None, typer.Option("--only", metavar="OUTCOMES", help="Show hosts that ended so: failed,timeout.")
]
ShowHosts: TypeAlias = Annotated[
    list[str] | None, typer.Option("--host", metavar="PATTERN", help="Show these hosts: web-[01-03]*. Repeatable.")
]
GatherIgnore: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(metavar="REGEX", help="What does not count when --view gather compares output. Repeatable."),
]
OutputDir: TypeAlias = Annotated[
    str | None, typer.Option(metavar="DIR", help="Also write what each host prints to DIR/HOST.stdout and .stderr.")
]
Inventory: TypeAlias = Annotated[
    str | None, typer.Option("--inventory", "-i", metavar="PATH|lab", help="Inventory file or folder.")
]
Operator: TypeAlias = Annotated[
    str | None, typer.Option(help="Operator name for audit.  [default: current user]", metavar="NAME")
]
AcceptNewHostKeys: TypeAlias = Annotated[
    bool, typer.Option("--accept-new-host-keys", help="Record the keys of hosts never seen before.")
]
Force: TypeAlias = Annotated[
    bool, typer.Option("--force", help="Bypass the dispatch guard (the hard guard still applies on each host).")
]
Confirm: TypeAlias = Annotated[
    int | None,
    typer.Option(metavar="N", help="Confirm that the task has N hosts, where policy.yaml wants to know."),
]
DryRun: TypeAlias = Annotated[bool, typer.Option("--dry-run", help="Display the batch plan without executing.")]
NoProbe: TypeAlias = Annotated[
    bool, typer.Option("--no-probe", help="With --dry-run: do not look which hosts are offline.")
]
NoWait: TypeAlias = Annotated[
    bool, typer.Option("--no-wait", help="Fail instead of waiting for a task that holds one of the hosts.")
]
TaskId: TypeAlias = Annotated[str, typer.Argument(metavar="ID", help="Task id or a unique beginning of one.")]

Target: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        metavar="TEXT",
        help="Target: hostname, glob (*.web.*), UUID, @group, trait filter (os.distro=ubuntu), all; `and or not ( )`. Repeat for a union.",
    ),
]
Exclude: TypeAlias = Annotated[
    list[str] | None, typer.Option("--exclude", metavar="TEXT", help="Leave these targets out.")
]
TargetFile: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--target-file", metavar="FILE|-", help="Read targets from a file, one a line; - is standard input."),
]
Limit: TypeAlias = Annotated[str | None, typer.Option(metavar="N|N%", help="Take only the first N targets.")]
Seed: TypeAlias = Annotated[
    int | None, typer.Option(metavar="N", help="Draw the random order, or the sample of --limit, with this seed.")
]
Param: TypeAlias = Annotated[
    list[str] | None, typer.Option("--param", metavar="KEY=VALUE", help="Task parameter, repeatable.")
]
As: TypeAlias = Annotated[Kind | None, typer.Option("--as", help="Take the word for a command or for a task's name.")]
Expand: TypeAlias = Annotated[
    bool, typer.Option("--expand", help="Expand {{ host }}, {{ address }} and {{ trait.x }} in an ad-hoc command.")
]
Env: TypeAlias = Annotated[
    list[str] | None, typer.Option("--env", metavar="NAME=VALUE", help="Set a variable for the command. Repeatable.")
]
Script: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="FILE", help="Run this local script on the hosts by its #!; the words are its arguments: -- A B."
    ),
]
Stdin: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="FILE|-", help="Give every command this standard input; - is vigo's own.  [default: empty]"),
]
Shell: TypeAlias = Annotated[
    given.Shell | None, typer.Option("--shell", help="Run the command by this shell.  [default: the host's /bin/sh]")
]
Pty: TypeAlias = Annotated[
    bool, typer.Option("--pty", help="Run the command in a terminal, for programs that insist on one.")
]

Timeout: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="DURATION", help="Command timeout in seconds, or with a unit: 500ms, 2m.  [default: 60]"),
]
ConnectTimeout: TypeAlias = Annotated[
    str | None, typer.Option(metavar="DURATION", help="Bound on connecting to a host.  [default: 10]")
]
Nice: TypeAlias = Annotated[
    int | None, typer.Option(metavar="N", help="CPU/IO priority 0-19 (0 = normal, 19 = lowest).  [default: 0]")
]
Fanout: TypeAlias = Annotated[
    int | None, typer.Option(metavar="N", help="Hosts running at once inside a batch.  [default: 100]")
]
KillOnDisconnect: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--kill-on-disconnect", help="End the command at once when its connection drops, not at its deadline."
    ),
]
AcceptExit: TypeAlias = Annotated[
    str | None, typer.Option(metavar="CODES", help="Exit codes that are no failure: 0,3.  [default: 0]")
]

Order: TypeAlias = Annotated[
    HostOrder | None, typer.Option(help="Order of the hosts in the plan.  [default: inventory]")
]
Spread: TypeAlias = Annotated[
    str | None, typer.Option(metavar="TRAIT", help="Take hosts for each batch evenly across the trait's values.")
]
BatchBy: TypeAlias = Annotated[
    str | None, typer.Option(metavar="TRAIT", help="Never mix the trait's values in a batch: one zone after the other.")
]
BatchOrder: TypeAlias = Annotated[
    str | None, typer.Option(metavar="V1,V2", help="With --batch-by: take these values first, in this order.")
]
BatchSize: TypeAlias = Annotated[
    str | None, typer.Option(metavar="N|N%", help="Batch size: count (5), percentage (25%) or a list (1,10%,50%).")
]
PauseFor: TypeAlias = Annotated[
    str | None, typer.Option("--pause", metavar="DURATION", help="Wait so long between one batch and the next.")
]
StopAfter: TypeAlias = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Run N batches, then leave the rest for `task resume`.")
]

MaxFailures: TypeAlias = Annotated[
    str | None, typer.Option(metavar="N|N%", help="Max failures before abort: count (2) or percentage (10%).")
]
MaxUnreachable: TypeAlias = Annotated[
    str | None, typer.Option(metavar="N|N%", help="A budget of their own for unreachable hosts.")
]
WhenStopped: TypeAlias = Annotated[
    OnStop | None,
    typer.Option("--on-stop", help="What a budget or a gate does: abort, or pause for a resume.  [default: abort]"),
]
RollbackCommand: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="COMMAND|TASK", help="What takes it back: run by `task rollback` on the hosts that ran."),
]
Exclusive: TypeAlias = Annotated[
    bool, typer.Option("--exclusive", help="Wait for tasks that hold one of the hosts before this one begins.")
]
Preflight: TypeAlias = Annotated[
    bool,
    typer.Option("--preflight", help="Connect, log in and try the shell and the wrapper; do not run the command."),
]

NotifyCommand: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="COMMAND", help="Run here, by sh, at the end or a stop; the notice is on its standard input."),
]
NotifyUrl: TypeAlias = Annotated[
    str | None, typer.Option(metavar="URL", help="POST the notice to this http(s) URL at the end or a stop.")
]

HealthCheckUrl: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--health-check-url",
        metavar="URL",
        help="URL to probe after each batch (abort on non-2xx). Repeatable; {{ host }} in it asks once a host.",
    ),
]
HealthCheckCommand: TypeAlias = Annotated[
    str | None, typer.Option(metavar="COMMAND", help="Run on each host of the batch after it; exit 0 is healthy.")
]
HealthCheckTcp: TypeAlias = Annotated[
    int | None, typer.Option(metavar="PORT", help="Connect to this port of each host of the batch after it.")
]
HealthCheckTimeout: TypeAlias = Annotated[
    str | None, typer.Option(metavar="DURATION", help="Bound on one probe.  [default: 5]")
]
HealthCheckInterval: TypeAlias = Annotated[
    str | None, typer.Option(metavar="DURATION", help="Between probes, while waiting.  [default: 2]")
]
HealthCheckDeadline: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="DURATION", help="How long to wait for health; 0: one probe decides.  [default: 0]"),
]
HealthCheckStable: TypeAlias = Annotated[
    str | None, typer.Option(metavar="DURATION", help="Healthy without a break for so long.  [default: 0]")
]
HealthCheckExpect: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="CODES", help="HTTP status codes that are healthy: 200-299,304.  [default: 200-299]"),
]
HealthCheckBaseline: TypeAlias = Annotated[
    bool,
    typer.Option("--health-check-baseline", help="Probe before the first batch too: do not start on a sick service."),
]
Local: TypeAlias = Annotated[str, typer.Argument(metavar="LOCAL", help="The file here; pack a directory first.")]
Remote: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="REMOTE",
        help="Its path on the hosts, absolute or from the login's home; with / at the end, the directory for it.",
    ),
]
Mode: TypeAlias = Annotated[
    str | None, typer.Option(metavar="OCTAL", help="Permissions there: 0644.  [default: those of LOCAL]")
]
NoReplace: TypeAlias = Annotated[
    bool, typer.Option("--no-replace", help="Fail on a host that has something at REMOTE already.")
]
Verify: TypeAlias = Annotated[
    bool, typer.Option("--verify", help="Read the bytes back and digest them before the file gets its name.")
]
