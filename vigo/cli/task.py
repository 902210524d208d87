"""`vigo task`: run, status, list and what comes after a run. Flags in, exit codes out; the work is done elsewhere."""

from __future__ import annotations

from typing import Annotated

import typer

from vigo.cli import flags, ssh_flags
from vigo.cli.ahead import load_ahead
from vigo.cli.console import Console
from vigo.cli.examples import examples
from vigo.cli.flags import Format, Progress, RunFormat
from vigo.core.errors import UsageError

app = typer.Typer(help="Run a command or a named task on hosts; look at runs.", no_args_is_help=True)


@app.command(epilog=examples("task run"))
def run(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="COMMAND|TASK", help="A quoted command, or a task's name.")
    ] = None,
    targets: flags.Target = None,
    excludes: flags.Exclude = None,
    target_files: flags.TargetFile = None,
    limit: flags.Limit = None,
    seed: flags.Seed = None,
    timeout: flags.Timeout = None,
    operator: flags.Operator = None,
    order: flags.Order = None,
    spread: flags.Spread = None,
    batch_by: flags.BatchBy = None,
    batch_order: flags.BatchOrder = None,
    batch_size: flags.BatchSize = None,
    pause: flags.PauseFor = None,
    stop_after: flags.StopAfter = None,
    max_failures: flags.MaxFailures = None,
    max_unreachable: flags.MaxUnreachable = None,
    accept_exit: flags.AcceptExit = None,
    on_stop: flags.WhenStopped = None,
    rollback_command: flags.RollbackCommand = None,
    health_check_url: flags.HealthCheckUrl = None,
    health_check_command: flags.HealthCheckCommand = None,
    health_check_tcp: flags.HealthCheckTcp = None,
    health_check_timeout: flags.HealthCheckTimeout = None,
    health_check_interval: flags.HealthCheckInterval = None,
    health_check_deadline: flags.HealthCheckDeadline = None,
    health_check_stable: flags.HealthCheckStable = None,
    health_check_expect: flags.HealthCheckExpect = None,
    health_check_baseline: flags.HealthCheckBaseline = False,
    nice: flags.Nice = None,
    fanout: flags.Fanout = None,
    connect_timeout: flags.ConnectTimeout = None,
    kill_on_disconnect: flags.KillOnDisconnect = False,
    user: ssh_flags.User = None,
    port: ssh_flags.Port = None,
    identity: ssh_flags.Identity = None,
    jump: ssh_flags.Jump = None,
    ssh_options: ssh_flags.SshOption = None,
    ssh_config: ssh_flags.SshConfig = None,
    ask_password: ssh_flags.AskPassword = False,
    password_file: ssh_flags.PasswordFile = None,
    password_fd: ssh_flags.PasswordFd = None,
    ask_passphrase: ssh_flags.AskPassphrase = False,
    passphrase_file: ssh_flags.PassphraseFile = None,
    sudo: ssh_flags.Sudo = False,
    sudo_user: ssh_flags.SudoUser = None,
    doas: ssh_flags.Doas = False,
    ask_sudo_password: ssh_flags.AskSudoPassword = False,
    sudo_password_file: ssh_flags.SudoPasswordFile = None,
    sudo_password_fd: ssh_flags.SudoPasswordFd = None,
    exclusive: flags.Exclusive = False,
    no_wait: flags.NoWait = False,
    dry_run: flags.DryRun = False,
    no_probe: flags.NoProbe = False,
    preflight: flags.Preflight = False,
    force: flags.Force = False,
    confirm: flags.Confirm = None,
    params: flags.Param = None,
    as_kind: flags.As = None,
    expand: flags.Expand = False,
    env: flags.Env = None,
    script: flags.Script = None,
    stdin: flags.Stdin = None,
    shell: flags.Shell = None,
    pty: flags.Pty = False,
    inventory: flags.Inventory = None,
    accept_new_host_keys: flags.AcceptNewHostKeys = False,
    progress: flags.Follow = Progress.AUTO,
    view: flags.Results = None,
    only: flags.Only = None,
    show_hosts: flags.ShowHosts = None,
    gather_ignore: flags.GatherIgnore = None,
    output_dir: flags.OutputDir = None,
    notify_command: flags.NotifyCommand = None,
    notify_url: flags.NotifyUrl = None,
    output: flags.RunOutput = RunFormat.TEXT,
) -> int:
    """Run a command or a named task on targeted hosts."""
    given = locals()  # each flag is a field of Request with the same name
    if not (dry_run and no_probe):
        load_ahead("vigo.adapters.ssh")
    from vigo.cli import dispatch, request

    return dispatch.run_task(request.Request.of(given), Console.of_process())


