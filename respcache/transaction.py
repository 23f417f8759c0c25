"""MULTI: what a client has queued."""

from __future__ import annotations

from collections.abc import Sequence

from respcache.registry import MAY_REPLICATE, WRITE, Flag
from respcache.table import Entry


class Transaction:
    """The commands of one client between MULTI and EXEC or DISCARD."""

    __slots__ = ("broken", "flags", "queued")

    def __init__(self) -> None:
        self.queued: list[tuple[Entry, Sequence[bytes], Sequence[bytes]]] = []
        """What to call, the arguments without the command's name, and that as it was spelled, if anybody minds."""
        self.broken = False
        """A command was refused while it was to be queued: EXEC will run none."""
        self.flags = Flag(0)
        """Those of all of them."""

    @property
    def writes(self) -> bool:
        """Whether one of them may write."""
        return bool(self.flags & (WRITE | MAY_REPLICATE))

    def add(self, entry: Entry, arguments: Sequence[bytes], names: Sequence[bytes] = ()) -> None:
        """Queues a call."""
        self.queued.append((entry, arguments, names))
        self.flags |= entry.command.flags
