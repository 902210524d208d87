"""What the flags say about a run's results, and who prints them while it goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

from vigo.adapters.output_folder import OutputFolder
from vigo.cli.console import Console
from vigo.core.errors import UsageError
from vigo.core.events import HostFinished, Record
from vigo.core.inventory_names import did_you_mean
from vigo.core.model import Outcome, Output, Stream
from vigo.core.ranges import RangeError, glob
from vigo.core.rollout import Run
from vigo.core.values import dataclass
from vigo.engine.ports import Observer, Sink
from vigo.render.blocks import Kept
from vigo.render.gather import read_ignored
from vigo.render.jsonl import EventPrinter
from vigo.render.live import BlockPrinter
from vigo.render.views import StreamPrinter, View, WholePrinter, Wish

TEXT = "text"
EVENTS = "jsonl"


@dataclass(frozen=True, slots=True)
class Results:
    """The flags, unread; None and empty mean "not given"."""

    view: str | None = None
    only: str | None = None
    hosts: tuple[str, ...] = ()
    gather_ignore: tuple[str, ...] = ()
    output_dir: str | None = None

    def refuse(self, flag: str) -> None:
        """Raise UsageError if any of them was given beside a flag that shows something else."""
        if self != Results():
            raise UsageError(
                f"{flag}: shows no results to choose from; leave --view, --only, --host, --gather-ignore out"
            )

    def wish(self, output: str, *, is_live: bool = True) -> Wish:
        """Read the flags. Raises UsageError for what is not well formed, or says nothing where it stands."""
        view = View(self.view or View.HOSTS)
        if self.gather_ignore and view is not View.GATHER:
            raise UsageError("--gather-ignore: nothing is compared; add --view gather")
        if self.only is not None and view is View.STREAM and is_live:
            raise UsageError("--only: lines are shown before it is known how a host ends; take another --view")
        if (self.only is not None or self.hosts) and output != TEXT:
            raise UsageError(f"--only, --host: choose from text; with --output {output} choose from its records")
        for pattern in self.hosts:
            try:
                glob(pattern)
            except RangeError as error:
                raise UsageError(f"--host {pattern[:80]}: {error}") from None
        ignored = read_ignored(self.gather_ignore, "--gather-ignore")
        return Wish(view, frozenset(outcomes_of(self.only) if self.only else ()), self.hosts, ignored)


def outcomes_of(text: str) -> tuple[Outcome, ...]:
    """Read outcomes with commas between them. Raises UsageError."""
    words = [word.strip() for word in text.split(",")]
    known = [outcome.value for outcome in Outcome]
    for word in words:
        if word not in known:
            hint = did_you_mean(word, known) or f"write one of {', '.join(known)}"
            raise UsageError(f"--only: {word!r} is no outcome; {hint}")
    return tuple(map(Outcome, words))


@dataclass(frozen=True, slots=True)
class Showing:
    """What is done with the results of a run while it goes on."""

    wish: Wish | None
    """How they are printed; None where records are printed in their place."""
    folder: OutputFolder | None
    is_events: bool = False
    """Whether each event is printed as it happens."""

    @classmethod
    def of(cls, results: Results, output: str) -> Self:
        """Read the flags and make the folder, before anything is on record. Raises UsageError."""
        wish = results.wish(output)
        folder = None if results.output_dir is None else OutputFolder(results.output_dir)
        return cls(wish if output == TEXT else None, folder, is_events=output == EVENTS)

    def open(self, kept: Kept, run: Run, console: Console) -> tuple[list[Observer], list[Sink]]:
        """Return who is told of records, and who gets each byte as it arrives."""
        observers: list[Observer] = [] if self.folder is None else [FolderWriter(self.folder, kept)]
        if self.is_events:
            return [EventPrinter(console.out, kept), *observers], []
        if self.wish is None:
            return observers, []
        if self.wish.view is View.STREAM:
            stream = StreamPrinter(console.out, self.wish)
            return [stream, *observers], [stream]
        if self.wish.view is View.HOSTS:
            return [BlockPrinter(console.out, kept, run, self.wish), *observers], []
        return [WholePrinter(console.out, kept, self.wish, run), *observers], []


class FolderWriter:
    """Writes the output of each host that ends into a folder."""

    def __init__(self, folder: OutputFolder, kept: Kept) -> None:
        self._folder = folder
        self._kept = kept

    def on_record(self, record: Record, run: Run) -> None:  # noqa: ARG002 - the observer's form
        """Write what the host printed; nothing for a stream on which it was silent."""
        if isinstance(record.event, HostFinished):
            result = record.event.result
            for stream, output in ((Stream.STDOUT, result.stdout), (Stream.STDERR, result.stderr)):
                if output.total_bytes:
                    self._folder.write(record.event.host, stream, _whole(output, self._kept))


class Tee:
    """Hands live output to several. One that raises is dropped with a line: no host is lost because its output cannot be shown."""

    def __init__(self, sinks: Sequence[Sink], complain: Callable[[str], None]) -> None:
        self._sinks = list(sinks)
        self._complain = complain

    def write(self, host: str, stream: Stream, data: bytes) -> None:
        """Take the next bytes of one stream of one host."""
        for sink in tuple(self._sinks):
            try:
                sink.write(host, stream, data)
            except Exception as error:  # noqa: BLE001 - beyond this stands the connection, which it would end
                self._sinks.remove(sink)
                self._complain(f"{type(sink).__name__} stopped: {error!r}; the run goes on, see `task status`")


def _whole(output: Output, kept: Kept) -> bytes:
    """Return what is kept, with a line where something is missing."""
    data = kept(output.kept_sha256) or b""
    if not output.is_cut:
        return data
    dropped = output.total_bytes - output.kept_bytes
    mark = f"\n[... {dropped} of {output.total_bytes} bytes not kept; sha256 of all {output.sha256} ...]\n"
    return data[: output.head_bytes] + mark.encode() + data[output.head_bytes :]