@app.command(epilog=examples("task push"))
def push(
    local: flags.Local,
    remote: flags.Remote,
    mode: flags.Mode = None,
    no_replace: flags.NoReplace = False,
    verify: flags.Verify = False,
    targets: flags.Target = None,
    excludes: flags.Exclude = None,
    target_files: flags.TargetFile = None,
    limit: flags.Limit = None,
    seed: flags.Seed = None,
    timeout: flags.Timeout = None,
    operator: flags.Operator = None,
    order: flags.Order = None,
    spread: flags.Spread = None,
    batch_by: flags.BatchBy = None,
    batch_order: flags.BatchOrder = None,
    batch_size: flags.BatchSize = None,
    pause: flags.PauseFor = None,
    stop_after: flags.StopAfter = None,
    max_failures: flags.MaxFailures = None,
    max_unreachable: flags.MaxUnreachable = None,
    on_stop: flags.WhenStopped = None,
    rollback_command: flags.RollbackCommand = None,
    health_check_url: flags.HealthCheckUrl = None,
    health_check_command: flags.HealthCheckCommand = None,
    health_check_tcp: flags.HealthCheckTcp = None,
    health_check_timeout: flags.HealthCheckTimeout = None,
    health_check_interval: flags.HealthCheckInterval = None,
    health_check_deadline: flags.HealthCheckDeadline = None,
    health_check_stable: flags.HealthCheckStable = None,
    health_check_expect: flags.HealthCheckExpect = None,
    health_check_baseline: flags.HealthCheckBaseline = False,
    fanout: flags.Fanout = None,
    connect_timeout: flags.ConnectTimeout = None,
    user: ssh_flags.User = None,
    port: ssh_flags.Port = None,
    identity: ssh_flags.Identity = None,
    jump: ssh_flags.Jump = None,
    ssh_options: ssh_flags.SshOption = None,
    ssh_config: ssh_flags.SshConfig = None,
    ask_password: ssh_flags.AskPassword = False,
    password_file: ssh_flags.PasswordFile = None,
    password_fd: ssh_flags.PasswordFd = None,
    ask_passphrase: ssh_flags.AskPassphrase = False,
    passphrase_file: ssh_flags.PassphraseFile = None,
    exclusive: flags.Exclusive = False,
    no_wait: flags.NoWait = False,
    dry_run: flags.DryRun = False,
    no_probe: flags.NoProbe = False,
    force: flags.Force = False,
    confirm: flags.Confirm = None,
    expand: flags.Expand = False,
    inventory: flags.Inventory = None,
    accept_new_host_keys: flags.AcceptNewHostKeys = False,
    progress: flags.Follow = Progress.AUTO,
    notify_command: flags.NotifyCommand = None,
    notify_url: flags.NotifyUrl = None,
    output: flags.RunOutput = RunFormat.TEXT,
) -> int:
    """Bring a file to targeted hosts, whole or not at all, with the rules of `run`."""
    given = locals()
    from vigo.cli.push import PushRequest, push_file
    from vigo.cli.request import Request

    asked = PushRequest(*(given.pop(name) for name in ("local", "remote", "mode", "no_replace", "verify")))
    return push_file(asked, Request.of(given), Console.of_process())


