"""Which hosts: all flags that name targets become one expression, and that one selects from the inventory."""

from __future__ import annotations

from collections.abc import Collection
from itertools import chain
from pathlib import Path

from vigo.cli.age import say_age
from vigo.cli.console import Console
from vigo.cli.request import Request
from vigo.cli.wiring import journal_folder
from vigo.core import target
from vigo.core.errors import UsageError
from vigo.core.events import TaskStatus
from vigo.core.inventory import Inventory
from vigo.core.inventory_names import did_you_mean
from vigo.core.model import Host, Outcome
from vigo.core.policy import SitePolicy
from vigo.core.quantity import parse_quantity
from vigo.core.shape import HostOrder, Shape, arrange

_FILE_CHARACTERS_MAX = 4 * 1024 * 1024


def select(
    request: Request,
    own_target: str | None,
    shape: Shape,
    inventory: Inventory,
    site: SitePolicy,
    console: Console,
) -> tuple[str, tuple[Host, ...]]:
    """Return the target for the record and the hosts that it means, less those that `site` protects.

    The record holds all that was asked for: the one expression, and behind it `--limit` and `--seed`. What `--limit`
    takes are the first hosts in the order of the shape.

    `own_target` is the named task's; any `--target` or `--target-file` takes its place. Raises UsageError, NoMatchError.
    """
    given = [*request.targets, *(line for path in request.target_files for line in _lines(path, console))]
    if not given and request.target_files:
        raise UsageError(f"--target-file {', '.join(request.target_files)}: no target in it; write one a line")
    if not given and own_target is not None:
        given = [own_target]
    expression = target.combine(given, request.excludes)
    wanted = target.parse(expression)
    _check_traits(request, inventory)
    hosts = _unprotected(wanted, wanted.select(inventory, runs=hosts_of_run), inventory, site, console)
    say_age(inventory, wanted, console, *filter(None, (shape.spread, shape.batch_by)))
    is_random = shape.order is HostOrder.RANDOM
    if request.limit is None:
        if request.seed is not None and not is_random:
            raise UsageError("--seed: draws --order random or the sample of --limit; add one of them")
        return expression, hosts
    quantity = parse_quantity(request.limit, flag="--limit", least=1)
    seed = "" if request.seed is None else f" --seed {request.seed}"
    in_order = tuple(chain.from_iterable(arrange(hosts, shape)))
    sample = None if is_random else request.seed  # the first of a random order are a sample already
    return f"{expression} --limit {quantity}{seed}", target.limit(in_order, quantity, sample)


def _check_traits(request: Request, inventory: Inventory) -> None:
    """Raise UsageError for a flag with a trait that no host of the inventory has: batches would not be kept apart by it."""
    for flag, trait in (("--spread", request.spread), ("--batch-by", request.batch_by)):
        if trait is not None and not any(trait in host.traits for host in inventory.hosts):
            known = dict.fromkeys(path for host in inventory.hosts for path in host.traits)
            hint = did_you_mean(trait, known) or "`vigo traits gather` asks hosts for theirs"
            raise UsageError(f"{flag}: no host of {inventory.source} has the trait {trait[:80]!r}; {hint}")


def _unprotected(
    wanted: target.Target, hosts: tuple[Host, ...], inventory: Inventory, site: SitePolicy, console: Console
) -> tuple[Host, ...]:
    """Leave the protected hosts out, and say which and why."""
    for line in site.unknown(inventory):
        console.say(line)
    kept, left_out = site.spare(wanted, hosts, inventory)
    for some in left_out:
        console.say(f"left out by {site.source}: {some}; write a host's own name to reach it")
    return kept


def hosts_of_run(task: str, outcomes: Collection[Outcome]) -> Collection[str]:
    """Return the hosts of an earlier task (a unique beginning of its id will do) that ended so; all of them for none."""
    from vigo.adapters.store_read import Reading

    with Reading(journal_folder()) as journal:
        found, status = journal.observe(journal.find(task))
    run = found.run
    if run is None or not outcomes:
        return found.hosts
    interrupted = status is TaskStatus.INTERRUPTED
    return [host for host in run.hosts if run.outcome(host, interrupted=interrupted) in outcomes]


def _lines(path: str, console: Console) -> tuple[str, ...]:
    try:
        text = console.answers.read(_FILE_CHARACTERS_MAX + 1) if path == "-" else _read(Path(path))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"--target-file {path}: cannot be read: {reason}") from error
    if len(text) > _FILE_CHARACTERS_MAX:
        raise UsageError(
            f"--target-file {path}: is longer than {_FILE_CHARACTERS_MAX:,} characters; name groups instead"
        )
    return target.read_target_file(text)


def _read(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        return file.read(_FILE_CHARACTERS_MAX + 1)
