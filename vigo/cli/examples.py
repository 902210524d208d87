"""The end of each command's help: command lines that could be typed as they stand."""

from __future__ import annotations

from typing import Final

EXAMPLES: Final[dict[str, tuple[str, ...]]] = {
    "": (
        "vigo lab up",
        "vigo task run uptime --target all --dry-run",
        "vigo task status",
    ),
    "task run": (
        "vigo task run uptime --target all",
        'vigo task run "systemctl restart nginx" --target "*.web.*" --batch-size 25% --max-failures 2',
        "vigo task run restart-app --param env=staging --target @prod.web --dry-run",
    ),
    "task push": (
        "vigo task push app.conf /etc/app/ --target @prod.web --batch-size 1,25%",
        "vigo task push app.conf /etc/app/app.conf --target web-01.example.com --mode 0640",
    ),
    "task status": (
        "vigo task status",
        "vigo task status t1a2b3c4 --only failed,timeout --view gather",
        "vigo task status t1a2b3c4 --watch",
    ),
    "task report": ("vigo task report t1a2b3c4 --html report.html",),
    "task list": ("vigo task list --limit 5", "vigo task list -o jsonl"),
    "task cancel": ("vigo task cancel t1a2b3c4", "vigo task cancel t1a2b3c4 --now"),
    "task resume": ("vigo task resume t1a2b3c4", "vigo task resume t1a2b3c4 --include-lost"),
    "task rerun": ("vigo task rerun t1a2b3c4 --only failed,unreachable", "vigo task rerun t1a2b3c4 --dry-run"),
    "task rollback": ("vigo task rollback t1a2b3c4 --dry-run", "vigo task rollback t1a2b3c4"),
    "inventory list": ("vigo inventory list", "vigo inventory list --target 'os.distro=ubuntu and not @prod.db'"),
    "inventory show": ("vigo inventory show web-01.example.com", "vigo inventory show web-01.example.com --ssh"),
    "inventory check": ("vigo inventory check", "vigo inventory check --inventory hosts.yaml"),
    "inventory import ansible": (
        "vigo inventory import ansible hosts.ini --write inventory.yaml",
        "ansible-inventory --list | vigo inventory import ansible -",
    ),
    "inventory import ssh-config": ("vigo inventory import ssh-config --write inventory.yaml",),
    "inventory import vagrant": ("vagrant ssh-config | vigo inventory import vagrant --write inventory.yaml",),
    "inventory import command": (
        "vigo inventory import command 'cloud list --json' --items .machines --map name=.hostname",
    ),
    "keys scan": ("vigo keys scan --target @prod.web", "vigo keys scan --target @prod.web --write"),
    "keys show": ("vigo keys show", "vigo keys show web-01.example.com"),
    "keys forget": ("vigo keys forget web-01.example.com",),
    "traits gather": ("vigo traits gather", "vigo traits gather --target 'not os.kernel=*'"),
    "traits show": ("vigo traits show web-01.example.com",),
    "query": ("vigo query os.distro", "vigo query os.version --target os.distro=debian --count"),
    "guard check": ("vigo guard check 'rm -rf /'", "vigo guard check --input commands.jsonl -o jsonl"),
    "guard rules": ("vigo guard rules", "vigo guard rules -o tsv"),
    "audit verify": ("vigo audit verify", "vigo audit verify --anchor anchor.txt"),
    "audit show": ("vigo audit show --host web-01.example.com --since 2d", "vigo audit show --task t1a2b3c4 -o jsonl"),
    "audit export": ("vigo audit export > journal.jsonl",),
    "audit anchor": ("vigo audit anchor >> anchor.txt",),
    "audit prune": ("vigo audit prune --older-than 90d",),
    "config show": ("vigo config show", "vigo config show -o json"),
    "lab up": ("vigo lab up", "vigo lab up --hosts 20"),
    "lab status": ("vigo lab status",),
    "lab down": ("vigo lab down",),
    "lab health": ("vigo lab health down", "vigo lab health up"),
    "lab break": ("vigo lab break web-02.example.com exit:3", "vigo lab break web-03.example.com hang"),
    "lab heal": ("vigo lab heal web-02.example.com",),
    "completion": (
        "vigo completion bash > ~/.local/share/bash-completion/completions/vigo",
        'vigo completion zsh > "${fpath[1]}/_vigo"',
        "vigo completion fish > ~/.config/fish/completions/vigo.fish",
    ),
    "doctor": ("vigo doctor", "vigo doctor web-01.example.com"),
}
"""Words that call a command -> one to three lines, the plainest first."""


def examples(command: str) -> str:
    """Return the end of a command's help; each line stays whole, however narrow the terminal is.

    The backspace on a line of its own tells typer to leave the lines below it as they are.
    """
    return "\n  ".join(("\b\nExamples:", *EXAMPLES[command]))