@app.command(epilog=examples("task status"))
def status(
    task: Annotated[
        str | None, typer.Argument(metavar="ID", help="Task id or a unique beginning of one.  [default: the last task]")
    ] = None,
    look: Annotated[
        bool, typer.Option("--look", help="Ask hosts whose outcome is unknown whether the command still runs there.")
    ] = False,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch",
            help="Follow it to its end as `run` shows it, with -o jsonl event by event; replay one that has ended.",
        ),
    ] = False,
    view: flags.Results = None,
    only: flags.Only = None,
    show_hosts: flags.ShowHosts = None,
    gather_ignore: flags.GatherIgnore = None,
    ask_password: ssh_flags.AskPassword = False,
    password_file: ssh_flags.PasswordFile = None,
    password_fd: ssh_flags.PasswordFd = None,
    ask_passphrase: ssh_flags.AskPassphrase = False,
    passphrase_file: ssh_flags.PassphraseFile = None,
    ask_sudo_password: ssh_flags.AskSudoPassword = False,
    sudo_password_file: ssh_flags.SudoPasswordFile = None,
    sudo_password_fd: ssh_flags.SudoPasswordFd = None,
    inventory: flags.Inventory = None,
    output: flags.RunOutput = RunFormat.TEXT,
) -> int:
    """Show status and results of a task run."""
    from vigo.cli.results import Results

    console = Console.of_process()
    results = Results(view, only, tuple(show_hosts or ()), tuple(gather_ignore or ()))
    wish = results.wish(output, is_live=False)
    if watch or look:
        results.refuse("--watch" if watch else "--look")
    if watch and output is RunFormat.JSONL:
        from vigo.cli.streaming import stream_task

        return stream_task(task, console)
    if watch:
        from vigo.cli.watch import watch_task

        return watch_task(task, output, console)
    if look:
        if output is RunFormat.JUNIT:
            raise UsageError("--look: shows what still runs, which is no test result; leave --output junit out")
        from vigo.cli.look import look_at_lost

        login = ssh_flags.Wanted(
            ask_password,
            password_file,
            password_fd,
            ask_passphrase,
            passphrase_file,
            ask_sudo_password,
            sudo_password_file,
            sudo_password_fd,
        )
        return look_at_lost(task, inventory, output, console, login)
    from vigo.cli.reading import show_status

    return show_status(task, output, console, wish)


@app.command(epilog=examples("task report"))
def report(
    html: Annotated[str, typer.Option("--html", metavar="FILE|-", help="The file to write; - is standard output.")],
    task: Annotated[
        str | None, typer.Argument(metavar="ID", help="Task id or a unique beginning of one.  [default: the last task]")
    ] = None,
) -> int:
    """Write one self-contained HTML page about a task run: verdict, hosts, timeline, output, audit."""
    from vigo.cli.report import report_task

    return report_task(task, html, Console.of_process())


@app.command("list", epilog=examples("task list"))
def list_(
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of tasks to display.")] = 20,
    output: flags.Output = Format.TEXT,
) -> int:
    """List recent task runs."""
    from vigo.cli.reading import show_list

    return show_list(limit, output, Console.of_process())


@app.command(epilog=examples("task cancel"))
def cancel(
    task: flags.TaskId,
    now: Annotated[bool, typer.Option("--now", help="Kill the command on the hosts where it runs.")] = False,
    operator: flags.Operator = None,
) -> int:
    """Have a running task start nothing more; what runs finishes, or is killed with --now."""
    from vigo.cli.cancel import cancel_task

    return cancel_task(task, operator, Console.of_process(), now=now)


@app.command(epilog=examples("task resume"))
def resume(
    task: flags.TaskId,
    include_lost: Annotated[
        bool, typer.Option("--include-lost", help="Start hosts again that were running when the control process died.")
    ] = False,
    stop_after: flags.StopAfter = None,
    no_wait: flags.NoWait = False,
    force: flags.Force = False,
    operator: flags.Operator = None,
    ask_password: ssh_flags.AskPassword = False,
    password_file: ssh_flags.PasswordFile = None,
    password_fd: ssh_flags.PasswordFd = None,
    ask_passphrase: ssh_flags.AskPassphrase = False,
    passphrase_file: ssh_flags.PassphraseFile = None,
    ask_sudo_password: ssh_flags.AskSudoPassword = False,
    sudo_password_file: ssh_flags.SudoPasswordFile = None,
    sudo_password_fd: ssh_flags.SudoPasswordFd = None,
    inventory: flags.Inventory = None,
    accept_new_host_keys: flags.AcceptNewHostKeys = False,
    progress: flags.Follow = Progress.AUTO,
    view: flags.Results = None,
    only: flags.Only = None,
    show_hosts: flags.ShowHosts = None,
    gather_ignore: flags.GatherIgnore = None,
    output_dir: flags.OutputDir = None,
    notify_command: flags.NotifyCommand = None,
    notify_url: flags.NotifyUrl = None,
    output: flags.RunOutput = RunFormat.TEXT,
) -> int:
    """Let a paused or interrupted task go on with its own plan; no host that has an outcome runs again."""
    given = locals()
    from vigo.cli.resume import Resumption, resume_task

    return resume_task(Resumption(**given), Console.of_process())


