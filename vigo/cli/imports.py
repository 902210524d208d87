"""`vigo inventory import`: inventories of other tools become one of vigo's. Flags in, exit codes out."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vigo.cli.console import Console
from vigo.cli.examples import examples
from vigo.core.errors import Exit, UsageError

if TYPE_CHECKING:
    from vigo.core.imports.document import Imported

app = typer.Typer(
    help="Make an inventory from what you have: Ansible, ssh_config, Vagrant, any JSON.", no_args_is_help=True
)

WriteOption = Annotated[
    str | None, typer.Option("--write", "-w", metavar="FILE", help="Write there instead of to standard output.")
]
ReplaceOption = Annotated[bool, typer.Option("--replace", help="Let --write replace a file that is there.")]


@app.command(epilog=examples("inventory import ansible"))
def ansible(
    path: Annotated[
        str, typer.Argument(help="An inventory file or folder, or `-` for the JSON of `ansible-inventory --list`.")
    ],
    write: WriteOption = None,
    replace: ReplaceOption = False,
) -> int:
    """Import an Ansible inventory: INI, YAML, or the JSON of `ansible-inventory --list`; nothing is run."""
    from vigo.adapters.import_ansible import import_ansible

    _check(write, replace)
    return _deliver(import_ansible(path), path, write, replace)


@app.command("ssh-config", epilog=examples("inventory import ssh-config"))
def ssh_config(
    file: Annotated[str | None, typer.Argument(help="An ssh_config. [default: ~/.ssh/config]")] = None,
    all_settings: Annotated[
        bool, typer.Option("--all-settings", help="Copy what it says of each host, instead of its name alone.")
    ] = False,
    write: WriteOption = None,
    replace: ReplaceOption = False,
) -> int:
    """Import the hosts that an ssh_config names; vigo reads their settings from there when it connects."""
    from vigo.adapters.import_ssh_config import import_ssh_config

    _check(write, replace)
    return _deliver(import_ssh_config(file, all_settings=all_settings), file or "~/.ssh/config", write, replace)


@app.command(epilog=examples("inventory import vagrant"))
def vagrant(
    file: Annotated[str, typer.Argument(help="What `vagrant ssh-config` printed, or `-` for standard input.")] = "-",
    write: WriteOption = None,
    replace: ReplaceOption = False,
) -> int:
    """Import the machines that `vagrant ssh-config` prints."""
    from vigo.adapters.import_vagrant import import_vagrant

    _check(write, replace)
    return _deliver(import_vagrant(file), file, write, replace)


@app.command(epilog=examples("inventory import command"))
def command(
    program: Annotated[str, typer.Argument(help="A program and its arguments, in quotes; no shell runs it.")],
    mapping: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="VALUE=FIELD",
            help="name, address, uuid, group, ssh.user, ssh.port, ssh.identity or trait.PATH, and where it stands: "
            "`name=.hostname`, `trait.site=.tags.dc`. Repeatable.",
        ),
    ] = None,
    items: Annotated[
        str, typer.Option(metavar="FIELD", help="Where in the JSON the list, or the object of objects, stands.")
    ] = ".",
    write: WriteOption = None,
    replace: ReplaceOption = False,
) -> int:
    """Import what any program prints as JSON, by a mapping of fields."""
    from vigo.adapters.import_command import import_command
    from vigo.core.imports.mapping import read_field, read_mapping

    _check(write, replace)
    mapped = read_mapping(mapping or [])
    imported = import_command(program, read_field(items, "--items"), mapped)
    return _deliver(imported, shlex.split(program)[0], write, replace)  # its arguments may hold a secret


def _check(write: str | None, replace: bool) -> None:
    if replace and write is None:
        raise UsageError("--replace: there is no --write; name the file")


def _deliver(imported: Imported, origin: str, write: str | None, replace: bool) -> int:
    """Write the file or print it, and say what is in it and what is not."""
    from vigo.adapters.import_write import write_file
    from vigo.adapters.inventory_yaml import parse
    from vigo.core.imports.writing import write as write_text
    from vigo.core.inventory_build import build

    console = Console.of_process()
    origin = "standard input" if origin == "-" else origin
    text = write_text(imported.document, origin)
    made = build(
        [parse(text.encode(), write or "the inventory made")], origin
    )  # what cannot be read back is not written
    if write is None:
        console.show(text)
    else:
        write_file(Path(write), text, replace=replace)
    for line in imported.notes:
        console.say(line)
    console.say(f"imported {_count(len(made.hosts), 'host')} and {_count(len(made.groups), 'group')} from {origin}")
    if write is not None:
        console.say(f"written to {write}; look through it with `vigo inventory check -i {write}`")
    return Exit.OK


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
