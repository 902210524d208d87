"""The way of one `traits gather`: an ordinary task with vigo's own script, and then a reading of what is on record.

The whole script is the task's command, so history and audit show what really ran; its first line names it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vigo.adapters.inventory_yaml import load
from vigo.adapters.places import config_folder, data_folder
from vigo.adapters.store_read import Reading
from vigo.adapters.trait_store import TraitStore
from vigo.cli.console import Console
from vigo.cli.request import Request
from vigo.cli.wiring import find_inventory, journal_folder
from vigo.core.errors import ConfigError, Exit, RefusedError, UsageError
from vigo.core.facts import SITE_BYTES_MAX, SITE_SCRIPTS_MAX, SiteScript, read_site, script
from vigo.core.guard import review
from vigo.core.history import Task
from vigo.core.inventory import Gathered
from vigo.engine.gather import Learned, learn
from vigo.render import traits as render
from vigo.render.machine import dump

FOLDER = "traits.d"
_SUFFIX = ".sh"
_WRITABLE_BY_ALL = 0o002
_DISPATCHED = re.compile(r"Task (t[0-9a-z]{7}) dispatched\n")


def gather_traits(request: Request, sites: Sequence[SiteScript], console: Console) -> Exit:
    """Run the script on the targets, keep what they answered, and say how it went."""
    from vigo.cli.dispatch import run_task

    asked = replace(request, words=(script(sites),), as_kind="command")
    if request.dry_run:
        return run_task(asked, console)
    out = _TaskLine()
    code = run_task(replace(asked, output="text"), Console(out, console.err, console.answers))
    if out.task is None:
        return code
    with Reading(journal_folder()) as journal:
        task, _ = journal.observe(out.task)
        names = [site.name for site in sites]
        learned = [] if task.run is None else list(learn(task.run, journal.kept, names))
    _keep(request, task, learned)
    _show(task, learned, request.output, console)
    return Exit.HOSTS_FAILED if code is Exit.OK and any(one.fault for one in learned) else code


def _keep(request: Request, task: Task, learned: Sequence[Learned]) -> None:
    path, _ = find_inventory(request.inventory)
    found = {
        one.host: Gathered(one.answer.traits, task.created_at, task.id) for one in learned if one.answer is not None
    }
    TraitStore(data_folder(), path).keep(load(path).hosts, found)


def _show(task: Task, learned: Sequence[Learned], form: str, console: Console) -> None:
    for line in render.gathering_warnings(learned, task.id):
        console.say(line)
    match form:
        case "json":
            console.show(dump(render.gathered_json(learned, task.id, task.created_at)))
        case "jsonl":
            console.show("".join(map(dump, map(render.learned_json, learned))))
        case "tsv":
            console.show(render.gathered_tsv(learned))
        case _:
            console.show(render.gathered_text(learned))


class _TaskLine(io.StringIO):
    """Stands for standard output while the script runs: notes which task it is, and drops the hosts' blocks."""

    task: str | None = None

    def write(self, text: str) -> int:
        """Look for the page's first line."""
        found = _DISPATCHED.search(text) if self.task is None else None
        if found is not None:
            self.task = found[1]
        return len(text)


def site_scripts(folder: Path | None) -> list[SiteScript]:
    """Return the scripts `*.sh` of the folder, or of `traits.d` in the user's config folder, in the order of their names.

    Raises UsageError, ConfigError for what cannot be used, RefusedError for a script with a finding of the guard.
    """
    place = folder or _own_folder()
    if place is None or (folder is None and not place.is_dir()):
        return []
    try:
        paths = sorted(path for path in place.iterdir() if path.suffix == _SUFFIX and not path.name.startswith("."))
        if len(paths) > SITE_SCRIPTS_MAX:
            raise ConfigError(f"{place}: has more than {SITE_SCRIPTS_MAX} scripts; join some of them")
        sites = [read_site(path.stem, _read(path), str(path)) for path in paths]
    except OSError as error:
        if folder is not None and error.filename == str(folder):
            raise UsageError(f"--traits-dir {folder}: cannot be read: {error.strerror}") from error
        raise ConfigError(f"{error.filename or place}: cannot be read: {error.strerror}") from error
    for path, site in zip(paths, sites, strict=True):
        finding = review([site.text])
        if finding is not None:
            raise RefusedError(
                f"{path}: the guard refuses it: {finding.pattern}: {finding.reason}; such a script only reads"
            )
    return sites


def _own_folder() -> Path | None:
    try:
        return config_folder() / FOLDER
    except ConfigError:
        return None


def _read(path: Path) -> bytes:
    if not path.is_file() or path.stat().st_mode & _WRITABLE_BY_ALL:
        raise ConfigError(f"{path}: is no plain file, or every user can write it; it would run on your hosts: mend it")
    with path.open("rb") as file:
        return file.read(SITE_BYTES_MAX + 1)