@app.command(epilog=examples("task rerun"))
def rerun(
    task: flags.TaskId,
    only: Annotated[
        str | None,
        typer.Option(metavar="OUTCOMES", help="Which hosts, by outcome.  [default: all but complete and lost]"),
    ] = None,
    batch_size: flags.BatchSize = None,
    max_failures: flags.MaxFailures = None,
    timeout: flags.Timeout = None,
    fanout: flags.Fanout = None,
    exclusive: flags.Exclusive = False,
    no_wait: flags.NoWait = False,
    dry_run: flags.DryRun = False,
    no_probe: flags.NoProbe = False,
    force: flags.Force = False,
    confirm: flags.Confirm = None,
    operator: flags.Operator = None,
    ask_password: ssh_flags.AskPassword = False,
    password_file: ssh_flags.PasswordFile = None,
    password_fd: ssh_flags.PasswordFd = None,
    ask_passphrase: ssh_flags.AskPassphrase = False,
    passphrase_file: ssh_flags.PassphraseFile = None,
    ask_sudo_password: ssh_flags.AskSudoPassword = False,
    sudo_password_file: ssh_flags.SudoPasswordFile = None,
    sudo_password_fd: ssh_flags.SudoPasswordFd = None,
    inventory: flags.Inventory = None,
    accept_new_host_keys: flags.AcceptNewHostKeys = False,
    progress: flags.Follow = Progress.AUTO,
    view: flags.Results = None,
    show_hosts: flags.ShowHosts = None,
    gather_ignore: flags.GatherIgnore = None,
    output_dir: flags.OutputDir = None,
    notify_command: flags.NotifyCommand = None,
    notify_url: flags.NotifyUrl = None,
    output: flags.RunOutput = RunFormat.TEXT,
) -> int:
    """Run a task's command again, as a new task, on those of its hosts that ended so."""
    given = locals()
    from vigo.cli import request, rerun

    return rerun.rerun_task(given.pop("task"), given.pop("only"), request.Request.of(given), Console.of_process())


@app.command(epilog=examples("task rollback"))
def rollback(
    task: flags.TaskId,
    timeout: flags.Timeout = None,
    fanout: flags.Fanout = None,
    no_wait: flags.NoWait = False,
    dry_run: flags.DryRun = False,
    no_probe: flags.NoProbe = False,
    force: flags.Force = False,
    confirm: flags.Confirm = None,
    operator: flags.Operator = None,
    ask_password: ssh_flags.AskPassword = False,
    password_file: ssh_flags.PasswordFile = None,
    password_fd: ssh_flags.PasswordFd = None,
    ask_passphrase: ssh_flags.AskPassphrase = False,
    passphrase_file: ssh_flags.PassphraseFile = None,
    ask_sudo_password: ssh_flags.AskSudoPassword = False,
    sudo_password_file: ssh_flags.SudoPasswordFile = None,
    sudo_password_fd: ssh_flags.SudoPasswordFd = None,
    inventory: flags.Inventory = None,
    accept_new_host_keys: flags.AcceptNewHostKeys = False,
    progress: flags.Follow = Progress.AUTO,
    view: flags.Results = None,
    only: flags.Only = None,
    show_hosts: flags.ShowHosts = None,
    gather_ignore: flags.GatherIgnore = None,
    output_dir: flags.OutputDir = None,
    notify_command: flags.NotifyCommand = None,
    notify_url: flags.NotifyUrl = None,
    output: flags.RunOutput = RunFormat.TEXT,
) -> int:
    """Run a task's rollback command, as a new task, on the hosts where the task ran."""
    given = locals()
    from vigo.cli import request, rerun

    return rerun.roll_back(given.pop("task"), request.Request.of(given), Console.of_process())
