"""Which other tasks touch the same hosts: one line says so, or the task waits until they do not.

Held is what a running task has not finished, and its lock is the kernel's: a dead holder holds nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from vigo.adapters.overlap import Holder, dispatching, holders, wait_until_free
from vigo.adapters.store import Store
from vigo.cli.console import Console
from vigo.core.errors import RefusedError
from vigo.core.model import Host
from vigo.core.values import dataclass


class OvertakenError(RefusedError):
    """Another task took one of the hosts between the waiting and the dispatch; wait again."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The hosts that a task is about to touch, and whether it has to have them to itself."""

    hosts: Sequence[Host]
    exclusive: bool
    no_wait: bool
    besides: str | None = None
    """A task whose own hold does not count: the one that is resumed."""

    def wait(self, store: Store, console: Console) -> None:
        """Wait where the task has to have its hosts to itself. Nothing is on record yet; Ctrl-C ends it.

        Raises RefusedError with `--no-wait`.
        """
        if not self.exclusive:
            return

        def tell(found: Sequence[Holder]) -> None:
            console.say(f"waiting for {'; '.join(map(str, found))}")

        with wait_until_free(store, self._names, besides=self.besides, is_patient=not self.no_wait, tell=tell):
            pass

    @contextmanager
    def settled(self, store: Store, console: Console) -> Iterator[None]:
        """Hold the lock of all dispatches for the block. Raises OvertakenError when the hosts are not free any more."""
        with dispatching(store.folder):
            found = holders(store, self._names, self.besides)
            if found and self.exclusive:
                raise OvertakenError(f"held: {'; '.join(map(str, found))}")
            for holder in found:
                console.say(f"note: held too: {holder}; going on (--exclusive waits)")
            yield

    @property
    def _names(self) -> frozenset[str]:
        return frozenset(host.name for host in self.hosts)
